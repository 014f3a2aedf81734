/** The choice of the language. */

import { byId, element } from "../dom.js";
import { currentLanguage, keepLanguage, LANGUAGES, loadTexts, preferredLanguage, t } from "./texts.js";

const SHELL = "lentigo-shell";

/** Load the preferred language, or English where its file cannot be had. */
export async function startTexts() {
  const wished = preferredLanguage();
  await loadTexts(wished).catch(() => loadTexts("en"));
  showReview();
}

/**
 * Offer the languages.
 * @param {() => void} redraw draws everything again that was written by code
 * @param {(text: string) => void} tell says what went wrong
 */
export function listenForLanguage(redraw, tell) {
  const choice = byId("language");
  choice.replaceChildren(...Object.entries(LANGUAGES).map(([code, { name, dir }]) =>
    element("option", { value: code, lang: code, dir, selected: code === currentLanguage() }, name)));
  choice.addEventListener("change", async () => {
    try {
      await loadTexts(choice.value);
    } catch {
      choice.value = currentLanguage();
      return tell(t("language.failed"));
    }
    keepLanguage(choice.value);
    void keepForOffline();
    showReview();
    redraw();
  });
}

/** Keep the texts in use for the service worker, which keeps no language by itself. */
export async function keepForOffline() {
  try {
    const cache = await caches.open(SHELL);
    await cache.add(new Request(`page/locales/${currentLanguage()}.json`, { cache: "force-cache" }));
  } catch {
    // No storage, or no service: then the page does not open without a network either.
  }
}

/** Say so where no clinician has read the texts. */
function showReview() {
  const note = byId("review");
  note.hidden = t("reviewed.by") !== "";
  note.textContent = note.hidden ? "" : t("language.unreviewed");
}
