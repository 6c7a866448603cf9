// Open report.html as somebody would: on a desktop and on a phone, by day and by night.
//
//     node report.mjs PAGE.html BROWSER FOLDER
//
// BROWSER is a Chromium; playwright-core is looked up in the working folder. FOLDER gets a picture of each way to look.
// Prints JSON: for each of them the console's errors, what was requested beside the page, how wide the page is, which
// texts of charts are smaller than can be read, and which texts are too faint.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { legibility } from './legibility.mjs';

const [path, executablePath, folder] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/`)('playwright-core');
const url = pathToFileURL(path).href;
const WIDTHS = { desktop: 1280, phone: 360 };

/** In the page: what it is made of. */
function parts() {
  return {
    pictures: [...document.images].map((image) => image.naturalWidth),
    headings: [...document.querySelectorAll('h2')].map((heading) => heading.textContent),
  };
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const seen = {};
try {
  for (const [device, width] of Object.entries(WIDTHS)) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme, deviceScaleFactor: 1 });
      const [errors, requests] = [[], []];
      page.on('console', (message) => ['error', 'warning'].includes(message.type()) && errors.push(message.text()));
      page.on('pageerror', (error) => errors.push(String(error)));
      page.on('request', (request) => requests.push(request.url()));
      await page.goto(url);
      const kind = `${device}-${colorScheme}`;
      await page.screenshot({ path: `${folder}/${kind}.png`, fullPage: true });
      const others = requests.filter((request) => request !== url && !request.startsWith('data:'));
      seen[kind] = { errors, requests: others, ...(await page.evaluate(legibility)), ...(await page.evaluate(parts)) };
      await page.close();
    }
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
