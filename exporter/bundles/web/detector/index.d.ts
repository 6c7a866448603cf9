// SPDX-License-Identifier: Apache-2.0

/** Pixels of 8-bit RGBA: rows from the top, four bytes a pixel, alpha not premultiplied. ImageData is one. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** What shows an image; outside of browsers only `Pixels`. */
export type ImageLike = Blob | ImageBitmapSource | Pixels;

export interface LoadOptions {
  /** The content of the model's file, or a promise of it; it is loaded from this package if absent. */
  model?: Uint8Array | Promise<Uint8Array>;
  /** The address of LiteRT's `litert_wasm_compat_internal.js`, with its `.wasm` beside it; found if absent. */
  wasm?: string | URL;
}

export interface Detection {
  /** The number of the class, counted from 0. */
  readonly index: number;
  readonly label: string;
  /** How certain the network is of it, from 0 to 1. */
  readonly score: number;
  /** The edges of the box in pixels of the upright image, from its upper left corner; whole or not. */
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export class Detector {
  private constructor();
  /** Load the model: once, and keep the detector. */
  static load(options?: LoadOptions): Promise<Detector>;
  /** The names of the classes, by their numbers. */
  readonly labels: readonly string[];
  /** What is found, the most certain first; what has a lower score is left out. Throws `TypeError` for what is no image. */
  detect(source: ImageLike, options?: { minScore?: number }): Promise<Detection[]>;
  /** The values of each output tensor for an image that is preprocessed already, rows from the top, red first. */
  answer(bytes: Uint8Array): Promise<Record<string, Float32Array>>;
  /** Free the memory; the detector cannot be used afterwards. */
  release(): Promise<void>;
}
