/** The selected image and its result. */

import { byId, element } from "./dom.js";
import { t } from "./language/texts.js";
import { cancel, predictItem, tryNow } from "./prediction/attempt.js";
import { problemView } from "./result/problem-view.js";
import { isWithheld, withheldView } from "./result/quality-view.js";
import { reportPictures } from "./result/report-view.js";
import { resultView } from "./result/result-view.js";
import { lookView } from "./viewer/look-view.js";
import { isOpen, stateText } from "./worklist/list-view.js";

/** @typedef {import("./worklist/worklist.js").Item} Item */
/** @typedef {import("./worklist/worklist.js").Worklist} Worklist */

/** Draw the stage, again at every change of the selected item. @param {Worklist} list */
export function showStage(list) {
  const stage = byId("stage");
  const item = list.selected;
  if (!item) return stage.replaceChildren();
  const focused = document.activeElement;
  const hadFocus = stage.contains(focused);
  const panel = element("div", { class: "panel" }, ...beside(list, item));
  const look = lookView(list, item, (pressed) => {
    showStage(list);
    byId(pressed)?.focus();
  });
  stage.replaceChildren(look, panel, item.state === "done" ? reportPictures(item) : "");
  if (!hadFocus) return;
  // Who zooms while the answer comes goes on zooming.
  if (focused instanceof HTMLElement && focused.isConnected) focused.focus();
  else (panel.querySelector("[data-focus]") ?? stage).focus();
}

/** What stands beside an image. @param {Worklist} list @param {Item} item */
function beside(list, item) {
  if (item.state !== "done") return pending(list, item);
  const remove = removeButton(list, item);
  return [isWithheld(item) ? withheldView(list, item, remove) : resultView(item, remove)];
}

/** What stands beside an image without an answer. @param {Worklist} list @param {Item} item */
function pending(list, item) {
  const button = (/** @type {string} */ key, /** @type {() => void} */ press, main = false) =>
    element("button", {
      type: "button", class: main ? "button primary" : "button", "data-focus": main, onclick: press,
    }, t(key));
  const waits = item.state === "waiting" && item.problem?.retryAfter_s !== null;
  return [
    problemView(item),
    item.state === "working" && element("div", { class: "progress" },
      element("p", { tabindex: -1, "data-focus": true }, stateText(item)),
      element("div", { class: "track", "aria-hidden": "true" })),
    element("div", { class: "actions" },
      isOpen(item) && button(item.state === "failed" ? "stage.again" : "stage.predict",
        () => void predictItem(list, item), item.state === "ready"),
      waits && button("stage.retry", () => void tryNow(item)),
      item.attempt !== null && button("stage.cancel", () => cancel(list, item)),
      removeButton(list, item)),
  ].filter(Boolean);
}

/** @param {Worklist} list @param {Item} item */
const removeButton = (list, item) =>
  element("button", { type: "button", class: "button quiet", onclick: () => list.remove(item) }, t("stage.remove"));
