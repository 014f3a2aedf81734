/**
 * Draw a pigmented lesion on skin, by eye: it is to be recognised as a drawing of one, and nothing in it
 * was fitted to any model's answer.
 */

const WIDTH = 600;
const HEIGHT = 450;
const SKIN = [228, 190, 172];
// How strongly one unit of melanin, and of blood, absorbs red, green and blue (Beer and Lambert's law).
const MELANIN = [0.62, 1, 1.22];
const BLOOD = [0.12, 0.62, 0.48];

/** Always the same picture, pixel by pixel as far as the browser draws alike. @param {HTMLCanvasElement} canvas */
export function drawLesion(canvas) {
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = canvas.getContext("2d");
  if (!context) return;
  const pixels = context.createImageData(WIDTH, HEIGHT);
  const fine = noise(7);
  const coarse = noise(19);
  for (let y = 0; y < HEIGHT; y += 1) {
    for (let x = 0; x < WIDTH; x += 1) {
      paintPixel(pixels.data, 4 * (y * WIDTH + x), (x - WIDTH / 2) / HEIGHT, (y - HEIGHT / 2) / HEIGHT, fine, coarse);
    }
  }
  context.putImageData(pixels, 0, 0);
  drawHairs(context);
}

/** @typedef {(x: number, y: number) => number} Field from about -1 to 1 */

/**
 * One pixel: skin with its grain, darkened by the lesion's pigment.
 * @param {Uint8ClampedArray} data @param {number} at @param {number} x @param {number} y in heights, from the centre
 * @param {Field} fine @param {Field} coarse
 */
function paintPixel(data, at, x, y, fine, coarse) {
  const angle = Math.atan2(y, 0.8 * x);
  const edge = 0.27 * (1 + 0.07 * Math.cos(2 * angle + 1) + 0.06 * Math.cos(3 * angle) + 0.12 * coarse(4 * x, 4 * y));
  const depth = 1 - Math.hypot(0.8 * x, y) / edge + 0.06 * fine(20 * x, 20 * y);
  const inside = 1 / (1 + Math.exp(-14 * depth));
  const net = Math.abs(fine(34 * x, 34 * y) + 0.5 * coarse(60 * x, 60 * y));
  const melanin = 0.05 + 0.03 * fine(50 * x, 50 * y) +
    inside * (0.6 + 0.25 * coarse(6 * x, 6 * y) + 0.35 * Math.max(0, depth) + 0.3 * Math.exp(-((4 * net) ** 2)));
  const blood = 0.12 + 0.08 * coarse(9 * x, 9 * y) + 0.1 * inside;
  const light = 1 - 0.18 * (x * x + y * y);
  for (let channel = 0; channel < 3; channel += 1) {
    const absorbed = melanin * MELANIN[channel] + blood * BLOOD[channel];
    data[at + channel] = SKIN[channel] * 1.12 * light * Math.exp(-absorbed) + 3 * fine(190 * x, 190 * y);
  }
  data[at + 3] = 255;
}

/** A few thin hairs. @param {CanvasRenderingContext2D} context */
function drawHairs(context) {
  context.strokeStyle = "rgb(60 40 30 / 55%)";
  context.lineWidth = 1.4;
  context.lineCap = "round";
  for (const [x, y, bend] of [[90, 60, 40], [330, 30, -50], [420, 250, 60], [150, 330, -30]]) {
    context.beginPath();
    context.moveTo(x, y);
    context.quadraticCurveTo(x + 70, y + 20 + bend, x + 130, y + 90);
    context.stroke();
  }
}

/** Smooth noise from values on a grid of whole numbers (value noise, two octaves). @param {number} seed @returns {Field} */
function noise(seed) {
  // A hash of the cell, uniform from -1 to 1, the same everywhere.
  const value = (/** @type {number} */ column, /** @type {number} */ row) => {
    let bits = Math.imul(column, 374761393) ^ Math.imul(row, 668265263) ^ Math.imul(seed, 2147483647);
    bits = Math.imul(bits ^ (bits >>> 13), 1274126177);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 31 - 1;
  };
  const smooth = (/** @type {number} */ share) => share * share * (3 - 2 * share);
  const layer = (/** @type {number} */ x, /** @type {number} */ y) => {
    const [left, top] = [Math.floor(x), Math.floor(y)];
    const [right, down] = [smooth(x - left), smooth(y - top)];
    const above = value(left, top) * (1 - right) + value(left + 1, top) * right;
    const below = value(left, top + 1) * (1 - right) + value(left + 1, top + 1) * right;
    return above * (1 - down) + below * down;
  };
  return (x, y) => 0.65 * layer(x, y) + 0.35 * layer(2 * x + 17, 2 * y + 5);
}
