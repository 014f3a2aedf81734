/** Check the kind of a file before it is sent, and scale down a large image. */

import { Problem } from "./problem.js";

// The network needs 224x224. This leaves room for later, and keeps a phone's photo far below 1 MB.
const LARGEST_SIDE = 1600;
// An uncompressed image with that side. A larger file has other content besides the image.
const LARGEST_BYTES = LARGEST_SIDE ** 2 * 4;
const QUALITY = 0.92;

/** Beginnings of the files that the service reads. @type {[RegExp, string][]} */
const KINDS = [
  [/^\xff\xd8\xff/, "jpeg"],
  [/^\x89PNG\r\n\x1a\n/, "png"],
  [/^RIFF[^]{4}WEBP/, "webp"],
  [/^BM/, "bmp"],
  [/^(II\*\0|MM\0\*)/, "tiff"],
  [/^[^]{4}ftyp(hei[cmsx]|hev[cmx]|mif1|msf1)/, "heic"],
];

/**
 * Check the first bytes of a file, which are more reliable than its name.
 * @param {Blob} file
 * @throws {Problem} the service cannot read it, so it is not sent
 */
export async function checkKind(file) {
  if (file.size === 0) throw new Problem("empty-image");
  let bytes;
  try {
    bytes = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  } catch {
    throw new Problem("unsupported-image");
  }
  const start = String.fromCharCode(...bytes);
  const kind = KINDS.find(([beginning]) => beginning.test(start))?.[1];
  if (kind === "heic") throw new Problem("heic");
  if (kind === undefined) throw new Problem("unsupported-image");
}

/**
 * Return what to send: the file as it is, or a large image scaled down and upright.
 * @param {Blob} file
 * @returns {Promise<{blob: Blob, from: string|null, to: string|null}>} sizes only if it was scaled
 */
export async function toSend(file) {
  const image = await shown(file);
  // The service must check what this browser cannot show, such as a TIFF or a damaged file.
  if (image === null) return { blob: file, from: null, to: null };
  const { naturalWidth: width, naturalHeight: height } = image;
  const side = Math.max(width, height);
  if (side <= LARGEST_SIDE && file.size <= LARGEST_BYTES) return { blob: file, from: null, to: null };
  const scale = Math.min(1, LARGEST_SIDE / side);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (!context) return { blob: file, from: null, to: null };
  // A JPEG has no transparency; the service uses a white background too.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  // drawImage follows the EXIF orientation of an <img>.
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  if (!(blob instanceof Blob)) return { blob: file, from: null, to: null };
  return { blob, from: `${width} × ${height}`, to: `${canvas.width} × ${canvas.height}` };
}

/** The decoded file, or null if the browser cannot decode it. @param {Blob} file */
async function shown(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image;
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
}
