/** Results kept on this device: what the page calls. */

import { askAndKeep } from "./keep-dialog.js";
import { Section } from "./section.js";
import { Vault } from "./vault.js";

/** @typedef {import("../features.js").Page} Page */
/** @typedef {import("../worklist/worklist.js").Item} Item */

/** @type {Promise<Vault>|null} */
let opening = null;

/** @type {Section|null} */
let section = null;

/** @returns {Promise<Vault>} @throws {import("./store.js").KeptError} */
function openVault() {
  opening ??= Vault.open().catch((error) => {
    opening = null;
    throw error;
  });
  return opening;
}

/** Show what is kept. @param {HTMLElement} place @param {Page} page */
export async function showKept(place, page) {
  section ??= new Section(place, openVault);
  await section.show(page);
}

/** Ask how one result shall be kept, and keep it. @param {Item} item @param {Page} page @returns {Promise<boolean>} whether it is kept */
export const keepResult = (item, page) => askAndKeep(item, openVault, page);
