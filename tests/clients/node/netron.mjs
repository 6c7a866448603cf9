// Read model files with netron, the viewer, by the modules that its page is made of.
//
//     node netron.mjs NETRON MODEL
//
// NETRON is a folder with netron's modules and a package.json that calls them modules. Prints JSON: the format, the
// graph's ends with their types, the kinds of its nodes, and the metadata.
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, path] = process.argv.slice(2).map((argument) => resolve(argument));
const load = (name) => import(pathToFileURL(join(folder, `${name}.js`)).href);

const base = await load('base');
const view = await load('view');

const host = {
  require: (id) => load(id.replace('./', '')),
  asset: async (file) => readFileSync(join(folder, file), 'utf-8'),
  fetch: async (file) => {
    throw new Error(`the model asks for another file: ${file}`);
  },
  exception: (error) => {
    throw error;
  },
  error: (error) => {
    throw error;
  },
  event: () => {},
};
const context = { ...host, identifier: basename(path), stream: new base.BinaryStream(readFileSync(path)) };

const service = new view.ModelFactoryService(host);
await service.import();
const model = await service.open(context);
const [graph] = model.modules;
const ends = (list) => list.flatMap((end) => end.value.map((value) => [end.name, value.type.toString()]));
console.log(
  JSON.stringify({
    format: model.format,
    inputs: ends(graph.inputs),
    outputs: ends(graph.outputs),
    nodes: graph.nodes.map((node) => node.type.name),
    metadata: Object.fromEntries((model.metadata ?? []).map((entry) => [entry.name, String(entry.value)])),
  }),
);
