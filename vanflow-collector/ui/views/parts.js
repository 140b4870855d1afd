/**
 * What the lists have in common: the bar above each, numbers in cells, links to JSON, notes that say what a filter cannot do.
 * @module
 */
import * as api from '../api.js';
import { h, say, sign } from '../dom.js';
import * as filter from '../filter.js';
import * as units from '../units.js';

/** @typedef {import('../dom.js').Child} Child */

/**
 * The bar above a list.
 * @param {string} title
 * @param {...Child} controls on its right
 * @returns {{ element: HTMLElement, summary: HTMLElement, chips: HTMLElement, json: HTMLAnchorElement }}
 */
export function listBar(title, ...controls) {
  const summary = h('p', { 'aria-live': 'off' });
  const chips = h('div.qf', { role: 'group', 'aria-label': 'Show only' });
  const json = jsonLink('a.btn.json');
  const element = h('div.bar3', h('h1', title), summary, chips, h('span.sp'), controls, json);
  return { element, summary, chips, json };
}

/** A link to the same as JSON, which `jsonAddress` tells where to. @param {'a.json' | 'a.btn.json'} [tag] */
export function jsonLink(tag = 'a.json') {
  return h(tag, { title: 'The same as JSON, from the API' }, 'JSON');
}

/**
 * Where a path of the API is, for links.
 * @param {string} path below `api/`
 */
export function jsonAddress(path) {
  return api.address(`api/${path}`).toString();
}

/**
 * A button that is pressed or not, with how many things it shows.
 * @param {string} text
 * @param {() => void} press
 * @returns {{ element: HTMLButtonElement, show: (pressed: boolean, count: string | null) => void }}
 */
export function chip(text, press) {
  const count = h('b');
  const element = h('button', { 'aria-pressed': 'false', onclick: press }, text, ' ', count);
  return {
    element,
    show: (pressed, number) => {
      element.setAttribute('aria-pressed', String(pressed));
      say(count, number ?? '');
    },
  };
}

/**
 * What there is instead of rows: what would be here, and how it comes.
 * @param {string} what
 * @param {...Child} more
 * @returns {HTMLElement}
 */
export function nothing(what, ...more) {
  return h('p', h('b', what), more.length > 0 ? h('small', more) : null);
}

/**
 * What there is where the filter leaves nothing: its terms, each with what would be there without it, and the way out.
 * @param {import('../views.js').Context} context
 * @param {string} what such as `connection`
 * @param {(terms: import('../filter.js').Term[]) => Promise<number | undefined>} [count] how many there are by other terms
 * @returns {HTMLElement}
 */
export function nothingLeft(context, what, count) {
  const address = context.address();
  const terms = filter.parse(address.filter);
  const { only: _, ...own } = address.own;
  void _;
  return h('div.left',
    h('b', `No ${what} is left by the filter`),
    h('ul', terms.map((term) => {
      const others = terms.filter((each) => each !== term);
      const many = h('span');
      count?.(others).then((number) => {
        if (number !== undefined) say(many, `: ${units.count(number)}`);
      }, () => {
        // It is said without a number.
      });
      return h('li', 'without ', h('a.chip', { href: context.link({ filter: filter.format(others) }) }, filter.format([term])), many);
    })),
    h('a', { href: context.link({ filter: '', own }) }, terms.length > 1 ? 'clear all of it' : 'clear'));
}

/**
 * Why there is nothing, where a list could not be had.
 * @param {import('../api.js').ApiError} error
 * @returns {HTMLElement}
 */
export function failure(error) {
  return h('p.fail', h('b', sign('bad'), 'The list could not be had'), error.message);
}

/**
 * A name that may not be known, and behind it where it is.
 * @param {string | null | undefined} name
 * @param {string | null | undefined} site
 * @param {string} [unknown]
 * @returns {Child[]}
 */
export function placed(name, site, unknown = 'not reported yet') {
  if (!name || name === 'unknown') return [h('span.na', unknown)];
  const where = site && site !== 'unknown' ? site : null;
  return [h('span.nm', { title: where ? `${name} in ${where}` : name }, name, where ? h('small', where) : null)];
}

/**
 * Text in an element that asks to be cut where there is no room: the whole of it is in its title.
 * @param {string} text
 */
export function clipped(text) {
  return h('span', { title: text }, text);
}
