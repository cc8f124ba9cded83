// The strokes on a canvas as an image of USPS, as prepare_image(picture, version="zip") makes it in Python.
const FINE = 8, SIDE = 16, BLUR = 0.2, THINNEST = 0.12, THICKEST = 0.2, INK = 0.4, SPECK = 0.03;

function fill(height, width, value) {
  const values = new Float64Array(height * width);
  for (let row = 0, i = 0; row < height; row++)
    for (let column = 0; column < width; column++) values[i++] = value(row, column);
  return { height, width, values };
}
const at = ({ height, width, values }, row, column) =>
  row < 0 || column < 0 || row >= height || column >= width ? 0 : values[row * width + column];
const map = (image, f) => ({ ...image, values: image.values.map(f) });
const transpose = (image) => fill(image.width, image.height, (row, column) => at(image, column, row));
const move = (image, height, width, top, left) => fill(height, width, (y, x) => at(image, y - top, x - left));
const pad = (image, rows, columns = rows) =>
  move(image, image.height + 2 * rows, image.width + 2 * columns, rows, columns);
const highest = (values) => values.reduce((a, b) => Math.max(a, b), 0);
const normalize = (values, largest = highest(values)) => values.map((v) => v / largest);

function crop(image, level) {
  let [top, left, bottom, right] = [Infinity, Infinity, -1, -1];
  image.values.forEach((v, i) => {
    if (v < level) return;
    const row = Math.floor(i / image.width), column = i % image.width;
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    [left, right] = [Math.min(left, column), Math.max(right, column)];
  });
  return move(image, bottom - top + 1, right - left + 1, -top, -left);
}

// Weighted sums along both axes. The weights of n pixels are, for each pixel of the result, pairs of index and weight.
function weigh(image, ofRows, ofColumns) {
  const across = (lines, weights) => fill(lines.height, weights.length, (row, column) => {
    let sum = 0;
    for (const pair of weights[column]) sum += pair[1] * lines.values[row * lines.width + pair[0]];
    return sum;
  });
  return transpose(across(transpose(across(image, ofColumns)), ofRows));
}
function blur(image, sigma) {
  const steps = fill(1, 2 * Math.floor(4 * sigma + 0.5) + 1, (_, i) => i - Math.floor(4 * sigma + 0.5)).values;
  const total = steps.reduce((sum, d) => sum + Math.exp(-0.5 * (d / sigma) ** 2), 0);
  const mirror = (i, n) => (i < 0 ? -1 - i : i < n ? i : 2 * n - 1 - i);
  const weights = (n) => Array.from({ length: n }, (_, x) =>
    Array.from(steps, (d) => [mirror(x + d, n), Math.exp(-0.5 * (d / sigma) ** 2) / total]));
  return weigh(image, weights(image.height), weights(image.width));
}
function resize(image, scale) { // bilinear; reduced images are means under a wider triangle, as by Pillow
  const weights = (n, newN) => Array.from({ length: newN }, (_, x) => {
    const center = ((x + 0.5) * n) / newN, reach = Math.max(n / newN, 1), pairs = [];
    for (let i = Math.max(0, Math.floor(center - reach + 0.5)); i < Math.min(n, Math.floor(center + reach + 0.5)); i++)
      pairs.push([i, Math.max(0, 1 - Math.abs(i + 0.5 - center) / reach)]);
    const total = pairs.reduce((sum, [, weight]) => sum + weight, 0);
    return pairs.map(([i, weight]) => [i, weight / total]);
  });
  const [rows, columns] = [image.height, image.width].map((n) => Math.max(1, Math.round(scale * n)));
  return weigh(image, weights(image.height, rows), weights(image.width, columns));
}

function distances(image, isInside) { // of each pixel to the nearest one that is not inside
  const nearest = (lines) => fill(lines.height, lines.width, (row, column) => {
    let best = at(lines, row, column);
    for (let d = 1; d * d < best && d < lines.width; d++)
      for (const i of [column - d, column + d])
        if (i >= 0 && i < lines.width) best = Math.min(best, at(lines, row, i) + d * d);
    return best;
  });
  return map(transpose(nearest(transpose(nearest(map(image, (v) => (isInside(v) ? 1e9 : 0)))))), Math.sqrt);
}

function pixelsOfDigit(image, level) { // those above the level, without specks
  const seen = new Set(), pieces = [], around = [-1, 0, 1].flatMap((y) => [-1, 0, 1].map((x) => y * image.width + x));
  for (const start of image.values.keys()) {
    if (image.values[start] <= level || seen.has(start)) continue;
    const piece = [start];
    seen.add(start);
    for (const i of piece)
      for (const j of around.map((step) => i + step))
        if (image.values[j] > level && !seen.has(j)) seen.add(j), piece.push(j);
    pieces.push(piece);
  }
  return pieces.filter((piece) => piece.length >= SPECK * highest(pieces.map((other) => other.length))).flat();
}

function findInk(picture) {
  const { height, width, values } = picture, margin = 8;
  if (highest(values) < 0.05) throw new Error("The picture shows no ink: nothing in it differs from its border.");
  if (values.some((v, i) => v > INK && (i < width || i >= width * (height - 1) || (i + 1) % width < 2)))
    throw new Error("The picture shows ink that touches the border. Leave some background on all sides of it.");
  const smooth = blur(pad(crop(picture, 1e-9), margin), 0.5 + Math.max(height, width) / 800), w = smooth.width;
  const digit = pixelsOfDigit(smooth, INK * highest(smooth.values));
  const sorted = digit.map((i) => smooth.values[i]).sort((a, b) => a - b), place = 0.7 * (sorted.length - 1);
  const below = sorted[Math.floor(place)], full = below + (place % 1) * (sorted[Math.ceil(place)] - below);
  const steps = [-2, -1, 0, 1, 2].flatMap((y) => [-2, -1, 0, 1, 2].filter((x) => Math.abs(x) + Math.abs(y) < 3).map((x) => y * w + x));
  const near = new Set(digit.flatMap((i) => steps.map((step) => i + step)));
  return crop(map(smooth, (v, i) => (near.has(i) ? Math.min(v / full, 1) : 0)), 0.5 + 1e-12);
}

function deslant(ink) {
  const sum = (f) => ink.values.reduce((s, v, i) => s + v * f(Math.floor(i / ink.width), i % ink.width), 0);
  const mass = sum(() => 1), y = sum((row) => row) / mass, x = sum((_, column) => column) / mass;
  const slant = sum((row, column) => (row - y) * (column - x)) / (sum((row) => (row - y) ** 2) + mass / 12);
  const clipped = Math.max(-1, Math.min(1, slant));
  const padded = pad(ink, 1, 1 + Math.ceil((Math.abs(clipped) * ink.height) / 2));
  const upright = fill(padded.height, padded.width, (row, column) => {
    const from = column + clipped * (row - (padded.height - 1) / 2), left = Math.floor(from);
    return (1 - from + left) * at(padded, row, left) + (from - left) * at(padded, row, left + 1);
  });
  return crop({ ...upright, values: normalize(upright.values) }, 0.5);
}

function adjustThickness(ink) {
  const side = Math.max(ink.height, ink.width), padded = pad(ink, side >> 3), clip = (v) => Math.min(Math.max(v, 0), 1);
  const inside = distances(padded, (v) => v > 0.5), inked = inside.values.filter((d) => d > 0);
  const thickness = (4 * inked.reduce((a, b) => a + b)) / inked.length;
  const growth = (Math.min(Math.max(thickness, THINNEST * side), THICKEST * side) - thickness) / 2;
  const outside = growth > 0 && distances(padded, (v) => v <= 0.5), least = Math.max(growth, 1 - highest(inked));
  const change = (v, i) => growth > 0 ? Math.max(v, clip(1 + growth - outside.values[i])) : v * clip(inside.values[i] + least);
  return crop(growth ? map(padded, change) : padded, 0.5);
}

// Return the image, 16 × 16 values in [0, 1], of a picture {height, width, values}, 0 for background and 1 for ink.
export function prepare(picture) {
  const n = FINE * SIDE, ink = findInk(picture), larger = n / Math.max(ink.height, ink.width);
  const strokes = adjustThickness(deslant(larger > 1 ? resize(ink, larger) : ink));
  const digit = resize(strokes, n / Math.max(strokes.height, strokes.width));
  const canvas = blur(move(digit, n, n, (n - digit.height) >> 1, (n - digit.width) >> 1), BLUR * FINE);
  const sums = new Float64Array(SIDE * SIDE);
  canvas.values.forEach((v, i) => (sums[Math.floor(i / n / FINE) * SIDE + Math.floor((i % n) / FINE)] += v));
  return normalize(sums);
}
