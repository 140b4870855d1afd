/**
 * What the page costs a browser: how soon the first map is there, how many frames a second it draws, and what its memory comes to
 * while it follows. Prints figures and judges nothing: what a machine takes depends on what else it does.
 *
 * The map is measured as the collector gives it, and with as many boxes as one can have: between the collector and the browser is
 * a server that makes more of each site's boxes.
 *
 * Usage: [MINUTES=5] node tests/measure.mjs URL BROWSER
 */
import { createServer, request as ask } from 'node:http';
import { chromium } from 'playwright-core';

const [url, executablePath] = process.argv.slice(2);
const minutes = Number(process.env.MINUTES ?? 5);
/** The most boxes that a map has. */
const BOXES = 150;
const FRAMES_MS = 10_000;

/** @param {any} map @returns {any} */
function larger(map) {
  const areas = new Map(map.areas.map((/** @type {any} */ area) => [area.id, area]));
  const copies = Math.floor(BOXES / Math.max(1, map.nodes.length));
  /** @param {any} node @param {number} copy */
  const beside = (node, copy) => ({ ...node, id: `${node.id}~${copy}`, name: `${node.name}-${copy}`, y: node.y + copy * (areas.get(node.area)?.height ?? 200) });
  return {
    ...map, height: map.height * copies,
    areas: map.areas.map((/** @type {any} */ area) => ({ ...area, height: area.height * copies, nodes: area.nodes * copies })),
    nodes: map.nodes.flatMap((/** @type {any} */ node) => Array.from({ length: copies }, (_, copy) => (copy === 0 ? node : beside(node, copy)))),
    edges: map.edges.flatMap((/** @type {any} */ edge) => Array.from({ length: copies }, (_, copy) => (copy === 0 ? edge
      : { ...edge, id: `${edge.id}~${copy}`, source: `${edge.source}~${copy}`, destination: `${edge.destination}~${copy}` }))),
  };
}

const between = createServer((request, response) => {
  // What is changed on its way must not be packed.
  const onward = ask(new URL(request.url ?? '/', url), { method: request.method, headers: { ...request.headers, 'accept-encoding': 'identity' } }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    if (!request.url?.startsWith('/api/v1/stream')) {
      answer.pipe(response);
      return;
    }
    let rest = '';
    answer.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const isMap = line.startsWith('data: {') && line.includes('"areas":');
        response.write(`${isMap ? `data: ${JSON.stringify(larger(JSON.parse(line.slice(6))))}` : line}\n`);
      }
    }).on('end', () => response.end());
  });
  request.pipe(onward);
  response.on('close', () => onward.destroy());
  onward.on('error', () => response.destroy());
});
await new Promise((resolve) => between.listen(0, '127.0.0.1', () => resolve(undefined)));
const inflated = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (between.address()).port}`;

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--js-flags=--expose-gc'] });

/** @param {string} root @param {string} hash @param {string} shows */
async function opened(root, hash, shows) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.addInitScript((selector) => {
    const seen = new MutationObserver(() => {
      if (!document.querySelector(selector)) return;
      seen.disconnect();
      requestAnimationFrame(() => requestAnimationFrame((at) => Object.assign(globalThis, { firstAt: at })));
    });
    seen.observe(document, { childList: true, subtree: true });
  }, shows);
  await page.goto(`${root}/#${hash}`);
  await page.waitForFunction(() => 'firstAt' in globalThis);
  const tools = await context.newCDPSession(page);
  await tools.send('Performance.enable');
  /** @param {string} name */
  const metric = async (name) => (await tools.send('Performance.getMetrics')).metrics.find((each) => each.name === name)?.value ?? 0;
  return { page, tools, metric, first: await page.evaluate(() => Math.round(/** @type {any} */ (globalThis).firstAt)), close: () => context.close() };
}

for (const [what, root] of [['as it is', url], [`of ${BOXES} boxes`, inflated]]) {
  const times = [];
  for (let round = 0; round < 7; round += 1) {
    const { first, close } = await opened(root, 'map', '.mapsvg [data-type]');
    times.push(first);
    await close();
  }
  times.sort((a, b) => a - b);
  console.log(`first map ${what}: median ${times[3]} ms after the navigation began, ${times[0]} to ${times[6]}`);
}

const measured = /** @type {const} */ ([
  ['the map', url, 'map', '.mapsvg [data-type]'], [`the map of ${BOXES} boxes`, inflated, 'map', '.mapsvg [data-type]'],
  ['the list of connections', url, 'connections', 'tr[data-key]'], ['the services', url, 'services', 'tr[data-key]'],
]);
for (const [what, root, hash, shows] of measured) {
  const { page, metric, close } = await opened(root, hash, shows);
  await page.waitForTimeout(3000);
  const before = await metric('TaskDuration');
  const [frames, longest] = await page.evaluate((length) => new Promise((resolve) => {
    const begun = performance.now();
    let [count, last, most] = [0, begun, 0];
    const next = (/** @type {number} */ now) => {
      count += 1;
      most = Math.max(most, now - last);
      last = now;
      if (now - begun < length) requestAnimationFrame(next);
      else resolve([(count * 1000) / (now - begun), most]);
    };
    requestAnimationFrame(next);
  }), FRAMES_MS);
  const busy = (await metric('TaskDuration') - before) / (FRAMES_MS / 1000);
  console.log(`${what}: ${frames.toFixed(1)} frames a second, the longest ${Math.round(longest)} ms, ${Math.round(busy * 100)} % of a core`);
  await close();
}

const { page, tools, metric, close } = await opened(url, 'connections', 'tr[data-key]');
for (let minute = 0; minute <= minutes; minute += 1) {
  await tools.send('HeapProfiler.collectGarbage');
  const [heap, nodes, listeners] = [await metric('JSHeapUsedSize'), await metric('Nodes'), await metric('JSEventListeners')];
  console.log(`the list of connections after ${minute} min: heap ${(heap / 1e6).toFixed(2)} MB, ${nodes} nodes, ${listeners} listeners`);
  if (minute < minutes) await page.waitForTimeout(60_000);
}
await close();
await browser.close();
between.closeAllConnections();
between.close();
