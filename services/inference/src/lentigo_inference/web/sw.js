// The service worker: the page opens without a network. It keeps the shell and never a result,
// an image or anything else the service says.

const CACHE = "lentigo-shell";
const SHELL = [
  "./", "page/style.css", "page/app.js", "page/icon.svg", "page/manifest.webmanifest",
].map((path) => new URL(path, self.registration.scope).href);
// The page itself keeps the texts of the language in use.
const TEXTS = new URL("page/locales/", self.registration.scope).href;

// What is loaded once somebody asks for it. What answers without the service, the page keeps in a cache of its own, where each file
// fits the others, so the kept one comes first.
const LATER = [
  "page/offline.js", "page/camera.js", "page/follow-up.js", "page/follow-up-worker.js", "page/kept.js",
].map((path) => new URL(path, self.registration.scope).href);
const OFFLINE = new URL("page/offline/", self.registration.scope).href;
const KEPT_OFFLINE = /^lentigo-offline-/;
const DESCRIPTION = new URL("page/offline/bundle.json", self.registration.scope).href;

// Where a phone's gallery sends the images that somebody shares with the installed page. They stay in memory until the page that was
// opened for them asks. Other sites can send images here too, as they can open the page; nothing is predicted until a person asks for it.
const SHARE = new URL("share", self.registration.scope).href;
const SHARED = `${SHELL[0]}?shared`;
/** @type {Map<string, File[]>} by the query of their page: one may be opened while another has not asked yet */
const shared = new Map();

self.addEventListener("install", (event) => event.waitUntil(keepShell().then(() => self.skipWaiting())));

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "POST" && url === SHARE) event.respondWith(receive(event.request));
  if (method !== "GET") return;
  if (url.startsWith(SHARED)) event.respondWith(newestOrKept(SHELL[0]));
  else if (SHELL.includes(url) || url.startsWith(TEXTS) || LATER.includes(url)) event.respondWith(newestOrKept(event.request));
  else if (url.startsWith(OFFLINE)) event.respondWith(keptOrNewest(event.request));
});

self.addEventListener("message", ({ data, ports }) => {
  ports[0].postMessage(shared.get(data) ?? []);
  shared.delete(data);
});

/** Take shared images, and open a page for them, which says so if they cannot be read. @param {Request} request */
async function receive(request) {
  const page = `${SHARED}=${crypto.randomUUID()}`;
  const form = await request.formData().catch(() => new FormData());
  shared.set(new URL(page).search, form.getAll("images").filter((entry) => entry instanceof File));
  return Response.redirect(page, 303);
}

/** Keep the shell. The page has just loaded most of it, so the browser's own copies will do. */
async function keepShell() {
  const cache = await caches.open(CACHE);
  await cache.addAll(SHELL.map((url) => new Request(url, { cache: "force-cache" })));
}

/**
 * The network's copy, which is also kept; the kept one where there is no network.
 * @param {Request|string} request
 */
async function newestOrKept(request) {
  const cache = await caches.open(CACHE);
  let response;
  try {
    response = await fetch(request);
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
  // Where the disk is full, the page works without keeping anything.
  if (response.ok) await cache.put(request, response.clone()).catch(() => undefined);
  return response;
}

/**
 * The copy that is kept to answer without the service; the network's where there is none.
 * @param {Request} request
 */
async function keptOrNewest(request) {
  for (const name of (await caches.keys()).filter((each) => KEPT_OFFLINE.test(each))) {
    const cache = await caches.open(name);
    // Without its description, it is a download under way or one that ended.
    const kept = (await cache.match(DESCRIPTION)) && (await cache.match(request.url));
    // A download asks for what is new.
    if (kept && request.cache !== "no-store") return kept;
  }
  return fetch(request);
}
