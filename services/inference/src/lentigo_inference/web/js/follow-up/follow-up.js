/** Follow-up: what the page calls. */

import { FollowUp } from "./dialog.js";

/** @typedef {import("../features.js").Page} Page */
/** @typedef {import("../worklist/worklist.js").Item} Item */

/** Compare two of the images in a dialog; ends when it is closed. @param {Page} page @param {Item[]} items */
export const openFollowUp = (page, items) => new FollowUp(page, items).open();
