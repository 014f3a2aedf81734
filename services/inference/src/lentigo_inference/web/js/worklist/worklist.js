/** The list of images, each with its own state. Nothing here touches the page. */

import { Problem } from "../problem.js";

/** @typedef {"ready"|"working"|"waiting"|"done"|"failed"} State */

let lastNumber = 0;

export class Item {
  /** @param {File} file @param {boolean} [drawn] whether this page drew it, as an example */
  constructor(file, drawn = false) {
    this.number = ++lastNumber;
    this.id = `item-${this.number}`;
    this.file = file;
    this.name = file.name || `image ${lastNumber}`;
    this.drawn = drawn;
    this.url = URL.createObjectURL(file);
    /** Whether its header was read, so that it may be shown. */
    this.looked = false;
    /** Its pixels, upright; null until they are known, and where this browser cannot show it. @type {{width: number, height: number}|null} */
    this.size = null;
    /** Address of its small picture; empty until there is one. */
    this.thumbnail = "";
    /** @type {State} */
    this.state = "ready";
    /** The service's response for this image. @type {any} */
    this.answer = null;
    /** @type {Date|null} */
    this.answeredAt = null;
    /** @type {{from: string, to: string}|null} */
    this.scaled = null;
    /** @type {Problem|null} */
    this.problem = null;
    /** Whether it was refused before it was sent; trying again would not help. */
    this.refused = false;
    /** Whether to predict although the image cannot be assessed. */
    this.forced = false;
    /** Whether its result is kept on this device. */
    this.kept = false;
    /** Time of the next try, in milliseconds since 1970. */
    this.nextTry_ms = 0;
    /** Ends the attempt under way, which then can no longer change the item. @type {AbortController|null} */
    this.attempt = null;
    /** The user's choices for the map. */
    this.map = { code: "", strength: 0.5 };
    /** The part of the image that is shown: its centre in pixels of the image, and screen pixels per pixel; null is all of it. @type {import("../viewer/zoom.js").Zoom|null} */
    this.zoom = null;
  }
}

/** Dispatches every change as the event `change`, whose `detail` is the item, or null for the list. */
export class Worklist extends EventTarget {
  /** @type {Item[]} */
  items = [];
  /** @type {Item|null} */
  selected = null;

  /** Add items, and select the first of them. @param {Item[]} items */
  addAll(items) {
    if (!items.length) return;
    this.items.push(...items);
    [this.selected] = items;
    this.#notify(null);
  }

  /** Remove an item and cancel its attempt. @param {Item} item */
  remove(item) {
    const place = this.items.indexOf(item);
    if (place < 0) return;
    item.attempt?.abort();
    item.attempt = null;
    URL.revokeObjectURL(item.url);
    if (item.thumbnail) URL.revokeObjectURL(item.thumbnail);
    this.items.splice(place, 1);
    if (this.selected === item) this.selected = this.items[Math.min(place, this.items.length - 1)] ?? null;
    this.#notify(null);
  }

  /** @param {Item} item */
  select(item) {
    if (this.selected === item || !this.items.includes(item)) return;
    this.selected = item;
    this.#notify(null);
  }

  /** Select the item that many places further. @param {number} step */
  move(step) {
    if (!this.selected) return;
    const place = this.items.indexOf(this.selected) + step;
    this.select(this.items[Math.min(Math.max(place, 0), this.items.length - 1)]);
  }

  /** @param {Item} item @param {Partial<Item>} changes */
  change(item, changes) {
    Object.assign(item, changes);
    this.#notify(item);
  }

  /** Whether leaving the page now would lose work under way. */
  get busy() {
    return this.items.some((item) => item.state === "working" || item.state === "waiting");
  }

  /** @param {Item|null} item */
  #notify(item) {
    this.dispatchEvent(new CustomEvent("change", { detail: item }));
  }
}
