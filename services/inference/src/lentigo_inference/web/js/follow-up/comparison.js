/**
 * What changed between two pictures that lie over each other: the lesion's area, its colour, and where. Pure.
 *
 * @typedef {{data: Uint8ClampedArray, width: number, height: number}} Picture RGBA, row by row
 * @typedef {{area: number, colour: number[], mask: Uint8Array}} Side area as a share of the picture, mean colour as RGB
 * @typedef {{earlier: Side, later: Side, areaChange: number, colourDifference: number, map: Float32Array, overlap: number}} Comparison
 *   `areaChange` is 0.1 for a tenth more; differences of colour in CIE 1976 L*a*b*; `map` one a cell, NaN where a picture ends
 */

import { lesionMask } from "../camera/lesion.js";
import { CELLS_ALONG } from "./grid.js";
import { mapped } from "./similarity.js";

const SQUARE = 224;
const CELL_PX = SQUARE / CELLS_ALONG;

/** Both pictures must show most of the same skin. */
export const LEAST_OVERLAP = 0.6;

/**
 * Draw a picture as the other one sees it, squashed to a square; alpha is 0 where it ends.
 * @param {Picture} picture @param {import("./similarity.js").Similarity} way from pixels of the frame to those of the picture
 * @param {{width: number, height: number}} frame @returns {Uint8ClampedArray} RGBA [224, 224, 4]
 */
export function warped({ data, width, height }, way, frame) {
  const square = new Uint8ClampedArray(4 * SQUARE * SQUARE);
  for (let row = 0; row < SQUARE; row += 1) {
    for (let column = 0; column < SQUARE; column += 1) {
      const place = mapped(way, { x: ((column + 0.5) * frame.width) / SQUARE - 0.5, y: ((row + 0.5) * frame.height) / SQUARE - 0.5 });
      if (place.x < 0 || place.y < 0 || place.x > width - 1 || place.y > height - 1) continue;
      const [left, top] = [Math.min(Math.trunc(place.x), width - 2), Math.min(Math.trunc(place.y), height - 2)];
      const [right, down] = [place.x - left, place.y - top];
      const from = 4 * (top * width + left);
      const to = 4 * (row * SQUARE + column);
      for (let channel = 0; channel < 3; channel += 1) {
        const at = from + channel;
        square[to + channel] = (data[at] * (1 - right) + data[at + 4] * right) * (1 - down) +
          (data[at + 4 * width] * (1 - right) + data[at + 4 * width + 4] * right) * down;
      }
      square[to + 3] = 255;
    }
  }
  return square;
}

/**
 * Compare two squares.
 * @param {Uint8ClampedArray} earlier RGBA [224, 224, 4] @param {Uint8ClampedArray} later the same, alpha 0 where it ends
 * @returns {Comparison|null} null where in one of them no lesion stands out, or both show too little of the same
 */
export function compare(earlier, later) {
  const [one, other] = [earlier, later].map(cellColours);
  const seen = Array.from({ length: CELLS_ALONG ** 2 }, (_, cell) => !Number.isNaN(one[3 * cell] + other[3 * cell]));
  const overlap = seen.filter(Boolean).length / seen.length;
  // What only one of them shows is in neither, so that both areas speak of the same skin.
  const masks = [earlier, later].map((square) => lesionMask(withoutUnseen(square, seen), CELL_PX));
  if (overlap < LEAST_OVERLAP || masks.some((mask) => mask === null)) return null;
  const skins = [one, other].map((colours, at) => meanWhere(colours, (cell) => seen[cell] && !masks[at]?.[cell]));
  // Another light on the skin is no change of the lesion.
  const gains = skins[0].map((value, channel) => value / Math.max(skins[1][channel], 1e-3));
  const lit = other.map((value, at) => Math.min(value * gains[at % 3], 1));
  const sides = [one, lit].map((colours, at) => sideOf(colours, /** @type {Uint8Array} */ (masks[at])));
  const [first, second] = sides;
  return {
    earlier: first,
    later: second,
    areaChange: second.area / first.area - 1,
    colourDifference: distance(lab(first.colour), lab(second.colour)),
    map: Float32Array.from(seen, (isSeen, cell) => (isSeen ? distance(lab(at3(one, cell)), lab(at3(lit, cell))) : Number.NaN)),
    overlap,
  };
}

/** Mean linear colour of each cell; NaN where a pixel of it is missing. @param {Uint8ClampedArray} square */
function cellColours(square) {
  const sums = new Float32Array(3 * CELLS_ALONG ** 2);
  for (let at = 0; at < SQUARE ** 2; at += 1) {
    const cell = Math.trunc(Math.trunc(at / SQUARE) / CELL_PX) * CELLS_ALONG + Math.trunc((at % SQUARE) / CELL_PX);
    for (let channel = 0; channel < 3; channel += 1) {
      sums[3 * cell + channel] += square[4 * at + 3] ? linear(square[4 * at + channel] / 255) / CELL_PX ** 2 : Number.NaN;
    }
  }
  return sums;
}

/** @param {Uint8ClampedArray} square @param {boolean[]} seen */
function withoutUnseen(square, seen) {
  const kept = square.slice();
  for (let at = 0; at < SQUARE ** 2; at += 1) {
    const cell = Math.trunc(Math.trunc(at / SQUARE) / CELL_PX) * CELLS_ALONG + Math.trunc((at % SQUARE) / CELL_PX);
    // Black, which the segmentation takes for the rim of a lens.
    if (!seen[cell]) kept.fill(0, 4 * at, 4 * at + 3);
  }
  return kept;
}

/** @param {Float32Array} colours @param {Uint8Array} mask @returns {Side} */
function sideOf(colours, mask) {
  const cells = mask.reduce((sum, set) => sum + set, 0);
  const mean = meanWhere(colours, (cell) => mask[cell] === 1);
  return { area: cells / mask.length, colour: mean.map((value) => Math.round(255 * coded(value))), mask };
}

/** @param {Float32Array} colours @param {number} cell */
const at3 = (colours, cell) => [0, 1, 2].map((channel) => Math.round(255 * coded(colours[3 * cell + channel])));

/** @param {Float32Array} colours @param {(cell: number) => boolean} isWanted @returns {number[]} */
function meanWhere(colours, isWanted) {
  const sums = [0, 0, 0];
  let count = 0;
  for (let cell = 0; 3 * cell < colours.length; cell += 1) {
    if (!isWanted(cell) || Number.isNaN(colours[3 * cell])) continue;
    count += 1;
    for (let channel = 0; channel < 3; channel += 1) sums[channel] += colours[3 * cell + channel];
  }
  return sums.map((sum) => sum / Math.max(count, 1));
}

/** sRGB to linear light (IEC 61966-2-1). @param {number} value 0 to 1 */
const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);

/** @param {number} value */
const coded = (value) => (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055);

/** CIE 1976 L*a*b* for the white of sRGB (D65). @param {number[]} rgb 0 to 255 @returns {number[]} */
export function lab(rgb) {
  const [r, g, b] = rgb.map((value) => linear(value / 255));
  const [x, y, z] = [
    (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
    0.2126 * r + 0.7152 * g + 0.0722 * b,
    (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
  ].map((value) => (value > 216 / 24389 ? Math.cbrt(value) : (24389 / 27 * value + 16) / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** @param {number[]} one @param {number[]} other */
const distance = (one, other) => Math.hypot(...one.map((value, at) => value - other[at]));
