/** The network's activation map over a second view of the image, on request, and its controls. */

import { element } from "../dom.js";
import { diagnosisName, probability, t } from "../language/texts.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */

// From transparent blue to bright yellow: readable by brightness alone, and unlike any skin.
const FROM = [38, 70, 220];
const TO = [255, 246, 120];

/**
 * The canvas that lies over the second view, and the controls below it.
 * @param {Item} item an answered one
 * @returns {{canvas: HTMLCanvasElement, controls: HTMLElement}}
 */
export function mapView(item) {
  const { probabilities } = item.answer;
  item.map.code ||= item.answer.diagnosis.code;
  const canvas = mapCanvas();
  const empty = element("p", { class: "hint", role: "status" });
  const shade = () => canvas.style.setProperty("opacity", String(item.map.strength));
  const draw = async () => {
    const { code } = item.map;
    const painted = await paintMap(canvas, item, code, () => item.map.code === code);
    empty.textContent = painted ? "" : t("why.empty");
  };
  const choice = element("select", {
    id: "map-class",
    onchange: () => {
      item.map.code = choice.value;
      void draw();
    },
  }, ...probabilities.map((/** @type {any} */ entry) => element("option",
    { value: entry.code, selected: entry.code === item.map.code },
    `${diagnosisName(entry.code, entry.name)} (${probability(entry.probability)})`)));
  const slider = element("input", {
    id: "map-strength", type: "range", min: 0, max: 100, step: 5, value: item.map.strength * 100,
    oninput: () => {
      item.map.strength = slider.value / 100;
      shade();
    },
  });
  shade();
  void draw();
  const controls = element("div", { class: "why" },
    element("div", { class: "fields" },
      element("div", {}, element("label", { for: "map-class" }, t("why.class")), choice),
      element("div", {}, element("label", { for: "map-strength" }, t("why.strength")), slider)),
    empty,
    element("p", { class: "hint" }, t("why.caption")));
  return { canvas, controls };
}

/** An empty map. @returns {HTMLCanvasElement} */
export const mapCanvas = () => element("canvas", { class: "map", role: "img", width: 56, height: 56 });

/**
 * Paint the map of a diagnosis: its brightness becomes opacity and colour.
 * @param {HTMLCanvasElement} canvas @param {Item} item @param {string} code
 * @param {() => boolean} isWanted whether this map is still selected
 * @returns {Promise<boolean>} whether there is anything to see
 */
export async function paintMap(canvas, item, code, isWanted) {
  canvas.setAttribute("aria-label", t("why.alt", { diagnosis: diagnosisName(code) }));
  const found = item.answer.activation_maps.find((/** @type {any} */ map) => map.code === code);
  const bytes = Uint8Array.from(atob(found.data), (letter) => letter.charCodeAt(0));
  const grey = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context || !isWanted()) return true;
  const { width, height } = grey;
  canvas.width = width;
  canvas.height = height;
  context.drawImage(grey, 0, 0);
  grey.close();
  const pixels = context.getImageData(0, 0, width, height);
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
  canvas.dataset.code = code;
  return seen;
}
