import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as filters from '../filter.js';

test('terms have keys, values, and a minus that negates', () => {
  assert.deepEqual(filters.parse('service:catalog  status:5xx -site:"data centre" frontend'), [
    { key: 'service', value: 'catalog', negated: false }, { key: 'status', value: '5xx', negated: false },
    { key: 'site', value: 'data centre', negated: true }, { key: '', value: 'frontend', negated: false },
  ]);
});

test('a colon is a key only behind a known one', () => {
  assert.deepEqual(filters.parse('catalog:8080'), [{ key: '', value: 'catalog:8080', negated: false }]);
  assert.deepEqual(filters.parse('service:catalog:8080'), [{ key: 'service', value: 'catalog:8080', negated: false }]);
  assert.deepEqual(filters.parse('constructor:x')[0].key, '');
});

test('what is written is what was read', () => {
  for (const text of ['service:catalog:8080 -site:"data centre" frontend', '-frontend', 'status:5xx']) {
    assert.equal(filters.format(filters.parse(text)), text);
  }
  assert.deepEqual(filters.parse('site: "" -'), [{ key: '', value: '-', negated: false }]);
});

test('terms become parameters of the list, also those of either end and of any text; what has none is left to the page', () => {
  const terms = filters.parse('service:catalog status:5xx -site:factory router:dc-1 component:cart checkout');
  assert.deepEqual(filters.parameters(terms, 'applicationflows'), [
    ['routingKey', 'catalog'], ['status', '5'], ['traceSites!', 'factory'], ['traceRouters', '0/dc-1'],
    ['sourceProcessName|destProcessName', 'cart'], ['search', 'checkout'],
  ]);
  assert.deepEqual(filters.rest(terms, 'applicationflows'), []);
  assert.deepEqual(filters.rest(terms, 'services').map((term) => term.value), ['5xx', 'factory', 'dc-1', 'cart', 'checkout']);
  assert.equal(new URLSearchParams(filters.parameters(filters.parse('-site:factory'), 'connections')).toString(), 'traceSites%21=factory');
});

test('alternatives of one key, all of different keys, none of the negated', () => {
  const row = { routingKey: 'catalog:8080', traceSites: ['factory', 'data-centre'], sourceProcessName: 'scanner-1', status: '503' };
  for (const text of ['', 'service:catalog', 'site:factory', 'site:data', 'site:factory site:moon', 'scanner', 'status:5xx', '-site:moon', 'service:*', 'component:scanner']) {
    assert.ok(filters.matches(filters.parse(text), row), text);
  }
  for (const text of ['service:cart', 'site:moon', 'site:factory status:4xx', '-scanner', '-site:factory', 'method:*']) {
    assert.ok(!filters.matches(filters.parse(text), row), text);
  }
});

test('a list of sites is found by the names of the sites', () => {
  assert.ok(filters.matches(filters.parse('site:fact'), { name: 'factory' }, 'site'));
  assert.ok(!filters.matches(filters.parse('site:fact'), { name: 'factory' }));
});

test('a key that is chosen again is replaced', () => {
  assert.equal(filters.including('service:cart site:factory', 'service', 'catalog:8080'), 'site:factory service:catalog:8080');
});
