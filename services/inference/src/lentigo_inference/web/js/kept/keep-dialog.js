/** "Keep on this device": how, under which passphrase, and with which note. */

import { alertLine, failureText, passphraseFields } from "./passphrase.js";

/** @typedef {import("../features.js").Page} Page */
/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {import("./vault.js").Vault} Vault */

const LONGEST_NOTE = 200;

/**
 * Ask, and keep the result.
 * @param {Item} item an answered one @param {() => Promise<Vault>} openVault @param {Page} page
 * @returns {Promise<boolean>} whether it is kept
 */
export async function askAndKeep(item, openVault, page) {
  const { element, t } = page;
  const place = element("div", { class: "dialog-body" });
  const dialog = element("dialog", { id: "keep-dialog", class: "wide", "aria-labelledby": "keep-title" },
    element("h2", { id: "keep-title" }, t("kept.dialog")), place);
  const closed = new Promise((done) => dialog.addEventListener("close", () => done(null)));
  let isKept = false;
  const finish = () => {
    isKept = true;
    dialog.close();
    page.say(t("kept.done"));
  };
  document.body.append(dialog);
  dialog.showModal();
  try {
    const vault = await openVault();
    await drawForm(place, vault, item, page, dialog, finish);
  } catch (error) {
    const line = alertLine(page);
    place.replaceChildren(line, element("div", { class: "actions" }, closeButton(page, dialog)));
    line.textContent = failureText(page, error);
  }
  await closed;
  dialog.remove();
  return isKept;
}

/** @param {Page} page @param {HTMLDialogElement} dialog */
const closeButton = ({ element, t }, dialog) =>
  element("button", { type: "button", class: "button", onclick: () => dialog.close() }, t("key.cancel"));

/** @param {HTMLElement} place @param {Vault} vault @param {Item} item @param {Page} page @param {HTMLDialogElement} dialog @param {() => void} finish */
async function drawForm(place, vault, item, page, dialog, finish) {
  const { element, t } = page;
  const passphrase = element("div", { class: "fields" });
  let state = "";
  let open = async () => undefined;
  const drawPassphrase = async () => {
    const now = await vault.state();
    if (now === state) return;
    state = now;
    const asked = passphraseFields(page, vault, now, "keep");
    open = asked.open;
    passphrase.replaceChildren(...asked.fields);
  };
  await drawPassphrase();
  const image = element("input", { type: "checkbox", id: "keep-image", disabled: !item.size });
  const note = element("input", { type: "text", id: "keep-note", maxlength: LONGEST_NOTE, autocomplete: "off" });
  const save = element("button", { class: "button primary" }, t("kept.keepNow"));
  const failed = alertLine(page);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (save.disabled) return;
    save.disabled = true;
    save.textContent = t("kept.working");
    failed.textContent = "";
    try {
      await open();
      await vault.keep(recordOf(item, note.value.trim(), image.checked, page), image.checked ? await imageOf(item, page) : null);
      finish();
    } catch (error) {
      failed.textContent = failureText(page, error);
      // Another tab may have set a passphrase, or it was right and then the disk was full.
      await drawPassphrase().catch(() => undefined);
    } finally {
      save.disabled = false;
      save.textContent = t("kept.keepNow");
    }
  };
  place.replaceChildren(element("form", { onsubmit: submit },
    element("p", {}, t("kept.why")),
    passphrase,
    element("label", { class: "name-choice" }, image, element("span", {}, t(item.size ? "kept.image" : "kept.imageUnreadable"))),
    element("div", { class: "field" }, element("label", { for: "keep-note" }, t("kept.note")), note),
    failed,
    element("div", { class: "actions" }, save, closeButton(page, dialog))));
  place.querySelector("input")?.focus();
}

/** What is kept of a result; the maps show the image, and stay only with it. @param {Item} item @param {string} note @param {boolean} withImage @param {Page} page */
function recordOf(item, note, withImage, page) {
  const record = page.resultRecord(item, false);
  if (!withImage) record.answer = { ...record.answer, activation_maps: undefined };
  return { kept: new Date().toISOString(), note, ...record };
}

/** The image without what a camera wrote beside it. @param {Item} item @param {Page} page @returns {Promise<Blob>} */
async function imageOf(item, page) {
  const image = await page.withoutMetadata(item.file);
  if (image === null) throw new Error("the browser cannot decode the image");
  return image;
}
