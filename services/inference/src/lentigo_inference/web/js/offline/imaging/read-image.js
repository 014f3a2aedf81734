/** From the bytes of a file to the pixels that the network takes: lentigo_contract/imaging/read.py. */

import { HEADER_SIZES, screenBmp } from "./bmp.js";
import { orientationIn, textAt, UPRIGHT } from "./exif.js";
import { screenJpeg } from "./jpeg.js";
import { onWhite, plainRgb, shrink, SIDE, uprightSize } from "./pixels.js";
import { decodePng, screenPng } from "./png.js";
import { Refusal, unsupported } from "./refusal.js";
import { screenTiff } from "./tiff.js";

/** @typedef {import("./codecs.js").Codecs} Codecs */
/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {{max_bytes: number, max_pixels: number, max_side: number, min_side: number}} Limits of the service */
/** @typedef {{width: number, height: number, orientation: number, profile: Uint8Array|null, decode: () => Pixels|Promise<Pixels>}} Opened */

const MOST_PROFILE_BYTES_READ = 4 * 2 ** 20;
const MOST_WEBP_CHUNKS = 1000;

/**
 * Decode, orient, squash and convert an image.
 * @param {Uint8Array} file @param {Codecs} codecs @param {Limits} limits
 * @returns {Promise<{pixels: Uint8Array, format: string, width: number, height: number}>} RGB [224, 224, 3] in sRGB, and the size as a
 *   viewer shows it
 * @throws {Refusal} as the service refuses it
 */
export async function readImage(file, codecs, limits) {
  if (file.length === 0) throw new Refusal("empty-image");
  if (file.length > limits.max_bytes) throw new Refusal("image-too-large");
  const format = formatOf(file);
  const opened = await openers[format](file, codecs);
  requireBounds(opened, limits);
  const [width, height] = uprightSize(opened.width, opened.height, opened.orientation);
  const small = onWhite(shrink(await opened.decode(), opened.orientation));
  const { profile } = opened;
  const converted = profile && profile.length <= MOST_PROFILE_BYTES_READ ? codecs.srgb(small, profile) : null;
  return { pixels: converted ?? plainRgb(small), format, width, height };
}

/** @param {Uint8Array} file @returns {"JPEG"|"PNG"|"WEBP"|"BMP"|"TIFF"} */
function formatOf(file) {
  const start = textAt(file, 0, 12);
  if (start.startsWith("\xff\xd8\xff")) return "JPEG";
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (start.startsWith("RIFF") && start.slice(8) === "WEBP") return "WEBP";
  if (start.startsWith("II*\0") || start.startsWith("MM\0*")) return "TIFF";
  const header = file.length >= 18 ? new DataView(file.buffer, file.byteOffset).getUint32(14, true) : 0;
  if (start.startsWith("BM") && HEADER_SIZES.includes(header)) return "BMP";
  throw unsupported();
}

/** @type {Record<string, (file: Uint8Array, codecs: Codecs) => Opened|Promise<Opened>>} */
const openers = {
  JPEG: (file, codecs) => {
    const screened = screenJpeg(file);
    const scale = Math.min(Math.trunc(screened.width / SIDE), Math.trunc(screened.height / SIDE));
    // libjpeg's own scales, the smallest that still covers the target.
    const denominator = [8, 4, 2, 1].find((each) => scale >= each) ?? 1;
    return { ...screened, decode: () => codecs.jpeg(screened.data, denominator) };
  },
  PNG: async (file) => {
    const png = await screenPng(file);
    return { ...png, decode: () => decodePng(png) };
  },
  WEBP: (file, codecs) => {
    const { width, height } = webpSize(file);
    const { orientation, frames } = webpChunks(file);
    if (frames > 1) throw unsupported();
    return { width, height, orientation, profile: codecs.webpProfile(file), decode: () => codecs.webp(file) };
  },
  BMP: (file) => ({ ...screenBmp(file), orientation: UPRIGHT, profile: null }),
  TIFF: (file) => screenTiff(file),
};

/** @param {Opened} image @param {Limits} limits */
function requireBounds({ width, height }, limits) {
  const [longer, shorter] = [Math.max(width, height), Math.min(width, height)];
  if (width * height > limits.max_pixels || longer > limits.max_side || shorter < limits.min_side) throw new Refusal("image-bounds");
}

/** Width and height of a WebP's canvas. @param {Uint8Array} file */
function webpSize(file) {
  const first = textAt(file, 12, 4);
  const at = (/** @type {number} */ place, /** @type {number} */ count) =>
    Array.from({ length: count }, (_, byte) => (file[20 + place + byte] ?? 0) * 256 ** byte).reduce((sum, value) => sum + value, 0);
  if (first === "VP8X") return { width: at(4, 3) + 1, height: at(7, 3) + 1 };
  if (first === "VP8L") return { width: (at(1, 4) & 0x3fff) + 1, height: ((at(1, 4) >>> 14) & 0x3fff) + 1 };
  if (first === "VP8 ") return { width: at(6, 2) & 0x3fff, height: at(8, 2) & 0x3fff };
  throw new Refusal("undecodable-image");
}

/** The orientation, and how many frames an animation has. @param {Uint8Array} file */
function webpChunks(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const found = { orientation: UPRIGHT, frames: 0 };
  for (let position = 12, count = 0; position + 8 <= file.length && count < MOST_WEBP_CHUNKS; count += 1) {
    const length = view.getUint32(position + 4, true);
    const name = textAt(file, position, 4);
    if (name === "ANMF") found.frames += 1;
    if (name === "EXIF") {
      found.orientation = orientationIn(file.subarray(position + 8, position + 8 + length));
      break;
    }
    position += 8 + length + (length % 2);
  }
  return found;
}
