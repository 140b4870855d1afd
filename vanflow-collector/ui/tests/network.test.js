import assert from 'node:assert/strict';
import { test } from 'node:test';

// A module of the page asks the document where the collector is.
Object.assign(globalThis, { document: { documentElement: { dataset: {} }, baseURI: 'http://collector.example/' } });
const { lastLives } = await import('../views/infra.js');
const { present } = await import('../views/health.js');
const { joined } = await import('../views/network.js');

test('of what came back the last life is shown, with how many it had before', () => {
  const rows = [
    { name: 'cloud-2', startTime: 20, endTime: 0 }, { name: 'cloud-2', startTime: 5, endTime: 10 }, { name: 'edge', startTime: 1, endTime: 2 },
  ];
  assert.deepEqual(lastLives(rows, (row) => row.name), [
    { name: 'edge', startTime: 1, endTime: 2, lives: 0 }, { name: 'cloud-2', startTime: 20, endTime: 0, lives: 1 },
  ]);
});

test('a link has what only one of the APIs says of it, and nothing that neither does', () => {
  const [up, plain, old] = joined([{ identity: 'a' }, { identity: 'b' }, { identity: 'c' }], [
    { id: 'a', upTimeStamp: 9, downTimeStamp: 7, downCount: 2, protocol: 'amqps', destHost: 'cloud-1.example', destPort: '55671', result: 'amqp:connection:framing-error', reason: 'connection aborted' },
    { id: 'b', protocol: 'amqp', destHost: 'x' },
    { id: 'c' },
  ]);
  assert.deepEqual(up, {
    identity: 'a', upSince: 9, downSince: 7, downCount: 2, tls: true, host: 'cloud-1.example:55671',
    why: 'amqp:connection:framing-error: connection aborted',
  });
  assert.deepEqual(plain, { identity: 'b', tls: false, host: 'x' });
  assert.deepEqual(old, { identity: 'c' });
});

test('a source that came back with another identity is not shown as lost', () => {
  const source = (/** @type {string} */ name, /** @type {'complete' | 'lost'} */ state) => ({ type: 'router', name, state });
  assert.deepEqual(present([source('edge', 'lost'), source('edge', 'complete'), source('gone', 'lost')]), {
    shown: [source('edge', 'complete'), source('gone', 'lost')], replaced: 1,
  });
});
