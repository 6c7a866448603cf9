// SPDX-License-Identifier: Apache-2.0
// The same module for node, which is no page: files are read, and the runtime's script is run by node's own means.
import { readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import { platform } from './platform.js';

platform.read = async (url) => new Uint8Array(await readFile(url));
platform.address = (url) => fileURLToPath(url);

/** LiteRT.js asks for `importScripts`, as workers have it, and for what the script calls `ModuleFactory`, of `self`. */
platform.start = async (load) => {
  const names = ['require', '__filename', '__dirname'];
  const hasSelf = 'self' in globalThis; // as later versions of node have
  globalThis.self ??= globalThis;
  globalThis.importScripts = (file) => {
    const script = compileFunction(`${readFileSync(file, 'utf8')}\nreturn ModuleFactory;`, names, { filename: file });
    globalThis.self.ModuleFactory = script(createRequire(file), file, dirname(file));
  };
  try {
    return await load();
  } finally {
    delete globalThis.importScripts; // others take it for the mark of a worker
    if (!hasSelf) delete globalThis.self;
  }
};

export * from './index.js';
