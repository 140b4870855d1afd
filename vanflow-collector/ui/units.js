/**
 * Numbers, rates, durations and times, as people read them: three digits, always with a unit, decimal for what goes over
 * lines, binary for memory. What is not known is `null`, never 0.
 * @module
 */

/** @typedef {{ value: string, unit: string }} Quantity */

const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const SECOND = 1e6;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * A number by itself: whole ones with commas between thousands.
 * @param {number | null | undefined} number
 * @returns {string | null}
 */
export function count(number) {
  return known(number)?.toFixed().toString().replace(/\B(?=(\d{3})+$)/g, ',') ?? null;
}

/**
 * So many of a thing: 1 link, 1,200 links, 2 processes.
 * @param {number} number
 * @param {string} thing
 */
export function counted(number, thing) {
  return `${count(number)} ${thing}${number === 1 ? '' : thing.endsWith('s') ? 'es' : 's'}`;
}

/**
 * Names, each with how many there are of it: `public-cloud ×2, factory`.
 * @param {ReadonlyArray<[string, number]>} counts
 */
export function listed(counts) {
  return counts.map(([name, number]) => (number > 1 ? `${name} ×${number}` : name)).join(', ');
}

/**
 * A text with no more than so many letters.
 * @param {string} text
 * @param {number} most
 */
export function cut(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** What so many things do: 1 is, 2 are. @param {number} number */
export function are(number) {
  return number === 1 ? 'is' : 'are';
}

/**
 * Three digits at most: 0.82, 18.6, 487. Exactly nothing is 0.
 * @param {number} number
 */
export function digits(number) {
  const size = Math.abs(number);
  if (size === 0) return '0';
  if (size >= 99.95) return Math.round(number).toString();
  return number.toFixed(size >= 0.995 ? 1 : 2);
}

/**
 * @param {number | null | undefined} number
 * @param {readonly string[]} units
 * @param {number} step
 * @param {string} after
 * @returns {Quantity | null}
 */
function scaled(number, units, step, after) {
  let scale = 0;
  let rest = known(number);
  if (rest === null) return null;
  while (Math.abs(rest) >= step * 0.9995 && scale < units.length - 1) {
    rest /= step;
    scale += 1;
  }
  // Octets come whole; below a kB they have no digits behind the point, unless a rate is that low.
  const value = scale === 0 && (after === '' || Math.abs(rest) >= 10) ? Math.round(rest).toString() : digits(rest);
  return { value, unit: units[scale] + after };
}

/**
 * @param {number | null | undefined} number
 * @returns {number | null}
 */
function known(number) {
  return number === null || number === undefined || !Number.isFinite(number) ? null : number;
}

/**
 * Octets: 803 B, 63.5 kB.
 * @param {number | null | undefined} number
 */
export function octets(number) {
  return scaled(number, DECIMAL, 1000, '');
}

/**
 * Octets a second: 803 B/s, 63.5 kB/s.
 * @param {number | null | undefined} number
 */
export function octetRate(number) {
  return scaled(number, DECIMAL, 1000, '/s');
}

/**
 * Memory: 1.1 MiB.
 * @param {number | null | undefined} number
 */
export function memory(number) {
  return scaled(number, BINARY, 1024, '');
}

/**
 * Things a second: 12.2 /s; below 0.05 by the minute or the hour.
 * @param {number | null | undefined} number
 * @returns {Quantity | null}
 */
export function rate(number) {
  const value = known(number);
  if (value === null) return null;
  if (value === 0 || value >= 0.05) return { value: digits(value), unit: '/s' };
  if (value * 60 >= 0.05) return { value: digits(value * 60), unit: '/min' };
  return { value: digits(value * 3600), unit: '/h' };
}

/**
 * A share, of 1: 5.5 %.
 * @param {number | null | undefined} number
 * @returns {Quantity | null}
 */
export function share(number) {
  const value = known(number);
  if (value === null) return null;
  const percent = value * 100;
  // What is not all must not read 100, nor what is something 0.
  if (percent > 99.9 && percent < 100) return { value: '99.9', unit: '%' };
  if (percent > 0 && percent < 0.05) return { value: '< 0.1', unit: '%' };
  return { value: percent === 0 || percent >= 99.95 ? digits(percent) : percent.toFixed(1), unit: '%' };
}

/**
 * A duration, of microseconds: 0.82 ms, 18.6 ms, 487 ms, 4.3 s, 42 min, 3 h 12 min, 5 d.
 * @param {number | null | undefined} microseconds
 * @returns {Quantity | null}
 */
export function duration(microseconds) {
  const value = known(microseconds);
  if (value === null) return null;
  const size = Math.abs(value);
  if (size === 0) return { value: '0', unit: 'ms' };
  if (size < 50) return { value: digits(value), unit: 'µs' };
  if (size < 0.9995 * SECOND) return { value: digits(value / 1000), unit: 'ms' };
  if (size < MINUTE) return { value: digits(value / SECOND), unit: 's' };
  if (size < HOUR) return { value: Math.floor(value / MINUTE).toString(), unit: 'min' };
  if (size < DAY) {
    const minutes = Math.floor((value % HOUR) / MINUTE);
    const hours = Math.floor(value / HOUR).toString();
    return minutes === 0 ? { value: hours, unit: 'h' } : { value: `${hours} h ${minutes}`, unit: 'min' };
  }
  return { value: Math.floor(value / DAY).toString(), unit: 'd' };
}

/**
 * As one text, with a space that does not break.
 * @param {Quantity | null} quantity
 * @param {string} [unknown]
 */
export function text(quantity, unknown = 'not known') {
  if (!quantity) return unknown;
  return quantity.unit ? `${quantity.value}\u00a0${quantity.unit}` : quantity.value;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/**
 * A moment as standards write it: 2026-11-26T15:03:19.813Z.
 * @param {number} microseconds since the epoch
 */
export function iso(microseconds) {
  return new Date(microseconds / 1000).toISOString();
}

/**
 * The time of day of a moment in UTC: 15:03:19.
 * @param {number} microseconds since the epoch
 */
export function clock(microseconds) {
  return iso(microseconds).slice(11, 19);
}

/**
 * Hours and minutes: 15:03.
 * @param {number} microseconds since the epoch
 */
export function minute(microseconds) {
  return clock(microseconds).slice(0, 5);
}

/**
 * A mark of an axis: to the minute where it is a whole one.
 * @param {number} microseconds since the epoch
 */
export function mark(microseconds) {
  return microseconds % MINUTE === 0 ? minute(microseconds) : clock(microseconds);
}

/**
 * The thousandths behind the time of day: .813.
 * @param {number} microseconds since the epoch
 */
export function thousandths(microseconds) {
  return iso(microseconds).slice(19, 23);
}

/**
 * A day: 26 Nov, with the year where it is not that of `now`.
 * @param {number} microseconds since the epoch
 * @param {number} now
 */
export function day(microseconds, now) {
  const date = new Date(microseconds / 1000);
  const year = date.getUTCFullYear();
  const name = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
  return year === new Date(now / 1000).getUTCFullYear() ? name : `${name} ${year}`;
}

/**
 * A moment, as short as it can be said beside `now`: 15:03:19, or 26 Nov 15:03.
 * @param {number} microseconds since the epoch
 * @param {number} now
 */
export function moment(microseconds, now) {
  const today = Math.floor(microseconds / DAY) === Math.floor(now / DAY);
  return today ? clock(microseconds) : `${day(microseconds, now)} ${minute(microseconds)}`;
}

/**
 * The whole of a moment, for titles: 2026-11-26 15:03:19.813 UTC.
 * @param {number} microseconds since the epoch
 */
export function whole(microseconds) {
  return `${iso(microseconds).slice(0, 23).replace('T', ' ')} UTC`;
}

/**
 * A range of time: 14:30–14:45, 26 Nov 14:30–14:45.
 * @param {number} start
 * @param {number} end
 * @param {number} now
 */
export function range(start, end, now) {
  /** @param {number} at */
  const of = (at) => Math.floor(at / DAY);
  const first = of(start) === of(now) ? minute(start) : `${day(start, now)} ${minute(start)}`;
  return of(start) === of(end) ? `${first}–${minute(end)}` : `${first} – ${day(end, now)} ${minute(end)}`;
}

/**
 * The name of a router without the area that routers write before it: `0/cloud-1` is cloud-1.
 * @param {string} name
 */
export function router(name) {
  return name.replace(/^0\//, '');
}
