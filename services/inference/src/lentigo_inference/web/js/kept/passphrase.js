/** The fields for the passphrase, and what stands for a reason why something failed. */

import { LEAST_CHARACTERS } from "./sealing.js";
import { KeptError } from "./store.js";

/** @typedef {import("../features.js").Page} Page */
/** @typedef {import("./vault.js").Vault} Vault */

/** The text of a failure. @param {Page} page @param {unknown} error */
export function failureText({ t }, error) {
  const reason = error instanceof KeptError ? error.reason : "other";
  return t(`kept.failed.${reason}`, { least: LEAST_CHARACTERS });
}

/** A paragraph of its own for failures, which a screen reader reads out. @param {Page} page @returns {HTMLElement} */
export const alertLine = ({ element }) => element("p", { class: "alert", role: "alert" });

/**
 * The fields that a state needs, and what opens the vault with them.
 * @param {Page} page @param {Vault} vault @param {"new"|"locked"|"unlocked"} state @param {string} prefix of the fields' ids
 * @returns {{fields: HTMLElement[], open: () => Promise<void>}}
 */
export function passphraseFields(page, vault, state, prefix) {
  const { element, t } = page;
  const field = (/** @type {string} */ name, /** @type {string} */ complete) => element("input", {
    type: "password", id: `${prefix}-${name}`, autocomplete: complete, required: true, spellcheck: "false",
  });
  const row = (/** @type {HTMLElement} */ input, /** @type {string} */ text) =>
    element("div", { class: "field" }, element("label", { for: input.id }, text), input);
  if (state === "unlocked") return { fields: [], open: async () => undefined };
  if (state === "locked") {
    const known = field("passphrase", "current-password");
    return { fields: [row(known, t("kept.passphrase"))], open: () => vault.unlock(known.value) };
  }
  const texts = [t("kept.new", { least: LEAST_CHARACTERS }), t("kept.repeat")];
  const [chosen, repeated] = ["new", "repeat"].map((name) => field(name, "new-password"));
  return { fields: [row(chosen, texts[0]), row(repeated, texts[1])], open: () => vault.create(chosen.value, repeated.value) };
}
