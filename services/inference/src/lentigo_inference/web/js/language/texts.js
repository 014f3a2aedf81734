/** The texts of the page: one language is loaded, the chosen one or the first of the browser's that there is. */

import { store, stored } from "../store.js";
import { formatParts, parseMessage } from "./icu.js";

/** Each with its own name for itself, and whether it is written from right to left. @type {Record<string, {name: string, dir: string}>} */
export const LANGUAGES = {
  en: { name: "English", dir: "ltr" },
  de: { name: "Deutsch", dir: "ltr" },
  es: { name: "Español", dir: "ltr" },
  fr: { name: "Français", dir: "ltr" },
  pt: { name: "Português", dir: "ltr" },
  ar: { name: "العربية", dir: "rtl" },
};
const SOURCE = "en";
const LANGUAGE_PLACE = "lentigo-language";

/** @type {Record<string, string>} */
let texts = {};
/** @type {Map<string, import("./icu.js").Part[]>} */
const parsed = new Map();
/** The language of the texts. */
let language = SOURCE;
/** For dates and numbers: the browser's own tag, which includes the country. */
let locale = SOURCE;

/** @param {string} tag */
const languageOf = (tag) => tag.slice(0, 2).toLowerCase();

/** The language in use. */
export const currentLanguage = () => language;

/** The language to begin with: the one chosen here before, or the first of the browser's that there is. */
export function preferredLanguage() {
  const wished = [stored("localStorage", LANGUAGE_PLACE) ?? "", ...navigator.languages].map(languageOf);
  return wished.find((tag) => tag in LANGUAGES) ?? SOURCE;
}

/** Keep the choice for later visits. @param {string} chosen */
export const keepLanguage = (chosen) => store("localStorage", LANGUAGE_PLACE, chosen);

/**
 * Load the texts of a language and put them into the page.
 * @param {string} wished
 * @throws {TypeError} the file cannot be had; the texts stay as they are
 */
export async function loadTexts(wished) {
  const response = await fetch(`page/locales/${wished}.json`);
  if (!response.ok) throw new TypeError(`${response.status} for the texts`);
  texts = await response.json();
  parsed.clear();
  language = wished;
  locale = navigator.languages.find((tag) => languageOf(tag) === wished) ?? wished;
  document.documentElement.lang = wished;
  document.documentElement.dir = LANGUAGES[wished].dir;
  for (const node of document.querySelectorAll("[data-t]")) {
    node.textContent = t(node.getAttribute("data-t") ?? "");
  }
  for (const node of document.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.getAttribute("data-t-label") ?? ""));
  }
}

/**
 * A text with its values. From right to left, each value is isolated, so that a file's name or a
 * percentage keeps its own order.
 * @param {string} key @param {Record<string, string|number>} values
 */
export function t(key, values = {}) {
  let parts = parsed.get(key);
  if (!parts) parsed.set(key, parts = parseMessage(texts[key] ?? key));
  const rtl = LANGUAGES[language].dir === "rtl";
  const given = rtl ? Object.fromEntries(Object.entries(values).map(([name, value]) =>
    [name, typeof value === "string" && isShown(parts, name) ? `\u2068${value}\u2069` : value])) : values;
  return formatParts(parts, given, locale);
}

/** Whether a value is shown itself, rather than chosen by. @param {import("./icu.js").Part[]} parts @param {string} name @returns {boolean} */
const isShown = (parts, name) => !parts.some((part) => typeof part === "object" && "name" in part && part.name === name && part.kind !== "");

/** @param {string} key */
export const hasText = (key) => key in texts;

/** @param {string} code @param {string} [name] the service's own name for it */
export const diagnosisName = (code, name = code) =>
  hasText(`diagnosis.${code}`) ? t(`diagnosis.${code}`) : name;

/**
 * A fraction in per cent; what is not exactly 0 or 1 never reads as 0 % or 100 %.
 * @param {number} fraction @param {number} [digits] after the point at most, 1 or more
 * @param {number} [leastDigits] after the point at least
 */
export function percent(fraction, digits = 1, leastDigits = 0) {
  const format = new Intl.NumberFormat(locale, {
    style: "percent", minimumFractionDigits: leastDigits, maximumFractionDigits: digits,
  });
  const least = 10 ** (-2 - digits);
  // In words where a mirrored sign would read as its opposite.
  if (fraction > 0 && fraction < least) return t("number.below", { number: format.format(least) });
  if (fraction < 1 && fraction > 1 - least) return t("number.above", { number: format.format(1 - least) });
  return format.format(fraction);
}

// Softmax is never exactly 0 or 1, although its float32 may be.
const NEARLY_0 = 1e-9;

/** @param {number} share */
const unsure = (share) => Math.min(Math.max(share, NEARLY_0), 1 - NEARLY_0);

/** A probability of the network, in per cent. @param {number} share */
export const probability = (share) => percent(unsure(share));

/** The most probable diagnosis, where another one was decided for. @param {any} other */
export const differsText = (other) => t("result.differs", {
  diagnosis: diagnosisName(other.code, other.name), percent: probability(other.probability),
});

/**
 * A probability and what it is compared with, in per cent: with as many digits as the
 * threshold needs and as show the two apart.
 * @param {number} share @param {number} threshold @returns {[string, string]}
 */
export function compared(share, threshold) {
  const both = (/** @type {number} */ digits) => [percent(unsure(share), digits), percent(threshold, digits)];
  let digits = 1;
  while (digits < 6 && (threshold < 10 ** (-2 - digits) || both(digits)[0] === both(digits)[1])) digits += 1;
  const [one, other] = both(digits);
  return [one, other];
}

/** A ratio that is no probability, in whole per cent. @param {number} ratio */
export const inPercent = (ratio) => new Intl.NumberFormat(locale, { style: "percent" }).format(ratio);

/** @param {Date} time */
export const clockTime = (time) =>
  new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(time);

/** @param {number} count @param {number} [digits] after the point at most */
export const number = (count, digits = 0) => new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(count);

/** Several texts in one, as the language lists them. @param {string[]} several */
export const enumerated = (several) => new Intl.ListFormat(locale, { type: "unit" }).format(several);

/** Compares two texts as the language sorts them. @param {string} one @param {string} other */
export const inOrder = (one, other) => new Intl.Collator(locale, { numeric: true }).compare(one, other);
