// The parts of an answer, each drawn into its place on the page.

const element = (id) => document.getElementById(id);
const percent = (p) => `${(100 * p).toFixed(1)} %`;
const make = (tag, className = "", text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

const decoration = () => Object.assign(make("canvas"), { ariaHidden: "true" }); // beside its label

const packed = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red; // as ImageData keeps it
const ANCHORS = [[0, 0, 0], [16, 38, 82], [29, 95, 196], [134, 186, 250], [255, 255, 255]];
// From black over blue to white: its lightness rises evenly, so that it serves all eyes, and without colors.
const COLORS = Int32Array.from({ length: 256 }, (_, i) => {
  const place = (i / 255) * (ANCHORS.length - 1), low = Math.min(Math.floor(place), ANCHORS.length - 2);
  return packed(ANCHORS[low].map((v, k) => Math.round(v + (place - low) * (ANCHORS[low + 1][k] - v))));
});

function drawGray(canvas, pixels, [height, width]) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const image = new ImageData(width, height), colors = new Int32Array(image.data.buffer);
  pixels.forEach((v, i) => (colors[i] = packed([0, 0, 0].fill(Math.round(255 * v)))));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Change a list to `n` elements, without new ones if there are as many, so that nothing flickers.
function listOf(list, n, makeItem) {
  while (list.children.length > n) list.lastChild.remove();
  while (list.children.length < n) list.append(makeItem());
  return [...list.children];
}

export function showWords(words) {
  const label = element("label");
  label.className = "words";
  if (label.textContent !== words) label.textContent = words;
}

export function showLabel(digit) {
  const label = element("label");
  label.className = digit.length > 1 ? "long" : "";
  if (label.textContent !== digit) label.textContent = digit; // a change is read aloud
}

export function showProba(classes, proba) {
  const best = Math.max(...proba), items = listOf(element("proba"), classes.length, () => {
    const item = make("li"), bar = make("span", "bar");
    bar.append(make("span"));
    item.append(make("span"), bar, make("span", "p"));
    return item;
  });
  items.forEach((item, i) => {
    item.classList.toggle("best", proba[i] > 0 && proba[i] === best);
    item.children[0].textContent = classes[i];
    item.style.setProperty("--p", proba[i]);
    item.children[2].textContent = percent(proba[i]);
  });
}

export function showNoProba(classes) {
  showProba(classes, classes.map(() => 0));
  document.querySelectorAll("#proba .p").forEach((text) => (text.textContent = ""));
}

export function hideImage() {
  const canvas = element("image");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

export function showImage(pixels, [height, width]) {
  drawGray(element("image"), pixels, [height, width]);
  element("image-caption").textContent = `${height} × ${width} pixels`;
}

export function showNeighbors(neighbors, shape) {
  element("neighbors-section").hidden = neighbors.length === 0;
  const items = listOf(element("neighbors"), neighbors.length, () => {
    const item = make("li");
    item.append(decoration(), make("span"));
    return item;
  });
  items.forEach((item, i) => {
    drawGray(item.firstChild, neighbors[i].image, shape);
    item.lastChild.textContent = neighbors[i].label;
  });
}

function fillView(item, { label, p }, isItself, ownLabel, change) {
  item.title = change;
  item.setAttribute("aria-label", `${change}: ${label}, ${percent(p)}`);
  item.className = `view${label === ownLabel ? "" : " differs"}${isItself ? " itself" : ""}`;
  item.style.setProperty("--p", p);
  item.querySelector("b").textContent = label;
  item.querySelector("span").textContent = `${Math.round(100 * p)} %`;
}

export function showShifts(shifts, ownLabel) {
  const items = listOf(element("shifts"), shifts.length, () => {
    const item = make("li");
    item.append(make("b"), make("span"));
    return item;
  });
  items.forEach((item, i) => {
    const { dx, dy } = shifts[i];
    const change = `${Math.abs(dx)} to the ${dx < 0 ? "left" : "right"}, ${Math.abs(dy)} ${dy < 0 ? "up" : "down"}`;
    fillView(item, shifts[i], dx === 0 && dy === 0, ownLabel, change);
  });
}

export function showRotations(rotations, ownLabel, image, shape) {
  const items = listOf(element("rotations"), rotations.length, () => {
    const item = make("li");
    item.append(decoration(), make("b"), make("span"));
    return item;
  });
  items.forEach((item, i) => {
    const { angle } = rotations[i];
    const change = `${Math.abs(angle)} degrees ${angle < 0 ? "clockwise" : "counterclockwise"}`;
    fillView(item, rotations[i], angle === 0, ownLabel, change);
    drawGray(item.firstChild, image, shape);
    item.firstChild.style.transform = `rotate(${-angle}deg)`;
  });
}

export function showMaps(layers) {
  element("maps-section").hidden = layers.length === 0;
  const parts = listOf(element("maps"), layers.length, () => {
    const part = make("div", "layer"), caption = make("p", "caption"), canvas = make("canvas");
    caption.append(make("b"), make("span"));
    canvas.setAttribute("role", "img");
    part.append(caption, canvas);
    return part;
  });
  parts.forEach((part, i) => {
    const { name, height, width, maps } = layers[i], [title, size] = part.firstChild.children;
    title.textContent = name;
    size.textContent = ` · ${maps.length} ${maps.length === 1 ? "map" : "maps"} of ${height} × ${width}`;
    part.lastChild.setAttribute("aria-label", `The feature maps of ${name}`);
    drawMaps(part.lastChild, layers[i]);
  });
}

// The maps as tiles in rows across the page: one row of up to 16, else rows of 32; half as many on phones.
function drawMaps(canvas, { height, width, maps }) {
  const ratio = window.devicePixelRatio || 1, room = Math.floor(canvas.parentElement.clientWidth * ratio);
  if (room === 0) return; // hidden
  const columns = (maps.length <= 16 ? 16 : 32) / (room < 700 * ratio ? 2 : 1), rows = Math.ceil(maps.length / columns);
  const largest = Math.floor((room / columns) * 0.92), tile = largest - (largest % width < largest / 8 ? largest % width : 0);
  const step = (room - tile) / (columns - 1), tileHeight = Math.round((tile * height) / width);
  const size = { width: room, height: Math.round((rows - 1) * (step - tile + tileHeight)) + tileHeight };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  const picture = new ImageData(size.width, size.height), colors = new Int32Array(picture.data.buffer);
  const [low, high] = limits(maps);
  maps.forEach((map, k) => {
    const top = Math.round(Math.floor(k / columns) * (step - tile + tileHeight));
    const left = Math.round((k % columns) * step);
    for (let y = 0; y < tileHeight; y++) {
      const from = Math.floor((y * height) / tileHeight) * width, to = (top + y) * size.width + left;
      for (let x = 0; x < tile; x++)
        colors[to + x] = colorOf(map[from + Math.floor((x * width) / tile)], low, high);
    }
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function colorOf(value, low, high) {
  return COLORS[Math.round(255 * Math.min(Math.max((value - low) / (high - low), 0), 1))];
}

// The values shown in black and white. One pixel in a hundred is beyond white, since the few highest would leave the
// others dark. Black is zero or, where values are negative, as far below zero as white is above.
function limits(maps) {
  const values = Float64Array.from(maps.flatMap((map) => [...map])), sizes = values.map(Math.abs).sort();
  const high = sizes[Math.floor(0.99 * (sizes.length - 1))] || 1;
  return [values.some((value) => value < 0) ? -high : 0, high];
}
