/** The view of a result: diagnosis, referral and probabilities. */

import { element, setShare } from "../dom.js";
import { keepButton } from "../features.js";
import { compared, diagnosisName, differsText, probability, t } from "../language/texts.js";
import { modelOf } from "../model-view.js";
import { exportButtons } from "./export-view.js";
import { origins } from "./origins-view.js";
import { drawnNote, warning } from "./quality-view.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */

/** @param {Item} item one with a diagnosis @param {HTMLElement} remove */
export function resultView(item, remove) {
  const { diagnosis, most_probable: other, probabilities } = item.answer;
  const warned = warning(item.answer);
  const name = diagnosisName(diagnosis.code, diagnosis.name);
  return element("div", { class: "result" },
    drawnNote(item),
    warned,
    element("p", { class: "overline", id: "result-title" }, t(other ? "result.suggested" : "result.title")),
    element("h2", { tabindex: -1, "data-focus": true, "aria-describedby": warned ? "result-title warning" : "result-title" }, name),
    element("p", { class: "probability" },
      t("result.probability", { percent: probability(diagnosis.probability) })),
    other ? differs(name, other) : null,
    diagnosis.confident === false && element("p", { class: "unsure" },
      element("span", { "aria-hidden": "true" }, "▲ "), unsureText(item.answer)),
    element("p", { class: "notice" }, t("notice")),
    verdict(item.answer.malignancy),
    element("h3", { id: "bars-title" }, t("result.all")),
    element("ol", { class: "bars", "aria-labelledby": "bars-title" }, ...probabilities.map(bar)),
    origins(item),
    element("div", { class: "actions" }, keepButton(item), ...exportButtons(item), remove));
}

/** Both diagnoses in words, where they differ. @param {string} suggested @param {any} other the most probable one */
function differs(suggested, other) {
  const probable = diagnosisName(other.code, other.name);
  return element("p", { class: "differs" },
    element("strong", {}, differsText(other)),
    element("span", {}, t("result.differsWhy", { suggested, probable })));
}

/** That the network's highest probability is low; it need not be that of the decided diagnosis. @param {any} answer */
export function unsureText({ model, probabilities }) {
  const limit = modelOf(model.version)?.abstention_threshold;
  const highest = probabilities[0].probability;
  // At a clinic's own prevalence the two cannot be compared: the limit is on the network's own probability.
  if (typeof limit !== "number" || highest >= limit) return t("result.unconfident");
  const [percent, least] = compared(highest, limit);
  return `${t("result.unconfident")} ${t("result.unconfidentWhy", { percent, least })}`;
}

/** @param {any} entry one of `probabilities` */
function bar(entry) {
  return element("li", { class: entry.malignant ? "malignant" : "" },
    element("span", { class: "name" }, diagnosisName(entry.code, entry.name),
      entry.malignant && element("span", { class: "tag" }, t("result.malignant"))),
    element("span", { class: "value" }, probability(entry.probability)),
    setShare(element("span", { class: "bar", "aria-hidden": "true" }), "--share", entry.probability));
}

/** @param {{probability: number, threshold: number, refer: boolean, reasons: string[]}} malignancy */
function verdict({ probability: together, threshold, refer, reasons }) {
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
    ...(malignant ? others : []));
}
