/** Prepare an image: bound its pixels, make its thumbnail, and scale down what is large before it is sent. */

import { Problem } from "../problem.js";

// The network needs 224x224. This leaves room for later, and keeps a phone's photo far below 1 MB.
const LARGEST_SIDE = 1600;
// An uncompressed image with that side. A larger file has other content besides the image.
const LARGEST_BYTES = LARGEST_SIDE ** 2 * 4;
const QUALITY = 0.92;
// The service's own limit. Decoded, so many pixels take 256 MB of this tab.
const MOST_PIXELS = 64_000_000;
const THUMBNAIL_SIDE = 112;

/** @typedef {{width: number, height: number}} Size */

/**
 * Read the header of an image, without decoding its pixels.
 * @param {Blob} file
 * @returns {Promise<Size|null>} upright; null if this browser cannot show it
 * @throws {Problem} it has too many pixels
 */
export async function sizeOf(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    const loaded = new Promise((done) => {
      image.onload = () => done(true);
      image.onerror = () => done(false);
    });
    image.src = url;
    if (!(await loaded)) return null;
    const { naturalWidth: width, naturalHeight: height } = image;
    if (width * height > MOST_PIXELS) {
      throw new Problem("too-many-pixels", { values: { megapixels: Math.round(width * height / 1e6) } });
    }
    return { width, height };
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * Return what to send: the file as it is, or a large image scaled down and upright.
 * @param {Blob} file
 * @returns {Promise<{blob: Blob, from: string|null, to: string|null}>} sizes only if it was scaled
 */
export async function toSend(file) {
  const asItIs = { blob: file, from: null, to: null };
  const size = await sizeOf(file);
  // The service must check what this browser cannot show, such as a TIFF or a damaged file.
  if (size === null || (Math.max(size.width, size.height) <= LARGEST_SIDE && file.size <= LARGEST_BYTES)) return asItIs;
  const smaller = within(size, LARGEST_SIDE / Math.max(size.width, size.height));
  const blob = await asJpeg(file, smaller, QUALITY);
  return blob ? { blob, from: inWords(size), to: inWords(smaller) } : asItIs;
}

/** @param {Size} size */
const inWords = ({ width, height }) => `${width} × ${height}`;

/**
 * The image as a JPEG of this browser, scaled down if it is large, without anything that a camera wrote beside the pixels.
 * @param {Blob} file
 * @returns {Promise<Blob|null>} null if it cannot be decoded
 */
export async function withoutMetadata(file) {
  const size = await sizeOf(file).catch(() => null);
  return size && asJpeg(file, within(size, LARGEST_SIDE / Math.max(size.width, size.height)), QUALITY);
}

/**
 * Make the small picture for lists: a list of large photographs would fill the memory.
 * @param {Blob} file @param {Size} size of the image
 * @returns {Promise<Blob|null>} null if it cannot be decoded
 */
export function thumbnail(file, size) {
  const { width, height } = size;
  const scale = Math.min(THUMBNAIL_SIDE / Math.min(width, height), 4 * THUMBNAIL_SIDE / Math.max(width, height));
  return asJpeg(file, within(size, scale), 0.8);
}

/** @param {Size} size @param {number} scale never enlarges @returns {Size} */
function within({ width, height }, scale) {
  const [across, down] = [width, height].map((side) => Math.max(1, Math.round(side * Math.min(1, scale))));
  return { width: across, height: down };
}

/**
 * Decode an image, upright, and encode it again. Its pixels are let go at once; those of an `<img>` stay in the browser's cache.
 * @param {Blob} file @param {Size} size @param {number} quality @returns {Promise<Blob|null>} null if it cannot be decoded
 */
async function asJpeg(file, { width, height }, quality) {
  const pixels = await createImageBitmap(file).catch(() => null);
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  if (!pixels || !context) return null;
  canvas.width = width;
  canvas.height = height;
  // A JPEG has no transparency; the service uses a white background too.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(pixels, 0, 0, width, height);
  pixels.close();
  /** @type {Blob|null} */
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
  canvas.width = canvas.height = 0;
  return blob;
}
