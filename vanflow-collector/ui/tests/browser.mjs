/**
 * The page in a browser, of a collector that runs: each view in each form that it has, by the keyboard alone, behind a
 * path of a proxy, while the collector is away, and where no router is.
 *
 * Each view is compared with a small picture of it in `tests/pictures/`, by what is where and not by what is written: the
 * numbers of a live network are never the same. `RENEW=1` takes new ones; look at them before they are kept. `ONLY=words` runs
 * those tests alone that have them in their name.
 *
 * Usage: node tests/browser.mjs URL BROWSER [URL-OF-A-COLLECTOR-WITHOUT-A-ROUTER [CAPTURE=URL-OF-A-COLLECTOR-THAT-HAS-IT …]]
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [url, executablePath, detached, ...captures] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FORMS = [
  { name: 'light', width: 1280, height: 800, colorScheme: 'light' },
  { name: 'dark', width: 1280, height: 800, colorScheme: 'dark' },
  { name: 'narrow', width: 360, height: 740, colorScheme: 'light' },
  { name: 'narrow dark', width: 360, height: 740, colorScheme: 'dark' },
];
/** What shows that a view has come to show something. */
const SHOWN = {
  map: '.mapsvg [data-type]', services: 'tr[data-key]', connections: 'tr[data-key]', requests: 'tr[data-key]', infra: 'tr[data-key]',
  health: '.verdict h1',
};
const pictures = process.env.PICTURES;
if (pictures) mkdirSync(pictures, { recursive: true });

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
let failures = 0;
let checks = 0;

/** @param {string} sentence @param {() => Promise<void>} body */
async function test(sentence, body) {
  if (process.env.ONLY && !new RegExp(process.env.ONLY).test(sentence)) return;
  checks += 1;
  const begun = performance.now();
  try {
    await body();
    console.log(`ok ${sentence} (${Math.round(performance.now() - begun)} ms)`);
  } catch (error) {
    failures += 1;
    console.log(`not ok ${sentence}\n${error instanceof Error ? error.message : error}`);
  }
}

/**
 * A page of its own, and what it must not do: complain, or ask anybody else.
 * @param {Partial<typeof FORMS[0]>} form
 * @param {(page: import('playwright-core').Page) => Promise<void>} body
 */
async function withPage({ width = 1280, height = 800, colorScheme = 'light' }, body, { root = url, complains = false } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: /** @type {'light'} */ (colorScheme), reducedMotion: 'reduce' });
  /** @type {string[]} */
  const wrong = [];
  page.on('console', (message) => {
    // A browser may ask for this before it has read where the icon is.
    if (message.location().url.endsWith('/favicon.ico')) return;
    if (['error', 'warning'].includes(message.type())) wrong.push(`${message.type()}: ${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => wrong.push(`threw: ${error.stack}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(root) && !request.url().startsWith('data:')) wrong.push(`asked ${request.url()}`);
  });
  try {
    await body(page);
    if (!complains) assert.deepEqual(wrong, []);
  } finally {
    await page.close();
  }
}

/** @param {import('playwright-core').Page} page */
async function accessible(page) {
  // It is evaluated by the browser's own tools: the policy of the page lets no script of others in.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  assert.deepEqual(violations.map((/** @type {any} */ each) => `${each.id}: ${each.nodes.map((/** @type {any} */ node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).slice(0, 3).join('\n  ')}`), []);
}

/** Where the pictures are that views are compared with. */
const KEPT = new URL('pictures/', import.meta.url);
/** The most that may be elsewhere, as a share of the picture: rows and lines of a live network differ, its layout does not. */
const MOST_DIFFERENT = 0.15;
const drawing = await browser.newPage();

/**
 * Compares a picture with the one that is kept, both reduced to an eighth: the share of points that are clearly different.
 * @param {Buffer} picture
 * @param {string} name
 */
async function compare(picture, name) {
  const kept = new URL(`${name}.png`, KEPT);
  const [smaller, share] = await drawing.evaluate(async ([now, before]) => {
    /** @param {string} text */
    const load = async (text) => {
      const image = new Image();
      image.src = `data:image/png;base64,${text}`;
      await image.decode();
      return image;
    };
    /** @param {HTMLImageElement} image @param {number} width @param {number} height */
    const points = (image, width, height) => {
      const canvas = Object.assign(document.createElement('canvas'), { width, height });
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
      context.imageSmoothingQuality = 'high';
      context.drawImage(image, 0, 0, width, height);
      return { canvas, data: context.getImageData(0, 0, width, height).data };
    };
    const image = await load(now);
    const [width, height] = [Math.round(image.width / 8), Math.round(image.height / 8)];
    const { canvas, data } = points(image, width, height);
    const small = canvas.toDataURL('image/png').split(',')[1];
    if (!before) return [small, 0];
    const other = points(await load(before), width, height).data;
    let different = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (Math.abs(data[at] - other[at]) + Math.abs(data[at + 1] - other[at + 1]) + Math.abs(data[at + 2] - other[at + 2]) > 96) different += 1;
    }
    return [small, different / (data.length / 4)];
  }, /** @type {[string, string]} */ ([picture.toString('base64'), existsSync(kept) && !process.env.RENEW ? readFileSync(kept).toString('base64') : '']));
  if (process.env.RENEW) {
    mkdirSync(KEPT, { recursive: true });
    writeFileSync(kept, Buffer.from(String(smaller), 'base64'));
    return;
  }
  assert.ok(existsSync(kept), `there is no picture ${name} to compare with: RENEW=1 takes one`);
  assert.ok(Number(share) <= MOST_DIFFERENT, `${(Number(share) * 100).toFixed(1)} % of ${name} is elsewhere than in the picture that is kept`);
}

/** @param {import('playwright-core').Page} page @param {string} view */
async function open(page, view, root = url) {
  await page.goto(`${root}/#${view}`);
  await page.waitForSelector(`.s-${view.split('?')[0]} ${SHOWN[/** @type {'map'} */ (view.split('?')[0])] ?? ''}`, { timeout: 30_000 });
}

const views = await (async () => {
  const page = await browser.newPage();
  await page.goto(`${url}/`);
  await page.waitForSelector('nav a');
  const found = await page.$$eval('nav a', (links) => links.map((link) => (link.getAttribute('href') ?? '').slice(1).split('?')[0]));
  await page.close();
  return found;
})();
assert.ok(views.length >= 4, `views: ${views}`);

for (const view of views) {
  for (const form of FORMS) {
    await test(`${view} is shown, ${form.name}, with nothing that axe finds and nothing that scrolls sideways`, () => withPage(form, async (page) => {
      await open(page, view);
      await page.waitForTimeout(1000);
      if (pictures) await page.screenshot({ path: `${pictures}/${view}-${form.name.replace(' ', '-')}.png` });
      // What Health shows is what happened to happen: it has no picture that it could be compared with.
      if (form.name !== 'narrow dark' && view !== 'health') await compare(await page.screenshot(), `${view}-${form.name}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `it is ${wide} px too wide`);
      await accessible(page);
    }));
  }
}

await test('letters lead to the views', () => withPage({}, async (page) => {
  await open(page, 'map');
  const letters = await page.$$eval('nav a', (links) => links.map((link) => link.getAttribute('aria-keyshortcuts') ?? ''));
  for (const [index, letter] of letters.entries()) {
    await page.keyboard.press(letter);
    await page.waitForSelector(`nav a[aria-current=page][aria-keyshortcuts="${letter}"]`);
    assert.ok(page.url().includes(`#${views[index]}`), page.url());
  }
}));

await test('the filter is written, kept in the address, and taken back by the keyboard alone', () => withPage({}, async (page) => {
  await open(page, 'connections');
  await page.keyboard.press('/');
  await page.keyboard.type('service:catalog');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.chip');
  assert.match(page.url(), /filter=service%3Acatalog/);
  await page.waitForFunction(() => {
    const cells = [...document.querySelectorAll('tr[data-key] .sv')].map((cell) => cell.textContent ?? '');
    return cells.length > 0 && cells.every((cell) => cell.startsWith('catalog'));
  });
  await page.keyboard.press('Backspace');
  await page.waitForFunction(() => document.querySelector('.chip') === null);
  await page.goBack();
  await page.waitForSelector('.chip');
}));

await test('rows are reached by j and k, opened by Enter and closed by Escape', () => withPage({}, async (page) => {
  await open(page, 'connections');
  await page.keyboard.press('p');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  const second = await page.evaluate(() => document.activeElement?.getAttribute('data-key'));
  assert.ok(second);
  await page.keyboard.press('k');
  const first = await page.evaluate(() => document.activeElement?.getAttribute('data-key'));
  assert.notEqual(first, second);
  await page.keyboard.press('Enter');
  await page.waitForSelector('tr.detail');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.querySelector('tr.detail') === null);
}));

await test('on the map arrows lead to the nearest box, Enter selects it, and Escape deselects', () => withPage({}, async (page) => {
  await open(page, 'map');
  await page.keyboard.press('ArrowRight');
  const seen = new Set();
  for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown', 'ArrowLeft', 'ArrowUp']) {
    await page.keyboard.press(key);
    seen.add(await page.evaluate(() => document.activeElement?.getAttribute('data-id')));
  }
  assert.ok(seen.size >= 3 && !seen.has(null), [...seen].join(', '));
  await page.locator('.node.component').first().focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('.panel:not([hidden]) h2');
  assert.match(page.url(), /select=component/);
  await page.waitForSelector('.panel .ch svg');
  await accessible(page);
  await page.keyboard.press('Escape');
  await page.waitForSelector('.panel', { state: 'hidden' });
}));

for (const address of ['map', 'map?level=process', 'map?select=service:gift-cards:8080']) {
  await test(`no label lies upon the name of a router or site, ${address}`, () => withPage({}, async (page) => {
    await open(page, address);
    await page.waitForSelector('.llab');
    const upon = await page.evaluate(() => {
      const boxes = (/** @type {string} */ selector) => [...document.querySelectorAll(selector)].map((each) => ({ text: each.textContent, box: each.getBoundingClientRect() }));
      return boxes('.elab, .llab').flatMap((label) => boxes('.rn, .sn').filter(({ box }) => box.left < label.box.right && label.box.left < box.right
        && box.top < label.box.bottom && label.box.top < box.bottom).map(({ text }) => `${label.text} upon ${text}`));
    });
    assert.deepEqual(upon, []);
  }));
}

await test('1, 2 and 3 choose the level, and the table says what the map does', () => withPage({}, async (page) => {
  await open(page, 'map');
  await page.keyboard.press('1');
  await page.waitForSelector('.site.closed');
  assert.equal(await page.locator('.node').count(), 0);
  await page.keyboard.press('3');
  await page.waitForSelector('.node.process');
  await page.keyboard.press('2');
  await page.waitForSelector('.node.component');
  const edges = await page.locator('.edges > g, g.edge').count();
  await page.getByRole('button', { name: 'Table' }).click();
  await page.waitForSelector('.maptable table.edges tbody tr');
  assert.ok(await page.locator('.maptable table.edges tbody tr').count() >= Math.min(edges, 5));
  await accessible(page);
}));

await test('the list of keys opens, holds the focus, and closes', () => withPage({}, async (page) => {
  await open(page, 'map');
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open]');
  await accessible(page);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
}));

await test('every focus can be seen', () => withPage({}, async (page) => {
  await open(page, 'services');
  for (let step = 0; step < 25; step += 1) {
    await page.keyboard.press('Tab');
    const seen = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return 'nothing';
      const style = getComputedStyle(element);
      const around = element.closest('.filter');
      const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
      return outlined || (around && getComputedStyle(around).outlineStyle !== 'none') ? '' : element.outerHTML.slice(0, 120);
    });
    if (seen === 'nothing') break;
    assert.equal(seen, '');
  }
}));

await test('a list stands while one points at it, says how many have come, and goes on after', () => withPage({}, async (page) => {
  const rows = () => page.$$eval('tr[data-key]', (found) => found.map((row) => row.getAttribute('data-key')));
  await open(page, 'connections');
  await page.mouse.move(600, 400);
  // What is under way when the pointer comes is still shown.
  await page.waitForFunction(() => /new/.test(document.querySelector('.more')?.textContent ?? ''), undefined, { timeout: 20_000 });
  const stood = await rows();
  await page.waitForTimeout(2500);
  assert.deepEqual(await rows(), stood);
  await page.mouse.move(600, 20);
  await page.waitForFunction((first) => document.querySelector('tr[data-key]')?.getAttribute('data-key') !== first, stood[0]);
  assert.equal(await page.isVisible('.more'), false);
}));

await test('a chip leaves those that failed, each with the words of the router, and an address keeps it', () => withPage({}, async (page) => {
  await open(page, 'connections');
  await page.click('.qf button:has-text("failed")');
  await page.waitForFunction(() => {
    const rows = document.querySelectorAll('tr[data-key]');
    return rows.length > 0 && [...rows].every((row) => row.classList.contains('errrow') && row.nextElementSibling?.classList.contains('why'));
  });
  assert.match(page.url(), /x-only=failed/);
}));

await test('an open row names the way from the client to the server, and the command that shows the same', () => withPage({}, async (page) => {
  await open(page, 'connections?filter=service%3Acatalog');
  // One of which the server is known; the newest may be too new for that.
  await page.click('tr[data-key]:has-text("data-centre") .tw');
  await page.waitForSelector('.det svg.way');
  const way = await page.$eval('.det svg.way', (picture) => picture.getAttribute('aria-label') ?? '');
  assert.match(way, /in .+ → .+ → link .+ → dc-1 in data-centre → catalog-\d in data-centre$/);
  const key = await page.$eval('tr.opened', (row) => row.getAttribute('data-key'));
  assert.equal(await page.textContent('.det code'), `vflow observe --id ${key}`);
}));

await test('what is left by no filter says what each term excludes', () => withPage({}, async (page) => {
  await page.goto(`${url}/#connections?filter=service%3Acatalog+to%3Anobody`);
  await page.waitForFunction(() => /without to:nobody: [\d,]+/.test(document.querySelector('.left')?.textContent ?? ''));
}));

await test('time goes back, stands still and is live again', () => withPage({}, async (page) => {
  await open(page, 'services');
  await page.waitForSelector('.live[data-kind=now]');
  await page.keyboard.press('[');
  await page.waitForSelector('.live[data-kind=past]');
  assert.match(page.url(), /end=\d{16}/);
  await page.waitForSelector('tr[data-key]');
  await page.keyboard.press('l');
  await page.waitForSelector('.live[data-kind=now]');
  await page.keyboard.press('p');
  await page.waitForSelector('.live[data-kind=paused]');
  await page.keyboard.press('p');
  await page.waitForSelector('.live[data-kind=now]');
}));

await test('in the past the verdict says that it is of now', () => withPage({}, async (page) => {
  const said = page.locator('.verdict', { hasText: 'As it is now' });
  await open(page, 'health');
  assert.equal(await said.count(), 0);
  await page.keyboard.press('[');
  await said.waitFor();
}));

await test('what a link to the page says is what is shown', () => withPage({}, async (page) => {
  await open(page, 'connections?filter=service%3Acatalog&span=3600');
  await page.waitForSelector('.chip');
  assert.equal(await page.locator('.range [aria-pressed=true]').textContent(), '1 h');
}));

await test('while the collector is away the page keeps what it has and says how old that is', async () => {
  // What stands between can be taken away, and with it the stream that is open.
  const between = () => createServer((request, response) => {
    const onward = ask(new URL(request.url ?? '/', url), { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
    response.on('close', () => onward.destroy());
    onward.on('error', () => response.destroy());
  });
  /** @param {import('node:http').Server} server @param {number} port */
  const listening = (server, port) => new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(undefined)));
  let server = between();
  await listening(server, 0);
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const root = `http://127.0.0.1:${port}`;
  await withPage({}, async (page) => {
    await open(page, 'services', root);
    await page.waitForSelector('.live[data-kind=now]');
    const rows = await page.locator('tr[data-key]').count();
    server.closeAllConnections();
    server.close();
    await page.waitForSelector('.live[data-kind=stale]', { timeout: 30_000 });
    assert.match(await page.locator('.live').innerText(), /s old/);
    assert.equal(await page.locator('tr[data-key]').count(), rows);
    server = between();
    await listening(server, port);
    await page.waitForSelector('.live[data-kind=now]', { timeout: 30_000 });
  }, { root, complains: true });
  server.closeAllConnections();
  server.close();
});

await test('it works below a path of a proxy, and below /view/', async () => {
  const below = '/some/path';
  const server = createServer((request, response) => {
    if (!request.url?.startsWith(`${below}/`)) {
      response.writeHead(404).end();
      return;
    }
    const onward = ask(new URL(request.url.slice(below.length), url), { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
    response.on('close', () => onward.destroy());
    onward.on('error', () => response.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const root = `http://127.0.0.1:${port}${below}`;
  for (const at of [root, `${root}/view`]) {
    await withPage({}, async (page) => {
      await open(page, 'services', at);
      const index = await page.locator('a.api').getAttribute('href');
      assert.equal(index, `${root}/api`);
    }, { root });
  }
  server.closeAllConnections();
  server.close();
});

await test('what is looked for is looked for among all, not among those that are shown', () => withPage({}, async (page) => {
  // The service that is asked for least: most of the newest are of others.
  const { results } = await (await fetch(`${url}/api/v2alpha1/connections?groupBy=routingKey&aggregate=count&sortBy=count.asc&limit=1`)).json();
  const [{ routingKey, count }] = results;
  for (const text of [routingKey.toUpperCase(), `service:${routingKey}`]) {
    await open(page, `connections?filter=${encodeURIComponent(text)}`);
    await page.waitForFunction((least) => document.querySelectorAll('tr[data-key]').length >= least, Math.min(count, 60));
    const services = await page.$$eval('tr[data-key] .sv', (cells) => [...new Set(cells.map((cell) => cell.textContent))]);
    assert.deepEqual(services, [routingKey]);
  }
  await page.goto(`${url}/#connections?filter=component%3Acatalog`);
  await page.waitForFunction(() => {
    const rows = [...document.querySelectorAll('tr[data-key]')].map((row) => [...row.querySelectorAll('.p .nm')].map((cell) => cell.textContent ?? ''));
    return rows.length > 0 && rows.every((ends) => ends.some((name) => name.startsWith('catalog')));
  });
}));

await test('a range of the past is chosen by its times, no further back than anything is held', () => withPage({}, async (page) => {
  await open(page, 'connections');
  await page.keyboard.press('w');
  await page.waitForSelector('dialog.pick[open]');
  await accessible(page);
  const until = page.locator('dialog input[name=until]');
  const most = await until.getAttribute('max') ?? '';
  const back = (/** @type {number} */ seconds) => new Date(Date.parse(`${most}Z`) - seconds * 1000).toISOString().slice(0, 19);
  await page.locator('dialog input[name=from]').fill(back(20));
  await until.fill(back(25));
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  assert.ok(await page.isVisible('dialog.pick'), 'it ends before it begins');
  await until.fill(back(5));
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.waitForSelector('.live[data-kind=past]');
  assert.match(page.url(), /span=60&end=\d{16}/);
  await page.waitForSelector('tr[data-key]');
  await page.keyboard.press('w');
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await page.waitForSelector('.live[data-kind=now]');
}));

await test('before there are metrics, charts and figures are of what ended', async () => {
  // What is said of how far metrics go back is changed on its way.
  const server = createServer((request, response) => {
    const onward = ask(new URL(request.url ?? '/', url), { method: request.method, headers: { ...request.headers, 'accept-encoding': 'identity' } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('data', (piece) => response.write(String(piece).replace(/"historySince":\d+/, '"historySince":9007199254740991'))).on('end', () => response.end());
    });
    request.pipe(onward);
    response.on('close', () => onward.destroy());
    onward.on('error', () => response.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const root = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  await withPage({}, async (page) => {
    const { now } = await (await fetch(`${url}/api/v1/verdict`)).json();
    const name = 'catalog:8080';
    await open(page, `services?span=300&end=${now}`, root);
    const row = page.locator('tr[data-key]', { hasText: name });
    await row.locator('.oc .v').waitFor();
    // What ended in whole minutes of the range: the first may begin before it.
    const first = Math.ceil((now - 300e6) / 60e6) * 60e6;
    assert.match(await row.locator('.oc .spark').getAttribute('aria-label') ?? '', /B\/s now/);
    const { results: [{ identity }] } = await (await fetch(`${url}/api/v2alpha1/services?name=${name}`)).json();
    await page.goto(`${root}/#map?select=service:${encodeURIComponent(identity)}&span=300&end=${now}`);
    await page.locator('.panel h3', { hasText: 'of what ended' }).waitFor();
    const shown = await page.locator('.panel .ch', { hasText: 'Connections' }).locator('.spark').getAttribute('aria-label') ?? '';
    const groups = await (await fetch(`${url}/api/v2alpha1/connections?routingKey=${name}&state=all&timeRangeStart=${first}&timeRangeEnd=${now}&step=60s&aggregate=count`)).json();
    const whole = groups.results.filter((/** @type {{ time: number }} */ each) => each.time >= first && each.time + 60e6 <= now);
    const most = Math.max(...whole.map((/** @type {{ count: number }} */ each) => each.count)) / 60;
    assert.ok(shown.includes(`and ${most >= 0.995 ? most.toFixed(1) : most.toFixed(2)}`), `${shown}; ${most}`);
  }, { root });
  server.closeAllConnections();
  server.close();
});

await test('an answer that takes long is said to be on its way', () => withPage({}, async (page) => {
  // A third of its range back: a time when this collector was there already.
  await open(page, 'connections?span=60');
  let answer = () => {};
  const said = new Promise((resolve) => { answer = () => resolve(undefined); });
  await page.route('**/api/v2alpha1/connections?*limit=300*', async (route) => {
    await said;
    await route.continue();
  });
  await page.keyboard.press('[');
  await page.waitForSelector('.note:has-text("is looking through")');
  answer();
  await page.waitForSelector('.note:has-text("is looking through")', { state: 'hidden' });
  await page.waitForSelector('tr[data-key]');
}));

for (const capture of captures) {
  const [name, root] = capture.split('=');
  for (const view of views) {
    for (const form of [FORMS[0], FORMS[3]]) {
      await test(`${view} of the capture ${name} is shown, ${form.name}`, () => withPage(form, async (page) => {
        await open(page, view, root);
        await page.waitForTimeout(500);
        if (pictures) await page.screenshot({ path: `${pictures}/${name}-${view}-${form.name.replace(' ', '-')}.png` });
        assert.equal(await page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth)), 0);
        await accessible(page);
      }, { root }));
    }
  }
  await test(`of the capture ${name} the page lists what the API does, each link once`, () => withPage({}, async (page) => {
    const ask = async (/** @type {string} */ path) => (await fetch(`${root}/api/${path}`)).json();
    await open(page, 'connections', root);
    const { timeRangeCount } = await ask('v2alpha1/connections?limit=0&state=all&timeRangeStart=-900s');
    await page.waitForFunction((least) => document.querySelectorAll('tr[data-key]').length === least, Math.min(timeRangeCount, 60));
    await open(page, 'infra', root);
    // Those of which one router is not known are on no map.
    const [{ links }, { results }] = [await ask('v1/map'), await ask('v2alpha1/routerlinks')];
    const alone = results.filter((/** @type {{ endTime: number, destinationRouterId: string | null }} */ link) => !link.endTime && !link.destinationRouterId);
    await page.waitForFunction((count) => [...document.querySelectorAll('table.links tr[data-key]:not(.gone)')].length === count, links.length + alone.length);
  }, { root }));
}

for (const capture of captures) {
  const [name, root] = capture.split('=');
  await test(`of the capture ${name} each router and link has a panel, also where not all of it is known`, () => withPage({}, async (page) => {
    for (const [type, list] of [['router', 'routers'], ['link', 'routerlinks']]) {
      const { results } = await (await fetch(`${root}/api/v2alpha1/${list}?state=all`)).json();
      assert.ok(results.length > 0);
      for (const { identity } of results) {
        await page.goto(`${root}/#map?select=${type}:${encodeURIComponent(identity)}`);
        await page.waitForFunction((path) => document.querySelector(`.panel footer a[href$="${path}"]`) && document.querySelector('.panel .chx'), `${list}/${encodeURIComponent(identity)}`);
      }
    }
  }, { root }));
  await test(`of the capture ${name} each time is by its clock, which stands once it is over`, () => withPage({}, async (page) => {
    const { now } = await (await fetch(`${root}/api/v1/verdict`)).json();
    const clock = (/** @type {number} */ at) => new Date(at / 1000).toISOString().slice(11, 19);
    await open(page, 'connections', root);
    // A collector that has nothing new to say is asked for its time after a while, and again.
    await page.waitForTimeout(12_000);
    assert.equal(await page.locator('.live .time').innerText(), clock(now));
    assert.equal(await page.locator('.live .time').evaluate((time) => getComputedStyle(time, ':after').content), '" UTC"');
    const marks = await page.$$eval('.rib > span:not(.ev, .no)', (all) => all.map((each) => each.textContent ?? ''));
    assert.ok(marks.length > 0);
    for (const mark of marks) assert.ok(mark >= clock(now - 3600e6).slice(0, 5) && mark <= clock(now).slice(0, 5), `${mark} of ${marks}, at ${clock(now)}`);
    await page.locator('tr[data-key]').first().click();
    await page.locator('.vway li').first().waitFor({ state: 'attached' });
    assert.doesNotMatch(await page.locator('.vway').textContent() ?? '', /up since \d+ /, 'it came up on the day of the capture');
  }, { root }));
}

await test('where no stream is to be had the page says why, and tries again', () => withPage({}, async (page) => {
  const refused = { status: 503, contentType: 'application/json', body: '{"error":"there are as many watches as there may be"}' };
  await page.route('**/api/v1/stream?*', (route) => route.fulfill(refused));
  await page.goto(`${url}/#services`);
  await page.locator('.att', { hasText: 'as many watches as there may be' }).waitFor();
  await page.unroute('**/api/v1/stream?*');
  await page.waitForSelector('tr[data-key]');
}, { complains: true }));

await test('the first map is there soon', () => withPage({}, async (page) => {
  await page.goto(`${url}/healthz`);
  const begun = performance.now();
  await page.goto(`${url}/#map`);
  await page.waitForSelector('.mapsvg [data-type]');
  const passed = Math.round(performance.now() - begun);
  console.log(`# first map after ${passed} ms`);
  // A machine that tests beside others is slow; what is measured is printed, what must never be is much more.
  assert.ok(passed < 5000, `${passed} ms`);
}));

if (detached) {
  await test('where no router answers, the page says so and what to check', () => withPage({}, async (page) => {
    await page.goto(`${detached}/#map`);
    await page.getByText('not attached').first().waitFor();
    await page.getByText('Not attached').first().waitFor();
    await page.getByText('--router').first().waitFor();
    assert.equal(await page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth)), 0);
    await accessible(page);
  }, { root: detached }));
}

await browser.close();
console.log(`${checks - failures} of ${checks} hold`);
process.exit(failures === 0 ? 0 : 1);
