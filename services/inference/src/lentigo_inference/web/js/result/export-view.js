/** Save or print results. */

import { element } from "../dom.js";
import { t } from "../language/texts.js";
import { allToJson, toCsv, toJson } from "./export.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */

/** Whether the person asked for files' names in what is saved or printed. */
let withNames = false;

/** The buttons below one result. @param {Item} item */
export const exportButtons = (item) => [
  button("export.print", () => window.print()),
  button("export.json", () => save(toJson(item, withNames, new Date()), "application/json", "result", "json")),
  nameChoice(),
];

/** The buttons of the overview. @param {() => Item[]} items in the order they are shown in */
export const tableButtons = (items) => [
  button("export.csv", () => save(toCsv(items(), withNames), "text/csv", "results", "csv")),
  button("export.allJson", () => save(allToJson(items(), withNames, new Date()), "application/json", "results", "json")),
  button("export.printTable", () => window.print()),
  nameChoice(),
];

/** @param {string} key @param {() => void} press */
const button = (key, press) => element("button", { type: "button", class: "button", onclick: press }, t(key));

function nameChoice() {
  const box = element("input", {
    type: "checkbox", checked: withNames,
    onchange: () => {
      withNames = box.checked;
      document.body.classList.toggle("with-names", withNames);
      for (const other of document.querySelectorAll(".name-choice input")) if (other instanceof HTMLInputElement) other.checked = withNames;
    },
  });
  return element("label", { class: "name-choice" }, box, element("span", {}, t("export.names")));
}

/** Let the person save a file. @param {string} content @param {string} type @param {string} what @param {string} ending */
export function save(content, type, what, ending) {
  const url = URL.createObjectURL(new Blob([content], { type: `${type};charset=utf-8` }));
  const time = new Date().toISOString().slice(0, 19).replaceAll(":", "");
  element("a", { href: url, download: `lentigo-${what}-${time}.${ending}` }).click();
  // The download keeps its own reference once it has started.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
