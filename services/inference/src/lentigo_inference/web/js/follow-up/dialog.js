/** The dialog that shows two pictures of one lesion side by side, and what changed. */

import { drawDifferences, drawn, drawOutline, openPicture, pixelsOf } from "./pictures.js";
import { angleOf, scaleOf } from "./similarity.js";

/** @typedef {import("../features.js").Page} Page */
/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {{similarity: import("./similarity.js").Similarity|null, agreeing: number, comparison: import("./comparison.js").Comparison|null}} Finding */

const WORKER_PATH = "page/follow-up-worker.js";
// It takes about a second; a browser short of memory ends a worker without a word.
const LONGEST_MS = 60_000;
/** Below, areas count as equal: most errors of the outlines are smaller (benchmarks/on_device/follow_up_alignment.py). */
const EQUAL = 0.05;

export class FollowUp {
  /** Ends the comparison under way. */
  #current = new AbortController();

  /** @param {Page} page @param {Item[]} items */
  constructor(page, items) {
    const { element, t } = page;
    this.page = page;
    this.items = items.filter(({ size }) => size !== null);
    this.status = element("p", { role: "status" });
    this.result = element("div", { class: "change" });
    const choice = (/** @type {string} */ name, /** @type {number} */ chosen) => element("select", { id: `change-${name}`, onchange: () => void this.#compare() },
      ...this.items.map((item, place) => element("option", { value: place, selected: place === chosen }, t("change.option", { number: item.number, name: item.name }))));
    this.earlier = choice("earlier", 0);
    this.later = choice("later", 1);
    const field = (/** @type {HTMLSelectElement} */ select, /** @type {string} */ key) =>
      element("div", { class: "field" }, element("label", { for: select.id }, t(key)), select);
    this.dialog = element("dialog", { id: "change-dialog", class: "wide", "aria-labelledby": "change-heading" },
      element("h2", { id: "change-heading", tabindex: -1 }, t("change.heading")),
      element("p", { class: "notice" }, t("notice")),
      element("p", { class: "hint" }, t("change.judge")),
      element("div", { class: "fields" }, field(this.earlier, "change.earlier"), field(this.later, "change.later")),
      this.status, this.result,
      element("div", { class: "actions" }, element("button", { type: "button", class: "button", onclick: () => this.dialog.close() }, t("camera.close"))));
  }

  /** Open it; ends when it is closed. */
  async open() {
    document.body.append(this.dialog);
    const closed = new Promise((done) => this.dialog.addEventListener("close", () => done(null)));
    this.dialog.showModal();
    this.dialog.querySelector("h2")?.focus();
    void this.#compare();
    await closed;
    this.#current.abort();
    this.dialog.remove();
  }

  async #compare() {
    this.#current.abort();
    const current = this.#current = new AbortController();
    const [one, other] = [this.earlier, this.later].map(({ value }) => this.items[Number(value)]);
    this.result.replaceChildren();
    if (!one || !other) return this.#tell("change.needTwo");
    if (one === other) return this.#tell("change.same");
    this.#tell("change.working");
    try {
      const images = /** @type {[HTMLImageElement, HTMLImageElement]} */ (await Promise.all([openPicture(one), openPicture(other)]));
      const finding = await compareInWorker(images.map(pixelsOf), current.signal).catch((error) => {
        if (current.signal.aborted) throw error;
        return null;
      });
      if (current.signal.aborted) return;
      this.#show(images, finding);
    } catch (error) {
      if (!current.signal.aborted) this.#tell("change.failed");
    }
  }

  /** @param {[HTMLImageElement, HTMLImageElement]} images @param {Finding|null} finding null where the comparison failed */
  #show([earlier, later], finding) {
    const { element, t } = this.page;
    const comparison = finding?.comparison ?? null;
    const [first, firstContext] = drawn(earlier, earlier, null);
    // Without a comparison, each as it is.
    const [second, secondContext] = drawn(later, earlier, comparison && finding ? finding.similarity : null);
    this.result.append(this.#figure(first, "change.earlier"), this.#figure(second, "change.later"));
    if (!finding) return this.#tell("change.failed");
    if (!finding.similarity) return this.#tell("change.unaligned");
    if (!comparison) return this.#tell("change.unclear");
    drawOutline(firstContext, comparison.earlier.mask, false);
    drawOutline(secondContext, comparison.earlier.mask, false);
    drawOutline(secondContext, comparison.later.mask, true);
    const [third, thirdContext] = drawn(later, earlier, finding.similarity);
    drawDifferences(thirdContext, comparison.map);
    this.result.append(this.#figure(third, "change.map"), element("div", { class: "change-text" },
      this.#values(finding, comparison),
      element("p", { class: "hint" }, t("change.outlines")),
      element("p", { class: "hint" }, t("change.mapWhy")),
      element("p", { class: "hint" }, t("change.caveat"))));
    this.#tell("change.done", { count: finding.agreeing });
  }

  /** @param {HTMLCanvasElement} canvas @param {string} key */
  #figure(canvas, key) {
    const { element, t } = this.page;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", t(key));
    return element("figure", {}, canvas, element("figcaption", {}, t(key)));
  }

  /** @param {Finding} finding @param {import("./comparison.js").Comparison} comparison */
  #values({ similarity }, { areaChange, colourDifference, earlier, later }) {
    const { element, t, inPercent, number } = this.page;
    const swatch = (/** @type {number[]} */ colour) => {
      const mark = element("span", { class: "swatch", "aria-hidden": "true" });
      mark.style.setProperty("background", `rgb(${colour.join(" ")})`);
      return mark;
    };
    const size = Math.abs(areaChange) < EQUAL ? t("change.equal", { percent: inPercent(EQUAL) })
      : t(areaChange > 0 ? "change.larger" : "change.smaller", { percent: inPercent(Math.abs(areaChange)) });
    const degrees = similarity ? number(Math.abs((angleOf(similarity) * 180) / Math.PI)) : "";
    const rows = [
      [t("change.area"), size],
      [t("change.colour"), swatch(earlier.colour), swatch(later.colour), t("change.difference", { value: number(colourDifference, 1) })],
      [t("change.scale"), t("change.turned", { percent: inPercent(similarity ? scaleOf(similarity) : 1), degrees })],
    ];
    return element("dl", { class: "change-values" }, ...rows.flatMap(([name, ...values]) => [element("dt", {}, name), element("dd", {}, ...values)]));
  }

  /** @param {string} key @param {Record<string, string|number>} values */
  #tell(key, values = {}) {
    this.status.textContent = this.page.t(key, values);
    this.dialog.dataset.state = key;
  }
}

/** @param {import("./comparison.js").Picture[]} pictures @param {AbortSignal} gone @returns {Promise<Finding>} */
function compareInWorker([earlier, later], gone) {
  const worker = new Worker(WORKER_PATH);
  /** @type {Promise<Finding>} */
  const answered = new Promise((done, failed) => {
    const fail = () => failed(new Error("the worker ended"));
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = (event) => {
      event.preventDefault();
      fail();
    };
    const timer = setTimeout(fail, LONGEST_MS);
    gone.addEventListener("abort", () => {
      clearTimeout(timer);
      fail();
    });
  });
  worker.postMessage({ earlier, later });
  return answered.finally(() => worker.terminate());
}
