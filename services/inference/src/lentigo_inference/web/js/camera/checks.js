/** What is wrong with what the camera sees, before the picture is taken. Pure. */

import { qualityIssues } from "../offline/imaging/quality.js";
import { lesionExtent } from "./lesion.js";

/** @typedef {import("./lesion.js").Extent} Extent */
/** @typedef {{issue: string|null, extent: Extent|null}} Finding the most important issue: the last part of its text's key */

// Measured on HAM10000 by benchmarks/on_device/camera_checks.py: of 1,000 images none has more white than 0.11 %, and 1 % of lesions are smaller than 1.6 %.
const GLARE_WHITE = 250;
const MOST_GLARE = 0.005;
const LEAST_AREA = 0.02;

/**
 * Look at a frame, squashed as the network gets it. Light and focus are judged as the service judges them, so what passes here is not refused
 * for them there.
 * @param {Uint8ClampedArray} rgba [224, 224, 4] @param {number} width of the frame in pixels of the camera @param {number} height likewise
 * @returns {Finding}
 */
export function lookAt(rgba, width, height) {
  const [issue] = qualityIssues(withoutAlpha(rgba), width, height);
  const extent = lesionExtent(rgba);
  if (issue) return { issue, extent };
  if (glareShare(rgba) > MOST_GLARE) return { issue: "glare", extent };
  if (extent === null) return { issue: "no-lesion", extent };
  return { issue: extent.area < LEAST_AREA ? "too-far" : null, extent };
}

/** The share of pixels that are white, as where light is reflected. @param {Uint8ClampedArray} rgba */
export function glareShare(rgba) {
  let white = 0;
  for (let at = 0; at < rgba.length; at += 4) white += Number(Math.min(rgba[at], rgba[at + 1], rgba[at + 2]) >= GLARE_WHITE);
  return (4 * white) / rgba.length;
}

/** @param {Uint8ClampedArray} rgba */
const withoutAlpha = (rgba) => new Uint8Array(rgba.filter((_, at) => at % 4 !== 3));
