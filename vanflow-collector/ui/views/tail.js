/**
 * A list of what comes and goes, the newest first: it follows, stands still while somebody points at it or reads a row,
 * and says then how many have come. Connections and requests differ in what a row is.
 * @module
 */
import { timeParameters } from '../address.js';
import * as api from '../api.js';
import { choice, drawing, fill, h, hint, s, say } from '../dom.js';
import * as filter from '../filter.js';
import { Table } from '../table.js';
import * as units from '../units.js';
import { scaleOf, scaleText } from './outcome.js';
import { chip, failure, jsonAddress, listBar, nothing, nothingLeft } from './parts.js';

/** @typedef {import('../address.js').Address} Address */
/** @typedef {import('../filter.js').Term} Term */
/** @typedef {import('../dom.js').Child} Child */

/** What a row of either list has. @typedef {{ key: string, identity: string, startTime: number, endTime: number }} Row */

/**
 * @template R
 * @typedef {object} TailColumn
 * @property {string} id
 * @property {string | Child[]} title
 * @property {string} class
 * @property {(row: R) => unknown} value what the cell depends on
 * @property {(row: R, scale: number, now: number) => Child | Child[]} cell
 * @property {boolean} [scaled] whether it is on the common scale of latencies
 * @property {(row: R) => boolean} [aging] whether it changes with time alone
 */

/** How many there are: of the list, or by a query of metrics.
 * @typedef {{ parameters: [string, string][] } | { query: (matchers: readonly string[], seconds: number) => string }} Count */

/** What opens below a row. @typedef {{ element: HTMLElement, update: (row: any) => void, close: () => void }} Opened */

/**
 * @template {Row} R
 * @typedef {object} TailOptions
 * @property {string} title
 * @property {string} class
 * @property {TailColumn<R>[]} columns
 * @property {(row: R) => boolean} failed
 * @property {(row: R) => Node | null} below
 * @property {(row: R) => number | undefined} latency µs
 * @property {(row: R) => Opened} detail
 * @property {(address: Address) => string} json
 * @property {(key: string) => string} one the path of one row by its key
 * @property {{ id: string, text: string, count: Count, keep?: (row: R) => boolean }[]} chips
 * @property {{ open?: Count, rate: (matchers: readonly string[]) => string }} figures
 * @property {(figures: { open?: number | undefined, rate?: number | undefined }) => Child[]} summary
 * @property {string} empty
 * @property {string} emptyMore
 * @property {filter.List} list what is asked
 * @property {readonly string[]} keys of the filter that say something about it
 */

/** How many rows are asked for: live many times a second, of the past once. */
const LIVE = 60;
const PAST = 300;
/** Keys of the filter that metrics have labels for. */
const LABELLED = ['service', 'site', 'component', 'process', 'from', 'to'];
/** Rows change at most so often, ms; those that are new are marked for as long. */
const CALM = 1000;
/** How often counts are asked for, in seconds. */
const EVERY = 5;

/** @param {Address} address */
export function limitOf(address) {
  return address.end === null ? LIVE : PAST;
}

/**
 * The time that a list asks for.
 * @param {filter.List} list
 * @param {Address} address
 * @param {boolean} live whether it is a tail, that asks no further back than it takes
 * @returns {[string, string][]}
 */
export function timeOf(list, address, live) {
  const reach = live && address.end === null && onlyOf(address) === '' ? reached(list, address) : undefined;
  return timeParameters(reach === undefined ? address : { ...address, span: reach });
}

/** @param {Address} address @returns {'newest' | 'errors'} */
export function orderOf(address) {
  return address.own.order === 'errors' ? 'errors' : 'newest';
}

/** The chip that is pressed, of connections: `failed`, `half` or `slow`. @param {Address} address */
export function onlyOf(address) {
  return address.own.only ?? '';
}

/** @template {Row} R */
export class Tail {
  /**
   * @param {HTMLElement} element
   * @param {import('../views.js').Context} context
   * @param {TailOptions<R>} options
   */
  constructor(element, context, options) {
    this.context = context;
    this.options = options;
    /** The last answers, by subscription. @type {Record<string, R[]>} */
    this.answers = {};
    /** Rows that are shown, in order. @type {R[]} */
    this.rows = [];
    /** A row that the address names and the list has not. @type {R | null} */
    this.named = null;
    /** The rows that came just now, and until when they are marked. @type {Map<string, number>} */
    this.fresh = new Map();
    this.takenAt = -Infinity;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.asking = '';
    this.scale = 1000;
    this.waiting = 0;
    this.asked = 0;
    this.loaded = false;
    /** What ended before, of the range, has been removed; µs. @type {number | undefined} */
    this.removed = undefined;
    /** @type {Opened | null} */
    this.opened = null;
    /** What is there instead of rows, and for which question. @type {{ text: string, element: HTMLElement } | null} */
    this.emptied = null;
    /** @type {api.ApiError | null} */
    this.error = null;
    /** @type {Record<string, number | undefined>} */
    this.counts = {};

    this.order = choice('Order', [{ value: 'newest', text: 'Newest' }, { value: 'errors', text: 'Errors first' }],
      (value) => this.own({ order: value === 'newest' ? '' : value }));
    this.pauseText = h('span', 'Pause');
    this.pauseButton = h('button.btn.pause', { 'aria-keyshortcuts': 'p', onclick: () => context.pause() },
      drawing('svg.ic', 10, 12, s('path', { d: 'M3 2v8M7 2v8' })),
      this.pauseText, hint('p'));
    this.bar = listBar(options.title, this.order.element, this.pauseButton);
    this.chips = options.chips.map((each) => ({ ...each, ...chip(each.text, () => this.own({ only: onlyOf(context.address()) === each.id ? '' : each.id })) }));
    this.bar.chips.append(...this.chips.map((each) => each.element));
    this.more = h('button.btn.more', { hidden: true, onclick: () => this.follow() });
    this.titles = new Map();
    /** @type {Table<R>} */
    this.table = new Table({
      label: `List of ${options.title.toLowerCase()}`,
      class: options.class,
      key: (row) => row.key,
      columns: options.columns.map((column, index) => ({
        id: column.id,
        title: typeof column.title === 'string' ? column.title : this.titleOf(column),
        class: column.class,
        value: (row) => [column.value(row), index === 0 && this.table.open === row.key, column.scaled ? this.scale : 0, column.aging?.(row) ? Math.floor(context.now() / 1e6) : 0],
        cell: (row) => [
          index === 0 ? this.toggle(row) : null, ...[column.cell(row, this.scale, context.at())].flat(),
        ],
      })),
      rowClass: (row) => [options.failed(row) ? 'errrow' : '', this.fresh.has(row.key) ? 'fresh' : ''].filter(Boolean).join(' '),
      below: (row) => options.below(row),
      detail: (row) => this.open(row),
      onOpen: (row, open) => {
        // The button that was pressed is drawn anew.
        if (document.activeElement === document.body) this.table.shown.get(row.key)?.element.querySelector('button')?.focus();
        this.own({ row: open ? row.key : '' });
      },
      empty: () => this.emptyOnce(),
      onLeave: () => {
        if (!this.stands()) this.follow();
      },
    });
    this.bar.chips.after(this.more);
    this.note = h('p.note', { hidden: true });
    element.append(this.bar.element, this.note, this.table.element);
    this.show();
  }

  /** @param {TailColumn<R>} column */
  titleOf(column) {
    const end = h('small');
    const title = h('span.ti', .../** @type {Child[]} */ (column.title), end);
    if (column.scaled) this.titles.set(column.id, end);
    return title;
  }

  /** The button that opens a row; a click on it is one on the row. @param {R} row */
  toggle(row) {
    const open = this.table.open === row.key;
    return h('button.tw', { 'aria-expanded': String(open), 'aria-label': open ? 'Close' : 'Open' });
  }

  /** Changes what the address holds for this list. @param {Record<string, string>} change */
  own(change) {
    const own = Object.fromEntries(Object.entries({ ...this.context.address().own, ...change }).filter(([, value]) => value !== ''));
    this.context.replace({ own });
  }

  /** What of the filter is about this list. */
  applying() {
    return filter.applying(filter.parse(this.context.address().filter), this.options.keys, this.options.title.toLowerCase());
  }

  /** Whether the list has to stand still: somebody points at it, reads a row, or is at one by keyboard. */
  stands() {
    return this.table.pointed || this.table.open !== null || this.table.body.querySelector('tr:focus-visible') !== null;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (this.table.key(event)) return true;
    const row = this.table.body.querySelector('tr:focus');
    if (event.key !== 'Escape' || !(row instanceof HTMLElement)) return false;
    // Whoever leaves a row by keyboard lets the list go on.
    row.blur();
    this.follow();
    return true;
  }

  /** @param {string} name @param {any} answer */
  receive(name, answer) {
    this.error = null;
    this.loaded = true;
    this.answers[name] = answer.results;
    this.removed = answer.answeredFrom;
    if (name === 'tail') this.learn(answer);
    // Answers come several times a second; nobody reads numbers that change more often than once.
    const wait = this.takenAt + CALM - performance.now();
    if (wait <= 0) this.take();
    else this.timer ??= setTimeout(() => this.take(), wait);
  }

  /** Learns from an answer how far back to ask. @param {import('../answers.js').Page<R>} answer */
  learn({ results, timeRangeCount }) {
    const address = this.context.address();
    if (address.end !== null || onlyOf(address) !== '') return;
    const oldest = results[results.length - 1]?.startTime ?? this.context.now();
    const asksAnew = learn(this.options.list, address, {
      rows: results.length, limit: limitOf(address), among: timeRangeCount ?? 0, age: (this.context.now() - oldest) / 1e6,
    });
    // The shell looks at what is to be asked whenever the address changes, and it is the same.
    if (asksAnew) this.context.replace({});
  }

  /** @param {string} _name @param {api.ApiError} error */
  fail(_name, error) {
    this.error = error;
    this.loaded = true;
    this.answers = {};
    this.follow();
  }

  /** How many of an answer that is held back are new. @param {string} name @param {any} answer */
  news(name, answer) {
    if (name !== 'tail') return null;
    const keys = new Set(this.rows.map((row) => row.key));
    return answer.results.filter((/** @type {R} */ row) => !keys.has(row.key)).length;
  }

  show() {
    const address = this.context.address();
    this.order.show(orderOf(address));
    this.bar.json.href = jsonAddress(this.options.json(address));
    this.pauseButton.hidden = address.end !== null;
    const { filter: text, span, end, own } = address;
    const asking = JSON.stringify([text, span, end, own.order, own.only]);
    if (asking !== this.asking) {
      // Another question: what stands here answers the old one.
      const first = this.asking === '';
      this.asking = asking;
      this.answers = {};
      this.loaded = false;
      this.waiting = 0;
      this.counts = {};
      if (!first) this.table.element.setAttribute('aria-busy', 'true');
      this.count();
    }
    this.drawBar();
    const row = address.own.row ?? null;
    if (row !== this.table.open) {
      this.closeOpened();
      this.table.setOpen(row);
      if (row === null) this.take();
      else if (!this.rows.some((each) => each.key === row)) this.find(row);
    }
  }

  tick() {
    if (this.context.frozen() === null && this.context.now() - this.asked >= EVERY * 1e6) this.count();
    say(this.pauseText, this.context.frozen() === null ? 'Pause' : 'Go on');
    // Those that are open last longer each second.
    if (this.rows.length > 0) this.table.update(this.rows);
  }

  close() {
    clearTimeout(this.timer);
    this.closeOpened();
  }

  /** What the answers come to, in order, each once. @returns {R[]} */
  wanted() {
    const address = this.context.address();
    const only = this.options.chips.find((each) => each.id === onlyOf(address));
    /** @type {Map<string, R>} */
    const found = new Map();
    for (const row of [...this.answers.first ?? [], ...this.answers.tail ?? []]) {
      if (only?.keep && !only.keep(row)) continue;
      found.set(row.key, found.get(row.key) ?? row);
    }
    return [...found.values()].slice(0, PAST);
  }

  /** Takes in what has come: all of it, or only what is new of the rows that are shown while the list stands. */
  take() {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.answers.tail) return;
    this.takenAt = performance.now();
    const wanted = this.wanted();
    if (!this.stands() || this.rows.length === 0) {
      this.draw(wanted);
      return;
    }
    const byKey = new Map(wanted.map((row) => [row.key, row]));
    const shown = new Set(this.rows.map((row) => row.key));
    this.waiting = wanted.filter((row) => !shown.has(row.key)).length;
    this.rows = this.rows.map((row) => byKey.get(row.key) ?? row);
    this.table.update(this.rows);
    this.drawMore();
    const open = this.rows.find((row) => row.key === this.table.open);
    if (open) this.opened?.update(open);
  }

  /** Goes on with what has come meanwhile. */
  follow() {
    if (this.table.open !== null) {
      this.own({ row: '' });
      return;
    }
    this.draw(this.wanted());
  }

  /** @param {R[]} rows */
  draw(rows) {
    this.waiting = 0;
    const named = this.named && this.named.key === this.table.open && !rows.some((row) => row.key === this.named?.key) ? [this.named] : [];
    this.mark(rows);
    this.rows = [...named, ...rows];
    this.scale = scaleOf(most(this.rows.map((row) => this.options.latency(row) ?? 0)));
    for (const end of this.titles.values()) say(end, ` 0–${scaleText(this.scale)}`);
    this.table.element.removeAttribute('aria-busy');
    if (this.loaded) this.table.update(this.rows);
    const open = this.rows.find((row) => row.key === this.table.open);
    if (open) this.opened?.update(open);
    this.drawMore();
    this.drawBar();
  }

  /** Marks those that were not there before, unless all are new. @param {R[]} rows */
  mark(rows) {
    const now = performance.now();
    for (const [key, until] of this.fresh) if (until <= now) this.fresh.delete(key);
    if (this.rows.length === 0 || this.context.address().end !== null) return;
    const before = new Set(this.rows.map((row) => row.key));
    if (!rows.some((row) => before.has(row.key))) return;
    for (const row of rows) if (!before.has(row.key)) this.fresh.set(row.key, now + CALM);
  }

  drawMore() {
    const shown = this.waiting > 0;
    this.more.hidden = !shown;
    const text = this.waiting >= limitOf(this.context.address()) ? `${this.waiting} or more` : String(this.waiting);
    say(this.more, shown ? `${text} new` : '');
  }

  drawBar() {
    const address = this.context.address();
    const only = onlyOf(address);
    for (const each of this.chips) each.show(only === each.id, units.count(this.counts[each.id]));
    const removed = this.removed ? `What ended before ${units.moment(this.removed, this.context.now())} has been removed: this is all that ended since then.` : '';
    const note = [this.applying().note, removed].filter(Boolean).join(' ');
    say(this.note, note);
    this.note.hidden = note === '';
    fill(this.bar.summary, this.options.summary(this.counts));
  }

  /** Asks how many there are, of each chip and of all. */
  async count() {
    this.asked = this.context.now();
    const { asking } = this;
    const address = this.context.address();
    const { terms } = this.applying();
    const matchers = filter.matchersOf(terms);
    const { signal } = this.context;
    const at = this.context.frozen();
    /** @param {Count} count @returns {Promise<number | undefined>} */
    const ask = async (count) => {
      if ('query' in count) {
        if (terms.some(({ key }) => !LABELLED.includes(key))) return undefined;
        const answer = await api.query(count.query(matchers, address.span), at, signal);
        return answer[0] ? Math.max(0, answer[0].value) : undefined;
      }
      // What was open in the past is what had not ended at the end of the range.
      const wasOpen = address.end !== null && count.parameters.some(([name, value]) => name === 'state' && value === 'active');
      const parameters = count.parameters.map(([name, value]) => /** @type {[string, string]} */ ([name, wasOpen && name === 'state' ? 'all' : value]));
      const path = api.withQuery(`v2alpha1/${this.options.list}`, [
        ...timeParameters(wasOpen ? { ...address, span: 0 } : address), ...parameters, ...filter.parameters(terms, this.options.list), ['limit', '0'],
      ]);
      const answer = /** @type {import('../answers.js').Page<unknown>} */ (await api.get(path, signal));
      return answer.timeRangeCount;
    };
    /** @type {[string, Count][]} */
    const wanted = this.options.chips.map((each) => [each.id, each.count]);
    if (this.options.figures.open) wanted.push(['open', this.options.figures.open]);
    wanted.push(['rate', { query: this.options.figures.rate }]);
    await Promise.all(wanted.map(async ([id, count]) => {
      try {
        const number = await ask(count);
        if (asking === this.asking) this.counts[id] = number;
      } catch (error) {
        if (!api.failureOf(error, signal)) return;
        // A number that cannot be had is left out.
        if (asking === this.asking) this.counts[id] = undefined;
      }
    }));
    if (!signal.aborted && asking === this.asking) this.drawBar();
  }

  /** Looks for the row that the address names. @param {string} key */
  async find(key) {
    const { signal } = this.context;
    try {
      const answer = /** @type {import('../answers.js').Page<R>} */ (await api.get(this.options.one(key), signal));
      if (this.table.open !== key) return;
      this.named = answer.results[0] ?? null;
      if (!this.named) {
        this.context.announce('the row that the address names is no longer kept');
        this.own({ row: '' });
        return;
      }
      if (!this.rows.some((row) => row.key === key)) this.draw(this.rows.length > 0 ? this.rows : this.wanted());
    } catch (error) {
      api.failureOf(error, signal);
    }
  }

  /** @param {R} row */
  open(row) {
    this.closeOpened();
    this.opened = this.options.detail(row);
    return this.opened.element;
  }

  closeOpened() {
    this.opened?.close();
    this.opened = null;
  }

  /** The same for as long as nothing else is asked. */
  emptyOnce() {
    const text = `${this.asking} ${this.error?.message}`;
    if (this.emptied?.text !== text) this.emptied = { text, element: this.empty() };
    return this.emptied.element;
  }

  empty() {
    if (this.error) return failure(this.error);
    const address = this.context.address();
    const what = this.options.title.toLowerCase().replace(/s$/, '');
    if (address.filter) {
      return nothingLeft(this.context, what, async (terms) => {
        const path = api.withQuery(`v2alpha1/${this.options.list}`, [
          ...timeParameters(address), ['state', 'all'], ...filter.parameters(terms, this.options.list), ['limit', '0'],
        ]);
        return /** @type {import('../answers.js').Page<unknown>} */ (await api.get(path, this.context.signal)).timeRangeCount;
      });
    }
    const only = this.options.chips.find((each) => each.id === onlyOf(address));
    if (only) return nothing(`No ${what} is ${only.text}`, 'Within the range of time that is shown.');
    if (address.end !== null) {
      return nothing('Nothing in this range', 'Records that have ended are kept for a time only (--retention); charts reach back further.');
    }
    return nothing(this.options.empty, this.options.emptyMore);
  }
}

/**
 * The largest of most values: one in twenty may be larger, or a single one would make all others a dot.
 * @param {number[]} values
 */
function most(values) {
  const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * 0.95)] ?? 0;
}

// How far back a live tail asks: no further than it has to, since the newest of a quarter of an hour are looked for among all of it, many times a second.

/** Among so many the newest are found at once. */
const MANY = 5000;
/** How far back may be asked, in seconds. */
const STEPS = [15, 60, 300];

/**
 * How far back to ask from now on.
 * @param {object} answer
 * @param {number} answer.rows how many rows came
 * @param {number} answer.limit how many were asked for
 * @param {number} answer.among how many the newest were looked for among
 * @param {number} answer.age how long ago the oldest of the rows began, in seconds
 * @param {number | undefined} reach how far back was asked, in seconds; undefined where it was the whole range
 * @param {number} span of the range, in seconds
 * @returns {number | undefined} seconds; undefined is the whole range
 */
export function reachOf({ rows, limit, among, age }, reach, span) {
  if (rows < limit) {
    // Too narrow: what is there may be further back.
    const wider = STEPS.find((step) => step > (reach ?? span));
    return reach === undefined || wider === undefined || wider >= span ? undefined : wider;
  }
  if (reach === undefined && among <= MANY) return undefined;
  // As traffic is not even, four times as far as it would have done.
  const fitting = STEPS.find((step) => step >= 4 * age);
  if (fitting === undefined || fitting >= span) return reach;
  return reach === undefined ? fitting : Math.min(reach, fitting);
}

/** @type {Map<string, number>} */
const reaches = new Map();

/**
 * How far back is asked now, in seconds; undefined where it is the whole range.
 * @param {string} list
 * @param {import('../address.js').Address} address
 */
export function reached(list, address) {
  return reaches.get(keyOf(list, address));
}

/**
 * Takes in an answer.
 * @param {string} list
 * @param {import('../address.js').Address} address
 * @param {Parameters<typeof reachOf>[0]} answer
 * @returns {boolean} whether another question is to be asked from now on
 */
export function learn(list, address, answer) {
  const key = keyOf(list, address);
  const before = reaches.get(key);
  const after = reachOf(answer, before, address.span);
  if (after === before) return false;
  if (after === undefined) reaches.delete(key);
  else reaches.set(key, after);
  return true;
}

/** @param {string} list @param {import('../address.js').Address} address */
function keyOf(list, address) {
  return JSON.stringify([list, address.filter, address.span, address.own.order, address.own.only]);
}
