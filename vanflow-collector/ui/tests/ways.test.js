import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureOf, failureWord, outcomeOf, routerText, scaleOf, sharesOf, splitLatency } from '../views/outcome.js';
import { areasOf, cheapest, hopsOf, lastDown, linkState, partyName, roomsOf, wayInWords, widthsOf } from '../views/way.js';

const routers = [
  { identity: 'gzbr8:0', name: '0/cloud-1', siteName: 'public-cloud', mode: 'interior' },
  { identity: 'cdcRC:0', name: '0/dc-1', siteName: 'data-centre', mode: 'interior' },
  { identity: '+t6y8:0', name: '0/factory-edge', siteName: 'factory', mode: 'edge' },
];
const links = [
  { identity: '+t6y8:1', name: 'data-centre', cost: 1, routerId: '+t6y8:0', destinationRouterId: 'cdcRC:0', status: 'up', upSince: 7 },
  { identity: 'cdcRC:3', name: 'cloud-1', cost: 1, routerId: 'cdcRC:0', destinationRouterId: 'gzbr8:0', status: 'up' },
];
const network = { links, routers };
const connection = {
  sourceProcessName: 'checkout-7c8sb', sourceHost: '10.128.4.43', sourcePort: '36345', sourceSiteName: 'public-cloud',
  destProcessName: 'packing-1', destHost: '192.168.40.53', destPort: '8080', destSiteName: 'factory',
  proxyHost: '192.168.40.2', proxyPort: '58188', traceRouters: ['0/cloud-1', '0/factory-edge'],
};

test('a router that the trace lacks follows from the links, and is marked as inferred', () => {
  const hops = hopsOf(connection, network);
  assert.deepEqual(hops.map((hop) => `${hop.type} ${hop.name}${hop.inferred ? ' ?' : ''}`), [
    'client checkout-7c8sb', 'router cloud-1', 'link cloud-1 ?', 'router dc-1 ?', 'link data-centre ?',
    'router factory-edge', 'server packing-1',
  ]);
  assert.equal(hops[5].address, '192.168.40.2:58188');
  assert.equal(hops[5].edge, true);
  assert.equal(hops[4].upSince, 7);
});

test('a link between two routers of the trace is reported, not inferred', () => {
  const hops = hopsOf({ ...connection, traceRouters: ['0/cloud-1', '0/dc-1'] }, network);
  assert.deepEqual(hops.filter((hop) => hop.inferred), []);
  assert.equal(hops[2].cost, 1);
});

test('where no link is known, the way says so', () => {
  const hops = hopsOf(connection, { links: [], routers });
  assert.equal(hops[2].type, 'gap');
  assert.equal(hops[2].name, 'no link known');
  assert.equal(hopsOf({ ...connection, traceRouters: [] }, network)[1].name, 'the way is not reported');
});

test('a link that is down is taken only where there is no other way', () => {
  const two = [
    { identity: 'a', cost: 1, routerId: 'x', destinationRouterId: 'y', status: 'down' },
    { identity: 'b', cost: 9, routerId: 'y', destinationRouterId: 'x', status: 'up' },
  ];
  assert.deepEqual(cheapest('x', 'y', two)?.map((step) => step.link.identity), ['b']);
  assert.deepEqual(cheapest('x', 'y', two.slice(0, 1))?.map((step) => step.link.identity), ['a']);
  assert.equal(cheapest('x', 'z', two), undefined);
});

test('areas are the sites along the way, with the links between them', () => {
  const { areas, between } = areasOf(hopsOf(connection, network));
  assert.deepEqual(areas.map((area) => area.siteName), ['public-cloud', 'data-centre', 'factory']);
  assert.deepEqual(between.map((hop) => hop.name), ['cloud-1', 'data-centre']);
  assert.deepEqual(areas[0].hops.map((hop) => hop.name), ['checkout-7c8sb', 'cloud-1']);
});

test('a site is as wide as its addresses take, so that they do not run into each other', () => {
  const hop = (/** @type {string} */ name, /** @type {string} */ address) => /** @type {import('../views/way.js').Hop} */ ({ type: 'router', name, address });
  const areas = [{ siteName: 'a', hops: [hop('r', '')] }, { siteName: 'b', hops: [hop('r', '172.16.20.2:38212'), hop('s', '172.16.20.49:8480')] }];
  const [, width] = widthsOf(areas, 360);
  assert.ok(width >= 24 + 35 * 6.1 + 2 * 10, `${width}`);
});

test('a link is up or down since it last was, not since its record is there', () => {
  const now = Date.UTC(2026, 10, 28, 20) * 1000;
  const [up, down] = [now - 60e6, now - 63.4e6];
  assert.equal(linkState({ status: 'up', upSince: up, downSince: down }, now), 'up since 19:59:00');
  assert.equal(linkState({ status: 'down', upSince: down, downSince: up }, now), 'down since 19:59:00');
  assert.equal(linkState({ status: 'up' }, now), 'up');
  assert.equal(linkState({}, now), '');
  assert.equal(lastDown({ upSince: up, downSince: down }, now), 'last down 19:58:56 for 3.4\u00a0s');
  assert.equal(lastDown({ upSince: down, downSince: up }, now), 'last down 19:59:00');
  assert.equal(lastDown({}, now), 'was down');
});

test('the way can be read as one line', () => {
  assert.equal(
    wayInWords(hopsOf({ ...connection, traceRouters: ['0/cloud-1', '0/dc-1'] }, network)),
    'checkout-7c8sb in public-cloud → cloud-1 in public-cloud → link cloud-1, cost 1 → dc-1 in data-centre → packing-1 in factory',
  );
});

test('remote clients are called by their address, what is not known by nothing', () => {
  assert.equal(partyName('site-client-10.0.0.1-2222', '10.0.0.1'), '10.0.0.1');
  assert.equal(partyName('unknown', 'unknown'), undefined);
  assert.equal(hopsOf({ sourceHost: '::1', sourcePort: '80' }, network)[0].address, '[::1]:80');
});

test('a latency is divided only where both routers reported', () => {
  assert.deepEqual(splitLatency({ latency: 28200, latencyKnown: true, latencyReverse: 820, latencyReverseKnown: true }),
    { total: 28200, workload: 820, network: 27380 });
  assert.deepEqual(splitLatency({ latency: 28200, latencyKnown: true, latencyReverse: 0, latencyReverseKnown: false }),
    { total: 28200 });
  assert.deepEqual(splitLatency({ latency: 0, latencyKnown: false, latencyReverse: 5, latencyReverseKnown: true }), {});
  assert.deepEqual(splitLatency({ latency: 5, latencyKnown: true, latencyReverse: 9, latencyReverseKnown: true }), { total: 5 });
});

test('shares of a latency are whole percents that come to 100', () => {
  assert.deepEqual(sharesOf({ total: 28200, workload: 820, network: 27380 }), { network: 97, workload: 3 });
  assert.equal(sharesOf({ total: 28200 }), undefined);
});

test('the end of a scale is a round number that holds all', () => {
  assert.deepEqual([46900, 50000, 51000, 0].map(scaleOf), [50000, 50000, 100000, 1000]);
});

test('the words of the router are the title of a failure, and who passed what on follows', () => {
  assert.deepEqual(
    failureOf({
      connectorError: 'proton:io (Connection refused - on connect 172.16.20.52:8080)',
      listenerError: 'delivery-failed (destination unreachable)',
      traceRouters: ['0/cloud-1', '0/dc-1'], sourceSiteName: 'public-cloud', destSiteName: 'data-centre',
    }),
    {
      word: 'refused', title: 'Connection refused',
      rest: ' by 172.16.20.52:8080, reported by dc-1 in data-centre; cloud-1 passed on “destination unreachable” to the client',
    },
  );
  assert.deepEqual(
    failureOf({ listenerError: 'delivery-failed (link lost)', traceRouters: ['0/cloud-1', '0/dc-1'], sourceSiteName: 'unknown' }),
    { word: 'link lost', title: 'Link lost', rest: ', reported by cloud-1' },
  );
  assert.equal(failureOf({ listenerError: null, connectorError: '' }), undefined);
});

test('a text of a router that has another form is kept as it is', () => {
  assert.deepEqual(routerText('something (odd'), { title: 'something (odd' });
  assert.deepEqual(routerText('proton:io (Connection timed out)'), { title: 'Connection timed out' });
  assert.equal(failureWord('proton:io (No route to host - on connect a:1)'), 'unreachable');
  assert.equal(failureWord('else'), 'failed');
});

test('requests fail by 5xx or without a result once they have ended, never by 4xx', () => {
  assert.deepEqual(outcomeOf({ status: '503', endTime: 9 }), { failed: true });
  assert.deepEqual(outcomeOf({ status: '404', endTime: 9 }), { failed: false });
  assert.deepEqual(outcomeOf({ status: null, endTime: 9 }), { failed: true, words: 'no result' });
  assert.deepEqual(outcomeOf({ status: '', endTime: 0 }), { failed: false, words: 'no result yet' });
});

test('labels that have no room give way from the longest on', () => {
  assert.deepEqual(roomsOf([50, 40], 200), [50, 40]);
  assert.deepEqual(roomsOf([150, 40], 110), [60, 40]);
  assert.deepEqual(roomsOf([90, 90], 110), [50, 50]);
});
