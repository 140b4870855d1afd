import assert from 'node:assert/strict';
import { test } from 'node:test';

// A module of the page asks the document where the collector is.
Object.assign(globalThis, { document: { documentElement: { dataset: {} }, baseURI: 'http://collector.example/' } });
const { bothSides, lastLives } = await import('../views/infra.js');
const { present } = await import('../views/health.js');
const { heldSince } = await import('../bar.js');
const { joined } = await import('../views/way.js');

test('of what came back the last life is shown, with how many it had before', () => {
  const rows = [
    { name: 'cloud-2', startTime: 20, endTime: 0 }, { name: 'cloud-2', startTime: 5, endTime: 10 }, { name: 'edge', startTime: 1, endTime: 2 },
  ];
  assert.deepEqual(lastLives(rows, (row) => row.name), [
    { name: 'edge', startTime: 1, endTime: 2, lives: 0 }, { name: 'cloud-2', startTime: 20, endTime: 0, lives: 1 },
  ]);
});

/** Without what is not there. @param {unknown} link */
const said = (link) => JSON.parse(JSON.stringify(link));

test('a link has what only one of the APIs says of it, and nothing that neither does', () => {
  const [up, plain, old] = joined([{ identity: 'a' }, { identity: 'b' }, { identity: 'c' }], [
    { id: 'a', upTimeStamp: 9, downTimeStamp: 7, downCount: 2, protocol: 'amqps', destHost: 'cloud-1.example', destPort: '55671', result: 'amqp:connection:framing-error', reason: 'connection aborted' },
    { id: 'b', protocol: 'amqp', destHost: 'x' },
    { id: 'c' },
  ]);
  assert.deepEqual(said(up), {
    identity: 'a', upSince: 9, downSince: 7, downCount: 2, tls: true, host: 'cloud-1.example:55671',
    why: 'amqp:connection:framing-error: connection aborted',
  });
  assert.deepEqual(said(plain), { identity: 'b', tls: false, host: 'x' });
  assert.deepEqual(said(old), { identity: 'c' });
});

test('a source that came back with another identity is not shown as lost', () => {
  const source = (/** @type {string} */ name, /** @type {'complete' | 'lost'} */ state) => ({ type: 'router', name, state });
  assert.deepEqual(present([source('edge', 'lost'), source('edge', 'complete'), source('gone', 'lost')]), {
    shown: [source('edge', 'complete'), source('gone', 'lost')], replaced: 1,
  });
});

test('a link that both of its routers report is one, with what each says, and two links between them stay two', () => {
  const link = (/** @type {string} */ identity, /** @type {string} */ by, more = {}) => ({ identity, by, routerId: 'west', destinationRouterId: 'east', endTime: 0, ...more });
  const rows = [link('a', 'west'), link('b', 'east'), link('c', 'west'), link('d', 'east', { endTime: 7 })];
  const found = bothSides(rows, (row) => row.by);
  assert.deepEqual(found.map((row) => [row.identity, row.far?.identity]), [['a', 'b'], ['c', undefined], ['d', undefined]]);
});

test('a time can be chosen as far back as anything is held: in memory, or on disk', () => {
  const verdict = (/** @type {object} */ more) => /** @type {import('../answers.js').Verdict} */ (/** @type {unknown} */ ({ memory: { retention: 900e6, historySince: 500e6 }, ...more }));
  assert.deepEqual(heldSince(verdict({}), 2000e6), { records: 1100e6, charts: 500e6 });
  assert.deepEqual(heldSince(verdict({ ended: [{ since: 300e6 }, {}] }), 2000e6), { records: 300e6, charts: 300e6 });
  assert.deepEqual(heldSince(null, 2000e6), { records: 1100e6, charts: 2000e6 });
});
