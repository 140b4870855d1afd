/**
 * The services: what goes to each, how much of it fails, how long it takes, and where its listeners and connectors are.
 * Those that nobody reaches come first. All figures are of metrics, asked for once for all services.
 * @module
 */
import { endParameters, timeParameters } from '../address.js';
import * as api from '../api.js';
import { chart } from '../chart.js';
import { choice, h, quantity, s, sign } from '../dom.js';
import * as filter from '../filter.js';
import { Table } from '../table.js';
import * as units from '../units.js';
import { failureOf, scaleOf, scaleText } from './outcome.js';
import { failure, jsonAddress, listBar, nothing, nothingLeft } from './parts.js';

/** @typedef {import('../chart.js').Point} Point */

/** A row with what its charts show, and why connections fail where many do. @typedef {Row & { points: Record<string, Point[]>, why?: string }} Shown */

/** How many points a spark line has. */
const STEPS = 60;
/** How often metrics are asked for, in seconds: as often as the history takes them in. */
const EVERY = 5;
/** How often it is asked why connections fail, in seconds. */
const REASONS_EVERY = 30;
/** Keys of the filter that say something about traffic, and those that say something about services. */
const ENDS = ['component', 'process', 'from', 'to'];
const KEYS = ['', 'service', 'site', ...ENDS, 'protocol'];
const ORDERS = /** @type {const} */ (['trouble', 'octets', 'name']);

/** @type {import('../views.js').Loaded} */
export const services = {
  subscriptions: (address) => {
    const time = endParameters(address);
    return {
      services: servicesPath(address),
      listeners: api.withQuery('v2alpha1/listeners', [['fields', 'routingKey,siteName'], ...time]),
      connectors: api.withQuery('v2alpha1/connectors', [['fields', 'routingKey,siteName'], ...time]),
    };
  },
  mount: (element, context) => new Services(element, context),
};

/** @param {import('../address.js').Address} address */
function servicesPath(address) {
  return api.withQuery('v2alpha1/services', [...filter.parameters(filter.parse(address.filter), 'services'), ...endParameters(address)]);
}

class Services {
  /**
   * @param {HTMLElement} element
   * @param {import('../views.js').Context} context
   */
  constructor(element, context) {
    this.context = context;
    /** @type {Record<string, any[] | undefined>} */
    this.lists = {};
    /** @type {Record<string, Map<string, Point[]>>} */
    this.series = {};
    /** @type {Record<string, Map<string, number>>} */
    this.values = {};
    /** @type {import('../api.js').ApiError | null} */
    this.error = null;
    /** Why there are no figures, in words. @type {string | null} */
    this.noFigures = null;
    this.range = context.range();
    this.asked = 0;
    /** Why connections to a service fail most often. @type {Map<string, string>} */
    this.reasons = new Map();
    this.reasonsAt = -Infinity;
    this.asking = '';
    this.scale = 1000;
    this.order = choice('Order', [
      { value: 'trouble', text: 'Trouble first' }, { value: 'octets', text: 'Octets' }, { value: 'name', text: 'Name' },
    ], (value) => context.replace({ own: { ...context.address().own, order: value } }));
    this.bar = listBar('Services', this.order.element);
    this.note = h('p.note', { hidden: true });
    this.octetsTitle = h('span');
    this.scaleTitle = h('small');
    /** @type {Table<Shown>} */
    this.table = new Table({
      label: 'List of services',
      class: 'serv',
      key: (row) => row.id,
      columns: this.columns(),
      rowClass: (row) => [row.trouble ? 'bad' : '', untried(row) ? 'untried' : ''].filter(Boolean).join(' '),
      group: (row) => this.group(row),
      empty: () => this.empty(), onLeave: () => this.draw(),
    });
    this.foot = h('tfoot');
    this.table.table.append(this.foot);
    this.askedOrder = '';
    /** Which services stand where, so that none moves under the pointer. @type {string[]} */
    this.standing = [];
    element.append(this.bar.element, this.note, this.table.element);
    this.show();
  }

  /** @returns {import('../table.js').Column<Shown>[]} */
  columns() {
    return [
      {
        id: 'name', title: 'Service', head: true, class: 'nm_',
        value: (row) => [row.name, row.protocols],
        cell: (row) => [
          h('a', { href: this.context.link({ view: 'map', selection: { type: 'service', id: row.name } }) }, row.name),
          h('small', row.protocols),
        ],
      },
      {
        id: 'octets', title: this.octetsTitle, class: 'g oc',
        value: (row) => [row.points.octets, row.octets, untried(row), this.range.end, this.noFigures],
        cell: (row) => {
          if (untried(row)) return h('span.na', this.noFigures ? 'figures not known' : `nobody has tried since ${this.since()}`);
          return [
            this.octets(row.name, row.points.octets ?? []),
            quantity(units.octetRate(row.octets), 'none seen'),
          ];
        },
      },
      {
        id: 'open', title: 'Open', class: 'n op',
        value: (row) => row.figures.open,
        cell: (row) => (row.figures.open === undefined ? '' : h('a', {
          href: this.to(row.name, {}), title: `Connections to ${row.name}`,
        }, units.count(Math.max(0, row.figures.open)))),
      },
      {
        id: 'requests', title: 'Requests/s', class: 'g rq_',
        value: (row) => [row.points.requests, row.requests, untried(row), this.range.end],
        cell: (row) => {
          if (untried(row)) return '';
          if (row.requests === undefined) return h('span.seen.na', 'not seen');
          return [
            this.requests(row.name, row.points.requests ?? []),
            quantity(units.rate(row.requests)),
          ];
        },
      },
      {
        id: 'errors', title: 'Errors', class: 'g e',
        value: (row) => [row.points.errors, row.errors, this.range.end],
        cell: (row) => (row.errors ? this.errors(row.name, row.errors, row.points.errors ?? []) : ''),
      },
      {
        id: 'latency', title: h('span', 'First octet, p50–p95 ', this.scaleTitle), class: 'g la',
        value: (row) => [row.figures.p50, row.figures.p95, this.scale, row.errors?.share === 1, untried(row)],
        cell: (row) => {
          const { p50, p95 } = row.figures;
          if (untried(row)) return '';
          if (p50 === undefined || p95 === undefined) {
            return h('span.na', row.errors?.share === 1 ? 'none answered' : 'not reported');
          }
          return [rangeBar(p50 * 1e6, p95 * 1e6, this.scale), quantity(units.duration(p95 * 1e6))];
        },
      },
      {
        id: 'where', title: 'Listeners → connectors', class: 'w',
        value: (row) => [row.listeners, row.connectors, row.why],
        cell: (row) => [
          h('span.lc',
            row.listeners.length > 0 ? h('span', units.listed(row.listeners)) : h('em', 'no listener'),
            h('span.ar', { 'aria-label': 'to' }, '→'),
            row.connectors.length > 0 ? h('span', units.listed(row.connectors)) : h('em', 'no connector')),
          row.why ? h('small.why', { title: row.why }, sign('bad'), row.why) : null,
        ],
      },
    ];
  }

  /**
   * @param {string} name
   * @param {NonNullable<Row['errors']>} errors
   * @param {Point[]} points
   */
  errors(name, errors, points) {
    const level = shareLevel(errors.share);
    return [
      this.bars(name, points),
      h('a', {
        class: `share ${level}`, href: this.to(name, { order: 'errors' }),
        title: `${errors.errors} of ${units.counted(errors.units, errors.unit)} failed; 4xx is no error`,
      }, level && sign(level), quantity(units.share(errors.share))),
    ];
  }

  /** @param {string} name @param {Point[]} points */
  octets(name, points) {
    return chart({ lines: [{ points }], range: this.range, label: `Octets a second of ${name}`, format: units.octetRate, width: 96, height: 24 });
  }

  /** @param {string} name @param {Point[]} points */
  requests(name, points) {
    return chart({ lines: [{ points }], range: this.range, label: `Requests a second of ${name}`, format: units.rate, width: 72, height: 24 });
  }

  /** Errors, one by one. @param {string} name @param {Point[]} points */
  bars(name, points) {
    return chart({
      lines: [{ points, kind: 'bars' }], range: this.range, label: `Errors of ${name}`, format: (value) => ({ value: units.count(value) ?? '', unit: '' }),
      width: 72, height: 20, end: false,
    });
  }

  /** The connections of a service. @param {string} name @param {Record<string, string>} own */
  to(name, own) {
    const address = this.context.address();
    return this.context.link({ view: 'connections', filter: filter.including(address.filter, 'service', name), own });
  }

  /** @param {string} name @param {any} answer */
  receive(name, answer) {
    this.error = null;
    this.lists[name] = answer.results;
    this.draw();
  }

  /** @param {string} name @param {import('../api.js').ApiError} error */
  fail(name, error) {
    if (name !== 'services') return;
    this.error = error;
    this.lists.services ??= [];
    this.draw();
  }

  show() {
    const address = this.context.address();
    this.order.show(this.orderOf());
    this.bar.json.href = jsonAddress(servicesPath(address));
    this.ask();
    this.draw();
  }

  verdict() {
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    return this.table.key(event);
  }

  tick() {
    if (this.context.frozen() === null && this.context.now() - this.asked >= EVERY * 1e6) this.ask();
  }

  /** Asks for all metrics, for all services at once. */
  async ask() {
    const address = this.context.address();
    const frozen = this.context.frozen();
    const range = this.context.range();
    const question = `${address.filter} ${address.span} ${frozen}`;
    if (question === this.asking && frozen !== null) return;
    if (question !== this.asking) this.reasonsAt = -Infinity;
    this.asking = question;
    this.asked = this.context.now();
    const step = Math.max(EVERY, Math.ceil(address.span / STEPS));
    const queries = queriesOf(address.span, step, filter.matchersOf(filter.parse(address.filter)));
    /** @type {Record<string, Map<string, Point[]>>} */
    const series = {};
    /** @type {Record<string, Map<string, number>>} */
    const values = {};
    const { signal } = this.context;
    try {
      if (this.context.isOld(range)) await this.askEnded(range, series, values);
      else await Promise.all([
        ...Object.entries(queries.series).map(async ([name, query]) => {
          const answer = await api.queryRange(query, range, STEPS, signal);
          series[name] = new Map(answer.map(({ labels, points }) => [labels.routing_key ?? '', points]));
        }),
        ...Object.entries(queries.values).map(async ([name, query]) => {
          const answer = await api.query(query, frozen, signal);
          values[name] = new Map(answer.map(({ labels, value }) => [labels.routing_key ?? '', value]));
        }),
      ]);
      if (signal.aborted || question !== this.asking) return;
      this.series = series;
      this.values = values;
      this.range = range;
      this.noFigures = null;
    } catch (error) {
      if (question !== this.asking) return;
      const failure = api.failureOf(error, signal);
      if (!failure) return;
      this.noFigures = failure.message;
    }
    this.draw();
    await this.askReasons();
  }

  /**
   * Asks the same of what ended, for a time before there are metrics: no more is known of it.
   * @param {import('../chart.js').TimeRange} range
   * @param {Record<string, Map<string, Point[]>>} series
   * @param {Record<string, Map<string, number>>} values
   */
  async askEnded(range, series, values) {
    const terms = filter.parse(this.context.address().filter);
    /** @type {[string, 'connections' | 'applicationflows', string[], [string, string][]][]} */
    const asked = [
      ['octets', 'connections', api.OCTETS, []], ['connections', 'connections', ['count'], []],
      ['failed', 'connections', ['count'], [['listenerError|connectorError', '*']]],
      ['requests', 'applicationflows', ['count'], []], ['badRequests', 'applicationflows', ['count'], [['status', '5']]],
    ];
    await Promise.all(asked.map(async ([name, list, names, only]) => {
      const found = await api.ended(list, [...filter.parameters(terms, list), ...only], names, range, STEPS, this.context.signal, 'routingKey');
      const counted = new Map([...found].map(([key, points]) => {
        const step = points.length > 1 ? (points[1][0] - points[0][0]) / 1e6 : 60;
        return [key, points.map(([at, value]) => /** @type {Point} */ ([at, value * step]))];
      }));
      series[name] = only.length > 0 ? counted : found;
      values[name] = new Map([...counted].map(([key, points]) => [key, points.reduce((sum, point) => sum + point[1], 0)]));
    }));
  }

  /** @returns {Order} */
  orderOf() {
    const order = this.context.address().own.order;
    return ORDERS.find((each) => each === order) ?? 'trouble';
  }

  /** @returns {Shown[]} */
  rows() {
    const address = this.context.address();
    const { terms } = filter.applying(filter.parse(address.filter), KEYS, 'services');
    const rows = rowsOf({
      services: this.lists.services ?? [],
      listeners: this.lists.listeners ?? [],
      connectors: this.lists.connectors ?? [],
      value: (query, service) => this.values[query]?.get(service),
      last: (query, service) => this.series[query]?.get(service)?.at(-1)?.[1],
    });
    const left = filter.rest(terms, 'services').filter(({ key }) => !ENDS.includes(key));
    const byTraffic = terms.some(({ key, negated }) => !negated && ENDS.includes(key));
    return rows
      .filter((row) => filter.matches(left, {
        name: row.name, protocol: row.protocols, siteName: [...row.listeners, ...row.connectors].map(([site]) => site),
      }))
      .filter((row) => !byTraffic || row.figures.connections !== undefined || row.figures.requests !== undefined)
      .map((row) => ({ ...row, ...this.more(row) }));
  }

  /** @param {Row} row */
  more(row) {
    /** @type {Record<string, Point[]>} */
    const points = {};
    for (const [name, each] of Object.entries(this.series)) {
      const found = each.get(row.name);
      if (found) points[name] = found;
    }
    points.errors = added([points.failed ?? [], points.badRequests ?? []]);
    return { points, ...this.why(row) };
  }

  /**
   * Why nobody gets an answer, or why so many do not.
   * @param {Row} row
   * @returns {{ why?: string }}
   */
  why({ name, trouble, errors }) {
    if (trouble && errors === undefined) return { why: trouble };
    const reason = this.reasons.get(name);
    if (errors && errors.share >= FAILS && reason) {
      return { why: trouble ? `${units.count(errors.errors)} of ${units.count(errors.units)}: ${reason}` : `most often: ${reason}` };
    }
    return trouble ? { why: trouble } : {};
  }

  /** Asks why connections fail, once for all services, where many of one do. */
  async askReasons() {
    const address = this.context.address();
    const failing = this.rows().some((row) => (row.errors?.share ?? 0) >= FAILS);
    if (!failing || this.context.now() - this.reasonsAt < REASONS_EVERY * 1e6) return;
    this.reasonsAt = this.context.now();
    const path = api.withQuery('v2alpha1/connections', [
      ['listenerError', '*'], ...timeParameters(address), ['state', 'all'], ['groupBy', 'routingKey,listenerError,connectorError'],
      ['aggregate', 'count'], ['sortBy', 'count.desc'], ['limit', '100'],
    ]);
    try {
      const answer = /** @type {import('../answers.js').Page<{ routingKey: string, listenerError: string, connectorError: string | null }>} */ (
        await api.get(path, this.context.signal));
      /** @type {Map<string, string>} */
      const reasons = new Map();
      for (const group of answer.results) {
        const failure = failureOf(group);
        if (failure && !reasons.has(group.routingKey)) {
          reasons.set(group.routingKey, `${failure.title[0].toLowerCase()}${failure.title.slice(1)}${failure.rest.split(';')[0]}`);
        }
      }
      this.reasons = reasons;
      this.draw();
    } catch (error) {
      api.failureOf(error, this.context.signal);
      // Without a reason it says how many failed.
    }
  }

  /** @param {Row} row */
  group(row) {
    if (this.orderOf() !== 'trouble' || this.unreachable === 0) return null;
    return row.trouble ? `${this.unreachable} unreachable` : `${this.reachable} reachable`;
  }

  draw() {
    if (!this.lists.services || !this.lists.listeners || !this.lists.connectors) {
      if (!this.error) return;
    }
    const rows = this.rows();
    const order = this.orderOf();
    this.unreachable = rows.filter((row) => row.trouble).length;
    this.reachable = rows.length - this.unreachable;
    const sorted = /** @type {Shown[]} */ (ordered(rows, order));
    if (order === 'trouble') sorted.sort((a, b) => Number(!a.trouble) - Number(!b.trouble));
    const asked = `${order} ${this.context.address().filter}`;
    if (this.table.pointed && asked === this.askedOrder) {
      const place = (/** @type {Shown} */ row) => (this.standing.includes(row.id) ? this.standing.indexOf(row.id) : Infinity);
      sorted.sort((a, b) => (order === 'trouble' ? Number(!a.trouble) - Number(!b.trouble) : 0) || place(a) - place(b));
    }
    this.askedOrder = asked;
    this.standing = sorted.map((row) => row.id);
    this.scale = scaleOf(1e6 * Math.max(0, ...rows.map((row) => row.figures.p95 ?? 0)));
    this.octetsTitle.textContent = `Octets/s, ${units.text(units.duration(this.context.address().span * 1e6))}`;
    this.scaleTitle.textContent = `0–${scaleText(this.scale)}`;
    this.table.update(sorted);
    this.bar.summary.replaceChildren(
      h('b', units.count(rows.length) ?? ''), rows.length === 1 ? ' address' : ' addresses',
      ...(this.unreachable > 0 ? [', ', h('b', String(this.unreachable)), ' unreachable'] : []),
    );
    const { note } = filter.applying(filter.parse(this.context.address().filter), KEYS, 'services');
    this.note.hidden = this.noFigures === null && note === '';
    this.note.replaceChildren(...(this.noFigures === null ? [note] : [sign('unknown'), `There are no figures: ${this.noFigures} ${note}`]));
    this.drawTotal(rows);
  }

  /** @param {Shown[]} rows */
  drawTotal(rows) {
    if (rows.length < 2) {
      this.foot.replaceChildren();
      return;
    }
    const total = totalOf(rows);
    const level = shareLevel(total.errors?.share);
    const points = (/** @type {string} */ name) => added(rows.map((row) => row.points[name] ?? []));
    this.foot.replaceChildren(h('tr', null,
      h('th', { scope: 'row', class: 'nm_' }, 'All services'),
      h('td.g.oc',
        this.octets('all', points('octets')),
        quantity(units.octetRate(total.octets))),
      h('td.n.op', this.context.isOld(this.range) ? '' : units.count(Math.max(0, total.figures.open ?? 0))),
      h('td.g.rq_',
        this.requests('all', points('requests')),
        quantity(units.rate(total.requests))),
      h('td.g.e', total.errors ? [
        this.bars('all', points('errors')),
        h('span', { class: `share ${level}` }, level && sign(level), quantity(units.share(total.errors.share))),
      ] : ''),
      h('td.g.la'),
      h('td.w', h('span.lc', `${units.counted(total.listeners, 'listener')}, ${units.counted(total.connectors, 'connector')}`))));
  }

  empty() {
    if (this.error) return failure(this.error);
    const address = this.context.address();
    if (address.filter) return nothingLeft(this.context, 'service');
    return nothing('No service yet', 'A service is here as soon as a site has a listener or a connector: create one of each, with the same routing key.');
  }

  since() {
    const started = this.context.isOld(this.range) ? 0 : this.context.verdict()?.since ?? 0;
    return units.minute(Math.max(this.range.start, started));
  }
}

/** Whether nobody has opened a connection to it. @param {Row} row */
function untried(row) {
  return !row.errors && !row.figures.connections && !row.figures.open;
}

/**
 * The sums of series, moment by moment.
 * @param {Point[][]} all
 * @returns {Point[]}
 */
function added(all) {
  /** @type {Map<number, number>} */
  const sums = new Map();
  for (const points of all) for (const [at, value] of points) sums.set(at, (sums.get(at) ?? 0) + value);
  return [...sums].sort((a, b) => a[0] - b[0]);
}

/**
 * From the median to the 95th percentile, on a scale that all rows share.
 * @param {number} p50 µs
 * @param {number} p95 µs
 * @param {number} scale µs, the right end
 */
function rangeBar(p50, p95, scale) {
  const width = 92;
  const x = (/** @type {number} */ value) => (Math.round(Math.min(1, value / scale) * (width - 6) * 10) / 10) + 2;
  return s('svg.rng', {
    width, height: 16, viewBox: `0 0 ${width} 16`, role: 'img',
    'aria-label': `half within ${units.text(units.duration(p50))}, 95 % within ${units.text(units.duration(p95))}`,
  },
  s('path.base', { d: `M0 8H${width}` }),
  s('path.rb', { d: `M${x(p50)} 8H${x(p95)}` }),
  s('path.r5', { d: `M${x(p50)} 3V13` }),
  s('circle', { cx: x(p95), cy: 8, r: 3 }));
}

// What each service comes to, out of lists and of metrics: one question for all services, not one a row.

/** Share of errors from which on a service is looked at, and from which on it fails. */
export const LOOK = 0.02;
export const FAILS = 0.1;

/** @param {number | undefined} share @returns {'' | 'warn' | 'bad'} */
export function shareLevel(share) {
  if (share === undefined) return '';
  // By what is shown, which is a tenth of a percent: 2.0 % is marked, however it came about.
  const shown = Math.round(share * 1000) / 1000;
  if (shown < LOOK) return '';
  return shown < FAILS ? 'warn' : 'bad';
}

/** A range of time in seconds since the epoch.
 * @typedef {{start: number, end: number, step: number}} Range */

/** The queries that the view asks, by name; of `series` over the range, of `values` at its end.
 *
 * Each answer has a series for each `routing_key`.
 * @param {number} seconds how long the range is
 * @param {number} step between two values of a series
 * @param {ReadonlyArray<string>} matchers label matchers, of which a series has to meet any; empty for all series
 * @returns {{series: Record<string, string>, values: Record<string, string>}} */
export function queriesOf(seconds, step, matchers) {
  // The history takes values in every 5 s, so that a rate over less than four of them is noise.
  const window = `${Math.max(20, 2 * step)}s`;
  const whole = `${seconds}s`;
  /** @param {string} metric @param {string} more @param {string} range */
  const of = (metric, more, range) => filter.anyOf(metric, matchers, more, (one) => (range ? `increase(${one}[${range}])` : one));
  /** @param {string} expression */
  const sum = (expression) => `sum by (routing_key) (${expression})`;
  const bad = 'code=~"5xx|unknown"';
  // A connection that both routers report as failed counts once for each: the larger of both sides is how many failed.
  /** @param {string} range */
  const failed = (range) =>
    `max by (routing_key) (sum by (routing_key, side) (${of('skupper_connections_failed_total', '', range)}))`;
  /** @param {string} metric */
  const rate = (metric) => `${sum(of(metric, '', window))} / ${parseFloat(window)}`;
  /** @param {number} share */
  const latency = (share) =>
    `histogram_quantile(${share}, sum by (routing_key, le) (${
      of('skupper_connection_latency_seconds_bucket', 'side="listener"', whole)}))`;
  return {
    series: {
      octets: `(${sum(`${of('skupper_sent_bytes_total', '', window)}`)} + ${
        sum(of('skupper_received_bytes_total', '', window))}) / ${parseFloat(window)}`,
      requests: rate('skupper_requests_total'),
      badRequests: sum(of('skupper_requests_total', bad, `${step}s`)),
      failed: failed(`${step}s`),
    },
    values: {
      requests: sum(of('skupper_requests_total', '', whole)),
      badRequests: sum(of('skupper_requests_total', bad, whole)),
      connections: sum(of('skupper_connections_opened_total', '', whole)),
      failed: failed(whole),
      open: `${sum(of('skupper_connections_opened_total', '', ''))} - ${
        sum(of('skupper_connections_closed_total', '', ''))}`,
      p50: latency(0.5),
      p95: latency(0.95),
    },
  };
}

/** What a service is counted by; what is not known is not there.
 * @typedef {object} Figures
 * @property {number} [requests]
 * @property {number} [badRequests]
 * @property {number} [connections]
 * @property {number} [failed]
 * @property {number} [open]
 * @property {number} [p50] seconds
 * @property {number} [p95] */

/** The share of errors: of requests where a service has some, together with the connections that failed and so carry
 * none; else of connections.
 * @param {Figures} figures
 * @returns {{errors: number, units: number, share: number, unit: 'request' | 'connection'} | undefined} undefined
 *   where nobody asked anything */
export function errorsOf(figures) {
  const requests = Math.round(figures.requests ?? 0);
  const failed = Math.round(figures.failed ?? 0);
  const withRequests = requests > 0;
  const units = withRequests ? requests + failed : Math.max(failed, Math.round(figures.connections ?? 0));
  const errors = withRequests ? Math.round(figures.badRequests ?? 0) + failed : failed;
  if (units === 0) return undefined;
  return { errors, units, share: errors / units, unit: withRequests ? 'request' : 'connection' };
}

/** @typedef {{identity: string, name: string, protocol?: string, observedApplicationProtocols?: ReadonlyArray<string>}} Service */
/** @typedef {{routingKey?: string, siteName?: string, destHost?: string, destPort?: string}} Place a listener or connector */
/** @typedef {{values: ReadonlyArray<[number, number]>}} Series seconds since the epoch, and a value */

/** A row of the list.
 * @typedef {object} Row
 * @property {string} id
 * @property {string} name
 * @property {string} protocols
 * @property {Array<[string, number]>} listeners by site
 * @property {Array<[string, number]>} connectors by site
 * @property {Figures} figures
 * @property {ReturnType<typeof errorsOf>} errors
 * @property {number} [octets] octets/s of the last value
 * @property {number} [requests] requests/s of the last value
 * @property {string} [trouble] why nobody gets an answer, in words */

/** @param {object} data
 * @param {ReadonlyArray<Service>} data.services
 * @param {ReadonlyArray<Place>} data.listeners
 * @param {ReadonlyArray<Place>} data.connectors
 * @param {(query: string, service: string) => number | undefined} data.value
 * @param {(query: string, service: string) => number | undefined} data.last
 * @returns {Row[]} */
export function rowsOf({ services, listeners, connectors, value, last }) {
  const listening = sitesOf(listeners);
  const connecting = sitesOf(connectors);
  return services.map((service) => {
    /** @type {Figures} */
    const figures = {};
    for (const name of /** @type {const} */ (['requests', 'badRequests', 'connections', 'failed', 'open', 'p50', 'p95'])) {
      const found = value(name, service.name);
      if (found !== undefined && Number.isFinite(found)) figures[name] = found;
    }
    const row = {
      id: service.identity,
      name: service.name,
      protocols: protocolsOf(service),
      listeners: listening.get(service.name) ?? [],
      connectors: connecting.get(service.name) ?? [],
      figures,
      errors: errorsOf(figures),
      octets: last('octets', service.name),
      requests: last('requests', service.name),
    };
    return { ...row, trouble: troubleOf(row) };
  });
}

/** Why nobody gets an answer; undefined where somebody does, or nothing says that nobody would.
 * @param {Pick<Row, 'listeners' | 'connectors' | 'errors'>} row
 * @returns {string | undefined} */
export function troubleOf(row) {
  if (row.connectors.length === 0 && row.listeners.length === 0) return 'Neither a listener nor a connector is known';
  if (row.connectors.length === 0) return 'No server anywhere: add a connector';
  if (row.listeners.length === 0) return 'Nobody can reach it: add a listener';
  const errors = row.errors;
  if (errors && errors.share === 1) return `${errors.errors} of ${units.counted(errors.units, errors.unit)} failed`;
  return undefined;
}

/** @typedef {'trouble' | 'octets' | 'name'} Order */

/** @param {ReadonlyArray<Row>} rows @param {Order} order @returns {Row[]} */
export function ordered(rows, order) {
  /** @param {Row} row */
  const share = (row) => (row.errors && row.errors.share >= LOOK ? row.errors.share : 0);
  const byName = (/** @type {Row} */ a, /** @type {Row} */ b) => a.name.localeCompare(b.name);
  const byOctets = (/** @type {Row} */ a, /** @type {Row} */ b) => (b.octets ?? -1) - (a.octets ?? -1) || byName(a, b);
  const sorted = [...rows];
  if (order === 'name') sorted.sort(byName);
  else if (order === 'octets') sorted.sort(byOctets);
  else sorted.sort((a, b) => share(b) - share(a) || byOctets(a, b));
  return sorted;
}

/** What all of them come to; percentiles of a sum are none of the parts.
 * @param {ReadonlyArray<Row>} rows
 * @returns {{figures: Figures, errors: ReturnType<typeof errorsOf>, octets: number, requests: number,
 *   listeners: number, connectors: number}} */
export function totalOf(rows) {
  const sum = (/** @type {(row: Row) => number | undefined} */ of) => rows.reduce((all, row) => all + (of(row) ?? 0), 0);
  const count = (/** @type {Array<[string, number]>} */ sites) => sites.reduce((all, [, number]) => all + number, 0);
  const errors = sum((row) => row.errors?.errors);
  const units = sum((row) => row.errors?.units);
  return {
    figures: { open: sum((row) => row.figures.open) },
    errors: units > 0 ? { errors, units, share: errors / units, unit: 'request' } : undefined,
    octets: sum((row) => row.octets),
    requests: sum((row) => row.requests),
    listeners: sum((row) => count(row.listeners)),
    connectors: sum((row) => count(row.connectors)),
  };
}

/** @param {Service} service */
function protocolsOf(service) {
  const shown = { http1: 'HTTP/1', http2: 'HTTP/2' };
  const own = service.protocol ?? 'protocol not known';
  const seen = (service.observedApplicationProtocols ?? []).filter((name) => name !== own);
  return [own, ...seen].map((name) => shown[/** @type {'http1'} */ (name)] ?? name).join(', ');
}

/** The sites of each address, those with the most first.
 * @param {ReadonlyArray<Place>} places
 * @returns {Map<string, Array<[string, number]>>} */
function sitesOf(places) {
  /** @type {Map<string, Map<string, number>>} */
  const found = new Map();
  for (const place of places) {
    const sites = found.get(place.routingKey ?? '') ?? new Map();
    found.set(place.routingKey ?? '', sites);
    const site = place.siteName && place.siteName !== 'unknown' ? place.siteName : 'a site not known';
    sites.set(site, (sites.get(site) ?? 0) + 1);
  }
  return new Map([...found].map(([key, sites]) => [
    key, [...sites].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])),
  ]));
}
