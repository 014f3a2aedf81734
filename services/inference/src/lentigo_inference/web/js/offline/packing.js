/** Unpack a file of float32 weights: the service's api/packed_weights.py has the format. */

const BLOCK_WORDS = 256;
const PIECE_BLOCKS = 256;
const OTHER = -128;

/**
 * The file as it was before it was packed.
 * @param {Uint8Array} packed @param {number} bytes of the file @returns {ArrayBuffer}
 * @throws {RangeError} cut off
 */
export function unpack(packed, bytes) {
  const blocks = Math.ceil(bytes / (4 * BLOCK_WORDS));
  const words = new Uint32Array(blocks * BLOCK_WORDS);
  const floats = new Float32Array(words.buffer);
  let at = packed.byteOffset;
  const take = (/** @type {number} */ count) => {
    const taken = new Uint8Array(packed.buffer, at, count);
    at += count;
    return taken;
  };
  for (let first = 0; first < blocks; first += PIECE_BLOCKS) {
    const powers = Int8Array.from(take(Math.min(PIECE_BLOCKS, blocks - first)));
    const others = powers.filter((power) => power === OTHER).length * BLOCK_WORDS;
    const planesOf = (/** @type {number} */ count, /** @type {number} */ size) => Array.from({ length: size }, () => take(count));
    const [low, high] = planesOf(powers.length * BLOCK_WORDS - others, 2);
    const [a, b, c, d] = planesOf(others, 4);
    let [number, other] = [0, 0];
    powers.forEach((power, block) => {
      const start = (first + block) * BLOCK_WORDS;
      for (let word = start; word < start + BLOCK_WORDS; word += 1) {
        if (power === OTHER) {
          words[word] = a[other] | (b[other] << 8) | (c[other] << 16) | (d[other] << 24);
          other += 1;
        } else {
          const zigzag = low[number] | (high[number] << 8);
          floats[word] = ((zigzag >>> 1) ^ -(zigzag & 1)) * 2 ** power;
          number += 1;
        }
      }
    });
  }
  return words.buffer.slice(0, bytes);
}
