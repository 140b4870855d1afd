/**
 * The panel at the side: what is selected, what goes through it, who talks to it most, and what failed last. Everything in
 * it leads on to the list that it comes from.
 * @module
 */
import * as addresses from './address.js';
import * as api from './api.js';
import { chart, ticks } from './chart.js';
import { drawing, fill, h, hint, quantity, s, sign } from './dom.js';
import * as filters from './filter.js';
import * as units from './units.js';

/** @typedef {import('./address.js').Address} Address */

/** The panel asks anew this often while it is live. */
const REFRESH_MS = 5000;
const STEPS = 60;

export class Panel {
  /**
   * @param {object} shell
   * @param {(change: Partial<Address>) => void} shell.go
   * @param {() => number} shell.now
   * @param {(range: import('./chart.js').TimeRange) => boolean} shell.isOld
   * @param {() => Address} shell.address
   */
  constructor(shell) {
    this.shell = shell;
    this.head = h('header');
    this.facts = h('dl.facts');
    this.charts = h('section.charts', { 'aria-label': 'Over time' });
    this.talk = h('section');
    this.fails = h('section.fails');
    this.foot = h('footer');
    this.element = h('aside.panel', { 'aria-label': 'What is selected', hidden: true, tabindex: -1 },
      this.head, this.facts, this.charts, this.talk, this.fails, this.foot);
    this.shown = '';
    this.askedAt = 0;
    this.asking = new AbortController();
  }

  /** @param {Address} address */
  show(address) {
    const { selection } = address;
    this.element.hidden = selection === null;
    const shown = selection ? `${selection.type}:${selection.id} ${address.span} ${address.end}` : '';
    if (shown === this.shown) return;
    const same = selection !== null && shown.startsWith(this.shown.split(' ')[0] || ' ');
    this.shown = shown;
    this.asking.abort();
    if (!selection) return;
    if (!same) {
      for (const part of [this.head, this.facts, this.charts, this.talk, this.fails, this.foot]) part.replaceChildren();
      this.element.scrollTop = 0;
    }
    this.ask(address);
  }

  tick() {
    const address = this.shell.address();
    if (address.selection && address.end === null && performance.now() - this.askedAt >= REFRESH_MS) this.ask(address);
  }

  /** @param {Address} address */
  async ask(address) {
    const { selection } = address;
    if (!selection) return;
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.askedAt = performance.now();
    try {
      const subject = await find(selection, signal, this.shell.now());
      if (signal.aborted) return;
      if (subject === null) {
        this.showHead({ kind: selection.type, name: selection.id, state: null });
        fill(this.facts, h('dd.wide', 'It has ended, and is older than what is kept.'));
        return;
      }
      this.showHead(subject);
      fill(this.facts, subject.facts.flatMap(({ name, value }) => [h('div', h('dt', name), h('dd', value))]));
      this.showFoot(subject, address);
      await Promise.all([
        this.showCharts(subject, address, signal), this.showTalk(subject, address, signal), this.showFails(subject, address, signal),
      ]);
    } catch (error) {
      const failure = api.failureOf(error, signal);
      // What is there stays; the bar says how old it is.
      if (failure && this.facts.childElementCount === 0) fill(this.facts, h('dd.wide', failure.message));
    }
  }

  /** @param {{ kind: string, name: string, state: Subject['state'] }} subject */
  showHead({ kind, name, state }) {
    const text = JSON.stringify([kind, name, state]);
    if (this.head.dataset.text === text && this.head.childElementCount > 0) return;
    this.head.dataset.text = text;
    fill(this.head,
      h('div.over', kind), h('h2', name),
      h('button.x', { 'aria-label': 'Close', onclick: () => this.shell.go({ selection: null }) },
        drawing('svg.ic', 12, 12, s('path', { d: 'M2 2l8 8M10 2l-8 8' }))),
      state ? h('p.st', sign(state.severity), state.text) : null);
  }

  /**
   * @param {Subject} subject
   * @param {Address} address
   * @param {AbortSignal} signal
   */
  async showCharts(subject, address, signal) {
    if (subject.charts.length === 0) {
      fill(this.charts);
      return;
    }
    const range = addresses.bounds(address, this.shell.now());
    const window = Math.max(15, Math.ceil(address.span / STEPS) * 2);
    const old = subject.failures !== null && this.shell.isOld(range);
    const drawn = await Promise.all(subject.charts.map(async (each) => {
      const lines = await Promise.all(each.lines.map(async (line) => ({
        ...line, points: old && line.ended ? (await api.ended(line.ended.list, [...subject.failures ?? [], ...line.ended.only ?? []], line.ended.names, range, STEPS, signal)).get('') ?? []
          : (await api.queryRange(line.query(`${window}s`), range, STEPS, signal))[0]?.points ?? [],
      })));
      return { each, lines };
    }));
    if (signal.aborted) return;
    fill(this.charts,
      h('h3', `Last ${units.text(units.duration(address.span * 1e6))}`, h('span', old ? 'of what ended' : address.end === null ? 'now' : 'at its end')),
      drawn.map(({ each, lines }) => {
        const bars = lines.find((line) => line.kind === 'bars');
        const values = lines.filter((line) => line.kind !== 'bars').map((line) => lastOf(line.points, range.end));
        const main = values[0] === null ? null : each.format(values[0]);
        const second = values.length > 1 && values[1] !== null ? each.format(values[1]) : null;
        const errors = bars ? sum(bars.points) / (sum(lines[0].points) || 1) : 0;
        return h('div.ch',
          h('div.chl', each.name, h('small', bars && sum(bars.points) > 0
            ? [h('span.eb'), `${units.text(units.share(Math.min(1, errors)))} ${each.errors ?? ''}`] : each.under ?? '')),
          chart({ lines, range, label: each.name, format: each.format, height: 40 }),
          h('div.chv', main ? [main.value, h('i', main.unit)] : h('span.na', each.unknown ?? 'not seen'),
            second ? h('span.p5', second.value, h('i', second.unit)) : null));
      }),
      h('div.chx', axis(range)));
  }

  /**
   * @param {Subject} subject
   * @param {Address} address
   * @param {AbortSignal} signal
   */
  async showTalk(subject, address, signal) {
    const parts = await Promise.all(subject.talk.map(async (each) => ({ each, answer: await talkers(each, address, signal) })));
    if (signal.aborted) return;
    fill(this.talk, parts.filter(({ answer }) => answer.rows.length > 0).flatMap(({ each, answer }) => {
      const most = Math.max(...answer.rows.map((row) => row.octets), 1);
      return [
        h('h3', each.title, h('a', { href: addresses.format(addresses.changed(address, { view: 'connections', filter: each.filter })) },
          units.counted(answer.connections, 'connection'))),
        h('table.talk',
          h('thead', h('tr', [each.column, h('span.vh', 'Share'), 'Octets', 'Conns', 'p95'].map((title) => h('th', { scope: 'col' }, title)))),
          h('tbody', answer.rows.map((row) => {
            const bar = h('span');
            bar.style.width = `${Math.max(1, (row.octets / most) * 100)}%`;
            return h('tr', null,
              h('th', { scope: 'row', title: row.name }, row.name, h('small', row.site)),
              h('td.bar', bar),
              h('td', quantity(units.octets(row.octets))), h('td', units.count(row.connections)),
              h('td', quantity(units.duration(row.p95), 'unknown')));
          }))),
      ];
    }));
  }

  /**
   * @param {Subject} subject
   * @param {Address} address
   * @param {AbortSignal} signal
   */
  async showFails(subject, address, signal) {
    if (subject.failures === null) {
      fill(this.fails);
      return;
    }
    const { rows, requests, connections } = await failures(subject.failures, address, signal);
    if (signal.aborted) return;
    const now = this.shell.now();
    /** @param {string} view @param {string} extra @param {number} count @param {string} word */
    const link = (view, extra, count, word) => (count === 0 ? null
      : h('a', { href: addresses.format(addresses.changed(address, { view, filter: `${subject.filter} ${extra}`.trim() })) }, units.counted(count, word)));
    fill(this.fails,
      h('h3', 'Last failures', h('span', link('requests', 'status:5xx', requests, 'request'), requests && connections ? ', ' : null,
        link('connections', 'error:*', connections, 'connection'))),
      rows.length === 0 ? h('p.na', `None in the last ${units.text(units.duration(address.span * 1e6))}.`)
        : h('ol', rows.map((row) => h('li', null,
          h('time', { datetime: units.iso(row.time), title: units.whole(row.time) }, units.moment(row.time, now)),
          sign('bad'), h('span', h('b', row.what), ` ${row.text}`, h('small', row.detail))))));
  }

  /** @param {Subject} subject @param {Address} address */
  showFoot(subject, address) {
    /** @param {string} view @param {string} text @param {string} key */
    const to = (view, text, key) => h('a', { href: addresses.format(addresses.changed(address, { view, filter: subject.filter })) }, text, hint(key));
    fill(this.foot,
      subject.filter ? [to('connections', 'Connections', 'c'), to('requests', 'Requests', 'r')] : null,
      h('a', { href: addresses.format(addresses.changed(address, { view: 'health', filter: subject.filter || `"${subject.name}"` })) }, 'Events', hint('h')),
      h('a', { href: api.address(`api/${subject.path}`).href }, 'JSON'));
  }
}

/** The last value, where it is of the end of the range. @param {[number, number][]} points @param {number} end */
function lastOf(points, end) {
  const last = points[points.length - 1];
  return last && Number.isFinite(last[1]) && end - last[0] < 120e6 ? last[1] : null;
}

/** @param {[number, number][]} points */
function sum(points) {
  return points.reduce((total, point) => total + (Number.isFinite(point[1]) ? point[1] : 0), 0);
}

/** @param {{ start: number, end: number }} range */
function axis(range) {
  return ticks(range, 4).map((at) => {
    const mark = h('span', units.mark(at));
    mark.style.left = `${((at - range.start) / (range.end - range.start)) * 100}%`;
    return mark;
  });
}

// What there is to know of what can be selected: its facts, which metrics are about it, and which connections are its.

/** The same of what ended, for a time before there are metrics.
 * @typedef {{ list: 'connections' | 'applicationflows', names: string[], only?: [string, string][] }} Ended */

/**
 * @typedef {object} ChartOf
 * @property {string} name
 * @property {string} [under] a second, smaller line
 * @property {string} [errors] what bars count
 * @property {string} [unknown] the words where there is no value
 * @property {(value: number) => units.Quantity | null} format
 * @property {{ query: (window: string) => string, kind?: 'area' | 'line' | 'dashed' | 'bars', name?: string, ended?: Ended }[]} lines
 */

/**
 * @typedef {object} Talk
 * @property {string} title
 * @property {string} column
 * @property {'source' | 'dest'} end whose names are listed
 * @property {[string, string][]} parameters of the list of connections
 * @property {string} filter the same in the filter box
 */

/**
 * @typedef {object} Subject
 * @property {string} kind
 * @property {string} name
 * @property {{ severity: import('./dom.js').Severity, text: string } | null} state
 * @property {{ name: string, value: import('./dom.js').Child | import('./dom.js').Child[] }[]} facts
 * @property {ChartOf[]} charts
 * @property {Talk[]} talk
 * @property {[string, string][] | null} failures parameters of the lists
 * @property {string} filter what shows the same in a list
 * @property {string} path where its JSON is, below `api/`
 */

/**
 * @param {import('./address.js').Selection} selection
 * @param {AbortSignal} signal
 * @param {number} now
 * @returns {Promise<Subject | null>} null where there is no such thing
 */
async function find(selection, signal, now) {
  const found = { service, site, router, link, component, process, edge }[selection.type];
  return found ? found(selection.id, signal, now) : null;
}

/** @typedef {Record<string, any>} Row */

/**
 * @param {string} path
 * @param {[string, string][]} parameters
 * @param {AbortSignal} signal
 * @returns {Promise<{ results: Row[], count: number, timeRangeCount: number }>}
 */
function list(path, parameters, signal) {
  return api.get(api.withQuery(`v2alpha1/${path}`, parameters), signal);
}

/**
 * One thing of a list by its identity, also after it ended.
 * @param {string} path
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Row | null>}
 */
async function one(path, id, signal) {
  try {
    const answer = await api.get(`v2alpha1/${path}/${encodeURIComponent(id)}`, signal);
    const found = /** @type {{ results: Row | Row[] }} */ (answer).results;
    return (Array.isArray(found) ? found[0] : found) ?? null;
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 404) return null;
    throw error;
  }
}

/** @param {Row[]} rows */
function bySite(rows) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const row of rows) counts.set(row.siteName || 'unknown site', (counts.get(row.siteName || 'unknown site') ?? 0) + 1);
  return units.listed([...counts].sort((a, b) => a[0].localeCompare(b[0])));
}

/** Facts that are known. @param {[string, import('./dom.js').Child | import('./dom.js').Child[]][]} pairs */
function facts(pairs) {
  return pairs.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== 'unknown').map(([name, value]) => ({ name, value }));
}

/**
 * The charts of what connections match the selectors.
 * @param {string[]} selectors such as `routing_key="catalog:8080"`; each an alternative
 * @param {string | null} narrow the selector of the latencies, which are kept by service and site
 * @returns {ChartOf[]}
 */
function traffic(selectors, narrow) {
  /** @param {string} metric @param {string} [more] */
  const of = (metric, more = '') => (/** @type {string} */ window) => {
    const each = selectors.map((selector) => `rate(${metric}{${selector}${more}}[${window}])`);
    return `sum(${each.join(' or ')})`;
  };
  /** @type {ChartOf[]} */
  const charts = [
    {
      name: 'Octets', under: 'both ways', format: units.octetRate,
      lines: [{ query: (window) => `${of('skupper_sent_bytes_total')(window)} + ${of('skupper_received_bytes_total')(window)}`, ended: { list: 'connections', names: api.OCTETS } }],
    },
    {
      name: 'Connections', under: 'opened', errors: 'failed', format: units.rate,
      lines: [
        { query: of('skupper_connections_opened_total'), ended: { list: 'connections', names: ['count'] } },
        { query: of('skupper_connections_failed_total', ',side="listener"'), kind: 'bars', name: 'failed', ended: { list: 'connections', names: ['count'], only: [['listenerError|connectorError', '*']] } },
      ],
    },
    {
      name: 'Requests', under: 'ended', errors: 'errors', format: units.rate,
      lines: [
        { query: of('skupper_requests_total'), ended: { list: 'applicationflows', names: ['count'] } },
        { query: of('skupper_requests_total', ',code=~"5xx|unknown"'), kind: 'bars', name: 'errors', ended: { list: 'applicationflows', names: ['count'], only: [['status', '5']] } },
      ],
    },
  ];
  if (narrow !== null) {
    /** @param {number} quantile */
    const quantile = (quantile) => (/** @type {string} */ window) => `histogram_quantile(${quantile}, sum by (le) (rate(skupper_connection_latency_seconds_bucket{${narrow},side="listener"}[${window}]))) * 1e6`;
    charts.push({
      name: 'First octet', under: 'p95 and p50', format: units.duration, unknown: 'none',
      lines: [{ query: quantile(0.95), kind: 'line', name: 'p95' }, { query: quantile(0.5), kind: 'dashed', name: 'p50' }],
    });
  }
  return charts;
}

/** @param {string} id identity, or address @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function service(id, signal) {
  const { results } = await list('services', [['identity|name', id], ['state', 'all']], signal);
  const found = results.find((row) => row.identity === id || row.name === id);
  if (!found) return null;
  const name = String(found.name);
  const [listeners, connectors, open] = await Promise.all([
    list('listeners', [['serviceId', found.identity]], signal), list('connectors', [['serviceId', found.identity]], signal),
    list('connections', [['routingKey', name], ['state', 'active'], ['limit', '0']], signal),
  ]);
  const [heard, served] = [listeners.results.length, connectors.results.length];
  const counts = `${units.counted(heard, 'listener')}, ${units.counted(served, 'connector')}`;
  return {
    kind: 'Service', name,
    state: served === 0 ? { severity: 'bad', text: `No server anywhere: ${counts}` }
      : heard === 0 ? { severity: 'warn', text: `Nobody can connect: ${counts}` } : { severity: 'fine', text: `Reachable: ${counts}` },
    facts: facts([
      ['Listeners', bySite(listeners.results) || 'none'], ['Connectors', bySite(connectors.results) || 'none'],
      ['Protocol', [found.protocol, ...(found.observedApplicationProtocols ?? [])].filter(Boolean).join(', ')],
      ['Open now', units.counted(open.timeRangeCount, 'connection')],
    ]),
    charts: traffic([`routing_key=${api.quoted(name)}`], `routing_key=${api.quoted(name)}`),
    talk: [{ title: 'Who talks to it most', column: 'Client', end: 'source', parameters: [['routingKey', name]], filter: term('service', name) }],
    failures: [['routingKey', name]], filter: term('service', name), path: `v2alpha1/services/${encodeURIComponent(found.identity)}`,
  };
}

/** @param {string} id @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function site(id, signal) {
  const found = await one('sites', id, signal);
  if (!found) return null;
  const [routers, processes, links] = await Promise.all([
    list('routers', [['siteId', id]], signal), list('processes', [['siteId', id], ['limit', '0']], signal), list('routerlinks', [], signal),
  ]);
  const own = links.results.filter((row) => row.sourceSiteId === id || row.destinationSiteId === id);
  const selector = ['source_site_id', 'dest_site_id'].map((label) => `${label}=${api.quoted(id)}`);
  return {
    kind: 'Site', name: found.name,
    state: linked(found, own),
    facts: facts([
      ['Platform', [found.platform, found.provider].filter(Boolean).join(', ')], ['Version', found.version], ['Namespace', found.namespace],
      ['Routers', routers.results.map((row) => units.router(row.name)).join(', ')], ['Processes', units.count(processes.timeRangeCount)],
    ]),
    charts: traffic(selector, selector[0]),
    talk: [
      { title: 'Its clients talk most to', column: 'Server', end: 'dest', parameters: [['sourceSiteId', id]], filter: term('site', found.name) },
      { title: 'Who talks to its servers most', column: 'Client', end: 'source', parameters: [['destSiteId', id]], filter: term('site', found.name) },
    ],
    failures: [['sourceSiteId|destSiteId', id]], filter: term('site', found.name), path: `v2alpha1/sites/${encodeURIComponent(id)}`,
  };
}

/** How what has links is. @param {Row} found @param {Row[]} links @returns {Subject['state']} */
function linked(found, links) {
  if (found.endTime) return { severity: 'bad', text: `Gone since ${units.whole(found.endTime)}` };
  const down = links.filter((row) => row.status !== 'up').length;
  const all = units.counted(links.length, 'link');
  return down > 0 ? { severity: 'bad', text: `${down} of ${all} down` } : { severity: 'fine', text: `${all} up` };
}

/** @param {string} id @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function router(id, signal) {
  const found = await one('routers', id, signal);
  if (!found) return null;
  const [sites, links] = await Promise.all([list('sites', [], signal), list('routerlinks', [], signal)]);
  const name = units.router(found.name);
  const own = links.results.filter((row) => row.routerId === id || row.destinationRouterId === id);
  return {
    kind: 'Router', name,
    state: linked(found, own),
    facts: facts([
      ['Site', sites.results.find((row) => row.identity === found.siteId)?.name], ['Mode', found.mode], ['Version', found.buildVersion],
      ['Host', found.hostName], ['Started', found.startTime ? units.whole(found.startTime).slice(0, 19) : null],
      ['Links', own.map((row) => units.router((row.routerId === id ? row.destinationRouterName : row.routerName) ?? 'not known')).join(', ')],
    ]),
    charts: bothWays(`skupper_router_%_bytes_total{site_id=${api.quoted(found.siteId)},router_name=${api.quoted(found.name)}}`, 'Sent', 'Received', 'over links'),
    talk: [{ title: 'Who goes through it most', column: 'Client', end: 'source', parameters: [['traceRouters', found.name]], filter: term('router', name) }],
    failures: [['traceRouters', found.name]], filter: term('router', name), path: `v2alpha1/routers/${encodeURIComponent(id)}`,
  };
}

/** @param {string} id @param {AbortSignal} signal @param {number} now @returns {Promise<Subject | null>} */
async function link(id, signal, now) {
  const { lastDown, linkState, network } = await import('./views/way.js');
  const found = (await network(signal)).links.find((each) => each.identity === id);
  if (!found) return null;
  const [from, to] = [units.router(found.routerName ?? ''), units.router(found.destinationRouterName ?? '')];
  return {
    kind: 'Link between routers', name: `${from} – ${to || found.name}`,
    state: found.endTime ? linked(found, []) : { severity: found.status === 'up' ? 'fine' : 'bad', text: `Link ${linkState(found, now)}` },
    facts: facts([
      ['Was down', found.downCount ? `${units.count(found.downCount)}×, ${lastDown(found, now)}` : null],
      ['From', `${from} in ${found.sourceSiteName}`], ['To', to ? `${to} in ${found.destinationSiteName}` : 'not known'], ['Cost', found.cost], ['Role', found.role],
      ['Sent', found.octetCountKnown ? units.text(units.octets(found.octetCount)) : 'not reported by this router'],
      ['Received', found.octetReverseCountKnown ? units.text(units.octets(found.octetReverseCount)) : 'not reported by this router'],
    ]),
    charts: bothWays(`skupper_link_%_bytes_total{site_id=${api.quoted(found.sourceSiteId ?? '')},router_name=${api.quoted(found.routerName || 'unknown')},dest_router_name=${api.quoted(found.destinationRouterName || 'unknown')},link=${api.quoted(found.name || 'unknown')}}`, 'To', 'From', to),
    talk: [], failures: null, filter: '', path: `v2alpha1/routerlinks/${encodeURIComponent(id)}`,
  };
}

/**
 * The charts of octets over links.
 * @param {string} selector with a percent sign for the way
 * @param {string} sent
 * @param {string} received
 * @param {string} under
 * @returns {ChartOf[]}
 */
function bothWays(selector, sent, received, under) {
  return [[sent, 'sent'], [received, 'received']].map(([name, way]) => ({
    name, under, unknown: 'not reported', format: units.octetRate, lines: [{ query: (window) => `sum(rate(${selector.replace('%', way)}[${window}]))` }],
  }));
}

/** The most processes of a component whose connections are asked for one by one. */
const MOST_PROCESSES = 30;

/** @param {string} id @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function component(id, signal) {
  const found = await one('components', id, signal);
  if (!found) return null;
  const { results } = await list('processes', [['componentId', id], ['limit', String(MOST_PROCESSES)]], signal);
  const ids = results.map((row) => row.identity);
  const [selectors, filter] = [['source_component_id', 'dest_component_id'].map((label) => `${label}=${api.quoted(id)}`), term('component', found.name)];
  return {
    kind: found.role === 'remote' ? 'Clients from outside' : 'Component', name: found.name,
    state: found.endTime ? { severity: 'unknown', text: `Ended ${units.whole(found.endTime)}` } : null,
    facts: facts([
      ['Processes', units.count(found.processCount)], ['Sites', bySite(results)], ['Role', found.role],
      ['Images', [...new Set(results.map((row) => row.imageName).filter(Boolean))].join(', ')],
      ['Serves', served(results)],
    ]),
    charts: traffic(selectors, null), talk: ends(ids, filter),
    failures: ids.length > 0 ? ids.map((each) => ['sourceProcessId|destProcessId', each]) : null,
    filter, path: `v2alpha1/components/${encodeURIComponent(id)}`,
  };
}

/** @param {string} id @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function process(id, signal) {
  const found = await one('processes', id, signal);
  if (!found) return null;
  const [selectors, filter] = [['source_process_name', 'dest_process_name'].map((label) => `${label}=${api.quoted(found.name)}`), term('process', found.name)];
  return {
    kind: 'Process', name: found.name,
    state: found.endTime ? { severity: 'unknown', text: `Ended ${units.whole(found.endTime)}` } : { severity: 'fine', text: `Running since ${units.whole(found.startTime).slice(0, 19)}` },
    facts: facts([
      ['Site', found.siteName], ['Component', h('a', { href: `#map?select=component:${encodeURIComponent(found.componentId)}` }, found.componentName)],
      ['Address', found.sourceHost], ['Host', found.hostName], ['Image', found.imageName],
      ['Serves', served([found])],
    ]),
    charts: traffic(selectors, null), talk: ends([id], filter), failures: [['sourceProcessId|destProcessId', id]], filter,
    path: `v2alpha1/processes/${encodeURIComponent(id)}`,
  };
}

/** The services of processes, each once. @param {Row[]} processes */
function served(processes) {
  return [...new Set(processes.flatMap((row) => row.services ?? []).map((each) => String(each).split('@')[0]))].join(', ');
}

/** @param {string[]} ids @param {string} filter @returns {Talk[]} */
function ends(ids, filter) {
  if (ids.length === 0) return [];
  return [
    { title: 'Who talks to it most', column: 'Client', end: 'source', parameters: ids.map((id) => ['destProcessId', id]), filter },
    { title: 'Whom it talks to most', column: 'Server', end: 'dest', parameters: ids.map((id) => ['sourceProcessId', id]), filter },
  ];
}

/**
 * An edge of the map: from one box to another, of components, processes or sites.
 * @param {string} id `SOURCE>DESTINATION`
 * @param {AbortSignal} signal
 * @returns {Promise<Subject | null>}
 */
async function edge(id, signal) {
  const [from, to] = await Promise.all(id.split('>').map((each) => box(each, signal)));
  if (!from || !to) return null;
  const selector = `source_${from.label}=${api.quoted(from.value)},dest_${to.label}=${api.quoted(to.value)}`;
  /** @type {[string, string][]} */
  const parameters = [...from.ids.map((each) => /** @type {[string, string]} */ ([`source${from.property}`, each])), ...to.ids.map((each) => /** @type {[string, string]} */ ([`dest${to.property}`, each]))];
  const services = await list('connections', [...parameters, ['timeRangeStart', '-900s'], ['groupBy', 'routingKey'], ['aggregate', 'count'], ['sortBy', 'count.desc'], ['limit', '10']], signal);
  const filter = `${term(from.kind, from.name)} ${to.kind === from.kind ? '' : term(to.kind, to.name)}`.trim();
  return {
    kind: 'From client to server', name: `${from.name} → ${to.name}`, state: null,
    facts: facts([['Client', `${from.kind} ${from.name}`], ['Server', `${to.kind} ${to.name}`], ['Services', services.results.map((row) => row.routingKey).join(', ')]]),
    charts: traffic([selector], from.property === 'SiteId' && to.property === 'SiteId' ? selector : null),
    talk: [{ title: 'Who talks most', column: 'Client', end: 'source', parameters, filter }], failures: parameters, filter,
    path: api.withQuery('v2alpha1/connections', [...parameters, ['limit', '100']]),
  };
}

/** @param {string} id @param {AbortSignal} signal */
async function box(id, signal) {
  const [foundComponent, foundSite, foundProcess] = await Promise.all([one('components', id, signal), one('sites', id, signal), one('processes', id, signal)]);
  if (foundSite) return { kind: 'site', name: foundSite.name, label: 'site_id', value: id, property: 'SiteId', ids: [id] };
  if (foundProcess) return { kind: 'process', name: foundProcess.name, label: 'process_name', value: foundProcess.name, property: 'ProcessId', ids: [id] };
  if (!foundComponent) return null;
  const { results } = await list('processes', [['componentId', id], ['limit', String(MOST_PROCESSES)]], signal);
  return { kind: 'component', name: foundComponent.name, label: 'component_id', value: id, property: 'ProcessId', ids: results.map((row) => row.identity) };
}

/**
 * Who talks most, by octets both ways.
 * @param {Talk} talk
 * @param {Address} address
 * @param {AbortSignal} signal
 */
async function talkers({ end, parameters }, address, signal) {
  const [name, siteName] = [`${end}ProcessName`, `${end}SiteName`];
  const { results } = await list('connections', [
    ...parameters, ...addresses.timeParameters(address), ['groupBy', `${name},${siteName}`],
    ['aggregate', 'count,sum(octetCount),sum(octetReverseCount),p95(latency)'], ['sortBy', 'count.desc'], ['limit', '200'],
  ], signal);
  const rows = results.map((row) => ({
    name: row[name] || 'not reported', site: row[siteName] || '', connections: Number(row.count),
    octets: Number(row['sum(octetCount)'] ?? 0) + Number(row['sum(octetReverseCount)'] ?? 0), p95: row['p95(latency)'] ?? null,
  })).sort((a, b) => b.octets - a.octets);
  return { rows: rows.slice(0, 4), connections: rows.reduce((total, row) => total + row.connections, 0) };
}

/**
 * What failed last: requests that ended with 5xx, and connections.
 * @param {[string, string][]} parameters
 * @param {Address} address
 * @param {AbortSignal} signal
 */
async function failures(parameters, address, signal) {
  const last = (/** @type {string} */ path, /** @type {string} */ name, /** @type {string} */ value) => list(path, [
    ...parameters, ...addresses.timeParameters(address), [name, value], ['sortBy', 'startTime.desc'], ['limit', '4'],
  ], signal);
  const [requests, connections] = await Promise.all([last('applicationflows', 'status', '5'), last('connections', 'listenerError|connectorError', '*')]);
  const rows = [
    ...requests.results.map((row) => ({
      time: row.endTime || row.startTime, what: String(row.status), text: `${row.method ?? ''} ${row.sourceProcessName ?? 'client not reported'}`.trim(),
      detail: `to ${row.destProcessName || row.routingKey}, ${units.text(units.duration(row.duration))}`,
    })),
    ...connections.results.map((row) => ({
      time: row.startTime, what: 'failed', text: `${row.sourceProcessName ?? row.sourceHost ?? 'client not reported'} to ${row.routingKey}`,
      detail: row.connectorError || row.listenerError,
    })),
  ].sort((a, b) => b.time - a.time);
  return { rows: rows.slice(0, 4), requests: requests.timeRangeCount, connections: connections.timeRangeCount };
}

/** A term of the filter. @param {string} key @param {string} value */
function term(key, value) {
  return filters.format([{ key, value, negated: false }]);
}
