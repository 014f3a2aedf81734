/** The texts of the section, which are loaded with it. The other languages show them in English. */

/** @type {Record<string, Record<string, string>>} */
const TEXTS = {
  en: {
    why: "This page can keep the model on this device, and then answers without a network: the same network and thresholds as the service, and no image leaves the device.",
    what: "Kept are the model and the programs that run it, in this browser’s storage. No image and no result is kept.",
    keep: "Make available offline ({size} MB)",
    renew: "Load the newer version ({size} MB)",
    remove: "Remove from this device",
    stop: "Stop",
    loading: "Loading and checking…",
    ready: "Images can now be answered on this device.",
    kept: "Version {version} is kept on this device since {kept} ({size} MB). It was trained on {trained} ({days} days ago). It answers when the service cannot be reached.",
    newer: "The service now uses version {version}.",
    withdrawn: "Version {version} was withdrawn by the service and is no longer used here. Remove it, or load the version that the service uses now.",
    unreachable: "The service cannot be reached now. Once it is, this can be turned on.",
    refused: "The service does not offer this.",
    "failed.full": "This device has no space left for it. Nothing was kept. Free some space and try again.",
    "failed.forbidden": "This browser lets no page keep anything, as in a private window. Nothing was kept.",
    "failed.broken": "The download broke off. Nothing was kept. Try again when the network is better.",
    "failed.stopped": "Stopped. Nothing was kept.",
    "failed.sum": "What arrived is not what the service published. Nothing was kept. Try again; if this lasts, tell your administrator.",
    "failed.damaged": "What was kept is damaged, so it was removed. Load it again.",
    "failed.offline-engine": "This browser cannot run the model: it needs WebAssembly with SIMD and enough memory. Nothing was kept.",
    "failed.offline-differs": "The model does not give the answers here that it was published with. Nothing was kept.",
  },
  de: {
    why: "Diese Seite kann das Modell auf diesem Gerät behalten und antwortet dann ohne Netz: dasselbe Netzwerk und dieselben Schwellen wie der Dienst, und kein Bild verlässt das Gerät.",
    what: "Behalten werden das Modell und die Programme, die es ausführen, im Speicher dieses Browsers. Kein Bild und kein Ergebnis wird behalten.",
    keep: "Offline verfügbar machen ({size} MB)",
    renew: "Neuere Version laden ({size} MB)",
    remove: "Von diesem Gerät entfernen",
    stop: "Abbrechen",
    loading: "Wird geladen und geprüft …",
    ready: "Bilder können jetzt auf diesem Gerät beantwortet werden.",
    kept: "Version {version} liegt seit {kept} auf diesem Gerät ({size} MB). Sie wurde am {trained} trainiert (vor {days} Tagen). Sie antwortet, wenn der Dienst nicht erreichbar ist.",
    newer: "Der Dienst verwendet jetzt Version {version}.",
    withdrawn: "Version {version} wurde vom Dienst zurückgezogen und wird hier nicht mehr verwendet. Entfernen Sie sie, oder laden Sie die Version, die der Dienst jetzt verwendet.",
    unreachable: "Der Dienst ist gerade nicht erreichbar. Sobald er es ist, lässt sich dies einschalten.",
    refused: "Der Dienst bietet dies nicht an.",
    "failed.full": "Auf diesem Gerät ist kein Platz mehr dafür. Nichts wurde behalten. Schaffen Sie Platz und versuchen Sie es erneut.",
    "failed.forbidden": "Dieser Browser lässt keine Seite etwas behalten, wie in einem privaten Fenster. Nichts wurde behalten.",
    "failed.broken": "Das Laden brach ab. Nichts wurde behalten. Versuchen Sie es mit besserem Netz erneut.",
    "failed.stopped": "Abgebrochen. Nichts wurde behalten.",
    "failed.sum": "Was ankam, ist nicht, was der Dienst veröffentlicht hat. Nichts wurde behalten. Versuchen Sie es erneut; bleibt es dabei, sagen Sie es Ihrer Administration.",
    "failed.damaged": "Das Behaltene ist beschädigt und wurde entfernt. Laden Sie es erneut.",
    "failed.offline-engine": "Dieser Browser kann das Modell nicht ausführen: Es braucht WebAssembly mit SIMD und genug Speicher. Nichts wurde behalten.",
    "failed.offline-differs": "Das Modell gibt hier nicht die Antworten, mit denen es veröffentlicht wurde. Nichts wurde behalten.",
  },
};

/** A text of the section. @param {string} language @param {string} key @param {Record<string, string|number>} values */
export function offlineText(language, key, values = {}) {
  const texts = TEXTS[language.slice(0, 2)] ?? TEXTS.en;
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}
