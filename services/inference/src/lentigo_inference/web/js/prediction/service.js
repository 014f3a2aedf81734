/** The two requests that the page sends to the service. */

import { Problem } from "../problem.js";
import { forgetKey, keyHeaders } from "./key.js";
import { modelHere, noteService } from "./on-device.js";

const RETRY_UNREACHABLE_S = 3;

/** The model in use, or null while there is none. @returns {Promise<any>} */
export async function modelInUse() {
  try {
    const { models } = await ask("v1/models", {});
    return models[0] ?? null;
  } catch (problem) {
    const model = problem instanceof Problem && problem.kind === "unreachable" ? await modelHere() : null;
    if (model) return model;
    throw problem;
  }
}

/**
 * Send one image, and return the service's response.
 * @param {Blob} image @param {boolean} forced whether to predict an image that cannot be assessed @param {AbortSignal} signal @returns {Promise<any>}
 * @throws {Problem} also when the service cannot be reached
 */
export function predict(image, forced, signal) {
  // The raw body: a form would send the file's name, and that may name a patient.
  const headers = { "Content-Type": "application/octet-stream" };
  return ask(`v1/predictions?explain=all&describe=true${forced ? "&force=true" : ""}`, { method: "POST", body: image, headers, signal });
}

/** @param {string} path @param {RequestInit} request */
async function ask(path, request) {
  const headers = { ...request.headers, ...keyHeaders(), Accept: "application/json" };
  let response;
  try {
    response = await fetch(path, { ...request, headers, cache: "no-store" });
    void noteService(true);
    if (response.ok) return await response.json();
  } catch (error) {
    if (request.signal?.aborted) throw error;
    void noteService(false);
    throw new Problem("unreachable", { retryAfter_s: RETRY_UNREACHABLE_S });
  }
  // Otherwise the refused key would be sent again, and the user never asked for a better one.
  if (response.status === 401 || response.status === 403) forgetKey(headers);
  throw await problemOf(response);
}

/** @param {Response} response */
async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const request = response.headers.get("X-Request-ID") ?? "";
  const detail = typeof body.detail === "string" ? body.detail : "";
  if (response.status === 401) return new Problem("key", { detail, request });
  if (response.status === 403) return new Problem("forbidden", { detail, request });
  // The header may also be a date, but this service and its usual proxies never send one.
  const delay = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const slug = /^urn:lentigo:problem:([a-z-]+)$/.exec(body.type)?.[1] ?? "other";
  if ([429, 502, 503, 504].includes(response.status)) {
    const kind = slug === "not-ready" ? slug : "busy";
    return new Problem(kind, { detail, request, retryAfter_s: delay > 0 ? delay : 5 });
  }
  return new Problem(slug, { detail, request });
}
