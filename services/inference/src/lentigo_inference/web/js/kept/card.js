/** One kept result in the list. */

import { failureText } from "./passphrase.js";

/** @typedef {import("../features.js").Page} Page */
/** @typedef {import("./vault.js").Vault} Vault */
/** @typedef {import("./vault.js").Kept} Kept */

/**
 * A result, or what stands for one that is damaged.
 * @param {Page} page @param {Vault} vault @param {Kept} kept @param {AbortSignal} gone aborts once the list is no longer shown
 * @returns {{card: HTMLElement, unfold: () => Promise<void>}} `unfold` shows all of it, for paper
 */
export function keptCard(page, vault, kept, gone) {
  const { element, t } = page;
  const remove = element("button", { type: "button", class: "button quiet", onclick: () => vault.remove(kept.id) }, t("kept.remove"));
  if (kept.result === null) {
    const card = element("li", {}, element("p", { class: "alert" }, t("kept.damaged")), element("div", { class: "actions" }, remove));
    return { card, unfold: async () => undefined };
  }
  const { result } = kept;
  const { answer } = result;
  const picture = element("div", { class: "kept-image", tabindex: -1 });
  const failed = element("p", { class: "alert", role: "alert" });
  const withImage = (/** @type {(image: Blob) => void} */ act) => async () => {
    try {
      const image = await vault.image(kept.id);
      if (image && !gone.aborted) act(image);
    } catch (error) {
      failed.textContent = failureText(page, error);
    }
  };
  const show = withImage((image) => {
    if (picture.childElementCount) return;
    const url = URL.createObjectURL(image);
    gone.addEventListener("abort", () => URL.revokeObjectURL(url));
    showButton?.remove();
    picture.append(element("img", { src: url, alt: t("stage.image", { name: result.note || page.clockTime(new Date(result.answered)) }) }));
    // Its button is gone, which had the focus.
    if (document.activeElement === document.body) picture.focus();
  });
  const reuse = withImage((image) => page.take([new File([image], result.note || "kept.jpg", { type: "image/jpeg" })]));
  const button = (/** @type {string} */ key, /** @type {() => unknown} */ press) => element("button", { type: "button", class: "button", onclick: press }, t(key));
  const showButton = kept.hasImage ? button("kept.showImage", show) : null;
  const details = element("details", {}, element("summary", {}, t("result.all")),
    element("ul", { class: "flaws" }, ...answer.probabilities.map((/** @type {any} */ entry) =>
      element("li", {}, page.diagnosisName(entry.code, entry.name), " ", element("span", { class: "value" }, page.probability(entry.probability))))));
  const card = element("li", {},
    ...headline(page, answer),
    result.note && element("p", {}, element("bdi", {}, result.note)),
    ...warnings(page, result).map((text) => element("p", { class: "alert" }, text)),
    element("p", { class: "hint" }, t("result.answered", { time: page.clockTime(new Date(result.answered)), model: answer.model.name, version: answer.model.version })),
    answer.diagnosis && details,
    picture, failed,
    element("div", { class: "actions" },
      showButton, kept.hasImage && button("kept.reuse", reuse), remove));
  return {
    card,
    unfold: async () => {
      details.open = true;
      if (!kept.hasImage) return;
      await show();
      await picture.querySelector("img")?.decode().catch(() => undefined);
    },
  };
}

/** Diagnosis, the most probable one where that is another, and referral. @param {Page} page @param {any} answer @returns {(HTMLElement|null)[]} */
function headline({ element, t, diagnosisName, differsText, probability }, { diagnosis, most_probable: other, malignancy }) {
  const refer = malignancy.refer;
  const verdict = element("p", { class: refer ? "refers" : "" }, `${refer ? "▲" : "○"} ${t(refer ? "result.refer" : "result.noRefer")}`);
  if (!diagnosis) return [element("h4", {}, t("quality.none")), verdict];
  return [
    element("p", { class: "hint" }, t(other ? "result.suggested" : "result.title")),
    element("h4", {}, diagnosisName(diagnosis.code, diagnosis.name)),
    element("p", {}, t("result.probability", { percent: probability(diagnosis.probability) })),
    other ? element("p", { class: "differs" }, element("strong", {}, differsText(other))) : null,
    verdict,
  ];
}

/** What was said of the image and of the diagnosis. @param {Page} page @param {any} result @returns {string[]} */
function warnings({ t, flawTexts }, { answer, forced, drawn_example: drawn }) {
  return [
    drawn && t("example.mark"),
    forced && answer.diagnosis && t("quality.forced"),
    ...(answer.quality.accepted ? [] : flawTexts(answer)),
    answer.diagnosis?.confident === false && t("result.unconfident"),
  ].filter(Boolean);
}
