/** An image that can be zoomed and moved, by wheel, pinch, drag, keys and buttons; several views of it move together. */

import { element } from "../dom.js";
import { inPercent, t } from "../language/texts.js";
import { bounded, fitScale, fitted, moved, zoomedAt } from "./zoom.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {{frame: HTMLElement, layer: HTMLElement}} View */

const STEP = 1.5;
const PAN_PX = 60;
// A press that moves less is a click.
const STILL_PX = 4;

export class Viewer {
  /** @type {View[]} */
  #views = [];
  #resized = new ResizeObserver(() => this.apply());
  #scale = element("span", { class: "scale" });

  /** @param {Item} item one whose size is known */
  constructor(item) {
    this.item = item;
    this.image = item.size ?? { width: 1, height: 1 };
  }

  /**
   * Another view of the image.
   * @param {string} label what it shows @param {...Node} over what lies over the image and moves along
   */
  addView(label, ...over) {
    const { width, height } = this.image;
    const image = element("img", { src: this.item.url, alt: label, width, height, draggable: "false" });
    const layer = element("div", { class: "layer" }, image, ...over);
    const frame = element("div", {
      class: "frame", role: "group", tabindex: 0, "aria-label": t("zoom.keys"),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#press(event),
      // Zoomed, its first click has brought the place to the centre.
      ondblclick: (/** @type {MouseEvent} */ event) => this.#zoomBy(STEP * STEP, this.item.zoom ? undefined : placeIn(frame, event)),
    }, layer);
    layer.style.setProperty("width", `${width}px`);
    layer.style.setProperty("height", `${height}px`);
    frame.style.setProperty("--shape", String(width / height));
    frame.addEventListener("wheel", (/** @type {WheelEvent} */ event) => this.#turn(frame, event), { passive: false });
    this.#listenForFingers(frame);
    this.#views.push({ frame, layer });
    this.#resized.observe(frame);
    return frame;
  }

  /** Take the views away that were added after the first. */
  keepFirst() {
    for (const { frame } of this.#views.splice(1)) this.#resized.unobserve(frame);
  }

  /** Forget the views, which are about to be removed. */
  close() {
    this.#resized.disconnect();
    this.#views = [];
  }

  /** The buttons below the image. @param {...(Node|false)} more further ones */
  toolbar(...more) {
    const button = (/** @type {string} */ key, /** @type {string} */ sign, /** @type {() => void} */ press) =>
      element("button", { type: "button", class: "button tool", "aria-label": t(key), title: t(key), onclick: press }, sign);
    return element("div", { class: "toolbar", role: "toolbar", "aria-label": t("zoom.label") },
      button("zoom.out", "−", () => this.#zoomBy(1 / STEP)), this.#scale,
      button("zoom.in", "+", () => this.#zoomBy(STEP)),
      element("button", { type: "button", class: "button tool", onclick: () => this.#actual() }, inPercent(1)),
      element("button", { type: "button", class: "button tool", onclick: () => this.#fit() }, t("zoom.fit")),
      ...more);
  }

  /** Show the part that the item's zoom names. */
  apply() {
    const zoom = this.#zoom();
    if (!zoom) return;
    for (const { frame, layer } of this.#views) {
      const { clientWidth, clientHeight } = frame;
      const right = clientWidth / 2 - zoom.x * zoom.scale;
      const down = clientHeight / 2 - zoom.y * zoom.scale;
      // Lines of a drawing keep their width on the screen.
      layer.style.setProperty("--scale", String(zoom.scale));
      layer.style.setProperty("transform", `translate(${right}px, ${down}px) scale(${zoom.scale})`);
      // While all of it is seen, a finger on the image scrolls the page.
      frame.classList.toggle("zoomed", this.item.zoom !== null);
    }
    this.#scale.textContent = inPercent(zoom.scale);
  }

  #size() {
    const frame = this.#views[0]?.frame;
    return frame?.clientWidth ? { width: frame.clientWidth, height: frame.clientHeight } : null;
  }

  /** What is shown; null while the view has no size. */
  #zoom() {
    const size = this.#size();
    if (!size) return null;
    return this.item.zoom ? bounded(this.item.zoom, this.image, size) : fitted(this.image, size);
  }

  /** @param {import("./zoom.js").Zoom} zoom */
  #show(zoom) {
    const size = this.#size();
    if (!size) return;
    const next = bounded(zoom, this.image, size);
    this.item.zoom = Math.abs(next.scale / fitScale(this.image, size) - 1) < 1e-3 ? null : next;
    this.apply();
  }

  #fit() {
    this.item.zoom = null;
    this.apply();
  }

  #actual() {
    const zoom = this.#zoom();
    if (zoom) this.#show({ ...zoom, scale: 1 });
  }

  /** @param {number} factor @param {{x: number, y: number}} place from the view's centre */
  #zoomBy(factor, place = { x: 0, y: 0 }) {
    const zoom = this.#zoom();
    const size = this.#size();
    if (!zoom || !size) return;
    const { scale } = bounded({ ...zoom, scale: zoom.scale * factor }, this.image, size);
    this.#show(zoomedAt(zoom, scale / zoom.scale, place));
  }

  /** @param {number} right @param {number} down */
  #moveBy(right, down) {
    const zoom = this.#zoom();
    if (zoom && this.item.zoom) this.#show(moved(zoom, right, down));
  }

  /** @param {HTMLElement} frame @param {WheelEvent} event */
  #turn(frame, event) {
    // Nothing to make smaller: the wheel scrolls the page.
    if (event.deltaY > 0 && this.item.zoom === null) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.#zoomBy(Math.exp(-Math.max(Math.min(event.deltaY * lines, 200), -200) / 400), placeIn(frame, event));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, () => void>} */
    const actions = {
      "+": () => this.#zoomBy(STEP), "=": () => this.#zoomBy(STEP), "-": () => this.#zoomBy(1 / STEP),
      0: () => this.#fit(), 1: () => this.#actual(),
    };
    if (this.item.zoom) {
      Object.assign(actions, {
        ArrowLeft: () => this.#moveBy(PAN_PX, 0), ArrowRight: () => this.#moveBy(-PAN_PX, 0),
        ArrowUp: () => this.#moveBy(0, PAN_PX), ArrowDown: () => this.#moveBy(0, -PAN_PX),
      });
    }
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** One pointer moves the image, two pinch it; a click brings its place to the centre. @param {HTMLElement} frame */
  #listenForFingers(frame) {
    /** @type {Map<number, PointerEvent>} */
    const down = new Map();
    let way = 0;
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      down.set(event.pointerId, event);
      way = 0;
      if (this.item.zoom || down.size > 1) frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      const before = down.get(event.pointerId);
      if (!before) return;
      const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
      way += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
      down.set(event.pointerId, event);
      if (!other) return this.#moveBy(event.clientX - before.clientX, event.clientY - before.clientY);
      const middle = placeIn(frame, { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 });
      const apart = (/** @type {PointerEvent} */ one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      this.#zoomBy(apart(event) / Math.max(apart(before), 1), middle);
      this.#moveBy((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    });
    const up = (/** @type {PointerEvent} */ event) => {
      const clicked = down.delete(event.pointerId) && event.type === "pointerup" && way < STILL_PX && down.size === 0;
      const place = placeIn(frame, event);
      if (clicked) this.#moveBy(-place.x, -place.y);
    };
    frame.addEventListener("pointerup", up);
    frame.addEventListener("pointercancel", up);
  }
}

/** A place in CSS pixels from the centre of a view. @param {HTMLElement} frame @param {{clientX: number, clientY: number}} event */
function placeIn(frame, { clientX, clientY }) {
  const box = frame.getBoundingClientRect();
  return { x: clientX - box.left - box.width / 2, y: clientY - box.top - box.height / 2 };
}
