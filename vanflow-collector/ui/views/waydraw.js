/**
 * The way of a connection as a picture across, and as a list down where there is no room for it.
 * @module
 */
import { h, s } from '../dom.js';
import * as units from '../units.js';
import { areasOf, wayInWords } from './waypath.js';

/** @typedef {import('./waypath.js').Hop} Hop */

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
 * @returns {SVGElement}
 */
export function wayAcross(hops) {
  const { areas, between } = areasOf(hops);
  const links = between.length;
  const gap = links === 0 ? 0 : Math.min(BETWEEN, Math.max(NARROW, (WIDTH - areas.length * 180) / links));
  const widths = widthsOf(areas, WIDTH - 2 - gap * links);
  const element = s('svg', { class: 'way', viewBox: `0 0 ${WIDTH} ${TOP + HEIGHT + 20}`, width: WIDTH, height: TOP + HEIGHT + 20, role: 'img', 'aria-label': wayInWords(hops) });
  const nodes = s('g');
  let left = 1;
  /** Where the last part of the way ends. @type {number | null} */
  let before = null;
  areas.forEach((area, index) => {
    const width = widths[index];
    element.append(s('g', { class: 'site' },
      s('text', { class: 'sn', x: left + 13, y: 11 }, cut(area.siteName ?? 'site not reported', width - 13)),
      s('rect', { x: left, y: TOP, width, height: HEIGHT, rx: 10 })));
    const shown = nodesOf(area.hops);
    const inset = Math.min(27, width / 4);
    const step = shown.length > 1 ? (width - 2 * inset) / (shown.length - 1) : 0;
    // A site with one router alone has it in the middle.
    const at = (/** @type {number} */ place) => (shown.length > 1 ? left + inset + step * place : left + width / 2);
    const rooms = roomsOf(shown.map((hop) => hop.name.length * LETTER), width - 24);
    const belows = roomsOf(shown.map((hop) => belowOf(hop).length * SMALL_LETTER), width + Math.min(gap, 60) - 24);
    const link = between[index - 1];
    if (before !== null && link) drawLink(element, link, before, at(0), left - gap, left);
    shown.forEach((hop, place) => {
      const x = at(place);
      if (place > 0) {
        const inner = linkBefore(area.hops, hop);
        const arrow = hop.type === 'server';
        element.append(s('path', {
          class: inner ? (inner.inferred ? 'wlk inferred' : 'wlk') : 'wl', d: `M${round(at(place - 1))} ${LINE}H${round(arrow ? x - 14 : x)}`,
        }));
        if (arrow) element.append(s('path', { class: 'eh2', d: `M${round(x - 17)} ${LINE - 5}l10 5l-10 5Z` }));
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
 * @param {number} from
 * @param {number} to
 * @param {number} left of the room between the sites
 * @param {number} right
 */
function drawLink(element, link, from, to, left, right) {
  const kind = link.type === 'gap' ? 'wlk gap' : link.inferred ? 'wlk inferred' : 'wlk';
  element.append(s('path', { class: kind, d: `M${round(from)} ${LINE}H${round(to)}` }));
  const middle = (left + right) / 2;
  const width = right - left - 8;
  const { name, cost, state } = linkWords(link);
  const whole = [name, cost, state].filter(Boolean).join(', ');
  // Where there is little room, since when it is up is in the title and in the list alone.
  const [over, under] = width > 120 ? [[name, cost].filter(Boolean).join(', '), state] : [name, link.inferred ? 'inferred' : cost];
  element.append(s('text', { x: middle, y: LINE - 9, 'text-anchor': 'middle' }, cut(over, width, SMALL_LETTER), s('title', null, whole)));
  if (under) element.append(s('text', { class: 'pa', x: middle, y: LINE + 18, 'text-anchor': 'middle' }, cut(under, width, SMALL_LETTER), s('title', null, whole)));
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
    s('text', { class: hop.inferred ? 'pt inferred' : 'pt', x: round(at), y: LINE + 25, 'text-anchor': anchor }, cutMiddle(hop.name, room.width), s('title', null, hop.name)),
    below ? s('text', { class: 'pa', x: round(at), y: TOP + HEIGHT + 15, 'text-anchor': anchor }, cut(below, room.below, SMALL_LETTER), s('title', null, below)) : null,
  ].filter((each) => each !== null);
}

/**
 * The same as a list, for narrow windows and for those who read it.
 * @param {Hop[]} hops
 * @returns {HTMLElement}
 */
export function wayDown(hops) {
  return h('ol', { class: 'vway', 'aria-label': 'The way through the network' }, hops.map((hop) => {
    const kind = { client: 'c', server: 'c', router: hop.edge ? 'r e' : 'r', link: 'l', gap: 'l' }[hop.type];
    const site = hop.siteName ? `${hop.siteName}${hop.address ? ', ' : ''}` : '';
    const link = hop.type === 'link' || hop.type === 'gap' ? linkWords(hop) : null;
    const more = link ? [link.cost, link.state] : [`${site}${hop.address ?? ''}`, hop.inferred ? 'inferred' : ''];
    return h('li', null, h('span', { class: kind, 'aria-hidden': 'true' }),
      h(hop.type === 'client' || hop.type === 'server' ? 'b' : 'em', null, link?.name ?? hop.name),
      h('small', null, more.filter(Boolean).join(', ')));
  }));
}

/** @param {Hop} link @returns {{ name: string, cost: string, state: string }} */
function linkWords(link) {
  if (link.type === 'gap') return { name: link.name, cost: '', state: '' };
  const state = link.up === false ? 'down now' : link.upSince === undefined ? '' : `up since ${units.moment(link.upSince, Date.now() * 1000)}`;
  return {
    name: `link ${link.name}`, cost: link.cost === undefined ? '' : `cost ${link.cost}`,
    state: link.inferred ? ['inferred', state].filter(Boolean).join(', ') : state,
  };
}

/**
 * How wide each site is: what its labels take, and an even part of what is left.
 * @param {{ siteName?: string, hops: Hop[] }[]} areas
 * @param {number} width px
 */
function widthsOf(areas, width) {
  const wanted = areas.map(({ siteName, hops }) => Math.max(
    (siteName?.length ?? 16) * 8 + 26,
    nodesOf(hops).reduce((sum, hop) => sum + hop.name.length * LETTER + APART, 24),
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
  const most = Math.max(4, Math.floor(width / letter + 0.01));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/**
 * The same without the middle: what processes of a component differ in is the end of their names.
 * @param {string} text
 * @param {number} width
 */
function cutMiddle(text, width) {
  const most = Math.max(4, Math.floor(width / LETTER + 0.01));
  if (text.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return `${text.slice(0, most - 1 - end)}…${text.slice(text.length - end)}`;
}

/** @param {number} number */
function round(number) {
  return Math.round(number * 10) / 10;
}
