import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learn, reached, reachOf } from '../views/tail.js';
import { parse } from '../address.js';

test('where there is little, the whole range is asked for', () => {
  assert.equal(reachOf({ rows: 60, limit: 60, among: 4000, age: 8 }, undefined, 900), undefined);
  assert.equal(reachOf({ rows: 3, limit: 60, among: 3, age: 800 }, undefined, 900), undefined);
});

test('where there is much, no further back is asked than it takes', () => {
  assert.equal(reachOf({ rows: 60, limit: 60, among: 900_000, age: 0.1 }, undefined, 900), 15);
  assert.equal(reachOf({ rows: 60, limit: 60, among: 60_000, age: 10 }, undefined, 900), 60);
  assert.equal(reachOf({ rows: 60, limit: 60, among: 60_000, age: 500 }, undefined, 900), undefined);
});

test('a reach that brings too little is widened step by step', () => {
  assert.equal(reachOf({ rows: 9, limit: 60, among: 9, age: 14 }, 15, 900), 60);
  assert.equal(reachOf({ rows: 9, limit: 60, among: 9, age: 280 }, 300, 900), undefined);
});

test('a reach that does stays, also where there is little within it', () => {
  assert.equal(reachOf({ rows: 60, limit: 60, among: 400, age: 2 }, 15, 900), 15);
});

test('what was learned holds for the same question alone', () => {
  const address = parse('#connections?filter=service%3Acart');
  assert.equal(learn('connections', address, { rows: 60, limit: 60, among: 9000, age: 1 }), true);
  assert.equal(learn('connections', address, { rows: 60, limit: 60, among: 90, age: 1 }), false);
  assert.equal(reached('connections', address), 15);
  assert.equal(reached('connections', parse('#connections')), undefined);
});
