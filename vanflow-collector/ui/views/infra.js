/**
 * Sites, routers and links: what is there, since when, how often it was not, and what goes through.
 * @module
 */
import { endParameters, timeParameters } from '../address.js';
import * as api from '../api.js';
import { chart } from '../chart.js';
import { h, quantity, sign } from '../dom.js';
import * as filter from '../filter.js';
import { Table } from '../table.js';
import * as units from '../units.js';
import { lastDown, linkState, network } from './way.js';
import { failure, jsonAddress, jsonLink, listBar, nothing, nothingLeft } from './parts.js';

/** @typedef {import('../address.js').Address} Address */
/** @typedef {import('../filter.js').Term} Term */
/** @typedef {import('../chart.js').Point} Point */
/** @typedef {import('./way.js').KnownLink} Link */

/** @typedef {{ key: string, identity: string, name: string, startTime: number, endTime: number, namespace: string | null,
 *   platform: string | null, provider: string | null, version: string | null, derived: boolean }} Site */
/** @typedef {{ key: string, identity: string, name: string, startTime: number, endTime: number, siteId: string, mode: string | null,
 *   namespace: string | null, hostName: string | null, imageVersion: string | null, buildVersion: string | null }} Router */
/** @typedef {Site & { lives: number, routers: string[], links: number, down: number, services: [number, number] }} SiteRow */
/** `lives` is how often it ended within the range and came back. */
/** @typedef {Router & { siteName: string | undefined, links: number, down: number, rate: number | undefined, lives: number }} RouterRow */
/** @typedef {Link & { sent: number | undefined, received: number | undefined, points: Point[], flapped: boolean, lives: number,
 *   far?: Link }} LinkRow `far` is what the other side says of it */

/** How often metrics and links are asked for, in seconds. */
const EVERY = 5;
const STEPS = 60;
/** Keys of the filter that these lists know. */
const KEYS = ['', 'site', 'router'];

const LISTS = /** @type {const} */ (['sites', 'routers', 'links']);
const PATHS = { sites: 'v2alpha1/sites', routers: 'v2alpha1/routers', links: 'v2alpha1/routerlinks' };

/** @type {import('../views.js').Loaded} */
export const infra = {
  subscriptions: (address) => ({
    ...Object.fromEntries(LISTS.map((name) => [name, path(name, address)])),
    listeners: api.withQuery('v2alpha1/listeners', [['fields', 'siteId'], ...endParameters(address)]),
    connectors: api.withQuery('v2alpha1/connectors', [['fields', 'siteId'], ...endParameters(address)]),
  }),
  mount: (element, context) => new Infra(element, context),
};

/** @param {typeof LISTS[number]} name @param {Address} address */
function path(name, address) {
  return api.withQuery(PATHS[name], [['state', 'all'], ...timeParameters(address)]);
}

class Infra {
  /**
   * @param {HTMLElement} element
   * @param {import('../views.js').Context} context
   */
  constructor(element, context) {
    this.context = context;
    /** @type {Record<string, any[] | undefined>} */
    this.lists = {};
    /** What only the older API says of links, by identity. @type {Map<string, Link>} */
    this.more = new Map();
    /** @type {{ sent: Map<string, number>, received: Map<string, number>, routers: Map<string, number>, points: Map<string, Point[]> } | null} */
    this.rates = null;
    this.noRates = '';
    this.range = context.range();
    this.asked = 0;
    this.asking = '';
    /** @type {import('../api.js').ApiError | null} */
    this.error = null;
    this.bar = listBar('Sites, routers, links');
    this.bar.json.remove();
    this.note = h('p.note', { hidden: true });
    /** @type {Table<SiteRow>} */
    this.sites = new Table({
      label: 'List of sites', class: 'infra', key: (row) => row.key, columns: siteColumns(context), rowClass: gone,
      empty: () => this.empty('No site yet', 'A site is here as soon as its controller or one of its routers reports it.'),
    });
    /** @type {Table<RouterRow>} */
    this.routers = new Table({
      label: 'List of routers', class: 'infra', key: (row) => row.key, columns: routerColumns(context), rowClass: gone,
      empty: () => this.empty('No router yet', 'The collector finds routers by the one that it is attached to.'),
    });
    /** @type {Table<LinkRow>} */
    this.links = new Table({
      label: 'List of links', class: 'infra links', key: (row) => row.key, columns: linkColumns(context.at, () => this.range),
      rowClass: (row) => (row.status === 'down' && !row.endTime ? 'errrow' : gone(row)),
      empty: () => this.empty('No link', 'One site alone needs none. Two are linked by a token or a link resource of one of them.'),
    });
    /** @type {Record<string, { count: HTMLElement, json: HTMLAnchorElement }>} */
    this.heads = {};
    const sections = LISTS.map((name) => {
      const title = { sites: 'Sites', routers: 'Routers', links: 'Links' }[name];
      const count = h('span');
      const json = jsonLink();
      this.heads[name] = { count, json };
      return h('section', h('h2', title, ' ', count, json), this[name].element);
    });
    element.append(this.bar.element, this.note, h('div.parts', { tabindex: 0, role: 'region', 'aria-label': 'Sites, routers and links' }, sections));
    this.show();
  }

  /** @param {string} name @param {any} answer */
  receive(name, answer) {
    this.error = null;
    this.lists[name] = answer.results;
    this.draw();
  }

  /** @param {string} name @param {import('../api.js').ApiError} error */
  fail(name, error) {
    this.error = error;
    this.lists[name] ??= [];
    this.draw();
  }

  show() {
    const address = this.context.address();
    for (const name of LISTS) this.heads[name].json.href = jsonAddress(path(name, address));
    this.ask();
    this.draw();
  }

  tick() {
    if (this.context.frozen() === null && this.context.now() - this.asked >= EVERY * 1e6) this.ask();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== 'j' && event.key !== 'k') return false;
    const table = [this.sites, this.routers, this.links].find((each) => each.element.contains(document.activeElement)) ?? this.sites;
    return table.key(event);
  }

  /** Asks for what no stream carries: rates, and what the older API knows of links. */
  async ask() {
    const address = this.context.address();
    const at = this.context.frozen();
    const asking = JSON.stringify([address.span, at]);
    if (asking === this.asking && at !== null) return;
    this.asking = asking;
    this.asked = this.context.now();
    const { signal } = this.context;
    const range = this.context.range();
    const step = Math.max(EVERY, Math.ceil(address.span / STEPS));
    const window = Math.max(20, 2 * step);
    const by = (/** @type {string} */ metric, /** @type {number} */ seconds) => `sum by (router_name, dest_router_name, link) (rate(${metric}[${seconds}s]))`;
    const both = (/** @type {string} */ of) => `sum by (router_name) (rate(skupper_router_sent_bytes_total${of})) + sum by (router_name) (rate(skupper_router_received_bytes_total${of}))`;
    try {
      const [sent, received, routers, series, found] = await Promise.all([
        api.query(by('skupper_link_sent_bytes_total', 30), at, signal),
        api.query(by('skupper_link_received_bytes_total', 30), at, signal),
        api.query(both('[30s]'), at, signal),
        api.queryRange(`${by('skupper_link_sent_bytes_total', window)} + ${by('skupper_link_received_bytes_total', window)}`, range, STEPS, signal),
        network(signal),
      ]);
      if (asking !== this.asking) return;
      const pair = (/** @type {Record<string, string>} */ labels) => seriesKey(labels.router_name, labels.dest_router_name, labels.link);
      this.rates = {
        sent: new Map(sent.map(({ labels, value }) => [pair(labels), value])),
        received: new Map(received.map(({ labels, value }) => [pair(labels), value])),
        routers: new Map(routers.map(({ labels, value }) => [units.router(labels.router_name ?? ''), value])),
        points: new Map(series.map(({ labels, points }) => [pair(labels), points])),
      };
      this.range = range;
      this.more = new Map(found.links.map((link) => [link.identity, link]));
      this.noRates = '';
    } catch (error) {
      if (asking !== this.asking) return;
      const failure = api.failureOf(error, signal);
      if (!failure) return;
      this.noRates = `Octets a second are not known: ${failure.message}.`;
    }
    this.draw();
  }

  draw() {
    if (!this.lists.sites || !this.lists.routers || !this.lists.links) return;
    const sites = lastLives(this.lists.sites, (site) => site.identity);
    const routers = lastLives(this.lists.routers, (router) => `${router.siteId} ${router.name}`);
    const links = bothSides(lastLives(this.lists.links, (link) => seriesKey(link.routerName, link.destinationRouterName, link.name)),
      (link) => this.more.get(link.identity)?.parent);
    const { terms, note } = filter.applying(filter.parse(this.context.address().filter), KEYS, 'sites, routers and links');
    this.note.textContent = [note, this.noRates].filter(Boolean).join(' ');
    this.note.hidden = this.note.textContent === '';
    const siteNames = new Map(sites.map((site) => [site.identity, site.name]));
    const count = (/** @type {string} */ list, /** @type {string} */ site) => (this.lists[list] ?? []).filter((each) => each.siteId === site).length;
    const isDown = (/** @type {Link} */ link) => link.status === 'down' && !link.endTime;
    const siteRows = sites.map((site) => {
      const own = links.filter((link) => !link.endTime && [link.sourceSiteId, link.destinationSiteId].includes(site.identity));
      return {
        ...site, links: own.length, down: own.filter(isDown).length, services: [count('listeners', site.identity), count('connectors', site.identity)],
        routers: routers.filter((router) => router.siteId === site.identity && !router.endTime).map((router) => router.name),
      };
    });
    const routerRows = routers.map((router) => {
      const own = links.filter((link) => !link.endTime && [link.routerId, link.destinationRouterId].includes(router.identity));
      return {
        ...router, siteName: siteNames.get(router.siteId), links: own.length, down: own.filter(isDown).length,
        rate: this.rates?.routers.get(units.router(router.name)),
      };
    });
    const linkRows = links.map((link) => {
      const pair = seriesKey(link.routerName, link.destinationRouterName, link.name);
      const more = this.more.get(link.identity);
      /** @type {LinkRow} */
      const row = {
        ...more, ...link, sent: this.rates?.sent.get(pair), received: this.rates?.received.get(pair), points: this.rates?.points.get(pair) ?? [],
        flapped: (more?.downSince ?? 0) >= this.range.start && (more?.downCount ?? 0) > 0,
      };
      return row;
    });
    this.put('sites', this.sites, siteRows.filter((row) => filter.matches(terms, { ...row, routerName: row.routers }, 'site')));
    this.put('routers', this.routers, routerRows.filter((row) => filter.matches(terms, row, 'router')));
    this.put('links', this.links, linkRows.filter((row) => filter.matches(terms, row)));
    const down = linkRows.filter(isDown).length;
    this.bar.summary.replaceChildren(...(down > 0
      ? [sign('bad'), h('b', `${units.counted(down, 'link')} ${units.are(down)} down`)]
      : ['All links are up']));
  }

  /**
   * Shows rows: what is down first, then what is there, then what has gone.
   * @template {{ endTime: number, status?: string }} R
   * @param {typeof LISTS[number]} name
   * @param {Table<R>} table
   * @param {R[]} rows
   */
  put(name, table, rows) {
    const rank = (/** @type {R} */ row) => (row.endTime ? 2 : row.status === 'down' ? 0 : 1);
    const order = (/** @type {R} */ row) => units.router(String(Object(row).routerName ?? Object(row).name));
    table.update([...rows].sort((a, b) => rank(a) - rank(b) || order(a).localeCompare(order(b)) || b.endTime - a.endTime));
    const left = rows.filter((row) => row.endTime).length;
    this.heads[name].count.textContent = `${rows.length - left}${left > 0 ? `, and ${left} that ended` : ''}`;
  }

  /** @param {string} what @param {string} how */
  empty(what, how) {
    if (this.error) return failure(this.error);
    if (this.context.address().filter) return nothingLeft(this.context, what.replace(/^No (\w+).*/, '$1'));
    return nothing(what, how);
  }
}

/**
 * Of what came back, the last life only, and how many it had before. What ended and did not come back stays.
 * @template {{ startTime: number, endTime: number }} R
 * @param {R[]} rows
 * @param {(row: R) => string} who
 * @returns {(R & { lives: number })[]}
 */
export function lastLives(rows, who) {
  /** @type {Map<string, R & { lives: number }>} */
  const found = new Map();
  for (const row of [...rows].sort((a, b) => a.startTime - b.startTime)) {
    found.set(who(row), { ...row, lives: (found.get(who(row))?.lives ?? -1) + 1 });
  }
  return [...found.values()];
}

/**
 * What the series of a link are found by: the routers at its ends, and its name.
 * @param {...(string | null | undefined)} names
 */
function seriesKey(...names) {
  return names.map((name) => units.router(name || 'unknown')).join(' ');
}

/**
 * Each link once. Routers up to 2.x report one from both sides: the row is that of the router that set it up, with what the
 * other says of it.
 * @template {{ identity: string, routerId: string, destinationRouterId?: string | null, endTime: number }} R
 * @param {R[]} rows
 * @param {(row: R) => string | undefined} reporter the router that reports a row
 * @returns {(R & { far?: R })[]}
 */
export function bothSides(rows, reporter) {
  /** @param {R} row */
  const isFar = (row) => row.destinationRouterId && row.destinationRouterId !== row.routerId && reporter(row) === row.destinationRouterId;
  const far = rows.filter(isFar);
  const near = rows.filter((row) => !far.includes(row)).map((row) => {
    const at = far.findIndex((other) => other.routerId === row.routerId && other.destinationRouterId === row.destinationRouterId && !other.endTime === !row.endTime);
    return at < 0 ? row : { ...row, far: far.splice(at, 1)[0] };
  });
  return [...near, ...far];
}

/** How often it came back. @param {number} lives */
function returned(lives) {
  return lives === 0 ? '' : lives === 1 ? 'came back once in this time' : `came back ${units.count(lives)} times in this time`;
}

/** @param {{ endTime: number }} row */
function gone(row) {
  return row.endTime ? 'gone' : '';
}

/**
 * Since when it is there, or when it ended.
 * @param {{ startTime: number, endTime: number, lives?: number }} row
 * @param {number} now
 * @param {string} there
 */
function since(row, now, there) {
  const at = row.endTime || row.startTime;
  const flapped = (row.lives ?? 0) > 0;
  return [
    h('span', { class: flapped && !row.endTime ? 'o wn' : 'o', title: units.whole(at) }, row.endTime ? [sign('change'), `ended ${units.moment(at, now)}`]
      : [flapped ? sign('warn') : sign('fine'), `${there} since ${units.moment(at, now)}`]),
    flapped ? h('small', returned(row.lives ?? 0)) : null,
  ];
}

/** A text that may not be reported. @param {string | null | undefined} text @param {string} [unknown] */
function said(text, unknown = 'not reported') {
  return text && text !== 'unknown' ? text : h('span.na', unknown);
}

/** A label that a phone shows, where the heading of the column is not there. @param {string} text */
function label(text) {
  return h('small.lbl', text);
}

/** @param {number} links @param {number} down */
function linkCount(links, down) {
  return h('span', down > 0 ? [sign('bad'), `${links}, ${down} down`] : String(links));
}

/**
 * @param {import('../views.js').Context} context
 * @returns {import('../table.js').Column<SiteRow>[]}
 */
function siteColumns(context) {
  return [
    {
      id: 'name', title: 'Site', head: true, class: 'nm_', value: (row) => [row.name, row.derived, row.namespace],
      cell: (row) => [
        h('a', { href: context.link({ view: 'map', selection: { type: 'site', id: row.identity } }) }, row.name || row.identity),
        h('small', row.derived ? 'not reported itself: follows from its routers' : row.namespace ? `namespace ${row.namespace}` : ''),
      ],
    },
    { id: 'state', title: 'State', class: 'st_', value: (row) => [row.startTime, row.endTime, row.lives], cell: (row) => since(row, context.at(), 'there') },
    { id: 'platform', title: 'Platform', class: 'w', value: (row) => [row.platform, row.provider], cell: (row) => [label('on '), said(row.platform), row.provider ? h('small', row.provider) : null] },
    { id: 'version', title: 'Skupper', class: 'w', value: (row) => row.version, cell: (row) => [label('Skupper '), said(row.version)] },
    { id: 'routers', title: 'Routers', class: 'w wide', value: (row) => row.routers, cell: (row) => [label('routers '), row.routers.map(units.router).join(', ') || said(null, 'none')] },
    { id: 'links', title: 'Links', class: 'n w', value: (row) => [row.links, row.down], cell: (row) => [label('links '), linkCount(row.links, row.down)] },
    { id: 'listeners', title: 'Listeners', class: 'n w', value: (row) => row.services[0], cell: (row) => [label('listeners '), String(row.services[0])] },
    { id: 'connectors', title: 'Connectors', class: 'n w', value: (row) => row.services[1], cell: (row) => [label('connectors '), String(row.services[1])] },
  ];
}

/**
 * @param {import('../views.js').Context} context
 * @returns {import('../table.js').Column<RouterRow>[]}
 */
function routerColumns(context) {
  return [
    {
      id: 'name', title: 'Router', head: true, class: 'nm_', value: (row) => [row.name, row.siteName],
      cell: (row) => [
        h('a', { href: context.link({ view: 'map', selection: { type: 'router', id: row.identity } }) }, units.router(row.name)),
        h('small', row.siteName ?? 'site not reported'),
      ],
    },
    { id: 'state', title: 'State', class: 'st_', value: (row) => [row.startTime, row.endTime, row.lives], cell: (row) => since(row, context.at(), 'up') },
    { id: 'mode', title: 'Mode', class: 'w', value: (row) => row.mode, cell: (row) => [label('mode '), said(row.mode)] },
    { id: 'version', title: 'Version', class: 'w', value: (row) => [row.buildVersion, row.imageVersion], cell: (row) => [label('version '), said(row.buildVersion ?? row.imageVersion)] },
    { id: 'host', title: 'Host', class: 'w wide', value: (row) => row.hostName, cell: (row) => [label('host '), said(row.hostName)] },
    { id: 'links', title: 'Links', class: 'n w', value: (row) => [row.links, row.down], cell: (row) => [label('links '), linkCount(row.links, row.down)] },
    { id: 'rate', title: 'Octets/s', class: 'n w', value: (row) => row.rate, cell: (row) => [label('over links '), row.endTime ? '' : quantity(units.octetRate(row.rate))] },
  ];
}

/**
 * @param {() => number} now
 * @param {() => import('../chart.js').TimeRange} range
 * @returns {import('../table.js').Column<LinkRow>[]}
 */
function linkColumns(now, range) {
  return [
    {
      id: 'name', title: 'Link', head: true, class: 'nm_', value: (row) => [row.routerName, row.destinationRouterName, row.far],
      cell: (row) => [
        h('b', `${units.router(row.routerName ?? 'not reported')} → ${units.router(row.destinationRouterName ?? 'not reported')}`),
        h('small', [row.sourceSiteName, row.destinationSiteName].every((name) => name && name !== 'unknown') ? `${row.sourceSiteName} → ${row.destinationSiteName}` : 'not all of its sites are known',
          row.far ? ', both sides report it' : ''),
      ],
    },
    {
      id: 'state', title: 'State', class: 'st_', value: (row) => [row.status, row.far?.status, row.upSince, row.downSince, row.endTime, row.why, row.flapped, row.lives],
      cell: (row) => stateOf(row, now()),
    },
    {
      id: 'downs', title: 'Was down', class: 'n w', value: (row) => row.downCount,
      cell: (row) => [label('was down '), row.downCount === undefined ? said(null) : row.downCount === 0 ? 'never' : row.downCount === 1 ? 'once' : `${units.count(row.downCount)} times`],
    },
    {
      id: 'cost', title: 'Cost', class: 'n w', value: (row) => [row.cost, row.far?.cost],
      cell: (row) => [label('cost '), perspectives(row.cost, row.far?.cost) || said(null)],
    },
    {
      id: 'role', title: 'Role', class: 'w', value: (row) => [row.role, row.name, row.far?.name],
      cell: (row) => [label('role '), said(row.role), h('small', { title: row.far ? 'what each side calls it' : null }, perspectives(row.name, row.far?.name))],
    },
    {
      id: 'tls', title: 'TLS', class: 'w', value: (row) => [row.tls, row.host],
      cell: (row) => [
        label('TLS '), row.tls === undefined ? said(null) : row.tls ? [sign('fine'), 'yes'] : [sign('warn'), 'no'],
        row.host ? h('small', row.host) : null,
      ].flat(),
    },
    {
      id: 'octets', title: 'Octets/s', class: 'g oc', value: (row) => [row.points, row.sent, row.received],
      cell: (row) => (row.endTime ? '' : row.sent === undefined && row.received === undefined ? said(null) : [
        chart({ lines: [{ points: row.points }], range: range(), label: 'Octets a second', format: units.octetRate, width: 96, height: 24 }),
        quantity(units.octetRate((row.sent ?? 0) + (row.received ?? 0))),
      ]),
    },
    { id: 'sent', title: 'There', class: 'n w', value: (row) => row.sent, cell: (row) => [label('there '), row.endTime ? '' : row.sent === undefined ? said(null) : quantity(units.octetRate(row.sent))] },
    { id: 'received', title: 'Back', class: 'n w', value: (row) => row.received, cell: (row) => [label('back '), row.endTime ? '' : row.received === undefined ? said(null) : quantity(units.octetRate(row.received))] },
  ];
}

/** What both sides say, once where they agree. @param {...(string | number | null | undefined)} said */
function perspectives(...said) {
  return [...new Set(said.filter((each) => each !== undefined && each !== null))].join(' / ');
}

/** @param {LinkRow} row @param {number} now */
function stateOf(row, now) {
  if (row.endTime) return since(row, now, 'up');
  if (row.far && row.far.status !== row.status) {
    return h('span.o.bad', sign('bad'), `${row.status} says one side, ${row.far.status} the other`);
  }
  if (row.status === 'down') {
    return [
      h('span.o.bad', sign('bad'), linkState(row, now)),
      h('small', { title: row.why }, row.why ?? 'no reason reported'),
    ];
  }
  if (row.status !== 'up') return said(null);
  const up = linkState(row, now);
  if (!row.flapped && row.lives > 0) return since(row, now, 'up');
  if (!row.flapped) return h('span.o', { title: row.upSince ? units.whole(row.upSince) : null }, sign('fine'), up);
  const words = [lastDown(row, now), row.why].filter(Boolean).join(': ');
  return [h('span.o.wn', sign('warn'), up), h('small', { title: words }, words)];
}
