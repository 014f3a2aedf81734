/** The browser's storage, which a person or a hospital may forbid: then values last as long as the page. */

/** @type {Map<string, string>} */
const inMemory = new Map();

/** Whether a storage refused, so that nothing outlives this page. */
export let isForbidden = false;

/** @param {"localStorage"|"sessionStorage"} kind @param {string} key @returns {string|null} */
export function stored(kind, key) {
  try {
    return window[kind].getItem(key);
  } catch {
    isForbidden = true;
    return inMemory.get(key) ?? null;
  }
}

/** @param {"localStorage"|"sessionStorage"} kind @param {string} key @param {string|null} value null removes it */
export function store(kind, key, value) {
  if (value === null) inMemory.delete(key);
  else inMemory.set(key, value);
  try {
    if (value === null) window[kind].removeItem(key);
    else window[kind].setItem(key, value);
    inMemory.delete(key);
  } catch {
    isForbidden = true;
  }
}
