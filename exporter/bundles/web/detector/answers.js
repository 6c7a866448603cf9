// SPDX-License-Identifier: Apache-2.0
import { Detector } from '../src/index.js';
import { settings } from '../src/settings.js';

export const load = () => Detector.load();

/** What is wrong with the answers to a case of golden vectors: `image` is the raw one. */
export async function wrongAnswers(detector, { golden, each, image }) {
  const { tolerance } = golden.artifacts[0];
  const { rows } = each.expected[settings.file];
  const found = (await detector.detect(image)).map(({ index, score, left, top, right, bottom }) => {
    const { width, height } = each;
    return { index, score, box: [top / height, left / width, bottom / height, right / width] };
  });
  // Another runtime may miss a row that is not safe; what is found for certain lies on a row.
  const missing = rows.filter((row) => row.safe && !found.some((other) => isMet(row, other, tolerance)));
  const certain = found.filter(({ score }) => score >= golden.least_score + tolerance.score);
  const further = certain.filter((other) => !rows.some((row) => isAround(row, other)));
  return [
    ...missing.map((row) => `${row.label} with ${row.score} at ${row.box} is not found`),
    ...further.map(({ index, score, box }) => `class ${index} with ${score} at ${box} is found`),
  ];
}

function isMet(row, other, { score, corner }) {
  const isNear = other.box.every((edge, at) => Math.abs(edge - row.box[at]) <= corner);
  return other.index === row.class && Math.abs(other.score - row.score) <= score && isNear;
}

/** Whether both are of one class and share at least half of what they cover together. */
function isAround(row, { index, box }) {
  const height = Math.max(Math.min(box[2], row.box[2]) - Math.max(box[0], row.box[0]), 0);
  const width = Math.max(Math.min(box[3], row.box[3]) - Math.max(box[1], row.box[1]), 0);
  const area = ([top, left, bottom, right]) => (bottom - top) * (right - left);
  return index === row.class && height * width >= 0.5 * (area(row.box) + area(box) - height * width);
}
