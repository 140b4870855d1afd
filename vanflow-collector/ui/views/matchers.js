/**
 * A filter as label matchers of PromQL.
 * @module
 */
import { quoted } from '../api.js';

/** @typedef {import('../filter.js').Term} Term */

/** The labels that a key is about: of the client, of the server, or the one that both share. */
const LABELS = /** @type {Record<string, readonly string[]>} */ ({
  service: ['routing_key'],
  site: ['source_site_name', 'dest_site_name'],
  component: ['source_component_name', 'dest_component_name'],
  process: ['source_process_name', 'dest_process_name'],
  from: ['source_process_name'],
  to: ['dest_process_name'],
});

/**
 * Matchers for what the terms are about, of which a series has to meet any. Values are compared by how they begin, as the
 * lists compare them. Terms that metrics have no label for are left out.
 * @param {readonly Term[]} terms
 * @returns {string[]} none where all series will do
 */
export function matchersOf(terms) {
  /** @type {string[]} */
  let found = [''];
  const negated = terms.filter((term) => term.negated && LABELS[term.key]);
  /** @type {Map<string, string[]>} */
  const wanted = new Map();
  for (const { key, value, negated: not } of terms) {
    if (!not && LABELS[key]) wanted.set(key, [...wanted.get(key) ?? [], value]);
  }
  for (const [key, values] of wanted) {
    const pattern = values.map(beginning).join('|');
    found = found.flatMap((before) => LABELS[key].map((label) => joined(before, `${label}=~${quoted(pattern)}`)));
  }
  for (const { key, value } of negated) {
    for (const label of LABELS[key]) found = found.map((before) => joined(before, `${label}!~${quoted(beginning(value))}`));
  }
  return found.filter((matcher) => matcher !== '');
}

/**
 * A metric of what meets any of the matchers: what meets several counts once.
 * @param {string} metric
 * @param {readonly string[]} matchers as of {@link matchersOf}
 * @param {string} [more] a matcher that all have to meet besides
 * @param {(selector: string) => string} [wrap] what each selector is within, such as `increase(…[5m])`
 * @returns {string}
 */
export function anyOf(metric, matchers, more = '', wrap = (selector) => selector) {
  return (matchers.length === 0 ? [''] : matchers).map((matcher) => {
    const labels = [matcher, more].filter(Boolean).join(',');
    return wrap(`${metric}${labels ? `{${labels}}` : ''}`);
  }).join(' or ');
}

/**
 * What terms are about, and what they say nothing about, in words.
 * @param {readonly Term[]} terms
 * @param {readonly string[]} keys that apply
 * @param {string} what that they say nothing about, such as `connections`
 * @returns {{ terms: Term[], note: string }}
 */
export function applying(terms, keys, what) {
  const others = terms.filter(({ key }) => !keys.includes(key));
  const names = others.map(({ key, value, negated }) => `${negated ? '-' : ''}${key}:${value}`);
  return {
    terms: terms.filter(({ key }) => keys.includes(key)),
    note: names.length === 0 ? '' : `${names.join(' and ')} ${names.length === 1 ? 'says' : 'say'} nothing about ${what}, and ${names.length === 1 ? 'is' : 'are'} left out here.`,
  };
}

/**
 * The terms without those of these keys.
 * @param {readonly Term[]} terms
 * @param {readonly string[]} keys
 * @returns {Term[]}
 */
export function without(terms, keys) {
  return terms.filter(({ key }) => !keys.includes(key));
}

/** @param {string} value */
function beginning(value) {
  if (value === '*') return '.+';
  return `${value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}.*`;
}

/** @param {string} before @param {string} matcher */
function joined(before, matcher) {
  return before ? `${before},${matcher}` : matcher;
}
