/**
 * Corners of a picture in several scales, each with its direction: Harris and Stephens' detector (1988) and the intensity centroid of ORB
 * (Rublee et al., ICCV 2011). Pure.
 *
 * @typedef {{data: Float32Array, width: number, height: number}} Plane one number a pixel
 * @typedef {{x: number, y: number, level: number, angle: number}} Corner in pixels of its level
 */

const LEVELS = 5;
export const LEVEL_STEP = 1.25;
/** What is read around a corner. */
export const RADIUS = 15;

const HARRIS = 0.04;
const WINDOW = 2;
const APART = 3;
const MOST_CORNERS = 700;
// Corners from everywhere, so that hairs or a ruler do not take all of them.
const PARTS = 6;

/** Smooth by the binomial 1 4 6 4 1, twice: BRIEF compares single pixels, which must not be noise. @param {Plane} plane @returns {Plane} */
export const smoothed = (plane) => binomial(binomial(plane));

/** @param {Plane} plane @returns {Plane} */
function binomial({ data, width, height }) {
  const along = (/** @type {Float32Array} */ from, /** @type {number} */ length, /** @type {number} */ lines, /** @type {number} */ step, /** @type {number} */ stride) => {
    const to = new Float32Array(from.length);
    for (let line = 0; line < lines; line += 1) {
      for (let place = 0; place < length; place += 1) {
        const at = (/** @type {number} */ other) => from[line * stride + Math.min(Math.max(other, 0), length - 1) * step];
        to[line * stride + place * step] =
          (at(place - 2) + at(place + 2) + 4 * (at(place - 1) + at(place + 1)) + 6 * at(place)) / 16;
      }
    }
    return to;
  };
  return { data: along(along(data, width, height, 1, width), height, width, width, 1), width, height };
}

/** The picture in several sizes, each smoothed. @param {Plane} plane @returns {Plane[]} */
export function pyramid(plane) {
  const levels = [smoothed(plane)];
  while (levels.length < LEVELS) levels.push(smaller(levels[levels.length - 1]));
  return levels;
}

/** @param {Plane} plane @returns {Plane} */
function smaller({ data, width, height }) {
  const [wide, high] = [Math.round(width / LEVEL_STEP), Math.round(height / LEVEL_STEP)];
  const to = new Float32Array(wide * high);
  for (let y = 0; y < high; y += 1) {
    const v = Math.min(y * LEVEL_STEP, height - 1.001);
    const [top, down] = [Math.trunc(v), v % 1];
    for (let x = 0; x < wide; x += 1) {
      const u = Math.min(x * LEVEL_STEP, width - 1.001);
      const [left, right] = [Math.trunc(u), u % 1];
      const at = top * width + left;
      to[y * wide + x] = (data[at] * (1 - right) + data[at + 1] * right) * (1 - down) +
        (data[at + width] * (1 - right) + data[at + width + 1] * right) * down;
    }
  }
  return { data: to, width: wide, height: high };
}

/** The best corners of every level. @param {Plane[]} levels @returns {Corner[]} */
export function findCorners(levels) {
  const areas = levels.map(({ width, height }) => width * height);
  const all = areas.reduce((sum, area) => sum + area, 0);
  return levels.flatMap((plane, level) => cornersOf(plane, level, (MOST_CORNERS * areas[level]) / all));
}

/** @param {Plane} plane @param {number} level @param {number} count @returns {Corner[]} */
function cornersOf(plane, level, count) {
  const { width, height } = plane;
  const strength = harris(plane);
  /** @type {{x: number, y: number, value: number}[][]} */
  const parts = Array.from({ length: PARTS ** 2 }, () => []);
  for (let y = RADIUS; y < height - RADIUS; y += 1) {
    for (let x = RADIUS; x < width - RADIUS; x += 1) {
      const value = strength[y * width + x];
      if (value <= 0 || !isHighest(strength, width, x, y, value)) continue;
      parts[Math.trunc((y / height) * PARTS) * PARTS + Math.trunc((x / width) * PARTS)].push({ x, y, value });
    }
  }
  const each = Math.max(1, Math.round(count / PARTS ** 2));
  return parts.flatMap((part) => part.sort((one, other) => other.value - one.value).slice(0, each))
    .map(({ x, y }) => ({ x, y, level, angle: direction(plane, x, y) }));
}

/** @param {Float32Array} strength @param {number} width @param {number} x @param {number} y @param {number} value */
function isHighest(strength, width, x, y, value) {
  for (let v = y - APART; v <= y + APART; v += 1) {
    for (let u = x - APART; u <= x + APART; u += 1) if (strength[v * width + u] > value) return false;
  }
  return true;
}

/** Harris' measure of each pixel. @param {Plane} plane */
function harris({ data, width, height }) {
  const [xx, yy, xy] = [0, 1, 2].map(() => new Float32Array(data.length));
  for (let y = 1; y < height - 1; y += 1) {
    for (let at = y * width + 1; at < (y + 1) * width - 1; at += 1) {
      const right = data[at + 1] - data[at - 1];
      const down = data[at + width] - data[at - width];
      xx[at] = right * right;
      yy[at] = down * down;
      xy[at] = right * down;
    }
  }
  const [a, b, c] = [xx, yy, xy].map((values) => summed(values, width, height));
  return a.map((value, at) => value * b[at] - c[at] ** 2 - HARRIS * (value + b[at]) ** 2);
}

/** The sum over a square around each pixel. @param {Float32Array} values @param {number} width @param {number} height */
function summed(values, width, height) {
  const rows = new Float32Array(values.length);
  const all = new Float32Array(values.length);
  for (let at = WINDOW; at < values.length - WINDOW; at += 1) {
    for (let step = -WINDOW; step <= WINDOW; step += 1) rows[at] += values[at + step];
  }
  for (let at = WINDOW * width; at < (height - WINDOW) * width; at += 1) {
    for (let step = -WINDOW; step <= WINDOW; step += 1) all[at] += rows[at + step * width];
  }
  return all;
}

/** From a corner to the centre of brightness around it. @param {Plane} plane @param {number} x @param {number} y */
function direction({ data, width }, x, y) {
  let right = 0;
  let down = 0;
  for (let v = -RADIUS; v <= RADIUS; v += 1) {
    const reach = Math.trunc(Math.sqrt(RADIUS ** 2 - v ** 2));
    for (let u = -reach; u <= reach; u += 1) {
      const value = data[(y + v) * width + x + u];
      right += u * value;
      down += v * value;
    }
  }
  return Math.atan2(down, right);
}
