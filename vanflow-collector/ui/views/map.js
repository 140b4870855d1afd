/**
 * The map of the network.
 * @module
 */
import { fill, h } from '../dom.js';

/** @type {import('../views.js').View} */
export const map = {
  id: 'map',
  title: 'Map',
  key: 'm',
  icon: 'M3 3h5v5H3zM12 12h5v5h-5zM8 5.500h3a3 3 0 013 3V12',
  count: () => null,
  subscriptions: (address) => ({ map: `v1/map?level=${address.level ?? 'component'}` }),
  mount(element) {
    return {
      receive(_name, answer) {
        fill(element, h('p', null, `${answer.nodes.length} boxes`));
      },
      fail(_name, error) {
        fill(element, h('div', { class: 'empty' }, h('b', null, 'No map'), h('p', null, error.message)));
      },
    };
  },
};
