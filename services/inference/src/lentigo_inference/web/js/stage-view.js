/** The selected image and its result. */

import { cancel, predictItem, tryNow } from "./attempt.js";
import { byId, element } from "./dom.js";
import { isOpen, stateText } from "./list-view.js";
import { mapView } from "./map-view.js";
import { problemView } from "./problem-view.js";
import { isWithheld, withheldView } from "./quality-view.js";
import { resultView } from "./result-view.js";
import { t } from "./texts.js";

/** @typedef {import("./worklist.js").Item} Item */
/** @typedef {import("./worklist.js").Worklist} Worklist */

/** Draw the stage, again at every change of the selected item. @param {Worklist} list */
export function showStage(list) {
  const stage = byId("stage");
  const item = list.selected;
  const hadFocus = stage.contains(document.activeElement);
  stage.hidden = item === null;
  document.body.classList.toggle("empty", item === null);
  if (!item) return stage.replaceChildren();
  const why = item.state === "done" && !isWithheld(item) ? mapView(item) : null;
  const panel = element("div", { class: "panel" }, ...beside(list, item));
  const look = element("div", { class: "look" }, picture(list, item, why?.canvas ?? null), why?.controls ?? null);
  stage.replaceChildren(look, panel);
  if (hadFocus) (panel.querySelector("[data-focus]") ?? stage).focus();
}

/** @param {Worklist} list @param {Item} item @param {HTMLCanvasElement|null} map */
function picture(list, item, map) {
  const image = element("img", { src: item.url, alt: t("stage.image", { name: item.name }) });
  const frame = element("div", { class: "frame" }, image, map);
  image.addEventListener("error", () => {
    frame.classList.add("unseen");
    frame.append(element("p", {}, t(item.refused ? "stage.refused" : "stage.noPreview")));
  });
  const place = { number: list.items.indexOf(item) + 1, count: list.items.length };
  return element("figure", {}, frame,
    element("figcaption", {}, element("span", { class: "name" }, item.name),
      place.count > 1 && element("span", {}, t("worklist.position", place))));
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
