/**
 * Routers and links, which open rows and the list of links both need: asked for once in a while, shared by all.
 * @module
 */
import * as api from '../api.js';

/** @typedef {import('./waypath.js').Link & {
 *   routerName: string, destinationRouterName: string | null, sourceSiteId: string | null,
 *   destinationSiteId: string | null, sourceSiteName: string | null, destinationSiteName: string | null,
 *   role: string | null, octetCount: number, octetCountKnown: boolean, octetReverseCount: number, octetReverseCountKnown: boolean,
 *   startTime: number, endTime: number, key: string, parent?: string,
 *   downSince?: number, downCount?: number, tls?: boolean, host?: string, why?: string }} Link */
/** @typedef {{ routers: import('./waypath.js').Router[], links: Link[] }} Network */

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
  if (last && Date.now() - last.at < FRESH) return last.network;
  /** @typedef {import('../answers.js').Page<any>} Page */
  const [routers, links, sites, raw] = await Promise.all([
    api.get('v2alpha1/routers?state=all&sortBy=startTime.asc', signal), api.get('v2alpha1/routerlinks?state=all', signal),
    api.get('v2alpha1/sites?state=all', signal), api.get('v1alpha1/links', signal),
  ]);
  const found = joined(/** @type {Page} */ (links).results, /** @type {Raw[]} */ (raw));
  const siteNames = new Map(/** @type {Page} */ (sites).results.map((site) => [site.identity, site.name]));
  const named = /** @type {Page} */ (routers).results.map((router) => ({ ...router, siteName: siteNames.get(router.siteId) }));
  last = { at: Date.now(), network: { routers: named, links: found } };
  return last.network;
}

/**
 * Links with what only the older API says of them.
 * @param {any[]} links of `/api/v2alpha1/routerlinks`
 * @param {Raw[]} raw of `/api/v1alpha1/links`
 * @returns {Link[]}
 */
export function joined(links, raw) {
  const byId = new Map(raw.map((link) => [link.id, link]));
  return links.map((link) => {
    const more = byId.get(link.identity);
    /** @type {Link} */
    const found = { ...link };
    if (!more) return found;
    if (more.parent !== undefined) found.parent = more.parent;
    if (more.upTimeStamp !== undefined) found.upSince = more.upTimeStamp;
    if (more.downTimeStamp !== undefined) found.downSince = more.downTimeStamp;
    if (more.downCount !== undefined) found.downCount = more.downCount;
    if (more.protocol === 'amqps' || more.activeTlsOrdinal !== undefined) found.tls = true;
    else if (more.protocol === 'amqp') found.tls = false;
    if (more.destHost) found.host = more.destPort ? `${more.destHost}:${more.destPort}` : more.destHost;
    const why = [more.result, more.reason].filter(Boolean).join(': ');
    if (why) found.why = why;
    return found;
  });
}
