/** Why an image is refused, by the slugs of the service's problem types. */

export class Refusal extends Error {
  /** @param {string} slug such as `undecodable-image` */
  constructor(slug) {
    super(slug);
    this.slug = slug;
  }
}

/** @returns {Refusal} damaged or cut off */
export const damaged = () => new Refusal("undecodable-image");

/** @returns {Refusal} not a kind that is read */
export const unsupported = () => new Refusal("unsupported-image");
