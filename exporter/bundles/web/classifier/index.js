// SPDX-License-Identifier: Apache-2.0
import { labels } from './labels.js';
import { Network } from './network.js';
import { pixelsOf } from './pixels.js';
import { inputBytes } from './preprocess.js';
import { ranked, scoresOf } from './scores.js';
import { settings } from './settings.js';

/** Tells what is in an image. */
export class Classifier {
  /** The names of the classes, by their numbers. */
  labels = labels;
  #network;

  /** Called by `load`. */
  constructor(network) {
    this.#network = network;
  }

  /** Load the model: once, and keep the classifier. */
  static async load(options) {
    return new Classifier(await Network.load(options));
  }

  /** All classes, the best first: `{ index, label, score }` each. */
  async classify(source) {
    const image = await pixelsOf(source);
    const output = await this.answer(inputBytes(image, settings.preprocess));
    return ranked(scoresOf(output, settings.output), labels);
  }

  /** The values of the output tensor for bytes that are preprocessed already. */
  async answer(bytes) {
    const found = await this.#network.run(bytes);
    return found[settings.output.name];
  }

  /** Free the memory. */
  release() {
    return this.#network.release();
  }
}
