/**
 * What hours of the list of connections come to in memory, in minutes: the page is given 60 connections that it has not seen, as a
 * thousand a second make it once a second, as often as it can draw them. Prints the heap after each collection of garbage; with
 * SNAPSHOTS=FOLDER it leaves one of the heap after a third, and one at the end.
 *
 * Usage: [TURNS=7200] node tests/hours.mjs URL BROWSER
 */
import { createWriteStream } from 'node:fs';
import { chromium } from 'playwright-core';

const [url, executablePath] = process.argv.slice(2);
const turns = Number(process.env.TURNS ?? 7200);
const PARTS = 12;

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
// The list takes what comes as soon as it comes, not once a second.
await page.route('**/views/tail.js', async (route) => {
  const answer = await route.fetch();
  const text = await answer.text();
  if (!text.includes('CALM=1000')) throw new Error('the list is not as it was');
  await route.fulfill({ response: answer, body: text.replace('CALM=1000', 'CALM=0') });
});
await page.addInitScript(() => {
  const all = globalThis;
  const { EventSource: Real } = all;
  all.EventSource = class extends Real {
    /** @param {string | URL} address */
    constructor(address) {
      super(address);
      Object.assign(all, { latest: this });
    }
  };
});
await page.goto(`${url}/#connections`);
await page.waitForSelector('tr[data-key]');
const tools = await page.context().newCDPSession(page);
await tools.send('Performance.enable');

/** Gives the list so many turns. @param {number} count */
const turn = (count) => page.evaluate(async (count) => {
  const all = /** @type {any} */ (globalThis);
  const path = new URLSearchParams(new URL(all.latest.url).search).get('vtail');
  all.rows ??= (await (await fetch(`api/${path}`)).json()).results;
  all.number ??= 0;
  for (let at = 0; at < count; at += 1) {
    const now = Date.now() * 1000;
    const results = all.rows.slice(0, 60).map((/** @type {any} */ row, /** @type {number} */ index) => {
      all.number += 1;
      const startTime = now - index * 1000;
      return { ...row, startTime, endTime: index % 3 ? startTime + 900 : 0, identity: `made:${all.number}`, key: `made:${all.number}@${startTime}`, sourcePort: String(all.number % 60000) };
    });
    all.latest.dispatchEvent(new MessageEvent('vtail', { data: JSON.stringify({ results, timeRangeCount: 900000 }) }));
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
  return document.querySelectorAll('tr[data-key^="made:"]').length;
}, count);

/** @param {string} name */
async function snapshot(name) {
  if (!process.env.SNAPSHOTS) return;
  const file = createWriteStream(`${process.env.SNAPSHOTS}/${name}.heapsnapshot`);
  /** @param {{ chunk: string }} part */
  const write = ({ chunk }) => file.write(chunk);
  tools.on('HeapProfiler.addHeapSnapshotChunk', write);
  await tools.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  tools.off('HeapProfiler.addHeapSnapshotChunk', write);
  await new Promise((resolve) => file.end(() => resolve(undefined)));
}

for (let part = 1; part <= PARTS; part += 1) {
  const shown = await turn(turns / PARTS);
  await tools.send('HeapProfiler.collectGarbage');
  const { metrics } = await tools.send('Performance.getMetrics');
  const metric = (/** @type {string} */ name) => metrics.find((each) => each.name === name)?.value ?? 0;
  console.log(`after ${(part * turns) / PARTS} turns: heap ${(metric('JSHeapUsedSize') / 1e6).toFixed(2)} MB, ${metric('Nodes')} nodes, ${metric('JSEventListeners')} listeners; ${shown} of the rows made are shown`);
  if (part === PARTS / 3) await snapshot('third');
}
await snapshot('end');
await browser.close();
