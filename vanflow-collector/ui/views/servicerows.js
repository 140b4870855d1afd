/**
 * What each service comes to, out of lists and of metrics: one question for all services, not one a row.
 * @module
 */
import { anyOf } from './matchers.js';

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
  const of = (metric, more, range) => anyOf(metric, matchers, more, (one) => (range ? `increase(${one}[${range}])` : one));
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
 * @returns {{errors: number, units: number, share: number, unit: 'requests' | 'connections'} | undefined} undefined
 *   where nobody asked anything */
export function errorsOf(figures) {
  const requests = Math.round(figures.requests ?? 0);
  const failed = Math.round(figures.failed ?? 0);
  const withRequests = requests > 0;
  const units = withRequests ? requests + failed : Math.max(failed, Math.round(figures.connections ?? 0));
  const errors = withRequests ? Math.round(figures.badRequests ?? 0) + failed : failed;
  if (units === 0) return undefined;
  return { errors, units, share: errors / units, unit: withRequests ? 'requests' : 'connections' };
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
    /** @type {Row} */
    const row = {
      id: service.identity,
      name: service.name,
      protocols: protocolsOf(service),
      listeners: listening.get(service.name) ?? [],
      connectors: connecting.get(service.name) ?? [],
      figures,
      errors: errorsOf(figures),
    };
    const octets = last('octets', service.name);
    if (octets !== undefined) row.octets = octets;
    const requests = last('requests', service.name);
    if (requests !== undefined) row.requests = requests;
    const trouble = troubleOf(row);
    if (trouble) row.trouble = trouble;
    return row;
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
  if (errors && errors.share === 1) return `${errors.errors} of ${errors.units} ${errors.unit} failed`;
  return undefined;
}

/** @typedef {'trouble' | 'octets' | 'name'} Order */

/** @param {ReadonlyArray<Row>} rows @param {Order} order @returns {Row[]} */
export function ordered(rows, order) {
  /** @param {Row} row */
  const share = (row) => (row.errors && row.errors.share >= LOOK ? row.errors.share : 0);
  const byName = (/** @type {Row} */ a, /** @type {Row} */ b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
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
    errors: units > 0 ? { errors, units, share: errors / units, unit: 'requests' } : undefined,
    octets: sum((row) => row.octets),
    requests: sum((row) => row.requests),
    listeners: sum((row) => count(row.listeners)),
    connectors: sum((row) => count(row.connectors)),
  };
}

/** `public-cloud ×2, factory`.
 * @param {ReadonlyArray<[string, number]>} sites
 * @returns {string} */
export function sitesInWords(sites) {
  return sites.map(([site, count]) => (count > 1 ? `${site} ×${count}` : site)).join(', ');
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
    key, [...sites].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)),
  ]));
}
