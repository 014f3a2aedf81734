/**
 * Pillow's resize, to the bit: libImaging/Resample.c. Two passes, each of which rounds; eight-bit samples are weighted in fixed point.
 *
 * @typedef {{start: Int32Array, length: Int32Array, weights: Float64Array, size: number}} Weights
 * @typedef {{support: number, at: (x: number) => number}} Filter
 */

const PRECISION_BITS = 22;

/** @type {Filter} */
export const BILINEAR = { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) };

/** Catmull-Rom, as Pillow has it. @type {Filter} */
export const BICUBIC = { support: 2, at: bicubic };

/** @param {number} x */
function bicubic(x) {
  const a = -0.5;
  const away = Math.abs(x);
  if (away < 1) return ((a + 2) * away - (a + 3)) * away * away + 1;
  return away < 2 ? (((away - 5) * away + 8) * away - 4) * a : 0;
}

/** Which samples make each new one, and their shares. @param {number} from @param {number} to @param {Filter} filter @returns {Weights} */
function weightsFor(from, to, filter) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const size = Math.ceil(support) * 2 + 1;
  const found = { start: new Int32Array(to), length: new Int32Array(to), weights: new Float64Array(to * size), size };
  for (let place = 0; place < to; place += 1) {
    const center = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const length = Math.min(from, Math.trunc(center + support + 0.5)) - first;
    let sum = 0;
    for (let at = 0; at < length; at += 1) {
      const weight = filter.at((at + first - center + 0.5) * (1 / stretch));
      found.weights[place * size + at] = weight;
      sum += weight;
    }
    for (let at = 0; at < length && sum !== 0; at += 1) found.weights[place * size + at] /= sum;
    found.start[place] = first;
    found.length[place] = length;
  }
  return found;
}

/** @param {Weights} weights */
const inFixedPoint = ({ weights }) =>
  Int32Array.from(weights, (weight) => Math.trunc(weight * 2 ** PRECISION_BITS + (weight < 0 ? -0.5 : 0.5)));

/**
 * Squash an image to a square. Pillow 13 begins with the axis along which more is to be lost.
 * @param {Uint8Array} pixels [height, width, channels] @param {number} width @param {number} height @param {number} channels
 * @param {number} side of the square @returns {Uint8Array} [side, side, channels]
 */
export function squash(pixels, width, height, channels, side) {
  if (width === side && height === side) return pixels.slice();
  const narrow = (/** @type {Uint8Array} */ from, /** @type {number} */ rows) =>
    width === side ? from : narrowed(from, width, rows, channels, side);
  const lower = (/** @type {Uint8Array} */ from, /** @type {number} */ across) =>
    height === side ? from : lowered(from, height, across * channels, side);
  const lowerFirst = height > side && height - side > 2 * (width - side);
  return lowerFirst ? narrow(lower(pixels, width), side) : lower(narrow(pixels, height), side);
}

/** Resize each row. @param {Uint8Array} pixels @param {number} width @param {number} rows @param {number} channels @param {number} side */
function narrowed(pixels, width, rows, channels, side) {
  const found = weightsFor(width, side, BILINEAR);
  const shares = inFixedPoint(found);
  const result = new Uint8Array(rows * side * channels);
  for (let row = 0; row < rows; row += 1) {
    for (let place = 0; place < side; place += 1) {
      const start = (row * width + found.start[place]) * channels;
      const length = found.length[place];
      const share = place * found.size;
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 1 << (PRECISION_BITS - 1);
        for (let at = 0, from = start + channel; at < length; at += 1, from += channels) {
          sum = (sum + Math.imul(pixels[from], shares[share + at])) | 0;
        }
        result[(row * side + place) * channels + channel] = clipped(sum);
      }
    }
  }
  return result;
}

/** Resize each column. @param {Uint8Array} pixels @param {number} height @param {number} stride samples of a row @param {number} side */
function lowered(pixels, height, stride, side) {
  const found = weightsFor(height, side, BILINEAR);
  const shares = inFixedPoint(found);
  const result = new Uint8Array(side * stride);
  const sums = new Int32Array(stride);
  for (let place = 0; place < side; place += 1) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let at = 0; at < found.length[place]; at += 1) {
      const share = shares[place * found.size + at];
      const from = (found.start[place] + at) * stride;
      for (let x = 0; x < stride; x += 1) sums[x] += Math.imul(pixels[from + x], share);
    }
    for (let x = 0; x < stride; x += 1) result[place * stride + x] = clipped(sums[x]);
  }
  return result;
}

/** @param {number} sum */
const clipped = (sum) => Math.min(Math.max(sum >> PRECISION_BITS, 0), 255);

/**
 * Enlarge an image of floats: samples are summed up in doubles, and kept in float32 after each pass.
 * @param {Float32Array} values [height, width] @param {number} width @param {number} height @param {number} side
 * @param {Filter} filter @returns {Float32Array} [side, side]
 */
export function enlarge(values, width, height, side, filter) {
  const across = weightsFor(width, side, filter);
  const wide = new Float32Array(height * side);
  for (let row = 0; row < height; row += 1) {
    for (let place = 0; place < side; place += 1) {
      wide[row * side + place] = weighted(across, place, (at) => values[row * width + at]);
    }
  }
  const down = weightsFor(height, side, filter);
  const result = new Float32Array(side * side);
  for (let place = 0; place < side; place += 1) {
    for (let x = 0; x < side; x += 1) result[place * side + x] = weighted(down, place, (at) => wide[at * side + x]);
  }
  return result;
}

/** @param {Weights} found @param {number} place @param {(at: number) => number} sample */
function weighted(found, place, sample) {
  let sum = 0;
  for (let at = 0; at < found.length[place]; at += 1) {
    sum += sample(found.start[place] + at) * found.weights[place * found.size + at];
  }
  return sum;
}
