/** Kept results as JSON, in clear text. */

/** @typedef {import("./vault.js").Vault} Vault */
/** @typedef {import("./vault.js").Kept} Kept */

/**
 * All that can be read, each with its image if that was kept.
 * @param {Vault} vault @param {Kept[]} list @param {string} notice @param {Date} now @returns {Promise<string>}
 */
export async function exported(vault, list, notice, now) {
  const results = [];
  for (const { id, result, hasImage } of list) {
    if (result === null) continue;
    const image = hasImage ? await vault.image(id).catch(() => null) : null;
    results.push({ ...result, ...(image ? { image_jpeg_base64: base64(new Uint8Array(await image.arrayBuffer())) } : {}) });
  }
  return JSON.stringify({ notice, saved: now.toISOString(), damaged: list.filter(({ result }) => result === null).length, results }, null, 2);
}

/** @param {Uint8Array} bytes */
function base64(bytes) {
  // In pieces: a call takes only so many arguments.
  const pieces = [];
  for (let at = 0; at < bytes.length; at += 32_768) pieces.push(String.fromCharCode(...bytes.subarray(at, at + 32_768)));
  return btoa(pieces.join(""));
}
