/** Whether an image can be assessed, by its size and pixels alone: lentigo_contract/imaging/quality.py, with its thresholds. */

import { SIDE } from "./pixels.js";

const LEAST_SIDE = 100;
const LEAST_LIGHT = 50;
const WHITE = 250;
const MOST_WHITE = 0.75;
const LEAST_CONTRAST = 4;
const LEAST_DETAIL = 20;
const LEAST_SHARPNESS = 0.1;
const CELL = 4;
const CELLS = SIDE / CELL;
const FAR = 4;
const LUMA = [0.299, 0.587, 0.114].map(Math.fround);

/**
 * Why an image cannot be assessed; empty if it can.
 * @param {Uint8Array} pixels RGB [224, 224, 3] @param {number} width of the image as a viewer shows it @param {number} height likewise
 * @returns {string[]}
 */
export function qualityIssues(pixels, width, height) {
  const issues = Math.min(width, height) < LEAST_SIDE ? ["too-small"] : [];
  const cells = brightness(pixels);
  const issue = issueOf(cells);
  return issue ? [...issues, issue] : issues;
}

/** @param {Float64Array} cells */
function issueOf(cells) {
  const sorted = cells.slice().sort();
  if (sorted[cells.length - Math.trunc(cells.length / 100)] < LEAST_LIGHT) return "too-dark";
  if (cells.filter((cell) => cell >= WHITE).length > MOST_WHITE * cells.length) return "too-bright";
  if (deviation(cells) < LEAST_CONTRAST) return "blank";
  const [detail, coarse] = detailOf(cells);
  return detail < LEAST_DETAIL && detail < LEAST_SHARPNESS * coarse ? "blurred" : null;
}

/** Luma of cells of 4 x 4 pixels. @param {Uint8Array} pixels */
function brightness(pixels) {
  const cells = new Float64Array(CELLS * CELLS);
  for (let at = 0; at < pixels.length; at += 3) {
    const x = (at / 3) % SIDE;
    const y = Math.trunc(at / 3 / SIDE);
    const luma = LUMA[0] * pixels[at] + LUMA[1] * pixels[at + 1] + LUMA[2] * pixels[at + 2];
    cells[Math.trunc(y / CELL) * CELLS + Math.trunc(x / CELL)] += luma / CELL ** 2;
  }
  return cells;
}

/** @param {Float64Array} cells */
function deviation(cells) {
  const mean = cells.reduce((sum, cell) => sum + cell, 0) / cells.length;
  return Math.sqrt(cells.reduce((sum, cell) => sum + (cell - mean) ** 2, 0) / cells.length);
}

/** Mean square of the Laplacian, and of the differences of cells far apart. @param {Float64Array} cells @returns {[number, number]} */
function detailOf(cells) {
  const at = (/** @type {number} */ y, /** @type {number} */ x) => cells[y * CELLS + x];
  const inner = CELLS - 2;
  const far = CELLS - FAR;
  let detail = 0;
  let coarse = 0;
  for (let y = 0; y < CELLS; y += 1) {
    for (let x = 0; x < CELLS; x += 1) {
      if (y > 0 && x > 0 && y <= inner && x <= inner) {
        detail += (4 * at(y, x) - at(y - 1, x) - at(y + 1, x) - at(y, x - 1) - at(y, x + 1)) ** 2 / inner ** 2;
      }
      if (y < far) coarse += (at(y + FAR, x) - at(y, x)) ** 2 / (far * CELLS);
      if (x < far) coarse += (at(y, x + FAR) - at(y, x)) ** 2 / (far * CELLS);
    }
  }
  return [detail, coarse];
}
