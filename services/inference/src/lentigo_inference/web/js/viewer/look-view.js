/** The image, and beside it, on request, the same image under the network's map and under a drawing of the lesion. */

import { element } from "../dom.js";
import { currentLanguage, t } from "../language/texts.js";
import { isWithheld } from "../result/quality-view.js";
import { descriptionView } from "./description-view.js";
import { mapView } from "./map-view.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {import("../worklist/worklist.js").Worklist} Worklist */

/** Whether the person asked for the map, and for the description; kept while they go from image to image. */
const wanted = { map: false, description: false };

/** The view in use: drawn once for each image, so that nothing flickers while its state changes. @type {{viewer: Viewer, frame: HTMLElement, language: string}|null} */
let inUse = null;

/** @param {Worklist} list @param {Item} item @param {(pressed: string) => void} redraw given the id of the button that asks for it */
export function lookView(list, item, redraw) {
  const hasMore = item.state === "done" && !isWithheld(item);
  const withMap = hasMore && wanted.map;
  const withDescription = hasMore && wanted.description;
  const toggle = (/** @type {"map"|"description"} */ what, /** @type {string} */ text) => element("button", {
    type: "button", class: "button tool", id: `${what}-toggle`, "aria-pressed": String(wanted[what]),
    onclick: () => {
      wanted[what] = !wanted[what];
      redraw(`${what}-toggle`);
    },
  }, text);
  const toggles = hasMore && element("div", { class: "toggles" },
    toggle("description", t(withDescription ? "describe.hide" : "describe.show")),
    toggle("map", t(withMap ? "why.hide" : "why.show")));
  const viewer = item.size ? viewerOf(item) : null;
  viewer?.keepFirst();
  const picture = element("figure", { class: "picture" },
    viewer ? inUse?.frame : unseen(item),
    viewer ? viewer.toolbar(toggles) : toggles && element("div", { class: "toolbar" }, toggles),
    caption(list, item));
  return element("div", { class: withMap || withDescription ? "look with-more" : "look" }, picture,
    withDescription && descriptionFigure(item, viewer), withMap && mapFigure(item, viewer));
}

/** @param {Item} item */
function viewerOf(item) {
  if (inUse?.viewer.item !== item || inUse.language !== currentLanguage()) {
    inUse?.viewer.close();
    const viewer = new Viewer(item);
    inUse = { viewer, frame: viewer.addView(t("stage.image", { name: item.name })), language: currentLanguage() };
  }
  return inUse.viewer;
}

/** What stands for an image that is not shown. @param {Item} item */
function unseen(item) {
  const why = item.refused ? "stage.refused" : "stage.noPreview";
  return element("div", { class: "frame unseen" }, element("p", {}, item.looked ? t(why) : ""));
}

/** @param {Item} item @param {Viewer|null} viewer */
function mapFigure(item, viewer) {
  const { canvas, controls } = mapView(item);
  const label = t("why.beside", { name: item.name });
  return element("figure", { class: "why-figure", "aria-labelledby": "why-title" },
    viewer ? viewer.addView(label, canvas) : element("div", { class: "frame unseen" }, canvas),
    element("figcaption", {}, element("h3", { id: "why-title" }, t("why.title"))),
    controls);
}

/** @param {Item} item @param {Viewer|null} viewer */
function descriptionFigure(item, viewer) {
  const { picture, words } = descriptionView(item);
  const label = t("describe.beside", { name: item.name });
  return element("figure", { class: "description-figure", "aria-labelledby": "description-title" },
    picture && viewer && viewer.addView(label, picture),
    element("figcaption", {}, element("h3", { id: "description-title" }, t("describe.title"))),
    words);
}

/** @param {Worklist} list @param {Item} item */
function caption(list, item) {
  const place = list.items.indexOf(item);
  const step = (/** @type {string} */ key, /** @type {string} */ sign, /** @type {number} */ by) => element("button", {
    type: "button", class: "button tool step", "aria-label": t(key), title: t(key), disabled: !list.items[place + by],
    onclick: () => list.move(by),
  }, sign);
  return element("figcaption", {},
    element("span", { class: "words" },
      element("bdi", { class: "name" }, item.name),
      item.drawn && element("strong", { class: "drawn" }, t("example.mark"))),
    list.items.length > 1 && element("span", { class: "steps" },
      step("worklist.previous", "‹", -1),
      element("span", {}, t("worklist.position", { number: place + 1, count: list.items.length })),
      step("worklist.next", "›", 1)));
}
