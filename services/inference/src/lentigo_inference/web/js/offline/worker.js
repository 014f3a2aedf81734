/** The worker that answers: it gets what was kept and checked, opens it once, and then reads one image after the other. */

import { answerFor } from "./answer.js";
import { givesGoldenAnswers, openEngine } from "./engine.js";
import { Codecs } from "./imaging/codecs.js";
import { readImage } from "./imaging/read-image.js";
import { Refusal } from "./imaging/refusal.js";

/** @typedef {import("./answer.js").Version} Version */

/** @type {{version: Version, codecs: Codecs, run: (pixels: Uint8Array) => Promise<import("./engine.js").Outputs>}|null} */
let opened = null;

const tasks = {
  /** @param {{version: Version, runtime: any, imaging: ArrayBuffer, model: ArrayBuffer}} kept */
  open: async ({ version, runtime, imaging, model }) => {
    const codecs = new Codecs(await WebAssembly.compile(imaging));
    const run = await openEngine(runtime, new Uint8Array(model));
    if (!(await givesGoldenAnswers(run, version.golden))) throw new Refusal("offline-differs");
    opened = { version, codecs, run };
  },
  /** @param {{file: Blob, forced: boolean}} image */
  answer: async ({ file, forced }) => {
    if (opened === null) throw new Refusal("offline-engine");
    // Before it is read: a film may have gigabytes.
    if (file.size > opened.version.limits.max_bytes) throw new Refusal("image-too-large");
    const bytes = new Uint8Array(await file.arrayBuffer());
    const image = await readImage(bytes, opened.codecs, opened.version.limits);
    const sha256 = [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))]
      .map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return answerFor(opened.version, opened.run, image, sha256, forced);
  },
  /** The pixels alone, for the tests that compare them. @param {{file: Blob}} image */
  pixels: async ({ file }) => {
    if (opened === null) throw new Refusal("offline-engine");
    return readImage(new Uint8Array(await file.arrayBuffer()), opened.codecs, opened.version.limits);
  },
};

/** One task at a time. @type {Promise<void>} */
let before = Promise.resolve();

self.addEventListener("message", ({ data: { id, task, content } }) => {
  before = before.then(async () => {
    try {
      const result = await tasks[/** @type {keyof typeof tasks} */ (task)](content);
      self.postMessage({ id, result });
    } catch (error) {
      self.postMessage({ id, refusal: error instanceof Refusal ? error.slug : "offline-engine", detail: String(error) });
    }
  });
});
