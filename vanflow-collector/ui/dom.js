/**
 * Elements and their text. Names come from remote peers, so text is only ever set as text: nothing here, and nothing
 * elsewhere on the page, reads markup.
 * @module
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

const SVG = 'http://www.w3.org/2000/svg';

/** What an element begins with: attributes, or what is in it. @typedef {Record<string, unknown> | Child | Child[]} First */

/**
 * An HTML element: `h('a.name.other', { href }, 'text')`. Attributes that begin with `on` listen; all else is left out where it is
 * null, undefined or false.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T | `${T}.${string}`} tag with its classes
 * @param {First} [first]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, first, ...children) {
  const [name, ...classes] = tag.split('.');
  return filled(document.createElement(/** @type {T} */ (name)), classes, first, children);
}

/**
 * An SVG element, as `h` has those of HTML.
 * @template {keyof SVGElementTagNameMap} T
 * @param {T | `${T}.${string}`} tag
 * @param {First} [first]
 * @param {...(Child | Child[])} children
 * @returns {SVGElementTagNameMap[T]}
 */
export function s(tag, first, ...children) {
  const [name, ...classes] = tag.split('.');
  return filled(document.createElementNS(SVG, /** @type {T} */ (name)), classes, first, children);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {string[]} classes
 * @param {First} first
 * @param {(Child | Child[])[]} children
 */
function filled(element, classes, first, children) {
  if (classes.length > 0) element.setAttribute('class', classes.join(' '));
  if (first && typeof first === 'object' && !(first instanceof Node) && !Array.isArray(first)) adorn(element, first);
  else append(element, [first]);
  append(element, children);
  return element;
}

/**
 * @param {Element} element
 * @param {Record<string, unknown>} attributes
 */
export function adorn(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

/**
 * @param {Element} element
 * @param {(Child | Child[])[]} children
 */
function append(element, children) {
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
}

/**
 * Puts children in place of those that are there.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * Changes the text of an element, and touches nothing where it is the same.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A number and its unit, as tables and panels show them.
 * @param {import('./units.js').Quantity | null | undefined} quantity
 * @param {string} [unknown] the words in place of a number that is not known
 * @returns {HTMLElement}
 */
export function quantity(quantity, unknown = 'not reported') {
  if (!quantity) return h('span.na', unknown);
  return h('span.v', quantity.value, quantity.unit ? h('i', quantity.unit) : null);
}

/** @typedef {'bad' | 'warn' | 'unknown' | 'change' | 'fine'} Severity */

/** What each sign says, for those who do not see it. */
export const MEANINGS = { bad: 'bad', warn: 'look', unknown: 'not known', change: 'change', fine: 'fine' };

/**
 * The sign of a severity: ✕ bad, ▲ look, ◌ not known, ■ change, ● fine.
 * @param {Severity} severity
 * @param {string} [label] what a screen reader says; an empty one says nothing, where words stand beside the sign
 */
export function sign(severity, label = '') {
  const icon = s('svg', {
    class: `ic ${severity}`, viewBox: '0 0 12 12', width: 12, height: 12,
    ...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true' }),
  });
  icon.append(
    severity === 'bad' ? s('path', { d: 'M2.5 2.5l7 7M9.5 2.5l-7 7' })
      : severity === 'warn' ? s('path', { d: 'M6 1.2L11.4 10.8H.6Z' })
        : severity === 'change' ? s('rect', { x: 2.5, y: 2.5, width: 7, height: 7 })
          : s('circle', { cx: 6, cy: 6, r: 4 }),
  );
  return icon;
}

/**
 * Opens what has to be closed before anything else is done.
 * @param {string} name of its class
 * @param {string} title
 * @param {...(Child | Child[])} children
 * @returns {HTMLDialogElement}
 */
export function dialog(name, title, ...children) {
  const element = h('dialog', { class: name, 'aria-labelledby': 'dialog-title' }, h('h2', { id: 'dialog-title' }, title), ...children);
  element.addEventListener('close', () => element.remove());
  document.body.append(element);
  element.showModal();
  return element;
}

/**
 * A group of buttons of which one is pressed.
 * @template {string} V
 * @param {string} label
 * @param {{ value: V, text: string, key?: string }[]} choices
 * @param {(value: V) => void} choose
 * @returns {{ element: HTMLElement, show: (value: V) => void }}
 */
export function choice(label, choices, choose) {
  const buttons = choices.map(({ value, text, key }) => ({
    value,
    button: h('button', { type: 'button', 'aria-keyshortcuts': key, onclick: () => choose(value) }, text,
      key ? h('kbd', { 'aria-hidden': 'true' }, key) : null),
  }));
  return {
    element: h('div.seg', { role: 'group', 'aria-label': label }, buttons.map((each) => each.button)),
    show: (value) => {
      for (const each of buttons) each.button.setAttribute('aria-pressed', String(each.value === value));
    },
  };
}
