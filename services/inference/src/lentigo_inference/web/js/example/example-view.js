/** "See an example": a picture drawn here goes to the service as any image does. */

import { say } from "../announce.js";
import { prepareAll } from "../images/preparing.js";
import { t } from "../language/texts.js";
import { predictAnyway, predictItem } from "../prediction/attempt.js";
import { isWithheld } from "../result/quality-view.js";
import { openItem } from "../views.js";
import { Item } from "../worklist/worklist.js";
import { drawLesion } from "./example.js";

/** @typedef {import("../worklist/worklist.js").Worklist} Worklist */

/**
 * Show the example and its answer. Where the model refuses the picture, it is asked to predict anyway, and the page says so.
 * @param {Worklist} list
 */
export async function showExample(list) {
  const shown = list.items.find((item) => item.drawn);
  if (shown) return openItem(list, shown);
  const canvas = document.createElement("canvas");
  drawLesion(canvas);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!(blob instanceof Blob)) return say(t("example.failed"));
  const item = new Item(new File([blob], t("example.name"), { type: "image/png" }), true);
  list.addAll([item]);
  openItem(list, item);
  await prepareAll(list, [item]);
  await predictItem(list, item);
  if (list.items.includes(item) && isWithheld(item)) await predictAnyway(list, item);
}
