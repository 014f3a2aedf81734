/**
 * Seal and open what is kept: PBKDF2 with HMAC-SHA-256 makes a key from a passphrase (NIST SP 800-132), with which AES-256-GCM
 * encrypts and authenticates (NIST SP 800-38D). Pure but for the browser's own cryptography.
 *
 * @typedef {{iterations: number, salt: Uint8Array}} Derivation how the key was made; not secret
 * @typedef {{iv: Uint8Array, data: ArrayBuffer}} Sealed
 */

/** OWASP's Password Storage Cheat Sheet for PBKDF2-HMAC-SHA256. */
export const ITERATIONS = 600_000;
// A damaged number must not keep a phone busy for minutes.
const MOST_ITERATIONS = 10_000_000;

/** Characters of a passphrase that is the only protection (NIST SP 800-63B-4, section 3.1.1.2). */
export const LEAST_CHARACTERS = 15;

const SALT_BYTES = 16;
const IV_BYTES = 12;

/** @returns {Derivation} with a salt of its own */
export const newDerivation = () => ({ iterations: ITERATIONS, salt: crypto.getRandomValues(new Uint8Array(SALT_BYTES)) });

/** Whether a derivation that was read is one that may be used. @param {any} derivation */
export const isDerivation = (derivation) => Number.isInteger(derivation?.iterations) &&
  derivation.iterations >= ITERATIONS && derivation.iterations <= MOST_ITERATIONS &&
  derivation.salt instanceof Uint8Array && derivation.salt.length === SALT_BYTES;

/** Characters as a person counts them. @param {string} passphrase */
export const lengthOf = (passphrase) => [...passphrase.normalize("NFKC")].length;

/**
 * Make the key. It cannot be read out again, by this page or by any script in it.
 * @param {string} passphrase @param {Derivation} derivation @returns {Promise<CryptoKey>}
 */
export async function deriveKey(passphrase, { iterations, salt }) {
  // The same letters may be typed in several ways; NFKC makes them the same bytes.
  const typed = new TextEncoder().encode(passphrase.normalize("NFKC"));
  const material = await crypto.subtle.importKey("raw", typed, "PBKDF2", false, ["deriveKey"]);
  return crypto.subtle.deriveKey({ name: "PBKDF2", hash: "SHA-256", iterations, salt }, material,
    { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

/**
 * Encrypt, each time with a fresh IV.
 * @param {CryptoKey} key @param {BufferSource} content @param {string} name what it is: it opens under this name alone
 * @returns {Promise<Sealed>}
 */
export async function seal(key, content, name) {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const additionalData = new TextEncoder().encode(name);
  return { iv, data: await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, content) };
}

/**
 * Decrypt.
 * @param {CryptoKey} key @param {Sealed} sealed @param {string} name under which it was sealed
 * @returns {Promise<ArrayBuffer|null>} null if the key is another one, or anything was changed
 */
export async function unseal(key, sealed, name) {
  try {
    const additionalData = new TextEncoder().encode(name);
    return await crypto.subtle.decrypt({ name: "AES-GCM", iv: sealed.iv, additionalData }, key, sealed.data);
  } catch {
    return null;
  }
}
