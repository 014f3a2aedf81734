/** Announcements for screen readers. */

import { byId } from "./dom.js";
import { diagnosisName, differsText, probability, t } from "./language/texts.js";
import { flawTexts, isWithheld } from "./result/quality-view.js";
import { stateText } from "./worklist/list-view.js";

/** @typedef {import("./worklist/worklist.js").Item} Item */

/** @type {WeakMap<Item, string>} */
const announced = new WeakMap();

/** Announce a change of an item's state, once. @param {Item} item */
export function announce(item) {
  if (item.state === "ready" || announced.get(item) === item.state) return;
  announced.set(item, item.state);
  say(item.state === "done" ? resultText(item) : `${item.name}: ${stateText(item)}`);
}

/** @param {string} text */
export function say(text) {
  byId("status").textContent = text;
}

/** @param {Item} item */
function resultText(item) {
  const { name, answer } = item;
  const { diagnosis, most_probable: other, malignancy, quality } = answer;
  const flaws = flawTexts(answer).join(" ");
  if (isWithheld(item)) return `${t("quality.announce", { name, flaws })} ${t("quality.refer")} ${t("notice")}`;
  const warned = quality.accepted ? "" : `${t("quality.forced")}: ${flaws} `;
  const unsure = diagnosis.confident === false ? `${t("result.unconfident")} ` : "";
  const suggested = diagnosis && diagnosisName(diagnosis.code, diagnosis.name);
  const differs = other
    ? `${differsText(other)} ${t("result.differsWhy", { suggested, probable: diagnosisName(other.code, other.name) })} ` : "";
  const drawn = item.drawn ? `${t("example.mark")} ` : "";
  return `${drawn}${warned}${t("result.announce", {
    name,
    diagnosis: suggested,
    percent: probability(diagnosis.probability),
    verdict: t(malignancy.refer ? "result.refer" : "result.noRefer"),
  })} ${differs}${unsure}${t("notice")}`;
}
