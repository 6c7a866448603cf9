// Open the demo page of a web bundle as somebody would, and show it a photo: on a desktop and a phone, by day and night.
//
//     node demo.mjs URL BROWSER PHOTO FOLDER
//
// BROWSER is a Chromium; playwright-core is looked up in the working folder. FOLDER gets a picture of each way to look.
// Prints JSON: for each of them what was told and shown, the console's errors, what was requested elsewhere, the widths
// and the texts that are too small or too faint, and what the camera, which is the browser's own fake, was answered.
import { createRequire } from 'node:module';
import { legibility } from './legibility.mjs';

const [url, executablePath, photo, folder] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/`)('playwright-core');
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const FAKE_CAMERA = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];

const texts = (page, selector) => page.locator(selector).allTextContents();
const answer = (page) => page.locator('#times dd').first().waitFor({ timeout: 60_000 });

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', ...FAKE_CAMERA] });
const seen = {};
try {
  for (const [device, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      const kind = `${device}-${colorScheme}`;
      const page = await browser.newPage({ viewport, colorScheme, deviceScaleFactor: device === 'phone' ? 2 : 1 });
      const [errors, requests] = [[], []];
      page.on('console', (message) => ['error', 'warning'].includes(message.type()) && errors.push(message.text()));
      page.on('pageerror', (error) => errors.push(String(error)));
      page.on('request', (request) => requests.push(request.url()));
      await page.goto(url);
      await page.locator('#file:enabled').waitFor({ timeout: 60_000 });
      await page.screenshot({ path: `${folder}/${kind}-empty.png` });
      await page.locator('#file').setInputFiles(photo);
      await answer(page);
      await page.screenshot({ path: `${folder}/${kind}.png` });
      const found = {
        title: await page.title(),
        about: await page.locator('#about').textContent(),
        status: await page.locator('#status').textContent(),
        scores: await texts(page, '#scores .label'),
        shares: await texts(page, '#scores .share'),
        boxes: await texts(page, '.box span'),
        times: await texts(page, '#times dd'),
        ...(await page.evaluate(legibility)),
      };
      await page.locator('#camera').click();
      await page.locator('#video:visible').waitFor({ timeout: 60_000 });
      await page.waitForFunction(() => document.querySelector('#status').textContent !== 'Looking …');
      await page.waitForTimeout(500);
      await page.screenshot({ path: `${folder}/${kind}-camera.png` });
      await page.locator('#camera').click();
      const { origin } = new URL(url);
      const elsewhere = requests.filter((each) => !each.startsWith(`${origin}/`) && !/^(data|blob):/.test(each));
      seen[kind] = { ...found, errors, elsewhere, camera: await page.locator('#camera').textContent() };
      await page.close();
    }
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
