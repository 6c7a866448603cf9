// Detect objects in a file of images, as a page does: onnxruntime-web in WebAssembly, in a Chromium.
//
//     node detect_in_browser.mjs BROWSER MODEL.onnx IMAGES
//
// playwright-core and onnxruntime-web are looked up in the working folder, IMAGES holds the bytes of as many input
// tensors as there are. The page reaches nothing but these files. Prints JSON: for each image all outputs by name.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

const [executablePath, model, images] = process.argv.slice(2);
const find = createRequire(`${process.cwd()}/`);
const { chromium } = find('playwright-core');
const runtime = dirname(find.resolve('onnxruntime-web'));
const SITE = 'http://127.0.0.1/';
const TYPES = { html: 'text/html', mjs: 'text/javascript', wasm: 'application/wasm' };

/** What the page gets of one address. */
function answer(url) {
  const name = basename(new URL(url).pathname);
  if (name === 'page.html') return { body: '<!doctype html>', contentType: TYPES.html };
  if (name === 'model' || name === 'images') return { body: readFileSync(name === 'model' ? model : images) };
  return { body: readFileSync(join(runtime, name)), contentType: TYPES[name.split('.').at(-1)] };
}

/** In the page. */
async function detect() {
  const runtime = await import('/ort.wasm.min.mjs');
  runtime.env.wasm.numThreads = 1;
  const [model, images] = await Promise.all(
    ['model', 'images'].map(async (name) => (await fetch(`/${name}`)).arrayBuffer()),
  );
  const session = await runtime.InferenceSession.create(model, { executionProviders: ['wasm'] });
  const [input] = session.inputMetadata;
  const values = new { uint8: Uint8Array, float32: Float32Array }[input.type](images);
  const size = input.shape.reduce((product, side) => product * side, 1);
  const answers = [];
  for (let start = 0; start < values.length; start += size) {
    const tensor = new runtime.Tensor(input.type, values.slice(start, start + size), input.shape);
    const found = await session.run({ [input.name]: tensor });
    answers.push(Object.fromEntries(session.outputNames.map((each) => [each, Array.from(found[each].data)])));
  }
  return answers;
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  await page.route('**', (route) =>
    route.request().url().startsWith(SITE) ? route.fulfill(answer(route.request().url())) : route.abort(),
  );
  await page.goto(`${SITE}page.html`);
  console.log(JSON.stringify(await page.evaluate(detect)));
} finally {
  await browser.close();
}
