/** Results as CSV and JSON. Pure: nothing here touches the page. No file's name unless it is asked for: it may name a patient. */

/** @typedef {import("../worklist/worklist.js").Item} Item */

export const NOTICE = "Research use only. Not a medical device.";

/**
 * One result. The service's answer is unchanged.
 * @param {Item} item @param {boolean} withName
 * @returns {Record<string, any>}
 */
export function resultRecord(item, withName) {
  return {
    number: item.number,
    ...(withName ? { file: item.name } : {}),
    state: item.state,
    drawn_example: item.drawn,
    forced: item.forced,
    answered: item.answeredAt?.toISOString() ?? null,
    scaled: item.scaled,
    problem: item.problem && { kind: item.problem.kind, detail: item.problem.detail, request: item.problem.request },
    answer: item.answer,
  };
}

/** One result as JSON. @param {Item} item @param {boolean} withName @param {Date} now */
export const toJson = (item, withName, now) =>
  JSON.stringify({ notice: NOTICE, saved: now.toISOString(), ...resultRecord(item, withName) }, null, 2);

/** All results as JSON, without the maps, which each result has when it is saved alone. @param {Item[]} items @param {boolean} withName @param {Date} now */
export function allToJson(items, withName, now) {
  const results = items.map((item) => {
    const record = resultRecord(item, withName);
    if (record.answer) record.answer = { ...record.answer, activation_maps: undefined };
    return record;
  });
  return JSON.stringify({ notice: NOTICE, saved: now.toISOString(), results }, null, 2);
}

const CODES = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"];

/** The columns of the table, whose names and values are the same in every language. @type {[string, (item: Item) => unknown][]} */
const COLUMNS = [
  ["number", (item) => item.number],
  ["file", (item) => item.name],
  ["state", (item) => item.state],
  ["problem", (item) => item.problem?.kind],
  ["drawn_example", (item) => item.drawn],
  ["answered", (item) => item.answeredAt?.toISOString()],
  ["diagnosis", (item) => item.answer?.diagnosis?.code],
  ["diagnosis_name", (item) => item.answer?.diagnosis?.name],
  ["diagnosis_probability", (item) => item.answer?.diagnosis?.probability],
  ["decided_by", (item) => item.answer?.diagnosis?.decided_by],
  ["most_probable", (item) => mostProbable(item.answer)?.code],
  ["most_probable_name", (item) => mostProbable(item.answer)?.name],
  ["most_probable_probability", (item) => mostProbable(item.answer)?.probability],
  // The service's member is "confident", which reads as if the diagnosis were sure.
  ["reaches_confidence_limit", (item) => item.answer?.diagnosis?.confident],
  ["malignancy_probability", (item) => item.answer?.malignancy.probability],
  ["malignancy_threshold", (item) => item.answer?.malignancy.threshold],
  ["refer", (item) => item.answer?.malignancy.refer],
  ["refer_reasons", (item) => item.answer?.malignancy.reasons.join(" ")],
  ["quality_accepted", (item) => item.answer?.quality.accepted],
  ["quality_reasons", (item) => item.answer?.quality.reasons.join(" ")],
  ["predicted_anyway", (item) => item.answer && item.forced],
  ...CODES.map((code) => /** @type {[string, (item: Item) => unknown]} */ ([`p_${code}`, (item) => probabilityOf(item.answer, code)])),
  ["width", (item) => item.answer?.image.width],
  ["height", (item) => item.answer?.image.height],
  ["scaled_from", (item) => item.scaled?.from.replace(" × ", "x")],
  ["image_sha256", (item) => item.answer?.image.sha256],
  ["answer_id", (item) => item.answer?.id],
  ["model", (item) => item.answer?.model.name],
  ["model_version", (item) => item.answer?.model.version],
  ["model_digest", (item) => item.answer?.model.digest],
  ["engine", (item) => item.answer?.model.engine],
  ["notice", () => NOTICE],
];

/**
 * All results as CSV (RFC 4180), in UTF-8 with the mark by which spreadsheets know it.
 * @param {Item[]} items @param {boolean} withName
 */
export function toCsv(items, withName) {
  const columns = COLUMNS.filter(([name]) => withName || name !== "file");
  const lines = [columns.map(([name]) => name), ...items.map((item) => columns.map(([, value]) => cell(value(item))))];
  return `\ufeff${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}

/** @param {unknown} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  // A spreadsheet would run a name that begins like a formula.
  const text = typeof value === "string" ? value.replace(/^[=+\-@\t\r]/, "'$&") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The most probable diagnosis of an answer; the service names it only where it is not the decided one. @param {any} answer */
export const mostProbable = (answer) => answer?.most_probable ?? answer?.diagnosis ?? null;

/** @param {any} answer @param {string} code */
const probabilityOf = (answer, code) =>
  answer?.probabilities?.find((/** @type {any} */ entry) => entry.code === code)?.probability;
