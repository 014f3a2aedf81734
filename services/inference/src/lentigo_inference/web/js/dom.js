/** Build elements; text is always inserted as text, never as markup. */

/**
 * Build an element.
 * @param {string} name
 * @param {Record<string, any>} properties attributes; `on` plus an event's name takes a listener,
 *   `false`, `null` and `undefined` leave an attribute out
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {any}
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/**
 * Build a part of a drawing (SVG).
 * @param {string} name @param {Record<string, string>} attributes @param {...Node} children
 * @returns {SVGElement}
 */
export function drawing(name, attributes, ...children) {
  const made = /** @type {SVGElement} */ (document.createElementNS("http://www.w3.org/2000/svg", name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Set a length that style.css reads; the security policy forbids style attributes.
 * @param {HTMLElement} target @param {string} name @param {number} fraction 0 to 1
 */
export function setShare(target, name, fraction) {
  target.style.setProperty(name, `${Math.min(Math.max(fraction, 0), 1) * 100}%`);
  return target;
}
