/**
 * Why a connection failed, in words for people; and what a request came to.
 *
 * Routers write texts such as `proton:io (Connection refused - on connect 172.16.20.52:8080)`. Their words are kept:
 * what is taken out of them is only put in an order that reads as a sentence.
 * @module
 */
import { router as routerName } from '../units.js';

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
  const routers = (connection.traceRouters ?? []).map(routerName);
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
