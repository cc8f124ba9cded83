// The strokes on a canvas as an image of USPS, as prepare_image(picture, version="zip") makes it in Python.
const SIDE = 16, FINE = 8, BLUR = 0.2, THINNEST = 0.12, THICKEST = 0.2; // of the image and its strokes
const INK = 0.4, SPOT = 0.78, TALL = 0.5, GAP = 0.04; // of the ink of one digit
const refusal = (seen) => new Error(`The picture shows ${seen}. Draw one digit with some space on all sides of it.`);

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
const clip = (value, low, high) => Math.min(Math.max(value, low), high);
const sumOf = (values) => values.reduce((a, b) => a + b, 0);
const highest = (values) => values.reduce((a, b) => (a > b ? a : b), 0);
const normalize = (values, largest = highest(values)) => values.map((v) => v / largest);

function fill(height, width, value) {
  const values = new Float64Array(height * width);
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++) values[i++] = value(y, x);
  return { height, width, values };
}
const map = (image, f) => ({ ...image, values: image.values.map(f) });
const transpose = ({ height, width, values }) => fill(width, height, (y, x) => values[x * width + y]);
const isIn = ({ height, width }, y, x) => y >= 0 && x >= 0 && y < height && x < width;
const at = (image, y, x) => (isIn(image, y, x) ? image.values[y * image.width + x] : 0);
const move = (image, height, width, top, left) => fill(height, width, (y, x) => at(image, y - top, x - left));
const pad = (image, y, x = y) => move(image, image.height + 2 * y, image.width + 2 * x, y, x);
const rowsOfInk = ({ height, width, values }, level = 0.5) =>
  range(0, height).filter((y) => highest(values.subarray(y * width, (y + 1) * width)) > level);
function crop(image, level = 0.5) {
  const rows = rowsOfInk(image, level), columns = rowsOfInk(transpose(image), level);
  return move(image, rows.at(-1) - rows[0] + 1, columns.at(-1) - columns[0] + 1, -rows[0], -columns[0]);
}

function resample(image, factor, reachOf, kernel, isMirrored) { // weighted means of rows, then of columns
  const down = ({ height, width, values }) => {
    const n = Math.max(1, Math.round(factor * height)), reach = reachOf(height / n), means = fill(n, width, () => 0);
    for (let y = 0; y < n; y++) {
      const center = ((y + 0.5) * height) / n - 0.5, end = Math.floor(center + reach) + 1;
      const rows = range(Math.ceil(center - reach), end).filter((row) => isMirrored || (row >= 0 && row < height));
      const weights = rows.map((row) => kernel(row - center, reach)), total = sumOf(weights);
      rows.forEach((row, k) => {
        const from = width * (row < 0 ? -1 - row : row < height ? row : 2 * height - 1 - row);
        for (let x = 0; x < width; x++) means.values[y * width + x] += (weights[k] / total) * values[from + x];
      });
    }
    return means;
  };
  return transpose(down(transpose(down(image))));
}
const resize = (image, factor) => // bilinear, under a wider triangle where it reduces, as by Pillow
  resample(image, factor, (step) => Math.max(step, 1), (d, reach) => reach - Math.abs(d), false);
const blur = (image, sigma) =>
  resample(image, 1, () => Math.floor(4 * sigma + 0.5), (d) => Math.exp(-0.5 * (d / sigma) ** 2), true);

function distances(image, isInside, farthest) { // of each pixel to the nearest one that is not inside
  const across = ({ height, width, values }) => fill(height, width, (y, x) => {
    let best = values[y * width + x];
    for (let d = 1, i = y * width + x; d * d < best && d < width; d++)
      best = Math.min(best, (x < d ? best : values[i - d]) + d * d, (x + d < width ? values[i + d] : best) + d * d);
    return best;
  });
  const start = map(image, (v) => (isInside(v) ? farthest ** 2 : 0));
  return transpose(across(transpose(across(start)))).values.map(Math.sqrt);
}

function findInk({ height, width, values }) {
  const isBorder = (i) => i < width || i >= values.length - width || (i + 1) % width < 2;
  if (highest(values) < 0.05) throw refusal("no ink: nothing in it differs from its border");
  if (values.some((v, i) => v > INK && isBorder(i))) throw refusal("ink that touches the border");
  const smooth = blur(pad(crop({ height, width, values }, 0), 8), 0.5 + Math.max(height, width) / 800);
  const least = INK * highest(smooth.values), levels = smooth.values.filter((v) => v > least).sort();
  const full = levels[Math.round(0.7 * (levels.length - 1))], ink = crop(map(smooth, (v) => Math.min(v / full, 1)));
  const isTall = (n, left) => rowsOfInk(move(ink, ink.height, n, 0, left)).length > TALL * ink.height;
  rowsOfInk(transpose(ink)).forEach((x, k, columns) => {
    if (!(columns[k + 1] - x > 1 + GAP * ink.height)) return;
    if (isTall(x + 1, 0) && isTall(ink.width - x - 1, -x - 1)) throw refusal("2 characters side by side");
  });
  return ink;
}

function deslant(ink) { // rows are moved so that the covariance of x and y is zero
  const sum = (f) => ink.values.reduce((s, v, i) => s + v * f(Math.floor(i / ink.width), i % ink.width), 0);
  const mass = sum(() => 1), meanY = sum((y) => y) / mass, meanX = sum((_, x) => x) / mass;
  const covariance = sum((y, x) => (y - meanY) * (x - meanX)), variance = sum((y) => (y - meanY) ** 2) + mass / 12;
  const slant = clip(covariance / variance, -1, 1), middle = (ink.height + 1) / 2;
  const padded = pad(ink, 1, 1 + Math.ceil((Math.abs(slant) * ink.height) / 2));
  const upright = fill(padded.height, padded.width, (y, x) => {
    const from = x + slant * (y - middle), left = Math.floor(from);
    return (1 - from + left) * at(padded, y, left) + (from - left) * at(padded, y, left + 1);
  });
  return crop({ ...upright, values: normalize(upright.values) });
}

function adjustThickness(ink) {
  const side = Math.max(ink.height, ink.width), padded = pad(ink, side >> 3);
  const inside = distances(padded, (v) => v > 0.5, side), inked = inside.filter((d) => d > 0);
  const widest = highest(inked), thickness = (4 * sumOf(inked)) / inked.length;
  if (2 * widest - 1 > SPOT * side) throw refusal("a solid spot");
  const growth = (clip(thickness, THINNEST * side, THICKEST * side) - thickness) / 2;
  const outside = growth > 0 ? distances(padded, (v) => v <= 0.5, 1 + growth) : null;
  const grow = (v, i) => Math.max(v, clip(1 + growth - outside[i], 0, 1));
  const shrink = (v, i) => v * clip(inside[i] + Math.max(growth, 1 - widest), 0, 1);
  return crop(growth ? map(padded, growth > 0 ? grow : shrink) : padded);
}

// Return the image, 16 × 16 values in [0, 1], of a picture {height, width, values}: 0 is background, 1 ink.
export function prepare(picture) {
  const n = FINE * SIDE, fit = (ink) => n / Math.max(ink.height, ink.width), ink = findInk(picture);
  const strokes = adjustThickness(deslant(fit(ink) > 1 ? resize(ink, fit(ink)) : ink));
  const digit = resize(strokes, fit(strokes)), image = new Float64Array(SIDE * SIDE);
  const canvas = blur(move(digit, n, n, (n - digit.height) >> 1, (n - digit.width) >> 1), BLUR * FINE);
  canvas.values.forEach((v, i) => (image[SIDE * Math.floor(i / n / FINE) + Math.floor((i % n) / FINE)] += v));
  return normalize(image);
}
