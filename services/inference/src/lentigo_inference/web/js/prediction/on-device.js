/** Answers on this device, where somebody has turned them on: the page's only way to what is in `offline/`. */

import { say } from "../announce.js";
import { byId, element } from "../dom.js";
import { keepFeatures } from "../features.js";
import { Problem } from "../problem.js";
import { askForKey, forgetKey, keyHeaders } from "./key.js";

// Remembers that something is kept, so that the script for it is loaded at once; the files themselves stand in Cache Storage.
const MARK = "lentigo-offline";
const POSSIBLE = "caches" in window && "serviceWorker" in navigator;

// How often the service is looked for while images are answered here.
const LOOK_AGAIN_MS = 10_000;

/** Whether the last request found no service. */
let unreachable = false;
/** Whether what is kept was held against the service's index since the service was last away. */
let checked = false;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let looking;
/** @type {Promise<any>|null} */
let loading = null;

/** The engine in an answer's `model` that was given here. */
export const isFromDevice = (/** @type {any} */ answer) => answer?.model.engine === "litert-web";

/** Load the script and look what is kept. @returns {Promise<any>} */
function load() {
  loading ??= import("./offline.js").then(async ({ Offline, showPanel }) => {
    const offline = await new Offline(keyHeaders).open();
    return { offline, showPanel };
  });
  return loading.catch((error) => {
    loading = null;
    throw error;
  });
}

/** @returns {boolean} */
function isMarked() {
  try {
    return POSSIBLE && localStorage.getItem(MARK) !== null;
  } catch {
    return false;
  }
}

/** What answers here; null if nothing does. @returns {Promise<any>} */
async function ready() {
  if (!isMarked()) return null;
  const offline = await load().then((loaded) => loaded.offline.open(), () => null);
  return offline?.ready ? offline : null;
}

/** Take note whether the service could be reached. @param {boolean} reached */
export async function noteService(reached) {
  const back = reached && unreachable;
  unreachable = !reached;
  clearTimeout(looking);
  if (!isMarked()) return;
  if (!reached) {
    checked = false;
    looking = setTimeout(lookForService, LOOK_AGAIN_MS);
  } else if (!checked) {
    checked = true;
    const { offline } = await load().catch(() => ({ offline: null }));
    checked = (await offline?.checkWithdrawn().catch(() => false)) ?? true;
    if (back) await showSection();
  }
}

/** While images are answered here, nothing else asks the service. */
async function lookForService() {
  const found = await fetch("v2/health/ready", { cache: "no-store" }).then((response) => response.ok, () => false);
  await noteService(found);
}

/** The model that answers here while the service cannot be reached; null if none does. @returns {Promise<any>} */
export const modelHere = async () => (await ready())?.model ?? null;

/**
 * Answer an image here, if the service could not be reached and this has been turned on; otherwise null.
 * @param {Blob} file as it was chosen @param {boolean} forced @param {AbortSignal} signal @returns {Promise<any>}
 * @throws {Problem} the image is refused, or this browser failed
 */
export async function answerHere(file, forced, signal) {
  const offline = unreachable || !navigator.onLine ? await ready() : null;
  if (!offline) return null;
  try {
    return await offline.answer(file, forced, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(error instanceof Error && "slug" in error ? String(error.slug) : "offline-engine");
  }
}

/** Let the section be opened; only then its script is loaded. */
export function listenForOffline() {
  byId("offline").hidden = !POSSIBLE;
  // Newer ones, where there are any.
  if (isMarked()) void keepFeatures();
  window.addEventListener("online", () => void (unreachable && lookForService()));
  byId("offline-details").addEventListener("toggle", () => void showSection());
}

/** Ask for a key in place of one that the service refused. */
function askAgain() {
  forgetKey(keyHeaders());
  return askForKey();
}

async function showSection() {
  const details = byId("offline-details");
  const body = byId("offline-body");
  if (!details.open) return;
  try {
    const { offline, showPanel } = await load();
    const changed = () => mark(offline.bundle !== null);
    await showPanel(body, offline, { element, language: document.documentElement.lang, say, changed, askForKey: askAgain });
  } catch {
    body.replaceChildren(element("p", { class: "hint" }, body.dataset.failed ?? ""));
  }
}

/** @param {boolean} kept */
function mark(kept) {
  try {
    if (kept) localStorage.setItem(MARK, "1");
    if (kept) void keepFeatures();
    else localStorage.removeItem(MARK);
  } catch {
    // Where nothing may be stored, nothing is kept either.
  }
}
