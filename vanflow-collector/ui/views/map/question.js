/**
 * What the map asks. The first time it is asked while all else of the page is still being fetched: it is what one waits for.
 * @module
 */
import * as addresses from '../../address.js';
import * as api from '../../api.js';

/** @typedef {import('../../address.js').Address} Address */

/** Where text would come out too small, the map begins a level higher. */
export const isNarrow = () => innerWidth <= 720;

/** @param {Address} address */
export function levelOf(address) {
  return address.level ?? (isNarrow() ? 'site' : 'component');
}

/** The path of the map below `api/`. @param {Address} address */
export function pathOf(address) {
  const query = new URLSearchParams({ level: levelOf(address) });
  for (const site of address.open) query.append('open', site);
  if (address.end !== null) query.set('time', String(address.end));
  return `v1/map?${query}`;
}

const begins = addresses.parse(location.hash);
const first = ['', 'map'].includes(begins.view) ? { path: pathOf(begins), answer: api.get(pathOf(begins)) } : null;
first?.answer.catch(() => {
  // The stream says why.
});

/**
 * The answer to what was asked first, for who comes to ask the same.
 * @param {string} path
 * @returns {Promise<import('../../answers.js').NetworkMap> | null}
 */
export function firstAnswer(path) {
  return first?.path === path ? /** @type {Promise<import('../../answers.js').NetworkMap>} */ (first.answer) : null;
}
