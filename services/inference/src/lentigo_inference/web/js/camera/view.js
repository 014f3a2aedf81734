/** The dialog with the camera's picture: the frame, what is to be better, and the button. */

import { frameReader, takeSharpest } from "./burst.js";
import { lookAt } from "./checks.js";
import { frameIn } from "./frame.js";
import { cameraErrorOf, cameras, closeCamera, hasTorch, openCamera, setTorch } from "./stream.js";

/** @typedef {import("../features.js").Page} Page */

const LOOK_MS = 250;

/** How many pictures were taken since the page was opened: their names. */
let taken = 0;

export class CameraView {
  /** @type {MediaStream|null} */
  #stream = null;
  /** Aborts when the camera is let go. */
  #open = new AbortController();
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #looking;
  /** The last finding, which is told once it was found twice. @type {string|null} */
  #found = "";
  #isTaking = false;

  /** @param {Page} page */
  constructor(page) {
    const { element, t } = page;
    this.page = page;
    this.video = element("video", { playsinline: true, muted: true, "aria-label": t("camera.video") });
    // The attribute alone does not mute an element that a script made.
    this.video.muted = true;
    this.frame = element("div", { class: "camera-frame", "aria-hidden": "true" });
    this.viewfinder = element("div", { class: "viewfinder", hidden: true }, this.video, this.frame);
    this.status = element("p", { class: "camera-status", role: "status" });
    this.size = element("p", { class: "hint" });
    this.take = element("button", { type: "button", class: "button primary", hidden: true, onclick: () => void this.#take() }, t("camera.take"));
    this.again = element("button", { type: "button", class: "button primary", hidden: true, onclick: () => void this.#start("") }, t("stage.again"));
    this.torch = element("button", { type: "button", class: "button", hidden: true, "aria-pressed": "false", onclick: () => void this.#switchTorch() }, t("camera.torch"));
    this.choice = element("select", { id: "camera-choice", onchange: () => void this.#start(this.choice.value) });
    this.choices = element("div", { class: "field", hidden: true }, element("label", { for: "camera-choice" }, t("camera.choice")), this.choice);
    this.dialog = element("dialog", { id: "camera-dialog", class: "wide", "aria-labelledby": "camera-title" },
      element("h2", { id: "camera-title" }, t("camera.title")),
      element("p", { class: "hint" }, t("camera.hint")),
      this.viewfinder, this.status, this.size, this.choices,
      element("div", { class: "actions" }, this.take, this.again, this.torch,
        element("button", { type: "button", class: "button quiet", onclick: () => this.dialog.close() }, t("camera.close"))));
  }

  /** Open it; ends when it is closed. */
  async open() {
    document.body.append(this.dialog);
    const closed = new Promise((done) => this.dialog.addEventListener("close", () => done(null)));
    const hide = () => document.hidden && this.#fail("hidden");
    document.addEventListener("visibilitychange", hide);
    this.dialog.showModal();
    void this.#start("");
    await closed;
    document.removeEventListener("visibilitychange", hide);
    this.#stop();
    this.dialog.remove();
  }

  /** @param {string} device */
  async #start(device) {
    this.#stop();
    const open = this.#open = new AbortController();
    this.#tell("camera.starting");
    this.again.hidden = true;
    try {
      const stream = await openCamera(device);
      // Closed, hidden or another one chosen while the person was asked.
      if (open.signal.aborted || !this.dialog.open || document.hidden) return closeCamera(stream);
      this.#stream = stream;
      const [track] = stream.getVideoTracks();
      this.video.srcObject = stream;
      await this.video.play();
      if (open.signal.aborted) return;
      // Unplugged, or taken by a call or another program.
      for (const event of ["ended", "mute"]) track.addEventListener(event, () => this.#stream === stream && this.#fail("gone"));
      if (track.readyState === "ended") return this.#fail("gone");
      await this.#show(track);
    } catch (error) {
      if (!open.signal.aborted) this.#fail(cameraErrorOf(error).reason);
    }
  }

  /** @param {MediaStreamTrack} track */
  async #show(track) {
    const { element } = this.page;
    const { videoWidth, videoHeight } = this.video;
    const box = frameIn(videoWidth, videoHeight);
    this.viewfinder.style.setProperty("--shape", String(videoWidth / videoHeight));
    for (const [name, length, whole] of /** @type {[string, number, number][]} */ ([
      ["left", box.x, videoWidth], ["top", box.y, videoHeight], ["width", box.width, videoWidth], ["height", box.height, videoHeight],
    ])) this.frame.style.setProperty(name, `${(100 * length) / whole}%`);
    this.viewfinder.hidden = this.take.hidden = false;
    this.torch.hidden = !hasTorch(track);
    this.torch.setAttribute("aria-pressed", "false");
    const found = await cameras();
    this.choices.hidden = found.length < 2;
    const used = track.getSettings().deviceId;
    this.choice.replaceChildren(...found.map(({ deviceId, label }, place) =>
      element("option", { value: deviceId, selected: deviceId === used }, label || `${place + 1}`)));
    if (!this.#stream) return;
    this.take.focus();
    const read = frameReader(this.video);
    this.#looking = setInterval(() => this.#look(read), LOOK_MS);
    this.#look(read);
  }

  /** Look whether focus, light and distance are good. @param {() => {rgba: Uint8ClampedArray, width: number, height: number}} read */
  #look(read) {
    if (this.#isTaking || !this.video.videoWidth) return;
    const { t, inPercent } = this.page;
    const { rgba, width, height } = read();
    const { issue, extent } = lookAt(rgba, width, height);
    this.size.textContent = extent ? t("camera.size", { percent: inPercent(Math.max(extent.width, extent.height)) }) : "";
    // A status that changes with every frame helps nobody.
    if (issue !== this.#found) {
      this.#found = issue;
      return;
    }
    this.#tell(issue ? `camera.issue.${issue}` : "camera.good");
    this.take.textContent = t(issue ? "camera.anyway" : "camera.take");
  }

  async #take() {
    if (this.#isTaking || !this.#stream) return;
    this.#isTaking = true;
    this.#tell("camera.taking");
    try {
      const blob = await takeSharpest(this.video, this.#open.signal);
      taken += 1;
      const name = this.page.t("camera.name", { number: taken });
      this.dialog.close();
      this.page.take([new File([blob], `${name}.jpg`, { type: "image/jpeg" })]);
    } catch (error) {
      if (this.dialog.open) this.#fail(cameraErrorOf(error).reason);
    } finally {
      this.#isTaking = false;
    }
  }

  async #switchTorch() {
    const [track] = this.#stream?.getVideoTracks() ?? [];
    if (!track) return;
    const on = this.torch.getAttribute("aria-pressed") !== "true";
    if (await setTorch(track, on)) this.torch.setAttribute("aria-pressed", String(on));
    else this.torch.hidden = true;
  }

  /** @param {string} reason */
  #fail(reason) {
    // What is told stays, although the camera's own events follow.
    if (!this.#stream && this.#open.signal.aborted) return;
    this.#stop();
    this.#tell(`camera.failed.${reason}`);
    this.again.hidden = false;
    this.again.focus();
  }

  /** Let the camera go. */
  #stop() {
    clearInterval(this.#looking);
    this.#open.abort();
    const stream = this.#stream;
    this.#stream = null;
    closeCamera(stream);
    this.video.srcObject = null;
    this.viewfinder.hidden = this.take.hidden = this.torch.hidden = this.choices.hidden = true;
    this.size.textContent = "";
    this.#found = "";
  }

  /** @param {string} key */
  #tell(key) {
    const text = this.page.t(key);
    if (this.status.textContent !== text) this.status.textContent = text;
    this.status.classList.toggle("alert", key.startsWith("camera.failed.") || key.startsWith("camera.issue."));
  }
}
