// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Classifier } from '../src/node.js';
import { replayed } from './golden.js';

const read = (name) => readFile(new URL(`../golden/${name}`, import.meta.url));

test('golden vectors in node', async () => {
  const classifier = await Classifier.load();
  const found = await replayed(classifier, read);
  await classifier.release();
  assert.notEqual(Object.keys(found).length, 0);
  for (const [name, wrong] of Object.entries(found)) assert.deepEqual(wrong, [], name);
});
