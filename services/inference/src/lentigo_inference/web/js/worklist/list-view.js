/** The images in a row, also usable with the keyboard. */

import { byId, element } from "../dom.js";
import { diagnosisName, t } from "../language/texts.js";
import { cancel, predictItem } from "../prediction/attempt.js";
import { isWithheld } from "../result/quality-view.js";

/** @typedef {import("./worklist.js").Item} Item */
/** @typedef {import("./worklist.js").Worklist} Worklist */

/** Marks that need no colour. @type {Record<string, string>} */
const MARKS = { ready: "○", working: "◌", waiting: "◷", done: "●", failed: "!" };

/**
 * Draw the list, or the row of one item that changed.
 * @param {Worklist} list @param {Item|null} changed
 */
export function showList(list, changed) {
  const place = byId("items");
  const hadFocus = place.contains(document.activeElement);
  const old = changed && byId(changed.id)?.parentElement;
  if (old) old.replaceWith(row(list, changed));
  else place.replaceChildren(...list.items.map((item) => row(list, item)));
  byId("predict-all").hidden = !list.items.some(isOpen);
  if (hadFocus) place.querySelector("[aria-current]")?.focus();
  if (!old) reveal(place);
}

/** Scroll the row, and not the page, to the selected image. @param {HTMLElement} place */
function reveal(place) {
  const current = place.querySelector("[aria-current]")?.getBoundingClientRect();
  const box = place.getBoundingClientRect();
  if (!current) return;
  if (current.left < box.left) place.scrollLeft += current.left - box.left;
  if (current.right > box.right) place.scrollLeft += current.right - box.right;
}

/** @param {Item} item */
export const isOpen = (item) => !item.attempt && !item.refused && item.state !== "done";

/** The state of an item, as text. @param {Item} item */
export function stateText(item) {
  if (item.state === "failed" && item.problem) return t(`problem.${item.problem.kind}.title`);
  const diagnosis = item.answer?.diagnosis;
  if (item.state !== "done" || !diagnosis) return t(`state.${isWithheld(item) ? "withheld" : item.state}`);
  return t(item.answer.quality.accepted ? "state.done" : "state.forced", {
    diagnosis: diagnosisName(diagnosis.code, diagnosis.name),
  });
}

/** The small picture of an item, or an empty place. @param {Item} item @param {number} side in pixels */
export const thumbnailOf = (item, side) => (item.thumbnail
  ? element("img", { src: item.thumbnail, alt: "", width: side, height: side })
  : element("span", { class: "no-thumbnail" }));

/** Let the keyboard work through the list. @param {Worklist} list */
export function listenForKeys(list) {
  byId("items").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const item = list.selected;
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const onward = document.documentElement.dir === "rtl" ? -1 : 1;
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowDown: () => list.move(1),
      ArrowUp: () => list.move(-1),
      ArrowRight: () => list.move(onward),
      ArrowLeft: () => list.move(-onward),
      Home: () => list.move(-Infinity),
      End: () => list.move(Infinity),
      Enter: () => void predictItem(list, item),
      Delete: () => list.remove(item),
      Escape: () => cancel(list, item),
    };
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/** @param {Worklist} list @param {Item} item */
function row(list, item) {
  const current = item === list.selected;
  const refer = item.answer?.malignancy.refer;
  return element("li", {},
    element("button", {
      type: "button", class: `item ${item.state}`, id: item.id, "aria-current": current ? "true" : null,
      onclick: () => {
        list.select(item);
        byId(item.id).focus();
      },
    },
    thumbnailOf(item, 44),
    element("span", { class: "words" },
      element("bdi", { class: "name" }, item.name),
      element("span", { class: "state" },
        element("span", { "aria-hidden": "true" }, refer ? "▲ " : `${MARKS[item.state]} `),
        stateText(item), refer ? ` · ${t("result.refer")}` : ""))));
}
