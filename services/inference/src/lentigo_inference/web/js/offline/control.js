/** Answers on this device: what the page asks for them, and the worker that gives them. */

import { panel } from "./panel.js";
import { describe, FORMAT, keep, KeepingError, keptBundle, keptFile, removeBundle, removeOthers } from "./store.js";

/** @typedef {import("./store.js").Bundle} Bundle */
/** @typedef {import("./store.js").KeptFile} KeptFile */

const WORKER_PATH = "page/offline/worker.js";
const LIBRARY = "page/offline/litert/index.js";
const SCRIPT = "page/offline/litert/litert_wasm_compat_internal.js";
const PROGRAM = "page/offline/litert/litert_wasm_compat_internal.wasm";
const IMAGING = "page/offline/imaging.wasm";

// Held by the tab that changes what is kept.
const LOCK = "lentigo-offline";

// An idle worker holds some hundred megabytes.
const IDLE_MS = 120_000;
// A browser short of memory ends a worker without a word. The slowest image takes some seconds on a slow phone.
const LONGEST_MS = 180_000;

/** An image that was refused, or a failure; `slug` names it as the service's problems do. */
class DeviceProblem extends Error {
  /** @param {string} slug */
  constructor(slug) {
    super(slug);
    this.slug = slug;
  }
}

export class Offline {
  /** @type {Bundle|null} */
  bundle = null;
  /** @type {Worker|null} */
  #worker = null;
  /** @type {Promise<any>|null} */
  #opened = null;
  /** @type {Map<number, {done: (result: any) => void, failed: (error: Error) => void, overdue: ReturnType<typeof setTimeout>}>} */
  #waiting = new Map();
  #tasks = 0;
  #keeping = false;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #idle;

  /** @param {() => Record<string, string>} headers the key for the service, if there is one */
  constructor(headers) {
    this.headers = headers;
  }

  /** Look what is kept, which another tab may have changed. */
  async open() {
    if (this.#keeping) return this;
    const kept = await keptBundle().catch(() => null);
    const bundle = kept?.format === FORMAT ? kept : null;
    if (bundle?.keptAt === this.bundle?.keptAt && bundle?.withdrawn === this.bundle?.withdrawn) return this;
    this.#close();
    this.bundle = bundle;
    return this;
  }

  /** Whether images can be answered here. */
  get ready() {
    return this.bundle !== null && !this.bundle.withdrawn;
  }

  /** What the service said of the model that is kept; null if none may be used. */
  get model() {
    return this.bundle && this.ready ? { ...this.bundle.version.details, engine: this.bundle.version.model.engine } : null;
  }

  /**
   * What the service offers. @returns {Promise<{objection: string|null, locked: boolean, version: any, files: KeptFile[], transferred: number}>}
   *   `locked` if it wants a key first
   * @throws {TypeError} it cannot be reached
   */
  async offer() {
    const asked = (/** @type {string} */ path) => fetch(path, { headers: this.headers(), cache: "no-store" });
    const answers = await Promise.all([asked("v1/offline"), asked("page/offline/files.json")]);
    const nothing = { objection: "", locked: false, version: null, files: [], transferred: 0 };
    if (answers.some(({ status }) => status === 401 || status === 403)) return { ...nothing, locked: true };
    if (answers.some((answer) => !answer.ok)) return nothing;
    const [{ format, objection, version }, { files }] = await Promise.all(answers.map((answer) => answer.json()));
    if (version === null || format !== FORMAT) return { ...nothing, objection: objection ?? "" };
    return {
      objection: null,
      locked: false,
      version,
      files: [...files, version.file],
      // A service of an earlier version packs nothing.
      transferred: files.reduce((/** @type {number} */ sum, /** @type {any} */ file) => sum + file.transferred,
        version.file.packed?.transferred ?? version.file.bytes),
    };
  }

  /**
   * Keep what is offered, try it, and remove what was kept before, unless another tab has done so. @param {{version: any, files: KeptFile[]}} offer @param {(share: number) => void} progress 0 to 1
   * @param {AbortSignal} signal @throws {Error} with the `reason` why not; then all is as it was before
   */
  async keep(offer, progress, signal) {
    await navigator.locks.request(LOCK, { ifAvailable: true }, async (lock) => {
      if (!lock) throw new KeepingError("elsewhere");
      await this.open();
      if (this.ready && this.bundle?.version.model.digest === offer.version.model.digest) return;
      this.#keeping = true;
      try {
        await this.#keep(offer, progress, signal);
      } finally {
        this.#keeping = false;
      }
    });
  }

  /** @param {{version: any, files: KeptFile[]}} offer @param {(share: number) => void} progress @param {AbortSignal} signal */
  async #keep({ version, files }, progress, signal) {
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    const before = this.bundle;
    // Without this, a browser short of space may discard it.
    await navigator.storage?.persist?.().catch(() => false);
    const bundle = await keep(version, files, this.headers(), (loaded) => progress(loaded / total), signal);
    this.#close();
    this.bundle = bundle;
    try {
      await this.#open();
      await removeOthers(bundle);
    } catch (error) {
      await removeBundle(bundle);
      this.bundle = before;
      throw Object.assign(new Error("it does not run here"), { reason: error instanceof DeviceProblem ? error.slug : "offline-engine" });
    }
  }

  /** Remove all of it. */
  async remove() {
    await navigator.locks.request(LOCK, async () => {
      this.#close();
      this.bundle = null;
      await removeOthers(null);
    });
  }

  /**
   * Hold what is kept against the service's index: a version that is no longer there is not used again.
   * @returns {Promise<boolean>} whether the service told; it may want a key
   */
  async checkWithdrawn() {
    const { bundle } = this;
    if (!bundle || bundle.withdrawn) return true;
    const headers = { ...this.headers(), "Content-Type": "application/json" };
    const index = await fetch("v2/repository/index", { method: "POST", body: "{}", headers, cache: "no-store" });
    if (!index.ok) return false;
    const { name, version } = bundle.version.model;
    const listed = (await index.json()).some((/** @type {any} */ entry) => entry.name === name && entry.version === version);
    if (listed || this.bundle !== bundle) return true;
    this.bundle = { ...bundle, withdrawn: true };
    this.#close();
    await describe(this.bundle);
    return true;
  }

  /**
   * Answer one image. @param {Blob} file @param {boolean} forced @param {AbortSignal} signal @returns {Promise<any>}
   * @throws {DeviceProblem} the image is refused, or the engine failed
   */
  async answer(file, forced, signal) {
    await this.#open();
    signal.throwIfAborted();
    return this.#ask("answer", { file, forced });
  }

  /** The pixels that the network would get, for tests. @param {Blob} file */
  async pixels(file) {
    await this.#open();
    return this.#ask("pixels", { file });
  }

  /** Start the worker, once. */
  #open() {
    this.#opened ??= this.#start().catch(async (error) => {
      this.#close();
      if (error instanceof DeviceProblem) throw error;
      const { bundle } = this;
      if (!bundle || !(error instanceof KeepingError)) throw new DeviceProblem("offline-engine");
      this.bundle = null;
      await removeBundle(bundle).catch(() => undefined);
      throw new DeviceProblem("offline-damaged");
    });
    return this.#opened;
  }

  async #start() {
    const { bundle } = this;
    if (!bundle || !this.ready) throw new DeviceProblem("offline-engine");
    const [wasm, imaging, model] = await Promise.all([PROGRAM, IMAGING, bundle.version.file.path].map((path) => keptFile(bundle, path)));
    this.#worker = new Worker(WORKER_PATH);
    this.#worker.addEventListener("message", ({ data }) => this.#settle(data));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#close();
    });
    const absolute = (/** @type {string} */ path) => new URL(path, document.baseURI).href;
    const runtime = { library: absolute(LIBRARY), script: absolute(SCRIPT), wasm };
    return this.#ask("open", { version: bundle.version, runtime, imaging, model }, [wasm, imaging, model]);
  }

  /** @param {string} task @param {any} content @param {Transferable[]} [given] @returns {Promise<any>} */
  #ask(task, content, given = []) {
    clearTimeout(this.#idle);
    return new Promise((done, failed) => {
      this.#tasks += 1;
      const overdue = setTimeout(() => this.#close(), LONGEST_MS);
      this.#waiting.set(this.#tasks, { done, failed, overdue });
      this.#worker?.postMessage({ id: this.#tasks, task, content }, given);
    });
  }

  /** @param {{id: number, result?: any, refusal?: string}} data */
  #settle({ id, result, refusal }) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.overdue);
    if (refusal === undefined) waiting?.done(result);
    else waiting?.failed(new DeviceProblem(refusal));
    if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.#close(), IDLE_MS);
  }

  #close() {
    this.#worker?.terminate();
    this.#worker = this.#opened = null;
    const given = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { failed, overdue } of given) {
      clearTimeout(overdue);
      failed(new DeviceProblem("offline-engine"));
    }
  }
}

/** Show what is kept and what can be done about it. @param {HTMLElement} place @param {Offline} offline @param {any} tools of the page */
export const showPanel = (place, offline, tools) => panel(place, offline, tools);
