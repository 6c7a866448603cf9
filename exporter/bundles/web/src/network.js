// SPDX-License-Identifier: Apache-2.0
import { encoded } from './encoding.js';
import { platform } from './platform.js';
import { startedRuntime } from './runtime.js';
import { settings } from './settings.js';

/** The network of this package in the runtime. Images are looked at one after the other. */
export class Network {
  #runtime;
  #compiled;
  #last = Promise.resolve();

  constructor(runtime, compiled) {
    this.#runtime = runtime;
    this.#compiled = compiled;
  }

  /** Load the model; see `LoadOptions` in index.d.ts. */
  static async load({ model, wasm } = {}) {
    const [runtime, content] = await Promise.all([startedRuntime(wasm), model ?? platform.read(settings.model)]);
    // The processor alone: graphics cards round otherwise.
    return new Network(runtime, await runtime.loadAndCompile(content, { accelerator: 'wasm' }));
  }

  /** The values of each output tensor, by its name, for the bytes of a preprocessed image. */
  run(bytes) {
    const { height, width, channels } = settings.preprocess;
    if (bytes.length !== height * width * channels) {
      throw new TypeError(`the input must be ${height * width * channels} bytes, got ${bytes.length}`);
    }
    const answer = this.#last.then(() => this.#answer(encoded(bytes, settings.input, channels)));
    this.#last = answer.catch(() => {}); // the next image does not fail with this one
    return answer;
  }

  async #answer(values) {
    const { height, width, channels } = settings.preprocess;
    const fed = new this.#runtime.Tensor(values, [1, height, width, channels]);
    try {
      const found = await this.#compiled.run({ [settings.input.name]: fed });
      return Object.fromEntries(await Promise.all(Object.entries(found).map(taken)));
    } finally {
      fed.delete();
    }
  }

  /** Free the network's memory; afterwards it runs no more. */
  async release() {
    await this.#last;
    this.#compiled.delete();
  }
}

/** The values of a tensor that LiteRT gave, whose memory is given back. */
async function taken([name, tensor]) {
  try {
    return [name, await tensor.data()];
  } finally {
    tensor.delete();
  }
}
