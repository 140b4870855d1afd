/**
 * The panel at the side: what is selected, what goes through it, who talks to it most, and what failed last. Everything in
 * it leads on to the list that it comes from.
 * @module
 */
import * as addresses from './address.js';
import * as api from './api.js';
import { chart, ticks } from './chart.js';
import { fill, h, quantity, s, sign } from './dom.js';
import * as subjects from './panel/subjects.js';
import * as units from './units.js';

/**
 * @typedef {import('./address.js').Address} Address
 * @typedef {import('./panel/subjects.js').Subject} Subject
 */

/** The panel asks anew this often while it is live. */
const REFRESH_MS = 5000;
const STEPS = 60;

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
    this.head = h('header');
    this.facts = h('dl', { class: 'facts' });
    this.charts = h('section', { class: 'charts', 'aria-label': 'Over time' });
    this.talk = h('section');
    this.fails = h('section', { class: 'fails' });
    this.foot = h('footer');
    this.element = h('aside', { class: 'panel', 'aria-label': 'What is selected', hidden: true, tabindex: -1 },
      this.head, this.facts, this.charts, this.talk, this.fails, this.foot);
    this.shown = '';
    this.askedAt = 0;
    this.asking = new AbortController();
  }

  /** @param {Address} address */
  show(address) {
    const { selection } = address;
    this.element.hidden = selection === null;
    const shown = selection ? `${selection.type}:${selection.id} ${address.span} ${address.end}` : '';
    if (shown === this.shown) return;
    const same = selection !== null && shown.startsWith(this.shown.split(' ')[0] || ' ');
    this.shown = shown;
    this.asking.abort();
    if (!selection) return;
    if (!same) {
      for (const part of [this.head, this.facts, this.charts, this.talk, this.fails, this.foot]) part.replaceChildren();
      this.element.scrollTop = 0;
    }
    this.ask(address);
  }

  tick() {
    const address = this.shell.address();
    if (address.selection && address.end === null && performance.now() - this.askedAt >= REFRESH_MS) this.ask(address);
  }

  /** @param {Address} address */
  async ask(address) {
    const { selection } = address;
    if (!selection) return;
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.askedAt = performance.now();
    try {
      const subject = await subjects.find(selection, address, signal);
      if (signal.aborted) return;
      if (subject === null) {
        this.showHead({ kind: selection.type, name: selection.id, state: null });
        fill(this.facts, h('dd', { class: 'wide' }, 'Nothing of this name is known any more: it has ended, and is older than what is kept.'));
        return;
      }
      this.showHead(subject);
      fill(this.facts, subject.facts.flatMap(({ name, value }) => [h('div', null, h('dt', null, name), h('dd', null, value))]));
      this.showFoot(subject, address);
      await Promise.all([
        this.showCharts(subject, address, signal), this.showTalk(subject, address, signal), this.showFails(subject, address, signal),
      ]);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof api.ApiError)) throw error;
      // What is there stays; the bar says how old it is.
      if (this.facts.childElementCount === 0) fill(this.facts, h('dd', { class: 'wide' }, error.message));
    }
  }

  /** @param {{ kind: string, name: string, state: Subject['state'] }} subject */
  showHead({ kind, name, state }) {
    const text = JSON.stringify([kind, name, state]);
    if (this.head.dataset.text === text && this.head.childElementCount > 0) return;
    this.head.dataset.text = text;
    fill(this.head,
      h('div', { class: 'over' }, kind), h('h2', null, name),
      h('button', { class: 'x', type: 'button', 'aria-label': 'Close', onclick: () => this.shell.go({ selection: null }) },
        s('svg', { class: 'ic', viewBox: '0 0 12 12', width: 12, height: 12, 'aria-hidden': 'true' }, s('path', { d: 'M2 2l8 8M10 2l-8 8' }))),
      state ? h('p', { class: 'st' }, sign(state.severity), state.text) : null);
  }

  /**
   * @param {Subject} subject
   * @param {Address} address
   * @param {AbortSignal} signal
   */
  async showCharts(subject, address, signal) {
    if (subject.charts.length === 0) {
      fill(this.charts);
      return;
    }
    const range = addresses.bounds(address, this.shell.now());
    const window = Math.max(15, Math.ceil(address.span / STEPS) * 2);
    const drawn = await Promise.all(subject.charts.map(async (each) => {
      const lines = await Promise.all(each.lines.map(async (line) => ({
        ...line, points: (await api.queryRange(line.query(`${window}s`), range, STEPS, signal))[0]?.points ?? [],
      })));
      return { each, lines };
    }));
    if (signal.aborted) return;
    fill(this.charts,
      h('h3', null, `Last ${units.text(units.duration(address.span * 1e6))}`, h('span', null, address.end === null ? 'now' : 'at its end')),
      drawn.map(({ each, lines }) => {
        const bars = lines.find((line) => line.kind === 'bars');
        const values = lines.filter((line) => line.kind !== 'bars').map((line) => lastOf(line.points, range.end));
        const main = values[0] === null ? null : each.format(values[0]);
        const second = values.length > 1 && values[1] !== null ? each.format(values[1]) : null;
        const errors = bars ? sum(bars.points) / (sum(lines[0].points) || 1) : 0;
        return h('div', { class: 'ch' },
          h('div', { class: 'chl' }, each.name, h('small', null, bars && sum(bars.points) > 0
            ? [h('span', { class: 'eb' }), `${units.text(units.share(Math.min(1, errors)))} ${each.errors ?? ''}`] : each.under ?? '')),
          chart({ lines, range, label: each.name, format: each.format, height: 40 }),
          h('div', { class: 'chv' }, main ? [main.value, h('i', null, main.unit)] : h('span', { class: 'na' }, each.unknown ?? 'not seen'),
            second ? h('span', { class: 'p5' }, second.value, h('i', null, second.unit)) : null));
      }),
      h('div', { class: 'chx' }, axis(range)));
  }

  /**
   * @param {Subject} subject
   * @param {Address} address
   * @param {AbortSignal} signal
   */
  async showTalk(subject, address, signal) {
    const parts = await Promise.all(subject.talk.map(async (each) => ({ each, answer: await subjects.talkers(each, address, signal) })));
    if (signal.aborted) return;
    fill(this.talk, parts.filter(({ answer }) => answer.rows.length > 0).flatMap(({ each, answer }) => {
      const most = Math.max(...answer.rows.map((row) => row.octets), 1);
      return [
        h('h3', null, each.title, h('a', { href: addresses.format(addresses.changed(address, { view: 'connections', filter: each.filter })) },
          `${units.count(answer.connections)} connections`)),
        h('table', { class: 'talk' },
          h('thead', null, h('tr', null, [each.column, h('span', { class: 'vh' }, 'Share'), 'Octets', 'Conns', 'p95'].map((title) => h('th', { scope: 'col' }, title)))),
          h('tbody', null, answer.rows.map((row) => {
            const bar = h('span');
            bar.style.width = `${Math.max(1, (row.octets / most) * 100)}%`;
            return h('tr', null,
              h('th', { scope: 'row', title: row.name }, row.name, h('small', null, row.site)),
              h('td', { class: 'bar' }, bar),
              h('td', null, quantity(units.octets(row.octets))), h('td', null, units.count(row.connections)),
              h('td', null, quantity(units.duration(row.p95), 'unknown')));
          }))),
      ];
    }));
  }

  /**
   * @param {Subject} subject
   * @param {Address} address
   * @param {AbortSignal} signal
   */
  async showFails(subject, address, signal) {
    if (subject.failures === null) {
      fill(this.fails);
      return;
    }
    const { rows, requests, connections } = await subjects.failures(subject.failures, address, signal);
    if (signal.aborted) return;
    const now = this.shell.now();
    /** @param {string} view @param {string} extra @param {number} count @param {string} word */
    const link = (view, extra, count, word) => (count === 0 ? null
      : h('a', { href: addresses.format(addresses.changed(address, { view, filter: `${subject.filter} ${extra}`.trim() })) }, `${units.count(count)} ${word}${count === 1 ? '' : 's'}`));
    fill(this.fails,
      h('h3', null, 'Last failures', h('span', null, link('requests', 'status:5xx', requests, 'request'), requests && connections ? ', ' : null,
        link('connections', 'error:*', connections, 'connection'))),
      rows.length === 0 ? h('p', { class: 'na' }, `None in the last ${units.text(units.duration(address.span * 1e6))}.`)
        : h('ol', null, rows.map((row) => h('li', null,
          h('time', { datetime: new Date(row.time / 1000).toISOString(), title: units.whole(row.time) }, units.moment(row.time, now)),
          sign('bad', 'failed'), h('span', null, h('b', null, row.what), ` ${row.text}`, h('small', null, row.detail))))));
  }

  /** @param {Subject} subject @param {Address} address */
  showFoot(subject, address) {
    /** @param {string} view @param {string} text @param {string} key */
    const to = (view, text, key) => h('a', { href: addresses.format(addresses.changed(address, { view, filter: subject.filter })) }, text, h('kbd', { 'aria-hidden': 'true' }, key));
    fill(this.foot,
      subject.filter ? [to('connections', 'Connections', 'c'), to('requests', 'Requests', 'r')] : null,
      h('a', { href: addresses.format(addresses.changed(address, { view: 'health' })) }, 'Events', h('kbd', { 'aria-hidden': 'true' }, 'h')),
      h('a', { href: api.address(`api/${subject.path}`).href }, 'JSON'));
  }
}

/** The last value, where it is of the end of the range. @param {[number, number][]} points @param {number} end */
function lastOf(points, end) {
  const last = points[points.length - 1];
  return last && Number.isFinite(last[1]) && end - last[0] < 120e6 ? last[1] : null;
}

/** @param {[number, number][]} points */
function sum(points) {
  return points.reduce((total, point) => total + (Number.isFinite(point[1]) ? point[1] : 0), 0);
}

/** @param {{ start: number, end: number }} range */
function axis(range) {
  return ticks(range, 5).map((at) => {
    const mark = h('span', null, units.minute(at));
    mark.style.left = `${((at - range.start) / (range.end - range.start)) * 100}%`;
    return mark;
  });
}
