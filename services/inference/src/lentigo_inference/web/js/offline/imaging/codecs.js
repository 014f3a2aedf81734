/** The decoders that the page brings along as WebAssembly: the libraries that Pillow uses, so that the pixels are the same. */

import { damaged } from "./refusal.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */

// What C's library asks of a system, as far as it ever does: nothing is read or written, and there is no clock.
const NOTHING = new Proxy({}, { get: (_, name) => (name === "fd_prestat_get" ? () => 8 : () => 0) });

export class Codecs {
  /** @param {WebAssembly.Module} module */
  constructor(module) {
    this.module = module;
    /** @type {any} */
    this.calls = null;
  }

  /**
   * Decode a JPEG at a part of its size. @param {Uint8Array} file @param {number} denominator 1, 2, 4 or 8 @returns {Pixels}
   * @throws {Refusal} damaged or cut off
   */
  jpeg(file, denominator) {
    const image = this.#decoded("decode_jpeg", file, denominator);
    if (image.channels !== 4) return image;
    // Four channels are CMYK, which Adobe's programs store inverted.
    return { ...image, data: image.data.map((sample) => 255 - sample), cmyk: true };
  }

  /** @param {Uint8Array} file @returns {Pixels} @throws {Refusal} damaged or cut off */
  webp(file) {
    return this.#decoded("decode_webp", file);
  }

  /** The ICC profile of a WebP, if it has one. @param {Uint8Array} file @returns {Uint8Array|null} */
  webpProfile(file) {
    return this.#guarded((calls) => {
      const place = calls.take(4);
      const given = this.#given(calls, file);
      const length = calls.webp_profile(given, file.length, place);
      if (length === 0) return null;
      const start = new DataView(calls.memory.buffer).getUint32(place, true);
      return new Uint8Array(calls.memory.buffer, start, length).slice();
    }, () => null);
  }

  /**
   * Convert to sRGB by a profile. @param {Pixels} image without alpha @param {Uint8Array} profile
   * @returns {Uint8Array|null} RGB; null if the profile is damaged, or for other channels
   */
  srgb(image, profile) {
    const { channels, cmyk = false } = image;
    const count = image.width * image.height;
    return this.#guarded((calls) => {
      const given = this.#given(calls, profile);
      const from = this.#given(calls, channels === 3 ? withFourth(image.data) : image.data);
      const to = calls.take(count * 4);
      if (!calls.to_srgb(given, profile.length, from, to, count, cmyk ? 1 : 0, channels === 1 ? 1 : 0)) return null;
      const converted = new Uint8Array(calls.memory.buffer, to, count * 4);
      return converted.filter((_, at) => at % 4 !== 3);
    }, () => null);
  }

  /** @param {string} name @param {Uint8Array} file @param {...number} more @returns {Pixels} */
  #decoded(name, file, ...more) {
    return this.#guarded((calls) => {
      const at = calls[name](this.#given(calls, file), file.length, ...more);
      if (at === 0) throw damaged();
      const [width, height, channels] = new Uint32Array(calls.memory.buffer, at, 3);
      const data = new Uint8Array(calls.memory.buffer, at + 12, width * height * channels).slice();
      return { width, height, channels: /** @type {1|3|4} */ (channels), data };
    }, () => {
      throw damaged();
    });
  }

  /** @param {any} calls @param {Uint8Array} bytes */
  #given(calls, bytes) {
    const place = calls.take(bytes.length);
    new Uint8Array(calls.memory.buffer).set(bytes, place);
    return place;
  }

  /**
   * Run with a fresh instance, whose memory goes with it: a decoder that meets damage beyond repair stops where it stands.
   * @template T @param {(calls: any) => T} work @param {() => T} otherwise @returns {T}
   */
  #guarded(work, otherwise) {
    const { exports: calls } = new WebAssembly.Instance(this.module, { wasi_snapshot_preview1: NOTHING });
    /** @type {any} */ (calls)._initialize();
    try {
      return work(calls);
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) return otherwise();
      throw error;
    }
  }
}

/** RGB as the four bytes that littleCMS is given. @param {Uint8Array} rgb */
function withFourth(rgb) {
  const four = new Uint8Array((rgb.length / 3) * 4);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) four.set(rgb.subarray(from, from + 3), to);
  return four;
}
