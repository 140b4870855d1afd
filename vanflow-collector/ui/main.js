/**
 * The shell: it starts all else, and knows which view is on the screen, whether time goes on, and what is subscribed to.
 * @module
 */
import * as addresses from './address.js';
import * as api from './api.js';
import { Bar } from './bar.js';
import { fill, h, say } from './dom.js';
import * as keys from './keys.js';
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
  bar.show(address, { pausedAt, news: news() });
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
        bar.show(address, { pausedAt, news: news() });
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
  bar.show(address, { pausedAt, news: news() });
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
  bar.show(address, { pausedAt, news: null });
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
  keepTheme(shown === 'dark' ? 'light' : 'dark');
}

/** @param {string} name */
function keepTheme(name) {
  document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem('vanflow-theme', name);
  } catch {
    // A browser that keeps nothing shows the theme of the system the next time.
  }
}

function restoreTheme() {
  try {
    const name = localStorage.getItem('vanflow-theme');
    if (name === 'dark' || name === 'light') document.documentElement.dataset.theme = name;
  } catch {
    // As above.
  }
}

/** @returns {keys.Shortcut[]} */
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
    { key: '?', text: 'this list', act: () => keys.showList(shortcuts()) },
  ];
}

restoreTheme();
const bar = new Bar({
  views: VIEWS, go, live, pause, theme, isOld, now: () => stream.now(), help: () => keys.showList(shortcuts()),
});
const panel = new Panel({ go, isOld, now: () => stream.now(), address: () => address });
main.append(panel.element);
addEventListener('popstate', moved);
addEventListener('hashchange', moved);
document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || keys.isTyping(event) || document.querySelector('dialog[open]')) return;
  if (event.key.length === 1 && !keys.lettersOn()) return;
  if (screen?.mounted.key?.(event)) event.preventDefault();
});
keys.listen(shortcuts);
stream.onState((state) => bar.stream(state, stream.heard));
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
