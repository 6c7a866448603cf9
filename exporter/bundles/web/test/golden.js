// SPDX-License-Identifier: Apache-2.0
// What the golden vectors ask of this package, in node and in a browser.
import { inputBytes } from '../src/preprocess.js';
import { settings } from '../src/settings.js';

const ARRAYS = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array };

/** Replay the golden vectors: what is wrong with each case, by its name; `read` gives the bytes of a file in golden/. */
export async function replayed(classifier, read) {
  const golden = JSON.parse(new TextDecoder().decode(await read('golden.json')));
  const found = {};
  for (const each of golden.cases) found[each.name] = await problems(classifier, golden, each, read);
  return found;
}

/** The raw image of a case, opaque: `{ data, width, height }`. */
export function pixelsOfRaw(rgb, { width, height }) {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let at = 0; at < rgb.length; at += 1) data[Math.floor(at / 3) * 4 + (at % 3)] = rgb[at];
  return { data, width, height };
}

async function problems(classifier, golden, each, read) {
  const { output: file, top } = each.expected[settings.file];
  const [artifact] = golden.artifacts;
  const image = pixelsOfRaw(await read(each.raw), each);
  const resized = await read(each.resized);
  const wanted = new ARRAYS[artifact.output.dtype](Uint8Array.from(await read(file)).buffer);
  const answer = await classifier.answer(resized);
  const [best] = await classifier.classify(image);

  const wrong = [];
  const bytes = inputBytes(image, settings.preprocess);
  const differing = bytes.filter((byte, at) => byte !== resized[at]).length;
  if (bytes.length !== resized.length || differing > 0) {
    wrong.push(`${differing} of ${resized.length} resized bytes differ, ${bytes.length} were made`);
  }
  const distance = wanted.reduce((most, value, at) => Math.max(most, Math.abs(answer[at] - value)), 0);
  if (answer.length !== wanted.length || !(distance <= artifact.output.tolerance)) {
    wrong.push(`${answer.length} answers, ${distance} away, where ${artifact.output.tolerance} may be`);
  }
  // Where two classes are so near to each other, another runtime may prefer the other one.
  const [first, second = -Infinity] = Array.from(wanted).sort((a, b) => b - a);
  const isSafe = first - second > 2 * artifact.output.tolerance;
  if (isSafe && best.index !== top) wrong.push(`the best class is ${best.index}, not ${top}`);
  return wrong;
}
