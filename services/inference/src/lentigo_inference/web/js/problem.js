/** The one error type of the page. */

export class Problem extends Error {
  /**
   * @param {string} kind names the texts `problem.<kind>.title` and `.todo`
   * @param {{detail?: string, request?: string, retryAfter_s?: number, values?: Record<string, string|number>}} more
   *   `detail` is the service's own sentence, `request` its id for the log, `retryAfter_s` when to try again by
   *   itself, `values` what the texts name
   */
  constructor(kind, more = {}) {
    super(kind);
    this.kind = kind;
    this.detail = more.detail ?? "";
    this.request = more.request ?? "";
    this.retryAfter_s = more.retryAfter_s ?? null;
    this.values = more.values ?? {};
  }
}
