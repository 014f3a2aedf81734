/** Start the page and connect its parts. */

import { announce, say } from "./announce.js";
import { predictItem } from "./attempt.js";
import { byId } from "./dom.js";
import { listenForImages } from "./intake.js";
import { isOpen, listenForKeys, showList } from "./list-view.js";
import { isKnown, showModel } from "./model-view.js";
import { listenForOffline } from "./on-device.js";
import { checkKind } from "./photo.js";
import { Problem } from "./problem.js";
import { showStage } from "./stage-view.js";
import { loadTexts, t } from "./texts.js";
import { Item, Worklist } from "./worklist.js";

// Images sent at the same time. More would slow down other users of the service.
const AT_ONCE = 2;

const list = new Worklist();

/** @param {File[]} files */
async function take(files) {
  const items = files.map((file) => new Item(file));
  for (const item of items) list.add(item);
  if (items.length && list.items.length > items.length) list.select(items[0]);
  say(t("intake.added", { count: items.length }));
  for (const item of items) {
    try {
      await checkKind(item.file);
    } catch (problem) {
      if (problem instanceof Problem) list.change(item, { state: "failed", refused: true, problem });
    }
  }
}

async function predictAll() {
  const open = list.items.filter(isOpen);
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
  showList(list);
  if (item === null || item === list.selected) showStage(list);
  keepFocus();
  if (item) announce(item);
  // A new version, or one whose metrics need a key.
  if (item?.answer && !isKnown(item.answer.model.version)) {
    void showModel().then(() => item === list.selected && showStage(list));
  }
});

window.addEventListener("beforeunload", (event) => {
  if (list.busy) event.preventDefault();
});

await loadTexts();
document.body.classList.add("empty", "loaded");
listenForImages((files) => void take(files));
listenForKeys(list);
listenForOffline();
byId("predict-all").addEventListener("click", () => void predictAll());
void showModel();
void navigator.serviceWorker?.register("sw.js").catch(() => undefined);
