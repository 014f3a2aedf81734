/** The service's key: asked for when the service wants one, kept for the session of this tab. */

import { byId } from "./dom.js";

const PLACE = "lentigo-key";

/** The headers that show the key; none while there is none. @returns {Record<string, string>} */
export function keyHeaders() {
  const key = sessionStorage.getItem(PLACE);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** @type {Promise<boolean>|null} */
let asking = null;

/**
 * Ask for a key; several who ask at once share one dialog.
 * @returns {Promise<boolean>} whether one was given
 */
export function askForKey() {
  asking ??= new Promise((answered) => {
    const dialog = byId("key-dialog");
    const field = byId("key");
    sessionStorage.removeItem(PLACE);
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
