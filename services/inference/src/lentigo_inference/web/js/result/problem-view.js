/** The view of a problem, and what to do about it. */

import { element } from "../dom.js";
import { hasText, t } from "../language/texts.js";

/** @typedef {import("../worklist/worklist.js").Item} Item */

/** @param {Item} item one with a problem */
export function problemView(item) {
  const problem = item.problem;
  if (!problem) return null;
  const kind = hasText(`problem.${problem.kind}.title`) ? problem.kind : "other";
  return element("section", { class: item.state === "failed" ? "problem" : "problem waiting" },
    element("h2", { tabindex: -1, "data-focus": true }, t(`problem.${kind}.title`)),
    element("p", {}, t(`problem.${kind}.todo`, { request: problem.request, ...problem.values })),
    item.state === "waiting" && problem.retryAfter_s !== null && countdown(item),
    problem.detail !== "" && element("p", { class: "hint" },
      // The service writes in English, whatever the language of the page.
      t("problem.said", { detail: "" }), element("span", { lang: "en" }, problem.detail)));
}

/** @param {Item} item */
function countdown(item) {
  const line = element("p", { class: "countdown" });
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((item.nextTry_ms - Date.now()) / 1000));
    line.textContent = t("problem.retrying", { seconds });
  };
  tick();
  const timer = setInterval(() => (line.isConnected ? tick() : clearInterval(timer)), 1000);
  return line;
}
