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
  const url = address('prometheus/api/v1/query_range');
  url.search = new URLSearchParams({ query, start: String(start), end: String(end), step: String(step) }).toString();
  /** @type {{ data: { result: { metric: Record<string, string>, values: [number, string][] }[] } }} */
  const answer = await json(url, signal);
  return answer.data.result.map((each) => ({
    labels: each.metric,
    points: each.values.map(([at, value]) => [at * 1e6, Number(value)]),
  }));
}

/**
 * What PromQL says at one moment.
 * @param {string} query
 * @param {number | null} time in microseconds; null is now
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ labels: Record<string, string>, value: number }[]>}
 */
export async function query(query, time, signal) {
  const url = address('prometheus/api/v1/query');
  const parameters = new URLSearchParams({ query });
  if (time !== null) parameters.set('time', String(time / 1e6));
  url.search = parameters.toString();
  /** @type {{ data: { result: { metric: Record<string, string>, value: [number, string] }[] } }} */
  const answer = await json(url, signal);
  return answer.data.result.map((each) => ({ labels: each.metric, value: Number(each.value[1]) }));
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
