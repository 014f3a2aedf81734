// The service worker: the page opens without a network. It keeps the shell and never a result,
// an image or anything else the service says.

const CACHE = "lentigo-shell";
const LANGUAGE = "page/locales/";
const SHELL = [
  "./", "page/style.css", "page/app.js", "page/icon.svg", "page/manifest.webmanifest",
  `${LANGUAGE}en.json`, `${LANGUAGE}de.json`,
].map((path) => new URL(path, self.registration.scope).href);

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && SHELL.includes(url)) event.respondWith(newestOrKept(event.request));
});

/**
 * The network's copy, which is also kept; the kept one where there is no network.
 * @param {Request} request
 */
async function newestOrKept(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
}
