/** What the lesion looks like, drawn over a second view of the image, and in words. It plays no part in the diagnosis. */

import { drawing, element } from "../dom.js";
import { enumerated, hasText, inPercent, number, t } from "../language/texts.js";
import { isFromDevice } from "../prediction/on-device.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {[number, number]} Point */

/**
 * The drawing that lies over the second view, null if there is nothing to draw, and the words below it.
 * @param {Item} item an answered one
 * @returns {{picture: SVGElement|null, words: HTMLElement}}
 */
export function descriptionView({ answer }) {
  const { description, image } = answer;
  const picture = description?.described ? descriptionDrawing(description, image) : null;
  const words = element("div", { class: "described" },
    element("p", { class: "undescribed" }, undescribedText(answer)),
    picture && element("dl", {}, ...descriptionParts(description)),
    element("p", { class: "hint" }, t("describe.caption")));
  return { picture, words };
}

/** Why it is not described, or only in part; empty if it is. @param {any} answer */
function undescribedText(answer) {
  if (!answer.description) return t(isFromDevice(answer) ? "describe.offline" : "undescribed.failed");
  const { reason, sentence } = answer.description;
  if (!reason) return "";
  // From a newer service, in English.
  return hasText(`undescribed.${reason}`) ? t(`undescribed.${reason}`) : sentence;
}

/** @param {any} description one with a lesion @param {{width: number, height: number}} image */
function descriptionDrawing({ outlines, asymmetry, border, diameter }, { width, height }) {
  const abrupt = border.sectors.filter((/** @type {any} */ sector) => sector.abrupt).flatMap((/** @type {any} */ sector) => sector.lines);
  return drawing("svg", {
    class: "drawing", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": t("describe.alt"),
  },
  ...outlines.flatMap((/** @type {Point[]} */ ring) => shadowedLine("polygon", ring, "outline")),
  ...abrupt.flatMap((/** @type {Point[]} */ line) => shadowedLine("polyline", line, "abrupt")),
  ...(asymmetry?.axes ?? []).flatMap((/** @type {any} */ axis) => shadowedLine("polyline", axis.line, axis.asymmetric ? "axis asymmetric" : "axis")),
  ...(diameter ? shadowedLine("polyline", diameter.line, "diameter") : []));
}

/** A line on a dark one that is wider, so that it is seen on any skin. @param {string} shape @param {Point[]} points @param {string} kind */
const shadowedLine = (shape, points, kind) => [`under ${kind}`, kind].map((name) => drawing(shape, { class: name, points: points.join(" ") }));

/** @param {any} description one with a lesion */
function descriptionParts({ asymmetry, border, colours, diameter, share }) {
  return [
    ...(asymmetry ? describedPart("describe.asymmetry", "axis", t("describe.axes", { axes: ["none", "one"][asymmetry.score] ?? "both" })) : []),
    ...describedPart("describe.border", "abrupt", [t("describe.sectors", { count: border.score }), unseenText(border)].join(" ")),
    ...describedPart("describe.colours", null, coloursText(colours)),
    ...(diameter ? describedPart("describe.diameter", "diameter", t("describe.pixels", { pixels: number(diameter.pixels), percent: inPercent(share) })) : []),
  ];
}

/** A name, how its lines look, and a sentence. @param {string} key @param {string|null} kind @param {string} text */
const describedPart = (key, kind, text) => [
  element("dt", {}, t(key), kind && drawing("svg", { class: "drawing sample", viewBox: "0 0 40 10", "aria-hidden": "true" },
    ...shadowedLine("polyline", [[2, 5], [38, 5]], kind))),
  element("dd", {}, text),
];

/** @param {any} border */
function unseenText({ sectors }) {
  const count = sectors.filter((/** @type {any} */ sector) => sector.abrupt === null).length;
  return count ? t("describe.unseen", { count }) : "";
}

/** @param {any} colours */
function coloursText({ score, found }) {
  if (!score) return t("describe.noColour");
  const names = found.map((/** @type {any} */ { name, share }) =>
    t("describe.colour", { colour: hasText(`colour.${name}`) ? t(`colour.${name}`) : name, percent: inPercent(share) }));
  return t("describe.found", { count: score, colours: enumerated(names) });
}
