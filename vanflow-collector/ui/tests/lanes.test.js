import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindWord, lanesOf, marksOf, repeated, subjectLabel } from '../views/health.js';

let number = 0;
/** @param {number} time @param {string} kind @param {object} [more] */
function event(time, kind, more = {}) {
  number += 1;
  return /** @type {import('../views/health.js').Event} */ ({
    number, time, kind, severity: 'bad', subject: { type: 'link', id: 'l', name: 'dc-1 – cloud-1' }, text: kind, ...more,
  });
}

test('a link that went down and came up is one span of its lane', () => {
  const { lanes } = lanesOf([event(40, 'linkUp', { severity: 'fine' }), event(30, 'linkDown')], [], 0, 100, 9);
  assert.equal(lanes.length, 1);
  assert.equal(lanes[0].label, 'link dc-1 – cloud-1');
  assert.deepEqual(lanes[0].spans, [{ from: 30, to: 40, severity: 'bad', text: 'linkDown' }]);
  assert.deepEqual(lanes[0].marks, []);
});

test('an event that only says that a span is over adds nothing to it', () => {
  const { lanes } = lanesOf([event(30, 'linkDown', { endTime: 40 }), event(40, 'linkUp', { severity: 'fine' })], [], 0, 100, 9);
  assert.deepEqual([lanes[0].spans.length, lanes[0].marks.length], [1, 0]);
});

test('what has not ended lasts to the end, what began before begins with the time shown', () => {
  const { lanes } = lanesOf([event(10, 'linkDown')], [], 20, 100, 9);
  assert.deepEqual(lanes[0].spans.map(({ from, to }) => [from, to]), [[20, 100]]);
});

test('an end without a beginning is a mark', () => {
  const { lanes } = lanesOf([event(50, 'linkUp', { severity: 'fine' })], [], 0, 100, 9);
  assert.deepEqual(lanes[0].marks.map((mark) => mark.time), [50]);
  assert.equal(lanes[0].severity, 'fine');
});

test('client disconnects of all clients share a lane', () => {
  const events = [1, 2].map((id) => event(id, 'clientDisconnects', { severity: 'warn', subject: { type: 'router', id: `${id}` } }));
  const { lanes } = lanesOf(events, [], 0, 100, 9);
  assert.deepEqual(lanes.map((lane) => [lane.label, lane.marks.length]), [['client disconnects', 2]]);
});

test('a finding that no event tells of is a span since it began', () => {
  const finding = /** @type {import('../views/health.js').Finding} */ ({
    severity: 'bad', about: 'network', kind: 'serviceFails', subject: { type: 'service', id: 's', name: 'loyalty:8080' },
    text: 'loyalty:8080 refuses every connection', since: -50,
  });
  const { lanes } = lanesOf([], [finding, { ...finding, about: 'collector' }], 0, 100, 9);
  assert.deepEqual(lanes.map((lane) => lane.label), ['loyalty:8080']);
  assert.deepEqual(lanes[0].spans, [{ from: 0, to: 100, severity: 'bad', text: finding.text }]);
});

test('the worst lanes come first, and those that have no room are counted', () => {
  const events = [
    event(90, 'processStarted', { severity: 'change', subject: { type: 'component', id: 'c', name: 'checkout' } }),
    event(10, 'linkDown', { endTime: 20 }),
    event(50, 'warning', { severity: 'warn', subject: { type: 'router', id: 'r', name: '0/cloud-2' } }),
  ];
  const { lanes, folded } = lanesOf(events, [], 0, 100, 2);
  assert.deepEqual(lanes.map((lane) => lane.label), ['link dc-1 – cloud-1', 'router warnings']);
  assert.equal(folded, 1);
});

test('what is outside of the time shown has no lane', () => {
  assert.deepEqual(lanesOf([event(10, 'linkDown', { endTime: 15 })], [], 20, 100, 9).lanes, []);
});

test('kinds and subjects have words', () => {
  assert.equal(kindWord('linkDown'), 'down');
  assert.equal(kindWord('routerRestarted'), 'back');
  assert.equal(kindWord('warning'), 'warning');
  assert.equal(kindWord('listenerRenamed'), 'renamed');
  assert.equal(subjectLabel({ type: 'service', id: 'x', name: 'a:1' }), 'a:1');
});

test('what routers warn of again and again is one lane and one line, with how often and since when', () => {
  const warning = (/** @type {number} */ time, more = {}) => event(time, 'warning', { severity: 'warn', subject: { type: 'router', id: 'r', name: '0/dc-1' }, text: 'dc-1 logged a warning', ...more });
  const events = [
    warning(50, { detail: 'lost 7 of 9', endTime: 55, count: 3 }), warning(40, { detail: 'slow' }), warning(30, { detail: 'lost 1 of 2' }),
    warning(20, { subject: { type: 'router', id: 's' }, detail: 'slow' }), event(10, 'linkDown'),
  ];
  assert.deepEqual(repeated(events).map((each) => [each.kind, each.time, each.since, each.count]), [
    ['warning', 55, 30, 4], ['warning', 40, 40, 1], ['warning', 20, 20, 1], ['linkDown', 10, undefined, undefined],
  ]);
  const { lanes } = lanesOf(events, [], 0, 100, 9);
  assert.deepEqual(lanes.map((lane) => lane.label), ['link dc-1 – cloud-1', 'router warnings']);
  // What of them lasted is a mark too: a bar would cover their numbers.
  assert.deepEqual(lanes[1].spans, []);
  assert.deepEqual(lanes[1].marks.map(({ time, count }) => [time, count]), [[20, 1], [30, 1], [40, 1], [50, 3]]);
  const many = Array.from({ length: 10 }, (_, index) => ({ time: index * 10e6, severity: /** @type {const} */ ('warn'), text: 'slow', count: 2 }));
  assert.deepEqual(marksOf(many, (at) => at / 1e6).map(({ mark, count }) => [mark.time, count]), [[0, 8], [40e6, 8], [80e6, 4]]);
  assert.deepEqual(marksOf(many.slice(0, 3), (at) => at / 1e6).length, 3);
});
