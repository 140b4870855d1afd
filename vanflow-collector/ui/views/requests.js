/**
 * The requests: the newest as they come, or those of a range of the past, by method, status and how long they took.
 * @module
 */
import * as api from '../api.js';
import { h, quantity, s, sign } from '../dom.js';
import * as filter from '../filter.js';
import * as units from '../units.js';
import { known, time } from './connections.js';
import { Detail } from './detail.js';
import { outcomeOf } from './failure.js';
import { anyOf } from './matchers.js';
import { placed } from './parts.js';
import { limitOf, onlyOf, orderOf, Tail, timeOf } from './tail.js';
import { partyName } from './waypath.js';

/** A request of `/api/v2alpha1/applicationflows`, as far as it is shown.
 * @typedef {import('./waypath.js').Travelling & {
 *   key: string, identity: string, connectionId: string, startTime: number, endTime: number, duration: number | null,
 *   method: string | null, status: string | null, protocol: string, routingKey: string, clientAddress: string | null,
 *   octetCount: number, octetCountKnown: boolean, octetReverseCount: number, octetReverseCountKnown: boolean }} Request */

const FIELDS = [
  'key', 'identity', 'connectionId', 'startTime', 'endTime', 'duration', 'method', 'status', 'protocol', 'routingKey', 'clientAddress',
  'octetCount', 'octetCountKnown', 'octetReverseCount', 'octetReverseCountKnown', 'sourceProcessName', 'sourceSiteName',
  'destProcessName', 'destSiteName', 'traceRouters', 'traceSites',
].join(',');

/** What each chip asks of the list. @type {Record<string, [string, string][]>} */
const ONLY = { bad: [['status', '5']], client: [['status', '4']], slow: [] };

const LIST = 'applicationflows';
/** Keys of the filter that say something about them. */
const KEYS = ['', 'service', 'site', 'component', 'process', 'from', 'to', 'router', 'protocol', 'method', 'status', 'id', 'connection'];

/** More than that is slow, µs: a bound of the histogram of latencies, so that they can be counted. */
const SLOW = 95800;

/** @type {import('../views.js').View} */
export const requests = {
  id: 'requests',
  title: 'Requests',
  key: 'r',
  icon: 'M3 5h9M3 10h14M3 15h6',
  count: () => null,
  subscriptions: (address) => ({
    tail: path(address, [], true),
    ...(orderOf(address) === 'errors' ? { first: path(address, [['status', '5']]) } : {}),
  }),
  mount: (element, context) => new Tail(element, context, {
    title: 'Requests',
    columns: columns(),
    class: 'conn reqs',
    failed: (row) => outcomeOf(row).failed,
    below: () => null,
    latency: (row) => row.duration ?? undefined,
    detail: (row) => new Detail({ request: row, context }),
    json: (address) => path(address, []),
    one: (key) => api.withQuery('v2alpha1/applicationflows', [['key', key], ['state', 'all'], ['fields', FIELDS], ['limit', '1']]),
    chips: [
      { id: 'bad', text: '5xx', count: { list: 'applicationflows', parameters: ONLY.bad } },
      { id: 'client', text: '4xx', count: { list: 'applicationflows', parameters: ONLY.client } },
      {
        id: 'slow', text: 'over 96 ms', keep: (row) => (row.duration ?? 0) > SLOW,
        count: {
          query: (matchers, seconds) => ['count', 'bucket'].map((part) => `sum(${
            anyOf(`skupper_request_latency_seconds_${part}`, matchers, part === 'count' ? '' : 'le="0.0958"', (one) => `increase(${one}[${seconds}s])`)})`).join(' - '),
        },
      },
    ],
    figures: { rate: (matchers) => `sum(${anyOf('skupper_requests_total', matchers, '', (one) => `rate(${one}[1m])`)})` },
    summary: ({ rate }) => (rate === undefined ? [] : [h('b', null, units.rate(rate)?.value), ` ended ${units.rate(rate)?.unit}`]),
    empty: 'No request yet',
    emptyMore: 'Routers report requests of listeners whose protocol is HTTP, or that observe it. A request is here as soon as one is made.',
    list: LIST,
    keys: KEYS,
  }),
};

/** @param {import('../address.js').Address} address @param {[string, string][]} more @param {boolean} [live] no further back than it takes */
function path(address, more, live = false) {
  const only = onlyOf(address);
  return api.withQuery('v2alpha1/applicationflows', [
    ['sortBy', only === 'slow' ? 'duration.desc' : 'startTime.desc'], ['limit', String(limitOf(address))], ['state', 'all'],
    ...timeOf(LIST, address, live), ...(more.length > 0 ? more : ONLY[only] ?? []),
    ...filter.parameters(filter.parse(address.filter), 'applicationflows'), ['fields', FIELDS],
  ]);
}

/** @returns {import('./tail.js').TailColumn<Request>[]} */
function columns() {
  return [
    {
      id: 'began', title: 'Began', class: 'tm_', value: (row) => row.startTime,
      cell: (row) => time(row.startTime),
    },
    {
      id: 'client', title: 'Client', class: 'p', value: (row) => [row.sourceProcessName, row.clientAddress, row.sourceSiteName],
      cell: (row) => [
        ...placed(partyName(row.sourceProcessName, row.clientAddress ?? undefined), row.sourceSiteName, 'not known: its connection is not'),
        row.clientAddress && row.clientAddress !== partyName(row.sourceProcessName, row.clientAddress) ? h('small', null, `for ${row.clientAddress}`) : null,
      ],
    },
    { id: 'service', title: 'Service', class: 'sv', value: (row) => row.routingKey, cell: (row) => known(row.routingKey) },
    {
      id: 'server', title: 'Server', class: 'p', value: (row) => [row.destProcessName, row.destSiteName],
      cell: (row) => placed(partyName(row.destProcessName, undefined), row.destSiteName, 'not known'),
    },
    {
      id: 'took', title: ['Took'], class: 'g', scaled: true, value: (row) => row.duration,
      cell: (row, scale) => (row.duration === null ? h('span', { class: 'na' }, row.endTime ? 'not reported' : 'not ended')
        : [bar(row.duration, scale), quantity(units.duration(row.duration))]),
    },
    {
      id: 'sent', title: 'Request', class: 'n', value: (row) => [row.octetCount, row.octetCountKnown],
      cell: (row) => quantity(row.octetCountKnown ? units.octets(row.octetCount) : null),
    },
    {
      id: 'received', title: 'Response', class: 'n', value: (row) => [row.octetReverseCount, row.octetReverseCountKnown],
      cell: (row) => quantity(row.octetReverseCountKnown ? units.octets(row.octetReverseCount) : null),
    },
    { id: 'method', title: 'Method', class: 'me', value: (row) => [row.method, row.protocol], cell: (row) => [row.method || h('span', { class: 'na' }, 'not known'), h('small', null, protocol(row.protocol))] },
    {
      id: 'status', title: 'Status', class: 'st_', value: (row) => [row.status, row.endTime, row.method],
      cell: (row) => {
        const { failed, words } = outcomeOf(row);
        const method = h('span', { class: 'lbl' }, `\u00a0${row.method ?? ''}`);
        if (failed) return h('span', { class: 'o bad' }, sign('bad', 'bad:'), words ?? row.status, method);
        if (words) return h('span', { class: 'o unk' }, sign('unknown', 'not known:'), words);
        return h('span', { class: 'o open' }, row.status, method);
      },
    },
  ];
}

/** @param {string} name */
function protocol(name) {
  return name === 'http1' ? 'HTTP/1' : name === 'http2' ? 'HTTP/2' : name;
}

/** A bar of how long it took. @param {number} duration @param {number} scale */
function bar(duration, scale) {
  const width = Math.max(1, Math.round(Math.min(1, duration / scale) * 1090) / 10);
  return s('svg', { class: 'lb', width: 110, height: 10, viewBox: '0 0 110 10', 'aria-hidden': 'true' }, s('rect', { class: 'took', x: 0.5, y: 1.5, width, height: 7 }));
}
