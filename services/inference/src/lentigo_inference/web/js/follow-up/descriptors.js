/** What the surroundings of a corner look like, and which corners of two pictures look alike: BRIEF, turned (Calonder et al. 2010; Rublee et al. 2011). Pure. */

import { RADIUS } from "./corners.js";
import { generator } from "./random.js";

/** @typedef {import("./corners.js").Corner} Corner */
/** @typedef {import("./corners.js").Plane} Plane */

const BITS = 256;
const WORDS = BITS / 32;
const SPREAD = (2 * RADIUS + 1) / 5;
// The second best must differ by that much more, or the match says little (Lowe 2004).
const RATIO = 0.9;
const MOST_DIFFERENT = 80;

/** Pairs of places around a corner, the same in every picture. */
const PAIRS = drawPairs();

function drawPairs() {
  const random = generator(1);
  const place = () => {
    // Box and Muller; within the patch, however it is turned.
    const length = Math.min(SPREAD * Math.sqrt(-2 * Math.log(1 - random())), RADIUS - 1);
    const angle = 2 * Math.PI * random();
    return [length * Math.cos(angle), length * Math.sin(angle)];
  };
  return Array.from({ length: BITS }, () => [...place(), ...place()]);
}

/** 256 bits for each corner. @param {Plane[]} levels @param {Corner[]} corners @returns {Uint32Array[]} */
export const describe = (levels, corners) => corners.map(({ x, y, level, angle }) => {
  const { data, width } = levels[level];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const value = (/** @type {number} */ u, /** @type {number} */ v) =>
    data[Math.round(y + u * sin + v * cos) * width + Math.round(x + u * cos - v * sin)];
  const words = new Uint32Array(WORDS);
  PAIRS.forEach(([u, v, otherU, otherV], bit) => {
    if (value(u, v) < value(otherU, otherV)) words[bit >> 5] |= 1 << (bit & 31);
  });
  return words;
});

/** Pairs that are each other's best, clearly. @param {Uint32Array[]} ones @param {Uint32Array[]} others @returns {[number, number][]} */
export function match(ones, others) {
  const forth = ones.map((one) => nearest(one, others));
  const back = others.map((other) => nearest(other, ones));
  return forth.flatMap(({ place, distance, second }, at) =>
    (place >= 0 && back[place].place === at && distance <= MOST_DIFFERENT && distance < RATIO * second ? [/** @type {[number, number]} */ ([at, place])] : []));
}

/** @param {Uint32Array} words @param {Uint32Array[]} others */
function nearest(words, others) {
  const best = { place: -1, distance: BITS + 1, second: BITS + 1 };
  others.forEach((other, place) => {
    let distance = 0;
    for (let word = 0; word < WORDS; word += 1) distance += ones32(words[word] ^ other[word]);
    if (distance < best.distance) [best.second, best.distance, best.place] = [best.distance, distance, place];
    else if (distance < best.second) best.second = distance;
  });
  return best;
}

/** How many bits are set. @param {number} word */
function ones32(word) {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
