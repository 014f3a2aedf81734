/**
 * TIFF files (Adobe, revision 6), as imaging/containers/tiff.py screens them and Pillow decodes them: grey, RGB, RGBA, CMYK and palettes,
 * in strips or tiles, uncompressed or by LZW, deflate or PackBits. The service reads some more, such as JPEG in TIFF.
 */

import { UPRIGHT } from "./exif.js";
import { inflated, sampleAt } from "./png.js";
import { damaged, Refusal, unsupported } from "./refusal.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {{kind: number, count: number, place: number}} Entry */
/** @typedef {{file: Uint8Array, view: DataView, little: boolean, entries: Map<number, Entry>}} Directory */
/** @typedef {{samples: number, channels: 1|3|4, cmyk?: boolean, inverted?: boolean, palette?: number[]}} Colors */
/** @typedef {{width: number, height: number, bits: number, across: number, down: number, offsets: number[], sizes: number[]}} Layout */

const TAG = {
  width: 256, height: 257, bits: 258, compression: 259, photometric: 262, fillOrder: 266, stripOffsets: 273, orientation: 274, samples: 277,
  rowsPerStrip: 278, stripBytes: 279, planar: 284, predictor: 317, colorMap: 320, tileWidth: 322, tileHeight: 323, tileOffsets: 324,
  tileBytes: 325, extraSamples: 338, sampleFormat: 339, profile: 34675,
};

/** Bytes of the field types that sizes and places may be written in: byte, short and long. @type {Record<number, number>} */
const UNSIGNED = { 1: 1, 3: 2, 4: 4 };
/** Those of a profile: byte and undefined. */
const OPAQUE = [1, 7];

const COMPRESSIONS = { none: 1, lzw: 5, jpeg: 7, deflate: 8, oldDeflate: 32946, packBits: 32773 };

const MOST_FIELDS = 1000;
const MOST_VALUES = 4 * 16_384;
const MOST_TILE_PIXELS = 4096 * 4096;
const MOST_PADDING = 4;

/** What only the service reads. */
const elsewhere = () => new Refusal("offline-format");

/**
 * Read the directory. @param {Uint8Array} file
 * @returns {{width: number, height: number, orientation: number, profile: Uint8Array|null, decode: () => Promise<Pixels>}}
 * @throws {Refusal} several pages, of a kind that is not read, or damaged
 */
export function screenTiff(file) {
  try {
    const directory = directoryOf(file);
    const compression = valueOf(directory, TAG.compression, COMPRESSIONS.none);
    requireSupported(directory, compression);
    const layout = tiffLayout(directory);
    const colors = colorsOf(directory, layout.bits);
    const decode = decoderOf(directory, compression, layout, colors);
    const orientation = valueOf(directory, TAG.orientation, UPRIGHT);
    return {
      width: layout.width, height: layout.height, orientation: orientation <= 8 ? orientation : UPRIGHT, profile: profileOf(directory),
      decode: () => decodeTiff(directory, layout, colors, decode),
    };
  } catch (error) {
    throw error instanceof RangeError ? damaged() : error;
  }
}

/** @param {Uint8Array} file @returns {Directory} */
function directoryOf(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const little = file[0] === 0x49;
  const start = view.getUint32(4, little);
  const count = view.getUint16(start, little);
  if (count > MOST_FIELDS) throw damaged();
  /** @type {Map<number, Entry>} */
  const entries = new Map();
  for (let at = start + 2; at < start + 2 + 12 * count; at += 12) {
    const tag = view.getUint16(at, little);
    // Decoders disagree on which of two counts.
    if (entries.has(tag)) throw damaged();
    view.getUint32(at + 8, little);
    entries.set(tag, { kind: view.getUint16(at + 2, little), count: view.getUint32(at + 4, little), place: at + 8 });
  }
  if (view.getUint32(start + 2 + 12 * count, little) !== 0) throw unsupported();
  return { file, view, little, entries };
}

/** @param {Directory} directory @param {number} tag @returns {number[]} empty without this tag */
function valuesOf({ view, little, entries }, tag) {
  const entry = entries.get(tag);
  if (!entry) return [];
  const size = UNSIGNED[entry.kind];
  if (!size || entry.count === 0 || entry.count > MOST_VALUES) throw damaged();
  const start = size * entry.count > 4 ? view.getUint32(entry.place, little) : entry.place;
  return Array.from({ length: entry.count }, (_, at) => {
    const place = start + size * at;
    if (size === 1) return view.getUint8(place);
    return size === 2 ? view.getUint16(place, little) : view.getUint32(place, little);
  });
}

/** @param {Directory} directory @param {number} tag @param {number} otherwise */
const valueOf = (directory, tag, otherwise) => valuesOf(directory, tag)[0] ?? otherwise;

/** @param {Directory} directory @param {number} compression */
function requireSupported(directory, compression) {
  if (!Object.values(COMPRESSIONS).includes(compression)) throw unsupported();
  const bits = Math.max(...bitsOf(directory));
  const inverted = bits > 8 && valueOf(directory, TAG.photometric, 0) === 0;
  if (![1, 2, 4, 8, 16].includes(bits) || inverted) throw unsupported();
}

/** @param {Directory} directory */
function bitsOf(directory) {
  const bits = valuesOf(directory, TAG.bits);
  return bits.length ? bits : [1];
}

/** Where the strips or tiles stand; a directory must not make a decoder work without end. @param {Directory} directory @returns {Layout} */
function tiffLayout(directory) {
  const [width, height] = [valueOf(directory, TAG.width, 0), valueOf(directory, TAG.height, 0)];
  const strips = directory.entries.has(TAG.stripOffsets);
  const across = strips ? width : valueOf(directory, TAG.tileWidth, 0);
  const down = strips ? Math.min(valueOf(directory, TAG.rowsPerStrip, height), height) : valueOf(directory, TAG.tileHeight, 0);
  if (!(width && height && across && down)) throw damaged();
  const pieces = Math.ceil(width / across) * Math.ceil(height / down);
  if (pieces * across * down > Math.max(MOST_TILE_PIXELS, MOST_PADDING * width * height)) throw damaged();
  const separate = valueOf(directory, TAG.planar, 1) === 2;
  const most = pieces * (separate ? valueOf(directory, TAG.samples, 1) : 1);
  const [places, lengths] = strips ? [TAG.stripOffsets, TAG.stripBytes] : [TAG.tileOffsets, TAG.tileBytes];
  if ([places, lengths].some((tag) => (directory.entries.get(tag)?.count ?? 0) > most)) throw damaged();
  const [offsets, sizes] = [valuesOf(directory, places), valuesOf(directory, lengths)];
  // Pieces do not overlap, so together they cannot be more than the file.
  if (sizes.reduce((sum, size) => sum + size, 0) > directory.file.length) throw damaged();
  const bits = bitsOf(directory);
  if (separate || offsets.length !== pieces || sizes.length !== pieces || bits.some((each) => each !== bits[0])) throw elsewhere();
  return { width, height, bits: bits[0], across, down, offsets, sizes };
}

/** @param {Directory} directory @param {number} bits @returns {Colors} */
function colorsOf(directory, bits) {
  const samples = valueOf(directory, TAG.samples, 1);
  const extra = valuesOf(directory, TAG.extraSamples);
  const counted = bitsOf(directory).length;
  const usual = valueOf(directory, TAG.fillOrder, 1) === 1 && valuesOf(directory, TAG.sampleFormat).every((format) => format === 1)
    && (counted === samples || counted === 1);
  const photometric = usual ? valueOf(directory, TAG.photometric, 0) : -1;
  const plain = samples === 1 && extra.length === 0;
  if (photometric <= 1 && photometric >= 0 && plain) return { samples, channels: 1, inverted: photometric === 0 };
  if (photometric === 2 && bits >= 8 && samples === 3 && extra.length === 0) return { samples, channels: 3 };
  // A fourth sample that is no alpha is dropped; one that nobody explains is alpha.
  if (photometric === 2 && bits >= 8 && samples === 4 && [undefined, 0, 2].includes(extra[0]) && extra.length <= 1) {
    return { samples, channels: extra[0] === 0 ? 3 : 4 };
  }
  if (photometric === 3 && bits <= 8 && plain) {
    const palette = valuesOf(directory, TAG.colorMap);
    if (palette.length === 3 * 2 ** bits) return { samples, channels: 3, palette };
  }
  if (photometric === 5 && bits === 8 && samples === 4 && extra.length === 0) return { samples, channels: 4, cmyk: true };
  throw elsewhere();
}

/** @param {Directory} directory @returns {Uint8Array|null} */
function profileOf({ file, view, little, entries }) {
  const entry = entries.get(TAG.profile);
  if (!entry || !OPAQUE.includes(entry.kind) || entry.count <= 4) return null;
  const start = view.getUint32(entry.place, little);
  return start + entry.count <= file.length ? file.subarray(start, start + entry.count) : null;
}

/**
 * What unpacks a piece into so many bytes.
 * @param {Directory} directory @param {number} compression @param {Layout} layout @param {Colors} colors
 * @returns {(offset: number, size: number, needed: number) => Promise<Uint8Array>}
 */
function decoderOf(directory, compression, { bits, across }, { samples }) {
  const { file } = directory;
  const piece = (/** @type {number} */ offset, /** @type {number} */ size) => {
    if (offset + size > file.length) throw damaged();
    return file.subarray(offset, offset + size);
  };
  // As Pillow does, whatever sizes the file names.
  if (compression === COMPRESSIONS.none) return async (offset, _, needed) => piece(offset, needed);
  if (compression === COMPRESSIONS.jpeg) throw elsewhere();
  if (compression === COMPRESSIONS.packBits) return async (offset, size, needed) => unpackedBits(piece(offset, size), needed);
  const predictor = valueOf(directory, TAG.predictor, 1);
  if (predictor > 2 || (predictor === 2 && bits < 8)) throw elsewhere();
  return async (offset, size, needed) => {
    const packed = piece(offset, size);
    const bytes = compression === COMPRESSIONS.lzw ? unpackedLzw(packed, needed) : await unpackedDeflate(packed, needed);
    if (bytes.length < needed) throw damaged();
    if (predictor === 2) undoDifferences(bytes, across * samples, samples, bits, directory.little);
    return bytes;
  };
}

/** @param {Directory} directory @param {Layout} layout @param {Colors} colors @param {ReturnType<typeof decoderOf>} decode @returns {Promise<Pixels>} */
async function decodeTiff(directory, { width, height, bits, across, down, offsets, sizes }, colors, decode) {
  const { samples, channels, cmyk } = colors;
  const strips = directory.entries.has(TAG.stripOffsets);
  const stride = Math.ceil((across * samples * bits) / 8);
  const write = writerOf(colors, bits, directory.little);
  const data = new Uint8Array(width * height * channels);
  const columns = Math.ceil(width / across);
  for (const [place, offset] of offsets.entries()) {
    const [left, top] = [(place % columns) * across, Math.trunc(place / columns) * down];
    const rows = Math.min(down, height - top);
    const bytes = await decode(offset, sizes[place], stride * (strips ? rows : down));
    const shown = Math.min(across, width - left);
    for (let row = 0; row < rows; row += 1) {
      write(bytes.subarray(row * stride, (row + 1) * stride), shown, data, ((top + row) * width + left) * channels);
    }
  }
  return { width, height, channels, data, ...(cmyk ? { cmyk } : {}) };
}

/**
 * What writes a line of samples as pixels of eight bits.
 * @param {Colors} colors @param {number} bits @param {boolean} little
 * @returns {(line: Uint8Array, pixels: number, data: Uint8Array, to: number) => void}
 */
function writerOf({ samples, channels, inverted, palette }, bits, little) {
  const most = 2 ** bits - 1;
  const flip = inverted ? 255 : 0;
  const high = little ? 1 : 0;
  return (line, pixels, data, to) => {
    for (let pixel = 0; pixel < pixels; pixel += 1, to += channels) {
      if (palette) {
        const index = sampleAt(line, pixel, bits);
        for (let channel = 0; channel < 3; channel += 1) data[to + channel] = palette[channel * (most + 1) + index] >> 8;
      } else if (bits === 16 && channels === 1) {
        const wide = (line[2 * pixel + high] << 8) | line[2 * pixel + 1 - high];
        data[to] = Math.trunc((Math.min(wide, 65535 - 128) + 128) / 257);
      } else if (bits === 16) {
        for (let channel = 0; channel < channels; channel += 1) data[to + channel] = line[2 * (pixel * samples + channel) + high];
      } else if (bits === 8) {
        for (let channel = 0; channel < channels; channel += 1) data[to + channel] = line[pixel * samples + channel] ^ flip;
      } else {
        data[to] = (sampleAt(line, pixel, bits) * 255) / most ^ flip;
      }
    }
  };
}

/** Each sample but a line's first ones is stored as its difference. @param {Uint8Array} bytes @param {number} length samples of a line @param {number} samples of a pixel @param {number} bits @param {boolean} little */
function undoDifferences(bytes, length, samples, bits, little) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = bits / 8;
  for (let line = 0; line < bytes.length; line += length * size) {
    for (let at = line + samples * size; at < line + length * size; at += size) {
      if (size === 1) bytes[at] += bytes[at - samples];
      else view.setUint16(at, view.getUint16(at, little) + view.getUint16(at - 2 * samples, little), little);
    }
  }
}

/** @param {Uint8Array} packed @param {number} needed @returns {Promise<Uint8Array>} what could be unpacked */
async function unpackedDeflate(packed, needed) {
  const { bytes, whole } = await inflated([packed], needed + 1);
  // A wrong sum, or bytes behind the end: a browser does not tell which.
  if (bytes.length === needed && !whole) throw elsewhere();
  return bytes.slice(0, needed);
}

/** Runs of bytes (TIFF revision 6, section 9). @param {Uint8Array} packed @param {number} needed @returns {Uint8Array} */
function unpackedBits(packed, needed) {
  const bytes = new Uint8Array(needed);
  let to = 0;
  for (let at = 0; at < packed.length && to < needed;) {
    const head = packed[at];
    at += 1;
    if (head < 128) {
      const part = packed.subarray(at, Math.min(at + head + 1, at + needed - to));
      bytes.set(part, to);
      to += part.length;
      at += head + 1;
    } else if (head > 128) {
      bytes.fill(packed[at] ?? 0, to, Math.min(to + 257 - head, needed));
      to += 257 - head;
      at += 1;
    }
  }
  if (to < needed) throw damaged();
  return bytes;
}

/** LZW (TIFF revision 6, section 13). @param {Uint8Array} packed @param {number} needed @returns {Uint8Array} what could be unpacked */
function unpackedLzw(packed, needed) {
  const [CLEAR, END, FIRST, MOST_BITS] = [256, 257, 258, 12];
  // Programs before 1989 wrote the bits the other way round.
  if (packed[0] === 0 && (packed[1] & 1) === 1) throw elsewhere();
  const [before, last, length] = [new Uint16Array(2 ** MOST_BITS), new Uint8Array(2 ** MOST_BITS), new Uint16Array(2 ** MOST_BITS)];
  for (let code = 0; code < CLEAR; code += 1) [last[code], length[code]] = [code, 1];
  const bytes = new Uint8Array(needed);
  let [to, bit, width, next, previous] = [0, 0, 9, FIRST, -1];
  while (to < needed && bit + width <= packed.length * 8) {
    const at = bit >> 3;
    const three = (packed[at] << 16) | ((packed[at + 1] ?? 0) << 8) | (packed[at + 2] ?? 0);
    const code = (three >> (24 - width - (bit & 7))) & (2 ** width - 1);
    bit += width;
    if (code === END) break;
    if (code === CLEAR) {
      [width, next, previous] = [9, FIRST, -1];
      continue;
    }
    if (code > next || (code === next && previous < 0) || (code >= FIRST && previous < 0)) throw damaged();
    if (previous >= 0 && next < 2 ** MOST_BITS) {
      let first = code === next ? previous : code;
      while (length[first] > 1) first = before[first];
      [before[next], last[next], length[next]] = [previous, last[first], length[previous] + 1];
      next += 1;
      // One code early, as all programs write it.
      if (next >= 2 ** width - 1 && width < MOST_BITS) width += 1;
    }
    for (let place = to + length[code] - 1, each = code; place >= to; place -= 1, each = before[each]) {
      if (place < needed) bytes[place] = last[each];
    }
    to += length[code];
    previous = code;
  }
  return to < needed ? bytes.subarray(0, to) : bytes;
}
