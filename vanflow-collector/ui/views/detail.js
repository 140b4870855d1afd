/**
 * What opens below a connection or request: its way through the network, where its time went, its requests, and the command
 * that shows the same.
 * @module
 */
import * as api from '../api.js';
import { latencyBar } from '../chart.js';
import { fill, h, quantity, sign } from '../dom.js';
import * as filter from '../filter.js';
import * as units from '../units.js';
import { CONNECTION_FIELDS, time } from './connections.js';
import { failureOf, outcomeOf } from './failure.js';
import { sharesOf, splitLatency } from './latency.js';
import { network } from './network.js';
import { clipped } from './parts.js';
import { wayAcross, wayDown } from './waydraw.js';
import { hopsOf } from './waypath.js';

/** @typedef {import('./connections.js').Connection} Connection */
/** @typedef {import('./requests.js').Request} Request */

/** How many requests of a connection are shown. */
const MOST = 5;
/** How often an open row asks for its requests, in µs. */
const EVERY = 2e6;

export class Detail {
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
    /** @type {import('./network.js').Network | null} */
    this.network = null;
    this.asked = 0;
    /** @type {{ rows: Request[], total: number } | null} */
    this.requests = null;
    this.left = h('div', { class: 'dl' });
    this.right = h('div', { class: 'dr' });
    this.element = h('div', { class: 'det' }, this.left, this.right);
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
    if (this.context.now() - this.asked >= EVERY) this.askRequests();
    this.draw();
  }

  async load() {
    try {
      if (!this.connection && this.request) {
        const path = api.withQuery('v2alpha1/connections', [
          ['identity', this.request.connectionId], ['state', 'all'], ['timeRangeEnd', String(this.request.startTime)],
          ['sortBy', 'startTime.desc'], ['limit', '1'], ['fields', CONNECTION_FIELDS],
        ]);
        const answer = /** @type {import('../answers.js').Page<Connection>} */ (await api.get(path, this.ended.signal));
        this.connection = answer.results[0];
      }
      this.network = await network(this.ended.signal);
    } catch (error) {
      if (this.ended.signal.aborted) return;
      if (!(error instanceof api.ApiError)) throw error;
      this.failed = error.message;
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
      if (this.ended.signal.aborted) return;
      if (!(error instanceof api.ApiError)) throw error;
      this.requests = null;
    }
    this.draw();
  }

  /** @param {Connection} connection */
  requestsPath(connection) {
    return api.withQuery('v2alpha1/applicationflows', [
      ['connectionId', connection.identity], ['state', 'all'], ['timeRangeStart', String(connection.startTime)],
      ['sortBy', 'startTime.desc'], ['limit', String(MOST)],
    ]);
  }

  draw() {
    const drawn = JSON.stringify([this.connection, this.request, this.requests, this.network === null, this.failed]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const subject = this.connection ?? this.request;
    if (!subject) return;
    const hops = this.network ? hopsOf(subject, this.network) : [];
    fill(this.left,
      this.network ? [wayAcross(hops), wayDown(hops)] : h('p', { class: 'na' }, this.failed ?? 'asking for routers and links …'),
      this.connection ? failureWords(this.connection) : null,
      this.connection ? latency(this.connection) : this.network ? h('p', { class: 'na' }, 'The connection of this request is not known: it was opened before its router was asked.') : null);
    fill(this.right, this.connection ? this.requestList(this.connection) : null, command(subject.key, this.request ? ' requests' : ''));
  }

  /** @param {Connection} connection */
  requestList(connection) {
    if (!this.requests) return [];
    const { rows, total } = this.requests;
    if (total === 0) return [
      h('h2', null, 'No requests in it'),
      h('p', { class: 'na' }, connection.protocol === 'tcp' ? 'It is plain TCP to its router: requests are reported of HTTP only.' : 'None has been reported yet.'),
    ];
    const address = this.context.address();
    return [
      h('h2', null, `${units.count(total)} ${total === 1 ? 'request' : 'requests'} in it`, h('a', {
        href: this.context.link({ view: 'requests', filter: filter.including(address.filter, 'connection', connection.identity), own: {} }),
      }, 'all')),
      h('table', { class: 'rq', 'aria-label': 'Requests of this connection' }, h('tbody', null, rows.map((row) => h('tr', { class: row.key === this.request?.key ? 'this' : null },
        h('td', null, time(row.startTime)),
        h('td', null, statusOf(row)),
        h('td', { class: 'n' }, quantity(units.duration(row.duration), 'not ended')),
        h('td', { class: 'n' }, quantity(row.octetReverseCountKnown ? units.octets(row.octetReverseCount) : null)))))),
    ];
  }
}

/**
 * Method and status of a request; what failed is marked.
 * @param {Request} request
 */
export function statusOf(request) {
  const { failed, words } = outcomeOf(request);
  return [
    `${request.method || 'method not known'} `,
    failed ? h('b', { class: 'o bad' }, sign('bad', 'bad:'), words ?? request.status) : words ? h('span', { class: 'na' }, words) : h('b', null, request.status),
  ];
}

/** @param {Connection} connection */
function failureWords(connection) {
  const failure = failureOf(connection);
  if (!failure) return null;
  const texts = [['router of the server', connection.connectorError], ['router of the client', connection.listenerError]].filter(([, text]) => text);
  return h('div', { class: 'fw' },
    h('p', null, sign('bad', 'bad:'), h('b', null, failure.title), failure.rest),
    texts.map(([who, text]) => h('p', { class: 'raw' }, h('small', null, `${who}: `), clipped(text ?? ''))));
}

/** @param {Connection} connection */
function latency(connection) {
  const split = splitLatency(connection);
  const sent = units.text(connection.octetCountKnown ? units.octets(connection.octetCount) : null, 'octets not reported');
  const received = units.text(connection.octetReverseCountKnown ? units.octets(connection.octetReverseCount) : null, 'octets not reported');
  const octets = h('span', null, `${sent} to the server, ${received} to the client`);
  if (split.total === undefined) return h('div', { class: 'latb' }, h('div', { class: 'lh' }, h('b', null, 'No first octet reported'), octets));
  const { total, network: between = null, workload = null } = split;
  const shares = sharesOf(split);
  return h('div', { class: 'latb' },
    h('div', { class: 'lh' }, h('b', null, `First octet after ${units.text(units.duration(total))}`), octets),
    latencyBar({ network: between, workload, total, most: total, width: 620, height: 17 }),
    h('div', { class: 'll' }, between === null || workload === null || !shares
      ? h('span', null, h('span', { class: 'k hol' }), 'not split into network and workload: one side is not reported')
      : [
        h('span', null, h('span', { class: 'k nw' }), 'network and routers ', h('b', null, units.text(units.duration(between))), `, ${shares.network} %`),
        h('span', { class: 'r' }, h('span', { class: 'k wk' }), 'workload ', h('b', null, units.text(units.duration(workload))), `, ${shares.workload} %`),
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
  const copy = h('button', {
    type: 'button', class: 'cp',
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
  const code = h('code', null, text);
  return h('p', { class: 'cli' }, code, h('span', null, said, copy));
}
