/**
 * What the address bar holds, in one place: which view, the filter, the time, what is selected, the level of the map, and
 * what a view keeps there for itself. A link to the page is a link to what is seen.
 *
 * All of it is behind the `#`, so that the page needs no path of its own and works behind any:
 * `#connections?filter=service%3Acatalog&span=3600&end=1795704373070498&select=service:catalog%3A8080`.
 * @module
 */

/** @typedef {{ type: string, id: string }} Selection */

/**
 * @typedef {object} Address
 * @property {string} view the `id` of a view
 * @property {string} filter the text of the filter box
 * @property {number} span the length of the range of time, in seconds
 * @property {number | null} end where the range ends, in microseconds since the epoch; null where it is live
 * @property {Selection | null} selection
 * @property {'site' | 'component' | 'process' | null} level of the map; null where nobody has chosen one
 * @property {string[]} open sites that are shown a level deeper than the rest
 * @property {Record<string, string>} own what the view keeps: an order, a row that is open
 */

export const SPANS = [900, 3600, 21600, 86400];
const LEVELS = ['site', 'component', 'process'];

/**
 * @param {string} hash as in `location.hash`
 * @returns {Address}
 */
export function parse(hash) {
  const [view, query] = split(hash.replace(/^#/, ''), '?');
  /** @type {Address} */
  const address = { view, filter: '', span: SPANS[0], end: null, selection: null, level: null, open: [], own: {} };
  for (const [name, value] of new URLSearchParams(query)) {
    const number = Number(value);
    if (name === 'filter') address.filter = value;
    else if (name === 'span' && number >= 60 && number <= 366 * 86400) address.span = number;
    else if (name === 'end' && Number.isSafeInteger(number) && number > 0) address.end = number;
    else if (name === 'select' && value.includes(':')) {
      const [type, id] = split(value, ':');
      address.selection = { type, id };
    } else if (name === 'level' && LEVELS.includes(value)) address.level = /** @type {Address['level']} */ (value);
    else if (name === 'open') address.open.push(value);
    else if (name.startsWith('x-')) address.own[name.slice(2)] = value;
  }
  return address;
}

/**
 * @param {Address} address
 * @returns {string} with the `#`
 */
export function format(address) {
  const query = new URLSearchParams();
  if (address.filter) query.set('filter', address.filter);
  if (address.span !== SPANS[0]) query.set('span', String(address.span));
  if (address.end !== null) query.set('end', String(address.end));
  if (address.selection) query.set('select', `${address.selection.type}:${address.selection.id}`);
  if (address.level) query.set('level', address.level);
  for (const site of address.open) query.append('open', site);
  for (const [name, value] of Object.entries(address.own)) query.set(`x-${name}`, value);
  const text = query.toString();
  return `#${address.view}${text ? `?${text}` : ''}`;
}

/**
 * The address with some of it changed. Another view begins without what the one before it kept for itself.
 * @param {Address} address
 * @param {Partial<Address>} change
 * @returns {Address}
 */
export function changed(address, change) {
  const own = change.view !== undefined && change.view !== address.view ? {} : address.own;
  return { ...address, own, ...change };
}

/**
 * Where the range of time begins and ends, in microseconds.
 * @param {Address} address
 * @param {number} now
 */
export function bounds(address, now) {
  const end = address.end ?? now;
  return { start: end - address.span * 1e6, end };
}

/**
 * The parameters of a list for the range of time: relative where it is live, so that the question stays the same.
 * @param {Address} address
 * @returns {[string, string][]}
 */
export function timeParameters(address) {
  if (address.end === null) return [['timeRangeStart', `-${address.span}s`]];
  return [['timeRangeStart', String(address.end - address.span * 1e6)], ['timeRangeEnd', String(address.end)]];
}

/**
 * The same for what was there at the end of the range: a listener that came back is one.
 * @param {Address} address
 * @returns {[string, string][]}
 */
export function endParameters(address) {
  return address.end === null ? [] : [...timeParameters({ ...address, span: 0 }), ['state', 'all']];
}

/**
 * @param {string} text
 * @param {string} mark
 * @returns {[string, string]} what is before the first mark, and what is behind it
 */
function split(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
