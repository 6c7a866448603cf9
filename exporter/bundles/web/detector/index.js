// SPDX-License-Identifier: Apache-2.0
import { detections } from './detections.js';
import { labels } from './labels.js';
import { Network } from './network.js';
import { pixelsOf } from './pixels.js';
import { inputBytes } from './preprocess.js';
import { settings } from './settings.js';

/** Finds objects in images. */
export class Detector {
  /** The names of the classes, by their numbers. */
  labels = labels;
  #network;

  /** Called by `load`. */
  constructor(network) {
    this.#network = network;
  }

  /** Load the model: once, and keep the detector. */
  static async load(options) {
    return new Detector(await Network.load(options));
  }

  /** What is found, the most certain first, in pixels of the upright image. */
  async detect(source, { minScore = 0 } = {}) {
    if (!(minScore >= 0 && minScore <= 1)) throw new RangeError(`minScore must be from 0 to 1, got ${minScore}`);
    const image = await pixelsOf(source);
    const outputs = await this.answer(inputBytes(image, settings.preprocess));
    return detections(outputs, labels, image).filter(({ score }) => score >= minScore);
  }

  /** The values of each output tensor, by its name, for bytes that are preprocessed already. */
  answer(bytes) {
    return this.#network.run(bytes);
  }

  /** Free the memory. */
  release() {
    return this.#network.release();
  }
}
