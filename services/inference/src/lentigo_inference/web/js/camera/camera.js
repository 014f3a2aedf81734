/** The live camera: what the page calls. */

import { CameraView } from "./view.js";

/** @typedef {import("../features.js").Page} Page */

/** Open the camera in a dialog; ends when it is closed. @param {Page} page */
export const openLiveCamera = (page) => new CameraView(page).open();
