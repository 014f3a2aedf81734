/** From "Predict" to a result or a problem: one attempt at a time per image, with automatic retries. */

import { checkKind } from "../images/kinds.js";
import { toSend } from "../images/photo.js";
import { Problem } from "../problem.js";
import { askForKey } from "./key.js";
import { answerHere, isFromDevice } from "./on-device.js";
import { predict } from "./service.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */
/** @typedef {import("../worklist/worklist.js").Worklist} Worklist */

/**
 * Predict one image. Does nothing if it is under way or done, so a second press is harmless. Every
 * change first checks that this attempt still belongs to the item, so a result that arrives after its
 * image was removed or cancelled is dropped.
 * @param {Worklist} list @param {Item} item
 */
export async function predictItem(list, item) {
  if (item.attempt || item.state === "done" || item.refused) return;
  const attempt = new AbortController();
  const change = (/** @type {Partial<Item>} */ changes) => {
    if (item.attempt === attempt) list.change(item, changes);
  };
  item.attempt = attempt;
  change({ state: "working", problem: null });
  try {
    await checkKind(item.file);
    const here = await answerHere(item.file, item.forced, attempt.signal);
    const { blob, from, to } = here ? { blob: item.file, from: null, to: null } : await toSend(item.file);
    const answer = here ?? await untilAnswered(blob, item, attempt, change);
    const scaled = from && to && !isFromDevice(answer) ? { from, to } : null;
    change({ state: "done", problem: null, answer, answeredAt: new Date(), scaled, attempt: null });
  } catch (error) {
    const problem = error instanceof Problem ? error : new Problem("other", { detail: String(error) });
    change({ state: "failed", problem, attempt: null });
  }
}

/** Predict again, although the image cannot be assessed. @param {Worklist} list @param {Item} item */
export function predictAnyway(list, item) {
  list.change(item, { state: "ready", answer: null, forced: true, kept: false });
  return predictItem(list, item);
}

/** Cancel the attempt under way. @param {Worklist} list @param {Item} item */
export function cancel(list, item) {
  const attempt = item.attempt;
  if (!attempt) return;
  list.change(item, { state: "ready", problem: null, attempt: null, forced: false });
  attempt.abort();
}

/** End the wait before the next try. @param {Item} item */
export const tryNow = (item) => item.attempt?.signal.dispatchEvent(new Event("trynow"));

/** @param {Blob} blob @param {Item} item @param {AbortController} attempt @param {(changes: Partial<Item>) => void} change */
async function untilAnswered(blob, { file, forced }, attempt, change) {
  for (;;) {
    try {
      return await predict(blob, forced, attempt.signal);
    } catch (problem) {
      if (attempt.signal.aborted || !(problem instanceof Problem)) throw problem;
      const here = problem.kind === "unreachable" ? await answerHere(file, forced, attempt.signal) : null;
      if (here) return here;
      if (problem.kind === "key") {
        change({ state: "waiting", problem });
        if (!(await askForKey())) throw problem;
      } else if (problem.retryAfter_s !== null) {
        const pause_ms = problem.retryAfter_s * 1000;
        change({ state: "waiting", problem, nextTry_ms: Date.now() + pause_ms });
        await pause(pause_ms, attempt.signal);
      } else {
        throw problem;
      }
      change({ state: "working" });
    }
  }
}

/** Wait; ends early on "Try now" or when the network is back. */
function pause(/** @type {number} */ delay_ms, /** @type {AbortSignal} */ signal) {
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    const until = (/** @type {() => void} */ then) => () => {
      clearTimeout(timer);
      over.abort();
      then();
    };
    const timer = setTimeout(until(() => resolve(null)), delay_ms);
    const options = { signal: over.signal };
    signal.addEventListener("trynow", until(() => resolve(null)), options);
    signal.addEventListener("abort", until(() => reject(signal.reason)), options);
    window.addEventListener("online", until(() => resolve(null)), options);
  });
}
