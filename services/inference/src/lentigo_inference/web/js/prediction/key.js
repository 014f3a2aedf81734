/** The API key: asked for when the service needs one, kept until this tab is closed. */

import { byId } from "../dom.js";
import { isForbidden, store, stored } from "../store.js";

const KEY_PLACE = "lentigo-key";

/** The headers with the key; empty without one. @returns {Record<string, string>} */
export function keyHeaders() {
  const key = stored("sessionStorage", KEY_PLACE);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/**
 * Forget the key that a request was refused with, but not a newer one.
 * @param {Record<string, string>} headers those of the request
 */
export function forgetKey(headers) {
  if (headers.Authorization === keyHeaders().Authorization) store("sessionStorage", KEY_PLACE, null);
}

/** @type {Promise<boolean>|null} */
let asking = null;

/**
 * Ask for a key, unless there is one. Several calls at once share one dialog.
 * @returns {Promise<boolean>} whether there is one
 */
export function askForKey() {
  if (stored("sessionStorage", KEY_PLACE)) return Promise.resolve(true);
  asking ??= new Promise((answered) => {
    const dialog = byId("key-dialog");
    const field = byId("key");
    field.value = "";
    dialog.returnValue = "";
    byId("key-forbidden").hidden = !isForbidden;
    dialog.addEventListener("close", () => {
      const key = field.value.trim();
      field.value = "";
      asking = null;
      const entered = dialog.returnValue === "save" && key !== "";
      if (entered) store("sessionStorage", KEY_PLACE, key);
      answered(entered);
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}
