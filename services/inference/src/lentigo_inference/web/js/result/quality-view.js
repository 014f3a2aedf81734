/** Why an image cannot be assessed, and what to do about it. */

import { element } from "../dom.js";
import { keepButton } from "../features.js";
import { hasText, t } from "../language/texts.js";
import { predictAnyway } from "../prediction/attempt.js";
import { exportButtons } from "./export-view.js";
import { origins } from "./origins-view.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {import("../worklist/worklist.js").Worklist} Worklist */

/** Whether the response for an image has no diagnosis. @param {Item} item */
export const isWithheld = (item) => item.answer !== null && item.answer.diagnosis === null;

/** The reasons why an image cannot be assessed, one sentence each. @param {any} answer @returns {string[]} */
export const flawTexts = ({ quality, image }) =>
  quality.reasons.map((/** @type {string} */ reason) => textOf(reason, "why", image) || reason);

/**
 * The view of a response without a diagnosis.
 * @param {Worklist} list @param {Item} item @param {HTMLElement} remove
 */
export function withheldView(list, item, remove) {
  return element("div", { class: "withheld" },
    element("p", { class: "overline", id: "withheld-title" }, t("quality.none")),
    element("h2", { tabindex: -1, "data-focus": true, "aria-describedby": "withheld-title" }, t("quality.title")),
    flaws(item.answer),
    element("p", { class: "notice" }, t("notice")),
    element("section", { class: "verdict refer", "aria-labelledby": "verdict" },
      element("h3", { id: "verdict" }, element("span", { "aria-hidden": "true" }, "▲ "), t("result.refer")),
      element("p", {}, t("quality.refer"))),
    origins(item),
    element("p", { class: "hint", id: "anyway" }, t("quality.anywayHint")),
    element("div", { class: "actions" },
      element("button", {
        type: "button", class: "button", "aria-describedby": "anyway", onclick: () => void predictAnyway(list, item),
      }, t("quality.anyway")),
      keepButton(item), ...exportButtons(item), remove));
}

/** That a picture is no lesion, and what its answer is worth. @param {Item} item */
export function drawnNote(item) {
  if (!item.drawn) return null;
  const why = flawTexts(item.answer).join(" ");
  return element("section", { class: "verdict", id: "drawn" },
    element("h3", {}, t("example.mark")),
    element("p", {}, t("example.why")),
    item.forced && element("p", {}, t("example.forced", { why })));
}

/** The warning above a result that was predicted anyway. @param {any} answer */
export function warning(answer) {
  if (answer.quality.accepted) return null;
  return element("section", { class: "problem", id: "warning", "aria-labelledby": "warning-title" },
    element("h3", { id: "warning-title" }, element("span", { "aria-hidden": "true" }, "▲ "), t("quality.forced")),
    element("p", {}, [...flawTexts(answer), t("quality.forcedWhy")].join(" ")));
}

/** @param {any} answer */
function flaws(answer) {
  const { quality, image } = answer;
  const texts = flawTexts(answer);
  return element("ul", { class: "flaws" }, ...texts.map((why, place) =>
    element("li", {}, element("strong", {}, why), " ", textOf(quality.reasons[place], "todo", image))));
}

/** Empty for an unknown reason, from a newer service. @param {string} reason @param {string} part @param {any} image */
function textOf(reason, part, { width, height }) {
  const key = `flaw.${reason}.${part}`;
  return hasText(key) ? t(key, { width, height }) : "";
}
