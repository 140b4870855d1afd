/**
 * The map of sites for a narrow screen: the sites in two columns, in the order that the map has them, so that nothing of
 * it is too small to be read.
 * @module
 */

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
