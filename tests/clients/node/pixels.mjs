// Read image files with a web bundle's module in a browser, as a file and as an <img>.
//
//     node pixels.mjs URL BROWSER NAME...
//
// URL is that of the bundle's demo page, NAMEs lie in the bundle's folder; playwright-core is looked up in the working
// folder. Prints JSON: for each name and each way the RGBA bytes with width and height.
import { createRequire } from 'node:module';

const [url, executablePath, ...names] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/`)('playwright-core');

/** In the page. */
async function read(name) {
  const { pixelsOf } = await import('/src/pixels.js');
  const told = ({ data, width, height }) => ({ data: Array.from(data), width, height });
  const response = await fetch(`/${name}`);
  const file = new Blob([await response.arrayBuffer()], { type: 'image/png' });
  const img = Object.assign(new Image(), { src: URL.createObjectURL(file) });
  return { file: told(await pixelsOf(file)), img: told(await pixelsOf(img)) };
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  await page.goto(url);
  const seen = {};
  for (const name of names) seen[name] = await page.evaluate(read, name);
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
