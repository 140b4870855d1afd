import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as addresses from '../address.js';

test('all that the address holds comes back, whatever is in the names', () => {
  /** @type {addresses.Address} */
  const address = {
    view: 'connections', filter: 'service:catalog -site:"a & b" 50%#?', span: 3600, end: 1_795_704_373_070_498,
    selection: { type: 'service', id: 'catalog:8080' }, level: 'process', open: ['site 1', 'ü&'], own: { open: 't5:1@17', order: 'errors' },
  };
  assert.deepEqual(addresses.parse(addresses.format(address)), address);
});

test('what is usual is not in the address', () => {
  assert.equal(addresses.format(addresses.parse('#map')), '#map');
});

test('what makes no sense is left out', () => {
  const address = addresses.parse('#map?span=-1&end=tomorrow&select=nothing&level=moon&other=1');
  assert.deepEqual(address, addresses.parse('#map'));
});

test('another view begins without what the one before it kept', () => {
  const address = addresses.parse('#services?x-order=name&filter=a');
  assert.deepEqual(addresses.changed(address, { filter: 'b' }).own, { order: 'name' });
  const other = addresses.changed(address, { view: 'map' });
  assert.deepEqual([other.own, other.filter], [{}, 'a']);
});

test('a live range is relative, one of the past absolute', () => {
  assert.deepEqual(addresses.timeParameters(addresses.parse('#map?span=3600')), [['timeRangeStart', '-3600s']]);
  assert.deepEqual(addresses.timeParameters(addresses.parse('#map?end=1000000000')), [['timeRangeStart', '100000000'], ['timeRangeEnd', '1000000000']]);
  assert.deepEqual(addresses.bounds(addresses.parse('#map'), 2e9), { start: 11e8, end: 2e9 });
});
