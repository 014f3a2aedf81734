/**
 * ICU messages, the translators' format: `{name}`, `{count, plural, ...}` and `{kind, select, ...}`.
 *
 * The syntax is that of ICU 4.8 and later (unicode-org.github.io/icu/userguide/format_parse/messages):
 * an apostrophe quotes only before `{`, `}`, `#` or `|`. Dates, number skeletons, offsets and ordinals
 * are left out, and refused rather than shown wrongly; formatjs has them, in 66 KB.
 */

/** @typedef {string | {number: true} | {name: string, kind: ""|"plural"|"select", options: Record<string, Part[]>}} Part */

/**
 * Parse a message.
 * @param {string} message
 * @returns {Part[]}
 * @throws {SyntaxError} with the place in the message
 */
export function parseMessage(message) {
  return parseParts({ message, at: 0 }, false, false);
}

/**
 * Fill in the values of a parsed message.
 * @param {Part[]} parts @param {Record<string, string|number>} values @param {string} locale a BCP 47 tag
 * @param {number} [count] what `#` stands for @returns {string}
 */
export function formatParts(parts, values, locale, count = 0) {
  return parts.map((part) => {
    if (typeof part === "string") return part;
    if ("number" in part) return inDigits(count, locale);
    const value = values[part.name] ?? "";
    if (part.kind === "") return typeof value === "number" ? inDigits(value, locale) : value;
    const chosen = part.kind === "select" ? String(value) : pluralOf(part.options, Number(value), locale);
    return formatParts(part.options[chosen] ?? part.options.other, values, locale, part.kind === "plural" ? Number(value) : count);
  }).join("");
}

/** @param {Record<string, Part[]>} options @param {number} count @param {string} locale */
const pluralOf = (options, count, locale) =>
  `=${count}` in options ? `=${count}` : new Intl.PluralRules(locale).select(count);

/** @param {number} count @param {string} locale */
const inDigits = (count, locale) => new Intl.NumberFormat(locale).format(count);

/** @typedef {{message: string, at: number}} Reader */

/** @param {Reader} reader @param {boolean} nested @param {boolean} inPlural @returns {Part[]} */
function parseParts(reader, nested, inPlural) {
  /** @type {Part[]} */
  const parts = [];
  let text = "";
  const endText = () => {
    if (text) parts.push(text);
    text = "";
  };
  while (reader.at < reader.message.length && reader.message[reader.at] !== "}") {
    const letter = reader.message[reader.at];
    if (letter === "'") {
      text += parseQuoted(reader);
    } else if (letter === "{") {
      endText();
      parts.push(parseArgument(reader));
    } else if (letter === "#" && inPlural) {
      endText();
      parts.push({ number: true });
      reader.at += 1;
    } else {
      text += letter;
      reader.at += 1;
    }
  }
  if (nested !== (reader.message[reader.at] === "}")) throw wrong(reader, "a brace without its partner");
  endText();
  return parts;
}

/** What an apostrophe begins. @param {Reader} reader @returns {string} */
function parseQuoted(reader) {
  const { message, at } = reader;
  if (message[at + 1] === "'") {
    reader.at += 2;
    return "'";
  }
  if (!"{}#|".includes(message[at + 1] ?? " ")) {
    reader.at += 1;
    return "'";
  }
  const quoted = /^'((?:[^']|'')*)(?:'|$)/.exec(message.slice(at));
  reader.at += quoted?.[0].length ?? 1;
  return (quoted?.[1] ?? "").replaceAll("''", "'");
}

/** @param {Reader} reader @returns {Part} */
function parseArgument(reader) {
  const [, name, kind] = expectMatch(reader, /^\{\s*(\w+)\s*(?:,\s*(\w+)\s*,|\})/, "an argument");
  if (kind === undefined) return { name, kind: "", options: {} };
  if (kind !== "plural" && kind !== "select") throw wrong(reader, `the kind ${kind}`);
  // Without a prototype, so that no word finds anything but an option.
  /** @type {Record<string, Part[]>} */
  const options = Object.create(null);
  while (!/^\s*\}/.test(reader.message.slice(reader.at))) {
    const [, option] = expectMatch(reader, /^\s*(=\d+|\w+)\s*\{/, "an option");
    options[option] = parseParts(reader, true, kind === "plural");
    reader.at += 1;
  }
  expectMatch(reader, /^\s*\}/, "the end of an argument");
  if (!options.other) throw wrong(reader, "an argument without the option other");
  return { name, kind, options };
}

/** @param {Reader} reader @param {RegExp} pattern @param {string} what */
function expectMatch(reader, pattern, what) {
  const found = pattern.exec(reader.message.slice(reader.at));
  if (!found) throw wrong(reader, `not ${what}`);
  reader.at += found[0].length;
  return found;
}

/** @param {Reader} reader @param {string} what */
const wrong = ({ message, at }, what) => new SyntaxError(`${what} at ${at} in the message "${message}"`);
