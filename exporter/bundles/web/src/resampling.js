// SPDX-License-Identifier: Apache-2.0

// Weights are whole numbers of 1 / 2^22, as in Pillow's resampling of bytes. Their sum over a pixel is about 2^22, so
// that 255 times that fits the 32-bit integers that `|` and `>>` work on.
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/** How many bytes from where on make up each byte of a resized row or column, and their weights, one after another. */
function taps(source, target) {
  const scale = source / target;
  const support = Math.max(scale, 1); // of a triangle that grows with the reduction
  const slope = 1 / support;
  const starts = new Int32Array(target);
  const ends = new Int32Array(target); // in `weights`
  const weights = [];
  for (let at = 0; at < target; at += 1) {
    const center = (at + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), source);
    const shares = [];
    for (let each = start; each < end; each += 1) shares.push(triangle((each - center + 0.5) * slope));
    const total = shares.reduce((sum, share) => sum + share, 0);
    for (const share of shares) {
      weights.push(Math.trunc(0.5 + (total === 0 ? share : share / total) * (1 << FRACTION_BITS)));
    }
    starts[at] = start;
    ends[at] = weights.length;
  }
  return { starts, ends, weights: Int32Array.from(weights) };
}

function triangle(x) {
  const distance = Math.abs(x);
  return distance < 1 ? 1 - distance : 0;
}

/**
 * The image resized as Pillow's `BILINEAR` does, to the byte: first its rows to `to.width`, then its columns to
 * `to.height`. `image` has `channels` bytes a pixel.
 */
export function resized(image, from, to, channels) {
  if (from.width === to.width && from.height === to.height) return image; // nothing is rounded twice
  const narrow = resizedRows(image, from, to.width, channels);
  return resizedColumns(narrow, from.height, to.height, to.width * channels);
}

function resizedRows(image, { width, height }, target, channels) {
  const { starts, ends, weights } = taps(width, target);
  const result = new Uint8ClampedArray(height * target * channels);
  for (let row = 0, place = 0; row < height; row += 1) {
    for (let column = 0, first = 0; column < target; first = ends[column], column += 1) {
      const start = (row * width + starts[column]) * channels;
      for (let channel = 0; channel < channels; channel += 1, place += 1) {
        let sum = HALF;
        for (let tap = first, at = start + channel; tap < ends[column]; tap += 1, at += channels) {
          sum += image[at] * weights[tap];
        }
        result[place] = sum >> FRACTION_BITS;
      }
    }
  }
  return result;
}

function resizedColumns(image, height, target, bytesPerRow) {
  const { starts, ends, weights } = taps(height, target);
  const result = new Uint8ClampedArray(target * bytesPerRow);
  const sums = new Int32Array(bytesPerRow); // a row at a time, in the order of memory
  for (let row = 0, tap = 0; row < target; row += 1) {
    sums.fill(HALF);
    for (let at = starts[row] * bytesPerRow; tap < ends[row]; tap += 1, at += bytesPerRow) {
      const weight = weights[tap];
      for (let column = 0; column < bytesPerRow; column += 1) sums[column] += image[at + column] * weight;
    }
    for (let column = 0; column < bytesPerRow; column += 1) {
      result[row * bytesPerRow + column] = sums[column] >> FRACTION_BITS;
    }
  }
  return result;
}
