// SPDX-License-Identifier: Apache-2.0
import { Detector } from '../src/index.js';

const SHOWN = 20;
const LEAST_SCORE = 0.4;

export const SUBJECT = 'Object detector';

export const load = () => Detector.load();

/** What the demo shows of an image: the objects that are likelier than not to be there, each with its box. */
export async function answered(detector, source) {
  const found = await detector.detect(source, { minScore: LEAST_SCORE });
  return found.slice(0, SHOWN);
}
