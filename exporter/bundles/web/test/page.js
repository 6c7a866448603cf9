// SPDX-License-Identifier: Apache-2.0
// Replays the golden vectors in a browser, shows what is wrong, and posts it to the server that runs this test.
// Modules are imported inside, so that one that cannot be loaded is told, too.
async function read(name) {
  const response = await fetch(`../golden/${name}`);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** How many bytes of an image the browser changes on its way through a canvas, a PNG file and an <img>. */
async function changedByBrowser() {
  const [{ pixelsOf }, { pixelsOfRaw }] = await Promise.all([import('../src/pixels.js'), import('./golden.js')]);
  const [{ raw, ...size }] = JSON.parse(new TextDecoder().decode(await read('golden.json'))).cases;
  const image = pixelsOfRaw(await read(raw), size);
  const canvas = Object.assign(document.createElement('canvas'), { width: size.width, height: size.height });
  canvas.getContext('2d').putImageData(new ImageData(image.data, image.width), 0, 0);
  const file = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/png'); });
  const shown = Object.assign(new Image(), { src: URL.createObjectURL(file) });
  const changed = {};
  for (const [kind, source] of Object.entries({ canvas, file, shown })) {
    const found = await pixelsOf(source);
    changed[kind] = found.data.filter((byte, at) => byte !== image.data[at]).length;
  }
  return changed;
}

async function found() {
  const { replayed } = await import('./golden.js');
  return { cases: await replayed(read), changed: await changedByBrowser() };
}

const result = await found().catch((error) => ({ error: String(error) }));
document.querySelector('#found').textContent = JSON.stringify(result, null, 1);
await fetch('/found', { method: 'POST', body: JSON.stringify(result) }).catch(() => {});
