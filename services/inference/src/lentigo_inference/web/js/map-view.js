/** The network's activation map over the image, and its controls. */

import { element } from "./dom.js";
import { diagnosisName, probability, t } from "./texts.js";

/** @typedef {import("./worklist.js").Item} Item */

// From transparent blue to bright yellow: readable by brightness alone, and unlike any skin.
const FROM = [38, 70, 220];
const TO = [255, 246, 120];

/**
 * The canvas that lies over the image, and the controls beside it.
 * @param {Item} item an answered one
 * @returns {{canvas: HTMLCanvasElement, controls: HTMLElement}}
 */
export function mapView(item) {
  const { probabilities, activation_maps: maps } = item.answer;
  item.view.code ||= item.answer.diagnosis.code;
  const canvas = element("canvas", { class: "map", role: "img", width: 56, height: 56 });
  const empty = element("p", { class: "hint", role: "status" });
  // For print, where the select below is hidden.
  const named = element("p", { class: "paper" });
  const shade = () => canvas.style.setProperty("opacity", String(item.view.strength));
  const draw = async () => {
    const { code } = item.view;
    const found = maps.find((/** @type {any} */ map) => map.code === code);
    named.textContent = t("why.alt", { diagnosis: diagnosisName(code) });
    canvas.setAttribute("aria-label", named.textContent);
    const painted = await paint(canvas, found.data, () => item.view.code === code);
    canvas.dataset.code = code;
    empty.textContent = painted ? "" : t("why.empty");
  };
  const choice = element("select", {
    id: "map-class",
    onchange: () => {
      item.view.code = choice.value;
      void draw();
    },
  }, ...probabilities.map((/** @type {any} */ entry) => element("option",
    { value: entry.code, selected: entry.code === item.view.code },
    `${diagnosisName(entry.code, entry.name)} (${probability(entry.probability)})`)));
  const slider = element("input", {
    id: "map-strength", type: "range", min: 0, max: 100, step: 5, value: item.view.strength * 100,
    oninput: () => {
      item.view.strength = slider.value / 100;
      shade();
    },
  });
  shade();
  void draw();
  const controls = element("section", { class: "why", "aria-labelledby": "why-title" },
    element("details", { open: item.view.open, ontoggle: (/** @type {any} */ event) => void (item.view.open = event.target.open) },
      element("summary", {}, element("h3", { id: "why-title" }, t("why.title"))),
      element("div", { class: "fields" },
        element("div", {}, element("label", { for: "map-class" }, t("why.class")), choice),
        element("div", {}, element("label", { for: "map-strength" }, t("why.strength")), slider)),
      empty,
      element("p", { class: "hint" }, t("why.caption"))),
    named);
  return { canvas, controls };
}

/**
 * Colour a grey map: its brightness becomes opacity and colour.
 * @param {HTMLCanvasElement} canvas @param {string} base64 a PNG
 * @param {() => boolean} isWanted whether this map is still selected
 * @returns {Promise<boolean>} whether there is anything to see
 */
async function paint(canvas, base64, isWanted) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const grey = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context || !isWanted()) return true;
  canvas.width = grey.width;
  canvas.height = grey.height;
  context.drawImage(grey, 0, 0);
  const pixels = context.getImageData(0, 0, grey.width, grey.height);
  const { data } = pixels;
  let seen = false;
  for (let at = 0; at < data.length; at += 4) {
    const light = data[at] / 255;
    seen ||= light > 0;
    for (let channel = 0; channel < 3; channel += 1) {
      data[at + channel] = FROM[channel] + (TO[channel] - FROM[channel]) * light;
    }
    data[at + 3] = 255 * Math.min(1, 1.5 * light);
  }
  context.putImageData(pixels, 0, 0);
  return seen;
}
