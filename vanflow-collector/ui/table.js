/**
 * A table of rows that change: each row keeps its element by its key, so that nothing jumps, what is focused stays
 * focused, and only what has changed is drawn anew.
 * @module
 */
import { adorn, fill, h } from './dom.js';

/**
 * @template R
 * @typedef {object} Column
 * @property {string} id
 * @property {string | Node} title
 * @property {(row: R) => import('./dom.js').Child | import('./dom.js').Child[]} cell
 * @property {(row: R) => unknown} [value] what the cell depends on; the whole row if not said
 * @property {(row: R) => string | number | null | undefined} [order] makes the column one to sort by
 * @property {string} [class]
 * @property {boolean} [head] whether the cell names the row
 */

/**
 * @template R
 * @typedef {object} TableOptions
 * @property {string} label
 * @property {Column<R>[]} columns
 * @property {(row: R) => string} key
 * @property {string} [class]
 * @property {{ column: string, down: boolean }} [sort] none keeps the order in which rows come
 * @property {() => void} [onLeave] the pointer has left it
 * @property {(row: R, open: boolean) => void} [onOpen] a row was opened or closed, by a click or Enter
 * @property {(row: R) => Node | null} [detail] what an open row shows below itself
 * @property {(row: R) => Node | null} [below] what a row always shows below itself
 * @property {(row: R) => string} [rowClass]
 * @property {(row: R) => string | null} [group] the heading that a row is under; rows of a group come together
 * @property {() => import('./dom.js').Child | import('./dom.js').Child[]} [empty] what is there instead of rows
 */

/**
 * @template R
 */
export class Table {
  /** @param {TableOptions<R>} options */
  constructor(options) {
    this.options = options;
    this.sort = options.sort ?? null;
    /** @type {R[]} */
    this.rows = [];
    /** @type {Map<string, { row: R, element: HTMLTableRowElement, cells: HTMLElement[], seen: string[], below: HTMLTableRowElement | null, belowSeen: string }>} */
    this.shown = new Map();
    /** The key of the row that is open. @type {string | null} */
    this.open = null;
    /** @type {string | null} */
    this.current = null;
    this.body = h('tbody');
    this.headings = options.columns.map((column) => this.heading(column));
    this.table = h('table', { class: `t ${options.class ?? ''}`, 'aria-label': options.label },
      h('thead', h('tr', this.headings)), this.body);
    this.nothing = h('div.empty', { hidden: true });
    this.element = h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': options.label }, this.table, this.nothing);
    this.element.addEventListener('keydown', (event) => {
      if (this.key(event)) event.preventDefault();
    });
    /** Whether a pointer is on it: what one points at should not move. */
    this.pointed = false;
    this.element.addEventListener('pointerenter', (event) => {
      this.pointed = event.pointerType === 'mouse';
    });
    this.element.addEventListener('pointerleave', () => {
      this.pointed = false;
      options.onLeave?.();
    });
    this.showSort();
  }

  /** @param {Column<R>} column */
  heading(column) {
    const title = column.order
      ? h('button.sort', { onclick: () => this.sortBy(column.id) }, column.title)
      : column.title;
    return h('th', { scope: 'col', class: column.class }, title);
  }

  /** @param {string} id */
  sortBy(id) {
    const down = this.sort?.column === id ? !this.sort.down : true;
    this.sort = { column: id, down };
    this.showSort();
    this.update(this.rows);
  }

  showSort() {
    this.options.columns.forEach((column, index) => {
      const sorted = this.sort?.column === column.id;
      const order = sorted ? (this.sort?.down ? 'descending' : 'ascending') : null;
      if (column.order) {
        adorn(this.headings[index], { 'aria-sort': order });
      }
    });
  }

  /**
   * Shows these rows. Rows that were there keep their elements.
   * @param {R[]} rows
   */
  update(rows) {
    this.rows = rows;
    const ordered = this.ordered(rows);
    const { key, group } = this.options;
    const keep = new Set(ordered.map(key));
    for (const [id, shown] of this.shown) {
      if (keep.has(id)) continue;
      shown.element.remove();
      shown.below?.remove();
      this.shown.delete(id);
    }
    for (const heading of this.body.querySelectorAll('tr.grp')) heading.remove();
    /** @type {ChildNode | null} */
    let place = this.body.firstChild;
    let under = null;
    /** @param {HTMLElement} element */
    const put = (element) => {
      if (place === element) place = element.nextSibling;
      else this.body.insertBefore(element, place);
    };
    for (const row of ordered) {
      const heading = group?.(row) ?? null;
      if (heading !== null && heading !== under) {
        put(h('tr.grp', h('th', { colspan: this.options.columns.length, scope: 'colgroup' }, heading)));
      }
      under = heading;
      const shown = this.draw(row);
      put(shown.element);
      if (shown.below) put(shown.below);
    }
    this.nothing.hidden = ordered.length > 0;
    this.table.hidden = ordered.length === 0;
    if (ordered.length === 0) fill(this.nothing, ...[this.options.empty?.() ?? 'Nothing here.'].flat());
  }

  /** @param {R[]} rows */
  ordered(rows) {
    const column = this.options.columns.find((each) => each.id === this.sort?.column);
    if (!column?.order) return rows;
    const { order } = column;
    const way = this.sort?.down ? -1 : 1;
    return rows
      .map((row, index) => ({ row, index, value: order(row) }))
      .sort((a, b) => {
        // What is not known comes last, whichever way.
        if (a.value === null || a.value === undefined) return b.value === null || b.value === undefined ? a.index - b.index : 1;
        if (b.value === null || b.value === undefined) return -1;
        const compared = typeof a.value === 'string' ? a.value.localeCompare(String(b.value)) : a.value - Number(b.value);
        return compared === 0 ? a.index - b.index : compared * way;
      })
      .map((each) => each.row);
  }

  /** @param {R} row */
  draw(row) {
    const { columns, key, rowClass, detail, below } = this.options;
    const id = key(row);
    let shown = this.shown.get(id);
    if (!shown) {
      const cells = columns.map((column) => (column.head
        ? h('th', { scope: 'row', class: column.class }) : h('td', { class: column.class })));
      const element = h('tr', { tabindex: -1, 'data-key': id }, cells);
      element.addEventListener('click', (event) => {
        const target = /** @type {Element} */ (event.target);
        if (target.closest('a, input, select') || String(getSelection()) !== '') return;
        this.toggle(id);
      });
      element.addEventListener('focus', () => {
        this.current = id;
      });
      shown = { row, element, cells, seen: [], below: null, belowSeen: '' };
      this.shown.set(id, shown);
    }
    shown.row = row;
    const classes = [rowClass?.(row) ?? '', this.open === id ? 'opened' : ''].filter(Boolean).join(' ');
    if (shown.element.className !== classes) shown.element.className = classes;
    const whole = JSON.stringify(row);
    columns.forEach((column, index) => {
      const value = column.value ? JSON.stringify(column.value(row)) ?? '' : whole;
      if (shown.seen[index] === value) return;
      shown.seen[index] = value;
      fill(shown.cells[index], ...[column.cell(row)].flat());
    });
    const opened = this.open === id && detail !== undefined;
    const belowSeen = `${opened} ${opened ? '' : whole}`;
    if (shown.belowSeen !== belowSeen) {
      shown.belowSeen = belowSeen;
      const content = opened ? detail(row) : below?.(row) ?? null;
      shown.below?.remove();
      shown.below = content
        ? h('tr', { class: opened ? 'detail' : `why ${rowClass?.(row) ?? ''}` }, h('td', { colspan: columns.length }, content))
        : null;
    }
    return shown;
  }

  /**
   * Opens a row, or closes it.
   * @param {string} id
   */
  toggle(id) {
    const before = this.open;
    this.open = before === id ? null : id;
    const row = this.shown.get(id)?.row;
    this.update(this.rows);
    if (row !== undefined) this.options.onOpen?.(row, this.open === id);
  }

  /**
   * Opens the row of that key, now or once it is there; null closes.
   * @param {string | null} id
   */
  setOpen(id) {
    if (this.open === id) return;
    this.open = id;
    this.update(this.rows);
  }

  /**
   * What a key does to the table: j and k go to the next and the previous row, Enter opens.
   * @param {KeyboardEvent} event
   * @returns {boolean} whether it did something
   */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const keys = [...this.body.querySelectorAll('tr[data-key]')].map((row) => /** @type {HTMLElement} */ (row));
    const at = keys.findIndex((row) => row.dataset.key === this.current);
    const inTable = this.body.contains(document.activeElement);
    const arrows = document.activeElement === this.element || inTable;
    const down = event.key === 'j' || (arrows && event.key === 'ArrowDown');
    const up = event.key === 'k' || (arrows && event.key === 'ArrowUp');
    if (down || up) {
      const next = keys[at < 0 ? 0 : Math.min(keys.length - 1, Math.max(0, at + (down ? 1 : -1)))];
      next?.focus();
      next?.scrollIntoView({ block: 'nearest' });
      return next !== undefined;
    }
    if (event.key === 'Enter' && document.activeElement?.getAttribute('data-key')) {
      this.toggle(/** @type {HTMLElement} */ (document.activeElement).dataset.key ?? '');
      return true;
    }
    if (event.key === 'Escape' && this.open !== null) {
      this.toggle(this.open);
      return true;
    }
    return false;
  }
}
