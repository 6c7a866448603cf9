// Detect objects in a file of images, as an app in node or a page in a browser does.
//
//     node detect.mjs PACKAGE MODEL.onnx IMAGES
//
// PACKAGE (onnxruntime-node, or onnxruntime-web for WebAssembly) is looked up in the working folder, IMAGES holds the
// bytes of as many input tensors as there are. Prints JSON: for each image all outputs by name.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [name, model, images] = process.argv.slice(2);
const runtime = createRequire(`${process.cwd()}/`)(name);
const types = { uint8: Uint8Array, float32: Float32Array };

const session = await runtime.InferenceSession.create(readFileSync(model));
const [input] = session.inputMetadata;
const Values = types[input.type];
const { buffer } = Uint8Array.from(readFileSync(images)); // a copy of its own, aligned for floats
const values = new Values(buffer);
const size = input.shape.reduce((product, side) => product * side, 1);

const answers = [];
for (let start = 0; start < values.length; start += size) {
  const tensor = new runtime.Tensor(input.type, values.slice(start, start + size), input.shape);
  const found = await session.run({ [input.name]: tensor });
  answers.push(Object.fromEntries(session.outputNames.map((each) => [each, Array.from(found[each].data)])));
}
console.log(JSON.stringify(answers));
