/** Start the page and connect its parts. */

import { announce, say } from "./announce.js";
import { byId } from "./dom.js";
import { showExample } from "./example/example-view.js";
import { listenForFeatures, renewFeatures } from "./features.js";
import { listenForImages } from "./images/intake.js";
import { prepareAll } from "./images/preparing.js";
import { takeShared } from "./images/sharing.js";
import { keepForOffline, listenForLanguage, startTexts } from "./language/language-view.js";
import { t } from "./language/texts.js";
import { isKnown, showModel } from "./model-view.js";
import { predictItem } from "./prediction/attempt.js";
import { listenForOffline } from "./prediction/on-device.js";
import { listenForPrint } from "./result/report-view.js";
import { listenForViews, openView, renewViews, showViews } from "./views.js";
import { isOpen, listenForKeys } from "./worklist/list-view.js";
import { Item, Worklist } from "./worklist/worklist.js";

// Images sent at the same time. More would slow down other users of the service.
const AT_ONCE = 2;

const list = new Worklist();

/** @param {File[]} files */
async function take(files) {
  const items = files.map((file) => new Item(file));
  list.addAll(items);
  say(t("intake.added", { count: items.length }));
  await prepareAll(list, items);
}

async function predictAll() {
  const open = list.items.filter(isOpen);
  if (list.items.length > 1) openView(list, "overview");
  const worker = async () => {
    for (let item = open.shift(); item; item = open.shift()) {
      if (list.items.includes(item)) await predictItem(list, item);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Move the focus to "Choose images" when the list is empty. */
function keepFocus() {
  if (document.activeElement === document.body && !list.items.length) byId("choose").focus();
}

list.addEventListener("change", (event) => {
  const item = event instanceof CustomEvent ? event.detail : null;
  showViews(list, item);
  keepFocus();
  if (item) announce(item);
  // A new version, or one whose metrics need a key.
  if (item?.answer && !isKnown(item.answer.model.version)) {
    void showModel().then(() => item === list.selected && showViews(list, item));
  }
});

window.addEventListener("beforeunload", (event) => {
  if (list.busy) event.preventDefault();
});

await startTexts();
document.body.classList.add("empty", "loaded");
listenForImages((files) => void take(files));
listenForFeatures((files) => void take(files), () => list.items);
listenForKeys(list);
listenForViews(list);
listenForPrint();
listenForLanguage(() => {
  renewViews(list);
  renewFeatures();
  void showModel();
}, say);
listenForOffline();
void takeShared((files) => void take(files));
byId("predict-all").addEventListener("click", () => void predictAll());
byId("example").addEventListener("click", () => void showExample(list));
void showModel();
void navigator.serviceWorker?.register("sw.js").then(keepForOffline).catch(() => undefined);
