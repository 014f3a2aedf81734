/** Look at each new image once: refuse what cannot be read, and make its thumbnail. */

import { Problem } from "../problem.js";
import { checkKind } from "./kinds.js";
import { sizeOf, thumbnail } from "./photo.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {import("../worklist/worklist.js").Worklist} Worklist */

/**
 * Prepare images one after the other, so that only one is decoded at a time. What was removed or
 * answered meanwhile is passed over.
 * @param {Worklist} list @param {Item[]} items
 */
export async function prepareAll(list, items) {
  // First all kinds, which take no decoding: what cannot be read says so at once.
  for (const item of items) await check(list, item);
  for (const item of items) {
    if (list.items.includes(item) && !item.refused) await addThumbnail(list, item);
  }
}

/** @param {Worklist} list @param {Item} item */
async function check(list, item) {
  try {
    await checkKind(item.file);
    const size = await sizeOf(item.file);
    if (list.items.includes(item)) list.change(item, { looked: true, size });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (list.items.includes(item)) list.change(item, { looked: true, state: "failed", refused: true, problem });
  }
}

/** @param {Worklist} list @param {Item} item */
async function addThumbnail(list, item) {
  const small = item.size && await thumbnail(item.file, item.size);
  if (small && list.items.includes(item)) list.change(item, { thumbnail: URL.createObjectURL(small) });
}
