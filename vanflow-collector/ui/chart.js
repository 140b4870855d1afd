/**
 * Small charts, drawn as SVG: a line over an area, thin bars, an axis of time, and what the value was where the pointer
 * is. Where there is no data nothing is drawn: a gap is not 0.
 * @module
 */
import { fill, h, s } from './dom.js';
import * as units from './units.js';

/** @typedef {[number, number]} Point a time in µs, a value */
/** @typedef {{ start: number, end: number }} TimeRange µs */

/**
 * @typedef {object} Line
 * @property {Point[]} points
 * @property {string} [name] what it is, where there are several
 * @property {'area' | 'line' | 'dashed' | 'bars'} [kind] area if not said
 */

/**
 * @typedef {object} ChartOptions
 * @property {Line[]} lines all of the same unit
 * @property {TimeRange} range
 * @property {string} label what is shown, for those who do not see it
 * @property {(value: number) => import('./units.js').Quantity | null} format
 * @property {number} [width] CSS pixels
 * @property {number} [height]
 * @property {boolean} [end] whether the last value has a dot
 */

/**
 * A chart. The scale begins at 0.
 * @param {ChartOptions} options
 * @returns {SVGElement}
 */
export function chart({ lines, range, label, format, width = 188, height = 32, end = true }) {
  const top = 2;
  const base = height - 1;
  const all = lines.flatMap((line) => line.points.map((point) => point[1])).filter(Number.isFinite);
  const largest = Math.max(...all, Number.MIN_VALUE);
  /** @param {number} at */
  const x = (at) => ((at - range.start) / (range.end - range.start)) * (width - 4) + 1;
  /** @param {number} value */
  const y = (value) => base - (value / largest) * (base - top);
  const element = s('svg.spark', {
    viewBox: `0 0 ${width} ${height}`, width, height, role: 'img',
    'aria-label': `${label}: ${summary(lines, format)}`, preserveAspectRatio: 'none',
  });
  for (const { points, kind = 'area' } of lines) {
    if (kind === 'bars') {
      for (const [at, value] of points) {
        if (!(value > 0)) continue;
        const upper = Math.min(y(value), base - 2);
        element.append(s('rect.errb', { x: round(x(at) - 1), y: round(upper), width: 2, height: round(base - upper) }));
      }
      continue;
    }
    for (const run of runs(points)) {
      const path = run.map(([at, value]) => `${round(x(at))} ${round(y(value))}`).join('L');
      if (kind === 'area') {
        element.append(s('path.sa', {
          d: `M${round(x(run[0][0]))} ${base}L${path}L${round(x(run[run.length - 1][0]))} ${base}Z`,
        }));
      }
      element.append(s('path', { class: kind === 'dashed' ? 'sl dashed' : 'sl', d: `M${path}` }));
    }
    const last = points[points.length - 1];
    if (end && kind === 'area' && last && Number.isFinite(last[1])) {
      element.append(s('circle', { cx: round(x(last[0])), cy: round(y(last[1])), r: 1.8 }));
    }
  }
  element.append(s('path.base', { d: `M0 ${base + 0.5}H${width}` }));
  if (all.length > 0) tooltip(element, { lines, range, format, height, x });
  return element;
}

/**
 * Pieces without a gap between them.
 * @param {Point[]} points
 * @returns {Point[][]}
 */
export function runs(points) {
  const known = points.filter((point) => Number.isFinite(point[1]));
  if (known.length === 0) return [];
  const steps = known.slice(1).map((point, index) => point[0] - known[index][0]).sort((a, b) => a - b);
  const gap = (steps[Math.floor(steps.length / 4)] ?? Infinity) * 2.5;
  /** @type {Point[][]} */
  const found = [[known[0]]];
  for (let index = 1; index < known.length; index += 1) {
    if (known[index][0] - known[index - 1][0] > gap) found.push([]);
    found[found.length - 1].push(known[index]);
  }
  return found;
}

/**
 * @param {Line[]} lines
 * @param {ChartOptions['format']} format
 */
function summary(lines, format) {
  return lines.map(({ name, points }) => {
    const values = points.map((point) => point[1]).filter(Number.isFinite);
    if (values.length === 0) return `${name ? `${name} ` : ''}no data`;
    const least = units.text(format(Math.min(...values)));
    const most = units.text(format(Math.max(...values)));
    const last = units.text(format(values[values.length - 1]));
    return `${name ? `${name} ` : ''}${last} now, between ${least} and ${most}`;
  }).join('; ');
}

/** @type {HTMLElement | null} */
let tip = null;

/** @param {SVGElement} element @param {Pick<ChartOptions, 'lines' | 'range' | 'format'> & { height: number, x: (at: number) => number }} options */
function tooltip(element, { lines, range, format, height, x }) {
  const cross = s('path.cross');
  element.append(cross);
  element.addEventListener('pointermove', (event) => {
    const box = element.getBoundingClientRect();
    const at = range.start + ((event.clientX - box.left) / box.width) * (range.end - range.start);
    /** @type {Node[]} */
    const rows = [];
    let moment = 0;
    for (const line of lines) {
      const near = nearest(line.points, at);
      if (!near) continue;
      moment = near[0];
      rows.push(h('div', line.name ? `${line.name} ` : '', h('b', units.text(format(near[1])))));
    }
    if (rows.length === 0) return;
    cross.setAttribute('d', `M${round(x(moment))} 0V${height}`);
    tip ??= document.body.appendChild(h('div.tip', { 'aria-hidden': 'true' }));
    fill(tip, h('div', `${units.clock(moment)} UTC`), ...rows);
    tip.hidden = false;
    const left = Math.min(Math.max(4, event.clientX + 10), innerWidth - tip.offsetWidth - 4);
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(4, box.top - tip.offsetHeight - 6)}px`;
  });
  element.addEventListener('pointerleave', () => {
    cross.removeAttribute('d');
    if (tip) tip.hidden = true;
  });
}

/**
 * The point that is nearest to a moment, none where none is near.
 * @param {Point[]} points
 * @param {number} at
 */
export function nearest(points, at) {
  /** @type {Point | null} */
  let best = null;
  for (const point of points) {
    if (Number.isFinite(point[1]) && (best === null || Math.abs(point[0] - at) < Math.abs(best[0] - at))) best = point;
  }
  return best;
}

/**
 * Where an axis of time has its marks: round moments, as many as fit.
 * @param {TimeRange} range
 * @param {number} most
 * @returns {number[]} µs
 */
export function ticks(range, most) {
  const steps = [10, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];
  const step = (steps.find((each) => (range.end - range.start) / (each * 1e6) <= most) ?? 2592000) * 1e6;
  /** @type {number[]} */
  const found = [];
  for (let at = Math.ceil(range.start / step) * step; at <= range.end; at += step) found.push(at);
  return found;
}

/** @param {number} number */
export function round(number) {
  return Math.round(number * 10) / 10;
}
