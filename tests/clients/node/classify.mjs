// Classify a file of images, as an app in node or a page in a browser does.
//
//     node classify.mjs PACKAGE MODEL.onnx IMAGES
//
// PACKAGE (onnxruntime-node, or onnxruntime-web for WebAssembly) is looked up in the working folder, IMAGES holds the
// bytes of as many input tensors as there are. Prints JSON: names and types of both ends, and the raw scores.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [name, model, images] = process.argv.slice(2);
const runtime = createRequire(`${process.cwd()}/`)(name);
const types = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array };

const session = await runtime.InferenceSession.create(readFileSync(model));
const [input] = session.inputMetadata;
const [output] = session.outputMetadata;
const Values = types[input.type];
const { buffer } = Uint8Array.from(readFileSync(images)); // a copy of its own, aligned for floats
const values = new Values(buffer);
const size = input.shape.reduce((product, side) => product * side, 1);

const scores = [];
for (let start = 0; start < values.length; start += size) {
  const tensor = new runtime.Tensor(input.type, values.slice(start, start + size), input.shape);
  const found = await session.run({ [input.name]: tensor });
  scores.push(Array.from(found[output.name].data));
}
const ends = { input: [input.name, input.type, input.shape], output: [output.name, output.type, output.shape] };
console.log(JSON.stringify({ ...ends, scores }));
