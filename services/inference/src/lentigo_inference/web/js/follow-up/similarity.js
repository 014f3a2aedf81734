/**
 * A similarity (turn, scale and shift) between two pictures, from pairs of places of which many are wrong: RANSAC (Fischler and Bolles 1981),
 * then least squares over what agrees. Pure.
 *
 * @typedef {{x: number, y: number}} Place
 * @typedef {{a: number, b: number, x: number, y: number}} Similarity maps (u, v) to (a u - b v + x, b u + a v + y)
 */

import { generator } from "./random.js";

const TRIES = 3000;
const NEAR_PX = 5;
const MOST_SCALE = 2.5;

/** @param {Similarity} similarity @param {Place} place @returns {Place} */
export const mapped = ({ a, b, x, y }, { x: u, y: v }) => ({ x: a * u - b * v + x, y: b * u + a * v + y });

/** @param {Similarity} similarity */
export const scaleOf = ({ a, b }) => Math.hypot(a, b);

/** @param {Similarity} similarity in radians */
export const angleOf = ({ a, b }) => Math.atan2(b, a);

/** @param {Similarity} similarity @returns {Similarity} the way back */
export function inverse({ a, b, x, y }) {
  const square = a * a + b * b;
  return { a: a / square, b: -b / square, x: -(a * x + b * y) / square, y: (b * x - a * y) / square };
}

/**
 * The similarity on which most pairs agree.
 * @param {Place[]} from @param {Place[]} to the same number
 * @returns {{similarity: Similarity, inliers: number[]}|null} null if there is none
 */
export function findSimilarity(from, to) {
  if (from.length < 2) return null;
  const random = generator(7);
  /** @type {number[]} */
  let inliers = [];
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const [one, other] = [0, 1].map(() => Math.trunc(random() * from.length));
    const similarity = one === other ? null : fit([from[one], from[other]], [to[one], to[other]]);
    if (!similarity || !isPlausible(similarity)) continue;
    const found = agreeing(similarity, from, to);
    if (found.length > inliers.length) inliers = found;
  }
  let similarity = null;
  for (let round = 0; round < 3 && inliers.length >= 2; round += 1) {
    similarity = fit(inliers.map((at) => from[at]), inliers.map((at) => to[at]));
    if (!similarity || !isPlausible(similarity)) return null;
    inliers = agreeing(similarity, from, to);
  }
  return similarity && { similarity, inliers };
}

/** @param {Similarity} similarity */
const isPlausible = (similarity) => scaleOf(similarity) < MOST_SCALE && scaleOf(similarity) > 1 / MOST_SCALE;

/** @param {Similarity} similarity @param {Place[]} from @param {Place[]} to */
const agreeing = (similarity, from, to) => [...from.keys()].filter((at) => {
  const { x, y } = mapped(similarity, from[at]);
  return Math.hypot(x - to[at].x, y - to[at].y) < NEAR_PX;
});

/** The similarity with the least squares of what is left. @param {Place[]} from @param {Place[]} to @returns {Similarity|null} */
function fit(from, to) {
  const mean = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [u, v] = [mean(from.map(({ x }) => x)), mean(from.map(({ y }) => y))];
  const [x, y] = [mean(to.map((place) => place.x)), mean(to.map((place) => place.y))];
  let [dot, cross, square] = [0, 0, 0];
  from.forEach((place, at) => {
    const [right, down] = [place.x - u, place.y - v];
    const [otherRight, otherDown] = [to[at].x - x, to[at].y - y];
    dot += right * otherRight + down * otherDown;
    cross += right * otherDown - down * otherRight;
    square += right * right + down * down;
  });
  if (square < 1) return null;
  const [a, b] = [dot / square, cross / square];
  return { a, b, x: x - a * u + b * v, y: y - b * u - a * v };
}
