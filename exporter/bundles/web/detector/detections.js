// SPDX-License-Identifier: Apache-2.0
import { settings } from './settings.js';

/** The rows of the network's four outputs that count, with boxes in pixels of an image of this size. */
export function detections(outputs, labels, { width, height }) {
  const { most } = settings.output;
  const scores = numbers(outputs, 'score', most);
  const corners = numbers(outputs, 'location', 4 * most); // ymin, xmin, ymax, xmax in fractions of the image
  const classes = numbers(outputs, 'category', most);
  const [count] = numbers(outputs, 'number of detections', 1);
  if (!Number.isInteger(count) || count < 0 || count > most) {
    throw new Error(`the network must find from 0 to ${most} objects, got ${count}`);
  }
  const rows = Array.from({ length: count }, (_, row) => {
    const index = classes[row];
    if (!(index in labels)) throw new Error(`classes must be below ${labels.length}, got ${index}`);
    const [top, left, bottom, right] = corners.subarray(4 * row, 4 * row + 4);
    const box = { left: left * width, top: top * height, right: right * width, bottom: bottom * height };
    return { index, label: labels[index], score: scores[row], ...box };
  });
  return rows.filter(({ score }) => !Number.isNaN(score)); // a score that is no number is no answer
}

function numbers(outputs, name, count) {
  const values = outputs[name];
  if (!(values instanceof Float32Array) || values.length !== count) {
    throw new Error(`the network must have an output ${name} of ${count} float32, got ${values?.length ?? 'none'}`);
  }
  return values;
}
