// SPDX-License-Identifier: Apache-2.0
// What the golden vectors ask of this package, in node and in a browser.
import { inputBytes } from '../src/preprocess.js';
import { settings } from '../src/settings.js';
import { load, wrongAnswers } from './answers.js';

/** Replay the golden vectors: what is wrong with each case, by its name; `read` gives the bytes of a file in golden/. */
export async function replayed(read) {
  const golden = JSON.parse(new TextDecoder().decode(await read('golden.json')));
  const model = await load();
  const found = {};
  for (const each of golden.cases) {
    const image = pixelsOfRaw(await read(each.raw), each);
    const resized = await read(each.resized);
    const wrong = await wrongAnswers(model, { golden, each, image, resized, read });
    found[each.name] = [...wrongBytes(inputBytes(image, settings.preprocess), resized), ...wrong];
  }
  await model.release();
  return found;
}

/** The raw image of a case, opaque: `{ data, width, height }`. */
export function pixelsOfRaw(rgb, { width, height }) {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let at = 0; at < rgb.length; at += 1) data[Math.floor(at / 3) * 4 + (at % 3)] = rgb[at];
  return { data, width, height };
}

function wrongBytes(bytes, wanted) {
  const differing = bytes.filter((byte, at) => byte !== wanted[at]).length;
  if (bytes.length === wanted.length && differing === 0) return [];
  return [`${differing} of ${wanted.length} resized bytes differ, ${bytes.length} were made`];
}
