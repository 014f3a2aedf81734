/**
 * Where the lesion is in a picture, roughly and fast: the classical segmentation of lentigo_contract.segmentation in short, on cells of
 * some pixels, which few hairs survive. Pure.
 */

import { SIDE } from "../offline/imaging/pixels.js";

// For advice on the distance; an outline takes smaller ones.
const COARSE = 4;

// As in segmentation/classical.py: the pigment's projection, the factor of Otsu's threshold, and its bounds in units of density.
const PROJECTION = [-0.3, 0.3, 1];
const FACTOR = 0.6;
const LEAST = 0.08;
const MOST = 0.5;
const LOWEST = -0.2;
const HIGHEST = 1.2;
const BINS = 128;

// The brightest quarter is skin, unless the lesion fills the picture.
const SKIN_SHARE = 0.25;
// Below, it is the rim of a lens.
const RIM_LIGHT = 35;

// What is darker and what is lighter differ at least so much in density where there is a lesion; the unevenness of skin differs less
// (benchmarks/on_device/camera_checks.py).
const LEAST_GAP = 0.15;

/** @typedef {{area: number, width: number, height: number}} Extent shares of the picture, 0 to 1 */

/** The lesion's extent; null where nothing stands out. @param {Uint8ClampedArray} rgba [224, 224, 4] @returns {Extent|null} */
export function lesionExtent(rgba) {
  const grid = SIDE / COARSE;
  const cells = lesionCells(rgba, COARSE);
  if (cells === null) return null;
  const span = (/** @type {number[]} */ places) => (Math.max(...places) - Math.min(...places) + 1) / grid;
  return {
    area: cells.length / grid ** 2,
    width: span(cells.map((at) => at % grid)),
    height: span(cells.map((at) => Math.trunc(at / grid))),
  };
}

/** The lesion's cells as a mask; null where nothing stands out. @param {Uint8ClampedArray} rgba [224, 224, 4] @param {number} side of a cell in pixels @returns {Uint8Array|null} */
export function lesionMask(rgba, side) {
  const cells = lesionCells(rgba, side);
  if (cells === null) return null;
  const mask = new Uint8Array((SIDE / side) ** 2);
  for (const at of cells) mask[at] = 1;
  return mask;
}

/** @param {Uint8ClampedArray} rgba @param {number} side @returns {number[]|null} */
function lesionCells(rgba, side) {
  const grid = SIDE / side;
  const score = scores(densities(rgba, side));
  const seen = [...score].filter((value) => !Number.isNaN(value));
  if (seen.length === 0) return null;
  const { middle, gap } = otsu(seen);
  if (gap < LEAST_GAP) return null;
  const threshold = Math.min(Math.max(FACTOR * middle, LEAST), MOST);
  return largestRegion(cleaned(Array.from(score, (value) => value > threshold), grid), score, grid);
}

/** Optical density of each cell and channel; NaN beyond the rim of a lens. @param {Uint8ClampedArray} rgba @param {number} side @returns {Float32Array} */
function densities(rgba, side) {
  const grid = SIDE / side;
  const sums = new Float32Array(grid * grid * 3);
  for (let at = 0; at < SIDE * SIDE; at += 1) {
    const cell = Math.trunc(Math.trunc(at / SIDE) / side) * grid + Math.trunc((at % SIDE) / side);
    for (let channel = 0; channel < 3; channel += 1) sums[3 * cell + channel] += rgba[4 * at + channel] / side ** 2;
  }
  for (let at = 0; at < sums.length; at += 3) {
    const isRim = Math.max(sums[at], sums[at + 1], sums[at + 2]) < RIM_LIGHT;
    for (let channel = at; channel < at + 3; channel += 1) sums[channel] = isRim ? Number.NaN : -Math.log((sums[channel] + 1) / 256);
  }
  return sums;
}

/** Pigment beyond the skin's, one number a cell. @param {Float32Array} density */
function scores(density) {
  const skin = [0, 1, 2].map((channel) => {
    const sorted = density.filter((value, at) => at % 3 === channel && !Number.isNaN(value)).sort();
    return sorted[Math.trunc(sorted.length * SKIN_SHARE)] ?? 0;
  });
  return Float32Array.from({ length: density.length / 3 }, (_, at) =>
    PROJECTION.reduce((sum, weight, channel) => sum + weight * (density[3 * at + channel] - skin[channel]), 0));
}

/**
 * The threshold that separates two classes of values best (Otsu 1979), and how far apart their means are.
 * @param {number[]} values @returns {{middle: number, gap: number}}
 */
function otsu(values) {
  const counts = new Float64Array(BINS);
  for (const value of values) {
    const place = Math.trunc(((value - LOWEST) / (HIGHEST - LOWEST)) * BINS);
    counts[Math.min(Math.max(place, 0), BINS - 1)] += 1 / values.length;
  }
  const valueOf = (/** @type {number} */ bin) => LOWEST + ((bin + 0.5) * (HIGHEST - LOWEST)) / BINS;
  const mean = counts.reduce((sum, share, bin) => sum + share * valueOf(bin), 0);
  const best = { middle: LOWEST, gap: 0 };
  let [most, below, moment] = [0, 0, 0];
  counts.forEach((share, bin) => {
    below += share;
    moment += share * valueOf(bin);
    const spread = Math.max(below * (1 - below), 1e-9);
    const between = (mean * below - moment) ** 2 / spread;
    if (between > most) [most, best.middle, best.gap] = [between, valueOf(bin), (mean * below - moment) / spread];
  });
  return best;
}

/** Each cell as most of the nine around it are, which takes hairs away. @param {boolean[]} mask @param {number} grid cells along a side */
function cleaned(mask, grid) {
  return mask.map((_, at) => {
    const [x, y] = [at % grid, Math.trunc(at / grid)];
    let set = 0;
    let all = 0;
    for (let v = Math.max(0, y - 1); v <= Math.min(grid - 1, y + 1); v += 1) {
      for (let u = Math.max(0, x - 1); u <= Math.min(grid - 1, x + 1); u += 1) {
        all += 1;
        set += Number(mask[v * grid + u]);
      }
    }
    return 2 * set > all;
  });
}

/** The connected region with the most pigment. @param {boolean[]} mask @param {Float32Array} score @param {number} grid @returns {number[]|null} its cells */
function largestRegion(mask, score, grid) {
  let largest = null;
  let most = 0;
  const open = mask.slice();
  for (let start = 0; start < open.length; start += 1) {
    if (!open[start]) continue;
    const cells = regionFrom(open, start, grid);
    const pigment = cells.reduce((sum, at) => sum + (score[at] || 0), 0);
    if (pigment > most) [largest, most] = [cells, pigment];
  }
  return largest;
}

/** The cells that hang together with one, which are taken out of the mask. @param {boolean[]} open @param {number} start @param {number} grid */
function regionFrom(open, start, grid) {
  const cells = [start];
  open[start] = false;
  for (let next = 0; next < cells.length; next += 1) {
    const at = cells[next];
    const column = at % grid;
    const beside = [column > 0 ? at - 1 : -1, column < grid - 1 ? at + 1 : -1, at - grid, at + grid];
    for (const other of beside.filter((place) => open[place])) {
      open[other] = false;
      cells.push(other);
    }
  }
  return cells;
}
