/** How sharp a picture is: the variance of its Laplacian (Pech-Pacheco et al., ICPR 2000, "Diatom autofocusing in brightfield microscopy"). Pure. */

/** Luma by ITU-R BT.601. @param {Uint8ClampedArray} rgba @returns {Float32Array} a number a pixel, 0 to 255 */
export function lumaOf(rgba) {
  const luma = new Float32Array(rgba.length / 4);
  for (let at = 0, from = 0; at < luma.length; at += 1, from += 4) luma[at] = 0.299 * rgba[from] + 0.587 * rgba[from + 1] + 0.114 * rgba[from + 2];
  return luma;
}

/**
 * The variance of the Laplacian; only of use between pictures of one scene and size.
 * @param {Float32Array} luma [height, width] @param {number} width at least 3 @param {number} height at least 3
 */
export function varianceOfLaplacian(luma, width, height) {
  let sum = 0;
  let squares = 0;
  for (let y = 1; y < height - 1; y += 1) {
    for (let at = y * width + 1; at < (y + 1) * width - 1; at += 1) {
      const value = luma[at - width] + luma[at - 1] + luma[at + 1] + luma[at + width] - 4 * luma[at];
      sum += value;
      squares += value * value;
    }
  }
  const count = (width - 2) * (height - 2);
  return squares / count - (sum / count) ** 2;
}
