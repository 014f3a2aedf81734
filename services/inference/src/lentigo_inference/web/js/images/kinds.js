/** What a file is by its first bytes, which are more reliable than its name. */

import { Problem } from "../problem.js";

/** Beginnings of the files that the service reads, and of those it refuses for a reason of its own. @type {[RegExp, string][]} */
const KINDS = [
  [/^\xff\xd8\xff/, "readable"],
  [/^\x89PNG\r\n\x1a\n/, "readable"],
  [/^RIFF[^]{4}WEBP/, "readable"],
  [/^BM/, "readable"],
  [/^(II\*\0|MM\0\*)/, "readable"],
  [/^[^]{4}ftyp(hei[cmsx]|hev[cmx]|mif1|msf1)/, "heic"],
  [/^[^]{4}ftypavi[fs]/, "avif"],
  // MP4, QuickTime and 3GP; Matroska and WebM; AVI; MPEG.
  [/^([^]{4}(ftyp|moov|mdat|wide)|\x1a\x45\xdf\xa3|RIFF[^]{4}AVI |\0\0\x01[\xba\xb3])/, "video"],
  [/^[^]{128}DICM/, "dicom"],
];

/**
 * Check what a file is.
 * @param {Blob} file
 * @throws {Problem} the service cannot read it, so it is not sent
 */
export async function checkKind(file) {
  if (file.size === 0) throw new Problem("empty-image");
  let bytes;
  try {
    bytes = new Uint8Array(await file.slice(0, 132).arrayBuffer());
  } catch {
    // Moved or changed since it was chosen, or a folder.
    throw new Problem("unreadable-file");
  }
  const start = String.fromCharCode(...bytes);
  const kind = KINDS.find(([beginning]) => beginning.test(start))?.[1] ?? "unsupported-image";
  if (kind !== "readable") throw new Problem(kind);
}
