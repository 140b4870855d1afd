/**
 * How far back a live tail asks: no further than it has to, since the newest of a quarter of an hour are looked for among
 * all of it, many times a second.
 * @module
 */

/** Among so many the newest are found at once. */
const MANY = 5000;
/** How far back may be asked, in seconds. */
const STEPS = [15, 60, 300];

/**
 * How far back to ask from now on.
 * @param {object} answer
 * @param {number} answer.rows how many rows came
 * @param {number} answer.limit how many were asked for
 * @param {number} answer.among how many the newest were looked for among
 * @param {number} answer.age how long ago the oldest of the rows began, in seconds
 * @param {number | undefined} reach how far back was asked, in seconds; undefined where it was the whole range
 * @param {number} span of the range, in seconds
 * @returns {number | undefined} seconds; undefined is the whole range
 */
export function reachOf({ rows, limit, among, age }, reach, span) {
  if (rows < limit) {
    // Too narrow: what is there may be further back.
    const wider = STEPS.find((step) => step > (reach ?? span));
    return reach === undefined || wider === undefined || wider >= span ? undefined : wider;
  }
  if (reach === undefined && among <= MANY) return undefined;
  // As traffic is not even, four times as far as it would have done.
  const fitting = STEPS.find((step) => step >= 4 * age);
  if (fitting === undefined || fitting >= span) return reach;
  return reach === undefined ? fitting : Math.min(reach, fitting);
}

/** @type {Map<string, number>} */
const reaches = new Map();

/**
 * How far back is asked now, in seconds; undefined where it is the whole range.
 * @param {string} list
 * @param {import('../address.js').Address} address
 */
export function reached(list, address) {
  return reaches.get(keyOf(list, address));
}

/**
 * Takes in an answer.
 * @param {string} list
 * @param {import('../address.js').Address} address
 * @param {Parameters<typeof reachOf>[0]} answer
 * @returns {boolean} whether another question is to be asked from now on
 */
export function learn(list, address, answer) {
  const key = keyOf(list, address);
  const before = reaches.get(key);
  const after = reachOf(answer, before, address.span);
  if (after === before) return false;
  if (after === undefined) reaches.delete(key);
  else reaches.set(key, after);
  return true;
}

/** @param {string} list @param {import('../address.js').Address} address */
function keyOf(list, address) {
  return JSON.stringify([list, address.filter, address.span, address.own.order, address.own.only]);
}
