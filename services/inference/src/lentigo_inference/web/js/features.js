/** Parts of the page that are loaded when somebody asks for them, and what they get from the page. */

import { say } from "./announce.js";
import { byId, element } from "./dom.js";
import { withoutMetadata } from "./images/photo.js";
import { clockTime, diagnosisName, differsText, inPercent, number, probability, t } from "./language/texts.js";
import { NOTICE, resultRecord } from "./result/export.js";
import { save } from "./result/export-view.js";
import { flawTexts } from "./result/quality-view.js";

/** @typedef {import("./worklist/worklist.js").Item} Item */

/** @type {(files: File[]) => void} */
let takeImages = () => undefined;

/** What a feature's script needs of the page; those scripts import nothing of it, so that each part of the page is there once. */
const tools = () => ({
  element, say, t, save, take: takeImages, withoutMetadata, resultRecord, flawTexts,
  clockTime, diagnosisName, differsText, inPercent, number, probability, notice: NOTICE,
});

/** @typedef {ReturnType<typeof tools>} Page */

/** Load the script of a feature; the browser does so once. @type {Record<string, () => Promise<any>>} */
const SCRIPTS = {
  camera: () => import("./camera.js"),
  "follow-up": () => import("./follow-up.js"),
  kept: () => import("./kept.js"),
};

/** Load all of them, for the time without a network: the service worker keeps what passes through it. */
export const keepFeatures = () => Promise.allSettled([...Object.keys(SCRIPTS), "follow-up-worker"].map((name) => fetch(`page/${name}.js`)));

/** Say why a feature cannot be used, and show it beside its button until it can. @param {HTMLElement} button @param {string} text empty takes it away */
function tellBeside(button, text) {
  button.parentElement?.querySelector(".feature-failed")?.remove();
  if (text) button.parentElement?.append(element("p", { class: "alert feature-failed" }, text));
  if (text) say(text);
}

/** Open a feature with a button. @param {HTMLElement} button @param {string} name @param {(feature: any, page: Page) => unknown} open */
function listenForButton(button, name, open) {
  button.addEventListener("click", () => void useFeature(name, (feature, page) => {
    tellBeside(button, "");
    return open(feature, page);
  }, (text) => tellBeside(button, text)));
}

/**
 * Load a feature and let it act.
 * @param {string} name @param {(feature: any, page: Page) => unknown} act @param {(text: string) => void} fail is told where it cannot be loaded
 */
async function useFeature(name, act, fail) {
  let feature;
  try {
    feature = await SCRIPTS[name]();
  } catch {
    return fail(t("feature.failed"));
  }
  await act(feature, tools());
}

/** Let a section at the foot of the page be opened; only then its script is loaded. @param {string} name @param {(feature: any, page: Page, place: HTMLElement) => unknown} show */
function listenForSection(name, show) {
  const place = byId(`${name}-body`);
  byId(`${name}-details`).addEventListener("toggle", () => {
    if (!byId(`${name}-details`).open) return;
    void useFeature(name, (feature, tools) => show(feature, tools, place), (text) => place.replaceChildren(element("p", { class: "hint" }, text)));
  });
}

/** "Keep on this device", for one result. @param {Item} item */
export function keepButton(item) {
  const button = element("button", { type: "button", class: "button", disabled: item.kept }, t(item.kept ? "kept.isKept" : "kept.keep"));
  listenForButton(button, "kept", async (kept, page) => {
    item.kept = (await kept.keepResult(item, page)) || item.kept;
    button.disabled = item.kept;
    button.textContent = t(item.kept ? "kept.isKept" : "kept.keep");
  });
  return button;
}

/** Connect the features with the page. @param {(files: File[]) => void} take what is done with images @param {() => Item[]} items those there are */
export function listenForFeatures(take, items) {
  takeImages = take;
  listenForButton(byId("live-camera"), "camera", (camera, page) => camera.openLiveCamera(page));
  listenForButton(byId("view-follow-up"), "follow-up", (change, page) => change.openFollowUp(page, items()));
  listenForSection("kept", (feature, tools, place) => feature.showKept(place, tools));
}

/** Draw again what is open, in another language. */
export function renewFeatures() {
  if (byId("kept-details").open) byId("kept-details").dispatchEvent(new Event("toggle"));
}
