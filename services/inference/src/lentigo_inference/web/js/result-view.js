/** The view of a result: diagnosis, referral and probabilities. */

import { element, setShare } from "./dom.js";
import { thresholdSource } from "./model-view.js";
import { provenance, saveButton } from "./provenance.js";
import { warning } from "./quality-view.js";
import { compared, diagnosisName, differsText, probability, t } from "./texts.js";

/** @typedef {import("./worklist.js").Item} Item */

/** @param {Item} item one with a diagnosis @param {HTMLElement} remove */
export function resultView(item, remove) {
  const { diagnosis, most_probable: other, probabilities, model } = item.answer;
  const warned = warning(item.answer);
  return element("div", { class: "result" },
    warned,
    element("p", { class: "overline", id: "result-title" }, t(other ? "result.suggested" : "result.title")),
    element("h2", { tabindex: -1, "data-focus": true, "aria-describedby": warned ? "result-title warning" : "result-title" },
      diagnosisName(diagnosis.code, diagnosis.name)),
    element("p", { class: "probability" },
      t("result.probability", { percent: probability(diagnosis.probability) })),
    other ? element("p", { class: "differs" },
      element("span", {}, differsText(other)), element("span", { class: "hint" }, t("result.differsWhy"))) : null,
    diagnosis.confident === false && element("p", { class: "unsure" },
      element("span", { "aria-hidden": "true" }, "▲ "), t("result.unconfident")),
    element("p", { class: "notice" }, t("notice")),
    verdict(item.answer.malignancy, thresholdSource(model.version)),
    element("h3", { id: "bars-title" }, t("result.all")),
    element("ol", { class: "bars", "aria-labelledby": "bars-title" }, ...probabilities.map(bar)),
    provenance(item),
    element("div", { class: "actions" },
      element("button", { type: "button", class: "button", onclick: () => window.print() }, t("export.print")),
      saveButton(item),
      remove));
}

/** @param {any} entry one of `probabilities` */
function bar(entry) {
  return element("li", { class: entry.malignant ? "malignant" : "" },
    element("span", { class: "name" }, diagnosisName(entry.code, entry.name),
      entry.malignant && element("span", { class: "tag" }, t("result.malignant"))),
    element("span", { class: "value" }, probability(entry.probability)),
    setShare(element("span", { class: "bar", "aria-hidden": "true" }), "--share", entry.probability));
}

/**
 * @param {{probability: number, threshold: number, refer: boolean, reasons: string[]}} malignancy
 * @param {string} source how the threshold was chosen
 */
function verdict({ probability: together, threshold, refer, reasons }, source) {
  const [reached, needed] = compared(together, threshold);
  const values = { percent: reached, threshold: needed };
  const meter = element("div", { class: "meter", "aria-hidden": "true" },
    element("span", { class: "fill" }), element("span", { class: "mark" }),
    element("span", { class: "mark-text" }, t("result.threshold", { percent: values.threshold })));
  setShare(meter, "--share", together);
  setShare(meter, "--threshold", threshold);
  // Other reasons come first if the malignant diagnoses stay below the threshold.
  const others = [
    reasons.includes("unusable") && element("p", {}, t("result.referUnusable")),
    reasons.includes("unconfident") && element("p", {}, t("result.referUnconfident")),
  ];
  const malignant = reasons.includes("malignancy");
  return element("section", { class: refer ? "verdict refer" : "verdict", "aria-labelledby": "verdict" },
    element("h3", { id: "verdict" }, element("span", { "aria-hidden": "true" }, refer ? "▲ " : "○ "),
      t(refer ? "result.refer" : "result.noRefer")),
    ...(malignant ? [] : others),
    element("p", {}, t(malignant ? "result.referWhy" : "result.noReferWhy", values)),
    meter,
    ...(malignant ? others : []),
    source !== "" && element("details", {}, element("summary", {}, t("result.thresholdSource")),
      // The trainer writes this in English, whatever the language of the page.
      element("p", { class: "hint", lang: "en" }, source)));
}
