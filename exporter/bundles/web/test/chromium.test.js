// SPDX-License-Identifier: Apache-2.0
// Runs page.html in a Chromium of this machine: the one that CHROMIUM names, or the first that is found.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { test } from 'node:test';

const NAMES = ['chromium', 'chromium-browser', 'chromium-headless-shell', 'google-chrome', 'google-chrome-stable'];
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
const LONGEST_MS = 120_000;
const ROOT = new URL('../', import.meta.url);

const starts = (name) => spawnSync(name, ['--version']).status === 0;
const browser = process.env.CHROMIUM ?? NAMES.find(starts);

/** A server of this package alone, and a promise of what the page posts to it. */
async function served() {
  let server;
  const posted = new Promise((resolve) => {
    server = createServer(async (request, response) => {
      if (request.method === 'POST') {
        const parts = await request.toArray();
        resolve(JSON.parse(Buffer.concat(parts).toString()));
        response.end();
        return;
      }
      const url = new URL(request.url.slice(1), ROOT);
      const content = url.href.startsWith(ROOT.href) ? await readFile(url).catch(() => null) : null;
      const type = TYPES[extname(url.pathname)] ?? 'application/octet-stream';
      response.writeHead(content === null ? 404 : 200, { 'Content-Type': type });
      response.end(content);
    });
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { server, posted };
}

async function foundIn(program) {
  const { server, posted } = await served();
  const profile = await mkdtemp(join(tmpdir(), 'golden-'));
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : []; // Chromium has none for root
  const url = `http://127.0.0.1:${server.address().port}/test/page.html`;
  const flags = ['--headless', '--disable-gpu', '--no-first-run', `--user-data-dir=${profile}`, ...sandbox];
  const child = spawn(program, [...flags, '--remote-debugging-port=0', url], { stdio: 'ignore' });
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, LONGEST_MS, new Error(`${program} says nothing for ${LONGEST_MS / 1000} s`));
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${program} ended with ${code} and says nothing`)));
  });
  try {
    return await Promise.race([posted, late]);
  } finally {
    clearTimeout(timer);
    late.catch(() => {});
    child.removeAllListeners('exit');
    const ended = new Promise((resolve) => { child.on('exit', resolve); });
    if (child.kill('SIGKILL')) await ended;
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

test('golden vectors in Chromium', { skip: browser ? false : `no browser: one of ${NAMES.join(', ')}` }, async () => {
  const { error, cases, changed } = await foundIn(browser);
  assert.equal(error, undefined);
  assert.notEqual(Object.keys(cases).length, 0);
  for (const [name, wrong] of Object.entries(cases)) assert.deepEqual(wrong, [], name);
  assert.deepEqual(changed, { canvas: 0, file: 0, shown: 0 });
});
