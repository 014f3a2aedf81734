/** The pictures and the description of a printed report. The result beside them is printed as it stands on the page. */

import { byId, element } from "../dom.js";
import { diagnosisName, t } from "../language/texts.js";
import { descriptionView } from "../viewer/description-view.js";
import { mapCanvas, paintMap } from "../viewer/map-view.js";
import { isWithheld } from "./quality-view.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */

/** The image as a whole, under the map of its diagnosis, and under the drawing of its description, for paper alone. @param {Item} item an answered one */
export function reportPictures(item) {
  const pictures = element("div", { class: "paper report" });
  if (item.size) pictures.append(paperFigure(item, t(item.drawn ? "example.mark" : "report.image")));
  if (!isWithheld(item)) {
    const code = item.map.code || item.answer.diagnosis.code;
    const canvas = mapCanvas();
    void paintMap(canvas, item, code, () => true);
    pictures.append(paperFigure(item, t("why.alt", { diagnosis: diagnosisName(code) }), canvas), paperDescription(item));
  }
  return pictures;
}

/** Open what is folded away while the page is printed, and fold it again. */
export function listenForPrint() {
  /** @type {HTMLDetailsElement[]} */
  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    unfolded = [...byId("stage").querySelectorAll("details:not([open])")];
    for (const details of unfolded) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of unfolded) details.open = false;
  });
}

/** What the page shows on request: the drawing over the image, and the words. @param {Item} item */
function paperDescription(item) {
  const { picture, words } = descriptionView(item);
  const title = t("describe.title");
  return element("div", { class: "paper-description" },
    item.size && picture ? paperFigure(item, title, picture) : element("h3", {}, title),
    words);
}

/** @param {Item} item @param {string} caption @param {...Node} over */
const paperFigure = (item, caption, ...over) => element("figure", {},
  element("div", { class: "print-frame" }, item.size && element("img", { src: item.url, alt: "" }), ...over),
  element("figcaption", {}, caption));
