/**
 * What is fetched, and what went wrong in words.
 * @module
 */

/** An answer that is none, in the words of the server where it has some. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 where nobody answered
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Why there is no answer; null where nobody waits for it any more. What is no fault of the API is thrown on.
 * @param {unknown} error
 * @param {AbortSignal} [signal]
 */
export function failureOf(error, signal) {
  if (signal?.aborted) return null;
  if (!(error instanceof ApiError)) throw error;
  return error;
}

/**
 * The address of a path below the collector, such as `api/v1/verdict`. The page may be below the collector, and both behind a
 * path of a proxy.
 * @param {string} path
 */
export function address(path) {
  return new URL((document.documentElement.dataset.root ?? '') + path, document.baseURI);
}

/**
 * What is at a path below `api/`, such as `v2alpha1/sites?limit=10`.
 * @template T
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function get(path, signal) {
  return json(address(`api/${path}`), signal);
}

/**
 * @template T
 * @param {URL} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
async function json(url, signal) {
  let response;
  try {
    response = await fetch(url, { signal, headers: { accept: 'application/json' } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'the collector does not answer: is it running, and is the network between it and you?');
  }
  if (response.status === 401) logIn();
  if (!response.ok) throw new ApiError(response.status, await reason(response));
  if (response.status === 204) return /** @type {T} */ (null);
  return /** @type {T} */ (await response.json());
}

/** How long the page has to have been there before it is loaded anew, so that this never goes round and round. */
const SETTLED_MS = 3000;

/** The collector does not know any more who looks: whoever loads the page anew is led to where they log in. */
function logIn() {
  if (performance.now() > SETTLED_MS) location.reload();
}

/** Ends the session of whoever looks. */
export async function logOut() {
  try {
    await fetch(address('logout'), { method: 'POST' });
  } finally {
    location.reload();
  }
}

/** @param {Response} response */
async function reason(response) {
  try {
    const body = await response.json();
    return String(body.message ?? body.error ?? response.status);
  } catch {
    return `the collector answered ${response.status} ${response.statusText}`.trim();
  }
}

/** @typedef {{ labels: Record<string, string>, points: [number, number][] }} Series points: µs, value */

/**
 * What PromQL says over a range of time.
 * @param {string} query
 * @param {{ start: number, end: number }} range in microseconds
 * @param {number} steps how many points at most
 * @param {AbortSignal} [signal]
 * @returns {Promise<Series[]>}
 */
export async function queryRange(query, range, steps, signal) {
  const step = Math.max(5, Math.ceil((range.end - range.start) / 1e6 / steps));
  // Steps at the same moments for all, so that a chart does not shiver as time goes on.
  const end = Math.floor(range.end / 1e6 / step) * step;
  const start = Math.ceil(range.start / 1e6 / step) * step;
  const result = await promql('query_range', { query, start: String(start), end: String(end), step: String(step) }, signal);
  return result.map(({ metric, values }) => ({ labels: metric, points: values.map(([at, value]) => [at * 1e6, Number(value)]) }));
}

/**
 * What ended in each step of a range, a second: for a time that the history of metrics does not reach back to.
 * @param {'connections' | 'applicationflows'} list
 * @param {[string, string][]} parameters
 * @param {string[]} names aggregates, which are added up
 * @param {{ start: number, end: number }} range in microseconds
 * @param {number} steps how many points at most
 * @param {AbortSignal} [signal]
 * @param {string} [group] the property that tells series apart
 * @returns {Promise<Map<string, [number, number][]>>} where a step ends, and the value
 */
export async function ended(list, parameters, names, { start, end }, steps, signal, group = '') {
  // Sums on disk are by the minute.
  const step = Math.max(1, Math.ceil((end - start) / 60e6 / steps)) * 60;
  /** @type {{ results: Record<string, any>[], answeredFrom?: number }} */
  const { results, answeredFrom = 0 } = await get(withQuery(`v2alpha1/${list}`, /** @type {[string, string][]} */ ([
    ...parameters, ['state', 'all'], ['timeRangeStart', String(Math.round(start))], ['timeRangeEnd', String(Math.round(end))], ['step', `${step}s`],
    ['groupBy', group], ['aggregate', names.join(',')],
  ]).filter(([, value]) => value !== '')), signal);
  /** @type {Map<string, Map<number, number>>} */
  const sums = new Map();
  for (const row of results) {
    const key = group && row[group];
    if (!sums.has(key)) sums.set(key, new Map());
    sums.get(key)?.set(row.time, names.reduce((sum, name) => sum + Number(row[name] ?? 0), 0));
  }
  /** @type {number[]} */
  const times = [];
  for (let at = Math.ceil(Math.max(start, answeredFrom) / step / 1e6) * step * 1e6; at + step * 1e6 <= end; at += step * 1e6) times.push(at);
  // Where nothing ended there is nothing, which is not the same as not known.
  return new Map([...sums].map(([key, at]) => [key, times.map((time) => [time + step * 1e6, (at.get(time) ?? 0) / step])]));
}

/** Octets both ways, as `ended` adds them up. */
export const OCTETS = ['sum(octetCount)', 'sum(octetReverseCount)'];

/**
 * What PromQL says at one moment.
 * @param {string} query
 * @param {number | null} time in microseconds; null is now
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ labels: Record<string, string>, value: number }[]>}
 */
export async function query(query, time, signal) {
  const result = await promql('query', { query, ...(time === null ? {} : { time: String(time / 1e6) }) }, signal);
  return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

/**
 * @param {string} path
 * @param {Record<string, string>} parameters
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ metric: Record<string, string>, value: [number, string], values: [number, string][] }[]>} of a moment a
 *   `value`, of a range `values`
 */
async function promql(path, parameters, signal) {
  const url = address(`prometheus/api/v1/${path}`);
  url.search = new URLSearchParams(parameters).toString();
  return /** @type {any} */ (await json(url, signal)).data.result;
}

/**
 * A text within a PromQL selector: `{routing_key=${quoted(name)}}`.
 * @param {string} text
 */
export function quoted(text) {
  return `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

/**
 * A path with a query, out of pairs.
 * @param {string} path
 * @param {[string, string][]} parameters
 */
export function withQuery(path, parameters) {
  const query = new URLSearchParams(parameters).toString();
  return query ? `${path}?${query}` : path;
}
