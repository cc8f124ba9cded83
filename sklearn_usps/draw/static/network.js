// The network of model.json: forward pass, shifts and rotations of an image, nearest training images.

function decode(base64, Type = Float32Array) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Type(bytes.buffer);
}

// Kernels (outputs, inputs × height × width) as rows of inputs, so that four outputs lie side by side.
function transpose(values, nOutputs) {
  const nInputs = values.length / nOutputs, outputs = Math.ceil(nOutputs / 4) * 4;
  const result = new Float64Array(nInputs * outputs);
  for (let o = 0; o < nOutputs; o++)
    for (let i = 0; i < nInputs; i++) result[i * outputs + o] = values[o * nInputs + i];
  return { nInputs, nOutputs, outputs, values: result };
}

// For each pixel of a convolution's result, the indices of the pixels that it sees; -1 is padding.
function lookUps({ shape, stride, padding, pads_border: padsBorder }, height, width) {
  const [, , kernelHeight, kernelWidth] = shape;
  const rows = Math.floor((height + 2 * padding - kernelHeight) / stride) + 1;
  const columns = Math.floor((width + 2 * padding - kernelWidth) / stride) + 1;
  const nearest = (i, n) => (padsBorder ? Math.min(Math.max(i, 0), n - 1) : i);
  const indices = [];
  for (let ky = 0; ky < kernelHeight; ky++)
    for (let kx = 0; kx < kernelWidth; kx++)
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
          const y = nearest(row * stride + ky - padding, height);
          const x = nearest(column * stride + kx - padding, width);
          indices.push(y < 0 || x < 0 || y >= height || x >= width ? -1 : y * width + x);
        }
  return { height: rows, width: columns, indices: Int32Array.from(indices) };
}

function prepareLayer(layer, height, width) {
  const seen = lookUps(layer, height, width), nPixels = seen.height * seen.width;
  const kernels = transpose(decode(layer.kernels), layer.shape[0]);
  const even = nPixels + (nPixels % 2); // two pixels are computed at a time
  return { ...seen, nPixels, even, kernels, bias: decode(layer.bias), nBefore: height * width,
    columns: new Float64Array(kernels.nInputs * even) };
}

// Products of 4 outputs and 2 pixels at a time: their sums stay in registers, several times the speed of plain loops.
function convolve(layer, maps) {
  const { nPixels, even, indices, columns, kernels, bias, nBefore } = layer;
  const { nInputs, nOutputs, outputs, values } = kernels, nTaps = indices.length / nPixels;
  for (let k = 0; k < nInputs; k++) {
    const map = Math.floor(k / nTaps) * nBefore, tap = (k % nTaps) * nPixels;
    for (let p = 0; p < nPixels; p++) {
      const i = indices[tap + p];
      columns[k * even + p] = i < 0 ? 0 : maps[map + i];
    }
  }
  const result = new Float64Array(nOutputs * nPixels);
  const keep = (o, p, sum) => {
    if (o < nOutputs && p < nPixels) result[o * nPixels + p] = Math.max(0, sum + bias[o]);
  };
  for (let o = 0; o < nOutputs; o += 4)
    for (let p = 0; p < even; p += 2) {
      let a0 = 0, a1 = 0, b0 = 0, b1 = 0, c0 = 0, c1 = 0, d0 = 0, d1 = 0;
      for (let k = 0, w = o, x = p; k < nInputs; k++, w += outputs, x += even) {
        const x0 = columns[x], x1 = columns[x + 1];
        const a = values[w], b = values[w + 1], c = values[w + 2], d = values[w + 3];
        a0 += a * x0; a1 += a * x1; b0 += b * x0; b1 += b * x1;
        c0 += c * x0; c1 += c * x1; d0 += d * x0; d1 += d * x1;
      }
      keep(o, p, a0); keep(o, p + 1, a1); keep(o + 1, p, b0); keep(o + 1, p + 1, b1);
      keep(o + 2, p, c0); keep(o + 2, p + 1, c1); keep(o + 3, p, d0); keep(o + 3, p + 1, d1);
    }
  return result;
}

function softmax(logits) {
  const largest = Math.max(...logits), powers = logits.map((logit) => Math.exp(logit - largest));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

function shifted(image, height, width, dy, dx) { // its border is repeated
  const clamp = (i, n) => Math.min(Math.max(i, 0), n - 1);
  return image.map((_, i) => image[clamp(Math.floor(i / width) - dy, height) * width + clamp((i % width) - dx, width)]);
}

function rotated(image, height, width, angle) { // counterclockwise, bilinear, its border is repeated
  const turn = (angle * Math.PI) / 180, sin = Math.sin(turn), cos = Math.cos(turn);
  const middleY = (height - 1) / 2, middleX = (width - 1) / 2, clamp = (i, n) => Math.min(Math.max(i, 0), n - 1);
  return image.map((_, i) => {
    const y = Math.floor(i / width) - middleY, x = (i % width) - middleX;
    const fromY = clamp(cos * y + sin * x + middleY, height), fromX = clamp(cos * x - sin * y + middleX, width);
    const top = Math.floor(fromY), left = Math.floor(fromX), down = fromY - top, right = fromX - left;
    const at = (row, column) => image[clamp(row, height) * width + clamp(column, width)];
    return (1 - down) * ((1 - right) * at(top, left) + right * at(top, left + 1)) +
      down * ((1 - right) * at(top + 1, left) + right * at(top + 1, left + 1));
  });
}

export class Network {
  constructor(model) {
    let [height, width] = (this.shape = model.image_shape);
    this.classes = model.classes;
    this.mean = decode(model.mean);
    this.scale = decode(model.scale);
    this.layers = model.layers.map((layer) => {
      const prepared = prepareLayer(layer, height, width);
      [height, width] = [prepared.height, prepared.width];
      return prepared;
    });
    this.weight = decode(model.output.weight);
    this.bias = decode(model.output.bias);
    const pixels = decode(model.examples, Uint8Array), n = this.mean.length;
    this.examples = model.labels.map((label, i) => {
      const image = Float64Array.from(pixels.subarray(i * n, (i + 1) * n), (v) => v / 255);
      return { image, label, features: this.forward(image).at(-1) };
    });
  }

  // The feature maps of each layer after ReLU, one after the other; the last are the inputs of the linear layer.
  forward(image) {
    let maps = Float64Array.from(image, (v, i) => (v - this.mean[i]) / this.scale[i]);
    return this.layers.map((layer) => (maps = convolve(layer, maps)));
  }

  proba(features) {
    const n = features.length;
    return softmax(Array.from(this.bias, (bias, label) => {
      let logit = bias;
      for (let i = 0; i < n; i++) logit += this.weight[label * n + i] * features[i];
      return logit;
    }));
  }

  best(proba) {
    const p = Math.max(...proba);
    return { label: this.classes[proba.indexOf(p)], p };
  }

  answer(image) {
    const maps = this.forward(image), proba = this.proba(maps.at(-1));
    const layers = this.layers.map(({ height, width, nPixels, kernels }, i) => ({
      name: `Convolution ${i + 1}`, height, width,
      maps: Array.from({ length: kernels.nOutputs }, (_, k) => maps[i].subarray(k * nPixels, (k + 1) * nPixels)),
    }));
    return { refusal: null, label: this.best(proba).label, classes: this.classes, proba, image,
      image_shape: this.shape, layers, neighbors: this.neighbors(maps.at(-1), 5) };
  }

  neighbors(features, n) {
    const distance = (example) => example.features.reduce((sum, v, i) => sum + (v - features[i]) ** 2, 0);
    const byDistance = this.examples.map((example) => [distance(example), example]).sort((a, b) => a[0] - b[0]);
    return byDistance.slice(0, n).map(([, { image, label }]) => ({ image, label }));
  }

  // The labels of the image shifted by whole pixels, right and down, and rotated by degrees, counterclockwise.
  views(image) {
    const [height, width] = this.shape, shifts = [-2, -1, 0, 1, 2], angles = [-40, -30, -20, -10, 0, 10, 20, 30, 40];
    const labelOf = (view) => this.best(this.proba(this.forward(view).at(-1)));
    return {
      shifts: shifts.flatMap((dy) => shifts.map((dx) => ({ dx, dy, ...labelOf(shifted(image, height, width, dy, dx)) }))),
      rotations: angles.map((angle) => ({ angle, ...labelOf(rotated(image, height, width, angle)) })),
    };
  }
}
