/** The frame in the middle of the camera's picture, which is what is taken. Pure geometry, in pixels of the video. */

/** Width to height: that of the images that the network learned from (HAM10000, 600 x 450). */
const SHAPE = 4 / 3;
// A margin shows what lies beside the frame, which helps to aim.
const SHARE = 0.86;

/** @typedef {{x: number, y: number, width: number, height: number}} Box */

/** The largest frame with a margin around it. @param {number} width of the video @param {number} height @returns {Box} whole pixels */
export function frameIn(width, height) {
  const wide = Math.round(Math.min(width * SHARE, height * SHARE * SHAPE));
  const high = Math.round(wide / SHAPE);
  return { x: Math.round((width - wide) / 2), y: Math.round((height - high) / 2), width: wide, height: high };
}
