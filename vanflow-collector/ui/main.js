/**
 * The shell: it starts all else, and knows which view is on the screen, whether time goes on, and what is subscribed to.
 * @module
 */
import * as addresses from './address.js';
import * as api from './api.js';
import { Bar } from './bar.js';
import { dialog, fill, h, keep, kept, say } from './dom.js';
import { Panel } from './panel.js';
import { Stream } from './stream.js';
import { VIEWS } from './views.js';

/** @typedef {import('./address.js').Address} Address */

const main = /** @type {HTMLElement} */ (document.querySelector('main'));
const status = /** @type {HTMLElement} */ (document.querySelector('[role=status]'));
const stream = new Stream();

/** @type {Address} */
let address = read();
/** @type {import('./answers.js').Verdict | null} */
let verdict = null;
/** When it was paused, µs. @type {number | null} */
let pausedAt = null;
/** What has come since. @type {Map<string, any>} */
let held = new Map();
/** @type {{ view: import('./views.js').View, loaded: import('./views.js').Loaded, mounted: import('./views.js').Mounted, element: HTMLElement, ended: AbortController, asked: Record<string, string> } | null} */
let screen = null;
/** An answer takes long after so many seconds. */
const SLOW = 1.5;
/** Ends what was fetched of the past for an address that is no more. */
let past = new AbortController();
/** What was asked and is not answered yet, since when by the clock of the browser. */
const waiting = { names: new Set(), since: 0 };
const wait = h('p.note', { hidden: true });

function read() {
  const found = addresses.parse(location.hash);
  return VIEWS.some((view) => view.id === found.view) ? found : { ...found, view: VIEWS[0].id };
}

/** @param {Partial<Address>} change */
function go(change) {
  const next = addresses.changed(address, change);
  if (addresses.format(next) === addresses.format(address)) return;
  history.pushState(null, '', addresses.format(next));
  moved();
}

/** @param {Partial<Address>} change */
function replace(change) {
  history.replaceState(null, '', addresses.format(addresses.changed(address, change)));
  moved();
}

function moved() {
  const before = address;
  address = read();
  if (address.end !== before.end || address.view !== before.view) resume();
  show();
}

/** Draws what the address says. */
function show() {
  const view = VIEWS.find((each) => each.id === address.view) ?? VIEWS[0];
  if (screen?.view !== view) {
    leave();
    const { loaded } = view;
    if (!loaded) void load(view);
    else enter(view, loaded);
  } else {
    screen.mounted.show?.(address);
  }
  subscribe();
  showBar();
  panel.show(address);
}

/** @param {import('./views.js').View} view @param {import('./views.js').Loaded} loaded */
function enter(view, loaded) {
  const ended = new AbortController();
  const element = h('section', { class: `screen s-${view.id}` });
  main.insertBefore(element, panel.element);
  const mounted = loaded.mount(element, {
    address: () => address, go, replace, now: () => stream.now(), verdict: () => verdict, signal: ended.signal, pause,
    frozen, at: () => frozen() ?? stream.now(), range: () => addresses.bounds({ ...address, end: frozen() }, stream.now()), isOld, announce: (text) => say(status, text),
    link: (change) => addresses.format(addresses.changed(address, change)),
  });
  element.prepend(wait);
  screen = { view, loaded, mounted, element, ended, asked: {} };
  document.title = `${view.title} · VAN-Flow`;
  if (verdict) mounted.verdict?.(verdict);
}

/** Fetches a view, and shows it where it is waited for. One that does not come is tried again. @param {import('./views.js').View} view */
async function load(view) {
  try {
    view.loaded ??= await view.load();
  } catch {
    return;
  }
  if (address.view === view.id && screen?.view !== view) show();
}

/** Whether a range of the past is for the most part before there are metrics, and what ended then is on disk. @param {import('./chart.js').TimeRange} range */
function isOld({ start, end }) {
  return address.end !== null && verdict?.ended !== undefined && (start + end) / 2 < (verdict.memory?.historySince ?? 0);
}

/** Where time stands, of the past or while it is paused. */
function frozen() {
  return address.end ?? pausedAt;
}

function leave() {
  if (!screen) return;
  for (const name of Object.keys(screen.asked)) stream.set(`v${name}`, null);
  screen.ended.abort();
  screen.mounted.close?.();
  screen.element.remove();
  screen = null;
}

/** Asks for what the view needs now: by the stream, or once where it is of the past. */
function subscribe() {
  if (!screen) return;
  const { loaded, mounted } = screen;
  const before = screen.asked;
  const live = address.end === null;
  const wanted = loaded.subscriptions(address);
  screen.asked = wanted;
  for (const name of Object.keys(before)) if (!live || !(name in wanted)) stream.set(`v${name}`, null);
  past.abort();
  past = new AbortController();
  const { signal } = past;
  waiting.names = new Set(Object.entries(wanted).filter(([name, path]) => !live || path !== before[name]).map(([name]) => name));
  waiting.since = performance.now();
  showWait();
  for (const [name, path] of Object.entries(wanted)) {
    /** @param {any} answer */
    const receive = (answer) => {
      answered(name);
      if (pausedAt !== null) {
        held.set(name, answer);
        showBar();
      } else mounted.receive(name, answer);
    };
    /** @param {api.ApiError} error */
    const fail = (error) => {
      answered(name);
      mounted.fail?.(name, error);
    };
    if (live) stream.set(`v${name}`, { path, receive, fail });
    else {
      api.get(path, signal).then((answer) => {
        answered(name);
        mounted.receive(name, answer);
      }, (error) => {
        if (!signal.aborted) fail(error);
      });
    }
  }
}

/** @param {string} name */
function answered(name) {
  if (waiting.names.delete(name)) showWait();
}

/** Says that an answer takes long, once it does. */
function showWait() {
  const passed = (performance.now() - waiting.since) / 1000;
  wait.hidden = waiting.names.size === 0 || passed < SLOW;
  if (!wait.hidden) say(wait, `The collector is looking through what it holds of that time, for ${Math.floor(passed)} s now …`);
}

function showBar() {
  bar.show(address, { pausedAt, news: news() });
}

/** How many are new since the pause, as far as the view counts them. */
function news() {
  /** @type {number | null} */
  let sum = null;
  for (const [name, answer] of held) {
    const some = screen?.mounted.news?.(name, answer) ?? null;
    if (some !== null) sum = (sum ?? 0) + some;
  }
  return sum;
}

function pause() {
  if (address.end !== null) {
    live();
    return;
  }
  if (pausedAt === null) {
    pausedAt = stream.now();
    say(status, 'paused');
  } else resume();
  showBar();
}

function resume() {
  if (pausedAt === null) return;
  pausedAt = null;
  const answers = held;
  held = new Map();
  for (const [name, answer] of answers) screen?.mounted.receive(name, answer);
  say(status, 'live');
}

function live() {
  resume();
  go({ end: null });
  showBar();
}

/** @param {number} direction steps in time: a third of the range */
function step(direction) {
  const now = stream.now();
  const end = (address.end ?? pausedAt ?? now) + (direction * address.span * 1e6) / 3;
  go({ end: end >= now ? null : Math.round(end) });
}

function theme() {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const shown = document.documentElement.dataset.theme ?? (dark ? 'dark' : 'light');
  const other = shown === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset.theme = other;
  keep('theme', other);
}

/** @returns {Shortcut[]} */
function shortcuts() {
  return [
    { key: '/', text: 'filter', act: () => bar.focusFilter() },
    ...VIEWS.map((view) => ({ key: view.key, text: view.title, act: () => go({ view: view.id }) })),
    { key: '1', text: 'map of sites', act: () => go({ view: 'map', level: 'site', open: [] }) },
    { key: '2', text: 'map of components', act: () => go({ view: 'map', level: 'component', open: [] }) },
    { key: '3', text: 'map of processes', act: () => go({ view: 'map', level: 'process', open: [] }) },
    { key: 'j', name: 'j k', text: 'next and previous row', act: () => {} },
    { key: 'Enter', text: 'open', act: () => {} },
    { key: 'Escape', name: 'Esc', text: 'close, then deselect', act: () => go({ selection: null }) },
    { key: 'ArrowLeft', name: '← → ↑ ↓', text: 'nearest box on the map', act: () => {} },
    { key: 'p', text: 'pause, go on', act: pause },
    { key: 'l', text: 'live', act: live },
    { key: 'w', text: 'when: a time of the past', act: () => bar.pick() },
    { key: '[', name: '[ ]', text: 'back and forth in time', act: () => step(-1) },
    { key: ']', text: '', act: () => step(1) },
    { key: 't', text: 'dark, light', act: theme },
    { key: '?', text: 'this list', act: () => showKeys(shortcuts()) },
  ];
}

// What keys do. Single letters can be switched off, since some people speak their letters (WCAG 2.1.4).

/** @typedef {{ key: string, name?: string, text: string, act: () => void }} Shortcut */

function lettersOn() {
  return kept('keys') !== 'off';
}

/**
 * Whether a key is meant for what is focused, such as a field that one writes in.
 * @param {KeyboardEvent} event
 */
function isTyping(event) {
  const target = /** @type {Element | null} */ (event.target);
  return target?.closest('input, textarea, select, [contenteditable]') !== null && target !== null;
}

/**
 * Listens for keys, after what is focused has had its turn: first the view has its own, then there are the shortcuts.
 * @param {(event: KeyboardEvent) => boolean} view whether it has used the key
 * @param {() => Shortcut[]} shortcuts
 */
function listen(view, shortcuts) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || isTyping(event) || document.querySelector('dialog[open]')) return;
    const isOff = event.key.length === 1 && !lettersOn();
    if (!isOff && view(event)) {
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || (isOff && event.key !== '?')) return;
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
function showKeys(shortcuts) {
  const letters = h('input', { type: 'checkbox', id: 'letters' });
  letters.checked = lettersOn();
  letters.addEventListener('change', () => keep('keys', letters.checked ? 'on' : 'off'));
  dialog('keys', 'Keys',
    h('dl', shortcuts.filter((each) => each.text).flatMap((each) => [
      h('dt', h('kbd', each.name ?? each.key)), h('dd', each.text),
    ])),
    h('p', letters, h('label', { for: 'letters' }, ' single letters are keys')),
    h('form', { method: 'dialog' }, h('button.btn', { type: 'submit' }, 'Close')));
}

const themed = kept('theme');
if (themed) document.documentElement.dataset.theme = themed;
const bar = new Bar({
  views: VIEWS, go, live, pause, theme, isOld, now: () => stream.now(), help: () => showKeys(shortcuts()),
});
const panel = new Panel({ go, isOld, now: () => stream.now(), address: () => address });
main.append(panel.element);
addEventListener('popstate', moved);
addEventListener('hashchange', moved);
listen((event) => screen?.mounted.key?.(event) ?? false, shortcuts);
stream.onState = (/** @type {import('./stream.js').StreamState} */ state) => bar.stream(state, stream.heard);
stream.onOtherTime = () => {
  leave();
  panel.shown = '';
  show();
  void bar.drawRibbon(true);
};
stream.set('verdict', {
  path: 'v1/verdict',
  receive: (answer) => {
    const isFirst = verdict === null;
    verdict = answer;
    stream.hear(answer.now);
    // It says where the past is to be asked for.
    if (isFirst && isOld(addresses.bounds(address, answer.now))) stream.onOtherTime();
    bar.verdict(answer);
    if (pausedAt === null) screen?.mounted.verdict?.(answer);
  },
  fail: (error) => bar.failed(error),
});
api.get('v2alpha1/user').then((user) => bar.user(/** @type {import('./answers.js').User | null} */ (user)), () => {
  // An older collector, or none that answers: which the bar says already.
});
setInterval(() => {
  if (document.hidden) return;
  for (const view of VIEWS) if (!view.loaded) void load(view);
  void stream.probe();
  bar.tick(stream.heard);
  showWait();
  if (pausedAt === null) {
    screen?.mounted.tick?.();
    panel.tick();
  }
}, 1000);
fill(status);
show();
