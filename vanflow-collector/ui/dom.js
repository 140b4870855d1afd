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
  const element = document.createElement(/** @type {T} */ (name));
  // One that sends a form says so.
  if (element instanceof HTMLButtonElement) element.type = 'button';
  return filled(element, classes, first, children);
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

/** What each sign says to those who do not see it: those of what is well say nothing. */
const SAID = { bad: 'bad:', warn: 'look:', unknown: 'not known:', change: '', fine: '' };

/** @param {Severity | '' | undefined} severity @returns {severity is 'bad' | 'warn'} */
export function isTrouble(severity) {
  return severity === 'bad' || severity === 'warn';
}

/**
 * What is wrong of all that was found, and the worst of it.
 * @template {{ severity: Severity }} F
 * @param {readonly F[]} findings
 * @returns {{ wrong: F[], severity: 'bad' | 'warn' | null }}
 */
export function troubles(findings) {
  const wrong = findings.filter(({ severity }) => isTrouble(severity));
  return { wrong, severity: wrong.some(({ severity }) => severity === 'bad') ? 'bad' : wrong.length > 0 ? 'warn' : null };
}

/**
 * The sign of a severity: ✕ bad, ▲ look, ◌ not known, ■ change, ● fine.
 * @param {Severity} severity
 * @param {string} [label] what a screen reader says, if not what the sign says; an empty one is for where words say the same
 */
export function sign(severity, label = SAID[severity]) {
  const element = drawing('svg.ic', 12, 12, signAt(severity, 6, 6));
  if (label) adorn(element, { role: 'img', 'aria-label': label, 'aria-hidden': null });
  return element;
}

/**
 * The same sign in a picture.
 * @param {Severity} severity
 * @param {number} x its middle
 * @param {number} y
 * @param {string} [title]
 */
export function signAt(severity, x, y, title) {
  const said = title ? s('title', title) : null;
  if (severity === 'bad') return s('path.xm', { d: `M${x - 3.5} ${y - 3.5}l7 7m0-7l-7 7` }, said);
  if (severity === 'warn') return s('path.tm', { d: `M${x} ${y - 5}l5.5 9.5h-11Z` }, said);
  if (severity === 'change') return s('rect.im', { x: x - 3.5, y: y - 3.5, width: 7, height: 7 }, said);
  return s('circle', { class: severity === 'fine' ? 'fm' : 'um', cx: x, cy: y, r: 4 }, said);
}

/**
 * A picture beside words that say the same.
 * @param {'svg' | `svg.${string}`} tag with its classes
 * @param {number} width px
 * @param {number} height px
 * @param {...Child} children
 */
export function drawing(tag, width, height, ...children) {
  return s(tag, { width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' }, children);
}

/** The key that does the same. @param {string} key */
export function hint(key) {
  return h('kbd', { 'aria-hidden': 'true' }, key);
}

/** What the browser keeps under that name; null where it keeps nothing. @param {string} name */
export function kept(name) {
  try {
    return localStorage.getItem(`vanflow-${name}`);
  } catch {
    return null;
  }
}

/** Has the browser keep a text. @param {string} name @param {string} text */
export function keep(name, text) {
  try {
    localStorage.setItem(`vanflow-${name}`, text);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
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
    button: h('button', { 'aria-keyshortcuts': key, onclick: () => choose(value) }, text, key ? hint(key) : null),
  }));
  return {
    element: h('div.seg', { role: 'group', 'aria-label': label }, buttons.map((each) => each.button)),
    show: (value) => {
      for (const each of buttons) each.button.setAttribute('aria-pressed', String(each.value === value));
    },
  };
}
