/** Save a response as a file. */

import { element } from "./dom.js";

/** @typedef {import("./worklist.js").Item} Item */

/** Save the service's response unchanged, with the image's name and the time. @param {Item} item */
export function saveJson(item) {
  const content = {
    file: item.name,
    answered: item.answeredAt?.toISOString(),
    scaled: item.scaled,
    answer: item.answer,
  };
  const url = URL.createObjectURL(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }));
  const name = item.name.replace(/\.[^.]*$/, "");
  element("a", { href: url, download: `${name}.lentigo.json` }).click();
  // The download keeps its own reference once it has started.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
