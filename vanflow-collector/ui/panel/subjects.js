/**
 * What there is to know of what can be selected: its facts, which metrics are about it, and which connections are its.
 * @module
 */
import * as addresses from '../address.js';
import * as api from '../api.js';
import { h } from '../dom.js';
import * as units from '../units.js';

/** @typedef {import('../address.js').Address} Address */

/**
 * @typedef {object} ChartOf
 * @property {string} name
 * @property {string} [under] a second, smaller line
 * @property {string} [errors] what bars count
 * @property {string} [unknown] the words where there is no value
 * @property {(value: number) => units.Quantity | null} format
 * @property {{ query: (window: string) => string, kind?: 'area' | 'line' | 'dashed' | 'bars', name?: string }[]} lines
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
 * @property {{ severity: import('../dom.js').Severity, text: string } | null} state
 * @property {{ name: string, value: import('../dom.js').Child | import('../dom.js').Child[] }[]} facts
 * @property {ChartOf[]} charts
 * @property {Talk[]} talk
 * @property {[string, string][][] | null} failures parameters of the lists, each set an alternative
 * @property {string} filter what shows the same in a list
 * @property {string} path where its JSON is, below `api/`
 */

/**
 * @param {import('../address.js').Selection} selection
 * @param {Address} address
 * @param {AbortSignal} signal
 * @returns {Promise<Subject | null>} null where there is no such thing
 */
export async function find(selection, address, signal) {
  switch (selection.type) {
    case 'service': return service(selection.id, address, signal);
    case 'site': return site(selection.id, signal);
    case 'router': return router(selection.id, signal);
    case 'link': return link(selection.id, signal);
    case 'component': return component(selection.id, signal);
    case 'process': return process(selection.id, signal);
    case 'edge': return edge(selection.id, signal);
    default: return null;
  }
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
  return [...counts].sort((a, b) => a[0].localeCompare(b[0])).map(([name, count]) => (count > 1 ? `${name} ×${count}` : name)).join(', ');
}

/** @param {string} name @param {import('../dom.js').Child | import('../dom.js').Child[]} value */
const fact = (name, value) => ({ name, value });

/** Facts that are known. @param {[string, import('../dom.js').Child | import('../dom.js').Child[]][]} pairs */
function facts(pairs) {
  return pairs.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== 'unknown').map(([name, value]) => fact(name, value));
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
      lines: [{ query: (window) => `${of('skupper_sent_bytes_total')(window)} + ${of('skupper_received_bytes_total')(window)}` }],
    },
    {
      name: 'Connections', under: 'opened', errors: 'failed', format: units.rate,
      lines: [{ query: of('skupper_connections_opened_total') }, { query: of('skupper_connections_failed_total', ',side="listener"'), kind: 'bars', name: 'failed' }],
    },
    {
      name: 'Requests', under: 'ended', errors: 'errors', format: units.rate,
      lines: [{ query: of('skupper_requests_total') }, { query: of('skupper_requests_total', ',code=~"5xx|unknown"'), kind: 'bars', name: 'errors' }],
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

/** @param {string} id identity, or address @param {Address} address @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function service(id, address, signal) {
  let found = await one('services', id, signal);
  found ??= (await list('services', [['name', id]], signal)).results.find((row) => row.name === id) ?? null;
  if (!found) return null;
  const name = String(found.name);
  const [listeners, connectors, open] = await Promise.all([
    list('listeners', [['serviceId', found.identity]], signal), list('connectors', [['serviceId', found.identity]], signal),
    list('connections', [['routingKey', name], ['state', 'active'], ['limit', '0']], signal),
  ]);
  const [heard, served] = [listeners.results.length, connectors.results.length];
  const counts = `${units.count(heard)} listener${heard === 1 ? '' : 's'}, ${units.count(served)} connector${served === 1 ? '' : 's'}`;
  void address;
  return {
    kind: 'Service', name,
    state: served === 0 ? { severity: 'bad', text: `No server anywhere: ${counts}` }
      : heard === 0 ? { severity: 'warn', text: `Nobody can connect: ${counts}` } : { severity: 'fine', text: `Reachable: ${counts}` },
    facts: facts([
      ['Listeners', bySite(listeners.results) || 'none'], ['Connectors', bySite(connectors.results) || 'none'],
      ['Protocol', [found.protocol, ...(found.observedApplicationProtocols ?? [])].filter(Boolean).join(', ')],
      ['Open now', `${units.count(open.timeRangeCount)} connections`],
    ]),
    charts: traffic([`routing_key=${api.quoted(name)}`], `routing_key=${api.quoted(name)}`),
    talk: [{ title: 'Who talks to it most', column: 'Client', end: 'source', parameters: [['routingKey', name]], filter: `service:${name}` }],
    failures: [[['routingKey', name]]], filter: `service:${name}`, path: `v2alpha1/services/${encodeURIComponent(found.identity)}`,
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
  const down = own.filter((row) => row.status !== 'up').length;
  const selector = ['source_site_id', 'dest_site_id'].map((label) => `${label}=${api.quoted(id)}`);
  return {
    kind: 'Site', name: found.name,
    state: found.endTime ? { severity: 'bad', text: `Gone since ${units.whole(found.endTime)}` }
      : down > 0 ? { severity: 'bad', text: `${down} of ${own.length} links down` } : { severity: 'fine', text: `${own.length} links up` },
    facts: facts([
      ['Platform', [found.platform, found.provider].filter(Boolean).join(', ')], ['Version', found.version], ['Namespace', found.namespace],
      ['Routers', routers.results.map((row) => units.router(row.name)).join(', ')], ['Processes', units.count(processes.timeRangeCount)],
    ]),
    charts: traffic(selector, selector[0]),
    talk: [
      { title: 'Its clients talk most to', column: 'Server', end: 'dest', parameters: [['sourceSiteId', id]], filter: `site:${found.name}` },
      { title: 'Who talks to its servers most', column: 'Client', end: 'source', parameters: [['destSiteId', id]], filter: `site:${found.name}` },
    ],
    failures: [[['sourceSiteId', id]], [['destSiteId', id]]], filter: `site:${quote(found.name)}`, path: `v2alpha1/sites/${encodeURIComponent(id)}`,
  };
}

/** @param {string} id @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function router(id, signal) {
  const found = await one('routers', id, signal);
  if (!found) return null;
  const [sites, links] = await Promise.all([list('sites', [], signal), list('routerlinks', [], signal)]);
  const name = units.router(found.name);
  const own = links.results.filter((row) => row.routerId === id || row.destinationRouterId === id);
  const down = own.filter((row) => row.status !== 'up').length;
  /** @param {string} metric */
  const of = (metric) => (/** @type {string} */ window) => `sum(rate(${metric}{site_id=${api.quoted(found.siteId)},router_name=${api.quoted(found.name)}}[${window}]))`;
  return {
    kind: 'Router', name,
    state: found.endTime ? { severity: 'bad', text: `Gone since ${units.whole(found.endTime)}` }
      : down > 0 ? { severity: 'bad', text: `${down} of ${own.length} links down` } : { severity: 'fine', text: `Up, ${own.length} link${own.length === 1 ? '' : 's'} up` },
    facts: facts([
      ['Site', sites.results.find((row) => row.identity === found.siteId)?.name], ['Mode', found.mode], ['Version', found.buildVersion],
      ['Host', found.hostName], ['Started', found.startTime ? units.whole(found.startTime).slice(0, 19) : null],
      ['Links', own.map((row) => units.router(row.routerId === id ? row.destinationRouterName : row.routerName) ?? '').filter(Boolean).join(', ')],
    ]),
    charts: [
      { name: 'Sent', under: 'over links', unknown: 'not reported', format: units.octetRate, lines: [{ query: of('skupper_router_sent_bytes_total') }] },
      { name: 'Received', under: 'over links', unknown: 'not reported', format: units.octetRate, lines: [{ query: of('skupper_router_received_bytes_total') }] },
    ],
    talk: [{ title: 'Who goes through it most', column: 'Client', end: 'source', parameters: [['traceRouters', found.name]], filter: `router:${name}` }],
    failures: [[['traceRouters', found.name]]], filter: `router:${quote(name)}`, path: `v2alpha1/routers/${encodeURIComponent(id)}`,
  };
}

/** @param {string} id @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function link(id, signal) {
  const found = await one('routerlinks', id, signal);
  if (!found) return null;
  const [from, to] = [units.router(found.routerName ?? ''), units.router(found.destinationRouterName ?? '')];
  /** @param {string} metric */
  const of = (metric) => (/** @type {string} */ window) => `sum(${metric.startsWith('skupper_link_errors') ? 'increase' : 'rate'}(${metric}{site_id=${api.quoted(found.sourceSiteId)},router_name=${api.quoted(found.routerName)},dest_router_name=${api.quoted(found.destinationRouterName)}}[${window}]))`;
  return {
    kind: 'Link between routers', name: `${from} – ${to || found.name}`,
    state: found.status === 'up' ? { severity: 'fine', text: `Up since ${units.whole(found.startTime).slice(0, 19)}` } : { severity: 'bad', text: 'Down' },
    facts: facts([
      ['From', `${from} in ${found.sourceSiteName}`], ['To', to ? `${to} in ${found.destinationSiteName}` : 'not known'], ['Cost', found.cost], ['Role', found.role],
      ['Sent', found.octetCountKnown ? units.text(units.octets(found.octetCount)) : 'not reported by this router'],
      ['Received', found.octetReverseCountKnown ? units.text(units.octets(found.octetReverseCount)) : 'not reported by this router'],
    ]),
    charts: [
      { name: 'To', under: to, unknown: 'not reported', format: units.octetRate, lines: [{ query: of('skupper_link_sent_bytes_total') }] },
      { name: 'From', under: to, unknown: 'not reported', format: units.octetRate, lines: [{ query: of('skupper_link_received_bytes_total') }] },
    ],
    talk: [], failures: null, filter: '', path: `v2alpha1/routerlinks/${encodeURIComponent(id)}`,
  };
}

/** The most processes of a component whose connections are asked for one by one. */
const MOST_PROCESSES = 30;

/** @param {string} id @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function component(id, signal) {
  const found = await one('components', id, signal);
  if (!found) return null;
  const { results } = await list('processes', [['componentId', id], ['limit', String(MOST_PROCESSES)]], signal);
  const ids = results.map((row) => row.identity);
  const [selectors, filter] = [['source_component_id', 'dest_component_id'].map((label) => `${label}=${api.quoted(id)}`), `component:${quote(found.name)}`];
  return {
    kind: found.role === 'remote' ? 'Clients from outside' : 'Component', name: found.name,
    state: found.endTime ? { severity: 'unknown', text: `Ended ${units.whole(found.endTime)}` } : null,
    facts: facts([
      ['Processes', units.count(found.processCount)], ['Sites', bySite(results)], ['Role', found.role],
      ['Images', [...new Set(results.map((row) => row.imageName).filter(Boolean))].join(', ')],
      ['Serves', [...new Set(results.flatMap((row) => row.services ?? []).map((each) => String(each).split('@')[0]))].join(', ')],
    ]),
    charts: traffic(selectors, null), talk: ends(ids, filter),
    failures: ids.length > 0 ? ['sourceProcessId', 'destProcessId'].map((name) => ids.map((each) => /** @type {[string, string]} */ ([name, each]))) : null,
    filter, path: `v2alpha1/components/${encodeURIComponent(id)}`,
  };
}

/** @param {string} id @param {AbortSignal} signal @returns {Promise<Subject | null>} */
async function process(id, signal) {
  const found = await one('processes', id, signal);
  if (!found) return null;
  const [selectors, filter] = [['source_process_name', 'dest_process_name'].map((label) => `${label}=${api.quoted(found.name)}`), `process:${quote(found.name)}`];
  return {
    kind: 'Process', name: found.name,
    state: found.endTime ? { severity: 'unknown', text: `Ended ${units.whole(found.endTime)}` } : { severity: 'fine', text: `Running since ${units.whole(found.startTime).slice(0, 19)}` },
    facts: facts([
      ['Site', found.siteName], ['Component', h('a', { href: `#map?select=component:${encodeURIComponent(found.componentId)}` }, found.componentName)],
      ['Address', found.sourceHost], ['Host', found.hostName], ['Image', found.imageName],
      ['Serves', (found.services ?? []).map((/** @type {unknown} */ each) => String(each).split('@')[0]).join(', ')],
    ]),
    charts: traffic(selectors, null), talk: ends([id], filter), failures: [[['sourceProcessId', id]], [['destProcessId', id]]], filter,
    path: `v2alpha1/processes/${encodeURIComponent(id)}`,
  };
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
  const filter = `${from.key}:${quote(from.name)} ${to.key === from.key ? '' : `${to.key}:${quote(to.name)}`}`.trim();
  return {
    kind: 'From client to server', name: `${from.name} → ${to.name}`, state: null,
    facts: facts([['Client', `${from.kind} ${from.name}`], ['Server', `${to.kind} ${to.name}`], ['Services', services.results.map((row) => row.routingKey).join(', ')]]),
    charts: traffic([selector], from.property === 'SiteId' && to.property === 'SiteId' ? selector : null),
    talk: [{ title: 'Who talks most', column: 'Client', end: 'source', parameters, filter }], failures: [parameters], filter,
    path: api.withQuery('v2alpha1/connections', [...parameters, ['limit', '100']]),
  };
}

/** @param {string} id @param {AbortSignal} signal */
async function box(id, signal) {
  const [foundComponent, foundSite, foundProcess] = await Promise.all([one('components', id, signal), one('sites', id, signal), one('processes', id, signal)]);
  if (foundSite) return { kind: 'site', name: foundSite.name, label: 'site_id', value: id, property: 'SiteId', ids: [id], key: 'site' };
  if (foundProcess) return { kind: 'process', name: foundProcess.name, label: 'process_name', value: foundProcess.name, property: 'ProcessId', ids: [id], key: 'process' };
  if (!foundComponent) return null;
  const { results } = await list('processes', [['componentId', id], ['limit', String(MOST_PROCESSES)]], signal);
  return { kind: 'component', name: foundComponent.name, label: 'component_id', value: id, property: 'ProcessId', ids: results.map((row) => row.identity), key: 'component' };
}

/**
 * Who talks most, by octets both ways.
 * @param {Talk} talk
 * @param {Address} address
 * @param {AbortSignal} signal
 */
export async function talkers({ end, parameters }, address, signal) {
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
 * @param {[string, string][][]} alternatives
 * @param {Address} address
 * @param {AbortSignal} signal
 */
export async function failures(alternatives, address, signal) {
  const time = addresses.timeParameters(address);
  const answers = await Promise.all(alternatives.map(async (parameters) => ({
    requests: await list('applicationflows', [...parameters, ...time, ['status', '5'], ['sortBy', 'endTime.desc'], ['limit', '4']], signal),
    connections: await list('connections', [...parameters, ...time, ['listenerError', '*'], ['sortBy', 'startTime.desc'], ['limit', '4']], signal),
  })));
  /** @type {Map<string, { time: number, what: string, text: string, detail: string }>} */
  const rows = new Map();
  for (const { requests, connections } of answers) {
    for (const row of requests.results) {
      rows.set(row.key, {
        time: row.endTime || row.startTime, what: String(row.status), text: `${row.method ?? ''} ${row.sourceProcessName ?? 'client not reported'}`.trim(),
        detail: `to ${row.destProcessName || row.routingKey}, ${units.text(units.duration(row.duration))}`,
      });
    }
    for (const row of connections.results) {
      rows.set(row.key, {
        time: row.startTime, what: 'failed', text: `${row.sourceProcessName ?? row.sourceHost ?? 'client not reported'} to ${row.routingKey}`,
        detail: row.connectorError ?? row.listenerError,
      });
    }
  }
  return {
    rows: [...rows.values()].sort((a, b) => b.time - a.time).slice(0, 4),
    requests: answers.reduce((total, each) => total + each.requests.timeRangeCount, 0),
    connections: answers.reduce((total, each) => total + each.connections.timeRangeCount, 0),
  };
}

/** @param {string} text */
function quote(text) {
  return /\s/.test(text) ? `"${text}"` : text;
}
