/** When and by which model a result was made, and the button to save it. */

import { element } from "./dom.js";
import { measuredTexts, prevalenceText } from "./model-view.js";
import { isFromDevice } from "./on-device.js";
import { saveJson } from "./save.js";
import { clockTime, t } from "./texts.js";

/** @typedef {import("./worklist.js").Item} Item */

/** When and by which model an image was predicted. @param {Item} item */
export function provenance(item) {
  const { model } = item.answer;
  const at = item.answeredAt ?? new Date();
  return element("p", { class: "provenance" },
    t("result.answered", { time: clockTime(at), model: model.name, version: model.version }), " ",
    isFromDevice(item.answer) && `${t("offline.origin")} `,
    item.scaled && `${scaledText(item.scaled)} `,
    prevalenceText(model.version), " ",
    element("span", { class: "measured" }, measuredTexts(model.version).join(" ")));
}

/** @param {Item} item one with a response */
export const saveButton = (item) =>
  element("button", { type: "button", class: "button", onclick: () => saveJson(item) }, t("export.json"));

/** @param {{from: string, to: string}} scaled */
const scaledText = (scaled) => t(scaled.from === scaled.to ? "result.recoded" : "result.scaled", scaled);
