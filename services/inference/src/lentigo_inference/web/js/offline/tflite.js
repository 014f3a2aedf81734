/** Prepare a LiteRT model for the engine in the browser, which takes no input whose first dimension is open. */

// Where the tables of LiteRT's schema (schema.fbs, version 3) keep what is needed here.
const SUBGRAPHS = 2;
const TENSORS = 0;
const SHAPE = 0;
const SHAPE_SIGNATURE = 7;

/**
 * Fix the batch at one, in place: a shape's open dimension (-1 in `shape_signature`) becomes the one of `shape`, which LiteRT's
 * converter sets to 1. Nothing moves, so a few bytes differ and every weight stays as it is.
 * @param {Uint8Array} model content of a `.tflite` file @returns {number} how many dimensions were open
 */
export function fixBatch(model) {
  const view = new DataView(model.buffer, model.byteOffset, model.byteLength);
  let fixed = 0;
  for (const subgraph of tablesIn(view, fieldOf(view, follow(view, 0), SUBGRAPHS))) {
    for (const tensor of tablesIn(view, fieldOf(view, subgraph, TENSORS))) {
      const [shape, signature] = [SHAPE, SHAPE_SIGNATURE].map((place) => vectorOf(view, fieldOf(view, tensor, place)));
      for (let at = 0; at < signature.length; at += 1) {
        if (view.getInt32(signature.start + 4 * at, true) !== -1) continue;
        view.setInt32(signature.start + 4 * at, view.getInt32(shape.start + 4 * at, true), true);
        fixed += 1;
      }
    }
  }
  return fixed;
}

/** Where an offset leads. @param {DataView} view @param {number} place */
const follow = (view, place) => place + view.getUint32(place, true);

/** Where a table's field stands; 0 if it has its default. @param {DataView} view @param {number} table @param {number} number */
function fieldOf(view, table, number) {
  const fields = table - view.getInt32(table, true);
  const place = 4 + 2 * number;
  const offset = place < view.getUint16(fields, true) ? view.getUint16(fields + place, true) : 0;
  return offset === 0 ? 0 : table + offset;
}

/** @param {DataView} view @param {number} field */
function vectorOf(view, field) {
  if (field === 0) return { start: 0, length: 0 };
  const vector = follow(view, field);
  return { start: vector + 4, length: view.getUint32(vector, true) };
}

/** @param {DataView} view @param {number} field */
function tablesIn(view, field) {
  const { start, length } = vectorOf(view, field);
  return Array.from({ length }, (_, at) => follow(view, start + 4 * at));
}
