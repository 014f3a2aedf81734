/**
 * The database of what is kept: one header, and sealed records under random numbers. Nothing in it is in clear text but how the key
 * is made, how many records there are, and how long each is.
 *
 * @typedef {import("./sealing.js").Derivation} Derivation
 * @typedef {import("./sealing.js").Sealed} Sealed
 * @typedef {{format: number, derivation: Derivation, check: Sealed}} Header `check` tells whether a passphrase is the right one
 * @typedef {{id: string, result: Sealed, hasImage: boolean}} KeptRecord
 * @typedef {{header: IDBObjectStore, records: IDBObjectStore, images: IDBObjectStore}} Stores
 */

const NAME = "lentigo-kept";
const HEADER = "header";
const RECORDS = "records";
// Apart, so that a list of results does not read all images.
const IMAGES = "images";
const ONLY = "only";

/** Why something could not be kept or opened: the last part of its text's key. */
export class KeptError extends Error {
  /** @param {string} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** @type {Record<string, string>} */
const REASONS = {
  QuotaExceededError: "full",
  SecurityError: "forbidden",
  VersionError: "damaged",
  UnknownError: "damaged",
  DataError: "damaged",
};

/** @param {unknown} error @returns {KeptError} */
const keptErrorOf = (error) => error instanceof KeptError ? error
  : new KeptError(REASONS[error instanceof Error || error instanceof DOMException ? error.name : ""] ?? "other");

/** @template Result @param {IDBRequest<Result>} request @returns {Promise<Result>} */
const answered = (request) => new Promise((done, failed) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => failed(request.error);
});

/** @returns {Promise<IDBDatabase>} @throws {KeptError} */
export async function openDatabase() {
  try {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(HEADER);
      request.result.createObjectStore(RECORDS, { keyPath: "id" });
      request.result.createObjectStore(IMAGES);
    };
    const database = await answered(request);
    // The person clears the site's data while the page is open.
    database.onversionchange = () => database.close();
    return database;
  } catch (error) {
    const isPrivate = error instanceof DOMException && error.name === "InvalidStateError";
    throw isPrivate ? new KeptError("forbidden") : keptErrorOf(error);
  }
}

/**
 * Run one transaction; it is done once the disk has it.
 * @template Result
 * @param {IDBDatabase} database @param {IDBTransactionMode} mode
 * @param {(stores: Stores) => Promise<Result>} work awaits nothing but these stores
 * @returns {Promise<Result>} @throws {KeptError} then nothing of it happened
 */
async function transact(database, mode, work) {
  try {
    const transaction = database.transaction([HEADER, RECORDS, IMAGES], mode);
    const finished = new Promise((done, failed) => {
      transaction.oncomplete = () => done(null);
      transaction.onabort = () => failed(transaction.error ?? new KeptError("other"));
    });
    finished.catch(() => undefined);
    try {
      const [header, records, images] = [HEADER, RECORDS, IMAGES].map((name) => transaction.objectStore(name));
      const result = await work({ header, records, images });
      await finished;
      return result;
    } catch (error) {
      if (error instanceof KeptError) transaction.abort();
      // The transaction's own error says more than that of its request.
      throw error instanceof KeptError ? error : transaction.error ?? error;
    }
  } catch (error) {
    throw keptErrorOf(error);
  }
}

/** @param {IDBDatabase} database @returns {Promise<Header|null>} */
export const readHeader = (database) =>
  transact(database, "readonly", async ({ header }) => (await answered(header.get(ONLY))) ?? null);

/** Write the first header. @param {IDBDatabase} database @param {Header} first @throws {KeptError} `exists`: another tab was first */
export const createHeader = (database, first) => transact(database, "readwrite", async ({ header }) => {
  if (await answered(header.count(ONLY))) throw new KeptError("exists");
  await answered(header.put(first, ONLY));
});

/**
 * Add a record, if the header is still that of its key.
 * @param {IDBDatabase} database @param {Derivation} derivation of the key @param {KeptRecord} record @param {Sealed|null} image
 * @throws {KeptError} `replaced`: another tab deleted everything, so that nobody could open the record again
 */
export const addRecord = (database, derivation, record, image) => transact(database, "readwrite", async ({ header, records, images }) => {
  const found = await answered(header.get(ONLY));
  if (!isSameSalt(found?.derivation?.salt, derivation.salt)) throw new KeptError("replaced");
  await answered(records.put(record));
  if (image) await answered(images.put(image, record.id));
});

/** @param {Uint8Array|undefined} one @param {Uint8Array} other */
export const isSameSalt = (one, other) => one instanceof Uint8Array && one.join() === other.join();

/** @param {IDBDatabase} database @returns {Promise<KeptRecord[]>} */
export const readRecords = (database) => transact(database, "readonly", ({ records }) => answered(records.getAll()));

/** @param {IDBDatabase} database @param {string} id @returns {Promise<Sealed|undefined>} */
export const readImage = (database, id) => transact(database, "readonly", ({ images }) => answered(images.get(id)));

/** @param {IDBDatabase} database @returns {Promise<number>} */
export const countRecords = (database) => transact(database, "readonly", ({ records }) => answered(records.count()));

/** @param {IDBDatabase} database @param {string} id */
export const removeRecord = (database, id) => transact(database, "readwrite", async ({ records, images }) => {
  await answered(records.delete(id));
  await answered(images.delete(id));
});

/** Delete all records, and the header with them. @param {IDBDatabase} database */
export const removeEverything = (database) => transact(database, "readwrite", async ({ header, records, images }) => {
  for (const store of [header, records, images]) await answered(store.clear());
});
