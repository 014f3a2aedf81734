/** The rows of the overview and their order. Pure: nothing here touches the page. */

import { mostProbable } from "../result/export.js";

/** @typedef {import("./worklist.js").Item} Item */
/** @typedef {{column: string, descending: boolean}} Order */
/** @typedef {(code: string, name: string) => string} Named the name of a diagnosis in the page's language */

/** What wants a person's attention comes first. */
const STATES = ["failed", "waiting", "working", "ready", "done"];

/**
 * What each column is sorted by; null where there is nothing yet.
 * @type {Record<string, (item: Item, named: Named) => number|string|null>}
 */
const KEYS = {
  image: (item) => item.number,
  refer: (item) => (item.answer ? Number(!item.answer.malignancy.refer) : null),
  malignancy: (item) => item.answer?.malignancy.probability ?? null,
  diagnosis: ({ answer }, named) => nameOf(answer?.diagnosis, named),
  probable: ({ answer }, named) => nameOf(mostProbable(answer), named),
  quality: (item) => (item.answer ? Number(item.answer.quality.accepted) : null),
  state: (item) => STATES.indexOf(item.state),
};

export const COLUMN_NAMES = Object.keys(KEYS);

/**
 * The items in an order. What has no value yet stays at the end, whichever way; equals stay as they were chosen.
 * @param {Item[]} items @param {Order} order @param {Named} named @param {(one: string, other: string) => number} inOrder
 */
export function sortedItems(items, { column, descending }, named, inOrder) {
  const keyed = items.map((item) => ({ item, key: KEYS[column](item, named) }));
  return keyed.sort((one, other) => {
    if (one.key === null || other.key === null) return Number(one.key === null) - Number(other.key === null);
    const difference = typeof one.key === "string" ? inOrder(one.key, String(other.key)) : one.key - Number(other.key);
    return descending ? -difference : difference;
  }).map(({ item }) => item);
}

/** How many there are, were answered, are to be referred, and had no diagnosis or failed. @param {Item[]} items */
export function counts(items) {
  const done = items.filter((item) => item.state === "done");
  return {
    all: items.length,
    done: done.length,
    refer: done.filter((item) => item.answer.malignancy.refer).length,
    none: done.filter((item) => item.answer.diagnosis === null).length,
    failed: items.filter((item) => item.state === "failed").length,
  };
}

/** @param {any} diagnosis @param {Named} named */
const nameOf = (diagnosis, named) => (diagnosis ? named(diagnosis.code, diagnosis.name) : null);
