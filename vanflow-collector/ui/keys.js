/**
 * What keys do. Single letters can be switched off, since some people speak their letters (WCAG 2.1.4).
 * @module
 */
import { dialog, h } from './dom.js';

const STORED = 'vanflow-keys';

/** @typedef {{ key: string, name?: string, text: string, act: () => void }} Shortcut */

/** @returns {boolean} */
export function lettersOn() {
  try {
    return localStorage.getItem(STORED) !== 'off';
  } catch {
    return true;
  }
}

/** @param {boolean} on */
function setLetters(on) {
  try {
    localStorage.setItem(STORED, on ? 'on' : 'off');
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}

/**
 * Whether a key is meant for what is focused, such as a field that one writes in.
 * @param {KeyboardEvent} event
 */
export function isTyping(event) {
  const target = /** @type {Element | null} */ (event.target);
  return target?.closest('input, textarea, select, [contenteditable]') !== null && target !== null;
}

/**
 * Listens for shortcuts, after what is focused has had its turn.
 * @param {() => Shortcut[]} shortcuts
 */
export function listen(shortcuts) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    if (document.querySelector('dialog[open]')) return;
    if (event.key.length === 1 && !lettersOn() && event.key !== '?') return;
    const found = shortcuts().find((each) => each.key === event.key);
    if (!found) return;
    event.preventDefault();
    found.act();
  });
}

/**
 * Shows the list of keys.
 * @param {Shortcut[]} shortcuts
 */
export function showList(shortcuts) {
  const letters = h('input', { type: 'checkbox', id: 'letters' });
  letters.checked = lettersOn();
  letters.addEventListener('change', () => setLetters(letters.checked));
  dialog('keys', 'Keys',
    h('dl', shortcuts.filter((each) => each.text).flatMap((each) => [
      h('dt', h('kbd', each.name ?? each.key)), h('dd', each.text),
    ])),
    h('p', letters, h('label', { for: 'letters' }, ' single letters are keys')),
    h('form', { method: 'dialog' }, h('button.btn', { type: 'submit' }, 'Close')));
}
