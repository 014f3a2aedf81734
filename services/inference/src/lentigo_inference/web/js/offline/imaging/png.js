/** PNG files (W3C, third edition), as imaging/containers/png.py screens them and Pillow decodes them. */

import { crc32 } from "../maps.js";
import { orientationIn, textAt, UPRIGHT } from "./exif.js";
import { joined } from "./jpeg.js";
import { damaged, unsupported } from "./refusal.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/**
 * @typedef {{width: number, height: number, depth: number, color: number, interlaced: boolean, data: Uint8Array[], palette: Uint8Array,
 *   transparency: Uint8Array|null, profile: Uint8Array|null, orientation: number}} Png
 */

const MOST_CHUNKS = 50_000;
const MOST_PROFILE_BYTES = 2 ** 20;

/** Samples of a pixel and the depths they may have, by colour type. @type {Record<number, [number, number[]]>} */
const COLORS = { 0: [1, [1, 2, 4, 8, 16]], 2: [3, [8, 16]], 3: [1, [1, 2, 4, 8]], 4: [2, [8, 16]], 6: [4, [8, 16]] };

/** Adam7: where each pass begins and how far its pixels are apart. */
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
const WHOLE = [[0, 0, 1, 1]];

/**
 * Read the chunks.
 * @param {Uint8Array} file @returns {Promise<Png>}
 * @throws {Refusal} an animation, damaged, or more chunks than any encoder writes
 */
export async function screenPng(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  /** @type {Png} */
  const png = {
    width: 0, height: 0, depth: 0, color: 0, interlaced: false, data: [], palette: new Uint8Array(0), transparency: null, profile: null,
    orientation: UPRIGHT,
  };
  let position = 8;
  let profiles = 0;
  for (let count = 0; position + 8 <= file.length; count += 1) {
    if (count === MOST_CHUNKS) throw damaged();
    const length = view.getUint32(position);
    const name = textAt(file, position + 4, 4);
    const content = file.subarray(position + 8, position + 8 + length);
    if (name === "acTL" && content.length >= 4 && view.getUint32(position + 8) > 1) throw unsupported();
    if (name === "eXIf") png.orientation = orientationIn(content);
    if (name === "IDAT") png.data.push(content);
    if (["IHDR", "PLTE", "tRNS"].includes(name) && png.data.length === 0) {
      requireWhole(file, view, position, length);
      takeHeader(png, name, content);
    }
    if (name === "iCCP") profiles += 1;
    if (name === "iCCP" && profiles === 1 && png.data.length === 0) png.profile = await profileIn(content);
    if (name === "IEND") break;
    position += 12 + length;
  }
  if (png.width === 0 || png.data.length === 0) throw damaged();
  return png;
}

/** Pillow checks the sums of the chunks in front of the pixels. @param {Uint8Array} file @param {DataView} view @param {number} position @param {number} length */
function requireWhole(file, view, position, length) {
  const end = position + 8 + length;
  if (end + 4 > file.length || crc32(file.subarray(position + 4, end)) !== view.getUint32(end)) throw damaged();
}

/** @param {Png} png @param {string} name @param {Uint8Array} content */
function takeHeader(png, name, content) {
  if (name === "PLTE") png.palette = content;
  if (name === "tRNS") png.transparency = content;
  if (name !== "IHDR") return;
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  if (content.length < 13 || content[11] !== 0) throw damaged();
  const [depth, color] = [content[8], content[9]];
  if (!COLORS[color]?.[1].includes(depth)) throw damaged();
  Object.assign(png, { width: view.getUint32(0), height: view.getUint32(4), depth, color, interlaced: content[12] !== 0 });
}

/** The ICC profile, if it is whole and of a sane size. @param {Uint8Array} content @returns {Promise<Uint8Array|null>} */
async function profileIn(content) {
  const start = content.indexOf(0) + 2;
  if (start < 2) return null;
  const { bytes, whole } = await inflated([content.subarray(start)], MOST_PROFILE_BYTES);
  return whole ? bytes : null;
}

/**
 * Inflate, up to so many bytes. @param {Uint8Array[]} parts @param {number} most
 * @returns {Promise<{bytes: Uint8Array, whole: boolean}>} all that could be, and whether the stream came to its end
 */
export async function inflated(parts, most) {
  const stream = streamOf(parts).pipeThrough(new DecompressionStream("deflate"));
  const reader = stream.getReader();
  const pieces = [];
  let length = 0;
  let whole = false;
  try {
    while (length < most) {
      const { done, value } = await reader.read();
      whole = done;
      if (done) break;
      pieces.push(value);
      length += value.length;
    }
  } catch {
    // Cut off, or with something behind its end: what came out before is what there is.
  }
  await reader.cancel().catch(() => undefined);
  return { bytes: joined(pieces).subarray(0, most), whole };
}

/** The sum at the end comes by itself: if it is wrong, all before has come out, which is enough for Pillow. @param {Uint8Array[]} parts */
function streamOf(parts) {
  const last = parts[parts.length - 1];
  const place = Math.max(0, last.length - 4);
  return new ReadableStream({
    start(controller) {
      for (const part of [...parts.slice(0, -1), last.subarray(0, place), last.subarray(place)]) controller.enqueue(part);
      controller.close();
    },
  });
}

/** @param {Png} png @returns {Promise<Pixels>} @throws {Refusal} damaged or cut off */
export async function decodePng(png) {
  const samples = COLORS[png.color][0];
  const passes = (png.interlaced ? PASSES : WHOLE).map(([x, y, across, down]) => {
    const [width, height] = [Math.ceil((png.width - x) / across), Math.ceil((png.height - y) / down)];
    return { x, y, across, down, width, height, stride: Math.ceil((width * samples * png.depth) / 8) };
  });
  const present = passes.filter(({ width, height }) => width > 0 && height > 0);
  const needed = present.reduce((sum, { stride, height }) => sum + (stride + 1) * height, 0);
  const { bytes } = await inflated(png.data, needed);
  if (bytes.length < needed) throw damaged();
  const distance = Math.max(1, (samples * png.depth) / 8);
  const raw = new Uint16Array(png.width * png.height * samples);
  let place = 0;
  for (const pass of present) {
    unfilter(bytes.subarray(place, place + (pass.stride + 1) * pass.height), pass.stride, distance);
    for (let row = 0; row < pass.height; row += 1) {
      const line = bytes.subarray(place + 1, place + 1 + pass.stride);
      const start = (pass.y + row * pass.down) * png.width + pass.x;
      for (let at = 0; at < pass.width * samples; at += 1) {
        const pixel = start + Math.trunc(at / samples) * pass.across;
        raw[pixel * samples + (at % samples)] = sampleAt(line, at, png.depth);
      }
      place += pass.stride + 1;
    }
  }
  return inEightBits(png, raw, samples);
}

/** @param {Uint8Array} line @param {number} at @param {number} depth */
export function sampleAt(line, at, depth) {
  if (depth === 8) return line[at];
  if (depth === 16) return (line[2 * at] << 8) | line[2 * at + 1];
  const bit = at * depth;
  return (line[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

/** Undo the filters of the rows, in place. @param {Uint8Array} rows @param {number} stride @param {number} distance bytes of a pixel */
function unfilter(rows, stride, distance) {
  for (let start = 0; start < rows.length; start += stride + 1) {
    const kind = rows[start];
    if (kind > 4) throw damaged();
    const above = start > 0 ? start - stride - 1 : -1;
    for (let at = 1; at <= stride && kind > 0; at += 1) {
      const left = at > distance ? rows[start + at - distance] : 0;
      const up = above >= 0 ? rows[above + at] : 0;
      if (kind === 1) rows[start + at] += left;
      else if (kind === 2) rows[start + at] += up;
      else if (kind === 3) rows[start + at] += (left + up) >> 1;
      else rows[start + at] += paeth(left, up, above >= 0 && at > distance ? rows[above + at - distance] : 0);
    }
  }
}

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const guess = left + up - corner;
  const a = Math.abs(guess - left);
  const b = Math.abs(guess - up);
  const c = Math.abs(guess - corner);
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** @param {Png} png @param {Uint16Array} raw @param {number} samples @returns {Pixels} */
function inEightBits(png, raw, samples) {
  const { width, height, depth, color, transparency } = png;
  if (color === 3) return { width, height, ...fromPalette(png, raw) };
  const narrow = narrowing(depth, color);
  const hidden = transparency === null ? null : keyOf(transparency, png);
  if (hidden === null && samples !== 2) {
    return { width, height, channels: /** @type {1|3|4} */ (samples), data: Uint8Array.from(raw, narrow) };
  }
  // Alpha: its own channel, or none where the colour is the hidden one.
  const data = new Uint8Array(width * height * 4);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const at = pixel * samples;
    const own = Array.from(raw.subarray(at, at + samples), narrow);
    const rgb = color === 2 || color === 6 ? own.slice(0, 3) : [own[0], own[0], own[0]];
    const compared = depth === 16 && color === 0 ? [raw[at]] : own;
    const alpha = samples % 2 === 0 ? own[samples - 1] : hidden?.every((value, channel) => value === compared[channel]) ? 0 : 255;
    data.set([...rgb, alpha], pixel * 4);
  }
  return { width, height, channels: 4, data };
}

/** From a sample to eight bits, as Pillow and imaging/shrink.py do. @param {number} depth @param {number} color @returns {(sample: number) => number} */
function narrowing(depth, color) {
  if (depth < 8) return (sample) => sample * (255 / ((1 << depth) - 1));
  if (depth === 8) return (sample) => sample;
  return color === 0 ? (sample) => Math.trunc((Math.min(sample, 65535 - 128) + 128) / 257) : (sample) => sample >> 8;
}

/** The colour that tRNS hides, as Pillow compares it. @param {Uint8Array} transparency @param {Png} png */
function keyOf(transparency, { color, depth }) {
  const values = Array.from({ length: color === 2 ? 3 : 1 }, (_, at) => (transparency[2 * at] << 8) | transparency[2 * at + 1]);
  if (transparency.length < 2 * values.length) throw damaged();
  if (depth === 1) return [values[0] ? 255 : 0];
  return depth === 16 && color === 0 ? values : values.map((value) => value & 255);
}

/** @param {Png} png @param {Uint16Array} raw @returns {{channels: 3|4, data: Uint8Array}} */
function fromPalette({ palette, transparency }, raw) {
  const channels = transparency === null ? 3 : 4;
  const data = new Uint8Array(raw.length * channels);
  raw.forEach((entry, pixel) => {
    for (let channel = 0; channel < 3; channel += 1) data[pixel * channels + channel] = palette[entry * 3 + channel] ?? 0;
    if (channels === 4) data[pixel * 4 + 3] = transparency?.[entry] ?? 255;
  });
  return { channels, data };
}
