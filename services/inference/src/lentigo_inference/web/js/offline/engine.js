/** LiteRT in WebAssembly: one version's float32 network, checked against its golden answers before it answers anybody. */

import { SIDE } from "./imaging/pixels.js";
import { fixBatch } from "./tflite.js";

/** @typedef {{probabilities: Float32Array, activation_map: Float32Array, unlikeness: Float32Array|null}} Outputs */
/**
 * @typedef {{seed: number, probabilities: number[][], unlikeness: number[]|null,
 *   allowed: {probability: number, log_probability: number, unlikeness: number}}} Golden
 */

// Probabilities below it, and all unlikenesses together, count as this much when compared.
const LEAST_COMPARED = 1e-3;

/**
 * Start the runtime and load the model.
 * @param {{library: string, script: string, wasm: ArrayBuffer}} runtime addresses of its scripts, and its content
 * @param {Uint8Array} model content of `litert/float32.tflite`; it is changed
 * @returns {Promise<(pixels: Uint8Array) => Promise<Outputs>>} runs the network on RGB [224, 224, 3]
 */
export async function openEngine({ library, script, wasm }, model) {
  // Half floats of a graphics card would answer differently from the service; without this, one is woken for nothing.
  Object.defineProperty(navigator, "gpu", { value: { requestAdapter: async () => null }, configurable: true });
  const { warn } = console;
  console.warn = () => undefined;
  try {
    Object.assign(self, { Module: { wasmBinary: wasm, print: () => undefined, printErr: () => undefined } });
    const { loadLiteRt, loadAndCompile, Tensor } = await import(library);
    await loadLiteRt(script);
    fixBatch(model);
    const compiled = await loadAndCompile(model, { accelerator: "wasm" });
    return async (pixels) => {
      const image = new Tensor(pixels, [1, SIDE, SIDE, 3]);
      const outputs = await compiled.run({ image });
      image.delete();
      const copied = Object.entries(outputs).map(([name, tensor]) => {
        const values = tensor.toTypedArray().slice();
        tensor.delete();
        return [name, values];
      });
      return { unlikeness: null, ...Object.fromEntries(copied) };
    };
  } finally {
    console.warn = warn;
  }
}

/**
 * Whether the engine gives the answers that were put on record when the version was exported.
 * @param {(pixels: Uint8Array) => Promise<Outputs>} run @param {Golden} golden
 */
export async function givesGoldenAnswers(run, golden) {
  for (const [place, expected] of golden.probabilities.entries()) {
    const outputs = await run(await goldenImage(golden.seed, place));
    if (!isClose(outputs, expected, golden.unlikeness?.[place] ?? null, golden)) return false;
  }
  return true;
}

/** @param {Outputs} outputs @param {number[]} expected @param {number|null} unlikeness @param {Golden} golden */
function isClose(outputs, expected, unlikeness, { allowed, unlikeness: all }) {
  const log = (/** @type {number} */ value) => Math.log(Math.max(value, LEAST_COMPARED));
  const alike = expected.every((value, at) => Math.abs(outputs.probabilities[at] - value) <= allowed.probability
    && Math.abs(log(outputs.probabilities[at]) - log(value)) <= allowed.log_probability);
  if (unlikeness === null || outputs.unlikeness === null) return alike;
  const most = Math.max(LEAST_COMPARED, ...(all ?? []));
  return alike && Math.abs(outputs.unlikeness[0] - unlikeness) <= allowed.unlikeness * most;
}

/** Draw a golden image, as lentigo_contract/manifest/engines.py does. @param {number} seed @param {number} place @returns {Promise<Uint8Array>} */
export async function goldenImage(seed, place) {
  const text = new TextEncoder().encode(`lentigo golden ${seed} ${place}`);
  const b = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  const pixels = new Uint8Array(SIDE * SIDE * 3);
  for (let y = 0, at = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      const inside = (y - 72 - (b[6] % 80)) ** 2 + (x - 72 - (b[7] % 80)) ** 2 <= (30 + (b[8] % 60)) ** 2;
      const grain = ((b[9] * y + b[10] * x + x * y) % 24) - 12;
      for (let channel = 0; channel < 3; channel += 1, at += 1) {
        pixels[at] = grain + (inside ? 40 + (b[3 + channel] % 100) : 180 + (b[channel] % 50));
      }
    }
  }
  return pixels;
}
