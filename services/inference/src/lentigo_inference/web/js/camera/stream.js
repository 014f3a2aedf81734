/** The camera itself: opened, lit, and let go. */

/** Why there is no picture: the last part of its text's key. */
export class CameraError extends Error {
  /** @param {string} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** @type {Record<string, string>} */
const REASONS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "none",
  OverconstrainedError: "none",
  NotReadableError: "busy",
  AbortError: "busy",
};

/** @param {unknown} error @returns {CameraError} */
export const cameraErrorOf = (error) => error instanceof CameraError ? error
  : new CameraError(REASONS[error instanceof Error || error instanceof DOMException ? error.name : ""] ?? "other");

/**
 * Open a camera.
 * @param {string} device its id; empty takes the one at the back of a phone
 * @returns {Promise<MediaStream>} @throws {CameraError}
 */
export async function openCamera(device) {
  // Browsers hide the camera from pages that came without HTTPS.
  if (!navigator.mediaDevices?.getUserMedia) throw new CameraError("insecure");
  const which = device ? { deviceId: { exact: device } } : { facingMode: { ideal: "environment" } };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...which, width: { ideal: 1920 }, height: { ideal: 1440 } } });
    await focus(stream.getVideoTracks()[0]);
    return stream;
  } catch (error) {
    throw cameraErrorOf(error);
  }
}

/** Let it focus all the time, where it can be told to. @param {MediaStreamTrack} track */
async function focus(track) {
  const { focusMode } = /** @type {any} */ (track.getCapabilities?.() ?? {});
  if (!focusMode?.includes("continuous")) return;
  await track.applyConstraints({ advanced: [/** @type {any} */ ({ focusMode: "continuous" })] }).catch(() => undefined);
}

/** Whether it has a light. @param {MediaStreamTrack} track */
export const hasTorch = (track) => Boolean(/** @type {any} */ (track.getCapabilities?.() ?? {}).torch);

/** @param {MediaStreamTrack} track @param {boolean} on @returns {Promise<boolean>} whether it is as wished */
export const setTorch = (track, on) =>
  track.applyConstraints({ advanced: [/** @type {any} */ ({ torch: on })] }).then(() => true, () => false);

/** The cameras there are; their names are known only once one was allowed. @returns {Promise<MediaDeviceInfo[]>} */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  return devices.filter(({ kind }) => kind === "videoinput");
}

/** Let the camera go. @param {MediaStream|null} stream */
export function closeCamera(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
