/** The answer in words and bars. */

import { element, setShare } from "./dom.js";
import { measuredTexts, thresholdSource } from "./model-view.js";
import { saveJson } from "./save.js";
import { clockTime, compared, diagnosisName, probability, t } from "./texts.js";

/** @typedef {import("./worklist.js").Item} Item */

/** @param {Item} item an answered one @param {HTMLElement} remove */
export function resultView(item, remove) {
  const { diagnosis, probabilities, model } = item.answer;
  const at = item.answeredAt ?? new Date();
  return element("div", { class: "result" },
    element("p", { class: "overline", id: "result-title" }, t("result.title")),
    element("h2", { tabindex: -1, "data-focus": true, "aria-describedby": "result-title" },
      diagnosisName(diagnosis.code, diagnosis.name)),
    element("p", { class: "probability" },
      t("result.probability", { percent: probability(diagnosis.probability) })),
    element("p", { class: "notice" }, t("notice")),
    verdict(item.answer.malignancy, thresholdSource(model.version)),
    element("h3", { id: "bars-title" }, t("result.all")),
    element("ol", { class: "bars", "aria-labelledby": "bars-title" }, ...probabilities.map(bar)),
    element("p", { class: "provenance" },
      t("result.answered", { time: clockTime(at), model: model.name, version: model.version }), " ",
      item.scaled && `${scaledText(item.scaled)} `,
      element("span", { class: "measured" }, measuredTexts(model.version).join(" "))),
    element("div", { class: "actions" },
      element("button", { type: "button", class: "button", onclick: () => window.print() }, t("export.print")),
      element("button", { type: "button", class: "button", onclick: () => saveJson(item) }, t("export.json")),
      remove));
}

/** @param {{from: string, to: string}} scaled */
const scaledText = (scaled) => t(scaled.from === scaled.to ? "result.recoded" : "result.scaled", scaled);

/** @param {any} entry one of `probabilities` */
function bar(entry) {
  return element("li", { class: entry.malignant ? "malignant" : "" },
    element("span", { class: "name" }, diagnosisName(entry.code, entry.name),
      entry.malignant && element("span", { class: "tag" }, t("result.malignant"))),
    element("span", { class: "value" }, probability(entry.probability)),
    setShare(element("span", { class: "bar", "aria-hidden": "true" }), "--share", entry.probability));
}

/**
 * @param {{probability: number, threshold: number, refer: boolean}} malignancy
 * @param {string} source how the threshold was chosen
 */
function verdict({ probability: together, threshold, refer }, source) {
  const [reached, needed] = compared(together, threshold);
  const values = { percent: reached, threshold: needed };
  const meter = element("div", { class: "meter", "aria-hidden": "true" },
    element("span", { class: "fill" }), element("span", { class: "mark" }),
    element("span", { class: "mark-text" }, t("result.threshold", { percent: values.threshold })));
  setShare(meter, "--share", together);
  setShare(meter, "--threshold", threshold);
  return element("section", { class: refer ? "verdict refer" : "verdict", "aria-labelledby": "verdict" },
    element("h3", { id: "verdict" }, element("span", { "aria-hidden": "true" }, refer ? "▲ " : "○ "),
      t(refer ? "result.refer" : "result.noRefer")),
    element("p", {}, t(refer ? "result.referWhy" : "result.noReferWhy", values)),
    meter,
    source !== "" && element("p", { class: "hint" },
      t("result.thresholdSource"), " ", element("span", { lang: "en" }, source)));
}
