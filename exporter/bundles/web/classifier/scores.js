// SPDX-License-Identifier: Apache-2.0

/**
 * The scores of an output tensor, in the order of the classes. A code stands for scale * (code - zeroPoint); without a
 * scale the number is meant itself. Logits become probabilities.
 */
export function scoresOf(values, { scale, zeroPoint, areLogits }) {
  const scores = Array.from(values, (value) => (scale === null ? value : scale * (value - zeroPoint)));
  if (!scores.every(Number.isFinite)) throw new Error('the network must answer with finite numbers, got NaN or infinity');
  return areLogits ? softmax(scores) : scores;
}

/** The best first; of equal ones the class with the lower number. */
export function ranked(scores, labels) {
  if (scores.length !== labels.length) {
    throw new Error(`there must be one label for each score, got ${labels.length} for ${scores.length}`);
  }
  const rows = scores.map((score, index) => ({ index, label: labels[index], score }));
  return rows.sort((a, b) => b.score - a.score || a.index - b.index);
}

function softmax(logits) {
  const largest = logits.reduce((most, each) => Math.max(most, each), -Infinity);
  const powers = logits.map((each) => Math.exp(each - largest));
  const total = powers.reduce((sum, each) => sum + each, 0);
  return powers.map((each) => each / total);
}
