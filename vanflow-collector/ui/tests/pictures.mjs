/**
 * The pictures of docs/page.md and README.md, of a collector on the emulated network: how one finds, by the page alone, which
 * service fails, since when, from where to where, and which link was down. Says how long each took to be on the screen.
 *
 * Usage: node tests/pictures.mjs URL BROWSER FOLDER
 */
import { strict as assert } from 'node:assert';
import { chromium } from 'playwright-core';

const [url, executablePath, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', reducedMotion: 'reduce' });
let begun = performance.now();

/** How high each picture is. @type {Record<string, number>} */
const HEIGHTS = { map: 800, failing: 640, health: 700, way: 420 };

/**
 * Does something, waits for what it brings, says how long that took, and takes a picture.
 * @param {string} name
 * @param {string} what
 * @param {() => Promise<unknown>} act
 * @param {() => Promise<string | null>} read what is found, from the page
 */
async function step(name, what, act, read) {
  begun = performance.now();
  await act();
  const found = await read();
  assert.ok(found, `${what} is on the screen`);
  console.log(`${what}: ${found.replace(/\s+/g, ' ').trim()} (${Math.round(performance.now() - begun)} ms)`);
  // What comes after: charts, and what fails last.
  await page.waitForTimeout(3000);
  await page.screenshot({ path: `${folder}/${name}.png`, clip: { x: 0, y: 0, width: 1280, height: HEIGHTS[name] } });
}

await step('map', 'which service fails', () => page.goto(`${url}/#map`), async () => {
  await page.waitForSelector('.node.bad');
  return page.$eval('.node.bad title', (title) => title.textContent);
});
await step('failing', 'from where to where', () => page.locator('.elab.bad', { hasText: 'refused' }).click(), async () => {
  await page.waitForSelector('.panel .fails li');
  return page.$eval('.panel', (panel) => `${panel.querySelector('h2')?.textContent}; ${panel.querySelector('.fails li')?.textContent}`);
});
await page.keyboard.press('Escape');
await step('health', 'since when, and which link was down', async () => {
  await page.keyboard.press('h');
  await page.waitForSelector('.evt tr[data-key]');
}, async () => {
  const failing = await page.$eval('.todo li', (item) => item.textContent ?? '');
  const link = await page.locator('.evt tr', { hasText: 'is down' }).first().textContent();
  return `${failing} | ${link}`;
});
await step('way', 'why, and over which routers', async () => {
  await page.locator('.todo a').first().click();
  await page.locator('tr.errrow .tw').first().click();
}, async () => {
  await page.waitForSelector('.det svg.way');
  return page.$eval('.det', (detail) => `${detail.querySelector('svg.way')?.getAttribute('aria-label')}: ${detail.querySelector('.fw')?.textContent}`);
});
await browser.close();
