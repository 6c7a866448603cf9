// SPDX-License-Identifier: Apache-2.0
import { Classifier } from '../src/index.js';

const SHOWN = 5;

export const SUBJECT = 'Image classifier';

export const load = () => Classifier.load();

/** What the demo shows of an image: the best classes. */
export async function answered(classifier, source) {
  const scores = await classifier.classify(source);
  return scores.slice(0, SHOWN);
}
