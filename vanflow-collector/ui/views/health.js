/**
 * Health: is it the network or the collector? The verdict and what it rests on, what happened as a time line and a list,
 * what is known and what is not, the sources, and how far back memory and history reach.
 * @module
 */
import { timeParameters } from '../address.js';
import * as api from '../api.js';
import { ticks } from '../chart.js';
import { drawing, fill, h, isTrouble, quantity, s, sign, signAt, troubles } from '../dom.js';
import * as filter from '../filter.js';
import { Table } from '../table.js';
import * as units from '../units.js';
import { failure, jsonAddress, jsonLink, nothing, nothingLeft } from './parts.js';

/** @typedef {import('../answers.js').Verdict} Verdict */
/** @typedef {import('../answers.js').Finding} Finding */
/** @typedef {import('../answers.js').NetworkEvent} NetworkEvent */

/** @typedef {{ identity: string, type: string, name: string, siteName?: string, version?: string, state: 'complete' | 'incomplete' | 'lost',
 *   why?: string, lastHeard: number, clockOffset?: number, neverReported?: number, saturated?: boolean }} Source */

const MOST_EVENTS = 200;
const MOST_LANES = 8;
const LANE = 25;
/** From more marks on they are put together. */
const MANY = 6;
/** Where lanes begin: behind their labels. */
const LABELS = 157;

/** @type {import('../views.js').Loaded} */
export const health = {
  subscriptions: (address) => ({ events: eventsPath(address), ...(address.end === null ? { sources: 'v1/sources' } : {}) }),
  mount: (element, context) => new Health(element, context),
};

/** @param {import('../address.js').Address} address */
function eventsPath(address) {
  return api.withQuery('v1/events', [...timeParameters(address), ['limit', String(MOST_EVENTS)]]);
}

class Health {
  /**
   * @param {HTMLElement} element
   * @param {import('../views.js').Context} context
   */
  constructor(element, context) {
    this.context = context;
    /** @type {NetworkEvent[]} */
    this.events = [];
    this.total = 0;
    this.loaded = false;
    /** @type {Source[] | null} */
    this.sources = null;
    /** @type {import('../api.js').ApiError | null} */
    this.error = null;
    /** @type {Record<string, string>} */
    this.seen = {};
    this.head = h('div.verdict');
    /** That the verdict is not of the range. @type {HTMLElement | null} */
    this.past = null;
    this.when = h('span');
    this.json = jsonLink();
    this.line = h('div.tlw');
    /** @type {Table<NetworkEvent>} */
    this.table = new Table({
      label: 'List of events', class: 'evt', key: (row) => row.identity, columns: this.columns(),
      empty: () => this.empty(), onLeave: () => this.drawEvents(),
    });
    this.more = h('p.note', { hidden: true });
    this.known = h('div');
    this.sourceList = h('div');
    this.memory = h('div');
    element.append(this.head, h('div.hsplit',
      h('section.evs', { 'aria-label': 'Events', tabindex: 0 }, h('h2', 'Events', this.when, this.json), this.line, this.table.element, this.more),
      h('section.hl', { 'aria-label': 'What is known', tabindex: 0 }, this.known, this.sourceList, this.memory)));
    this.resized = new ResizeObserver(() => this.drawLine());
    this.resized.observe(this.line);
    this.show();
    this.verdict();
  }

  /** @returns {import('../table.js').Column<NetworkEvent>[]} */
  columns() {
    return [
      { id: 'time', title: 'Time', class: 'tm_', value: (row) => row.time, cell: (row) => h('time', { title: units.whole(row.time) }, units.moment(row.time, this.context.at())) },
      { id: 'kind', title: 'What', class: 'kind', value: (row) => [row.kind, row.severity], cell: (row) => [sign(row.severity), kindWord(row.kind)] },
      { id: 'text', title: 'In words', class: 'what', value: (row) => [row.text, row.detail, row.endTime, row.count], cell: (row) => [h('span', emphasized(row.text, row.subject), howOften(row)), h('small', { title: row.detail }, row.detail ?? '')] },
      { id: 'site', title: 'Site', class: 'who', value: (row) => row.siteName, cell: (row) => row.siteName ?? '' },
    ];
  }

  /** @param {string} name @param {any} answer */
  receive(name, answer) {
    if (name === 'sources') {
      this.sources = answer.results;
      this.drawSources();
      return;
    }
    this.error = null;
    this.loaded = true;
    this.events = answer.results;
    this.total = answer.totalCount ?? answer.count;
    this.drawEvents();
  }

  /** @param {string} name @param {import('../api.js').ApiError} error */
  fail(name, error) {
    if (name === 'sources') {
      this.sources = null;
      fill(this.sourceList, h('h2', 'Sources'), failure(error));
      return;
    }
    this.error = error;
    this.loaded = true;
    this.events = [];
    this.drawEvents();
  }

  /** @param {string} name @param {any} answer */
  news(name, answer) {
    if (name !== 'events') return null;
    const keys = new Set(this.events.map((event) => event.identity));
    return answer.results.filter((/** @type {NetworkEvent} */ event) => !keys.has(event.identity)).length;
  }

  show() {
    this.table.pointed = false;
    this.past = this.context.address().end === null ? null : h('p.sub', 'As it is now; what was wrong then is among the events below.');
    this.json.href = jsonAddress(eventsPath(this.context.address()));
    this.drawEvents();
    this.verdict();
  }

  verdict() {
    const verdict = this.context.verdict();
    if (!verdict) {
      fill(this.head, h('h1', sign('unknown', ''), 'Not known yet'), h('p.sub', 'The collector has not said yet what it sees.'));
      return;
    }
    const link = (/** @type {Finding} */ finding) => this.linkOf(finding);
    this.once('head', [verdict.findings, verdict.state, verdict.text, this.context.address()], () => fill(this.head, this.past, ...verdictParts(verdict, link)));
    this.once('known', verdict.known, () => fill(this.known, h('h2', 'What is known, and what is not'), knownTable(verdict)));
    this.once('memory', [verdict.memory, verdict.ended, Math.floor((verdict.now - (verdict.memory?.historySince ?? 0)) / 60e6)], () => fill(this.memory, memoryPart(verdict)));
    this.drawLine();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    return this.table.key(event);
  }

  tick() {
    this.drawEvents();
    this.drawSources();
  }

  close() {
    this.resized.disconnect();
  }

  /** Draws a part where what it shows has changed. @param {string} part @param {unknown} data @param {() => void} draw */
  once(part, data, draw) {
    const text = JSON.stringify(data);
    if (this.seen[part] === text) return;
    this.seen[part] = text;
    draw();
  }

  /** Where a finding leads. @param {Finding} finding */
  linkOf({ kind, subject, text }) {
    const { link } = this.context;
    if (subject?.type === 'service') {
      if (kind === 'serviceWithoutConnector') return link({ view: 'services', filter: `service:${subject.name}` });
      // Whether requests fail or connections, the words alone say.
      const [view, own] = /requests?$/.test(text) ? ['requests', { only: 'bad' }] : ['connections', { order: 'errors' }];
      return link({ view, filter: `service:${subject.name}`, own });
    }
    if (subject && ['link', 'router', 'site'].includes(subject.type)) return link({ view: 'infra', filter: '', selection: subject });
    return null;
  }

  /** Events that the filter is about. */
  filtered() {
    const terms = filter.parse(this.context.address().filter);
    if (terms.length === 0) return this.events;
    return this.events.filter((event) => filter.matches(terms, {
      text: event.text, detail: event.detail, siteName: event.siteName, error: event.detail,
      [{ service: 'routingKey', component: 'componentName', process: 'processName', router: 'routerName', site: 'sourceSiteName' }[/** @type {'site'} */ (event.subject?.type)] ?? 'subject']: event.subject?.name,
    }));
  }

  drawEvents() {
    const { start, end } = this.context.range();
    const now = this.context.now();
    const span = units.text(units.duration(this.context.address().span * 1e6));
    this.when.textContent = this.context.address().end === null ? `last ${span}, ${units.range(start, end, now)}` : units.range(start, end, now);
    if (!this.loaded) return;
    const events = repeated(this.filtered());
    // What one points at stays where it is.
    if (!this.table.pointed) this.table.update(events);
    this.more.hidden = this.total <= this.events.length;
    this.more.textContent = `The latest ${this.events.length} of ${this.total} events: narrow the time or ask for JSON.`;
    this.drawLine();
  }

  /** Lanes of what happened, drawn as wide as there is room. */
  drawLine() {
    if (!this.loaded) return;
    const width = Math.floor(this.line.clientWidth);
    const range = this.context.range();
    const verdict = this.context.verdict();
    const live = this.context.address().end === null;
    const { lanes, folded } = lanesOf(/** @type {Event[]} */ (this.filtered().filter((event) => event.subject)),
      live && !this.context.address().filter ? verdict?.findings ?? [] : [], range.start, range.end, MOST_LANES);
    this.line.hidden = lanes.length === 0;
    // To the second, so that it does not shiver while nothing happens.
    this.once('line', [lanes, folded, width, Math.floor(range.end / 1e6)], () => fill(this.line, width > 0 ? lanesDrawn(lanes, folded, range, width) : null));
  }

  drawSources() {
    if (!this.sources) {
      if (this.context.address().end !== null) fill(this.sourceList);
      return;
    }
    const now = this.context.now();
    const { shown, replaced } = present(this.sources);
    fill(this.sourceList, h('h2', 'Sources', h('span', 'last heard')), h('ul.src', shown.map((source) => {
      const state = source.saturated ? 'warn' : source.state === 'complete' ? 'fine' : source.state === 'lost' ? 'bad' : 'unknown';
      const why = source.why ?? (source.saturated ? 'has so many connections that it reports no more' : source.neverReported ? `${units.counted(source.neverReported, 'connection')} never reported` : '');
      const passed = Math.max(0, now - source.lastHeard);
      return h('li', { title: `${source.type}${source.version ? ` ${source.version}` : ''}, ${source.state}, last heard ${units.whole(source.lastHeard)}` },
        sign(state, source.state), h('span.nm', source.name, why ? h('small', why) : null),
        passed < 60e6 ? h('b', (passed / 1e6).toFixed(1), h('i', 's ago')) : h('b', units.moment(source.lastHeard, now)));
    })), replaced > 0 ? h('p.na', `Not shown: ${replaced} that ${units.are(replaced)} lost and came back with another identity, as a router does that restarts.`) : null);
  }

  empty() {
    if (this.error) return failure(this.error);
    if (this.context.address().filter && this.events.length > 0) return nothingLeft(this.context, 'event');
    return nothing('Nothing happened', 'Links that go down, routers and processes that come and go, services without a server and warnings are listed here.');
  }
}

/**
 * The sources without those that are lost while one of the same name is there again.
 * @template {Pick<Source, 'type' | 'name' | 'state'>} S
 * @param {S[]} sources
 * @returns {{ shown: S[], replaced: number }}
 */
export function present(sources) {
  const seen = new Set(sources.filter(({ state }) => state !== 'lost').map(({ type, name }) => `${type} ${name}`));
  const shown = sources.filter(({ type, name, state }) => state !== 'lost' || !seen.has(`${type} ${name}`));
  return { shown, replaced: sources.length - shown.length };
}

/**
 * @param {Verdict} verdict
 * @param {(finding: Finding) => string | null} link
 */
function verdictParts(verdict, link) {
  const { findings } = verdict;
  const { wrong, severity: worst } = troubles(findings);
  const unknown = findings.filter(({ severity }) => severity === 'unknown');
  const title = wrong.length > 0 ? `${units.counted(wrong.length, 'thing')} ${wrong.length === 1 ? 'needs' : 'need'} attention`
    : verdict.complete ? 'Nothing needs attention' : verdict.state === 'detached' ? 'Not attached' : verdict.state === 'waiting' ? 'Waiting for sources' : 'Not all is known';
  const own = [...wrong, ...unknown].filter(({ about }) => about === 'collector').length;
  const rest = wrong.length + unknown.length - own;
  const whose = wrong.length + unknown.length === 0 ? '' : own === 0 ? ' What follows is the network’s, not the collector’s.'
    : rest === 0 ? ' What follows is about the collector, not the network.' : ` ${rest} of what follows ${units.are(rest)} the network’s, ${own} the collector’s.`;
  return [
    h('h1', sign(worst ?? (verdict.complete ? 'fine' : 'unknown'), ''), title),
    h('p.sub', `${verdict.text}${whose}`),
    findings.length > 0 ? h('ol.todo', findings.map((finding) => {
      const href = link(finding);
      const text = emphasized(finding.text, finding.subject);
      return h('li', sign(finding.severity),
        h('span', href ? h('a', { href }, text) : text,
          h('small', [finding.detail, finding.since ? `${finding.kind === 'linkFlaps' ? 'last down' : 'since'} ${units.moment(finding.since, verdict.now)}` : '', finding.about === 'collector' ? 'about the collector' : ''].filter(Boolean).join('; '))));
    })) : null,
  ];
}

/** How often a router warned of it, and since when. @param {NetworkEvent & { since?: number }} event */
function howOften({ count = 1, since, time }) {
  return since === undefined || count < 2 ? '' : ` ${units.count(count)} times since ${units.moment(since, time)}`;
}

/**
 * A text in which the name of what it is about stands out.
 * @param {string} text
 * @param {{ name: string } | undefined} subject
 */
function emphasized(text, subject) {
  const name = subject?.name ? units.router(subject.name) : '';
  const at = name ? text.indexOf(name) : -1;
  return at < 0 ? [text] : [text.slice(0, at), h('b', name), text.slice(at + name.length)];
}

/** @param {Verdict} verdict */
function knownTable(verdict) {
  return h('table.h', { 'aria-label': 'What is known' }, h('tbody', verdict.known.map((known) => h('tr', null,
    h('th', { scope: 'row' }, sign(known.severity), known.text, h('small', known.detail ?? '')),
    h('td', knownNumber(known))))));
}

/** @param {import('../answers.js').Known} known */
function knownNumber({ value, of, unit }) {
  if (value === undefined) return h('span.na', 'not known');
  if (unit === 'microseconds') return quantity(units.duration(value));
  if (unit === 'octets') return quantity(units.memory(value));
  return [units.count(value), h('i', of === undefined ? unit ?? '' : `of ${units.count(of)}`)];
}

/** @param {Verdict} verdict */
function memoryPart({ memory, now, counts, ended }) {
  if (!memory) return [];
  /** @param {string} name @param {string} more @param {number | undefined} value @param {number | undefined} most @param {string} text @param {string} of */
  const row = (name, more, value, most, text, of) => h('tr', h('th', { scope: 'row' }, name, h('small', more)), h('td', null,
    value === undefined ? h('span.na', 'none kept') : [
      most ? h('span.meter', meter(value / most)) : null,
      h('span.mv', text, h('i', of)),
    ]));
  const back = memory.historySince === undefined ? undefined : now - memory.historySince;
  return [h('h2', 'Memory and history'), h('table.h.m', { 'aria-label': 'Memory and history' }, h('tbody', null,
    row('Records', `${units.counted(counts.connections, 'connection')}, ${units.counted(counts.requests, 'request')}`, memory.records, memory.recordsLimit, ...bytes(memory.records, memory.recordsLimit)),
    row('History', memory.historySeries === undefined ? 'of metrics' : `${units.count(memory.historySeries)} series`, memory.history, memory.historyLimit, ...bytes(memory.history, memory.historyLimit)),
    back === undefined ? null : row('Charts reach back', `to ${units.moment(memory.historySince ?? 0, now)}`, back, undefined, units.text(units.duration(back)), ''),
    memory.retention === undefined ? null : row('Ended records stay', ended ? 'then they are on disk' : 'then charts alone know of them', memory.retention, undefined, units.text(units.duration(memory.retention)), ''),
    ...(ended ?? []).map(({ kind, rows, octets, since }) => row(`Ended ${kind}`, since === undefined ? 'on disk' : `on disk, since ${units.moment(since, now)}`, rows, undefined, units.count(rows) ?? '', units.text(units.memory(octets)) ?? ''))))];
}

/** @param {number | undefined} value @param {number | undefined} most @returns {[string, string]} */
function bytes(value, most) {
  const shown = units.memory(value);
  const bound = units.memory(most);
  if (!shown) return ['', ''];
  if (!bound) return [shown.value, `${shown.unit}, no bound`];
  const limit = `${bound.value.replace(/\.0$/, '')} ${bound.unit}`;
  return [shown.value, shown.unit === bound.unit ? `of ${limit}` : `${shown.unit} of ${limit}`];
}

/** @param {number} share */
function meter(share) {
  return drawing('svg', 72, 6, s('rect.part', { width: Math.max(2, Math.min(72, Math.round(share * 72))), height: 6 }));
}

/**
 * Marks that touch would be a smear: of those that are near one stands, with all their words, and how many they are. Where there
 * are many, there is room for that number.
 * @param {Mark[]} marks by time
 * @param {(at: number) => number} x
 */
export function marksOf(marks, x) {
  const apart = marks.length > MANY ? 40 : 6;
  /** @type {{ mark: Mark, words: string, count: number }[]} */
  const found = [];
  for (const mark of marks) {
    const last = found[found.length - 1];
    const words = `${units.clock(mark.time)} ${mark.text}`;
    if (!last || x(mark.time) - x(last.mark.time) >= apart) found.push({ mark, words, count: mark.count });
    else {
      last.count += mark.count;
      if (last.words.length < 400) last.words += `\n${words}`;
    }
  }
  return found;
}

/**
 * @param {Lane[]} lanes
 * @param {number} folded
 * @param {{ start: number, end: number }} range
 * @param {number} width
 */
function lanesDrawn(lanes, folded, range, width) {
  const bottom = 10 + lanes.length * LANE;
  const height = bottom + 18 + (folded > 0 ? 16 : 0);
  const right = width - 6;
  const x = (/** @type {number} */ at) => Math.round((LABELS + ((at - range.start) / (range.end - range.start)) * (right - LABELS)) * 10) / 10;
  const element = s('svg.tl', {
    width, height, viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': `Time line of ${lanes.map((lane) => lane.label).join(', ')}; the list below says the same`,
  });
  for (const at of ticks(range, Math.max(2, Math.floor((right - LABELS) / 110)))) {
    element.append(s('path.gt', { d: `M${x(at)} 4V${bottom}` }), s('text.gx', { x: x(at), y: bottom + 14, 'text-anchor': 'middle' }, units.mark(at)));
  }
  lanes.forEach((lane, index) => {
    const y = 10 + index * LANE + LANE / 2;
    element.append(s('text.ln', { x: 0, y: y + 4 }, units.cut(lane.label, 23), s('title', lane.label)), s('path.lr', { d: `M${LABELS} ${y}H${right}` }));
    for (const span of lane.spans) element.append(...spanDrawn(span, lane.label, x(span.from), x(span.to), y));
    for (const { mark, words, count } of marksOf(lane.marks, x)) {
      const at = x(mark.time);
      element.append(signAt(mark.severity, at, y, words));
      if (count > 1) element.append(s('text.gx', { x: at + 8, y: y + 4 }, units.count(count)));
    }
  });
  if (folded > 0) element.append(s('text.gx', { x: 0, y: height - 2 }, `+${folded} more in the list`));
  return element;
}

/** @param {Span} span @param {string} label @param {number} from @param {number} to @param {number} y */
function spanDrawn(span, label, from, to, y) {
  const title = `${units.clock(span.from)}–${units.clock(span.to)} ${span.text}`;
  const trouble = isTrouble(span.severity);
  const kind = trouble ? span.severity : 'other';
  const wide = Math.max(5, to - from);
  const bar = s('rect', { class: `sp ${kind}`, x: from, y: y - 8, width: wide, height: 16, rx: 1.5 }, s('title', title));
  if (wide < 90) return trouble ? [bar, signAt(span.severity, from + wide / 2, y, title)] : [bar];
  const words = span.text.startsWith(`${label} `) ? span.text.slice(label.length + 1) : span.text;
  return [
    bar,
    s('text', { class: `spt ${kind}`, x: from + 8, y: y + 4 }, units.cut(words, Math.floor((wide - 16) / 6.1))),
  ];
}

// Events as lanes of a time line: a lane a subject, spans for what lasted, marks for what happened at a moment.

/** @typedef {'bad' | 'warn' | 'unknown' | 'change' | 'fine'} Severity */
/** @typedef {{type: string, id: string, name?: string}} Subject */

/** An event of `/api/v1/events`; times in microseconds since the epoch.
 * @typedef {object} Event
 * @property {number} number
 * @property {number} time
 * @property {number} [endTime]
 * @property {string} kind
 * @property {Severity} severity
 * @property {Subject} subject
 * @property {string} [siteName]
 * @property {string} text
 * @property {string} [detail]
 * @property {number} [count] */

/** @typedef {{from: number, to: number, severity: Severity, text: string}} Span */
/** @typedef {{time: number, severity: Severity, text: string, count: number}} Mark */
/** @typedef {{key: string, label: string, severity: Severity, spans: Span[], marks: Mark[]}} Lane */

const RANK = { bad: 0, warn: 1, unknown: 2, change: 3, fine: 4 };

/** What begins a span, and what ends it.
 * @type {Readonly<Record<string, ReadonlyArray<string>>>} */
const ENDS = {
  linkDown: ['linkUp'],
  routerLost: ['routerStarted', 'routerRestarted'],
  siteEnded: ['siteStarted'],
  sourceIncomplete: ['sourceComplete', 'sourceLost'],
  sourceLost: ['sourceSeen'],
  serviceWithoutConnector: ['serviceServed'],
  serviceRefused: ['serviceAnswers'],
};
const ENDING = new Set(Object.values(ENDS).flat());

/** Times of what is one moment differ by less, µs. */
const SAME = 1e6;

/** Kinds of events whose last word does not say enough.
 * @type {Readonly<Record<string, string>>} */
const WORDS = { routerRestarted: 'back', serviceWithoutConnector: 'no server', clientDisconnects: 'cut off' };

/** One word for a kind of event, for a narrow column: of `linkDown`, down. @param {string} kind @returns {string} */
export function kindWord(kind) {
  return WORDS[kind] ?? kind.replace(/^[a-z]+(?=[A-Z])/, '').toLowerCase();
}

/** The lanes of what happened between two times: the worst first, then what happened last.
 *
 * A finding that no event of the time tells of is a span from when it began.
 * @param {ReadonlyArray<Event>} events in any order
 * @param {ReadonlyArray<Finding>} findings of now; empty for a time that is past
 * @param {number} from
 * @param {number} to
 * @param {number} most how many lanes there is room for
 * @returns {{lanes: Lane[], folded: number}} */
export function lanesOf(events, findings, from, to, most) {
  /** @type {Map<string, Lane>} */
  const lanes = new Map();
  /** @type {Map<string, {event: Event, lane: Lane}>} */
  const open = new Map();
  /** The lane of each subject. @type {Map<string, string>} */
  const known = new Map();
  for (const event of [...events].sort((a, b) => a.time - b.time || a.number - b.number)) {
    const key = laneKey(event);
    if (!shared(event)) known.set(event.subject.id, key);
    const lane = lanes.get(key) ?? { key, label: laneLabel(event), severity: 'fine', spans: [], marks: [] };
    lanes.set(key, lane);
    if (ENDING.has(event.kind)) {
      const begun = open.get(key);
      if (begun && ENDS[begun.event.kind]?.includes(event.kind)) {
        open.delete(key);
        span(begun.lane, begun.event, event.time, from, to);
        continue;
      }
    }
    if (ENDS[event.kind] && event.endTime === undefined) {
      const begun = open.get(key);
      if (begun) span(begun.lane, begun.event, event.time, from, to);
      open.set(key, { event, lane });
    } else if (event.endTime !== undefined && event.endTime > event.time && !shared(event)) {
      span(lane, event, event.endTime, from, to);
    } else if (event.time >= from && event.time <= to && !endsSpan(lane, event)) {
      lane.marks.push({ time: event.time, severity: event.severity, text: event.text, count: event.count ?? 1 });
      worse(lane, event.severity);
    }
  }
  for (const { event, lane } of open.values()) span(lane, event, to, from, to);
  for (const finding of findings) {
    if (finding.about !== 'network' || !finding.subject || finding.since === undefined || finding.since >= to) continue;
    const key = known.get(finding.subject.id) ?? `${finding.subject.type}:${finding.subject.id}`;
    const lane = lanes.get(key) ?? {
      key, label: subjectLabel(finding.subject), severity: finding.severity, spans: [], marks: [],
    };
    if (lane.spans.some((other) => other.to >= to) || finding.kind === 'linkFlaps') continue;
    lanes.set(key, lane);
    lane.spans.push({ from: Math.max(from, finding.since), to, severity: finding.severity, text: finding.text });
    worse(lane, finding.severity);
  }
  const shown = [...lanes.values()].filter((lane) => lane.spans.length + lane.marks.length > 0);
  shown.sort((a, b) => RANK[a.severity] - RANK[b.severity] || latest(b) - latest(a) || a.label.localeCompare(b.label));
  return { lanes: shown.slice(0, most), folded: Math.max(0, shown.length - most) };
}

/** What a subject is called where its type is not plain.
 * @param {Subject} subject
 * @returns {string} */
export function subjectLabel(subject) {
  const name = (subject.name ?? subject.id).replace(/^0\//, '');
  return ['service', 'collector'].includes(subject.type) ? name : `${subject.type} ${name}`;
}

/** What many report of many has a lane together. @param {Event} event */
function shared({ kind, severity }) {
  return kind === 'clientDisconnects' ? 'client disconnects' : kind === 'warning' && severity === 'warn' ? 'router warnings' : undefined;
}

/** Links and routers that come back have another identity, and the name that they had. @param {Event} event */
function laneKey(event) {
  const { type, id, name } = event.subject;
  return shared(event) ?? `${type}:${['link', 'router'].includes(type) ? name ?? id : id}`;
}

/** @param {Event} event */
function laneLabel(event) {
  return shared(event) ?? subjectLabel(event.subject);
}

/**
 * The events, what a router warns of again and again once, as the latest of it: with how often, and since when.
 * @template {{ kind: string, time: number, endTime?: number, subject?: Subject, text: string, detail?: string, count?: number }} E
 * @param {ReadonlyArray<E>} events the latest first
 * @returns {(E & { since?: number })[]}
 */
export function repeated(events) {
  /** @type {Map<string, E & { since?: number }>} */
  const latest = new Map();
  return events.flatMap((event) => {
    if (event.kind !== 'warning') return [event];
    const key = JSON.stringify([event.subject?.id, event.text, event.detail?.replace(/\d+/g, '#')]);
    const known = latest.get(key);
    const one = { ...event, since: event.time, time: event.endTime ?? event.time, count: event.count ?? 1 };
    if (!known) {
      latest.set(key, one);
      return [one];
    }
    known.count = (known.count ?? 1) + one.count;
    known.since = event.time;
    return [];
  });
}

/** Whether an event says no more than that a span of its lane is over. @param {Lane} lane @param {Event} event */
function endsSpan(lane, event) {
  return ENDING.has(event.kind) && lane.spans.some((span) => Math.abs(span.to - event.time) <= SAME);
}

/** @param {Lane} lane @param {Event} event @param {number} end @param {number} from @param {number} to */
function span(lane, event, end, from, to) {
  if (end < from || event.time > to) return;
  lane.spans.push({ from: Math.max(from, event.time), to: Math.min(to, end), severity: event.severity, text: event.text });
  worse(lane, event.severity);
}

/** @param {Lane} lane @param {Severity} severity */
function worse(lane, severity) {
  if (RANK[severity] < RANK[lane.severity]) lane.severity = severity;
}

/** @param {Lane} lane */
function latest(lane) {
  return Math.max(...lane.spans.map((span) => span.to), ...lane.marks.map((mark) => mark.time));
}
