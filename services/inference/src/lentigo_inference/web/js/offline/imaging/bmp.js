/** BMP files, uncompressed, as Pillow reads them. Run-length coded ones are refused, as by imaging/containers/bmp.py. */

import { damaged, unsupported } from "./refusal.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */

export const HEADER_SIZES = [12, 40, 52, 56, 64, 108, 124];

const FIELDS = 3;

/** Where red, green, blue and alpha stand in the bytes of 32 bits, by the masks of red, green, blue and alpha. @type {[number[], number[]][]} */
const LAYOUTS = [
  [[0xff0000, 0xff00, 0xff, 0], [2, 1, 0]],
  [[0xff000000, 0xff0000, 0xff00, 0], [3, 2, 1]],
  [[0xff000000, 0xff00, 0xff, 0], [3, 1, 0]],
  [[0xff000000, 0xff0000, 0xff00, 0xff], [3, 2, 1, 0]],
  [[0xff, 0xff00, 0xff0000, 0xff000000], [0, 1, 2, 3]],
  [[0xff0000, 0xff00, 0xff, 0xff000000], [2, 1, 0, 3]],
  [[0xff000000, 0xff00, 0xff, 0xff0000], [3, 1, 0, 2]],
  [[0, 0, 0, 0], [2, 1, 0, 3]],
];

/**
 * Read the header. @param {Uint8Array} file
 * @returns {{width: number, height: number, decode: () => Pixels}}
 * @throws {Refusal} compressed, of a depth or layout that is not read, or damaged
 */
export function screenBmp(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  try {
    const header = view.getUint32(14, true);
    const old = header === HEADER_SIZES[0];
    const compression = old ? 0 : view.getUint32(30, true);
    if (compression === 1 || compression === 2) throw unsupported();
    if (compression !== 0 && compression !== FIELDS) throw damaged();
    const width = old ? view.getUint16(18, true) : view.getUint32(18, true);
    const upward = old || file[25] !== 0xff;
    const height = old ? view.getUint16(20, true) : Math.abs(view.getInt32(22, true));
    const bits = view.getUint16(old ? 24 : 28, true);
    const rows = { width, height, bits, upward, ...startOf(view, header, bits, old) };
    return { width, height, decode: () => decoded(file, view, rows, layoutOf(view, header, bits, compression)) };
  } catch (error) {
    throw error instanceof RangeError ? damaged() : error;
  }
}

/** Where palette and pixels begin. @param {DataView} view @param {number} header @param {number} bits @param {boolean} old */
function startOf(view, header, bits, old) {
  const entry = old ? 3 : 4;
  const colors = (old ? 0 : view.getUint32(46, true)) || 2 ** bits;
  const given = view.getUint32(10, true);
  const start = given === 14 + header && bits <= 8 ? given + entry * colors : given;
  return { palette: 14 + header, entry, colors, start };
}

/** Which bytes of a pixel are red, green, blue and alpha; widths of the fields for 16 bits. @param {DataView} view @param {number} header @param {number} bits @param {number} compression */
function layoutOf(view, header, bits, compression) {
  if (compression !== FIELDS) return { bytes: [2, 1, 0], green: 5 };
  const place = 14 + 40;
  const masks = [0, 4, 8, 12].map((at) => (at === 12 && header < 56 ? 0 : view.getUint32(place + at, true)));
  const found = LAYOUTS.find(([wanted]) => wanted.every((mask, at) => mask === masks[at]));
  if (bits === 32 && found) return { bytes: found[1], green: 0 };
  const rgb = masks.slice(0, 3).join();
  if (bits === 24 && rgb === [0xff0000, 0xff00, 0xff].join()) return { bytes: [2, 1, 0], green: 0 };
  if (bits === 16 && rgb === [0xf800, 0x7e0, 0x1f].join()) return { bytes: [], green: 6 };
  if (bits === 16 && rgb === [0x7c00, 0x3e0, 0x1f].join()) return { bytes: [], green: 5 };
  throw damaged();
}

/** @param {Uint8Array} file @param {DataView} view @param {any} rows @param {{bytes: number[], green: number}} layout @returns {Pixels} */
function decoded(file, view, { width, height, bits, upward, palette, entry, colors, start }, { bytes, green }) {
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw damaged();
  const stride = (((width * bits + 31) >> 3) & ~3) >>> 0;
  if (start + stride * (height - 1) + Math.ceil((width * bits) / 8) > file.length) throw damaged();
  const channels = bits === 32 && bytes.length === 4 ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, to = 0; y < height; y += 1) {
    const line = start + stride * (upward ? height - 1 - y : y);
    for (let x = 0; x < width; x += 1, to += channels) {
      if (bits <= 8) {
        const bit = x * bits;
        const index = (file[line + (bit >> 3)] >> (8 - bits - (bit & 7))) & (2 ** bits - 1);
        for (let channel = 0; channel < 3 && index < colors; channel += 1) {
          data[to + channel] = file[palette + index * entry + 2 - channel];
        }
      } else if (bits === 16) {
        data.set(fieldsOf(view.getUint16(line + 2 * x, true), green), to);
      } else {
        bytes.forEach((byte, channel) => (data[to + channel] = file[line + (x * bits) / 8 + byte]));
      }
    }
  }
  return { width, height, channels, data };
}

/** Red, green and blue of 16 bits. @param {number} pixel @param {number} green bits of green */
function fieldsOf(pixel, green) {
  const most = 2 ** green - 1;
  return [(pixel >> (5 + green)) & 31, (pixel >> 5) & most, pixel & 31]
    .map((value, at) => Math.trunc((value * 255) / (at === 1 ? most : 31)));
}
