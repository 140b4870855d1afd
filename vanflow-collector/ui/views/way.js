/**
 * The way of a connection through the network: client, routers by site, the links between them, server.
 *
 * A connection names the routers that its trace has. One can be missing between two: then the way follows from the links,
 * by cost as routers choose it, and what follows so is marked as inferred.
 * @module
 */
import * as api from '../api.js';
import { round } from '../chart.js';
import { h, s } from '../dom.js';
import * as units from '../units.js';

/** What a connection says about its way; the properties of `/api/v2alpha1/connections`.
 * @typedef {object} Travelling
 * @property {string} [sourceProcessName]
 * @property {string} [sourceHost]
 * @property {string} [sourcePort]
 * @property {string} [sourceSiteName]
 * @property {string} [destProcessName]
 * @property {string} [destHost]
 * @property {string} [destPort]
 * @property {string} [destSiteName]
 * @property {string} [proxyHost]
 * @property {string} [proxyPort]
 * @property {boolean} [connectorInferred]
 * @property {ReadonlyArray<string>} [traceRouters] */

/** A link as `/api/v2alpha1/routerlinks` has it, with when it last came up and went down where `/api/v1alpha1/links` says so.
 * @typedef {object} Link
 * @property {string} identity
 * @property {string} [name]
 * @property {string} routerId
 * @property {string | null} [destinationRouterId]
 * @property {number} [cost]
 * @property {string} [status]
 * @property {number} [upSince] microseconds since the epoch
 * @property {number} [downSince] */

/** @typedef {{identity: string, name: string, siteId?: string, mode?: string, siteName?: string}} Router */

/** A part of the way.
 * @typedef {object} Hop
 * @property {'client' | 'router' | 'link' | 'server' | 'gap'} type a gap is where no link is known
 * @property {string} name
 * @property {string} [siteName]
 * @property {string} [address] host and port: of clients and servers their own; of routers the one they connect from
 * @property {boolean} [edge] whether a router is an edge router
 * @property {number} [cost] of a link
 * @property {string} [status]
 * @property {number} [upSince]
 * @property {number} [downSince]
 * @property {boolean} [inferred] follows from other records, no router reported it */

/** The hops from the client to the server.
 * @param {Travelling} connection
 * @param {{links: ReadonlyArray<Link>, routers: ReadonlyArray<Router>}} network
 * @returns {Hop[]} */
export function hopsOf(connection, network) {
  const client = end('client', connection.sourceProcessName, connection.sourceHost, connection.sourcePort,
    connection.sourceSiteName);
  const server = end('server', connection.destProcessName, connection.destHost, connection.destPort,
    connection.destSiteName);
  if (connection.connectorInferred) server.inferred = true;
  const byName = new Map(network.routers.map((router) => [router.name, router]));
  const between = routerHops(connection.traceRouters ?? [], byName, network);
  const last = between[between.length - 1];
  const from = address(connection.proxyHost, connection.proxyPort);
  if (last?.type === 'router' && from) last.address = from;
  return [client, ...between, server];
}

/** @param {ReadonlyArray<string>} trace @param {Map<string, Router>} byName
 * @param {{links: ReadonlyArray<Link>, routers: ReadonlyArray<Router>}} network
 * @returns {Hop[]} */
function routerHops(trace, byName, network) {
  if (trace.length === 0) return [{ type: 'gap', name: 'the way is not reported' }];
  /** @type {Hop[]} */
  const hops = [];
  /** @type {Router | undefined} */
  let before;
  for (const name of trace) {
    const router = byName.get(name);
    if (hops.length > 0) hops.push(...linkHops(before, router, network));
    hops.push(routerHop(router ?? { identity: '', name }, false));
    before = router;
  }
  return hops;
}

/** The links from one router to another, with the routers between them.
 * @param {Router | undefined} from @param {Router | undefined} to
 * @param {{links: ReadonlyArray<Link>, routers: ReadonlyArray<Router>}} network
 * @returns {Hop[]} */
function linkHops(from, to, network) {
  /** @type {Hop[]} */
  const unknown = [{ type: 'gap', name: 'no link known' }];
  if (!from || !to) return unknown;
  const path = cheapest(from.identity, to.identity, network.links);
  if (!path) return unknown;
  const byId = new Map(network.routers.map((router) => [router.identity, router]));
  /** @type {Hop[]} */
  const hops = [];
  path.forEach(({ link, at }, index) => {
    hops.push(linkHop(link, path.length > 1));
    if (index < path.length - 1) hops.push(routerHop(byId.get(at) ?? { identity: at, name: at }, true));
  });
  return hops;
}

/** The cheapest way by links: the links in order, and the router that each leads to. Links that are up come first.
 * @param {string} from @param {string} to @param {ReadonlyArray<Link>} links
 * @returns {Array<{link: Link, at: string}> | undefined} */
export function cheapest(from, to, links) {
  /** @type {Map<string, number>} */
  const costs = new Map([[from, 0]]);
  /** @type {Map<string, {link: Link, at: string, before: string}>} */
  const steps = new Map();
  const open = new Set([from]);
  while (open.size > 0) {
    const here = [...open].reduce((best, id) => (cost(costs, id) < cost(costs, best) ? id : best));
    open.delete(here);
    if (here === to) break;
    for (const link of links) {
      const far = link.destinationRouterId ?? undefined;
      const next = link.routerId === here ? far : far === here ? link.routerId : undefined;
      if (next === undefined) continue;
      // A link that is down now may have been up then; it is taken only where there is nothing else.
      const sum = cost(costs, here) + (link.cost ?? 1) + (link.status === 'down' ? 1e6 : 0);
      if (sum >= cost(costs, next)) continue;
      costs.set(next, sum);
      steps.set(next, { link, at: next, before: here });
      open.add(next);
    }
  }
  if (!steps.has(to)) return undefined;
  const path = [];
  for (let at = to; at !== from; ) {
    const step = steps.get(at);
    if (!step) return undefined;
    path.unshift({ link: step.link, at: step.at });
    at = step.before;
  }
  return path;
}

/** The hops of each site, one after the other, with the links between them apart; for pictures.
 * @param {ReadonlyArray<Hop>} hops
 * @returns {{areas: Array<{siteName?: string, hops: Hop[]}>, between: Hop[]}} `between` has one less than `areas` */
export function areasOf(hops) {
  /** @type {Array<{siteName?: string, hops: Hop[]}>} */
  const areas = [];
  /** @type {Hop[]} */
  const between = [];
  /** @type {Hop | undefined} */
  let waiting;
  for (const hop of hops) {
    if (hop.type === 'link' || hop.type === 'gap') {
      waiting = hop;
      continue;
    }
    const area = areas[areas.length - 1];
    if (area && area.siteName === hop.siteName) {
      if (waiting) area.hops.push(waiting);
      area.hops.push(hop);
    } else {
      if (area) between.push(waiting ?? { type: 'gap', name: 'not reported' });
      areas.push({ siteName: hop.siteName, hops: [hop] });
    }
    waiting = undefined;
  }
  return { areas, between };
}

/** The way in one line of text, for those who hear it and for copying.
 * @param {ReadonlyArray<Hop>} hops
 * @returns {string} */
export function wayInWords(hops) {
  return hops
    .map((hop) => {
      const site = hop.siteName && hop.type !== 'link' ? ` in ${hop.siteName}` : '';
      const inferred = hop.inferred ? ' (inferred)' : '';
      if (hop.type === 'link') return `link ${hop.name}${hop.cost === undefined ? '' : `, cost ${hop.cost}`}${inferred}`;
      return `${hop.name}${site}${inferred}`;
    })
    .join(' → ');
}

/** @param {Map<string, number>} costs @param {string} id */
function cost(costs, id) {
  return costs.get(id) ?? Infinity;
}

/** @param {'client' | 'server'} type @param {string | undefined} process @param {string | undefined} host
 * @param {string | undefined} port @param {string | undefined} site
 * @returns {Hop} */
function end(type, process, host, port, site) {
  const at = address(host, port);
  const name = partyName(process, host) ?? `${type} not reported`;
  return { type, name, siteName: known(site), address: at === name ? undefined : at };
}

/** What a client or server is called: a process; of remote clients, which are called after their site and address, the
 * address alone.
 * @param {string | undefined} process @param {string | undefined} host
 * @returns {string | undefined} */
export function partyName(process, host) {
  const name = known(process);
  if (name?.startsWith('site-client-') && known(host)) return host;
  return name ?? known(host);
}

/** @param {Router} router @param {boolean} inferred @returns {Hop} */
function routerHop(router, inferred) {
  return { type: 'router', name: units.router(router.name), siteName: known(router.siteName), edge: router.mode === 'edge', inferred };
}

/** @param {Link} link @param {boolean} inferred @returns {Hop} */
function linkHop(link, inferred) {
  const { identity, name, cost, status, upSince, downSince } = link;
  return { type: 'link', name: name || identity, cost, status, upSince, downSince, inferred };
}

/** @param {string | undefined} host @param {string | undefined} port */
function address(host, port) {
  const name = known(host);
  if (!name) return undefined;
  const shown = name.includes(':') ? `[${name}]` : name;
  return known(port) ? `${shown}:${port}` : shown;
}

/** @param {string | null | undefined} text */
function known(text) {
  return text && text !== 'unknown' ? text : undefined;
}

// The way of a connection as a picture across, and as a list down where there is no room for it.


const WIDTH = 620;
const TOP = 18;
const HEIGHT = 58;
const LINE = TOP + 24;
/** Room that a link between two sites takes. */
const BETWEEN = 158;
const NARROW = 90;
/** Pixels a letter of a label takes at most, at 12 px. */
const LETTER = 6.6;
const SMALL_LETTER = 6.1;
/** Pixels between two labels. */
const APART = 10;

/**
 * Sites as boxes, in them client, routers and server; between them the links.
 * @param {Hop[]} hops
 * @param {number} now
 * @returns {SVGElement}
 */
export function wayAcross(hops, now) {
  const { areas, between } = areasOf(hops);
  const links = between.length;
  const gap = links === 0 ? 0 : Math.min(BETWEEN, Math.max(NARROW, (WIDTH - areas.length * 180) / links));
  const widths = widthsOf(areas, WIDTH - 2 - gap * links);
  const element = s('svg.way', { viewBox: `0 0 ${WIDTH} ${TOP + HEIGHT + 20}`, width: WIDTH, height: TOP + HEIGHT + 20, role: 'img', 'aria-label': wayInWords(hops) });
  const nodes = s('g');
  let left = 1;
  /** Where the last part of the way ends. @type {number | null} */
  let before = null;
  areas.forEach((area, index) => {
    const width = widths[index];
    element.append(s('g.site',
      s('text.sn', { x: left + 13, y: 11 }, cut(area.siteName ?? 'site not reported', width - 13)),
      s('rect', { x: left, y: TOP, width, height: HEIGHT, rx: 10 })));
    const shown = nodesOf(area.hops);
    const inset = Math.min(27, width / 4);
    const step = shown.length > 1 ? (width - 2 * inset) / (shown.length - 1) : 0;
    // A site with one router alone has it in the middle.
    const at = (/** @type {number} */ place) => (shown.length > 1 ? left + inset + step * place : left + width / 2);
    const rooms = roomsOf(shown.map((hop) => hop.name.length * LETTER), width - 24);
    // What is alone has its label in the middle, which may reach out of the site.
    const belows = roomsOf(shown.map((hop) => belowOf(hop).length * SMALL_LETTER), width - 24 + (shown.length > 1 ? 0 : Math.min(gap, 60)));
    const link = between[index - 1];
    if (before !== null && link) drawLink(element, link, now, before, at(0), left - gap, left);
    shown.forEach((hop, place) => {
      const x = at(place);
      if (place > 0) {
        const inner = linkBefore(area.hops, hop);
        const arrow = hop.type === 'server';
        element.append(s('path', {
          class: inner ? (inner.inferred ? 'wlk inferred' : 'wlk') : 'wl', d: `M${round(at(place - 1))} ${LINE}H${round(arrow ? x - 14 : x)}`,
        }));
        if (arrow) element.append(s('path.eh2', { d: `M${round(x - 17)} ${LINE - 5}l10 5l-10 5Z` }));
      }
      nodes.append(...drawNode(hop, x, place === 0, place === shown.length - 1, shown.length > 1, {
        left, right: left + width, width: rooms[place], below: belows[place],
      }));
      before = x;
    });
    left += width + gap;
  });
  element.append(nodes);
  return element;
}

/**
 * @param {SVGElement} element
 * @param {Hop} link
 * @param {number} now
 * @param {number} from
 * @param {number} to
 * @param {number} left of the room between the sites
 * @param {number} right
 */
function drawLink(element, link, now, from, to, left, right) {
  const kind = link.type === 'gap' ? 'wlk gap' : link.inferred ? 'wlk inferred' : 'wlk';
  element.append(s('path', { class: kind, d: `M${round(from)} ${LINE}H${round(to)}` }));
  const middle = (left + right) / 2;
  const width = right - left - 8;
  const { name, cost, state } = linkWords(link, now);
  const whole = [name, cost, state].filter(Boolean).join(', ');
  // Where there is little room, since when it is up is in the title and in the list alone.
  const [over, under] = width > 120 ? [[name, cost].filter(Boolean).join(', '), state] : [name, link.inferred ? 'inferred' : cost];
  element.append(s('text', { x: middle, y: LINE - 9, 'text-anchor': 'middle' }, cut(over, width, SMALL_LETTER), s('title', whole)));
  if (under) element.append(s('text.pa', { x: middle, y: LINE + 18, 'text-anchor': 'middle' }, cut(under, width, SMALL_LETTER), s('title', whole)));
}

/**
 * @param {Hop} hop
 * @param {number} x
 * @param {boolean} first
 * @param {boolean} last
 * @param {boolean} many
 * @param {{ left: number, right: number, width: number, below: number }} room
 */
function drawNode(hop, x, first, last, many, room) {
  const isRouter = hop.type === 'router';
  const mark = isRouter
    ? s('path', { class: hop.edge ? 'rm edge' : 'rm', d: `M${round(x)} ${LINE - 8}l8 8l-8 8l-8 -8Z` })
    : s('circle', { class: hop.inferred ? 'pm inferred' : 'pm', cx: round(x), cy: LINE, r: 6 });
  const anchor = !many ? 'middle' : first ? 'start' : last ? 'end' : 'middle';
  const at = !many ? x : first ? room.left + 15 : last ? room.right - 9 : x;
  const below = belowOf(hop);
  return [
    mark,
    s('text', { class: hop.inferred ? 'pt inferred' : 'pt', x: round(at), y: LINE + 25, 'text-anchor': anchor }, cutMiddle(hop.name, room.width), s('title', hop.name)),
    below ? s('text.pa', { x: round(at), y: TOP + HEIGHT + 15, 'text-anchor': anchor }, cut(below, room.below, SMALL_LETTER), s('title', below)) : null,
  ].filter((each) => each !== null);
}

/**
 * The same as a list, for narrow windows and for those who read it.
 * @param {Hop[]} hops
 * @param {number} now
 * @returns {HTMLElement}
 */
export function wayDown(hops, now) {
  return h('ol.vway', { 'aria-label': 'The way through the network' }, hops.map((hop) => {
    const kind = { client: 'c', server: 'c', router: hop.edge ? 'r e' : 'r', link: 'l', gap: 'l' }[hop.type];
    const site = hop.siteName ? `${hop.siteName}${hop.address ? ', ' : ''}` : '';
    const link = hop.type === 'link' || hop.type === 'gap' ? linkWords(hop, now) : null;
    const more = link ? [link.cost, link.state] : [`${site}${hop.address ?? ''}`, hop.inferred ? 'inferred' : ''];
    return h('li', h('span', { class: kind, 'aria-hidden': 'true' }),
      h(hop.type === 'client' || hop.type === 'server' ? 'b' : 'em', null, link?.name ?? hop.name),
      h('small', more.filter(Boolean).join(', ')));
  }));
}

/** @param {Hop} link @param {number} now @returns {{ name: string, cost: string, state: string }} */
function linkWords(link, now) {
  if (link.type === 'gap') return { name: link.name, cost: '', state: '' };
  const state = linkState(link, now);
  return {
    name: `link ${link.name}`, cost: link.cost === undefined ? '' : `cost ${link.cost}`,
    state: link.inferred ? ['inferred', state].filter(Boolean).join(', ') : state,
  };
}

/**
 * How a link is, and since when: since it last came up or went down, not since there is a record of it.
 * @param {{ status?: string, upSince?: number, downSince?: number }} link
 * @param {number} now
 */
export function linkState({ status = '', upSince, downSince }, now) {
  const at = status === 'up' ? upSince : downSince;
  return at ? `${status} since ${units.moment(at, now)}` : status;
}

/**
 * When a link was last down, and for how long where that is over.
 * @param {{ upSince?: number, downSince?: number }} link
 * @param {number} now
 */
export function lastDown({ upSince = 0, downSince = 0 }, now) {
  const away = upSince > downSince ? ` for ${units.text(units.duration(upSince - downSince))}` : '';
  return downSince ? `last down ${units.moment(downSince, now)}${away}` : 'was down';
}

/**
 * How wide each site is: what its labels take, and an even part of what is left.
 * @param {{ siteName?: string, hops: Hop[] }[]} areas
 * @param {number} width px
 */
export function widthsOf(areas, width) {
  const wanted = areas.map(({ siteName, hops }) => Math.max(
    (siteName?.length ?? 16) * 8 + 26,
    ...[(/** @type {Hop} */ hop) => hop.name, belowOf].map((labelOf) => nodesOf(hops).reduce((sum, hop) => sum + labelOf(hop).length * LETTER + APART, 24)),
  ));
  const rooms = roomsOf(wanted, width + APART * (areas.length - 1));
  const left = Math.max(0, width - rooms.reduce((sum, room) => sum + room, 0));
  return rooms.map((room) => room + left / areas.length);
}

/** @param {Hop[]} hops */
function nodesOf(hops) {
  return hops.filter((hop) => hop.type !== 'link' && hop.type !== 'gap');
}

/** What stands below a site for each hop. @param {Hop} hop */
function belowOf(hop) {
  return hop.inferred ? 'inferred' : hop.address ?? '';
}

/**
 * How much of a line each of its labels gets: what it takes, where there is room; else the longest give way.
 * @param {number[]} wanted px
 * @param {number} width px
 * @returns {number[]}
 */
export function roomsOf(wanted, width) {
  let left = width - APART * (wanted.length - 1);
  const rooms = wanted.map(() => 0);
  const order = wanted.map((_, index) => index).sort((a, b) => wanted[a] - wanted[b]);
  order.forEach((index, place) => {
    rooms[index] = Math.min(wanted[index], left / (order.length - place));
    left -= rooms[index];
  });
  return rooms;
}

/** The link that leads to a hop within its site. @param {Hop[]} hops @param {Hop} hop */
function linkBefore(hops, hop) {
  const before = hops[hops.indexOf(hop) - 1];
  return before && (before.type === 'link' || before.type === 'gap') ? before : null;
}

/**
 * As much of a text as there is room for; the whole is in the list below and in its title.
 * @param {string} text
 * @param {number} width
 * @param {number} [letter]
 */
function cut(text, width, letter = LETTER) {
  return units.cut(text, lettersIn(width, letter));
}

/** How many letters there is room for. @param {number} width @param {number} letter */
function lettersIn(width, letter) {
  return Math.max(4, Math.floor(width / letter + 0.01));
}

/**
 * The same without the middle: what processes of a component differ in is the end of their names.
 * @param {string} text
 * @param {number} width
 */
function cutMiddle(text, width) {
  const most = lettersIn(width, LETTER);
  if (text.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return `${text.slice(0, most - 1 - end)}…${text.slice(text.length - end)}`;
}


// Routers and links, which open rows and the list of links both need: asked for once in a while, shared by all.

/** @typedef {Link & {
 *   routerName: string, destinationRouterName: string | null, sourceSiteId: string | null,
 *   destinationSiteId: string | null, sourceSiteName: string | null, destinationSiteName: string | null,
 *   role: string | null, octetCount: number, octetCountKnown: boolean, octetReverseCount: number, octetReverseCountKnown: boolean,
 *   startTime: number, endTime: number, key: string, parent?: string,
 *   downCount?: number, tls?: boolean, host?: string, why?: string }} KnownLink */
/** @typedef {{ routers: Router[], links: KnownLink[] }} Network */

/** What `/api/v1alpha1/links` adds.
 * @typedef {{ id: string, parent?: string, upTimeStamp?: number, downTimeStamp?: number, downCount?: number, protocol?: string, destHost?: string,
 *   destPort?: string, activeTlsOrdinal?: number, result?: string, reason?: string }} Raw */

/** For how long an answer will do, in ms. */
const FRESH = 5000;

/** @type {{ at: number, network: Network } | null} */
let last = null;

/**
 * @param {AbortSignal} signal
 * @returns {Promise<Network>}
 */
export async function network(signal) {
  if (last && performance.now() - last.at < FRESH) return last.network;
  /** @typedef {import('../answers.js').Page<any>} Page */
  const [routers, links, sites, raw] = await Promise.all([
    api.get('v2alpha1/routers?state=all&sortBy=startTime.asc', signal), api.get('v2alpha1/routerlinks?state=all', signal),
    api.get('v2alpha1/sites?state=all', signal), api.get('v1alpha1/links', signal),
  ]);
  const found = joined(/** @type {Page} */ (links).results, /** @type {Raw[]} */ (raw));
  const siteNames = new Map(/** @type {Page} */ (sites).results.map((site) => [site.identity, site.name]));
  const named = /** @type {Page} */ (routers).results.map((router) => ({ ...router, siteName: siteNames.get(router.siteId) }));
  last = { at: performance.now(), network: { routers: named, links: found } };
  return last.network;
}

/**
 * Links with what only the older API says of them.
 * @param {any[]} links of `/api/v2alpha1/routerlinks`
 * @param {Raw[]} raw of `/api/v1alpha1/links`
 * @returns {KnownLink[]}
 */
export function joined(links, raw) {
  const byId = new Map(raw.map((link) => [link.id, link]));
  return links.map((link) => {
    const { parent, upTimeStamp, downTimeStamp, downCount, protocol, activeTlsOrdinal, destHost, destPort, result, reason } = byId.get(link.identity) ?? {};
    return {
      ...link, parent, upSince: upTimeStamp, downSince: downTimeStamp, downCount,
      tls: protocol === 'amqps' || activeTlsOrdinal !== undefined || (protocol === 'amqp' ? false : undefined),
      host: destPort && destHost ? `${destHost}:${destPort}` : destHost,
      why: [result, reason].filter(Boolean).join(': ') || undefined,
    };
  });
}
