// SPDX-License-Identifier: Apache-2.0
import { Classifier } from '../src/index.js';
import { settings } from '../src/settings.js';

const ARRAYS = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array };

export const load = () => Classifier.load();

/** What is wrong with the answers to a case of golden vectors: `image` is the raw one, `resized` its bytes. */
export async function wrongAnswers(classifier, { golden, each, image, resized, read }) {
  const { output: file, top } = each.expected[settings.file];
  const { dtype, tolerance } = golden.artifacts[0].output;
  const wanted = new ARRAYS[dtype](Uint8Array.from(await read(file)).buffer);
  const answer = await classifier.answer(resized);
  const [best] = await classifier.classify(image);

  const wrong = [];
  const distance = wanted.reduce((most, value, at) => Math.max(most, Math.abs(answer[at] - value)), 0);
  if (answer.length !== wanted.length || !(distance <= tolerance)) {
    wrong.push(`${answer.length} answers, ${distance} away, where ${tolerance} may be`);
  }
  // Where two classes are so near to each other, another runtime may prefer the other one.
  const [first, second = -Infinity] = Array.from(wanted).sort((a, b) => b - a);
  const isSafe = first - second > 2 * tolerance;
  if (isSafe && best.index !== top) wrong.push(`the best class is ${best.index}, not ${top}`);
  return wrong;
}
