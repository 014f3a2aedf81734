/**
 * Decoded pixels, from what a file holds to the square that the network takes: imaging/shrink.py and the end of imaging/read.py.
 *
 * @typedef {{width: number, height: number, channels: 1|3|4, data: Uint8Array, cmyk?: boolean}} Pixels samples of eight bits, row by
 *   row: grey, RGB, RGBA, or CMYK
 */

import { squash } from "./resample.js";

export const SIDE = 224;

/** What undoes each EXIF orientation: whether the sides are swapped, then mirrored across and down. */
const TURNS = [, , [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]];

/** @param {number} width @param {number} height @param {number} orientation 1 to 8 @returns {[number, number]} as a viewer shows it */
export const uprightSize = (width, height, orientation) => orientation >= 5 ? [height, width] : [width, height];

/**
 * Turn an image upright and squash it to the network's square.
 * @param {Pixels} image @param {number} orientation 1 to 8 @returns {Pixels}
 */
export function shrink(image, orientation) {
  const upright = oriented(image, orientation);
  const { width, height, channels, data, cmyk = false } = upright;
  const alpha = channels === 4 && !cmyk;
  const whole = width === SIDE && height === SIDE;
  // Colours are weighted with alpha, so that what is hidden does not bleed into what is shown.
  const square = squash(alpha && !whole ? premultiplied(data) : data, width, height, channels, SIDE);
  return { ...upright, width: SIDE, height: SIDE, data: alpha && !whole ? unmultiplied(square) : square };
}

/** @param {Pixels} image @param {number} orientation @returns {Pixels} */
function oriented(image, orientation) {
  const turn = TURNS[orientation];
  if (!turn) return image;
  const [swapped, across, down] = turn;
  const [width, height] = uprightSize(image.width, image.height, orientation);
  const { channels } = image;
  const data = new Uint8Array(image.data.length);
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const u = across ? width - 1 - x : x;
      const v = down ? height - 1 - y : y;
      let from = (swapped ? u * image.width + v : v * image.width + u) * channels;
      for (let channel = 0; channel < channels; channel += 1, to += 1, from += 1) data[to] = image.data[from];
    }
  }
  return { ...image, width, height, data };
}

/** a * b / 255, rounded, for a and b from 0 to 255. @param {number} a @param {number} b */
function share255(a, b) {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/** @param {Uint8Array} data */
function premultiplied(data) {
  const result = data.slice();
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3];
    for (let channel = at; channel < at + 3; channel += 1) result[channel] = share255(data[channel], alpha);
  }
  return result;
}

/** @param {Uint8Array} data */
function unmultiplied(data) {
  return data.map((sample, at) => {
    const alpha = data[at - (at % 4) + 3];
    return at % 4 === 3 || alpha === 0 || alpha === 255 ? sample : Math.min(255, Math.trunc((255 * sample) / alpha));
  });
}

/** Lay an image with alpha on white, as on a page; any other stays as it is. @param {Pixels} image @returns {Pixels} */
export function onWhite(image) {
  if (image.channels !== 4 || image.cmyk) return image;
  const data = new Uint8Array((image.data.length / 4) * 3);
  for (let from = 0, to = 0; from < image.data.length; from += 4, to += 3) {
    const share = image.data[from + 3] * 128;
    for (let channel = 0; channel < 3; channel += 1) {
      const sum = image.data[from + channel] * share + 255 * (255 * 128 - share) + 128 * 128;
      data[to + channel] = share === 0 ? 255 : (((sum >>> 8) + sum) >>> 8) >>> 7;
    }
  }
  return { ...image, channels: 3, data };
}

/** Grey, RGB or CMYK without a profile, as RGB. @param {Pixels} image @returns {Uint8Array} */
export function plainRgb({ data, channels, cmyk }) {
  if (channels === 3) return data;
  const count = data.length / channels;
  const rgb = new Uint8Array(count * 3);
  for (let pixel = 0; pixel < count; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const light = 255 - data[pixel * 4 + 3];
      rgb[pixel * 3 + channel] = cmyk ? light - share255(data[pixel * 4 + channel], light) : data[pixel];
    }
  }
  return rgb;
}
