/**
 * Why a connection failed, in words for people; and what a request came to.
 *
 * Routers write texts such as `proton:io (Connection refused - on connect 172.16.20.52:8080)`. Their words are kept:
 * what is taken out of them is only put in an order that reads as a sentence.
 * @module
 */
import * as units from '../units.js';

/** Words for a row, by what texts of routers contain, in the order of `vanflow-store/src/failure.rs`.
 * @type {ReadonlyArray<[string, ReadonlyArray<string>]>} */
const WORDS = [
  ['refused', ['connection refused']],
  ['TLS failed', ['tls-connection-failed', 'ssl', 'certificate']],
  ['unknown host', ['name or service not known', 'name resolution', 'name does not resolve', 'no address associated']],
  ['timed out', ['timed out', 'timeout']],
  ['unreachable', ['unreachable', 'no route to host']],
  ['link lost', ['link lost', 'delivery-failed']],
  ['reset', ['reset by peer', 'broken pipe', 'connection aborted', 'connection abort']],
  ['removed', ['parent-deleted']],
];

/** What a connection says of its failure; the properties of `/api/v2alpha1/connections`.
 * @typedef {object} Failing
 * @property {string | null} [listenerError]
 * @property {string | null} [connectorError]
 * @property {ReadonlyArray<string>} [traceRouters]
 * @property {string} [sourceSiteName]
 * @property {string} [destSiteName] */

/** A failure in words.
 * @typedef {object} Failure
 * @property {string} word one or two words, for a narrow column
 * @property {string} title the words of the router that is nearest to the cause
 * @property {string} rest what follows the title to make a sentence, with the space or comma before it */

/** The part of a router's text that is for people, and the address that it names.
 * @param {string} text
 * @returns {{title: string, address?: string}} */
export function routerText(text) {
  const inner = /^[\w:.-]+ \((.*)\)$/s.exec(text.trim());
  const words = inner?.[1] ?? text.trim();
  const on = /^(.*?) - on (?:connect|connection) (?:to )?(\S+)$/s.exec(words);
  const title = on?.[1] ?? words;
  return on?.[2] === undefined ? { title } : { title, address: on[2] };
}

/** One or two words for a router's text.
 * @param {string} text
 * @returns {string} */
export function failureWord(text) {
  const lower = text.toLowerCase();
  return WORDS.find(([, marks]) => marks.some((mark) => lower.includes(mark)))?.[0] ?? 'failed';
}

/** Why a connection failed; undefined where no router says that it did.
 * @param {Failing} connection
 * @returns {Failure | undefined} */
export function failureOf(connection) {
  const connector = connection.connectorError || '';
  const listener = connection.listenerError || '';
  if (!connector && !listener) return undefined;
  const routers = (connection.traceRouters ?? []).map(units.router);
  const client = at(routers[0], connection.sourceSiteName);
  const server = at(routers.length > 1 ? routers[routers.length - 1] : undefined, connection.destSiteName) || client;
  const cause = routerText(connector || listener);
  let rest = cause.address ? ` by ${cause.address}` : '';
  const reporter = connector ? server : client;
  if (reporter) rest += `, reported by ${reporter}`;
  if (connector && listener && listener !== connector) {
    const who = routers[0] ?? 'the client’s router';
    rest += `; ${who} passed on “${routerText(listener).title}” to the client`;
  }
  return { word: failureWord(connector || listener), title: sentence(cause.title), rest };
}

/** What a request came to.
 * @param {{status?: string | null, endTime?: number}} request
 * @returns {{failed: boolean, words?: string}} `words` where the status alone does not say it */
export function outcomeOf(request) {
  const status = request.status ?? '';
  if (/^5/.test(status)) return { failed: true };
  if (status !== '' && status !== 'unknown') return { failed: false };
  return request.endTime ? { failed: true, words: 'no result' } : { failed: false, words: 'no result yet' };
}

/** @param {string | undefined} router @param {string | undefined} site */
function at(router, site) {
  const known = site && site !== 'unknown' ? site : undefined;
  if (!router) return undefined;
  return known ? `${router} in ${known}` : router;
}

/** @param {string} words */
function sentence(words) {
  return words === '' ? 'Failed without a reason' : words[0].toUpperCase() + words.slice(1);
}

// Latency of connections, and how it divides into network and workload. The router of the listener sees the time to the first octet of the answer as the client does; the router of the connector sees only what the server took. What lies between is the network, with the routers in it. Where one side did not report, there is nothing to divide.

/** The properties of `/api/v2alpha1/connections` that say it, in microseconds.
 * @typedef {object} Timed
 * @property {number} [latency]
 * @property {boolean} [latencyKnown]
 * @property {number} [latencyReverse]
 * @property {boolean} [latencyReverseKnown] */

/** Microseconds; what is not known is not there. `total` without the others is not divided.
 * @typedef {{total?: number, network?: number, workload?: number}} Split */

/** @param {Timed} connection @returns {Split} */
export function splitLatency(connection) {
  const total = connection.latencyKnown ? connection.latency : undefined;
  const workload = connection.latencyReverseKnown ? connection.latencyReverse : undefined;
  if (total === undefined) return {};
  // Clocks of two routers do not enter into it, but a server that speaks first answers before it is asked.
  if (workload === undefined || workload > total) return { total };
  return { total, workload, network: total - workload };
}

/** The end of a common scale in microseconds: the first of 1, 2, 3, 5 · 10ⁿ that holds `value`.
 * @param {number} value
 * @returns {number} */
export function scaleOf(value) {
  if (!(value > 0)) return 1000;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 3, 5]) if (value <= step * power) return step * power;
  return 10 * power;
}

/** The end of a scale in words: 50 ms, not 50.0 ms.
 * @param {number} scale µs
 * @returns {string} */
export function scaleText(scale) {
  return units.text(units.duration(scale)).replace('.0', '');
}

/** Whole percents of the parts of a latency, which together are 100.
 * @param {Split} split
 * @returns {{network: number, workload: number} | undefined} */
export function sharesOf(split) {
  if (split.total === undefined || !split.total || split.workload === undefined) return undefined;
  const workload = Math.round((100 * split.workload) / split.total);
  return { network: 100 - workload, workload };
}
