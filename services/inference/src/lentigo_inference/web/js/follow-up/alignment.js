/** Bring two pictures of one lesion to the same place, or find that they cannot be. Pure. */

import { findCorners, LEVEL_STEP, pyramid } from "./corners.js";
import { describe, match } from "./descriptors.js";
import { findSimilarity } from "./similarity.js";

/** @typedef {import("./corners.js").Plane} Plane */
/** @typedef {import("./similarity.js").Similarity} Similarity */

// benchmarks/on_device/follow_up_alignment.py measures it: fewer agree by chance between pictures of different lesions.
const LEAST_AGREEING = 12;

/**
 * From the later picture to the earlier one.
 * @param {Plane} earlier luma @param {Plane} later luma
 * @returns {{similarity: Similarity|null, agreeing: number, matches: number}} null where too few details agree
 */
export function align(earlier, later) {
  const [one, other] = [earlier, later].map((plane) => {
    const levels = pyramid(plane);
    const corners = findCorners(levels);
    const places = corners.map(({ x, y, level }) => ({ x: x * LEVEL_STEP ** level, y: y * LEVEL_STEP ** level }));
    return { places, words: describe(levels, corners) };
  });
  const pairs = match(other.words, one.words);
  const found = findSimilarity(pairs.map(([at]) => other.places[at]), pairs.map(([, at]) => one.places[at]));
  // Corners of several levels at one place are one detail.
  const agreeing = found ? new Set(found.inliers.map((at) => spot(other.places[pairs[at][0]]))).size : 0;
  return { similarity: found && agreeing >= LEAST_AGREEING ? found.similarity : null, agreeing, matches: pairs.length };
}

/** @param {import("./similarity.js").Place} place */
const spot = ({ x, y }) => `${Math.round(x / 6)} ${Math.round(y / 6)}`;
