/** An image before it is sent: what kind of file it is, and a large one scaled down. */

import { Problem } from "./problem.js";

// The network sees 224x224; this keeps room for later, and a phone's photo well under a megabyte.
const LARGEST_SIDE = 1600;
// Any picture of that side without compression. What is larger carries something else along.
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
 * Look at the first bytes of a file, which tell more than its name.
 * @param {Blob} file
 * @throws {Problem} it is nothing that the service reads, so it need not leave the computer
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
 * Give what to send: the file as it is, or a large photograph smaller and upright.
 * @param {Blob} file
 * @returns {Promise<{blob: Blob, from: string|null, to: string|null}>} sizes only if it was scaled
 */
export async function toSend(file) {
  const image = await shown(file);
  // What this browser cannot show, a TIFF or a damaged file, the service must judge.
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
  // A JPEG has no transparency; the service lays it on white as well.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  // An <img> is drawn upright, as its EXIF orientation says.
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  if (!(blob instanceof Blob)) return { blob: file, from: null, to: null };
  return { blob, from: `${width} × ${height}`, to: `${canvas.width} × ${canvas.height}` };
}

/** The decoded file, or null where the browser cannot. @param {Blob} file */
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
