// SPDX-License-Identifier: Apache-2.0

// The bytes of the file, as the network was trained on them: no conversion to the screen's colours. A photo is turned
// upright by its EXIF orientation, which is what browsers do if they are not asked for anything else.
const AS_STORED = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' };
const LEGAL = 'a File, Blob, <img>, <canvas>, <video>, ImageBitmap, ImageData, or {data, width, height} of RGBA';

/**
 * The RGBA pixels of anything that shows an image: `{ data, width, height }`, four bytes a pixel, alpha not
 * premultiplied. Throws `TypeError` for what is no image, or shows none.
 */
export async function pixelsOf(source) {
  if (ArrayBuffer.isView(source?.data)) return whole(source);
  if (typeof createImageBitmap === 'undefined') {
    throw new TypeError(`without a browser an image must be {data, width, height} of RGBA, got ${nameOf(source)}`);
  }
  let bitmap;
  try {
    await source?.decode?.(); // an <img> may still be loading
    bitmap = await createImageBitmap(source, AS_STORED);
  } catch (error) {
    throw new TypeError(`an image must be ${LEGAL}, got ${nameOf(source)}: ${error.message}`, { cause: error });
  }
  try {
    return drawn(bitmap);
  } finally {
    bitmap.close();
  }
}

function whole({ data, width, height }) {
  const isBytes = data.BYTES_PER_ELEMENT === 1 && !(data instanceof Int8Array);
  const isSize = Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0;
  if (!isBytes || !isSize || data.length !== width * height * 4) {
    const got = `${data.length} of ${nameOf(data)} for ${width} x ${height}`;
    throw new TypeError(`an image must have width * height * 4 bytes of RGBA, at least one pixel, got ${got}`);
  }
  return { data, width, height };
}

/** A canvas that is read by the processor: what a graphics card rounds is another matter on each of them. */
function drawn(bitmap) {
  const { width, height } = bitmap;
  const isPage = typeof OffscreenCanvas === 'undefined';
  const canvas = isPage ? document.createElement('canvas') : new OffscreenCanvas(width, height);
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
  if (context === null) throw new TypeError(`an image must fit into a canvas, got ${width} x ${height} pixels`);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height);
}

function nameOf(value) {
  return value?.constructor?.name ?? String(value);
}
