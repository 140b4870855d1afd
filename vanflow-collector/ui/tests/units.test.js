import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as units from '../units.js';

/** @param {units.Quantity | null} quantity */
const plain = (quantity) => units.text(quantity).replaceAll('\u00a0', ' ');

test('octets a second have three digits and decimal units', () => {
  const cases = /** @type {const} */ ([
    [0, '0 B/s'], [0.4, '0.40 B/s'], [9.96, '10.0 B/s'], [803, '803 B/s'], [999.7, '1.0 kB/s'], [4000, '4.0 kB/s'], [63_500, '63.5 kB/s'],
    [205_000, '205 kB/s'], [999_600, '1.0 MB/s'], [12e9, '12.0 GB/s'],
  ]);
  for (const [value, text] of cases) assert.equal(plain(units.octetRate(value)), text);
});

test('octets come whole, memory by powers of two', () => {
  assert.equal(plain(units.octets(118)), '118 B');
  assert.equal(plain(units.octets(1600)), '1.6 kB');
  assert.equal(plain(units.memory(512 * 1024 * 1024)), '512 MiB');
  assert.equal(plain(units.memory(1_153_434)), '1.1 MiB');
});

test('what happens seldom has a longer unit of time, and nothing is exactly 0', () => {
  assert.equal(plain(units.rate(12.24)), '12.2 /s');
  assert.equal(plain(units.rate(0.05)), '0.05 /s');
  assert.equal(plain(units.rate(0.02)), '1.2 /min');
  assert.equal(plain(units.rate(0.0005)), '1.8 /h');
  assert.equal(plain(units.rate(0)), '0 /s');
});

test('a share that is not all is not 100, and one that is something is not 0', () => {
  assert.equal(plain(units.share(1)), '100 %');
  assert.equal(plain(units.share(0.9999)), '99.9 %');
  assert.equal(plain(units.share(0.055)), '5.5 %');
  assert.equal(plain(units.share(0.0001)), '< 0.1 %');
  assert.equal(plain(units.share(0)), '0 %');
});

test('durations read as people say them', () => {
  const cases = /** @type {const} */ ([
    [0, '0 ms'], [40, '40.0 µs'], [820, '0.82 ms'], [18_600, '18.6 ms'], [487_000, '487 ms'], [999_600, '1.0 s'], [4_300_000, '4.3 s'],
    [42 * 60e6, '42 min'], [192 * 60e6, '3 h 12 min'], [2 * 3600e6, '2 h'], [5 * 86400e6, '5 d'],
  ]);
  for (const [value, text] of cases) assert.equal(plain(units.duration(value)), text);
});

test('what is not known is words, never 0', () => {
  for (const of of [units.octets, units.octetRate, units.memory, units.rate, units.share, units.duration]) {
    for (const unknown of [null, undefined, NaN]) assert.equal(units.text(of(unknown), 'not reported'), 'not reported');
  }
  assert.equal(units.count(null), null);
});

test('counts have commas between thousands', () => {
  assert.equal(units.count(3260), '3,260');
  assert.equal(units.count(1_234_567), '1,234,567');
  assert.equal(units.count(7), '7');
});

const AT = Date.UTC(2026, 10, 26, 15, 3, 19, 813) * 1000;

test('times are of UTC, short beside now and whole in titles', () => {
  assert.equal(units.mark(AT - (AT % 60e6)), '15:03');
  assert.equal(units.mark(AT - (AT % 60e6) + 30e6), '15:03:30');
  assert.equal(units.clock(AT), '15:03:19');
  assert.equal(units.thousandths(AT), '.813');
  assert.equal(units.moment(AT, AT + 60e6), '15:03:19');
  assert.equal(units.moment(AT, AT + 86400e6), '26 Nov 15:03');
  assert.equal(units.moment(AT, AT + 400 * 86400e6), '26 Nov 2026 15:03');
  assert.equal(units.whole(AT), '2026-11-26 15:03:19.813 UTC');
  assert.equal(units.range(AT - 900e6, AT, AT), '14:48–15:03');
  assert.equal(units.range(AT - 900e6, AT, AT + 86400e6), '26 Nov 14:48–15:03');
});

test('routers are named without their area', () => {
  assert.equal(units.router('0/cloud-1'), 'cloud-1');
  assert.equal(units.router('10/x'), '10/x');
});

test('what is counted agrees with its number', () => {
  assert.deepEqual([0, 1, 2, 1200].map((number) => units.counted(number, 'link')), ['0 links', '1 link', '2 links', '1,200 links']);
  assert.equal(units.counted(2, 'process'), '2 processes');
  assert.deepEqual([0, 1, 2].map(units.are), ['are', 'is', 'are']);
});
