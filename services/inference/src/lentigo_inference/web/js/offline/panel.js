/** The section "Answer without a network": what is kept, since when, and the buttons for it. */

import { offlineText } from "./texts.js";

/** @typedef {import("./control.js").Offline} Offline */
/** @typedef {{element: (name: string, properties?: Record<string, any>, ...children: any[]) => any, language: string, say: (text: string) => void,
 *   changed: () => void, askForKey: () => Promise<boolean>}} Tools of the page: `changed` after it has been turned on or off */

const MEGABYTE = 1e6;
const DAY_MS = 86_400_000;

/**
 * Draw the section, again after every change.
 * @param {HTMLElement} place @param {Offline} offline @param {Tools} tools
 */
export async function panel(place, offline, tools) {
  const { element, language } = tools;
  const text = (/** @type {string} */ key, values = {}) => offlineText(language, key, values);
  const paragraph = (/** @type {string} */ key, values = {}) => element("p", { class: "hint" }, text(key, values));
  const draw = (/** @type {any[]} */ ...parts) => place.replaceChildren(...parts.flat().filter(Boolean));
  const again = () => panel(place, offline, tools);

  const button = (/** @type {string} */ key, /** @type {() => Promise<void>} */ press, values = {}) => element("button", {
    type: "button", class: "button",
    onclick: async (/** @type {any} */ event) => {
      event.target.disabled = true;
      await press();
    },
  }, text(key, values));

  const load = async (/** @type {any} */ offer) => {
    const stop = new AbortController();
    const meter = element("progress", { max: 1, value: 0, "aria-label": text("loading") });
    const end = element("button", { type: "button", class: "button", onclick: () => stop.abort() }, text("stop"));
    draw(paragraph("loading"), meter, element("div", { class: "actions" }, end));
    let failure = null;
    try {
      await offline.keep(offer, (share) => void (meter.value = share), stop.signal);
    } catch (error) {
      failure = text(`failed.${/** @type {any} */ (error).reason ?? "broken"}`);
    }
    tools.changed();
    await again();
    if (failure) place.prepend(element("p", { class: "problem", role: "alert" }, failure));
    else tools.say(text("ready"));
  };

  const { bundle } = await offline.open();
  const offer = await offline.offer().catch(() => null);
  const kept = bundle && [
    element("p", {}, text(bundle.withdrawn ? "withdrawn" : "kept", {
      version: bundle.version.model.version,
      days: Math.floor((Date.now() - Date.parse(bundle.version.created)) / DAY_MS),
      trained: dateOf(bundle.version.created, language),
      kept: dateOf(bundle.keptAt, language),
      size: megabytes(bundle.files.reduce((sum, file) => sum + file.bytes, 0), language),
    })),
    paragraph("what"),
    element("div", { class: "actions" }, button("remove", async () => {
      await offline.remove();
      tools.changed();
      await again();
    })),
  ];
  const other = offer?.version && offer.version.model.digest !== bundle?.version.model.digest;
  draw(...(kept || [paragraph("why")]),
    !offer && !bundle && paragraph("unreachable"),
    offer?.locked && [paragraph("locked"), element("div", { class: "actions" }, button("unlock", async () => {
      await tools.askForKey();
      await again();
    }))],
    offer && !offer.version && !offer.locked && !bundle && element("p", { class: "hint" }, text("refused"), " ", element("span", { lang: "en" }, offer.objection)),
    other && bundle && paragraph("newer", { version: offer.version.model.version }),
    other && element("div", { class: "actions" },
      button(bundle ? "renew" : "keep", () => load(offer), { size: megabytes(offer.transferred, language) })),
    !bundle && offer?.version && paragraph("what"));
}

/** @param {string} time @param {string} language */
const dateOf = (time, language) => new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(time));

/** @param {number} bytes @param {string} language */
function megabytes(bytes, language) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(bytes / MEGABYTE);
}
