// Answers questions with the modules of a web bundle, a line of JSON each: bytes are in base64.
//
//     node replies.mjs SRC
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const folder = pathToFileURL(`${process.argv[2]}/`);
const load = (name) => import(new URL(`${name}.js`, folder));
const { inputBytes, keptSize } = await load('preprocess');
const { encoded } = await load('encoding');
const { pixelsOf } = await load('pixels');

const bytes = (text) => Uint8Array.from(Buffer.from(text, 'base64'));
const base64 = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');
const ARRAYS = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array };

const ANSWERS = {
  resized: async ({ rgba, width, height, preprocess }) => {
    const image = await pixelsOf({ data: bytes(rgba), width, height });
    return base64(inputBytes(image, preprocess));
  },
  kept: ({ width, height, preprocess }) => keptSize({ width, height }, preprocess),
  tensor: ({ pixels, input, channels }) => base64(encoded(bytes(pixels), input, channels)),
  best: async ({ codes, type, output, labels }) => {
    const { ranked, scoresOf } = await load('scores');
    return ranked(scoresOf(new ARRAYS[type](bytes(codes).buffer), output), labels);
  },
  objects: async ({ outputs, labels, size }) => {
    const { detections } = await load('detections');
    const values = Object.entries(outputs).map(([name, each]) => [name, new Float32Array(bytes(each).buffer)]);
    return detections(Object.fromEntries(values), labels, size);
  },
  texts: async () => {
    const [{ labels }, { settings }] = await Promise.all([load('labels'), load('settings')]);
    return { labels, settings: { ...settings, model: settings.model.href } };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { question, ...given } = JSON.parse(line);
  let reply;
  try {
    reply = { reply: await ANSWERS[question](given) };
  } catch (error) {
    reply = { error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(reply));
}
