/** When, by which model and by which rules a result was made: one sentence, and the rest folded away. */

import { element } from "../dom.js";
import { clockTime, percent, t } from "../language/texts.js";
import { measuredTexts, modelOf, prevalenceText } from "../model-view.js";
import { isFromDevice } from "../prediction/on-device.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */

/** @param {Item} item an answered one */
export function origins(item) {
  const { model } = item.answer;
  const time = clockTime(item.answeredAt ?? new Date());
  return element("details", { class: "origins" },
    element("summary", {}, t("result.answered", { time, model: model.name, version: model.version }),
      isFromDevice(item.answer) && ` ${t("offline.origin")}`),
    element("dl", {}, ...entries(item).map(([name, ...values]) => [name, values.filter(Boolean)]).flatMap(([name, values]) =>
      (values.length ? [element("dt", {}, t(`origins.${name}`)), ...values.map((/** @type {any} */ value) => element("dd", {}, value))] : []))));
}

/** Names of texts, and what is said of each. @param {Item} item @returns {any[][]} */
function entries(item) {
  const { model, image, diagnosis, malignancy } = item.answer;
  const version = modelOf(model.version);
  return [
    ["model", t("model.name", model)],
    ["digest", model.digest && element("code", { dir: "ltr" }, model.digest)],
    ["image", element("bdi", { dir: "ltr" }, `${image.format}, ${image.width} × ${image.height}`), item.scaled && scaledText(item.scaled)],
    ["decision", diagnosis && t(diagnosis.decided_by === "balanced" ? "origins.balanced" : "origins.probable")],
    ["prevalence", prevalenceText(model.version)],
    ["threshold", typeof malignancy.threshold === "number" && percent(malignancy.threshold, 2), english(version?.threshold_source)],
    ["calibration", english(version?.malignancy_source)],
    ["limit", typeof version?.abstention_threshold === "number" && percent(version.abstention_threshold), english(version?.abstention_source)],
    ["measured", measuredTexts(model.version).join(" ")],
    ["licence", english(version?.license)],
  ];
}

/** The trainer writes in English, whatever the language of the page. @param {string|null|undefined} text */
const english = (text) => (text ? element("span", { lang: "en", dir: "ltr" }, text) : null);

/** @param {{from: string, to: string}} scaled */
const scaledText = (scaled) => t(scaled.from === scaled.to ? "result.recoded" : "result.scaled", scaled);
