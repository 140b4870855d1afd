/**
 * The filter: a text of terms such as `service:catalog status:5xx -site:factory frontend`, what it asks of the lists, and
 * what of it the page has to see to by itself.
 * @module
 */
import { quoted } from './api.js';
import * as units from './units.js';

/** @typedef {{ key: string, value: string, negated: boolean }} Term a free text has the key `` */
/** @typedef {'connections' | 'applicationflows' | 'services' | 'processes' | 'sites' | 'routers' | 'routerlinks'} List */

/** Keys, and what each is for; the help of the filter box. */
export const KEYS = {
  service: 'address of a service',
  site: 'site that it is in or goes through',
  component: 'component at either end',
  process: 'process at either end',
  from: 'client',
  to: 'server',
  router: 'router that it goes through',
  host: 'address of the client',
  port: 'port of the server',
  protocol: 'tcp, http1, http2',
  method: 'of requests',
  status: '500, 5xx',
  error: 'words of the router',
};

/** What connections and requests have in common. Processes are called after their component. */
const FLOWS = {
  '': 'search', service: 'routingKey', site: 'traceSites', router: 'traceRouters', from: 'sourceProcessName', to: 'destProcessName',
  component: 'sourceProcessName|destProcessName', process: 'sourceProcessName|destProcessName', protocol: 'protocol', id: 'identity',
};

/** The parameter of a list that says the same as a key. What is not here, the page sees to. @type {Record<string, Record<string, string>>} */
const PARAMETERS = {
  connections: {
    ...FLOWS, host: 'sourceHost', port: 'destPort', error: 'listenerError|connectorError',
  },
  applicationflows: { ...FLOWS, method: 'method', status: 'status', connection: 'connectionId' },
  services: { service: 'name', protocol: 'protocol' },
  processes: { process: 'name', component: 'componentName', site: 'siteName' },
  sites: { site: 'name' },
  routers: { router: 'name' },
  routerlinks: { router: 'routerName' },
};

/** The properties of a row that a key is about. @type {Record<string, string[]>} */
const PROPERTIES = {
  service: ['routingKey', 'address', 'service', 'services'],
  site: ['siteName', 'sourceSiteName', 'destSiteName', 'destinationSiteName', 'traceSites'],
  component: ['componentName', 'sourceProcessName', 'destProcessName'],
  process: ['processName', 'sourceProcessName', 'destProcessName'],
  from: ['sourceProcessName', 'sourceSiteName', 'sourceName'],
  to: ['destProcessName', 'destSiteName', 'destinationName'],
  router: ['routerName', 'destinationRouterName', 'traceRouters'],
  host: ['sourceHost', 'destHost'],
  port: ['destPort', 'sourcePort'],
  protocol: ['protocol', 'observedApplicationProtocols'],
  method: ['method'],
  status: ['status'],
  error: ['listenerError', 'connectorError'],
  id: ['identity', 'key'],
  connection: ['connectionId'],
};

/**
 * @param {string} text
 * @returns {Term[]}
 */
export function parse(text) {
  const terms = [];
  for (const [piece] of text.matchAll(/(?:[^\s"]+|"[^"]*"?)+/g)) {
    const negated = piece.startsWith('-') && piece.length > 1;
    const plain = negated ? piece.slice(1) : piece;
    const colon = plain.indexOf(':');
    const key = plain.slice(0, Math.max(0, colon));
    // `catalog:8080` is a text with a colon, not a key.
    const isKey = Object.hasOwn(PROPERTIES, key);
    const value = (isKey ? plain.slice(colon + 1) : plain).replaceAll('"', '');
    if (value !== '') terms.push({ key: isKey ? key : '', value, negated });
  }
  return terms;
}

/** @param {Term[]} terms */
export function format(terms) {
  return terms.map(({ key, value, negated }) => {
    const text = /[\s"]/.test(value) || (key === '' && (parse(value)[0]?.key ?? '') !== '') ? `"${value.replaceAll('"', '')}"` : value;
    return `${negated ? '-' : ''}${key ? `${key}:` : ''}${text}`;
  }).join(' ');
}

/**
 * The text with a term more, once.
 * @param {string} text
 * @param {string} key
 * @param {string} value
 */
export function including(text, key, value) {
  const terms = parse(text).filter((term) => !(term.key === key && !term.negated));
  return format([...terms, { key, value, negated: false }]);
}

/**
 * The parameters of a list that say what the terms say, as far as the list has some.
 * @param {Term[]} terms
 * @param {List} list
 * @returns {[string, string][]}
 */
export function parameters(terms, list) {
  /** @type {[string, string][]} */
  const found = [];
  for (const { key, value, negated } of terms) {
    const name = PARAMETERS[list]?.[key];
    // `name!=value` is written as a name that ends with `!`.
    if (name) found.push([negated ? `${name}!` : name, asked(key, value)]);
  }
  return found;
}

/**
 * The terms that the list has no parameter for: `matches` sees to them.
 * @param {Term[]} terms
 * @param {List} list
 */
export function rest(terms, list) {
  return terms.filter(({ key }) => !PARAMETERS[list]?.[key]);
}

/**
 * What the API compares a property with: it compares how texts begin, and routers are named with their area.
 * @param {string} key
 * @param {string} value
 */
function asked(key, value) {
  if (key === 'status') return value.replace(/x+$/i, '');
  if (key === 'router' && !value.includes('/') && value !== '*') return `0/${value}`;
  return value;
}

/**
 * Whether a row is what the terms are about. Several values of a key are alternatives, different keys all hold.
 * @param {Term[]} terms
 * @param {Record<string, any>} row
 * @param {string} [self] the key that `name` of the row is for, such as `site` of a list of sites
 */
export function matches(terms, row, self) {
  const wanted = new Map();
  for (const term of terms) {
    const found = has(term, row, self);
    if (term.negated && found) return false;
    if (!term.negated) wanted.set(term.key || term.value, (wanted.get(term.key || term.value) ?? false) || found);
  }
  return [...wanted.values()].every(Boolean);
}

/**
 * @param {Term} term
 * @param {Record<string, any>} row
 * @param {string} [self]
 */
function has({ key, value }, row, self) {
  const sought = asked(key, value).toLowerCase();
  const names = key === '' ? Object.keys(row) : [...PROPERTIES[key], ...(key === self ? ['name'] : [])];
  return names.flatMap((name) => row[name] ?? []).some((held) => {
    if (typeof held !== 'string' && typeof held !== 'number') return false;
    const text = String(held).toLowerCase();
    if (sought === '*') return text !== '';
    return key === '' ? text.includes(sought) : text.startsWith(sought);
  });
}

// What of it metrics can be asked for: as label matchers of PromQL.

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
    note: names.length === 0 ? '' : `${names.join(' and ')} ${names.length === 1 ? 'says' : 'say'} nothing about ${what}, and ${units.are(names.length)} left out here.`,
  };
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
