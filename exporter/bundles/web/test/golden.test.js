// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import '../src/node.js';
import { replayed } from './golden.js';

test('golden vectors in node', async () => {
  const found = await replayed((name) => readFile(new URL(`../golden/${name}`, import.meta.url)));
  assert.notEqual(Object.keys(found).length, 0);
  for (const [name, wrong] of Object.entries(found)) assert.deepEqual(wrong, [], name);
});
