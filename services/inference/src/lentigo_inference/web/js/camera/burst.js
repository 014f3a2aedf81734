/** Frames of the camera: one to look at, and the sharpest of several to keep. */

import { SIDE } from "../offline/imaging/pixels.js";
import { frameIn } from "./frame.js";
import { lumaOf, varianceOfLaplacian } from "./sharpness.js";
import { CameraError } from "./stream.js";

const FRAMES = 6;
// A camera that gives nothing for so long is gone.
const LONGEST_MS = 3000;
// Sharpness is compared at this width; more pixels cost time and say the same.
const COMPARED_WIDTH = 480;
const QUALITY = 0.95;

/** @param {number} width @param {number} height @returns {[HTMLCanvasElement, CanvasRenderingContext2D]} */
function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  if (!context) throw new CameraError("other");
  context.imageSmoothingQuality = "high";
  return [canvas, context];
}

/** A way to look at what is in the frame, squashed as the network gets it. @param {HTMLVideoElement} video */
export function frameReader(video) {
  const [, context] = canvasOf(SIDE, SIDE);
  return () => {
    const { x, y, width, height } = frameIn(video.videoWidth, video.videoHeight);
    context.drawImage(video, x, y, width, height, 0, 0, SIDE, SIDE);
    return { rgba: context.getImageData(0, 0, SIDE, SIDE).data, width, height };
  };
}

/** Wait for a new frame. @param {HTMLVideoElement} video @param {AbortSignal} gone @returns {Promise<void>} @throws {CameraError} */
function nextFrame(video, gone) {
  return new Promise((done, failed) => {
    const fail = () => failed(new CameraError("gone"));
    const timer = setTimeout(fail, LONGEST_MS);
    gone.addEventListener("abort", fail, { once: true });
    const ready = () => {
      clearTimeout(timer);
      done();
    };
    // Without it, a frame may be counted twice, which only takes longer.
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(ready);
    else requestAnimationFrame(ready);
  });
}

/**
 * Take several frames and keep the sharpest.
 * @param {HTMLVideoElement} video @param {AbortSignal} gone aborts when the camera is let go
 * @returns {Promise<Blob>} a JPEG of what is in the frame, in the camera's pixels @throws {CameraError}
 */
export async function takeSharpest(video, gone) {
  const { x, y, width, height } = frameIn(video.videoWidth, video.videoHeight);
  const wide = Math.min(width, COMPARED_WIDTH);
  const high = Math.max(3, Math.round((height * wide) / width));
  const [, compared] = canvasOf(wide, high);
  let [best, bestContext] = canvasOf(width, height);
  let [latest, latestContext] = canvasOf(width, height);
  let most = -1;
  for (let frame = 0; frame < FRAMES; frame += 1) {
    await nextFrame(video, gone);
    latestContext.drawImage(video, x, y, width, height, 0, 0, width, height);
    compared.drawImage(latest, 0, 0, wide, high);
    const sharpness = varianceOfLaplacian(lumaOf(compared.getImageData(0, 0, wide, high).data), wide, high);
    if (sharpness <= most) continue;
    most = sharpness;
    [best, bestContext, latest, latestContext] = [latest, latestContext, best, bestContext];
  }
  const blob = await new Promise((done) => best.toBlob(done, "image/jpeg", QUALITY));
  if (!(blob instanceof Blob)) throw new CameraError("other");
  return blob;
}
