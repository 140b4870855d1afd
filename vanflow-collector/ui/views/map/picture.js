/**
 * The map as a picture: areas, boxes, routers, links, edges and labels as SVG. What has not changed keeps its element, so
 * that nothing jumps and what is focused stays so.
 * @module
 */
import { adorn, drawing, fill, h, isTrouble, s, signAt } from '../../dom.js';
import * as units from '../../units.js';
import * as geometry from './geometry.js';

/**
 * @typedef {import('../../answers.js').NetworkMap} NetworkMap
 * @typedef {import('../../answers.js').MapEdge} MapEdge
 * @typedef {import('../../answers.js').MapLink} MapLink
 * @typedef {import('./geometry.js').Curve} Curve
 * @typedef {import('./geometry.js').Box} Box
 */

/**
 * What is marked: the ids of what is selected, of boxes, edges, links, routers and areas alike; null where nothing is.
 * @typedef {Set<string> | null} Marked
 */

/** No text is smaller than this on the screen. */
const LEAST_TEXT = 11;
/** The least scale; what is larger than the screen then is scrolled. */
const LEAST_SCALE = 0.75;
const MOST_SCALE = 1.35;
/** Where there is room at the sides the picture is drawn wider, so that names have more of it; at most so much. */
const MOST_STRETCH = 1.6;
const LABELLED = 5;

/** @param {import('../../answers.js').Windows | undefined} rates */
export function rate(rates) {
  return rates?.['1m'] ?? rates?.['10s'] ?? null;
}

const ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement('canvas').getContext('2d'));
/** The fonts of the page; asked for once, as that may lay it out. */
let family = '';

/**
 * @param {string} text
 * @param {number} size
 * @param {number} weight
 */
function textWidth(text, size, weight) {
  family ||= getComputedStyle(document.body).fontFamily;
  ruler.font = `${weight} ${size}px ${family}`;
  return ruler.measureText(text).width;
}

/**
 * The text, cut where it does not fit; whoever draws it has the whole in a title.
 * @param {string} text
 * @param {number} room
 * @param {number} size
 * @param {number} weight
 */
function fitted(text, room, size, weight) {
  if (textWidth(text, size, weight) <= room) return text;
  let end = text.length - 1;
  while (end > 1 && textWidth(`${text.slice(0, end)}…`, size, weight) > room) end -= 1;
  return `${text.slice(0, end)}…`;
}

/** A layer of groups that are kept by id. */
class Layer {
  /** @param {string} name */
  constructor(name) {
    this.element = s('g', { class: name });
    /** @type {Map<string, { group: SVGGElement, seen: string }>} */
    this.groups = new Map();
  }

  /**
   * @template T
   * @param {T[]} items in the order in which they are drawn
   * @param {(item: T) => string} key
   * @param {(item: T) => unknown} seen what its picture depends on
   * @param {(item: T, group: SVGGElement) => void} draw
   */
  update(items, key, seen, draw) {
    const left = new Set(this.groups.keys());
    /** @type {ChildNode | null} */
    let place = this.element.firstChild;
    for (const item of items) {
      const id = key(item);
      left.delete(id);
      let held = this.groups.get(id);
      if (!held) {
        held = { group: s('g', { 'data-id': id }), seen: '' };
        this.groups.set(id, held);
      }
      if (place === held.group) place = place.nextSibling;
      else this.element.insertBefore(held.group, place);
      const now = JSON.stringify(seen(item));
      if (held.seen !== now) {
        held.seen = now;
        held.group.replaceChildren();
        draw(item, held.group);
      }
    }
    for (const id of left) {
      this.groups.get(id)?.group.remove();
      this.groups.delete(id);
    }
  }
}

export class Picture {
  /**
   * @param {object} options
   * @param {(type: string, id: string) => void} options.choose something was clicked, or Enter pressed on it
   */
  constructor({ choose }) {
    this.choose = choose;
    this.layers = {
      areas: new Layer('areas'), links: new Layer('links'), edges: new Layer('edges'), nodes: new Layer('nodes'),
      routers: new Layer('routers'), labels: new Layer('labels'),
    };
    this.svg = s('svg.mapsvg', { role: 'group', 'aria-label': 'Map of the network' },
      Object.values(this.layers).map((layer) => layer.element));
    this.element = h('div.mapbox', this.svg);
    this.svg.addEventListener('click', (event) => this.clicked(event));
    this.svg.addEventListener('keydown', (event) => this.key(event));
    /** Where the arrow keys lead to. @type {{ id: string, x: number, y: number, element: SVGGElement }[]} */
    this.stops = [];
    this.focused = '';
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const group = /** @type {Element} */ (event.target).closest('[data-type]');
    if (group instanceof SVGElement) this.choose(group.dataset.type ?? '', group.dataset.id ?? '');
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const group = /** @type {Element} */ (event.target).closest('[data-type]');
    if (!(group instanceof SVGElement) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter' || event.key === ' ') {
      this.choose(group.dataset.type ?? '', group.dataset.id ?? '');
      event.preventDefault();
      return;
    }
    const direction = /** @type {Record<string, import('./geometry.js').Side>} */ ({
      ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'top', ArrowDown: 'bottom',
    })[event.key];
    const from = this.stops.find((stop) => stop.element === group);
    if (!direction || !from) return;
    event.preventDefault();
    const next = geometry.nearest(from, this.stops, direction);
    if (!next) return;
    this.focused = next.id;
    this.showStops();
    next.element.focus();
    next.element.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  /**
   * Whether no site is where the legend would be, in the lower corners of a stage that is all the map's.
   * @param {HTMLElement} stage
   * @param {HTMLElement[]} elements
   */
  isFree(stage, elements) {
    const box = stage.getBoundingClientRect();
    if (Number(this.svg.getAttribute('height')) > box.height || box.width < 720) return false;
    const sites = [...this.layers.areas.groups.values()].map(({ group }) => group.getBoundingClientRect());
    return elements.every((element) => {
      const { left, right, height } = element.getBoundingClientRect();
      const top = box.bottom - Math.max(height, 130) - 16;
      return sites.every((site) => site.right < left - 8 || site.left > Math.max(right, left + 320) + 8 || site.bottom < top);
    });
  }

  /** How much room there is. */
  size() {
    return `${this.element.clientWidth} ${this.element.clientHeight}`;
  }

  showStops() {
    const current = this.stops.find((stop) => stop.id === this.focused) ?? this.stops[0];
    for (const { element } of this.stops) element.setAttribute('tabindex', element === current?.element ? '0' : '-1');
  }

  /** Puts the focus on the map. */
  focus() {
    (this.stops.find((stop) => stop.id === this.focused) ?? this.stops[0])?.element.focus();
  }

  /**
   * @param {NetworkMap} map
   * @param {Marked} marked
   * @param {((id: string) => boolean) | null} filtered whether a box is what the filter is about
   * @param {NetworkMap['routers']} [routers] all of them, where the map shows none
   */
  show(map, marked, filtered, routers = map.routers) {
    map = this.stretched(map);
    /** @type {Map<string, Box>} */
    const boxes = new Map([...map.areas, ...map.nodes].map((each) => [each.id, each]));
    const areas = new Map(map.areas.map((area) => [area.id, area]));
    const edges = this.routed(map, boxes);
    const links = routedLinks(map, areas);
    const scale = this.fit(map, [...edges.values(), ...links.values()]);
    // Text that would come out too small is drawn larger, as far as there is room.
    const grow = Math.max(1, 1 / scale);
    const dimmed = marked !== null;
    this.stops = [];

    this.layers.areas.update(map.areas, (area) => area.id,
      (area) => [area, grow, marked?.has(area.id), countOf(routers, area.id)],
      (area, group) => drawArea(area, map.level, countOf(routers, area.id), group, grow, marked?.has(area.id) ?? false));
    this.layers.links.update(map.links.filter((link) => links.has(link.id)), (link) => link.id,
      (link) => [link, links.get(link.id), marked?.has(link.id), dimmed],
      (link, group) => drawLink(link, /** @type {Curve} */ (links.get(link.id)), group, marked?.has(link.id) ?? false));
    const drawn = map.edges.filter((edge) => edges.has(edge.id)).sort((a, b) => (rate(a.octetRate) ?? 0) - (rate(b.octetRate) ?? 0));
    this.layers.edges.update(drawn, (edge) => edge.id,
      (edge) => [edges.get(edge.id), shown(edge), marked?.has(edge.id), dimmed],
      (edge, group) => drawEdge(edge, /** @type {Curve} */ (edges.get(edge.id)), group, marked));
    this.layers.nodes.update(map.nodes, (node) => node.id,
      (node) => [node, grow, marked?.has(node.id), filtered?.(node.id)],
      (node, group) => drawNode(map, node, group, grow, marked?.has(node.id) ?? false, filtered !== null && !filtered(node.id)));
    this.layers.routers.update(map.routers, (router) => router.id,
      (router) => [router, grow, marked?.has(router.id), areas.get(router.area)],
      (router, group) => drawRouter(router, areas.get(router.area), group, grow, marked?.has(router.id) ?? false));
    this.label(map, areas, edges, links, marked, grow);

    for (const type of /** @type {const} */ (['areas', 'nodes', 'routers'])) {
      for (const item of map[type]) {
        const element = this.layers[type].groups.get(item.id)?.group;
        if (element) this.stops.push({ id: item.id, ...('width' in item ? geometry.centre(item) : { x: item.x, y: item.y }), element });
      }
    }
    this.showStops();
  }

  /**
   * The map as wide as there is room for, where its height is what bounds it.
   * @param {NetworkMap} map
   * @returns {NetworkMap}
   */
  stretched(map) {
    const [width, height] = [this.element.clientWidth - 32, this.element.clientHeight];
    if (width <= 0 || height <= 0 || map.areas.length === 0) return map;
    const left = Math.min(...map.areas.map((area) => area.x));
    const right = Math.max(...map.areas.map((area) => area.x + area.width));
    const scale = Math.max(LEAST_SCALE, Math.min(MOST_SCALE, height / map.height));
    const factor = Math.min(MOST_STRETCH, width / ((right - left) * scale));
    if (factor <= 1.02) return map;
    /** @template {{ x: number, width?: number }} T @param {T} each @returns {T} */
    const wider = (each) => ({ ...each, x: each.x * factor, ...(each.width === undefined ? {} : { width: each.width * factor }) });
    return { ...map, width: map.width * factor, areas: map.areas.map(wider), nodes: map.nodes.map(wider), routers: map.routers.map(wider) };
  }

  /**
   * @param {NetworkMap} map
   * @param {Map<string, Box>} boxes
   * @returns {Map<string, Curve>}
   */
  routed(map, boxes) {
    const known = map.edges.filter((edge) => boxes.has(edge.source) && boxes.has(edge.destination) && edge.source !== edge.destination);
    /** @type {Map<string, { edge: MapEdge, other: Box, end: 'source' | 'destination' }[]>} */
    const atSide = new Map();
    const chosen = known.map((edge) => {
      const [from, to] = [/** @type {Box} */ (boxes.get(edge.source)), /** @type {Box} */ (boxes.get(edge.destination))];
      const [leaves, enters] = geometry.sides(from, to);
      for (const [id, side, other, end] of /** @type {const} */ ([[edge.source, leaves, to, 'source'], [edge.destination, enters, from, 'destination']])) {
        const key = `${id} ${side}`;
        const list = atSide.get(key) ?? [];
        list.push({ edge, other, end });
        atSide.set(key, list);
      }
      return { edge, from, to, leaves, enters };
    });
    /** @type {Map<string, number>} */
    const shares = new Map();
    for (const [key, list] of atSide) {
      const vertical = key.endsWith('left') || key.endsWith('right');
      list.sort((a, b) => {
        const [p, q] = [geometry.centre(a.other), geometry.centre(b.other)];
        return (vertical ? p.y - q.y : p.x - q.x) || a.edge.id.localeCompare(b.edge.id);
      });
      list.forEach(({ edge, end }, index) => {
        shares.set(`${edge.id} ${end}`, list.length === 1 ? 0.5 : 0.22 + (0.56 * index) / (list.length - 1));
      });
    }
    const areaOf = new Map(map.nodes.map((node) => [node.id, node.area]));
    return new Map(chosen.map(({ edge, from, to, leaves, enters }) => {
      const start = geometry.port(from, leaves, shares.get(`${edge.id} source`) ?? 0.5);
      const end = geometry.port(to, enters, shares.get(`${edge.id} destination`) ?? 0.5);
      // One above the other: straight, where that is possible.
      if ((leaves === 'bottom' || leaves === 'top') && start.x > to.x + 8 && start.x < to.x + to.width - 8) end.x = start.x;
      const line = geometry.curve(start, leaves, end, enters);
      const ends = [edge.source, edge.destination].flatMap((id) => [id, areaOf.get(id)]);
      const between = map.areas.filter((area) => !ends.includes(area.id) && geometry.crosses(line, area));
      if (between.length > 0) return [edge.id, geometry.around(from, to, between)];
      const inTheWay = map.nodes.some((node) => !ends.includes(node.id) && geometry.crosses(line, node));
      if (inTheWay && areaOf.get(edge.source) === areaOf.get(edge.destination)) {
        // Past the boxes of its own area, at their side.
        const side = geometry.centre(from).x <= geometry.centre(to).x ? 'left' : 'right';
        const past = geometry.curve(geometry.port(from, side, 0.5), side, geometry.port(to, side, 0.5), side, 24);
        return [edge.id, past];
      }
      return [edge.id, line];
    }));
  }

  /**
   * Fits the picture in, and says how much it is scaled.
   * @param {NetworkMap} map
   * @param {Curve[]} curves
   */
  fit(map, curves) {
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    /** @param {number} x @param {number} y @param {number} room */
    const include = (x, y, room) => {
      left = Math.min(left, x - room);
      top = Math.min(top, y - room);
      right = Math.max(right, x + room);
      bottom = Math.max(bottom, y + room);
    };
    for (const box of [...map.areas, ...map.nodes]) {
      include(box.x, box.y, 6);
      include(box.x + box.width, box.y + box.height, 6);
    }
    for (const curve of curves) for (let step = 0; step <= 8; step += 1) {
      const point = geometry.at(curve, step / 8);
      include(point.x, point.y, 8);
    }
    for (const router of map.routers) include(router.x, router.y + 8, 14);
    if (right < left) [left, top, right, bottom] = [0, 0, map.width || 100, map.height || 100];
    const [width, height] = [right - left, bottom - top];
    const room = { width: this.element.clientWidth - 16 || width, height: this.element.clientHeight || height };
    const fits = Math.min(room.width / width, room.height / height, MOST_SCALE);
    const scale = Math.max(fits, LEAST_SCALE);
    this.svg.setAttribute('viewBox', `${left} ${top} ${width} ${height}`);
    this.svg.setAttribute('width', String(Math.floor(width * scale)));
    this.svg.setAttribute('height', String(Math.floor(height * scale)));
    return scale;
  }

  /**
   * @param {NetworkMap} map
   * @param {Map<string, import('../../answers.js').MapArea>} areas
   * @param {Map<string, Curve>} edges
   * @param {Map<string, Curve>} links
   * @param {Marked} marked
   * @param {number} grow
   */
  label(map, areas, edges, links, marked, grow) {
    const size = LEAST_TEXT * grow;
    /** @typedef {{ id: string, kind: 'elab' | 'llab', text: string, class: string, severity: import('../../dom.js').Severity | '', octets: number, curve: Curve, target: string }} Wanted */
    /** @type {Wanted[]} */
    const wanted = [];
    const widest = [...map.edges].sort((a, b) => (rate(b.octetRate) ?? 0) - (rate(a.octetRate) ?? 0)).slice(0, LABELLED);
    for (const edge of map.edges) {
      const line = edges.get(edge.id);
      if (!line) continue;
      const octets = rate(edge.octetRate) ?? 0;
      const selected = marked?.has(edge.id) ?? false;
      const trouble = isTrouble(edge.severity);
      if (!trouble && !selected && (marked !== null || !widest.includes(edge) || octets === 0)) continue;
      wanted.push({
        id: `e${edge.id}`, kind: 'elab', text: trouble ? troubleOf(edge) : units.text(units.octetRate(octets)),
        class: trouble ? edge.severity : selected ? 'sel' : '', severity: trouble ? edge.severity : '', octets, curve: line, target: edge.id,
      });
    }
    for (const link of map.links) {
      const line = links.get(link.id);
      if (!line) continue;
      const octets = rate(link.octetRate);
      const text = [
        link.up ? (octets === null ? 'octets not reported' : units.text(units.octetRate(octets))) : 'down',
        link.downCount ? `down ${link.downCount}×` : '',
      ].filter(Boolean).join(', ');
      const severity = link.up ? (link.downCount ? 'warn' : '') : 'bad';
      wanted.push({
        id: `l${link.id}`, kind: 'llab', text: link.up ? text : 'down', class: severity || (octets === null ? 'unk' : ''), severity,
        octets: octets ?? -1, curve: line, target: link.id,
      });
    }
    const rank = { bad: 0, sel: 1, warn: 2 };
    wanted.sort((a, b) => (rank[/** @type {'bad'} */ (a.class)] ?? 3) - (rank[/** @type {'bad'} */ (b.class)] ?? 3) || b.octets - a.octets);
    const taken = [
      ...map.nodes,
      // The titles of areas.
      ...map.areas.map((area) => (area.open
        ? { x: area.x, y: area.y, width: Math.min(area.width, 20 + textWidth(area.name, 13 * grow, 650)), height: 44 } : area)),
      ...map.routers.map((router) => ({ x: router.x - 9, y: router.y - 9, width: 18, height: 18 })),
      ...map.routers.flatMap((router) => nameOf(router, areas.get(router.area), grow)?.box ?? []),
    ];
    const placed = geometry.placeLabels(wanted.map((item) => ({
      item, curve: item.curve, height: size + 8, little: item.class === 'unk',
      width: textWidth(item.text, size, 600) + 12 + (item.severity ? 14 : 0),
    })), taken, links.values());
    this.layers.labels.update(placed, ({ item }) => item.id, ({ item, box }) => [item.text, item.class, box, size],
      ({ item, box }, group) => {
        adorn(group, { class: `${item.kind} ${item.class}`, 'data-type': item.kind === 'elab' ? 'edge' : 'link', 'data-id': item.target });
        group.append(s('rect', { ...round(box), rx: item.kind === 'elab' ? 3 : box.height / 2 }));
        let x = box.x + 6;
        if (isTrouble(item.severity)) {
          group.append(signAt(item.severity, x + 4, box.y + box.height / 2));
          x += 14;
        }
        group.append(s('text', { x, y: box.y + box.height / 2 + size * 0.36, 'font-size': size }, item.text));
      });
  }
}

/** @param {Box} box */
function round(box) {
  return { x: box.x.toFixed(1), y: box.y.toFixed(1), width: box.width.toFixed(1), height: box.height.toFixed(1) };
}

/** @param {MapEdge} edge */
function troubleOf(edge) {
  if (edge.severity === 'bad' && edge.text && edge.text.length <= 18) return edge.text;
  if (edge.errorShare === 1 && edge.errors !== undefined) return `${units.count(edge.errors)} of ${units.count(edge.units)} failed`;
  return edge.errorShare === undefined ? edge.text ?? 'errors' : units.text(units.share(edge.errorShare));
}

/** What the picture of an edge depends on. @param {MapEdge} edge */
function shown(edge) {
  return [geometry.thickness(rate(edge.octetRate)).toFixed(1), edge.severity, edge.text];
}

/** @param {NetworkMap['routers']} routers @param {string} area */
function countOf(routers, area) {
  return routers.filter((router) => router.area === area).length;
}

/**
 * @param {import('../../answers.js').MapArea} area
 * @param {NetworkMap['level']} level
 * @param {number} routers
 * @param {SVGGElement} group
 * @param {number} grow
 * @param {boolean} selected
 */
function drawArea(area, level, routers, group, grow, selected) {
  const trouble = isTrouble(area.severity);
  const kinds = [area.platform, area.provider, area.version].filter(Boolean).join(' · ');
  const counts = [units.counted(area.nodes, area.open && level === 'process' ? 'process' : 'component'), routers > 0 ? units.counted(routers, 'router') : ''].filter(Boolean).join(', ');
  group.setAttribute('class', `site ${selected ? 'sel' : ''} ${area.open ? 'open' : 'closed'} ${trouble ? area.severity : ''}`);
  mark(group, 'site', [area.name, area.open ? 'site' : 'site, closed', kinds, counts, area.text].filter(Boolean).join(', '), selected);
  const [x, inner] = [area.x + (area.open ? 16 : 12), area.width - (area.open ? 32 : 20)];
  const top = area.y + (area.open ? 24 : 20);
  group.append(
    s('rect', { ...round(area), rx: area.open ? 16 : 12 }),
    s('text.sn', { x, y: top, 'font-size': 13 * grow }, fitted(area.name, inner, 13 * grow, 650)),
  );
  const size = LEAST_TEXT * grow;
  const step = size * 1.4;
  let left = area.open ? 1 : Math.floor((area.height - 28) / step);
  let y = top + 16 * grow;
  /** @param {string} text @param {string} kind @param {number} weight */
  const write = (text, kind, weight) => {
    for (const line of lines(text, inner, size, weight, Math.min(2, left))) {
      group.append(s('text', { class: kind, x, y, 'font-size': size }, line));
      y += step;
      left -= 1;
    }
  };
  write(area.open ? kinds : counts, 'ss', 400);
  if (!area.open && trouble && area.text) write(`${area.severity === 'bad' ? '✕' : '▲'} ${area.text}`, area.severity === 'bad' ? 'sb' : 'sw', 600);
}

/**
 * The text in as many lines as there may be; what is left over is cut.
 * @param {string} text
 * @param {number} room
 * @param {number} size
 * @param {number} weight
 * @param {number} most
 */
function lines(text, room, size, weight, most) {
  /** @type {string[]} */
  const found = [];
  let rest = text;
  while (rest && found.length < most) {
    const words = rest.split(' ');
    let end = words.length;
    while (end > 1 && textWidth(words.slice(0, end).join(' '), size, weight) > room) end -= 1;
    const last = found.length === most - 1;
    found.push(fitted(last ? rest : words.slice(0, end).join(' '), room, size, weight));
    rest = last ? '' : words.slice(end).join(' ');
  }
  return found;
}

/**
 * @param {NetworkMap} map
 * @param {import('../../answers.js').MapNode} node
 * @param {SVGGElement} group
 * @param {number} grow
 * @param {boolean} selected
 * @param {boolean} dimmed
 */
function drawNode(map, node, group, grow, selected, dimmed) {
  const area = map.areas.find((each) => each.id === node.area);
  const octets = rate(node.octetRate);
  const said = isTrouble(node.severity) ? node.text : undefined;
  const under = said ?? (octets === null ? node.text ?? '' : units.text(units.octetRate(octets)));
  group.setAttribute('class', ['node', node.kind, node.severity, selected ? 'sel' : '', dimmed ? 'dim' : '', octets || said ? '' : 'quiet'].filter(Boolean).join(' '));
  const processes = node.processes ?? 0;
  const what = node.kind === 'remote' ? 'clients from outside' : node.kind;
  mark(group, node.kind === 'remote' ? 'component' : node.kind,
    [node.name, what, area ? `in ${area.name}` : '', under, processes > 1 ? units.counted(processes, 'process') : ''].filter(Boolean).join(', '), selected);
  const dots = processes > 5 ? 22 : processes * 7;
  const size = Math.min(12.5 * grow, node.height * 0.44);
  group.append(
    s('rect', { ...round(node), rx: 5 }),
    s('text.nn', { x: node.x + 10, y: node.y + node.height * 0.44, 'font-size': size }, fitted(node.name, node.width - 22 - dots, size, 600)),
    s('text.ns', { x: node.x + 10, y: node.y + node.height * 0.87, 'font-size': LEAST_TEXT * grow }, fitted(under, node.width - 16, LEAST_TEXT * grow, 600)),
  );
  if (node.kind === 'process' || node.kind === 'more' || processes === 0) return;
  if (processes > 5) {
    group.append(s('text.pn', { x: node.x + node.width - 8, y: node.y + node.height * 0.42, 'text-anchor': 'end', 'font-size': LEAST_TEXT * grow }, processes));
  } else {
    for (let index = 0; index < processes; index += 1) {
      group.append(s('circle.pd', { cx: node.x + node.width - 9 - index * 7, cy: node.y + node.height * 0.32, r: 2.2 }));
    }
  }
}

/**
 * @param {import('../../answers.js').MapRouter} router
 * @param {import('../../answers.js').MapArea | undefined} area
 * @param {SVGGElement} group
 * @param {number} grow
 * @param {boolean} selected
 */
function drawRouter(router, area, group, grow, selected) {
  const name = units.router(router.name);
  group.setAttribute('class', `router ${selected ? 'on' : ''} ${router.up ? '' : 'bad'}`);
  mark(group, 'router', `${name}, ${router.mode} router${area ? ` of ${area.name}` : ''}${router.up ? '' : ', gone'}`, selected);
  const { x, y } = router;
  group.append(
    s('rect.hit', { x: x - 12, y: y - 12, width: 24, height: 24 }),
    s('path', { class: `rm ${router.mode === 'edge' ? 'edge' : ''}`, d: `M${x} ${y - 7}l7 7l-7 7l-7-7Z` }),
  );
  const at = nameOf(router, area, grow);
  if (at) group.append(s('text.rn', { x: at.x, y: at.y, 'text-anchor': at.anchor, 'font-size': LEAST_TEXT * grow }, name));
}

/**
 * Where the name of a router stands: beside it, on the side that its links do not leave by; none where its site is closed.
 * @param {import('../../answers.js').MapRouter} router
 * @param {import('../../answers.js').MapArea | undefined} area
 * @param {number} grow
 */
function nameOf(router, area, grow) {
  if (area && !area.open) return null;
  const side = area ? geometry.sideOf(area, router) : 'right';
  const x = router.x + (side === 'right' ? -12 : 12);
  const y = router.y + (side === 'right' || side === 'left' ? 4 : -8);
  const size = LEAST_TEXT * grow;
  const width = textWidth(units.router(router.name), size, 600);
  return { x, y, anchor: side === 'right' ? 'end' : 'start', box: { x: side === 'right' ? x - width : x, y: y - size, width, height: size * 1.3 } };
}

/**
 * @param {NetworkMap} map
 * @param {Map<string, import('../../answers.js').MapArea>} areas
 * @returns {Map<string, Curve>}
 */
function routedLinks(map, areas) {
  const routers = new Map(map.routers.map((router) => [router.id, router]));
  /** @type {Map<string, Curve>} */
  const found = new Map();
  for (const link of map.links) {
    const [from, to] = [routers.get(link.source), routers.get(link.destination)];
    if (!from || !to) continue;
    const [a, b] = [from, to].map((router) => {
      const area = areas.get(router.area);
      return area ? geometry.sideOf(area, router) : 'bottom';
    });
    const ways = geometry.detours(geometry.curve(from, a, to, b, 30), map.nodes);
    found.set(link.id, ways.find((way) => !map.nodes.some((node) => geometry.crosses(way, node))) ?? ways[0]);
  }
  return found;
}

/**
 * @param {MapLink} link
 * @param {Curve} line
 * @param {SVGGElement} group
 * @param {boolean} selected
 */
function drawLink(link, line, group, selected) {
  const octets = rate(link.octetRate);
  const d = pathOf(line);
  adorn(group, { class: `linkg ${selected ? 'sel' : ''}`, 'data-type': 'link' });
  group.append(
    s('title', [`link ${link.name}`, link.up ? '' : 'down', octets === null ? 'octets not reported' : units.text(units.octetRate(octets)), link.text].filter(Boolean).join('\n')),
    s('path.hit', { d }),
    s('path', { class: `link ${octets === null ? 'unk' : ''} ${link.up ? '' : 'down'}`, d, 'stroke-width': geometry.thickness(octets).toFixed(1) }),
  );
}

/**
 * @param {MapEdge} edge
 * @param {Curve} line
 * @param {SVGGElement} group
 * @param {Marked} marked
 */
function drawEdge(edge, line, group, marked) {
  const trouble = isTrouble(edge.severity);
  const selected = marked?.has(edge.id) ?? false;
  const state = trouble ? edge.severity : selected ? 'sel' : marked ? 'dim' : '';
  adorn(group, { class: `edge ${state}`, 'data-type': 'edge' });
  const octets = rate(edge.octetRate);
  const width = geometry.thickness(octets);
  const end = line[3];
  const before = geometry.at(line, 0.96);
  const length = 6 + width * 0.6;
  const angle = Math.atan2(end.y - line[2].y || end.y - before.y, end.x - line[2].x || end.x - before.x);
  const back = { x: end.x - Math.cos(angle) * length, y: end.y - Math.sin(angle) * length };
  const wing = 3 + width * 0.55;
  const [nx, ny] = [-Math.sin(angle) * wing, Math.cos(angle) * wing];
  /** @type {Curve} */
  const cut = [line[0], line[1], { x: line[2].x - Math.cos(angle) * length * 0.6, y: line[2].y - Math.sin(angle) * length * 0.6 }, back];
  const d = pathOf(cut);
  group.append(
    s('title', [(edge.services ?? []).join(', '), octets === null ? 'octets not reported' : units.text(units.octetRate(octets)), edge.text].filter(Boolean).join('\n')),
    s('path.hit', { d }),
    s('path.el', { d, 'stroke-width': width.toFixed(2) }),
    s('path.eh', { d: `M${point(end)}L${point({ x: back.x + nx, y: back.y + ny })}L${point({ x: back.x - nx, y: back.y - ny })}Z` }),
  );
}

/** @param {import('./geometry.js').Point} at */
function point(at) {
  return `${at.x.toFixed(1)} ${at.y.toFixed(1)}`;
}

/** @param {Curve} curve */
function pathOf([a, b, c, d]) {
  return `M${point(a)}C${point(b)} ${point(c)} ${point(d)}`;
}

/**
 * Makes a group one that can be chosen.
 * @param {SVGGElement} group
 * @param {string} type
 * @param {string} label
 * @param {boolean} selected
 */
function mark(group, type, label, selected) {
  adorn(group, { 'data-type': type, role: 'button', 'aria-pressed': String(selected) });
  // The title is what is read out, and what the pointer shows.
  group.append(s('title', label));
}

/** The legend below the map. */
export function legend() {
  /** @param {SVGElement[]} drawn @param {string} text */
  const item = (drawn, text) => h('li', drawing('svg', 44, 14, ...drawn), text);
  /** @param {number} octets @param {string} [kind] */
  const line = (octets, kind = '') => s('path', { class: `lk ${kind}`, d: 'M0 7H44', 'stroke-width': geometry.thickness(octets) });
  const element = h('div.legend');
  fill(element,
    h('div', h('h2', 'Octets/s, both ways'), h('ul', null,
      item([line(1e3)], '≤ 1 kB/s'), item([line(1e5)], '100 kB/s'), item([line(1e7)], '10 MB/s'))),
    h('div', h('h2', 'Errors'), h('ul', null,
      item([line(2e3)], '< 2 %'),
      item([line(2e3, 'w'), signAt('warn', 22, 7)], '2–10 %'),
      item([line(2e3, 'b'), signAt('bad', 22, 7)], '> 10 %'))),
    h('div', h('h2', 'Marks'), h('ul', null,
      item([line(1e4, 'l'), s('path.rm', { d: 'M22 0l7 7l-7 7l-7-7Z' })], 'routers and their links'),
      item([line(1e3), s('path.lka', { d: 'M44 7l-8-4v8Z' })], 'client to server'),
      item([s('circle.pd', { cx: 15, cy: 7, r: 2.5 }), s('circle.pd', { cx: 23, cy: 7, r: 2.5 })], 'a dot a process'))));
  return element;
}
