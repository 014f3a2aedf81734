/**
 * What is kept on this device to answer without the service: one bundle of files in the browser's Cache Storage, complete or not
 * there. Its description is written last, so a bundle without one is what an ended download left.
 *
 * @typedef {{path: string, bytes: number, sha256: string, packed?: {path: string, bytes: number, transferred: number}}} KeptFile `packed`
 *   is the same file in fewer bytes
 * @typedef {{format: number, version: any, files: KeptFile[], keptAt: string, withdrawn: boolean}} Bundle
 */

import { unpack } from "./packing.js";

export const FORMAT = 1;

const PREFIX = "lentigo-offline-";
const DESCRIPTION = "page/offline/bundle.json";

/** A reason why nothing could be kept, by the last part of its text's key. */
export class KeepingError extends Error {
  /** @param {string} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** The bundle that is kept, if there is a whole one. @returns {Promise<Bundle|null>} */
export async function keptBundle() {
  for (const name of await namesOf()) {
    const description = await (await caches.open(name)).match(DESCRIPTION);
    if (description) return description.json();
  }
  return null;
}

const namesOf = async () => (await caches.keys()).filter((name) => name.startsWith(PREFIX));

/** A file of the bundle, held against its sum again. @param {Bundle} bundle @param {string} path @returns {Promise<ArrayBuffer>} */
export async function keptFile(bundle, path) {
  const cache = await caches.open(nameOf(bundle.version));
  const response = await cache.match(path);
  const file = bundle.files.find((each) => each.path === path);
  const content = await response?.arrayBuffer();
  if (!content || !file || (await sumOf(content)) !== file.sha256) throw new KeepingError("damaged");
  return content;
}

/** @param {any} version */
const nameOf = ({ model }) => `${PREFIX}${model.version}-${model.digest.slice(0, 12)}`;

/** @param {ArrayBuffer} content */
async function sumOf(content) {
  const digest = await crypto.subtle.digest("SHA-256", content);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Download a bundle, check every file, and keep it beside any other.
 * @param {any} version from `GET v1/offline` @param {KeptFile[]} files @param {Record<string, string>} headers for the service
 * @param {(loaded: number) => void} progress told the bytes so far @param {AbortSignal} signal
 * @returns {Promise<Bundle>} @throws {KeepingError} why it is not kept; nothing of it stays
 */
export async function keep(version, files, headers, progress, signal) {
  try {
    const cache = await caches.open(nameOf(version));
    let before = 0;
    for (const file of files) {
      const loading = file.packed ?? file;
      const share = file.bytes / loading.bytes;
      const loaded = await download(loading, headers, (bytes) => progress(before + bytes * share), signal);
      const content = file.packed ? unpack(new Uint8Array(loaded), file.bytes) : loaded;
      if (content.byteLength !== file.bytes || (await sumOf(content)) !== file.sha256) throw new KeepingError("sum");
      await cache.put(file.path, new Response(content, { headers: { "Content-Type": typeOf(file.path) } }));
      before += file.bytes;
    }
    /** @type {Bundle} */
    const bundle = { format: FORMAT, version, files, keptAt: new Date().toISOString(), withdrawn: false };
    await describe(bundle);
    return bundle;
  } catch (error) {
    await caches.delete(nameOf(version)).catch(() => undefined);
    throw reasonFor(error, signal);
  }
}

/** @param {unknown} error @param {AbortSignal} signal */
function reasonFor(error, signal) {
  if (signal.aborted) return new KeepingError("stopped");
  if (error instanceof KeepingError) return error;
  const name = error instanceof Error ? error.name : "";
  if (name === "QuotaExceededError") return new KeepingError("full");
  return new KeepingError(name === "SecurityError" || name === "InvalidStateError" ? "forbidden" : "broken");
}

/** @param {{path: string, bytes: number}} file @param {Record<string, string>} headers @param {(loaded: number) => void} progress @param {AbortSignal} signal */
async function download({ path, bytes }, headers, progress, signal) {
  const response = await fetch(path, { headers, cache: "no-store", signal });
  if (!response.ok || !response.body) throw new KeepingError("broken");
  const content = new Uint8Array(bytes);
  let loaded = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (loaded + value.length > bytes) throw new KeepingError("sum");
    content.set(value, loaded);
    loaded += value.length;
    progress(loaded);
  }
  return loaded === bytes ? content.buffer : content.slice(0, loaded).buffer;
}

/** @param {string} path */
const typeOf = (path) => path.endsWith(".js") ? "text/javascript" : "application/octet-stream";

/** Write the description, which makes the bundle one that counts. @param {Bundle} bundle */
export async function describe(bundle) {
  const cache = await caches.open(nameOf(bundle.version));
  await cache.put(DESCRIPTION, new Response(JSON.stringify(bundle), { headers: { "Content-Type": "application/json" } }));
}

/** Remove every bundle but one. @param {Bundle|null} wanted null removes all */
export async function removeOthers(wanted) {
  const stays = wanted && nameOf(wanted.version);
  for (const name of (await namesOf()).filter((each) => each !== stays)) await caches.delete(name);
}

/** Remove one bundle. @param {Bundle} bundle */
export const removeBundle = (bundle) => caches.delete(nameOf(bundle.version));
