/** What the page says, in the first of the browser's languages that has a file in locales/. */

const LANGUAGES = ["en", "de"];

/** @type {Record<string, string>} */
let texts = {};
let language = LANGUAGES[0];

/** Read the language's file and put its texts into the page. */
export async function loadTexts() {
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
  language = wanted.find((tag) => LANGUAGES.includes(tag)) ?? LANGUAGES[0];
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
 * A fraction in per cent, to one decimal; what is not quite 0 or 1 never reads as 0 % or 100 %.
 * @param {number} fraction
 */
export function percent(fraction) {
  const format = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
  if (fraction > 0 && fraction < 0.001) return `< ${format.format(0.001)}`;
  if (fraction < 1 && fraction > 0.999) return `> ${format.format(0.999)}`;
  return format.format(fraction);
}

/** @param {Date} time */
export const clockTime = (time) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(time);

/** @param {number} count */
export const number = (count) => new Intl.NumberFormat(language).format(count);
