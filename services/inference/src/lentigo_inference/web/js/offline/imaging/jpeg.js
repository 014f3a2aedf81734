/** JPEG files: what imaging/containers/jpeg.py lets through to the decoder, and what Pillow reads before it. */

import { orientationIn, textAt, UPRIGHT } from "./exif.js";
import { damaged } from "./refusal.js";

const MOST_SEGMENTS = 1000;
const MOST_SCANS = 32;
const MOST_FILL_BYTES = 4096;
const [START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN, COMMENT, TEMPORARY] = [0xd8, 0xd9, 0xda, 0xfe, 1];
const [JFIF, EXIF, PROFILE, ADOBE] = [0xe0, 0xe1, 0xe2, 0xee];
const PROFILE_NAME = "ICC_PROFILE\0";

/**
 * Look through the segments up to the first scan, and through the scans.
 * @param {Uint8Array} data
 * @returns {{data: Uint8Array, orientation: number, width: number, height: number, profile: Uint8Array|null}} what the decoder needs of
 *   the file, and what the file says of the image
 * @throws {Refusal} cut off, or more segments, scans or fill bytes than any encoder writes
 */
export function screenJpeg(data) {
  const kept = [data.subarray(0, 2)];
  /** @type {Uint8Array[]} */
  const pieces = [];
  let frame = { width: 0, height: 0, profile: /** @type {Uint8Array|null} */ (null) };
  let orientation = UPRIGHT;
  let position = 2;
  for (let count = 0; count < MOST_SEGMENTS; count += 1) {
    const { marker, start, end } = segmentAt(data, position);
    if (marker === START_OF_SCAN) {
      const imageEnd = endOfImage(data, end);
      requireLittleFill(data.subarray(end, imageEnd));
      kept.push(data.subarray(start, imageEnd));
      if (frame.width === 0) throw damaged();
      return { data: joined(kept), orientation, ...frame };
    }
    const content = data.subarray(start + 4, end);
    if (marker === EXIF && textAt(content, 0, 6) === "Exif\0\0" && orientation === UPRIGHT) orientation = orientationIn(content);
    if (marker === PROFILE && textAt(content, 0, 12) === PROFILE_NAME) pieces.push(content);
    if (isFrame(marker)) frame = { ...sizeIn(content), profile: assembled(pieces) };
    if (coloursNeed(marker, content)) kept.push(data.subarray(start, end));
    position = end;
  }
  throw damaged();
}

/** Start of frame, but not the tables for Huffman (C4) and arithmetic coding (CC), nor a reserved one (C8). @param {number} marker */
const isFrame = (marker) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

/** @param {Uint8Array} frame */
function sizeIn(frame) {
  if (frame[0] !== 8 || ![1, 3, 4].includes(frame[5])) throw damaged();
  return { width: (frame[3] << 8) | frame[4], height: (frame[1] << 8) | frame[2] };
}

/** The profile, if all its pieces are there, as Pillow joins them. @param {Uint8Array[]} pieces @returns {Uint8Array|null} */
function assembled(pieces) {
  if (pieces.length === 0) return null;
  const sorted = [...pieces].sort((one, other) => one[12] - other[12]);
  return sorted[0][13] === sorted.length ? joined(sorted.map((piece) => piece.subarray(14))) : null;
}

/** @param {number} marker @param {Uint8Array} content */
function coloursNeed(marker, content) {
  if (marker === PROFILE) return textAt(content, 0, 12) === PROFILE_NAME;
  if (marker === JFIF || marker === ADOBE) return true;
  return !(marker >= 0xe0 && marker < 0xf0) && marker !== COMMENT;
}

/** The next marker past fill bytes, neither a stuffed zero nor a restart. @param {Uint8Array} data @param {number} position */
function markerAt(data, position) {
  for (let at = data.indexOf(0xff, position); at >= 0 && at + 1 < data.length; at = data.indexOf(0xff, at + 1)) {
    const marker = data[at + 1];
    if (marker !== 0 && marker !== 0xff && !(marker >= 0xd0 && marker <= 0xd7)) return at;
  }
  return -1;
}

/** @param {Uint8Array} data @param {number} position */
function segmentAt(data, position) {
  const start = markerAt(data, position);
  const marker = data[start + 1];
  if (start < 0 || marker === START_OF_IMAGE || marker === END_OF_IMAGE) throw damaged();
  if (marker === TEMPORARY) return { marker, start, end: start + 2 };
  const length = (data[start + 2] << 8) | data[start + 3];
  const end = start + 2 + length;
  if (!(length >= 2) || end > data.length) throw damaged();
  return { marker, start, end };
}

/** Walk through the scans from within the first one, and count them. @param {Uint8Array} data @param {number} from */
function endOfImage(data, from) {
  let scans = 1;
  let position = from;
  for (let count = 0; count < MOST_SEGMENTS; count += 1) {
    const start = markerAt(data, position);
    if (start < 0) return data.length;
    const marker = data[start + 1];
    if (marker === END_OF_IMAGE) return start + 2;
    if (marker === START_OF_SCAN) scans += 1;
    if (scans > MOST_SCANS) break;
    const length = ((data[start + 2] ?? 0) << 8) | (data[start + 3] ?? 0);
    position = start + 2 + (marker === TEMPORARY || marker === START_OF_IMAGE ? 0 : length);
  }
  throw damaged();
}

/** @param {Uint8Array} scans */
function requireLittleFill(scans) {
  let row = 0;
  for (const byte of scans) {
    row = byte === 0xff ? row + 1 : 0;
    if (row > MOST_FILL_BYTES) throw damaged();
  }
}

/** @param {Uint8Array[]} parts */
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => {
    whole.set(part, at);
    return at + part.length;
  }, 0);
  return whole;
}
