import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as geometry from '../views/map/geometry.js';

/** @param {number} x @param {number} y */
const box = (x, y, width = 100, height = 30) => ({ x, y, width, height });

test('lines are as thick as octets have digits', () => {
  for (const [octets, width] of [[0, 1.25], [1000, 1.25], [10_000, 3], [100_000, 4.75], [10_000_000, 8.25], [1e15, 12]]) {
    assert.equal(geometry.thickness(octets), width);
  }
  assert.equal(geometry.thickness(null), 1.25);
});

test('a line leaves by the side that faces where it goes', () => {
  assert.deepEqual(geometry.sides(box(0, 0), box(300, 50)), ['right', 'left']);
  assert.deepEqual(geometry.sides(box(300, 50), box(0, 0)), ['left', 'right']);
  assert.deepEqual(geometry.sides(box(0, 0), box(10, 200)), ['bottom', 'top']);
  assert.deepEqual(geometry.sides(box(10, 200), box(0, 0)), ['top', 'bottom']);
});

test('what is between is gone around, above or below', () => {
  const [from, to, between] = [box(0, 100), box(600, 120), box(250, 40, 100, 300)];
  const straight = geometry.curve(geometry.port(from, 'right', 0.5), 'right', geometry.port(to, 'left', 0.5), 'left');
  assert.ok(geometry.crosses(straight, between));
  assert.ok(!geometry.crosses(geometry.around(from, to, [between]), between));
});

test('labels do not lie upon each other, and the first of those that collide stays', () => {
  const line = geometry.curve({ x: 0, y: 0 }, 'right', { x: 60, y: 0 }, 'left');
  const wanted = ['widest', 'second', 'third'].map((item) => ({ item, curve: line, width: 50, height: 20 }));
  const placed = geometry.placeLabels(wanted, []);
  assert.deepEqual(placed.map((each) => each.item), ['widest']);
  const far = geometry.curve({ x: 0, y: 500 }, 'right', { x: 60, y: 500 }, 'left');
  const both = geometry.placeLabels([wanted[0], { ...wanted[1], curve: far }], []);
  assert.equal(both.length, 2);
  assert.deepEqual(geometry.placeLabels([wanted[0]], [{ x: -100, y: -100, width: 400, height: 200 }]), []);
});

test('arrows lead to the nearest in their direction, and nowhere where there is none', () => {
  const points = [{ x: 100, y: 10 }, { x: 100, y: 300 }, { x: -50, y: 0 }];
  assert.equal(geometry.nearest({ x: 0, y: 0 }, points, 'right'), points[0]);
  assert.equal(geometry.nearest({ x: 0, y: 0 }, points, 'left'), points[2]);
  assert.equal(geometry.nearest({ x: 0, y: 0 }, points, 'top'), null);
});

test('labels of lines that meet at one end stand where only their own line runs', () => {
  const end = { x: 0, y: 0 };
  const fan = [-60, 0, 60].map((y) => geometry.curve(end, 'right', { x: 300, y }, 'left'));
  const placed = geometry.placeLabels(fan.map((curve, item) => ({ item, curve, width: 60, height: 18 })), [], fan);
  assert.equal(placed.length, 3);
  for (const { item, box } of placed) {
    for (const [index, curve] of fan.entries()) assert.equal(geometry.crosses(curve, box), index === item, `${item} ${index}`);
  }
});
