// SPDX-License-Identifier: Apache-2.0
import { resized } from './resampling.js';

/**
 * The bytes that the network is shown of an image: rows from the top, red first, as many bytes a pixel as there are
 * channels. They are to the byte those of the Python program that made the model.
 *
 * `image` is RGBA with alpha that is not premultiplied: what is transparent is laid over white.
 */
export function inputBytes(image, preprocess) {
  const size = keptSize(image, preprocess);
  const part = cropped(image, size, preprocess.channels);
  return Uint8Array.from(resized(part, size, preprocess, preprocess.channels));
}

/** What is kept of an image: all of it, or a central part of the shape of the network's input. */
export function keptSize({ width, height }, { width: columns, height: rows, cropFraction, isStretched }) {
  if (isStretched) return { width, height };
  if (width * rows >= height * columns) {
    const kept = rounded(height * cropFraction);
    return { width: rounded(kept * (columns / rows)), height: kept };
  }
  const kept = rounded(width * cropFraction);
  return { width: kept, height: rounded(kept * (rows / columns)) };
}

/** To the nearest whole number, halves to the even one, as Python rounds; at least 1 pixel. */
function rounded(pixels) {
  const below = Math.floor(pixels);
  const rest = pixels - below;
  const isUp = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return Math.max(1, isUp ? below + 1 : below);
}

function cropped({ data, width, height }, size, channels) {
  const left = Math.floor((width - size.width) / 2);
  const top = Math.floor((height - size.height) / 2);
  const result = new Uint8Array(size.width * size.height * channels);
  for (let y = 0, place = 0; y < size.height; y += 1) {
    let at = ((top + y) * width + left) * 4;
    for (let x = 0; x < size.width; x += 1, at += 4, place += channels) {
      const alpha = data[at + 3];
      const red = overWhite(data[at], alpha);
      const green = overWhite(data[at + 1], alpha);
      const blue = overWhite(data[at + 2], alpha);
      if (channels === 1) {
        result[place] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16; // Pillow's mode "L" (ITU-R 601-2)
      } else {
        result[place] = red;
        result[place + 1] = green;
        result[place + 2] = blue;
      }
    }
  }
  return result;
}

/** A byte laid over white, in the integer steps of Pillow's `alpha_composite`. */
function overWhite(byte, alpha) {
  if (alpha === 255) return byte;
  const share = alpha * 128;
  const sum = byte * share + 255 * (255 * 128 - share) + 128 * 128;
  return (((sum >> 8) + sum) >> 8) >> 7;
}
