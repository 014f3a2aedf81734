/** The model in use and what was measured of it. */

import { byId, element } from "./dom.js";
import { Problem } from "./problem.js";
import { modelInUse } from "./service.js";
import { diagnosisName, number, percent, t } from "./texts.js";

/** What each version says of itself, as long as it was ever in use. @type {Map<string, any>} */
const versions = new Map();

/** Ask for the model until there is one. @returns {Promise<void>} */
export async function showModel() {
  try {
    const model = await modelInUse();
    if (model) {
      versions.set(model.version, model);
      return write(t("model.name", model), `${measuredText(model.version)} ${baselineText(model)}`);
    }
    write(t("model.none"));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.kind === "key") return write(t("model.keyNeeded"));
    write(t("model.unreachable"));
  }
  setTimeout(showModel, 5000);
}

/** Whether a version's figures are known. @param {string} version */
export const isKnown = (version) => versions.has(version);

/** The accuracy of a version, never without its balanced accuracy. @param {string} version */
export function measuredText(version) {
  const metrics = versions.get(version)?.metrics ?? {};
  const accuracy = metrics.accuracy?.value;
  const balanced = metrics.balanced_accuracy?.value;
  if (typeof accuracy !== "number" || typeof balanced !== "number") return t("model.unmeasured");
  return t("model.measured", {
    n: number(metrics.accuracy.n), balanced: percent(balanced), accuracy: percent(accuracy),
  });
}

/** What costs nothing to reach. @param {any} model */
function baselineText({ metrics }) {
  const accuracy = metrics.majority_baseline?.value;
  if (typeof accuracy !== "number") return "";
  return t("model.baseline", { diagnosis: diagnosisName(metrics.majority), accuracy: percent(accuracy) });
}

/** @param {...string} sentences */
function write(...sentences) {
  byId("model").replaceChildren(...sentences.map((sentence) => element("p", {}, sentence)));
}
