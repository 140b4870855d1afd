import assert from 'node:assert/strict';
import { test } from 'node:test';

// A module of the page asks the document where the collector is.
Object.assign(globalThis, { document: { documentElement: { dataset: {} }, baseURI: 'http://collector.example/' } });
const units = await import('../units.js');
const { anyOf, applying, matchersOf } = await import('../filter.js');
const { errorsOf, ordered, queriesOf, rowsOf, shareLevel, totalOf, troubleOf } = await import('../views/services.js');

const services = [
  { identity: '1', name: 'catalog:8080', protocol: 'tcp', observedApplicationProtocols: ['http2'] },
  { identity: '2', name: 'gift-cards:8080', protocol: 'tcp' },
  { identity: '3', name: 'loyalty:8080', protocol: 'tcp' },
];
const listeners = [
  { routingKey: 'catalog:8080', siteName: 'factory' }, { routingKey: 'catalog:8080', siteName: 'public-cloud' },
  { routingKey: 'catalog:8080', siteName: 'public-cloud' }, { routingKey: 'gift-cards:8080', siteName: 'public-cloud' },
  { routingKey: 'loyalty:8080', siteName: 'unknown' },
];
const connectors = [{ routingKey: 'catalog:8080', siteName: 'data-centre' }, { routingKey: 'loyalty:8080', siteName: 'data-centre' }];
/** @type {Record<string, Record<string, number>>} */
const figures = {
  'catalog:8080': { requests: 980, badRequests: 19, failed: 20, connections: 100, open: 27 },
  'loyalty:8080': { failed: 33, connections: 33, open: 0 },
};

/** @returns {import('../views/services.js').Row[]} */
function rows() {
  return rowsOf({
    services, listeners, connectors,
    value: (query, service) => figures[service]?.[query],
    last: (query, service) => (service === 'catalog:8080' && query === 'octets' ? 205000 : undefined),
  });
}

test('a service is known by its sites, protocols and figures', () => {
  const [catalog] = rows();
  assert.equal(catalog.protocols, 'tcp, HTTP/2');
  assert.equal(units.listed(catalog.listeners), 'public-cloud ×2, factory');
  assert.equal(catalog.octets, 205000);
  assert.equal(catalog.requests, undefined);
  assert.equal(catalog.trouble, undefined);
});

test('errors are of requests where there are some, else of connections', () => {
  assert.deepEqual(errorsOf(figures['catalog:8080']), { errors: 39, units: 1000, share: 0.039, unit: 'request' });
  assert.deepEqual(errorsOf(figures['loyalty:8080']), { errors: 33, units: 33, share: 1, unit: 'connection' });
  assert.equal(errorsOf({}), undefined);
});

test('2 % is looked at, 10 % is bad', () => {
  assert.deepEqual([undefined, 0.019, 0.02, 0.099, 0.1].map(shareLevel), ['', '', 'warn', 'warn', 'bad']);
});

test('a service that nobody reaches says why', () => {
  const [, gifts, loyalty] = rows();
  assert.equal(gifts.trouble, 'No server anywhere: add a connector');
  assert.equal(loyalty.trouble, '33 of 33 connections failed');
  assert.equal(units.listed(loyalty.listeners), 'a site not known');
  assert.equal(troubleOf({ listeners: [], connectors: [['west', 1]], errors: undefined }), 'Nobody can reach it: add a listener');
});

test('trouble comes first, then what has most octets', () => {
  assert.deepEqual(ordered(rows(), 'trouble').map((row) => row.id), ['3', '1', '2']);
  assert.deepEqual(ordered(rows(), 'name').map((row) => row.id), ['1', '2', '3']);
  assert.deepEqual(ordered(rows(), 'octets').map((row) => row.id), ['1', '2', '3']);
});

test('the last row is what all come to, without percentiles', () => {
  const total = totalOf(rows());
  assert.equal(total.figures.open, 27);
  assert.equal(total.errors?.errors, 72);
  assert.equal(total.listeners, 5);
  assert.equal(total.figures.p95, undefined);
});

test('a filter is in each selector of each query', () => {
  const { series, values } = queriesOf(900, 15, ['source_site_name="a"', 'dest_site_name="a"']);
  assert.equal(
    series.requests,
    'sum by (routing_key) (increase(skupper_requests_total{source_site_name="a"}[30s]) or '
      + 'increase(skupper_requests_total{dest_site_name="a"}[30s])) / 30',
  );
  for (const query of [...Object.values(series), ...Object.values(values)]) {
    assert.equal(query.split('skupper_').length, query.split('_site_name="a"').length);
  }
});

test('a filter by site is one of either end, and compares how names begin', () => {
  assert.deepEqual(matchersOf([
    { key: 'site', value: 'west', negated: false }, { key: 'site', value: 'a.b', negated: false },
    { key: 'service', value: 'x"', negated: true }, { key: 'status', value: '5xx', negated: false },
  ]), [
    'source_site_name=~"west.*|a\\\\.b.*",routing_key!~"x\\".*"',
    'dest_site_name=~"west.*|a\\\\.b.*",routing_key!~"x\\".*"',
  ]);
  assert.deepEqual(matchersOf([]), []);
});

test('what meets several matchers counts once', () => {
  assert.equal(anyOf('m', ['a="1"', 'b="1"'], 'c="2"', (one) => `rate(${one}[1m])`), 'rate(m{a="1",c="2"}[1m]) or rate(m{b="1",c="2"}[1m])');
  assert.equal(anyOf('m', []), 'm');
});

test('a filter that says nothing about a list is left out, and named', () => {
  const terms = [{ key: 'status', value: '5xx', negated: false }, { key: 'site', value: 'west', negated: true }];
  assert.deepEqual(applying(terms, ['site'], 'services'), {
    terms: [terms[1]], note: 'status:5xx says nothing about services, and is left out here.',
  });
  assert.equal(applying(terms, [], 'services').note, 'status:5xx and -site:west say nothing about services, and are left out here.');
  assert.equal(applying(terms, ['site', 'status'], 'services').note, '');
});
