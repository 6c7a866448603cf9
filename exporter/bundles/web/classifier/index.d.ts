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

export interface Score {
  /** The number of the class, counted from 0. */
  readonly index: number;
  readonly label: string;
  /** A probability; of a network with several answers at once (sigmoid), each by itself. */
  readonly score: number;
}

export class Classifier {
  private constructor();
  /** Load the model: once, and keep the classifier. */
  static load(options?: LoadOptions): Promise<Classifier>;
  /** The names of the classes, by their numbers. */
  readonly labels: readonly string[];
  /** All classes, the best first. Throws `TypeError` for what is no image. */
  classify(source: ImageLike): Promise<Score[]>;
  /** The values of the output tensor for an image that is preprocessed already, rows from the top, red first. */
  answer(bytes: Uint8Array): Promise<Uint8Array | Int8Array | Float32Array>;
  /** Free the memory; the classifier cannot be used afterwards. */
  release(): Promise<void>;
}
