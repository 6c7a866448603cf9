// Open report.html as somebody would: on a desktop and on a phone, by day and by night.
//
//     node report.mjs PAGE.html BROWSER FOLDER
//
// BROWSER is a Chromium; playwright-core is looked up in the working folder. FOLDER gets a picture of each way to look.
// Prints JSON: for each of them the console's errors, what was requested beside the page, how wide the page is, which
// texts of charts are smaller than can be read, and which texts are too faint.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [path, executablePath, folder] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/`)('playwright-core');
const url = pathToFileURL(path).href;
const WIDTHS = { desktop: 1280, phone: 360 };

/** In the page: the width, the smallest text, and the least contrast of a text (WCAG 2.2, 1.4.3). */
function measured() {
  const linear = (byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const parsed = (colour) => colour.match(/[\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parsed(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    if (walker.currentNode.data.trim() === '' || box.height === 0 || element.closest('title, desc')) continue;
    const svg = element.closest('svg');
    const style = getComputedStyle(element);
    const [light, dark] = [luminance(parsed(svg ? style.fill : style.color)), luminance(behind(element))].sort((a, b) => b - a);
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    texts.push({ contrast: (light + 0.05) / (dark + 0.05), px: parseFloat(style.fontSize) * scale });
  }
  return {
    scrollWidth: document.documentElement.scrollWidth,
    innerWidth,
    leastContrast: Math.min(...texts.map((text) => text.contrast)),
    smallestText: Math.min(...texts.map((text) => text.px)),
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
      seen[kind] = { errors, requests: others, ...(await page.evaluate(measured)) };
      await page.close();
    }
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
