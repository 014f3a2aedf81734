/** One image with its result, or all images in a table. */

import { byId } from "./dom.js";
import { number, t } from "./language/texts.js";
import { showStage } from "./stage-view.js";
import { showList } from "./worklist/list-view.js";
import { forgetOverview, showOverview } from "./worklist/overview-view.js";

/** @typedef {import("./worklist/worklist.js").Item} Item */
/** @typedef {import("./worklist/worklist.js").Worklist} Worklist */

const VIEWS = ["image", "overview"];

let current = "image";

/** Draw what is seen. @param {Worklist} list @param {Item|null} item the one that changed, or null for the list */
export function showViews(list, item) {
  const count = list.items.length;
  // An overview of one image says nothing that its result does not.
  if (count < 2) current = "image";
  document.body.classList.toggle("empty", count === 0);
  document.body.dataset.view = current;
  byId("views").hidden = count < 2;
  // Of one image the row says nothing more, but whoever works in it with the keyboard stays there.
  const isUsed = byId("items").contains(document.activeElement);
  byId("worklist").hidden = count === 0 || (count < 2 && !isUsed) || current === "overview";
  byId("overview").hidden = current !== "overview";
  byId("stage").hidden = count === 0 || current !== "image";
  for (const view of VIEWS) {
    if (view === current) byId(`view-${view}`).setAttribute("aria-current", "page");
    else byId(`view-${view}`).removeAttribute("aria-current");
  }
  byId("count").textContent = number(count);
  showList(list, item);
  if (current === "overview") return showOverview(list, item, (opened) => openItem(list, opened));
  forgetOverview();
  if (item === null || item === list.selected) showStage(list);
}

/** @param {Worklist} list */
export function listenForViews(list) {
  for (const view of VIEWS) byId(`view-${view}`).addEventListener("click", () => openView(list, view));
}

/** @param {Worklist} list @param {string} view */
export function openView(list, view) {
  current = view;
  showViews(list, null);
  if (view === "overview") byId("overview-title").focus();
}

/** Open the result of a row. @param {Worklist} list @param {Item} item */
export function openItem(list, item) {
  current = "image";
  list.selected = item;
  showViews(list, null);
  const stage = byId("stage");
  (stage.querySelector("[data-focus]") ?? stage).focus();
}

/** Draw everything again, in another language. @param {Worklist} list */
export function renewViews(list) {
  forgetOverview();
  showViews(list, null);
  document.title = t("page.title");
}
