/** The worker that aligns two pictures and compares them, so that the page stays awake. */

import { lumaOf } from "../camera/sharpness.js";
import { align } from "./alignment.js";
import { compare, warped } from "./comparison.js";
import { inverse } from "./similarity.js";

const SAME = { a: 1, b: 0, x: 0, y: 0 };

/** @typedef {import("./comparison.js").Picture} Picture */

/** @param {Picture} earlier @param {Picture} later */
function answer(earlier, later) {
  const plane = (/** @type {Picture} */ { data, width, height }) => ({ data: lumaOf(data), width, height });
  const { similarity, agreeing } = align(plane(earlier), plane(later));
  if (similarity === null) return { similarity, agreeing, comparison: null };
  const comparison = compare(warped(earlier, SAME, earlier), warped(later, inverse(similarity), earlier));
  return { similarity, agreeing, comparison };
}

self.addEventListener("message", ({ data: { earlier, later } }) => self.postMessage(answer(earlier, later)));
