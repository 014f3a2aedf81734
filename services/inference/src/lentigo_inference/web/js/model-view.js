/** The model in use and its metrics. */

import { byId, element } from "./dom.js";
import { diagnosisName, number, percent, t } from "./language/texts.js";
import { modelInUse } from "./prediction/service.js";
import { Problem } from "./problem.js";

/** What the service said of each version that was in use. @type {Map<string, any>} */
const versions = new Map();

/** @type {ReturnType<typeof setTimeout>|undefined} */
let again;

/** Ask for the model until there is one. @returns {Promise<void>} */
export async function showModel() {
  clearTimeout(again);
  try {
    const model = await modelInUse();
    if (model) {
      versions.set(model.version, model);
      return write(t("model.name", model), [...measuredTexts(model.version), baselineText(model)].join(" "));
    }
    write(t("model.none"));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.kind === "key" || problem.kind === "forbidden") return write(t("model.keyNeeded"));
    write(t("model.unreachable"));
  }
  again = setTimeout(showModel, 5000);
}

/** Whether a version's metrics are known. @param {string} version */
export const isKnown = (version) => versions.has(version);

/** What the service said of a version; undefined if it was not asked. @param {string} version */
export const modelOf = (version) => versions.get(version);

/** Where the probabilities of a version hold, as a sentence; empty if that is unknown. @param {string} version */
export function prevalenceText(version) {
  const { prevalence_source: source, dataset } = versions.get(version) ?? {};
  if (source === "clinic") return t("result.atClinic");
  return source === "version" ? t("result.asInDataset", { dataset: dataset.name }) : "";
}

/**
 * The metrics of a version, as this service decides. Accuracy never stands without balanced accuracy and the sensitivity for
 * melanoma, because it alone would flatter the model.
 * @param {string} version @returns {string[]} sentences
 */
export function measuredTexts(version) {
  const model = versions.get(version);
  const { accuracy, balanced_accuracy: balanced, melanoma_sensitivity: melanoma } = metricsOf(model);
  if (!isMeasured(accuracy) || !isMeasured(balanced)) return [t("model.unmeasured")];
  const values = { n: number(accuracy.n), balanced: figure(balanced), accuracy: figure(accuracy) };
  const sentences = [t("model.measured", { ...values, dataset: model.dataset.name })];
  if (isMeasured(melanoma)) {
    sentences.push(t("model.melanoma", { n: number(melanoma.n), found: figure(melanoma) }));
  }
  return sentences;
}

/** The metrics of the decisions that this service makes. @param {any} model */
function metricsOf(model) {
  const metrics = model?.metrics ?? {};
  const decided = metrics.decided_by ?? "probable";
  return decided === model?.decided_by ? metrics : metrics.most_probable ?? metrics;
}

/** @param {any} metric */
const isMeasured = (metric) => typeof metric?.value === "number";

/** A metric with its 95 % confidence interval, if it has one. @param {any} metric */
function figure({ value, low, high }) {
  if (typeof low !== "number" || typeof high !== "number") return metricText(value);
  return t("model.figure", { value: metricText(value), low: metricText(low), high: metricText(high) });
}

/** In per cent, always with one digit, so that a value and its interval match. @param {number} value */
const metricText = (value) => percent(value, 1, 1);

/** The accuracy of always predicting the most frequent diagnosis. @param {any} model */
function baselineText({ metrics }) {
  const accuracy = metrics.majority_baseline?.value;
  if (typeof accuracy !== "number") return "";
  return t("model.baseline", { diagnosis: diagnosisName(metrics.majority), accuracy: metricText(accuracy) });
}

/** @param {...string} sentences */
function write(...sentences) {
  byId("model").replaceChildren(...sentences.map((sentence) => element("p", {}, sentence)));
}
