/** Results that a person keeps on this device, under a passphrase. The key is in memory alone, and not for long. */

import { deriveKey, isDerivation, LEAST_CHARACTERS, lengthOf, newDerivation, seal, unseal } from "./sealing.js";
import { addRecord, countRecords, createHeader, isSameSalt, KeptError, openDatabase, readHeader, readImage, readRecords, removeEverything, removeRecord } from "./store.js";

/** @typedef {import("./store.js").Header} Header */
/** @typedef {{id: string, result: any, hasImage: boolean}} Kept `result` is null where the record is damaged */

const FORMAT = 1;
const CHECK = "lentigo-kept/1/check";
const CHANNEL = "lentigo-kept";

/** Unused for so long, it locks itself. */
export const IDLE_MINUTES = 10;

/** @param {string} id @param {string} part */
const nameOf = (id, part) => `lentigo-kept/${FORMAT}/${id}/${part}`;

/** Dispatches `change` when anything changed, here or in another tab, and `idle` when it locked itself. */
export class Vault extends EventTarget {
  /** @type {CryptoKey|null} */
  #key = null;
  /** @type {import("./sealing.js").Derivation|null} */
  #derivation = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #idle;
  #tabs = new BroadcastChannel(CHANNEL);

  /** @param {IDBDatabase} database */
  constructor(database) {
    super();
    this.#database = database;
    // A browser may keep a page that was left, to show it again.
    window.addEventListener("pagehide", () => this.lock());
    this.#tabs.onmessage = () => this.dispatchEvent(new Event("change"));
  }

  /** @type {IDBDatabase} */
  #database;

  /** @returns {Promise<Vault>} @throws {KeptError} this browser keeps nothing */
  static async open() {
    // Without HTTPS there is no crypto.subtle, and no key that would be worth its name.
    if (!window.isSecureContext || !crypto.subtle) throw new KeptError("insecure");
    return new Vault(await openDatabase());
  }

  /** Whether there is a passphrase yet, and whether it was given. @returns {Promise<"new"|"locked"|"unlocked">} @throws {KeptError} */
  async state() {
    const header = await this.#header();
    // Deleted or begun anew in another tab: this key opens nothing any more.
    if (this.#derivation && !isSameSalt(header?.derivation.salt, this.#derivation.salt)) this.#forget();
    if (header === null) return "new";
    return this.#key ? "unlocked" : "locked";
  }

  /** @returns {Promise<Header|null>} */
  async #header() {
    const header = await readHeader(this.#database);
    if (header !== null && (header.format !== FORMAT || !isDerivation(header.derivation) || !header.check)) throw new KeptError("damaged");
    return header;
  }

  /** Set the passphrase. @param {string} passphrase @param {string} repeated @throws {KeptError} */
  async create(passphrase, repeated) {
    if (lengthOf(passphrase) < LEAST_CHARACTERS) throw new KeptError("short");
    if (passphrase.normalize("NFKC") !== repeated.normalize("NFKC")) throw new KeptError("differ");
    const derivation = newDerivation();
    const key = await deriveKey(passphrase, derivation);
    const check = await seal(key, new TextEncoder().encode(CHECK), CHECK);
    await createHeader(this.#database, { format: FORMAT, derivation, check });
    // Without this, a browser short of space may discard it.
    await navigator.storage?.persist?.().catch(() => false);
    this.#hold(key, derivation);
    this.#tell();
  }

  /** @param {string} passphrase @throws {KeptError} `wrong` */
  async unlock(passphrase) {
    const header = await this.#header();
    if (header === null) throw new KeptError("replaced");
    const key = await deriveKey(passphrase, header.derivation);
    if ((await unseal(key, header.check, CHECK)) === null) throw new KeptError("wrong");
    this.#hold(key, header.derivation);
  }

  /** Forget the key. */
  lock() {
    this.#forget();
    this.dispatchEvent(new Event("change"));
  }

  /** Keep one result. @param {any} result what JSON can hold @param {Blob|null} image @throws {KeptError} nothing was kept */
  async keep(result, image) {
    const { key, derivation } = this.#opened();
    const id = crypto.randomUUID();
    const text = new TextEncoder().encode(JSON.stringify(result));
    const record = { id, result: await seal(key, text, nameOf(id, "result")), hasImage: image !== null };
    const sealedImage = image && await seal(key, await image.arrayBuffer(), nameOf(id, "image"));
    await addRecord(this.#database, derivation, record, sealedImage);
    this.#tell();
  }

  /** How many there are; needs no passphrase. */
  count() {
    return countRecords(this.#database);
  }

  /** All results, the newest first; damaged ones at the end. @returns {Promise<Kept[]>} @throws {KeptError} */
  async list() {
    const { key } = this.#opened();
    const found = await Promise.all((await readRecords(this.#database)).map(async ({ id, result, hasImage }) => {
      const text = await unseal(key, result, nameOf(id, "result"));
      return { id, result: text && JSON.parse(new TextDecoder().decode(text)), hasImage };
    }));
    return found.sort((one, other) => (other.result?.kept ?? "").localeCompare(one.result?.kept ?? ""));
  }

  /** The image of a result. @param {string} id @returns {Promise<Blob|null>} null if there is none @throws {KeptError} `damaged-image` */
  async image(id) {
    const { key } = this.#opened();
    const image = await readImage(this.#database, id);
    if (!image) return null;
    const bytes = await unseal(key, image, nameOf(id, "image"));
    if (bytes === null) throw new KeptError("damaged-image");
    return new Blob([bytes], { type: "image/jpeg" });
  }

  /** @param {string} id */
  async remove(id) {
    await removeRecord(this.#database, id);
    this.#tell();
  }

  /** Delete all results and the passphrase's header; needs no passphrase. */
  async removeAll() {
    await removeEverything(this.#database);
    this.#forget();
    this.#tell();
  }

  /** The key, whose time begins again. */
  #opened() {
    if (!this.#key || !this.#derivation) throw new KeptError("locked");
    this.#hold(this.#key, this.#derivation);
    return { key: this.#key, derivation: this.#derivation };
  }

  /** @param {CryptoKey} key @param {import("./sealing.js").Derivation} derivation */
  #hold(key, derivation) {
    clearTimeout(this.#idle);
    this.#key = key;
    this.#derivation = derivation;
    this.#idle = setTimeout(() => {
      this.#forget();
      this.dispatchEvent(new Event("idle"));
    }, IDLE_MINUTES * 60_000);
  }

  #forget() {
    clearTimeout(this.#idle);
    this.#key = this.#derivation = null;
  }

  #tell() {
    this.#tabs.postMessage(null);
    this.dispatchEvent(new Event("change"));
  }
}
