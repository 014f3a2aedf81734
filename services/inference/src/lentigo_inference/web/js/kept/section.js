/** The section "Kept results": locked, or the list of results and what can be done with them. */

import { keptCard } from "./card.js";
import { exported } from "./export.js";
import { alertLine, failureText, passphraseFields } from "./passphrase.js";
import { IDLE_MINUTES } from "./vault.js";

/** @typedef {import("../features.js").Page} Page */
/** @typedef {import("./vault.js").Vault} Vault */
/** @typedef {import("./vault.js").Kept} Kept */

export class Section {
  /** @type {Vault|null} */
  #vault = null;
  /** Counts the drawings: several changes at once make several, and the last one counts. */
  #drawing = 0;
  /** Ends what the list holds, such as the addresses of images. */
  #drawn = new AbortController();

  /** @param {HTMLElement} place @param {() => Promise<Vault>} openVault */
  constructor(place, openVault) {
    this.place = place;
    this.openVault = openVault;
  }

  /** Draw it, and from then on at every change. @param {Page} page @param {string} [told] what is said above it */
  async show(page, told = "") {
    this.#drawing += 1;
    const drawing = this.#drawing;
    try {
      const vault = await this.openVault();
      if (this.#vault === null) {
        this.#vault = vault;
        vault.addEventListener("change", () => void this.show(page));
        vault.addEventListener("idle", () => void this.show(page, page.t("kept.relocked", { minutes: IDLE_MINUTES })));
      }
      const state = await vault.state();
      const count = await vault.count();
      const list = state === "unlocked" ? await vault.list() : [];
      if (drawing !== this.#drawing) return;
      this.#leave();
      this.#draw(page, told, ...(state === "new" && count === 0 ? [this.#none(page)]
        : state === "unlocked" ? this.#unlocked(page, vault, list) : this.#locked(page, vault, state, count)));
    } catch (error) {
      const count = await this.#vault?.count().catch(() => 0) ?? 0;
      if (drawing !== this.#drawing) return;
      this.#leave();
      this.#draw(page, failureText(page, error), ...(this.#vault ? [this.#removal(page, this.#vault, count)] : []));
    }
  }

  /** End what the list before held; the next one holds its own. */
  #leave() {
    this.#drawn.abort();
    this.#drawn = new AbortController();
  }

  /** @param {Page} page @param {string} told @param {...Node} parts */
  #draw(page, told, ...parts) {
    const line = alertLine(page);
    this.place.replaceChildren(line, ...parts);
    line.textContent = told;
  }

  /** @param {Page} page */
  #none({ element, t }) {
    return element("p", { class: "hint" }, t("kept.none"));
  }

  /** @param {Page} page @param {Vault} vault @param {"new"|"locked"} state @param {number} count */
  #locked(page, vault, state, count) {
    const { element, t } = page;
    const failed = alertLine(page);
    // Records without their header: nothing opens them.
    if (state === "new") return [element("p", { class: "alert" }, t("kept.failed.damaged")), this.#removal(page, vault, count)];
    const { fields, open } = passphraseFields(page, vault, "locked", "unlock");
    const unlock = element("button", { class: "button primary" }, t("kept.unlock"));
    const form = element("form", {
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        if (unlock.disabled) return;
        unlock.disabled = true;
        failed.textContent = "";
        try {
          await open();
          await this.show(page);
          this.place.querySelector("h3")?.focus();
        } catch (error) {
          failed.textContent = failureText(page, error);
        } finally {
          unlock.disabled = false;
        }
      },
    }, ...fields, failed, element("div", { class: "actions" }, unlock));
    return [element("p", {}, t("kept.locked", { count })), form, this.#removal(page, vault, count)];
  }

  /** @param {Page} page @param {Vault} vault @param {Kept[]} list */
  #unlocked(page, vault, list) {
    const { element, t } = page;
    const button = (/** @type {string} */ key, /** @type {() => unknown} */ press) => element("button", { type: "button", class: "button", onclick: press }, t(key));
    const cards = list.map((kept) => keptCard(page, vault, kept, this.#drawn.signal));
    const save = async () => page.save(await exported(vault, await vault.list(), page.notice, new Date()), "application/json", "kept", "json");
    return [
      element("h3", { tabindex: -1 }, t("kept.count", { count: list.length })),
      element("p", { class: "notice" }, t("notice")),
      element("ol", { class: "kept-list" }, ...cards.map(({ card }) => card)),
      element("div", { class: "actions" },
        list.length > 0 && button("export.allJson", save),
        list.length > 0 && button("export.print", () => printKept(cards)),
        button("kept.lock", () => vault.lock())),
      element("p", { class: "hint" }, t("kept.export")),
      this.#removal(page, vault, list.length),
    ];
  }

  /** The button that deletes everything, once it was confirmed. @param {Page} page @param {Vault} vault @param {number} count */
  #removal(page, vault, count) {
    const { element, t } = page;
    const place = element("div", { class: "actions" });
    const ask = element("button", { type: "button", class: "button quiet" }, t("kept.removeAll"));
    const back = () => {
      place.replaceChildren(ask);
      ask.focus();
    };
    ask.addEventListener("click", () => {
      const sure = element("button", { type: "button", class: "button", onclick: () => this.#removeAll(page, vault) }, t("kept.removeSure"));
      place.replaceChildren(element("p", { role: "alert" }, t("kept.sure", { count })), sure,
        element("button", { type: "button", class: "button quiet", onclick: back }, t("stage.cancel")));
      sure.focus();
    });
    place.append(ask);
    return place;
  }

  /** @param {Page} page @param {Vault} vault */
  async #removeAll(page, vault) {
    try {
      await vault.removeAll();
      page.say(page.t("kept.removed"));
    } catch (error) {
      await this.show(page, failureText(page, error));
    }
  }
}

/** Print the list alone, with all that is folded away and every image. @param {{unfold: () => Promise<void>}[]} cards */
async function printKept(cards) {
  for (const { unfold } of cards) await unfold();
  document.body.classList.add("print-kept");
  window.addEventListener("afterprint", () => document.body.classList.remove("print-kept"), { once: true });
  window.print();
}
