// SPDX-License-Identifier: Apache-2.0

const ARRAYS = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array };

/**
 * The values of the input tensor for bytes of RGB or grey: the bytes themselves (uint8), byte - 128 (int8), or
 * (byte - mean) / std in float32.
 */
export function encoded(bytes, { type, isBlueFirst, mean, std }, channels) {
  if (type === 'uint8') return bytes;
  const values = new ARRAYS[type](bytes.length);
  if (type === 'int8') {
    for (let at = 0; at < bytes.length; at += 1) values[at] = bytes[at] - 128;
    return values;
  }
  for (let channel = 0; channel < channels; channel += 1) {
    const table = normalized(mean[channel % mean.length], std[channel % std.length]);
    const source = isBlueFirst ? channels - 1 - channel : channel;
    for (let at = 0; at < bytes.length; at += channels) values[at + channel] = table[bytes[at + source]];
  }
  return values;
}

/** (byte - mean) / std for every byte, each step rounded to float32 as numpy does. */
function normalized(mean, std) {
  const [center, width] = [Math.fround(mean), Math.fround(std)];
  return Float32Array.from({ length: 256 }, (_, byte) => Math.fround(byte - center) / width);
}
