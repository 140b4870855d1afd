/**
 * The way of a connection through the network: client, routers by site, the links between them, server.
 *
 * A connection names the routers that its trace has. One can be missing between two: then the way follows from the links,
 * by cost as routers choose it, and what follows so is marked as inferred.
 * @module
 */
import { router as routerName } from '../units.js';

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

/** A link as `/api/v2alpha1/routerlinks` has it, with when it came up where `/api/v1alpha1/links` says so.
 * @typedef {object} Link
 * @property {string} identity
 * @property {string} [name]
 * @property {string} routerId
 * @property {string | null} [destinationRouterId]
 * @property {number} [cost]
 * @property {string} [status]
 * @property {number} [upSince] microseconds since the epoch */

/** @typedef {{identity: string, name: string, siteId?: string, mode?: string, siteName?: string}} Router */

/** A part of the way.
 * @typedef {object} Hop
 * @property {'client' | 'router' | 'link' | 'server' | 'gap'} type a gap is where no link is known
 * @property {string} name
 * @property {string} [id]
 * @property {string} [siteName]
 * @property {string} [address] host and port: of clients and servers their own; of routers the one they connect from
 * @property {boolean} [edge] whether a router is an edge router
 * @property {number} [cost] of a link
 * @property {boolean} [up]
 * @property {number} [upSince]
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
  /** @type {Hop} */
  const hop = { type, name: partyName(process, host) ?? (type === 'client' ? 'client not reported' : 'server not reported') };
  const siteName = known(site);
  if (siteName) hop.siteName = siteName;
  if (at && at !== hop.name) hop.address = at;
  return hop;
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
  /** @type {Hop} */
  const hop = { type: 'router', name: routerName(router.name) };
  if (router.identity) hop.id = router.identity;
  if (router.siteName) hop.siteName = router.siteName;
  if (router.mode === 'edge') hop.edge = true;
  if (inferred) hop.inferred = true;
  return hop;
}

/** @param {Link} link @param {boolean} inferred @returns {Hop} */
function linkHop(link, inferred) {
  /** @type {Hop} */
  const hop = { type: 'link', name: link.name || link.identity, id: link.identity };
  if (link.cost !== undefined) hop.cost = link.cost;
  if (link.status !== undefined) hop.up = link.status === 'up';
  if (link.upSince !== undefined) hop.upSince = link.upSince;
  if (inferred) hop.inferred = true;
  return hop;
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
