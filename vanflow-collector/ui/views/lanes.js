/**
 * Events as lanes of a time line: a lane a subject, spans for what lasted, marks for what happened at a moment.
 * @module
 */

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

/** A finding of `/api/v1/verdict`.
 * @typedef {{severity: Severity, about: string, kind: string, subject?: Subject, text: string, detail?: string,
 *   since?: number}} Finding */

/** @typedef {{from: number, to: number, severity: Severity, text: string}} Span */
/** @typedef {{time: number, severity: Severity, text: string}} Mark */
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

/** One word for a kind of event, for a narrow column.
 * @type {Readonly<Record<string, string>>} */
const WORDS = {
  linkDown: 'down', linkUp: 'up', routerStarted: 'started', routerRestarted: 'back', routerLost: 'lost',
  siteStarted: 'started', siteEnded: 'ended', sourceIncomplete: 'incomplete', sourceComplete: 'complete',
  sourceLost: 'lost', sourceSeen: 'seen', serviceWithoutConnector: 'no server', serviceServed: 'served',
  serviceRefused: 'refused', serviceAnswers: 'answers', processStarted: 'started', processEnded: 'ended',
  clientDisconnects: 'cut off', warning: 'warning', certificate: 'certificate',
};

/** @param {string} kind @returns {string} */
export function kindWord(kind) {
  return WORDS[kind] ?? kind;
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
  for (const event of [...events].sort((a, b) => a.time - b.time || a.number - b.number)) {
    const key = laneKey(event);
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
    } else if (event.endTime !== undefined && event.endTime > event.time) {
      span(lane, event, event.endTime, from, to);
    } else if (event.time >= from && event.time <= to && !endsSpan(lane, event)) {
      lane.marks.push({ time: event.time, severity: event.severity, text: event.text });
      worse(lane, event.severity);
    }
  }
  for (const { event, lane } of open.values()) span(lane, event, to, from, to);
  for (const finding of findings) {
    if (finding.about !== 'network' || !finding.subject || finding.since === undefined || finding.since >= to) continue;
    const key = `${finding.subject.type}:${finding.subject.id}`;
    const lane = lanes.get(key) ?? {
      key, label: subjectLabel(finding.subject), severity: finding.severity, spans: [], marks: [],
    };
    if (lane.spans.some((other) => other.to >= to) || finding.kind === 'linkFlaps') continue;
    lanes.set(key, lane);
    lane.spans.push({ from: Math.max(from, finding.since), to, severity: finding.severity, text: finding.text });
    worse(lane, finding.severity);
  }
  const shown = [...lanes.values()].filter((lane) => lane.spans.length + lane.marks.length > 0);
  shown.sort((a, b) => RANK[a.severity] - RANK[b.severity] || latest(b) - latest(a) || (a.label < b.label ? -1 : 1));
  return { lanes: shown.slice(0, most), folded: Math.max(0, shown.length - most) };
}

/** What a subject is called where its type is not plain.
 * @param {Subject} subject
 * @returns {string} */
export function subjectLabel(subject) {
  const name = (subject.name ?? subject.id).replace(/^0\//, '');
  return ['service', 'collector'].includes(subject.type) ? name : `${subject.type} ${name}`;
}

/** @param {Event} event */
function laneKey(event) {
  return event.kind === 'clientDisconnects' ? 'clientDisconnects' : `${event.subject.type}:${event.subject.id}`;
}

/** @param {Event} event */
function laneLabel(event) {
  return event.kind === 'clientDisconnects' ? 'client disconnects' : subjectLabel(event.subject);
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
