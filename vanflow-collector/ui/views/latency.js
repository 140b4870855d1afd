/**
 * Latency of connections, and how it divides into network and workload.
 *
 * The router of the listener sees the time to the first octet of the answer as the client does; the router of the
 * connector sees only what the server took. What lies between is the network, with the routers in it. Where one side did
 * not report, there is nothing to divide.
 * @module
 */
import * as units from '../units.js';

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
