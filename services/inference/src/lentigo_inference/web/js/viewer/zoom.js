/** Which part of an image is shown. Pure geometry; lengths are in CSS pixels, places in pixels of the image. */

/** @typedef {{scale: number, x: number, y: number}} Zoom the centre and the CSS pixels for each pixel */
/** @typedef {{width: number, height: number}} Size */

const LARGEST = 16;

/** The scale at which all of the image is seen. @param {Size} image @param {Size} view */
export const fitScale = (image, view) => Math.min(view.width / image.width, view.height / image.height);

/**
 * Keep a zoom within bounds: never smaller than all of the image (or 100 %), and no empty margin where the
 * image is larger than the view.
 * @param {Zoom} zoom @param {Size} image @param {Size} view @returns {Zoom}
 */
export function bounded(zoom, image, view) {
  const fit = fitScale(image, view);
  const scale = Math.min(Math.max(zoom.scale, Math.min(fit, 1)), Math.max(LARGEST, fit));
  const along = (/** @type {number} */ centre, /** @type {number} */ whole, /** @type {number} */ seen) =>
    whole * scale <= seen ? whole / 2 : Math.min(Math.max(centre, seen / 2 / scale), whole - seen / 2 / scale);
  return { scale, x: along(zoom.x, image.width, view.width), y: along(zoom.y, image.height, view.height) };
}

/** The zoom that shows all of an image. @param {Size} image @param {Size} view @returns {Zoom} */
export const fitted = (image, view) => ({ scale: fitScale(image, view), x: image.width / 2, y: image.height / 2 });

/**
 * Zoom by a factor, while what lies at a place of the view stays there.
 * @param {Zoom} zoom @param {number} factor @param {{x: number, y: number}} place from the view's centre @returns {Zoom}
 */
export function zoomedAt(zoom, factor, place) {
  const scale = zoom.scale * factor;
  return { scale, x: zoom.x + place.x / zoom.scale - place.x / scale, y: zoom.y + place.y / zoom.scale - place.y / scale };
}

/** Move the image along with a pointer. @param {Zoom} zoom @param {number} right @param {number} down @returns {Zoom} */
export const moved = (zoom, right, down) => ({ ...zoom, x: zoom.x - right / zoom.scale, y: zoom.y - down / zoom.scale });
