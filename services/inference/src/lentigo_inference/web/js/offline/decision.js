/**
 * From probabilities to a decision: lentigo_contract/decision.py and the service's serving/decision.py.
 *
 * @typedef {{malignancy: number, abstention: number|null}} Thresholds
 * @typedef {{thresholds: Thresholds, declared: number[]|null, clinic: number[]|null,
 *   calibration: {slope: number, intercept: number}|null, decided_by: "balanced"|"probable"}} Rule shares in the order of the labels
 * @typedef {{probabilities: number[], ranked: number[], diagnosis: number, confident: boolean|null, malignancy: number,
 *   malignant: boolean}} Decision
 */

/**
 * Decide about one image. Thresholds apply to the network's own probabilities, and only what is shown is moved to the clinic's
 * prevalence, so no prevalence changes which lesions are referred.
 * @param {Rule} rule @param {ArrayLike<number>} outputs float32 [7] @param {boolean[]} malignant in the order of the labels
 * @returns {Decision}
 */
export function decide(rule, outputs, malignant) {
  const own = Array.from(outputs, (value) => Math.min(Math.max(value, 0), 1));
  const { declared, clinic } = rule;
  const moved = declared && clinic;
  const shown = moved ? reweighted(own, clinic.map((share, at) => Math.log(share) - Math.log(declared[at]))) : own;
  const ranked = shown.map((_, at) => at).sort((one, other) => shown[other] - shown[one] || one - other);
  const balanced = rule.decided_by === "balanced" && declared;
  const scores = balanced ? reweighted(own, declared.map((share) => -Math.log(share))) : own;
  const malignancy = malignantProbability(own, rule.calibration, malignant);
  const { abstention } = rule.thresholds;
  return {
    probabilities: shown,
    ranked,
    diagnosis: balanced ? scores.indexOf(Math.max(...scores)) : ranked[0],
    confident: abstention === null ? null : Math.max(...own) >= abstention,
    malignancy: movedOdds(malignancy, rule, malignant),
    malignant: malignancy >= rule.thresholds.malignancy,
  };
}

/** The threshold at the prevalence in effect. @param {Rule} rule @param {boolean[]} malignant */
export const thresholdOf = (rule, malignant) => movedOdds(rule.thresholds.malignancy, rule, malignant);

/** Why to refer, if at all. @param {Decision|null} decision @param {boolean} accepted @returns {string[]} */
export function referralReasons(decision, accepted) {
  return [decision?.malignant && "malignancy", decision?.confident === false && "unconfident", !accepted && "unusable"]
    .filter((reason) => typeof reason === "string");
}

/** Multiply by weights and scale to the sum 1, by logarithms. @param {number[]} probabilities @param {number[]} logWeights */
function reweighted(probabilities, logWeights) {
  const logs = probabilities.map((probability, at) => Math.log(probability) + logWeights[at]);
  const highest = Math.max(...logs);
  const powers = logs.map((log) => Math.exp(log - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** @param {number[]} own @param {Rule["calibration"]} calibration @param {boolean[]} malignant */
function malignantProbability(own, calibration, malignant) {
  const sumOf = (/** @type {boolean} */ wanted) =>
    own.reduce((sum, probability, at) => (malignant[at] === wanted ? sum + probability : sum), 0);
  if (calibration === null) return Math.min(sumOf(true), 1);
  return sigmoid(calibration.slope * (Math.log(sumOf(true)) - Math.log(sumOf(false))) + calibration.intercept);
}

/** Move the odds of malignancy from the declared prevalence to the clinic's. @param {number} probability @param {Rule} rule @param {boolean[]} malignant */
function movedOdds(probability, { declared, clinic }, malignant) {
  if (!declared || !clinic) return probability;
  const logOdds = (/** @type {number[]} */ shares) => {
    const share = shares.reduce((sum, each, at) => (malignant[at] ? sum + each : sum), 0);
    return Math.log(share) - Math.log(1 - share);
  };
  return sigmoid(Math.log(probability) - Math.log1p(-probability) + logOdds(clinic) - logOdds(declared));
}

/** @param {number} logit */
const sigmoid = (logit) => 1 / (1 + Math.exp(-logit));
