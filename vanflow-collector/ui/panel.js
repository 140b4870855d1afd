/**
 * The panel at the side: what is selected.
 * @module
 */
import { h } from './dom.js';

/** @typedef {import('./address.js').Address} Address */

export class Panel {
  /**
   * @param {object} shell
   * @param {(change: Partial<Address>) => void} shell.go
   * @param {(change: Partial<Address>) => void} shell.replace
   * @param {() => number} shell.now
   * @param {() => Address} shell.address
   */
  constructor(shell) {
    this.shell = shell;
    this.element = h('aside', { class: 'panel', 'aria-label': 'What is selected', hidden: true });
  }

  /** @param {Address} address */
  show(address) {
    this.element.hidden = address.selection === null;
  }

  tick() {}
}
