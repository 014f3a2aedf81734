/** The EXIF orientation (CIPA DC-008, tag 0x0112) of an image: imaging/containers/exif.py. */

export const UPRIGHT = 1;

const ORIENTATION = 0x0112;
const SHORT = 3;
const MOST_ENTRIES = 1000;

/** The orientation, 1 to 8, in an EXIF block; 1 if it is damaged or says nothing. @param {Uint8Array} block */
export function orientationIn(block) {
  const start = textAt(block, 0, 6) === "Exif\0\0" ? 6 : 0;
  const order = textAt(block, start, 4);
  if (order !== "II*\0" && order !== "MM\0*") return UPRIGHT;
  const little = order === "II*\0";
  const view = new DataView(block.buffer, block.byteOffset + start, block.length - start);
  try {
    const directory = view.getUint32(4, little);
    const entries = Math.min(view.getUint16(directory, little), MOST_ENTRIES);
    for (let entry = directory + 2; entry < directory + 2 + 12 * entries; entry += 12) {
      // All of an entry has to be there.
      view.getUint16(entry + 10, little);
      if (view.getUint16(entry, little) !== ORIENTATION) continue;
      const value = view.getUint16(entry + 8, little);
      return view.getUint16(entry + 2, little) === SHORT && value >= 1 && value <= 8 ? value : UPRIGHT;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return UPRIGHT;
}

/** Bytes as letters. @param {Uint8Array} bytes @param {number} start @param {number} length */
export const textAt = (bytes, start, length) => String.fromCharCode(...bytes.subarray(start, start + length));
