/**
 * The connections and the requests: the newest as they come, or those of a range of the past; which of them failed and why,
 * how long they took, and what opens below each: its way through the network, where its time went, and the command that shows
 * the same.
 * @module
 */
import * as api from '../api.js';
import { round } from '../chart.js';
import { drawing, fill, h, quantity, s, sign } from '../dom.js';
import * as filter from '../filter.js';
import * as units from '../units.js';
import { failureOf, outcomeOf, scaleText, sharesOf, splitLatency } from './outcome.js';
import { clipped, placed } from './parts.js';
import { limitOf, onlyOf, orderOf, Tail, timeOf } from './tail.js';
import { hopsOf, network, partyName, wayAcross, wayDown } from './way.js';

/** What both are shown with.
 * @typedef {import('./way.js').Travelling & {
 *   key: string, identity: string, startTime: number, endTime: number, duration: number | null, routingKey: string, protocol: string,
 *   octetCount: number, octetCountKnown: boolean, octetReverseCount: number, octetReverseCountKnown: boolean }} Flow */
/** A connection of `/api/v2alpha1/connections`, as far as it is shown.
 * @typedef {Flow & import('./outcome.js').Failing & import('./outcome.js').Timed & { connectorId: string | null }} Connection */
/** A request of `/api/v2alpha1/applicationflows`, as far as it is shown.
 * @typedef {Flow & { connectionId: string, method: string | null, status: string | null, clientAddress: string | null }} Request */

/** What is asked for: all that is shown. */
const BOTH = 'key,identity,startTime,endTime,duration,routingKey,protocol,octetCount,octetCountKnown,octetReverseCount,octetReverseCountKnown,'
  + 'sourceProcessName,sourceSiteName,destProcessName,destSiteName,traceRouters,traceSites,';
const FIELDS = {
  connections: `${BOTH}listenerError,connectorError,sourceHost,sourcePort,destHost,destPort,proxyHost,proxyPort,connectorId,connectorInferred,`
    + 'latency,latencyKnown,latencyReverse,latencyReverseKnown',
  applicationflows: `${BOTH}connectionId,method,status,clientAddress`,
};
/** Keys of the filter that say something about both. */
const KEYS = ['', 'service', 'site', 'component', 'process', 'from', 'to', 'router', 'protocol', 'id'];

/** @typedef {[string, string][]} Parameters */

/** What each chip asks of the lists. @type {Record<string, Parameters>} */
const ONLY = {
  // Either router can be the only one that says so.
  failed: [['listenerError|connectorError', '*']],
  half: [['connectorInferred', 'true'], ['state', 'active']],
  bad: [['status', '5']],
  client: [['status', '4']],
};

/**
 * @param {'connections' | 'applicationflows'} list
 * @param {import('../address.js').Address} address
 * @param {{ only?: string, live?: boolean }} [options] what of it, if not what the address says; whether no further back than it takes
 */
function path(list, address, { only = onlyOf(address), live = false } = {}) {
  const more = ONLY[only] ?? [];
  const slowest = list === 'connections' ? 'latency.desc' : 'duration.desc';
  return api.withQuery(`v2alpha1/${list}`, [
    ['sortBy', only === 'slow' ? slowest : 'startTime.desc'], ['limit', String(limitOf(address))],
    ...(more.some(([name]) => name === 'state') ? [] : /** @type {Parameters} */ ([['state', 'all']])),
    ...timeOf(list, address, live), ...more, ...filter.parameters(filter.parse(address.filter), list), ['fields', FIELDS[list]],
  ]);
}

/** @param {'connections' | 'applicationflows'} list @param {string} failed the chip of those that failed @returns {import('../views.js').Loaded['subscriptions']} */
const subscriptions = (list, failed) => (address) => ({
  tail: path(list, address, { live: true }),
  ...(orderOf(address) === 'errors' && onlyOf(address) === '' ? { first: path(list, address, { only: failed }) } : {}),
});

/** The path of one by its key. @param {'connections' | 'applicationflows'} list */
const oneOf = (list) => (/** @type {string} */ key) => api.withQuery(`v2alpha1/${list}`, [['key', key], ['state', 'all'], ['fields', FIELDS[list]], ['limit', '1']]);

/**
 * The chip of those that took longer than a bound of the histogram of latencies, so that they can be counted.
 * @template R
 * @param {'connection' | 'request'} what
 * @param {number} bound µs
 * @param {(row: R) => number | null | undefined} took
 */
const slow = (what, bound, took) => ({
  id: 'slow', text: `over ${scaleText(Math.round(bound / 1000) * 1000)}`, keep: (/** @type {R} */ row) => (took(row) ?? 0) > bound,
  count: {
    query: (/** @type {readonly string[]} */ matchers, /** @type {number} */ seconds) => ['', `le="${bound / 1e6}"`].map((le) => {
      const side = what === 'connection' ? 'side="listener"' : '';
      return `sum(${filter.anyOf(`skupper_${what}_latency_seconds_${le ? 'bucket' : 'count'}`, matchers, [side, le].filter(Boolean).join(','), (one) => `increase(${one}[${seconds}s])`)})`;
    }).join(' - '),
  },
});

/** How many a minute come to a second. @param {string} metric */
const rateOf = (metric) => (/** @type {readonly string[]} */ matchers) => `sum(${filter.anyOf(metric, matchers, '', (one) => `rate(${one}[1m])`)})`;

/** @param {number | undefined} rate @param {string} word */
const perSecond = (rate, word) => (rate === undefined ? [] : [h('b', units.rate(rate)?.value), ` ${word}${units.rate(rate)?.unit}`]);

/** @type {import('../views.js').Loaded} */
export const connections = {
  subscriptions: subscriptions('connections', 'failed'),
  mount: (element, context) => new Tail(element, context, /** @type {import('./tail.js').TailOptions<Connection>} */ ({
    title: 'Connections',
    columns: columnsOfConnections(),
    class: 'conn',
    failed: (row) => failureOf(row) !== undefined,
    below: (row) => why(row),
    latency: (row) => splitLatency(row).total,
    detail: (row) => new Detail({ connection: row, context }),
    json: (address) => path('connections', address),
    one: oneOf('connections'),
    chips: [
      { id: 'failed', text: 'failed', count: { parameters: ONLY.failed } },
      { id: 'half', text: 'half known', count: { parameters: ONLY.half }, keep: (row) => halfKnown(row) },
      slow('connection', 30900, (row) => splitLatency(row).total),
    ],
    figures: { open: { parameters: [['state', 'active']] }, rate: rateOf('skupper_connections_opened_total') },
    summary: ({ open, rate }) => [
      ...(open === undefined ? [] : [h('b', units.count(open)), ' open']), open === undefined || rate === undefined ? '' : ', ', ...perSecond(rate, 'new'),
    ],
    empty: 'No connection yet',
    emptyMore: 'A connection is here as soon as a client opens one to a listener; routers report it within 5 s.',
    list: 'connections',
    keys: [...KEYS, 'host', 'port', 'error'],
  })),
};

/** @type {import('../views.js').Loaded} */
export const requests = {
  subscriptions: subscriptions('applicationflows', 'bad'),
  mount: (element, context) => new Tail(element, context, /** @type {import('./tail.js').TailOptions<Request>} */ ({
    title: 'Requests',
    columns: columnsOfRequests(),
    class: 'conn reqs',
    failed: (row) => outcomeOf(row).failed,
    below: () => null,
    latency: (row) => row.duration ?? undefined,
    detail: (row) => new Detail({ request: row, context }),
    json: (address) => path('applicationflows', address),
    one: oneOf('applicationflows'),
    chips: [
      { id: 'bad', text: '5xx', count: { parameters: ONLY.bad } },
      { id: 'client', text: '4xx', count: { parameters: ONLY.client } },
      slow('request', 95800, (row) => row.duration),
    ],
    figures: { rate: rateOf('skupper_requests_total') },
    summary: ({ rate }) => perSecond(rate, 'ended'),
    empty: 'No request yet',
    emptyMore: 'Routers report requests of listeners whose protocol is HTTP, or that observe it.',
    list: 'applicationflows',
    keys: [...KEYS, 'method', 'status', 'connection'],
  })),
};

/** @param {Connection} row */
function halfKnown(row) {
  return row.endTime === 0 && failureOf(row) === undefined && (row.connectorInferred === true || !row.connectorId);
}

/** @param {Connection} row */
function why(row) {
  const failure = failureOf(row);
  if (!failure) return null;
  return h('span', sign('bad'), h('b', failure.title), failure.rest);
}

/** When it began. @param {string} title @returns {import('./tail.js').TailColumn<Flow>} */
function beginColumn(title) {
  return { id: 'began', title, class: 'tm_', value: (row) => row.startTime, cell: (row) => time(row.startTime) };
}

/** @type {import('./tail.js').TailColumn<Flow>} */
const SERVICE = {
  id: 'service', title: 'Service', class: 'sv', value: (row) => row.routingKey,
  cell: (row) => (row.routingKey && row.routingKey !== 'unknown' ? row.routingKey : h('span.na', 'not known')),
};

/** @returns {import('./tail.js').TailColumn<Connection>[]} */
function columnsOfConnections() {
  return [
    beginColumn('Opened'),
    {
      id: 'client', title: 'Client', class: 'p', value: (row) => [row.sourceProcessName, row.sourceHost, row.sourceSiteName],
      cell: (row) => placed(partyName(row.sourceProcessName, row.sourceHost), row.sourceSiteName, 'not reported'),
    },
    SERVICE,
    {
      id: 'server', title: 'Server', class: 'p',
      value: (row) => [row.destProcessName, row.destHost, row.destSiteName, halfKnown(row)],
      cell: (row) => placed(partyName(row.destProcessName, row.destHost), row.destSiteName, row.endTime ? 'not reported' : 'not reported yet'),
    },
    {
      id: 'latency', class: 'g',
      title: ['First octet: ', h('span.k.nw'), 'network ', h('span.k.wk'), 'workload'],
      scaled: true,
      value: (row) => [row.latency, row.latencyReverse, row.latencyKnown, row.latencyReverseKnown, row.endTime, row.listenerError],
      cell: (row, scale) => {
        const split = splitLatency(row);
        if (split.total === undefined) {
          return h('span.na', failureOf(row) ? 'no octet came back' : row.endTime ? 'not reported' : 'none yet');
        }
        return [
          latencyBar({ network: split.network ?? null, workload: split.workload ?? null, total: split.total, most: scale }),
          quantity(units.duration(split.total)),
        ];
      },
    },
    ...octetColumns('To server', 'To client'),
    {
      id: 'lasts', title: 'Lasts', class: 'n', aging: (row) => row.endTime === 0, value: (row) => [row.startTime, row.endTime],
      cell: (row, _scale, now) => quantity(units.duration(Math.max(0, (row.endTime || now) - row.startTime))),
    },
    {
      id: 'state', title: 'State', class: 'st_', value: (row) => [row.endTime, row.listenerError, row.connectorError, halfKnown(row)],
      cell: (row) => {
        const failure = failureOf(row);
        if (failure) return h('span.o.bad', sign('bad'), failure.word);
        if (halfKnown(row)) {
          return h('span.o.unk', { title: 'The router of the server has not reported it yet' }, sign('unknown'), 'half known');
        }
        return h('span', { class: row.endTime ? 'o na' : 'o open' }, row.endTime ? 'closed' : 'open');
      },
    },
  ];
}

/** @returns {import('./tail.js').TailColumn<Request>[]} */
function columnsOfRequests() {
  return [
    beginColumn('Began'),
    {
      id: 'client', title: 'Client', class: 'p', value: (row) => [row.sourceProcessName, row.clientAddress, row.sourceSiteName],
      cell: (row) => [
        ...placed(partyName(row.sourceProcessName, row.clientAddress ?? undefined), row.sourceSiteName, 'not known: its connection is not'),
        row.clientAddress && row.clientAddress !== partyName(row.sourceProcessName, row.clientAddress) ? h('small', `for ${row.clientAddress}`) : null,
      ],
    },
    SERVICE,
    {
      id: 'server', title: 'Server', class: 'p', value: (row) => [row.destProcessName, row.destSiteName],
      cell: (row) => placed(partyName(row.destProcessName, undefined), row.destSiteName, 'not known'),
    },
    {
      id: 'took', title: ['Took'], class: 'g', scaled: true, value: (row) => row.duration,
      cell: (row, scale) => (row.duration === null ? h('span.na', row.endTime ? 'not reported' : 'not ended')
        : [bar(row.duration, scale), quantity(units.duration(row.duration))]),
    },
    ...octetColumns('Request', 'Response'),
    { id: 'method', title: 'Method', class: 'me', value: (row) => [row.method, row.protocol], cell: (row) => [row.method || h('span.na', 'not known'), h('small', protocol(row.protocol))] },
    {
      id: 'status', title: 'Status', class: 'st_', value: (row) => [row.status, row.endTime, row.method],
      cell: (row) => {
        const { failed, words } = outcomeOf(row);
        const method = h('span.lbl', `\u00a0${row.method ?? ''}`);
        if (failed) return h('span.o.bad', sign('bad'), words ?? row.status, method);
        if (words) return h('span.o.unk', sign('unknown'), words);
        return h('span.o.open', row.status, method);
      },
    },
  ];
}

/** @param {string} name */
function protocol(name) {
  return name === 'http1' ? 'HTTP/1' : name === 'http2' ? 'HTTP/2' : name;
}

/**
 * A bar of a latency: the part of network and routers, then that of the workload; hollow where it cannot be split.
 * @param {{ network: number | null, workload: number | null, total: number, most: number, width?: number, height?: number }} parts µs
 */
function latencyBar({ network, workload, total, most, width = 110, height = 10 }) {
  const scale = most > 0 ? (width - 1) / most : 0;
  const element = drawing('svg.lb', width, height);
  if (network === null || workload === null) {
    element.append(s('rect.unk', { x: 0.5, y: 1.5, width: round(Math.max(1, Math.min(total, most) * scale)), height: height - 3 }));
    return element;
  }
  const first = Math.max(0, Math.min(network, most) * scale);
  const second = Math.max(1, Math.min(workload, most) * scale);
  element.append(
    s('rect.nw', { x: 0.5, y: 1.5, width: round(first), height: height - 3 }),
    s('rect.wk', { x: round(0.5 + first + 0.8), y: 1.5, width: round(second), height: height - 3 }),
  );
  return element;
}

/** A bar of how long it took. @param {number} duration @param {number} scale */
function bar(duration, scale) {
  const width = round(Math.max(1, Math.min(1, duration / scale) * 109));
  return drawing('svg.lb', 110, 10, s('rect.took', { x: 0.5, y: 1.5, width, height: 7 }));
}

/**
 * The columns of octets both ways.
 * @param {string} sent what those to the server are called
 * @param {string} received
 * @returns {import('./tail.js').TailColumn<any>[]}
 */
function octetColumns(sent, received) {
  return [[sent, 'octetCount'], [received, 'octetReverseCount']].map(([title, name]) => ({
    id: name, title, class: 'n', value: (row) => [row[name], row[`${name}Known`]],
    cell: (row) => quantity(row[`${name}Known`] ? units.octets(row[name]) : null),
  }));
}

/**
 * The time of day, thousandths behind it; the whole in its title.
 * @param {number} microseconds since the epoch
 */
function time(microseconds) {
  return h('time', { title: units.whole(microseconds) }, units.clock(microseconds), h('i', units.thousandths(microseconds)));
}

/** How many requests of a connection are shown. */
const SHOWN = 5;
/** How often an open row asks for its requests, in µs. */
const ASKED_EVERY = 2e6;

class Detail {
  /**
   * @param {object} options
   * @param {Connection} [options.connection] what is known of it already
   * @param {Request} [options.request] where it is the request that was opened
   * @param {import('../views.js').Context} options.context
   */
  constructor({ connection, request, context }) {
    this.context = context;
    this.connection = connection;
    this.request = request;
    this.ended = new AbortController();
    context.signal.addEventListener('abort', () => this.ended.abort(), { once: true });
    /** @type {import('./way.js').Network | null} */
    this.network = null;
    this.asked = 0;
    /** @type {{ rows: Request[], total: number } | null} */
    this.requests = null;
    this.left = h('div.dl');
    this.right = h('div.dr');
    this.element = h('div.det', this.left, this.right);
    this.drawn = '';
    this.load();
    this.draw();
  }

  close() {
    this.ended.abort();
  }

  /** @param {any} row */
  update(row) {
    if (this.request) this.request = row;
    else this.connection = row;
    if (this.context.now() - this.asked >= ASKED_EVERY) this.askRequests();
    this.draw();
  }

  async load() {
    try {
      if (!this.connection && this.request) {
        const path = api.withQuery('v2alpha1/connections', [
          ['identity', this.request.connectionId], ['state', 'all'], ['timeRangeEnd', String(this.request.startTime)],
          ['sortBy', 'startTime.desc'], ['limit', '1'], ['fields', FIELDS.connections],
        ]);
        const answer = /** @type {import('../answers.js').Page<Connection>} */ (await api.get(path, this.ended.signal));
        this.connection = answer.results[0];
      }
      this.network = await network(this.ended.signal);
    } catch (error) {
      const failure = api.failureOf(error, this.ended.signal);
      if (!failure) return;
      this.failed = failure.message;
    }
    this.draw();
    await this.askRequests();
  }

  async askRequests() {
    const connection = this.connection;
    if (!connection) return;
    this.asked = this.context.now();
    try {
      const answer = /** @type {import('../answers.js').Page<Request>} */ (await api.get(this.requestsPath(connection), this.ended.signal));
      this.requests = { rows: answer.results, total: answer.timeRangeCount ?? answer.count };
    } catch (error) {
      if (!api.failureOf(error, this.ended.signal)) return;
      this.requests = null;
    }
    this.draw();
  }

  /** @param {Connection} connection */
  requestsPath(connection) {
    return api.withQuery('v2alpha1/applicationflows', [
      ['connectionId', connection.identity], ['state', 'all'], ['timeRangeStart', String(connection.startTime)],
      ['sortBy', 'startTime.desc'], ['limit', String(SHOWN)],
    ]);
  }

  draw() {
    const drawn = JSON.stringify([this.connection, this.request, this.requests, this.network === null, this.failed]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const subject = this.connection ?? this.request;
    if (!subject) return;
    const hops = this.network ? hopsOf(subject, this.network) : [];
    const now = this.context.now();
    fill(this.left,
      this.network ? [wayAcross(hops, now), wayDown(hops, now)] : h('p.na', this.failed ?? 'asking for routers and links …'),
      this.connection ? failureWords(this.connection) : null,
      this.connection ? latency(this.connection) : this.network ? h('p.na', 'The connection of this request is not known: it was opened before its router was asked.') : null);
    fill(this.right, this.connection ? this.requestList(this.connection) : null, command(subject.key, this.request ? ' requests' : ''));
  }

  /** @param {Connection} connection */
  requestList(connection) {
    if (!this.requests) return [];
    const { rows, total } = this.requests;
    if (total === 0) return [
      h('h2', 'No requests in it'),
      h('p.na', connection.protocol === 'tcp' ? 'It is plain TCP to its router: requests are reported of HTTP only.' : 'None has been reported yet.'),
    ];
    const address = this.context.address();
    return [
      h('h2', `${units.counted(total, 'request')} in it`, h('a', {
        href: this.context.link({ view: 'requests', filter: filter.including(address.filter, 'connection', connection.identity), own: {} }),
      }, 'all')),
      h('table.rq', { 'aria-label': 'Requests of this connection' }, h('tbody', rows.map((row) => h('tr', { class: row.key === this.request?.key ? 'this' : null },
        h('td', time(row.startTime)),
        h('td', statusOf(row)),
        h('td.n', quantity(units.duration(row.duration), 'not ended')),
        h('td.n', quantity(row.octetReverseCountKnown ? units.octets(row.octetReverseCount) : null)))))),
    ];
  }
}

/**
 * Method and status of a request; what failed is marked.
 * @param {Request} request
 */
function statusOf(request) {
  const { failed, words } = outcomeOf(request);
  return [
    `${request.method || 'method not known'} `,
    failed ? h('b.o.bad', sign('bad'), words ?? request.status) : words ? h('span.na', words) : h('b', request.status),
  ];
}

/** @param {Connection} connection */
function failureWords(connection) {
  const failure = failureOf(connection);
  if (!failure) return null;
  const texts = [['router of the server', connection.connectorError], ['router of the client', connection.listenerError]].filter(([, text]) => text);
  return h('div.fw',
    h('p', sign('bad'), h('b', failure.title), failure.rest),
    texts.map(([who, text]) => h('p.raw', h('small', `${who}: `), clipped(text ?? ''))));
}

/** @param {Connection} connection */
function latency(connection) {
  const split = splitLatency(connection);
  const sent = units.text(connection.octetCountKnown ? units.octets(connection.octetCount) : null, 'octets not reported');
  const received = units.text(connection.octetReverseCountKnown ? units.octets(connection.octetReverseCount) : null, 'octets not reported');
  const octets = h('span', `${sent} to the server, ${received} to the client`);
  if (split.total === undefined) return h('div.latb', h('div.lh', h('b', 'No first octet reported'), octets));
  const { total, network: between = null, workload = null } = split;
  const shares = sharesOf(split);
  return h('div.latb',
    h('div.lh', h('b', `First octet after ${units.text(units.duration(total))}`), octets),
    latencyBar({ network: between, workload, total, most: total, width: 620, height: 17 }),
    h('div.ll', between === null || workload === null || !shares
      ? h('span', h('span.k.hol'), 'not split into network and workload: one side is not reported')
      : [
        h('span', h('span.k.nw'), 'network and routers ', h('b', units.text(units.duration(between))), `, ${shares.network} %`),
        h('span.r', h('span.k.wk'), 'workload ', h('b', units.text(units.duration(workload))), `, ${shares.workload} %`),
      ]));
}

/**
 * The command that shows the same in a terminal.
 * @param {string} key
 * @param {string} list
 */
function command(key, list) {
  const text = `vflow observe${list} --id ${key}`;
  const said = h('span', { role: 'status' });
  const copy = h('button.cp', {
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        said.textContent = 'copied ';
      } catch {
        // Without TLS a browser lets no page write there: the text is selected instead.
        getSelection()?.selectAllChildren(code);
        said.textContent = 'selected: copy it with the keyboard ';
      }
    },
  }, 'Copy');
  const code = h('code', text);
  return h('p.cli', code, h('span', said, copy));
}
