/** The service's key: asked for when the service wants one, kept for the session of this tab. */

import { byId } from "./dom.js";

const PLACE = "lentigo-key";

/** The headers that show the key; none while there is none. @returns {Record<string, string>} */
export function keyHeaders() {
  const key = sessionStorage.getItem(PLACE);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/**
 * Drop the key that a request was refused with, but not another that was given since.
 * @param {Record<string, string>} headers those of the request
 */
export function forgetKey(headers) {
  if (headers.Authorization === keyHeaders().Authorization) sessionStorage.removeItem(PLACE);
}

/** @type {Promise<boolean>|null} */
let asking = null;

/**
 * Ask for a key, unless one was given since the last was refused; several who ask at once share one
 * dialog.
 * @returns {Promise<boolean>} whether there is one
 */
export function askForKey() {
  if (sessionStorage.getItem(PLACE)) return Promise.resolve(true);
  asking ??= new Promise((answered) => {
    const dialog = byId("key-dialog");
    const field = byId("key");
    field.value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      const key = field.value.trim();
      field.value = "";
      asking = null;
      const given = dialog.returnValue === "save" && key !== "";
      if (given) sessionStorage.setItem(PLACE, key);
      answered(given);
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}
