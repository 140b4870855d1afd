/**
 * The connections: the newest as they come, or those of a range of the past; which of them failed and why, and the way of
 * each through the network.
 * @module
 */
import * as api from '../api.js';
import { latencyBar } from '../chart.js';
import { h, quantity, sign } from '../dom.js';
import * as filter from '../filter.js';
import * as units from '../units.js';
import { Detail } from './detail.js';
import { failureOf } from './failure.js';
import { scaleText, splitLatency } from './latency.js';
import { anyOf } from './matchers.js';
import { placed } from './parts.js';
import { limitOf, onlyOf, orderOf, Tail, timeOf } from './tail.js';
import { partyName } from './waypath.js';

/** A connection of `/api/v2alpha1/connections`, as far as it is shown.
 * @typedef {import('./failure.js').Failing & import('./latency.js').Timed & import('./waypath.js').Travelling & {
 *   key: string, identity: string, startTime: number, endTime: number, duration: number | null, routingKey: string,
 *   protocol: string, octetCount: number, octetCountKnown: boolean, octetReverseCount: number,
 *   octetReverseCountKnown: boolean, connectorId: string | null }} Connection */

/** What a connection is asked for with: all that is shown of it. */
export const CONNECTION_FIELDS = [
  'key', 'identity', 'startTime', 'endTime', 'duration', 'routingKey', 'protocol', 'listenerError', 'connectorError',
  'sourceProcessName', 'sourceHost', 'sourcePort', 'sourceSiteName', 'destProcessName', 'destHost', 'destPort', 'destSiteName',
  'proxyHost', 'proxyPort', 'connectorId', 'connectorInferred', 'latency', 'latencyKnown', 'latencyReverse', 'latencyReverseKnown',
  'octetCount', 'octetCountKnown', 'octetReverseCount', 'octetReverseCountKnown', 'traceRouters', 'traceSites',
].join(',');

const LIST = 'connections';
/** Keys of the filter that say something about them. */
const KEYS = ['', 'service', 'site', 'component', 'process', 'from', 'to', 'router', 'host', 'port', 'protocol', 'error', 'id'];

/** More than that is slow, µs: a bound of the histogram of latencies, so that they can be counted. */
const SLOW = 30900;

/** @type {import('../views.js').View} */
export const connections = {
  id: 'connections',
  title: 'Connections',
  key: 'c',
  icon: 'M3 6h12M12 3l3 3-3 3M17 14H5M8 11l-3 3 3 3',
  count: (verdict) => ({ text: units.count(verdict.counts.openConnections) ?? '' }),
  subscriptions: (address) => {
    /** @type {Record<string, string>} */
    const paths = { tail: path(address, onlyOf(address) === 'failed' ? [['listenerError', '*']] : [], true) };
    // Either router can be the only one that says so.
    if (onlyOf(address) === 'failed') paths.tailb = path(address, [['listenerError!', '*'], ['connectorError', '*']]);
    else if (orderOf(address) === 'errors') {
      paths.first = path(address, [['listenerError', '*']]);
      paths.firstb = path(address, [['listenerError!', '*'], ['connectorError', '*']]);
    }
    return paths;
  },
  mount: (element, context) => new Tail(element, context, {
    title: 'Connections',
    columns: columns(),
    class: 'conn',
    failed: (row) => failureOf(row) !== undefined,
    below: (row) => why(row),
    latency: (row) => splitLatency(row).total,
    detail: (row) => new Detail({ connection: row, context }),
    json: (address) => path(address, []),
    one: (key) => api.withQuery('v2alpha1/connections', [['key', key], ['state', 'all'], ['fields', CONNECTION_FIELDS], ['limit', '1']]),
    chips: [
      { id: 'failed', text: 'failed', count: { list: 'connections', parameters: [['listenerError', '*']] } },
      { id: 'half', text: 'half known', count: { list: 'connections', parameters: [['connectorInferred', 'true'], ['state', 'active']] }, keep: (row) => halfKnown(row) },
      {
        id: 'slow', text: `over ${scaleText(31000)}`, keep: (row) => (splitLatency(row).total ?? 0) > SLOW,
        count: {
          query: (matchers, seconds) => ['count', 'bucket'].map((part) => `sum(${
            anyOf(`skupper_connection_latency_seconds_${part}`, matchers, part === 'count' ? 'side="listener"' : 'side="listener",le="0.0309"',
              (one) => `increase(${one}[${seconds}s])`)})`).join(' - '),
        },
      },
    ],
    figures: {
      open: { list: 'connections', parameters: [['state', 'active']] },
      rate: (matchers) => `sum(${anyOf('skupper_connections_opened_total', matchers, '', (one) => `rate(${one}[1m])`)})`,
    },
    summary: ({ open, rate }) => [
      ...(open === undefined ? [] : [h('b', null, units.count(open)), ' open']),
      ...(rate === undefined ? [] : [open === undefined ? '' : ', ', h('b', null, units.rate(rate)?.value), ` new${units.rate(rate)?.unit}`]),
    ],
    empty: 'No connection yet',
    emptyMore: 'A connection is here as soon as a client opens one to a listener; routers report it within 5 s.',
    list: LIST,
    keys: KEYS,
  }),
};

/** @param {import('../address.js').Address} address @param {[string, string][]} more @param {boolean} [live] no further back than it takes */
function path(address, more, live = false) {
  const only = onlyOf(address);
  return api.withQuery('v2alpha1/connections', [
    ['sortBy', only === 'slow' ? 'latency.desc' : 'startTime.desc'], ['limit', String(limitOf(address))], ['state', only === 'half' ? 'active' : 'all'],
    ...timeOf(LIST, address, live), ...(only === 'half' ? /** @type {[string, string][]} */ ([['connectorInferred', 'true']]) : []), ...more,
    ...filter.parameters(filter.parse(address.filter), 'connections'), ['fields', CONNECTION_FIELDS],
  ]);
}

/** @param {Connection} row */
function halfKnown(row) {
  return row.endTime === 0 && failureOf(row) === undefined && (row.connectorInferred === true || !row.connectorId);
}

/** @param {Connection} row */
function why(row) {
  const failure = failureOf(row);
  if (!failure) return null;
  return h('span', null, sign('bad', 'bad:'), h('b', null, failure.title), failure.rest);
}

/** @returns {import('./tail.js').TailColumn<Connection>[]} */
function columns() {
  return [
    {
      id: 'opened', title: 'Opened', class: 'tm_', value: (row) => row.startTime,
      cell: (row) => time(row.startTime),
    },
    {
      id: 'client', title: 'Client', class: 'p', value: (row) => [row.sourceProcessName, row.sourceHost, row.sourceSiteName],
      cell: (row) => placed(partyName(row.sourceProcessName, row.sourceHost), row.sourceSiteName, 'not reported'),
    },
    { id: 'service', title: 'Service', class: 'sv', value: (row) => row.routingKey, cell: (row) => known(row.routingKey) },
    {
      id: 'server', title: 'Server', class: 'p',
      value: (row) => [row.destProcessName, row.destHost, row.destSiteName, halfKnown(row)],
      cell: (row) => placed(partyName(row.destProcessName, row.destHost), row.destSiteName, row.endTime ? 'not reported' : 'not reported yet'),
    },
    {
      id: 'latency', class: 'g',
      title: ['First octet: ', h('span', { class: 'k nw' }), 'network ', h('span', { class: 'k wk' }), 'workload'],
      scaled: true,
      value: (row) => [row.latency, row.latencyReverse, row.latencyKnown, row.latencyReverseKnown, row.endTime, row.listenerError],
      cell: (row, scale) => {
        const split = splitLatency(row);
        if (split.total === undefined) {
          return h('span', { class: 'na' }, failureOf(row) ? 'no octet came back' : row.endTime ? 'not reported' : 'none yet');
        }
        return [
          latencyBar({ network: split.network ?? null, workload: split.workload ?? null, total: split.total, most: scale }),
          quantity(units.duration(split.total)),
        ];
      },
    },
    {
      id: 'sent', title: 'To server', class: 'n', value: (row) => [row.octetCount, row.octetCountKnown],
      cell: (row) => quantity(row.octetCountKnown ? units.octets(row.octetCount) : null),
    },
    {
      id: 'received', title: 'To client', class: 'n', value: (row) => [row.octetReverseCount, row.octetReverseCountKnown],
      cell: (row) => quantity(row.octetReverseCountKnown ? units.octets(row.octetReverseCount) : null),
    },
    {
      id: 'lasts', title: 'Lasts', class: 'n', aging: (row) => row.endTime === 0, value: (row) => [row.startTime, row.endTime],
      cell: (row, _scale, now) => quantity(units.duration(Math.max(0, (row.endTime || now) - row.startTime))),
    },
    {
      id: 'state', title: 'State', class: 'st_', value: (row) => [row.endTime, row.listenerError, row.connectorError, halfKnown(row)],
      cell: (row) => {
        const failure = failureOf(row);
        if (failure) return h('span', { class: 'o bad' }, sign('bad', 'bad:'), failure.word);
        if (halfKnown(row)) {
          return h('span', { class: 'o unk', title: 'The router of the server has not reported it yet' }, sign('unknown', 'not known:'), 'half known');
        }
        return h('span', { class: row.endTime ? 'o na' : 'o open' }, row.endTime ? 'closed' : 'open');
      },
    },
  ];
}

/**
 * The time of day, thousandths behind it; the whole in its title.
 * @param {number} microseconds since the epoch
 */
export function time(microseconds) {
  return h('time', { title: units.whole(microseconds) }, units.clock(microseconds), h('i', null, units.thousandths(microseconds)));
}

/** @param {string} name */
export function known(name) {
  return name && name !== 'unknown' ? name : h('span', { class: 'na' }, 'not known');
}
