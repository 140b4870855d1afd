/**
 * The map: sites with their routers, what talks to what, and what has no place; the same as a table.
 * @module
 */
import { choice, fill, h, isTrouble, quantity, say, sign } from '../dom.js';
import * as filters from '../filter.js';
import { Table } from '../table.js';
import * as units from '../units.js';
import { narrowed } from './map/geometry.js';
import { legend, Picture, rate } from './map/picture.js';
import { firstAnswer, isNarrow, levelOf, pathOf } from './map/question.js';

/**
 * @typedef {import('../address.js').Address} Address
 * @typedef {import('../answers.js').NetworkMap} NetworkMap
 * @typedef {import('../answers.js').MapEdge} MapEdge
 * @typedef {import('../answers.js').MapLink} MapLink
 */

/** Numbers change at most this often. */
const REDRAW_MS = 1000;

/** @type {import('../views.js').Loaded} */
export const map = {
  subscriptions: (address) => {
    /** @type {Record<string, string>} */
    const wanted = { map: pathOf(address) };
    // Which address a service has, so that its edges can be marked.
    if (address.selection?.type === 'service') wanted.services = 'v2alpha1/services?fields=identity,name';
    return wanted;
  },
  mount: (element, context) => new MapView(element, context),
};

class MapView {
  /**
   * @param {HTMLElement} element
   * @param {import('../views.js').Context} context
   */
  constructor(element, context) {
    this.context = context;
    /** @type {NetworkMap | null} */
    this.last = null;
    /** @type {{ identity: string, name: string }[]} */
    this.services = [];
    this.drawnAt = -Infinity;
    this.placedAt = -Infinity;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.levels = choice('Level', [
      { value: 'site', text: 'Sites', key: '1' }, { value: 'component', text: 'Components', key: '2' }, { value: 'process', text: 'Processes', key: '3' },
    ], (level) => context.go({ level: /** @type {Address['level']} */ (level), open: [] }));
    this.forms = choice('Form', [{ value: 'map', text: 'Map' }, { value: 'table', text: 'Table' }],
      (form) => context.replace({ own: form === 'table' ? { form } : {} }));
    this.note = h('p.selected');
    this.picture = new Picture({ choose: (type, id) => this.choose(type, id) });
    this.under = h('div.under');
    this.legend = legend();
    this.unplaced = h('div.unplaced');
    this.under.append(this.legend, this.unplaced);
    this.tables = h('div.maptable', { hidden: true });
    this.nothing = h('div.empty', { hidden: true });
    this.edges = edgeTable((id) => this.choose('edge', id));
    this.links = linkTable((id) => this.choose('link', id));
    this.tables.append(h('h2', 'Who talks to whom'), this.edges.table, h('h2', 'Links between routers'), this.links.table);
    element.append(
      h('h1.vh', 'Map of the network'),
      h('div.bar3', this.levels.element, this.forms.element, h('span.sp'), this.note),
      this.nothing, h('div.stage', this.picture.element, this.under), this.tables);
    this.stage = /** @type {HTMLElement} */ (this.under.parentElement);
    // As it mostly stays, so that the first map is drawn once.
    this.stage.classList.toggle('corners', !isNarrow());
    this.drawnFor = '';
    this.resized = new ResizeObserver(() => {
      if (this.drawnFor !== this.picture.size()) this.draw();
    });
    this.resized.observe(this.picture.element);
    this.show(context.address());
    firstAnswer(pathOf(context.address()))?.then((answer) => {
      if (!this.last && answer.areas.length > 0) this.receive('map', answer);
    }, () => {
      // The stream says why.
    });
  }

  /** @param {string} name @param {any} answer */
  receive(name, answer) {
    if (name === 'services') this.services = answer.results;
    else this.last = answer;
    const passed = performance.now() - this.drawnAt;
    clearTimeout(this.timer);
    if (passed >= REDRAW_MS) this.draw();
    else this.timer = setTimeout(() => this.draw(), REDRAW_MS - passed);
  }

  /** @param {string} name @param {import('../api.js').ApiError} error */
  fail(name, error) {
    if (name !== 'map') return;
    // The last picture stays, dated by the bar.
    if (this.last && error.status === 0) return;
    this.last = null;
    this.say('There is no map', error.message);
  }

  /** @param {Address} address */
  show(address) {
    this.levels.show(levelOf(address));
    this.forms.show(address.own.form === 'table' ? 'table' : 'map');
    this.draw();
  }

  /** @param {import('../answers.js').Verdict} verdict */
  verdict(verdict) {
    if (this.last && this.last.areas.length > 0) return;
    const { complete, total } = verdict.sources;
    if (!verdict.attached) this.say('Not attached', `${verdict.detail ?? 'No router has answered'}. Check --router, or --connect-json; it is tried again by itself.`);
    else if (verdict.state === 'waiting') this.say('The network is coming', `${complete} of ${units.counted(total, 'source')} ${complete === 1 ? 'has' : 'have'} answered.`);
    else if (this.last) this.say('No site yet', 'Sites appear here once a controller reports them: is there one in the network that this router is of?');
  }

  /** @param {string} title @param {string} text */
  say(title, text) {
    this.nothing.hidden = false;
    this.stage.hidden = true;
    fill(this.nothing, h('b', title), text);
  }

  draw() {
    clearTimeout(this.timer);
    const { last } = this;
    if (!last) return;
    if (last.areas.length === 0) {
      const verdict = this.context.verdict();
      if (verdict) this.verdict(verdict);
      else this.say('Nothing yet', 'No site has been reported.');
      return;
    }
    this.drawnAt = performance.now();
    const address = this.context.address();
    const asTable = address.own.form === 'table';
    this.nothing.hidden = true;
    this.stage.hidden = asTable;
    this.tables.hidden = !asTable;
    const marked = this.marked(address, last);
    const terms = filters.parse(address.filter);
    this.showNote(address, last, terms);
    if (asTable) {
      this.fillTables(last, terms);
      return;
    }
    // Before the picture, which gets the room that this leaves.
    this.showUnplaced(last);
    this.drawnFor = this.picture.size();
    const shown = isNarrow() && last.level === 'site' && address.open.length === 0 ? narrowed(last, this.picture.element.clientWidth - 16) : last;
    this.picture.show(shown, marked, this.filtered(last, terms), last.routers);
    this.placeLegend();
  }

  /** The legend stands in the lower corners where no site is, else below the map. */
  placeLegend() {
    const free = this.picture.isFree(this.stage, [this.legend, this.unplaced].filter((each) => each.childElementCount > 0));
    if (free === this.stage.classList.contains('corners')) return;
    // The other way round only when there is clearly room, so that it does not change to and fro.
    if (performance.now() - this.placedAt < 5000) return;
    this.placedAt = performance.now();
    this.stage.classList.toggle('corners', free);
  }

  /**
   * What belongs to what is selected.
   * @param {Address} address
   * @param {NetworkMap} map
   * @returns {Set<string> | null}
   */
  marked(address, map) {
    const { selection } = address;
    if (!selection) return null;
    const found = new Set([selection.id]);
    if (selection.type === 'service') {
      const name = this.services.find((service) => service.identity === selection.id)?.name ?? selection.id;
      for (const edge of map.edges) {
        if (!edge.services?.includes(name)) continue;
        found.add(edge.id);
        found.add(edge.destination);
      }
    } else if (selection.type === 'site') {
      const inside = new Set([selection.id, ...map.nodes.filter((node) => node.area === selection.id).map((node) => node.id)]);
      for (const edge of map.edges) if (inside.has(edge.source) || inside.has(edge.destination)) found.add(edge.id);
    } else if (selection.type === 'router') {
      for (const link of map.links) if (link.source === selection.id || link.destination === selection.id) found.add(link.id);
    } else if (selection.type === 'link') {
      for (const link of map.links) if (link.id === selection.id) found.add(link.source).add(link.destination);
    } else if (selection.type === 'edge') {
      for (const end of selection.id.split('>')) found.add(end);
    } else {
      for (const edge of map.edges) if (edge.source === selection.id || edge.destination === selection.id) found.add(edge.id);
    }
    return found;
  }

  /**
   * @param {NetworkMap} map
   * @param {filters.Term[]} terms
   * @returns {((id: string) => boolean) | null}
   */
  filtered(map, terms) {
    if (terms.length === 0) return null;
    const names = new Map([...map.nodes, ...map.areas].map((each) => [each.id, each.name]));
    const areas = new Map(map.areas.map((area) => [area.id, area.name]));
    /** @type {Set<string>} */
    const kept = new Set();
    for (const node of map.nodes) {
      const row = { name: node.name, componentName: node.name, processName: node.name, siteName: areas.get(node.area) };
      if (filters.matches(terms, row)) kept.add(node.id);
    }
    for (const edge of map.edges) {
      const row = {
        sourceProcessName: names.get(edge.source), destProcessName: names.get(edge.destination), services: edge.services,
        sourceSiteName: areas.get(map.nodes.find((node) => node.id === edge.source)?.area ?? edge.source),
        destSiteName: areas.get(map.nodes.find((node) => node.id === edge.destination)?.area ?? edge.destination),
      };
      if (filters.matches(terms, row)) kept.add(edge.source).add(edge.destination);
    }
    return (id) => kept.has(id);
  }

  /**
   * @param {Address} address
   * @param {NetworkMap} map
   * @param {filters.Term[]} terms
   */
  showNote(address, map, terms) {
    const { selection } = address;
    if (selection) {
      const all = [...map.areas, ...map.nodes, ...map.routers, ...map.links].find((each) => each.id === selection.id);
      const name = selection.type === 'edge' ? selection.id.split('>').map((id) => nameOf(map, id)).join(' → ')
        : this.services.find((service) => service.identity === selection.id)?.name ?? all?.name ?? 'what this level does not show';
      const text = `Selected: ${units.router(name)}`;
      if (this.note.dataset.text === text) return;
      this.note.dataset.text = text;
      fill(this.note, 'Selected: ', h('b', units.router(name)), ' ',
        h('button.aslink', { onclick: () => this.context.go({ selection: null }) }, 'show all'));
      return;
    }
    delete this.note.dataset.text;
    const folded = map.folded ? `+${units.count(map.folded)} more: the worst and largest are shown` : '';
    const open = address.open.length > 0 ? 'some sites are open' : '';
    const left = this.filtered(map, terms);
    const text = left && !map.nodes.some((node) => left(node.id)) ? 'The filter leaves nothing on the map' : [open, folded].filter(Boolean).join(' · ');
    say(this.note, text);
  }

  /** @param {NetworkMap} map */
  showUnplaced(map) {
    const text = JSON.stringify(map.unplaced);
    if (this.unplaced.dataset.shown === text) return;
    this.unplaced.dataset.shown = text;
    this.unplaced.hidden = map.unplaced.length === 0;
    fill(this.unplaced, h('h2', 'Not on the map'), h('ul', map.unplaced.map((each) => h('li', sign(each.severity),
      h('button.name', { onclick: () => this.choose(each.subject.type, each.subject.id) }, each.subject.name),
      h('small', each.text)))));
  }

  /** @param {NetworkMap} map @param {filters.Term[]} terms */
  fillTables(map, terms) {
    const areas = new Map(map.areas.map((area) => [area.id, area.name]));
    const siteOf = new Map([...map.areas.map((area) => /** @type {[string, string]} */ ([area.id, ''])),
      ...map.nodes.map((node) => /** @type {[string, string]} */ ([node.id, areas.get(node.area) ?? '']))]);
    this.edges.update(map.edges
      .map((edge) => ({
        ...edge, sourceProcessName: nameOf(map, edge.source), destProcessName: nameOf(map, edge.destination),
        sourceSiteName: siteOf.get(edge.source) ?? '', destSiteName: siteOf.get(edge.destination) ?? '',
      }))
      .filter((row) => filters.matches(terms, row)));
    this.links.update(map.links.map((link) => ({ ...link, from: nameOf(map, link.source), to: nameOf(map, link.destination) })));
  }

  /** @param {string} type @param {string} id */
  choose(type, id) {
    const address = this.context.address();
    const area = type === 'site' ? this.last?.areas.find((each) => each.id === id) : undefined;
    if (area && !area.open) {
      this.context.go({ open: [...address.open.filter((each) => each !== id), id], level: levelOf(address), selection: { type, id } });
    } else if (type === 'more') {
      this.context.go({ own: { form: 'table' } });
    } else {
      const same = address.selection?.type === type && address.selection.id === id;
      this.context.go({ selection: same ? null : { type, id } });
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key.startsWith('Arrow') && document.activeElement === document.body) {
      this.picture.focus();
      return true;
    }
    return false;
  }

  close() {
    clearTimeout(this.timer);
    this.resized.disconnect();
  }
}

/** @param {NetworkMap} map @param {string} id */
function nameOf(map, id) {
  return units.router([...map.nodes, ...map.areas, ...map.routers].find((each) => each.id === id)?.name ?? 'not known');
}

/** @typedef {MapEdge & { sourceProcessName: string, destProcessName: string, sourceSiteName: string, destSiteName: string }} EdgeRow */

/** @param {(id: string) => void} choose */
function edgeTable(choose) {
  return new Table(/** @type {import('../table.js').TableOptions<EdgeRow>} */ ({
    label: 'Who talks to whom', key: (row) => row.id, class: 'edges', sort: { column: 'octets', down: true },
    onOpen: (row) => choose(row.id),
    rowClass: (row) => (row.severity === 'bad' ? 'errrow' : ''),
    empty: () => 'Nobody talks to anybody now.',
    columns: [
      { id: 'client', title: 'Client', head: true, order: (row) => row.sourceProcessName, value: (row) => row.sourceProcessName, cell: (row) => [row.sourceProcessName, h('small', ` ${row.sourceSiteName}`)] },
      { id: 'server', title: 'Server', order: (row) => row.destProcessName, value: (row) => row.destProcessName, cell: (row) => [row.destProcessName, h('small', ` ${row.destSiteName}`)] },
      { id: 'octets', title: 'Octets/s', class: 'n', order: (row) => rate(row.octetRate), cell: (row) => quantity(units.octetRate(rate(row.octetRate))) },
      { id: 'connections', title: 'New', class: 'n', order: (row) => rate(row.connectionRate), cell: (row) => quantity(units.rate(rate(row.connectionRate))) },
      { id: 'requests', title: 'Requests', class: 'n', order: (row) => rate(row.requestRate), cell: (row) => quantity(units.rate(rate(row.requestRate)), 'not seen') },
      {
        id: 'errors', title: 'Errors', class: 'n', order: (row) => row.errorShare,
        cell: (row) => h('span', { class: `e ${row.severity}` }, isTrouble(row.severity) && sign(row.severity), quantity(units.share(row.errorShare), 'none yet')),
      },
      { id: 'p95', title: 'p95', class: 'n', order: (row) => row.latencyP95, cell: (row) => quantity(units.duration(row.latencyP95)) },
      { id: 'services', title: 'Services', cell: (row) => (row.services ?? []).join(', ') },
    ],
  }));
}

/** @typedef {MapLink & { from: string, to: string }} LinkRow */

/** @param {(id: string) => void} choose */
function linkTable(choose) {
  return new Table(/** @type {import('../table.js').TableOptions<LinkRow>} */ ({
    label: 'Links between routers', key: (row) => row.id, onOpen: (row) => choose(row.id), empty: () => 'No link is known.',
    columns: [
      { id: 'from', title: 'From', head: true, order: (row) => row.from, cell: (row) => row.from },
      { id: 'to', title: 'To', order: (row) => row.to, cell: (row) => row.to },
      { id: 'state', title: 'State', order: (row) => Number(row.up), cell: (row) => (row.up ? 'up' : h('span.o.bad', sign('bad'), 'down')) },
      { id: 'octets', title: 'Octets/s', class: 'n', order: (row) => rate(row.octetRate), cell: (row) => quantity(units.octetRate(rate(row.octetRate))) },
      { id: 'cost', title: 'Cost', class: 'n', order: (row) => row.cost, cell: (row) => row.cost ?? h('span.na', 'not reported') },
      { id: 'downs', title: 'Went down', class: 'n', order: (row) => row.downCount, cell: (row) => (row.downCount === undefined ? h('span.na', 'not reported') : `${row.downCount}×`) },
    ],
  }));
}
