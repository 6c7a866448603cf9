// SPDX-License-Identifier: Apache-2.0
import { platform } from './platform.js';

const PACKAGE = '@litertjs/core';
// Of LiteRT's builds the one whose arithmetic WebAssembly defines to the bit: relaxed SIMD may round as processors do.
const BUILD = '../wasm/litert_wasm_compat_internal.js';
const NO_ERROR = /^(INFO|WARNING|VERBOSE):/;

/** LiteRT.js as a module, started; `wasm` is the address of its build, beside the module if absent. */
export async function startedRuntime(wasm) {
  let runtime;
  try {
    runtime = await import('@litertjs/core');
  } catch (error) {
    const next = 'run `npm install` in the folder of package.json; a page without a bundler needs an import map';
    throw new Error(`the runtime ${PACKAGE} cannot be loaded: ${next}`, { cause: error });
  }
  // One runtime serves all networks of a page.
  await (runtime.getGlobalLiteRtPromise() ?? platform.start(() => start(runtime, wasm ?? besideModule())));
  return runtime;
}

function besideModule() {
  return platform.address(new URL(BUILD, import.meta.resolve(PACKAGE)));
}

async function start(runtime, wasm) {
  const printErr = (line) => NO_ERROR.test(line) || console.error(line);
  globalThis.Module = { print: () => {}, printErr }; // what LiteRT.js hands to its build, and takes away afterwards
  const { Environment } = runtime;
  const { create } = Environment;
  Environment.create = () => create.call(Environment, { webGpuDevice: null }); // else it takes a graphics card for itself
  try {
    return await runtime.loadLiteRt(String(wasm));
  } finally {
    Environment.create = create;
  }
}
