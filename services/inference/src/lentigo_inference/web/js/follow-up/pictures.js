/** The pictures that are compared: read small for the worker, and drawn with what it found. */

import { CELLS_ALONG } from "./grid.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {import("./comparison.js").Picture} Picture */
/** @typedef {import("./similarity.js").Similarity} Similarity */

/** The longer side that the worker gets, in pixels: more takes time and aligns no better. */
const WORKED_SIDE = 320;
const SHOWN_SIDE = 640;

// As in the page's map: readable by brightness alone, and unlike any skin.
const FROM = [38, 70, 220];
const TO = [255, 246, 120];
/** The difference of colour that is drawn brightest, in L*a*b*. */
export const BRIGHTEST = 20;

/** @param {Item} item one that this browser can show @returns {Promise<HTMLImageElement>} */
export async function openPicture(item) {
  const image = new Image();
  image.src = item.url;
  await image.decode();
  return image;
}

/** @param {HTMLImageElement} image @param {number} longest @returns {{width: number, height: number}} */
function sizeWithin({ naturalWidth, naturalHeight }, longest) {
  const scale = longest / Math.max(naturalWidth, naturalHeight);
  return { width: Math.max(2, Math.round(naturalWidth * scale)), height: Math.max(2, Math.round(naturalHeight * scale)) };
}

/** @param {number} width @param {number} height @returns {[HTMLCanvasElement, CanvasRenderingContext2D]} */
function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.imageSmoothingQuality = "high";
  return [canvas, context];
}

/** @param {HTMLImageElement} image @returns {Picture} */
export function pixelsOf(image) {
  const { width, height } = sizeWithin(image, WORKED_SIDE);
  const [, context] = canvasOf(width, height);
  context.drawImage(image, 0, 0, width, height);
  return { data: context.getImageData(0, 0, width, height).data, width, height };
}

/**
 * Draw a picture into the frame of the earlier one.
 * @param {HTMLImageElement} image @param {HTMLImageElement} frame the earlier one @param {Similarity|null} similarity from the image's small pixels to
 *   those of the frame; null leaves it as it is
 * @returns {[HTMLCanvasElement, CanvasRenderingContext2D]}
 */
export function drawn(image, frame, similarity) {
  const shown = sizeWithin(similarity ? frame : image, SHOWN_SIDE);
  const [canvas, context] = canvasOf(shown.width, shown.height);
  if (similarity) {
    const worked = sizeWithin(frame, WORKED_SIDE);
    const own = sizeWithin(image, WORKED_SIDE);
    const { a, b, x, y } = similarity;
    context.scale(shown.width / worked.width, shown.height / worked.height);
    context.transform(a, b, -b, a, x, y);
    context.drawImage(image, 0, 0, own.width, own.height);
    context.resetTransform();
  } else {
    context.drawImage(image, 0, 0, shown.width, shown.height);
  }
  return [canvas, context];
}

/** Draw a lesion's outline. @param {CanvasRenderingContext2D} context @param {Uint8Array} mask @param {boolean} dashed */
export function drawOutline(context, mask, dashed) {
  const { width, height } = context.canvas;
  const path = new Path2D();
  const is = (/** @type {number} */ x, /** @type {number} */ y) => x >= 0 && y >= 0 && x < CELLS_ALONG && y < CELLS_ALONG && mask[y * CELLS_ALONG + x] === 1;
  const line = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ toX, /** @type {number} */ toY) => {
    path.moveTo((x * width) / CELLS_ALONG, (y * height) / CELLS_ALONG);
    path.lineTo((toX * width) / CELLS_ALONG, (toY * height) / CELLS_ALONG);
  };
  for (let y = 0; y <= CELLS_ALONG; y += 1) {
    for (let x = 0; x <= CELLS_ALONG; x += 1) {
      // Dashes by place, so that lines of one cell have them too.
      if (dashed && (x + y) % 6 > 2) continue;
      if (is(x, y) !== is(x - 1, y)) line(x, y, x, y + 1);
      if (is(x, y) !== is(x, y - 1)) line(x, y, x + 1, y);
    }
  }
  for (const [colour, wide] of /** @type {[string, number][]} */ ([["#000", 5], [dashed ? "#fff" : "#7fe3ef", 2.5]])) {
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.lineCap = "round";
    context.stroke(path);
  }
}

/** Draw where colours differ over a picture. @param {CanvasRenderingContext2D} context @param {Float32Array} map */
export function drawDifferences(context, map) {
  const [cells, small] = canvasOf(CELLS_ALONG, CELLS_ALONG);
  const pixels = small.createImageData(CELLS_ALONG, CELLS_ALONG);
  map.forEach((difference, cell) => {
    const share = Number.isNaN(difference) ? 0 : Math.min(difference / BRIGHTEST, 1);
    for (let channel = 0; channel < 3; channel += 1) pixels.data[4 * cell + channel] = FROM[channel] + (TO[channel] - FROM[channel]) * share;
    pixels.data[4 * cell + 3] = 230 * share;
  });
  small.putImageData(pixels, 0, 0);
  context.drawImage(cells, 0, 0, context.canvas.width, context.canvas.height);
}
