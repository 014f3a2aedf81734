/** All images in one table that can be sorted, opened by row, and saved. */

import { byId, element } from "../dom.js";
import { diagnosisName, inOrder, probability, t } from "../language/texts.js";
import { mostProbable } from "../result/export.js";
import { tableButtons } from "../result/export-view.js";
import { flawTexts } from "../result/quality-view.js";
import { stateText, thumbnailOf } from "./list-view.js";
import { COLUMN_NAMES, counts, sortedItems } from "./overview.js";

/** @typedef {import("./worklist.js").Item} Item */
/** @typedef {import("./worklist.js").Worklist} Worklist */

/** @type {import("./overview.js").Order} */
let order = { column: "image", descending: false };

let isDrawing = false;

/** The rows as they stand: of 200 images, one that changes leaves the others alone. @type {Map<Item, HTMLTableRowElement>} */
let rows = new Map();

/**
 * Draw the table before the next frame: many results at once make one drawing.
 * @param {Worklist} list @param {Item|null} changed null if only the list or the order did @param {(item: Item) => void} open
 */
export function showOverview(list, changed, open) {
  if (changed) rows.delete(changed);
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    draw(list, open);
  });
}

/** @param {Worklist} list @param {(item: Item) => void} open */
function draw(list, open) {
  const place = byId("overview");
  const focused = place.contains(document.activeElement) ? document.activeElement?.id : "";
  const items = () => sortedItems(list.items, order, diagnosisName, inOrder);
  byId("overview-counts").textContent = t("overview.counts", counts(list.items));
  if (!byId("overview-actions").childElementCount) byId("overview-actions").append(...tableButtons(items));
  const table = byId("overview-table");
  if (!table.tBodies.length) table.append(element("thead"), element("tbody"));
  table.tHead.replaceChildren(element("tr", {}, ...COLUMN_NAMES.map((column) => heading(list, open, column))));
  rows = new Map(items().map((item) => [item, rows.get(item) ?? tableRow(item, open)]));
  arrange(table.tBodies[0], [...rows.values()]);
  if (focused) byId(focused)?.focus();
}

/** Bring rows into an order, and move none that stands right. @param {HTMLTableSectionElement} body @param {HTMLTableRowElement[]} wanted */
function arrange(body, wanted) {
  const stays = new Set(wanted);
  for (const row of [...body.rows]) if (!stays.has(row)) row.remove();
  wanted.forEach((row, place) => {
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
  });
}

/** Forget what was drawn: it is in another language, or not seen while the images change. */
export function forgetOverview() {
  rows.clear();
  byId("overview-actions").replaceChildren();
  byId("overview-table").replaceChildren();
}

/** @param {Worklist} list @param {(item: Item) => void} open @param {string} column */
function heading(list, open, column) {
  const isSorted = order.column === column;
  const sign = isSorted ? (order.descending ? "▼" : "▲") : "";
  return element("th", { scope: "col", "aria-sort": isSorted ? (order.descending ? "descending" : "ascending") : null },
    element("button", {
      type: "button", id: `sort-${column}`,
      onclick: () => {
        // The highest probability is what one looks for first.
        order = { column, descending: isSorted ? !order.descending : column === "malignancy" };
        showOverview(list, null, open);
      },
    }, t(`overview.${column}`), element("span", { "aria-hidden": "true" }, sign)));
}

/** @param {Item} item @param {(item: Item) => void} open */
function tableRow(item, open) {
  const { answer } = item;
  const cell = (/** @type {string} */ name, /** @type {(Node|string|null|false)[]} */ ...content) => element("td", { class: name }, ...content);
  const probable = mostProbable(answer);
  return element("tr", { class: item.state, onclick: () => open(item) },
    element("th", { scope: "row" },
      element("span", { class: "image-cell" }, thumbnailOf(item, 56),
        element("button", { type: "button", class: "open-result", id: `open-${item.id}`, onkeydown: moveInTable },
          element("span", { class: "number" }, t("overview.number", { number: item.number })),
          element("bdi", { class: "name" }, item.name)))),
    cell("refer", answer && (answer.malignancy.refer ? `▲ ${t("result.refer")}` : `○ ${t("overview.noRefer")}`)),
    cell("malignancy", typeof answer?.malignancy.probability === "number" && probability(answer.malignancy.probability)),
    cell("diagnosis", ...named(answer?.diagnosis), item.drawn && element("span", { class: "tag plain" }, t("example.tag"))),
    cell("probable", ...named(probable), answer?.most_probable && element("span", { class: "tag plain" }, t("overview.differs"))),
    cell("quality", answer && (answer.quality.accepted ? t("overview.accepted") : [item.forced ? t("quality.forced") : "", ...flawTexts(answer)].filter(Boolean).join(" · "))),
    cell("state", answer?.diagnosis ? t("overview.done") : stateText(item)));
}

/** @param {any} diagnosis @returns {(Node|string)[]} */
const named = (diagnosis) => (diagnosis ? [
  element("span", {}, diagnosisName(diagnosis.code, diagnosis.name)), " ",
  element("span", { class: "value" }, probability(diagnosis.probability)),
] : []);

/** Arrow keys go from row to row. @param {KeyboardEvent} event */
function moveInTable(event) {
  const rows = [...byId("overview").querySelectorAll(".open-result")];
  const at = rows.indexOf(event.currentTarget);
  /** @type {Record<string, number>} */
  const places = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
  const target = rows[places[event.key] ?? -1];
  if (!target) return;
  event.preventDefault();
  target.focus();
}
