/** The network's activation maps as PNGs: the service's serving/activation_map.py. */

import { BICUBIC, enlarge } from "./imaging/resample.js";

const MAP_SIDE = 56;

/**
 * One diagnosis's map as an eight-bit grey PNG, in base64. White is the strongest evidence, black is none.
 * @param {Float32Array} activation [height, width, 7] @param {number} height @param {number} width @param {number} place of the label
 */
export function drawnMap(activation, height, width, place) {
  const labels = activation.length / (height * width);
  const values = Float32Array.from({ length: height * width }, (_, at) => activation[at * labels + place]);
  const smooth = enlarge(values, width, height, MAP_SIDE, BICUBIC).map((value) => Math.max(value, 0));
  const peak = smooth.reduce((most, value) => Math.max(most, value), 0);
  const grey = Uint8Array.from(smooth, (value) => (peak > 0 ? rounded(Math.fround(Math.fround(value / peak) * 255)) : 0));
  return greyPng(grey, MAP_SIDE);
}

/** Round a half to even, as NumPy does. @param {number} value */
function rounded(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** @param {Uint8Array} grey @param {number} side */
function greyPng(grey, side) {
  const rows = new Uint8Array((side + 1) * side);
  for (let row = 0; row < side; row += 1) rows.set(grey.subarray(row * side, (row + 1) * side), row * (side + 1) + 1);
  const header = [...bytesOf(side), ...bytesOf(side), 8, 0, 0, 0, 0];
  // One stored block of deflate: the map is small, and goes no further than this page.
  const [low, high] = [rows.length & 255, rows.length >> 8];
  const data = [0x78, 1, 1, low, high, low ^ 255, high ^ 255, ...rows, ...bytesOf(adler32(rows))];
  const file = [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, ...chunk("IHDR", header), ...chunk("IDAT", data), ...chunk("IEND", [])];
  return btoa(String.fromCharCode(...file));
}

/** @param {string} name @param {number[]} content */
function chunk(name, content) {
  const named = [...name].map((letter) => letter.charCodeAt(0)).concat(content);
  return [...bytesOf(content.length), ...named, ...bytesOf(crc32(named))];
}

/** @param {number} value @returns {number[]} big-endian */
const bytesOf = (value) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

/** @param {Uint8Array} bytes */
function adler32(bytes) {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return ((b << 16) | a) >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** As PNG has it. @param {ArrayLike<number>} bytes */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (let at = 0; at < bytes.length; at += 1) value = CRC_TABLE[(value ^ bytes[at]) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
