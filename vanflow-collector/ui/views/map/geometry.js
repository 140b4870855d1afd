/**
 * Where lines run and labels find room. Nothing here draws.
 * @module
 */

/** @typedef {{ x: number, y: number, width: number, height: number }} Box */
/** @typedef {{ x: number, y: number }} Point */
/** @typedef {[Point, Point, Point, Point]} Curve a cubic one: start, two controls, end */
/** @typedef {'left' | 'right' | 'top' | 'bottom'} Side */

/** How thick the line of so many octets a second is: 1.25 px up to 1 kB/s, 1.75 px more for each factor of ten.
 * @param {number | null | undefined} octets
 */
export function thickness(octets) {
  if (!octets || octets <= 1000) return 1.25;
  return Math.min(12, 1.25 + 1.75 * Math.log10(octets / 1000));
}

/** @param {Box} box */
export function centre(box) {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

/**
 * The sides by which a line leaves one box and enters another.
 * @param {Box} from
 * @param {Box} to
 * @returns {[Side, Side]}
 */
export function sides(from, to) {
  const gapRight = to.x - (from.x + from.width);
  const gapLeft = from.x - (to.x + to.width);
  const gapDown = to.y - (from.y + from.height);
  const gapUp = from.y - (to.y + to.height);
  const across = Math.max(gapRight, gapLeft);
  const along = Math.max(gapDown, gapUp);
  // Sideways where there is room for a curve; else straight up or down.
  if (across >= 12 && across >= along * 0.25) return gapRight >= gapLeft ? ['right', 'left'] : ['left', 'right'];
  if (along > 0) return gapDown >= gapUp ? ['bottom', 'top'] : ['top', 'bottom'];
  return ['right', 'right'];
}

/** @type {Record<Side, Point>} */
export const OUTWARD = { left: { x: -1, y: 0 }, right: { x: 1, y: 0 }, top: { x: 0, y: -1 }, bottom: { x: 0, y: 1 } };

/**
 * The point at a share of a side.
 * @param {Box} box
 * @param {Side} side
 * @param {number} share 0 to 1
 */
export function port(box, side, share) {
  if (side === 'left' || side === 'right') {
    return { x: side === 'left' ? box.x : box.x + box.width, y: box.y + box.height * share };
  }
  return { x: box.x + box.width * share, y: side === 'top' ? box.y : box.y + box.height };
}

/**
 * The side of a box that a point is on, or nearest to.
 * @param {Box} box
 * @param {Point} point
 * @returns {Side}
 */
export function sideOf(box, point) {
  /** @type {[Side, number][]} */
  const distances = [
    ['left', Math.abs(point.x - box.x)],
    ['right', Math.abs(point.x - box.x - box.width)],
    ['top', Math.abs(point.y - box.y)],
    ['bottom', Math.abs(point.y - box.y - box.height)],
  ];
  return distances.reduce((best, each) => (each[1] < best[1] ? each : best))[0];
}

/**
 * A curve that leaves and enters at right angles.
 * @param {Point} start
 * @param {Side} leaves
 * @param {Point} end
 * @param {Side} enters
 * @param {number} [least] how far it runs straight at the least
 * @returns {Curve}
 */
export function curve(start, leaves, end, enters, least = 18) {
  const distance = Math.hypot(end.x - start.x, end.y - start.y);
  const opposite = OUTWARD[leaves].x + OUTWARD[enters].x === 0 && OUTWARD[leaves].y + OUTWARD[enters].y === 0;
  const horizontal = OUTWARD[leaves].x !== 0;
  const forward = horizontal ? (end.x - start.x) * OUTWARD[leaves].x : (end.y - start.y) * OUTWARD[leaves].y;
  const reach = opposite && forward > 0 ? forward / 2 : Math.max(least, distance * 0.4);
  /** @param {Point} point @param {Side} side */
  const control = (point, side) => ({ x: point.x + OUTWARD[side].x * reach, y: point.y + OUTWARD[side].y * reach });
  return [start, control(start, leaves), control(end, enters), end];
}

/**
 * @param {Curve} curve
 * @param {number} t 0 to 1
 * @returns {Point}
 */
export function at([a, b, c, d], t) {
  const u = 1 - t;
  const [p, q, r, w] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return { x: p * a.x + q * b.x + r * c.x + w * d.x, y: p * a.y + q * b.y + r * c.y + w * d.y };
}

/**
 * Whether two boxes have anything in common, with some room around.
 * @param {Box} a
 * @param {Box} b
 * @param {number} [room]
 */
export function overlap(a, b, room = 0) {
  return a.x < b.x + b.width + room && b.x < a.x + a.width + room && a.y < b.y + b.height + room && b.y < a.y + a.height + room;
}

/**
 * Whether a curve runs through a box.
 * @param {Curve} curve
 * @param {Box} box
 */
export function crosses(curve, box) {
  // It stays between its ends and controls: most boxes are far from all of them.
  const [xs, ys] = [curve.map((each) => each.x), curve.map((each) => each.y)];
  if (Math.max(...xs) <= box.x || Math.min(...xs) >= box.x + box.width || Math.max(...ys) <= box.y || Math.min(...ys) >= box.y + box.height) return false;
  for (let step = 1; step < 24; step += 1) {
    const point = at(curve, step / 24);
    if (point.x > box.x && point.x < box.x + box.width && point.y > box.y && point.y < box.y + box.height) return true;
  }
  return false;
}

/**
 * A way around what is between, above or below it, whichever is shorter.
 * @param {Box} from
 * @param {Box} to
 * @param {Box[]} between
 * @returns {Curve}
 */
export function around(from, to, between) {
  const top = Math.min(...between.map((box) => box.y));
  const bottom = Math.max(...between.map((box) => box.y + box.height));
  const [a, b] = [centre(from), centre(to)];
  const above = Math.max(a.y, b.y) - top <= bottom - Math.min(a.y, b.y);
  const rightwards = b.x > a.x;
  // A curve comes three quarters of the way to its controls.
  const level = above ? top - 16 - Math.max(0, Math.min(a.y, b.y) - top) / 3 : bottom + 16 + Math.max(0, bottom - Math.max(a.y, b.y)) / 3;
  const start = port(from, rightwards ? 'right' : 'left', above ? 0.15 : 0.85);
  const end = port(to, rightwards ? 'left' : 'right', above ? 0.3 : 0.7);
  const reach = (end.x - start.x) * 0.22;
  return [start, { x: start.x + reach, y: level }, { x: end.x - reach, y: level }, end];
}

/**
 * Ways from a point past boxes to another: as it would run, then below them, above, and at their sides.
 * @param {Curve} direct
 * @param {Box[]} boxes
 * @returns {Curve[]}
 */
export function detours(direct, boxes) {
  const [start, , , end] = direct;
  const inTheWay = boxes.filter((box) => crosses(direct, box));
  if (inTheWay.length === 0) return [direct];
  const left = Math.min(...inTheWay.map((box) => box.x));
  const right = Math.max(...inTheWay.map((box) => box.x + box.width));
  const top = Math.min(...inTheWay.map((box) => box.y));
  const bottom = Math.max(...inTheWay.map((box) => box.y + box.height));
  // A curve comes three quarters of the way to its controls.
  /** @param {number} edge @param {number} from @param {number} to */
  const past = (edge, from, to) => edge + (edge - (from + to) / 2) / 3;
  const below = past(bottom + 18, start.y, end.y);
  const above = past(top - 18, start.y, end.y);
  const rightwards = past(right + 18, start.x, end.x);
  const leftwards = past(left - 18, start.x, end.x);
  return [
    direct,
    [start, { x: start.x, y: below }, { x: end.x, y: below }, end],
    [start, { x: rightwards, y: start.y }, { x: rightwards, y: end.y }, end],
    [start, { x: leftwards, y: start.y }, { x: leftwards, y: end.y }, end],
    [start, { x: start.x, y: above }, { x: end.x, y: above }, end],
  ];
}

/**
 * Chooses where labels stand: on their line, where no other line runs if there is such a place, so that it is plain whose they
 * are where several meet. The first in the list choose first; one that finds no room is left out, one that says little also where
 * another line runs.
 * @template T
 * @param {{ item: T, curve: Curve, width: number, height: number, little?: boolean }[]} wanted
 * @param {Box[]} taken
 * @param {Iterable<Curve>} [lines]
 * @returns {{ item: T, box: Box }[]}
 */
export function placeLabels(wanted, taken, lines = []) {
  const occupied = [...taken];
  const others = [...lines].map((line) => ({ line, points: Array.from({ length: 33 }, (_, step) => at(line, step / 32)) }));
  const placed = [];
  for (const { item, curve: line, width, height, little } of wanted) {
    const free = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82].map((t) => {
      const { x, y } = at(line, t);
      return { x: x - width / 2, y: y - height / 2, width, height };
    }).filter((box) => !occupied.some((other) => overlap(box, other, 3)));
    const box = free.find((each) => others.every((other) => other.line === line || !other.points.some((point) => overlap(each, { ...point, width: 0, height: 0 })))) ?? (little ? undefined : free[0]);
    if (!box) continue;
    occupied.push(box);
    placed.push({ item, box });
  }
  return placed;
}

/**
 * The nearest of several points in a direction, as one would expect of an arrow key.
 * @template {Point} P
 * @param {Point} from
 * @param {P[]} others
 * @param {Side} direction
 * @returns {P | null}
 */
export function nearest(from, others, direction) {
  const way = OUTWARD[direction];
  let best = null;
  let least = Infinity;
  for (const other of others) {
    const [dx, dy] = [other.x - from.x, other.y - from.y];
    const forward = dx * way.x + dy * way.y;
    const aside = Math.abs(dx * way.y) + Math.abs(dy * way.x);
    if (forward <= 1) continue;
    const distance = forward + aside * 2;
    if (distance < least) {
      least = distance;
      best = other;
    }
  }
  return best;
}

// The map of sites for a narrow screen: the sites in two columns, in the order that the map has them, so that nothing of it is too small to be read.

/** @typedef {import('../../answers.js').NetworkMap} NetworkMap */

const GAP = { x: 66, y: 40 };
const MARGIN = 6;
const HEIGHT = 94;

/**
 * @param {NetworkMap} map
 * @param {number} width CSS pixels
 * @returns {NetworkMap}
 */
export function narrowed(map, width) {
  const boxWidth = Math.max(120, Math.min(240, (width - 2 * MARGIN - GAP.x) / 2));
  const middle = (/** @type {{ x: number, width: number }} */ area) => area.x + area.width / 2;
  const byPlace = [...map.areas].sort((a, b) => middle(a) - middle(b) || a.y - b.y || a.id.localeCompare(b.id));
  const half = Math.ceil(byPlace.length / 2);
  const columns = [byPlace.slice(0, half), byPlace.slice(half)].map((column) => column.sort((a, b) => a.y - b.y || a.x - b.x));
  const areas = columns.flatMap((column, index) => column.map((area, row) => ({
    ...area, x: MARGIN + index * (boxWidth + GAP.x), y: MARGIN + row * (HEIGHT + GAP.y) + index * 40, width: boxWidth, height: HEIGHT,
  })));
  const last = Math.max(...areas.map((area) => area.y + area.height));
  // Routers and their links have no room here: how many there are is in the words of each site.
  return { ...map, width, height: last + MARGIN, areas, nodes: [], routers: [], links: [] };
}
