/**
 * The bar on top: the views, whether the collector is attached and complete, the filter, and the time.
 * @module
 */
import * as addresses from './address.js';
import * as api from './api.js';
import { chart, ticks } from './chart.js';
import { adorn, choice, dialog, drawing, fill, h, hint, s, say, sign } from './dom.js';
import * as filters from './filter.js';
import * as units from './units.js';

/** @typedef {import('./address.js').Address} Address */

/** How much of the ribbon a range of time takes, so that there is a before. */
const RIBBON_SPANS = 4;
const RIBBON_SECONDS = 30;

const SPAN_TEXTS = new Map([[900, '15 min'], [3600, '1 h'], [21600, '6 h'], [86400, '24 h']]);

export class Bar {
  /**
   * @param {object} shell
   * @param {import('./views.js').View[]} shell.views
   * @param {(change: Partial<Address>) => void} shell.go
   * @param {() => void} shell.live
   * @param {() => void} shell.pause
   * @param {() => void} shell.theme
   * @param {() => void} shell.help
   * @param {() => number} shell.now
   * @param {(range: import('./chart.js').TimeRange) => boolean} shell.isOld
   */
  constructor(shell) {
    this.shell = shell;
    /** @type {Address} */
    this.address = addresses.parse('');
    /** @type {import('./answers.js').Verdict | null} */
    this.last = null;
    /** @type {number | null} */
    this.pausedAt = null;
    /** @type {number | null} */
    this.news = null;
    /** @type {import('./stream.js').StreamState} */
    this.state = 'connecting';
    this.heard = 0;
    this.ribbonAt = 0;
    this.ribbonFor = '';

    this.links = shell.views.map((view) => {
      const mark = h('span.mark');
      const element = h('a', { href: `#${view.id}`, 'aria-keyshortcuts': view.key },
        drawing('svg', 20, 20, s('path', { d: view.icon })), h('span.name', view.title),
        h('span.short', view.short ?? view.title), mark);
      return { view, element, mark };
    });
    this.attachment = h('div.att');
    this.who = h('div.user', { hidden: true });
    const top = /** @type {HTMLElement} */ (document.querySelector('.top'));
    fill(top,
      h('a.brand', { href: '#map' }, drawing('svg', 20, 20, s('path', { d: 'M3 5h4l6 10h4' }), s('rect.f', { x: 1, y: 3, width: 4, height: 4 }),
        s('rect.f', { x: 15, y: 13, width: 4, height: 4 })), 'VAN-Flow'),
      h('nav', { 'aria-label': 'Views' }, this.links.map((link) => link.element)),
      h('div.end', this.attachment, this.who,
        h('a.tbtn.api', { href: api.address('api').href, title: 'The APIs that this page asks' }, 'API'),
        h('button.tbtn.keys', { 'aria-label': 'Keys', title: 'Keys (?)', onclick: shell.help }, '?'),
        h('button.tbtn', { 'aria-label': 'Dark or light', title: 'Dark or light (t)', onclick: shell.theme },
          drawing('svg', 16, 16, s('circle', { cx: 8, cy: 8, r: 6 }), s('path.half', { d: 'M8 2a6 6 0 010 12z' })))));

    this.chips = h('span.chips');
    this.input = h('input', {
      type: 'search', 'aria-label': 'Filter', spellcheck: 'false',
      autocomplete: 'off', 'aria-keyshortcuts': '/', title: Object.entries(filters.KEYS).map(([key, is]) => `${key}: ${is}`).join('\n'),
    });
    this.input.addEventListener('keydown', (event) => this.typed(event));
    this.input.addEventListener('change', () => this.take());
    this.spans = choice('Range of time', addresses.SPANS.map((span) => ({ value: String(span), text: SPAN_TEXTS.get(span) ?? '' })),
      (span) => shell.go({ span: Number(span) }));
    this.when = h('button.btn.when', { 'aria-keyshortcuts': 'w', title: 'Choose a time of the past (w)', onclick: () => this.pick() },
      drawing('svg', 14, 14, s('path', { d: 'M1.5 3h11v9.5h-11zM1.5 6h11M4.5 1v3M9.5 1v3' })), h('span', 'Time'));
    this.ribbon = h('div.rib');
    this.ribbon.addEventListener('click', (event) => this.clicked(event));
    this.liveDot = h('span.dot');
    this.liveName = h('b');
    this.liveTime = h('span.time');
    this.liveDoes = h('span.vh');
    this.live = h('button.live', { onclick: () => this.pressed() }, this.liveDot, this.liveName, this.liveTime, this.liveDoes);
    const second = /** @type {HTMLElement} */ (document.querySelector('.second'));
    fill(second,
      h('div.filter', { role: 'search' },
        drawing('svg', 14, 14, s('circle', { cx: 6, cy: 6, r: 4 }), s('path', { d: 'M9 9l3.5 3.5' })), this.chips, this.input, hint('/')),
      h('div.range', this.spans.element), this.when,
      this.ribbon, this.live);
    this.showAttachment();
    this.showTime();
  }

  /**
   * Who looks, with a way out where there is one; or that nobody is asked who they are.
   * @param {import('./answers.js').User | null} user
   */
  user(user) {
    if (user === null) return;
    const open = user.authType === 'none';
    fill(this.who,
      open ? sign('warn') : null,
      h('span.name', open ? 'open to anyone' : user.username),
      user.authType === 'session' ? h('button.out', { onclick: () => void api.logOut() }, 'Log out') : null);
    this.who.title = open ? 'Anyone who reaches this collector sees everything: it runs with --insecure-no-auth' : `Logged in as ${user.username}`;
    this.who.hidden = !open && user.username === '';
  }

  focusFilter() {
    this.input.focus();
    this.input.select();
  }

  /** @param {KeyboardEvent} event */
  typed(event) {
    if (event.key === 'Enter') {
      this.take();
      event.preventDefault();
    } else if (event.key === 'Escape') {
      this.input.value = '';
      this.input.blur();
    } else if (event.key === 'Backspace' && this.input.value === '') {
      const terms = filters.parse(this.address.filter);
      if (terms.length > 0) this.shell.go({ filter: filters.format(terms.slice(0, -1)) });
    }
  }

  /** What is written becomes a chip. */
  take() {
    const added = filters.parse(this.input.value);
    if (added.length === 0) return;
    this.input.value = '';
    this.shell.go({ filter: filters.format([...filters.parse(this.address.filter), ...added]) });
  }

  pressed() {
    if (this.address.end !== null || this.pausedAt !== null) this.shell.live();
    else this.shell.pause();
  }

  /**
   * @param {Address} address
   * @param {{ pausedAt: number | null, news: number | null }} time
   */
  show(address, { pausedAt, news }) {
    this.address = address;
    this.pausedAt = pausedAt;
    this.news = news;
    for (const { view, element } of this.links) {
      adorn(element, { 'aria-current': address.view === view.id ? 'page' : null, href: addresses.format(addresses.changed(address, { view: view.id })) });
    }
    const terms = filters.parse(address.filter);
    fill(this.chips, terms.map((term, index) => h('span.chip', filters.format([term]),
      h('button', {
        'aria-label': `Without ${filters.format([term])}`,
        onclick: () => this.shell.go({ filter: filters.format(terms.filter((_, at) => at !== index)) }),
      }, '×'))));
    this.input.placeholder = terms.length > 0 ? '' : 'site, service, component, status 5xx …';
    this.spans.show(String(address.span));
    this.when.setAttribute('aria-pressed', String(address.end !== null || !SPAN_TEXTS.has(address.span)));
    this.showTime();
    this.drawRibbon();
  }

  /** @param {import('./answers.js').Verdict} verdict */
  verdict(verdict) {
    this.last = verdict;
    for (const { view, mark } of this.links) {
      const { text = '', severity } = view.count(verdict) ?? {};
      const shown = `mark ${severity ?? ''}`;
      if (mark.textContent === text && mark.className === shown) continue;
      mark.className = shown;
      fill(mark, severity && sign(severity, ''), text);
    }
    this.showAttachment();
  }

  /** @param {api.ApiError} error */
  failed(error) {
    if (error.status !== 404) fill(this.attachment, sign('warn'), h('span.l', error.message));
  }

  /**
   * @param {import('./stream.js').StreamState} state
   * @param {number} heard
   */
  stream(state, heard) {
    this.state = state;
    this.heard = heard;
    this.showTime();
  }

  /** @param {number} heard */
  tick(heard) {
    this.heard = heard;
    this.showTime();
    if (this.address.end === null && this.pausedAt === null && this.shell.now() - this.ribbonAt > RIBBON_SECONDS * 1e6) this.drawRibbon(true);
  }

  showAttachment() {
    const verdict = this.last;
    const text = JSON.stringify(verdict && [verdict.attached, verdict.detail, verdict.state, verdict.sources]);
    if (this.attachment.dataset.shown === text) return;
    this.attachment.dataset.shown = text;
    if (!verdict) {
      fill(this.attachment);
      return;
    }
    const { total, complete } = verdict.sources;
    const detail = verdict.detail ?? '';
    if (!verdict.attached) {
      fill(this.attachment, sign('bad'), h('b', 'not attached'), h('span.l', detail ? `${detail.replace(/^not attached:? ?/, '')}` : ''));
      this.attachment.title = detail;
      return;
    }
    const sources = `${complete} of ${units.counted(total, 'source')} ${verdict.state === 'waiting' && complete < total ? 'answered' : 'complete'}`;
    const severity = verdict.state === 'complete' ? 'fine' : verdict.state === 'waiting' ? 'unknown' : 'warn';
    fill(this.attachment, sign(severity), h('span', h('span.l', 'attached · '), h('b', sources)));
    this.attachment.title = detail;
  }

  showTime() {
    const now = this.shell.now();
    const { end, span } = this.address;
    let name = 'Live';
    let kind = 'now';
    let time = units.clock(now);
    let does = 'press to pause';
    if (end !== null) {
      kind = 'past';
      name = units.range(end - span * 1e6, end, now);
      time = 'back to live';
      does = 'the past';
    } else if (this.pausedAt !== null) {
      kind = 'paused';
      name = this.news === null ? 'Paused' : `Paused, ${units.count(this.news)} new`;
      time = units.clock(this.pausedAt);
      does = 'press to go on';
    } else if (this.state === 'stale') {
      kind = 'stale';
      name = this.heard === 0 ? 'No answer' : units.clock(this.heard);
      time = this.heard === 0 ? 'the collector does not answer' : `${Math.floor((now - this.heard) / 1e6)} s old`;
      does = 'stale';
    } else if (this.heard === 0) {
      kind = 'waiting';
      name = 'Connecting';
      time = '';
      does = '';
    }
    if (this.live.dataset.kind !== kind) {
      this.live.dataset.kind = kind;
      this.liveDot.replaceChildren(...(kind === 'stale' ? [sign('warn')] : []));
    }
    say(this.liveDoes, does);
    say(this.liveName, name);
    say(this.liveTime, time);
  }

  ribbonRange() {
    const now = this.shell.now();
    const length = this.address.span * 1e6 * RIBBON_SPANS;
    // The present stays at the right edge unless the range is further back than the ribbon is long.
    const end = this.address.end !== null && now - this.address.end > length * 0.75
      ? this.address.end + length * 0.375 : now;
    return { start: end - length, end };
  }

  /** @param {boolean} [again] */
  async drawRibbon(again = false) {
    const asked = `${this.address.span} ${this.address.end}`;
    if (!again && asked === this.ribbonFor) return;
    this.ribbonFor = asked;
    this.ribbonAt = this.shell.now();
    // To look how wide it is lays the page out: until then what is asked for first is on its way.
    await new Promise(requestAnimationFrame);
    if (this.ribbonFor !== asked || getComputedStyle(this.ribbon).display === 'none') return;
    const range = this.ribbonRange();
    const width = Math.max(100, this.ribbon.clientWidth);
    /** @type {[number, number][]} */
    let points = [];
    /** @type {import('./answers.js').NetworkEvent[]} */
    let events = [];
    try {
      const window = Math.max(15, Math.ceil((range.end - range.start) / 1e6 / 160) * 2);
      const [series, answer] = await Promise.all([
        this.shell.isOld(range) ? api.ended('connections', [], api.OCTETS, range, 160).then((found) => [...found.values()].map((points) => ({ points })))
          : api.queryRange(`sum(rate(skupper_sent_bytes_total[${window}s])) + sum(rate(skupper_received_bytes_total[${window}s]))`, range, 160),
        api.get(`v1/events?severity=bad&limit=60&timeRangeStart=${Math.round(range.start)}&timeRangeEnd=${Math.round(range.end)}`)
          .catch(() => ({ results: [] })),
      ]);
      points = series[0]?.points ?? [];
      events = /** @type {{ results: import('./answers.js').NetworkEvent[] }} */ (answer).results;
    } catch (error) {
      api.failureOf(error);
      // Without a history there is no ribbon; the range can still be chosen.
    }
    if (this.ribbonFor !== asked) return;
    /** @param {number} at */
    const x = (at) => ((at - range.start) / (range.end - range.start)) * width;
    const { start, end } = addresses.bounds(this.address, this.shell.now());
    const line = chart({
      lines: [{ points }], range, width, height: 24, format: units.octetRate, end: false,
      label: `Octets a second, ${units.range(range.start, range.end, this.shell.now())}`,
    });
    line.classList.add('ribbon');
    const left = Math.max(0, x(start));
    line.prepend(s('rect.win', { x: left, y: 0, width: Math.max(2, x(end) - left), height: 24 }));
    line.append(s('path.winb', { d: `M${left + 0.75} 0V24M${Math.min(width - 0.75, x(end))} 0V24` }));
    const first = points[0]?.[0];
    const nothing = first !== undefined && first - range.start > (range.end - range.start) / 40
      ? [s('pattern', { id: 'hatch', width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' }, s('path.hp', { d: 'M0 0V5' })),
        s('rect', { fill: 'url(#hatch)', x: 0, y: 4, width: x(first), height: 16 })] : [];
    line.prepend(...nothing);
    fill(this.ribbon, line,
      first !== undefined && nothing.length > 0 && x(first) > 160 ? h('span.no', `no history before ${units.minute(first)}`) : null,
      points.length === 0 ? h('span.no', 'no history yet') : null);
    for (const at of ticks(range, Math.max(1, Math.floor(width / 110)))) {
      if (x(at) < 18 || x(at) > width - 18) continue;
      const mark = h('span', range.end - range.start > 2 * 86400e6 ? units.moment(at, 0).slice(0, 6) : units.mark(at));
      mark.style.left = `${(x(at) / width) * 100}%`;
      this.ribbon.append(mark);
    }
    for (const event of events) {
      const mark = h('span.ev', { title: `${units.clock(event.time)} ${event.text}` }, sign('bad', event.text));
      mark.style.left = `${(x(event.time) / width) * 100}%`;
      this.ribbon.append(mark);
    }
  }

  /** Asks for a range of the past, as far back as anything is held of it. */
  pick() {
    const now = this.shell.now();
    const shown = addresses.bounds(this.address, now);
    const held = heldSince(this.last, now);
    /** @param {string} name @param {number} at */
    const field = (name, at) => h('input', { type: 'datetime-local', name, step: 1, required: true, value: written(at), min: written(Math.min(shown.start, ...Object.values(held))), max: written(now) });
    const from = field('from', shown.start);
    const until = field('until', shown.end);
    const said = (/** @type {string} */ what, /** @type {number} */ since) => h('li', `${what} since ${units.moment(since, now)}`);
    const opened = dialog('pick', 'Time',
      h('form', {
        method: 'dialog',
        onsubmit: () => {
          const [start, end] = [from, until].map((input) => Date.parse(`${input.value}Z`) * 1000);
          this.shell.go({ span: Math.max(60, Math.round((end - start) / 1e6)), end: end >= now - 1e6 ? null : end });
        },
      },
      h('label', 'From', from), h('label', 'Until', until), h('span', 'UTC'),
      h('p', 'Lists, charts and events are of the range, the map is of its end. Held are'),
      h('ul', said('connections and requests', held.records), said('charts, and traffic on the map', held.charts)),
      h('p', h('button.btn', { type: 'submit' }, 'Show'),
        h('button.btn', { onclick: () => { opened.close(); this.shell.live(); } }, 'Live'),
        h('button.btn', { onclick: () => opened.close() }, 'Cancel'))));
    const check = () => until.setCustomValidity(from.value >= until.value ? 'It has to be after the beginning.' : '');
    for (const input of [from, until]) input.addEventListener('input', check);
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const box = this.ribbon.getBoundingClientRect();
    const range = this.ribbonRange();
    const at = range.start + ((event.clientX - box.left) / box.width) * (range.end - range.start);
    const end = at + (this.address.span * 1e6) / 2;
    this.shell.go({ end: end >= this.shell.now() ? null : Math.round(end) });
  }
}

/**
 * Since when anything is held: in memory or, where a history is kept there, on disk.
 * @param {import('./answers.js').Verdict | null} verdict
 * @param {number} now
 */
export function heldSince(verdict, now) {
  const { retention = 900e6, historySince = now } = verdict?.memory ?? {};
  const records = Math.min(now - retention, ...(verdict?.ended ?? []).map(({ since = now }) => since));
  // Before there are metrics, what ended is as good.
  return { records, charts: verdict?.ended ? Math.min(historySince, records) : historySince };
}

/** A time as fields for times take it, in UTC. @param {number} at */
function written(at) {
  return units.iso(at).slice(0, 19);
}
