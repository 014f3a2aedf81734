/** Receive images: chosen, photographed, dropped or pasted. */

import { byId } from "../dom.js";

/** Call `take` with the images of every way in. @param {(files: File[]) => void} take */
export function listenForImages(take) {
  for (const id of ["choose", "camera"]) {
    const input = byId(id);
    input.addEventListener("change", () => {
      take([...input.files]);
      // So that the same file can be chosen again.
      input.value = "";
    });
  }
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
  listenForDrops(take);
}

/** @param {(files: File[]) => void} take */
function listenForDrops(take) {
  const veil = byId("veil");
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    // Without this, the browser would leave the page and open the file.
    event.preventDefault();
    veil.hidden = true;
    take([...(event.dataTransfer?.files ?? [])]);
  });
}
