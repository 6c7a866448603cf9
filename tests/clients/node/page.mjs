// Open a page of netron's server as somebody would: the graph's nodes, its ends, and a picture.
//
//     node page.mjs URL BROWSER PICTURE.png
//
// BROWSER is a Chromium; playwright-core is looked up in the working folder. Nothing but URL's host is reached. Prints
// JSON: the page's message if it shows one, the texts of the graph's boxes, and how many lines join them.
import { createRequire } from 'node:module';

const [url, executablePath, picture] = process.argv.slice(2);
const { chromium } = createRequire(`${process.cwd()}/`)('playwright-core');

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ viewport: { width: 900, height: 1200 } });
  await page.route('**', (route) => (route.request().url().startsWith(url) ? route.continue() : route.abort()));
  // The page asks for a newer netron half a year after its release: it is kept on the day before.
  const released = await (await page.request.get(url)).text();
  const [, day] = released.match(/<meta name="date" content="(\S+)/);
  await page.clock.setFixedTime(new Date(day));
  await page.context().addCookies([{ name: 'consent', value: 'yes', url }]);
  // The page forbids itself eval, which is how playwright looks into it.
  await page.addInitScript(() => {
    const kept = window.eval;
    Object.defineProperty(window, 'eval', { get: () => kept, set: () => {} });
  });

  await page.goto(url);
  await page.locator('body.default, body.notification, body.message').waitFor({ timeout: 120_000 });
  await page.waitForTimeout(1000); // the graph moves into its place
  await page.screenshot({ path: picture });
  const seen = {
    page: await page.locator('body').getAttribute('class'),
    message: await page.locator('#message-text').textContent(),
    boxes: (await page.locator('#origin .node').allTextContents()).filter((text) => text !== ''),
    lines: await page.locator('#origin .edge-path').count(),
  };
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}
