/**
 * The table of views, and what a view is.
 *
 * What it is called and what stands beside its title is here. The map comes with the page; the others are fetched once that is
 * drawn, or as soon as somebody goes there.
 *
 * A view says what it needs on the screen as subscriptions: paths below `api/`, by names of its own. The shell asks for
 * them: by the stream while it is live, once where the range is of the past, and again where the address comes to
 * need another path. A view draws what it receives, and asks only for what no stream can carry (ranges of metrics).
 * @module
 */
import { troubles } from './dom.js';
import * as units from './units.js';
import { map } from './views/map.js';

/**
 * @typedef {object} View
 * @property {string} id in the address
 * @property {string} title
 * @property {string} [short] the title on a phone
 * @property {string} key the letter that leads to it
 * @property {string} icon what a phone shows: the `d` of a path in a box of 20 by 20
 * @property {(verdict: import('./answers.js').Verdict) => { text: string, severity?: import('./dom.js').Severity } | null} count
 *   what stands beside the title
 * @property {Loaded | null} loaded what it does, once it is there
 * @property {() => Promise<Loaded>} load
 */

/**
 * @typedef {object} Loaded
 * @property {(address: import('./address.js').Address) => Record<string, string>} subscriptions names (letters, at most
 *   12; `verdict` and `health` are taken by the shell) and paths such as `v2alpha1/services?limit=100`
 * @property {(element: HTMLElement, context: Context) => Mounted} mount draws itself into an empty element
 */

/**
 * What a view has of the shell.
 * @typedef {object} Context
 * @property {() => import('./address.js').Address} address
 * @property {(change: Partial<import('./address.js').Address>) => void} go changes the address: one step in the
 *   history of the browser
 * @property {(change: Partial<import('./address.js').Address>) => void} replace changes it without a step
 * @property {(change: Partial<import('./address.js').Address>) => string} link the address of that, for `href`
 * @property {() => number} now the collector's time, µs
 * @property {() => import('./address.js').Address['end']} frozen where time stands: the end of a range of the past, or
 *   the moment of the pause; null where it is live
 * @property {() => number} at where time stands, or else now, µs
 * @property {() => import('./chart.js').TimeRange} range what is shown of time
 * @property {(range: import('./chart.js').TimeRange) => boolean} isOld whether it is before there are metrics, and what ended then is on disk
 * @property {() => import('./answers.js').Verdict | null} verdict the last one; null where there is none yet
 * @property {() => void} pause pauses, or goes on
 * @property {(text: string) => void} announce says something to a screen reader
 * @property {AbortSignal} signal ends with the view; for what it fetches
 */

/**
 * A view that is on the screen.
 * @typedef {object} Mounted
 * @property {(name: string, answer: any) => void} receive an answer to one of its subscriptions
 * @property {(name: string, error: import('./api.js').ApiError) => void} [fail] there is none, and why
 * @property {(address: import('./address.js').Address) => void} [show] the address has changed within the view
 * @property {(name: string, answer: any) => number | null} [news] while paused: how many are new, of an answer that is held back
 * @property {(verdict: import('./answers.js').Verdict) => void} [verdict] a new verdict
 * @property {() => void} [tick] a second has passed
 * @property {(event: KeyboardEvent) => boolean} [key] a key that nobody else has used; whether the view has
 * @property {() => void} [close] it leaves the screen
 */

/** @type {View[]} in the order of the bar */
export const VIEWS = [
  {
    id: 'map', title: 'Map', key: 'm', icon: 'M3 3h5v5H3zM12 12h5v5h-5zM8 5.5h3a3 3 0 013 3V12', count: () => null, loaded: map, load: async () => map,
  },
  {
    id: 'services', title: 'Services', key: 's', icon: 'M3 5h14M3 10h14M3 15h14',
    count: ({ counts }) => ({ text: units.count(counts.services) ?? '' }),
    loaded: null, load: async () => (await import('./views/services.js')).services,
  },
  {
    id: 'connections', title: 'Connections', key: 'c', icon: 'M3 6h12M12 3l3 3-3 3M17 14H5M8 11l-3 3 3 3',
    count: ({ counts }) => ({ text: units.count(counts.openConnections) ?? '' }),
    loaded: null, load: async () => (await import('./views/flows.js')).connections,
  },
  {
    id: 'requests', title: 'Requests', key: 'r', icon: 'M3 5h9M3 10h14M3 15h6', count: () => null,
    loaded: null, load: async () => (await import('./views/flows.js')).requests,
  },
  {
    id: 'infra', title: 'Sites, routers, links', short: 'Sites', key: 'n', icon: 'M10 3v5M4 17v-4h12v4M10 8v5M8 3h4M2 17h4M14 17h4',
    count: ({ counts }) => ({ text: `${counts.sites}, ${counts.routers}, ${counts.links}` }),
    loaded: null, load: async () => (await import('./views/infra.js')).infra,
  },
  {
    id: 'health', title: 'Health', key: 'h', icon: 'M2 11h4l2-6 4 11 2-5h4',
    count: ({ findings }) => {
      const { wrong, severity } = troubles(findings);
      return severity && { text: String(wrong.length), severity };
    },
    loaded: null, load: async () => (await import('./views/health.js')).health,
  },
];
