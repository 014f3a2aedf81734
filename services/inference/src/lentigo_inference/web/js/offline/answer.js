/** The answer for one image, with the members of `POST /v1/predictions`. */

import { decide, referralReasons, thresholdOf } from "./decision.js";
import { qualityIssues } from "./imaging/quality.js";
import { drawnMap } from "./maps.js";

/** @typedef {import("./engine.js").Outputs} Outputs */
/** @typedef {import("./decision.js").Decision} Decision */
/** @typedef {{code: string, name: string, malignant: boolean}} Label */
/** @typedef {{pixels: Uint8Array, format: string, width: number, height: number}} ReadImage */

/**
 * What the answers need of a version: from `GET /v1/offline`.
 * @typedef {{model: Record<string, any>, labels: Label[], rule: import("./decision.js").Rule, unlikeness_limit: number|null,
 *   map: {height: number, width: number}, limits: import("./imaging/read-image.js").Limits, notice: string,
 *   golden: import("./engine.js").Golden}} Version
 */

/**
 * Answer one image.
 * @param {Version} version @param {(pixels: Uint8Array) => Promise<Outputs>} run
 * @param {ReadImage} image @param {string} sha256 of the file @param {boolean} forced whether to decide about any image
 */
export async function answerFor(version, run, image, sha256, forced) {
  const issues = qualityIssues(image.pixels, image.width, image.height);
  // As in the service, the network does not run where its answer would be withheld anyway.
  const outputs = issues.length && !forced ? null : await run(image.pixels);
  const limit = version.unlikeness_limit;
  const unlikeness = limit === null ? null : outputs?.unlikeness?.[0] ?? null;
  const unlike = unlikeness !== null && limit !== null && unlikeness > limit;
  const reasons = unlike ? [...issues, "unlike-training-images"] : issues;
  const accepted = reasons.length === 0;
  const malignant = version.labels.map((label) => label.malignant);
  const decision = outputs && (accepted || forced) ? decide(version.rule, outputs.probabilities, malignant) : null;
  const referral = referralReasons(decision, accepted);
  return {
    id: crypto.randomUUID(),
    model: version.model,
    image: { sha256, format: image.format, width: image.width, height: image.height },
    quality: { accepted, reasons, unlikeness, unlikeness_limit: limit },
    ...diagnosisOf(version, decision),
    malignancy: {
      probability: decision?.malignancy ?? null,
      threshold: thresholdOf(version.rule, malignant),
      refer: referral.length > 0,
      reasons: referral,
    },
    notice: version.notice,
    ...mapsOf(version, decision, outputs),
  };
}

/** @param {Version} version @param {Decision|null} decision */
function diagnosisOf({ labels, rule }, decision) {
  if (decision === null) return { diagnosis: null, probabilities: [] };
  const scored = (/** @type {number} */ place) => {
    const { code, name } = labels[place];
    return { code, name, probability: decision.probabilities[place] };
  };
  const { diagnosis, ranked, confident } = decision;
  return {
    diagnosis: { ...scored(diagnosis), decided_by: rule.decided_by, confident },
    ...(ranked[0] === diagnosis ? {} : { most_probable: scored(ranked[0]) }),
    probabilities: ranked.map((place) => ({ ...scored(place), malignant: labels[place].malignant })),
  };
}

/** @param {Version} version @param {Decision|null} decision @param {Outputs|null} outputs */
function mapsOf({ labels, map }, decision, outputs) {
  if (decision === null || outputs === null) return {};
  const maps = decision.ranked.map((place) => ({
    code: labels[place].code,
    media_type: "image/png",
    data: drawnMap(outputs.activation_map, map.height, map.width, place),
  }));
  return { activation_map: maps[decision.ranked.indexOf(decision.diagnosis)], activation_maps: maps };
}
