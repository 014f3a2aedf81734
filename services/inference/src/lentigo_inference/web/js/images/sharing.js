/** Images that somebody shared with the installed page from another app, such as the phone's gallery. */

import { say } from "../announce.js";
import { byId, element } from "../dom.js";
import { t } from "../language/texts.js";

// The service worker forgets what it holds when the browser ends it; then nothing comes.
const LONGEST_MS = 5000;

/** Take what was shared, if the page was opened for that. @param {(files: File[]) => void} take */
export async function takeShared(take) {
  const { search } = location;
  if (!search.startsWith("?shared")) return;
  // Loading the page again must not look for them again.
  history.replaceState(null, "", location.pathname);
  const files = await sharedFiles(search);
  if (files.length) return take(files);
  byId("intake").append(element("p", { class: "alert" }, t("intake.shareLost")));
  say(t("intake.shareLost"));
}

/** @param {string} search this page's query, which names its images @returns {Promise<File[]>} */
function sharedFiles(search) {
  const worker = navigator.serviceWorker?.controller;
  if (!worker) return Promise.resolve([]);
  const { port1, port2 } = new MessageChannel();
  return new Promise((done) => {
    port1.onmessage = ({ data }) => done(data);
    setTimeout(() => done([]), LONGEST_MS);
    worker.postMessage(search, [port2]);
  });
}
