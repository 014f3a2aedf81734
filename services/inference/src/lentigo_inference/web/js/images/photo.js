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

/**
 * Read the header of an image, without decoding its pixels.
 * @param {Blob} file
 * @returns {Promise<{image: HTMLImageElement, width: number, height: number}|null>} null if this browser cannot show it
 * @throws {Problem} it has too many pixels
 */
export async function openImage(file) {
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
    return { image, width, height };
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
  const opened = await openImage(file);
  // The service must check what this browser cannot show, such as a TIFF or a damaged file.
  if (opened === null || !(await decodes(opened.image))) return asItIs;
  const { image, width, height } = opened;
  const side = Math.max(width, height);
  if (side <= LARGEST_SIDE && file.size <= LARGEST_BYTES) return asItIs;
  const scale = Math.min(1, LARGEST_SIDE / side);
  const canvas = drawn(image, width * scale, height * scale);
  const blob = canvas && await encoded(canvas, QUALITY);
  if (!canvas || !blob) return asItIs;
  return { blob, from: `${width} × ${height}`, to: `${canvas.width} × ${canvas.height}` };
}

/**
 * The image as a JPEG of this browser, scaled down if it is large, without anything that a camera wrote beside the pixels.
 * @param {Blob} file
 * @returns {Promise<Blob|null>} null if it cannot be decoded
 */
export async function withoutMetadata(file) {
  const opened = await openImage(file).catch(() => null);
  if (opened === null || !(await decodes(opened.image))) return null;
  const scale = Math.min(1, LARGEST_SIDE / Math.max(opened.width, opened.height));
  const canvas = drawn(opened.image, opened.width * scale, opened.height * scale);
  return canvas && encoded(canvas, QUALITY);
}

/**
 * Make the small picture for lists: a list of large photographs would fill the memory.
 * @param {HTMLImageElement} image
 * @returns {Promise<Blob|null>} null if it cannot be decoded
 */
export async function thumbnail(image) {
  if (!(await decodes(image))) return null;
  const { naturalWidth: width, naturalHeight: height } = image;
  const scale = Math.min(1, THUMBNAIL_SIDE / Math.min(width, height), 4 * THUMBNAIL_SIDE / Math.max(width, height));
  const canvas = drawn(image, width * scale, height * scale);
  return canvas && encoded(canvas, 0.8);
}

/** @param {HTMLImageElement} image */
const decodes = (image) => image.decode().then(() => true, () => false);

/** @param {HTMLCanvasElement} canvas @param {number} quality @returns {Promise<Blob|null>} */
const encoded = (canvas, quality) => new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));

/** @param {HTMLImageElement} image @param {number} width @param {number} height */
function drawn(image, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  const context = canvas.getContext("2d");
  if (!context) return null;
  // A JPEG has no transparency; the service uses a white background too.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  // drawImage follows the EXIF orientation of an <img>.
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}
