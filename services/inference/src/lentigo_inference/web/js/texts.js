/** The texts of the page, in the first of the browser's languages that has a file in locales/. */

const LANGUAGES = ["en", "de"];

/** @type {Record<string, string>} */
let texts = {};
/** For dates and numbers: the browser's own tag, which includes the country. */
let locale = LANGUAGES[0];

/** Load the texts and put them into the page. */
export async function loadTexts() {
  const languageOf = (/** @type {string} */ tag) => tag.slice(0, 2).toLowerCase();
  locale = navigator.languages.find((tag) => LANGUAGES.includes(languageOf(tag))) ?? LANGUAGES[0];
  const language = languageOf(locale);
  const response = await fetch(`page/locales/${language}.json`);
  texts = await response.json();
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-t]")) {
    node.textContent = t(node.getAttribute("data-t") ?? "");
  }
  for (const node of document.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.getAttribute("data-t-label") ?? ""));
  }
}

/**
 * A text, its {places} filled in.
 * @param {string} key @param {Record<string, string|number>} values
 */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

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
  if (fraction > 0 && fraction < least) return `<\u00a0${format.format(least)}`;
  if (fraction < 1 && fraction > 1 - least) return `>\u00a0${format.format(1 - least)}`;
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

/** @param {Date} time */
export const clockTime = (time) =>
  new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(time);

/** @param {number} count */
export const number = (count) => new Intl.NumberFormat(locale).format(count);
