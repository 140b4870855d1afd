//! Where everything lies: areas around the hub, in the order and on the side that forces give them; boxes stacked within; routers on the edges of their areas.
//!
//! Of a network that nobody has seen before, places follow from what there is, whatever came first: the same after a
//! restart, and the same for all. Of one that was seen, they are those of before ([`Kept`]): what comes takes a place
//! that is free, near what it has to do with, and moves nobody; what grows moves others by no more than it grew; what
//! goes leaves its place.
//!
//! All is in whole pixels of a picture with text of 11 to 13.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fjadra::{Link as Spring, ManyBody, Node as Particle, PositionX, PositionY, SimulationBuilder};
use serde_json::{Value, json};

use super::{
    graph::Graph,
    scene::{End, Scene},
};

/// A rectangle: its left upper corner and its size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The side of an area that something is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

/// Where a router is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) side: Side,
}

/// Where all of a scene is; each in the order of the scene, or of the graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) areas: Vec<Rect>,
    pub(super) nodes: Vec<Rect>,
    pub(super) routers: Vec<Spot>,
}

/// Where all of a scene was: what the next layout of it keeps to.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// By the id of the site.
    areas: HashMap<String, Rect>,
    /// By the id of the node: its place in the stack of its area.
    slots: HashMap<String, usize>,
}

/// So many nodes or sites that are not there keep their places.
const MOST_ABSENT: usize = 1_000;

pub(super) const BOX_WIDTH: f64 = 140.0;
pub(super) const BOX_HEIGHT: f64 = 34.0;
const ROW: f64 = 44.0;
const COLUMN: f64 = BOX_WIDTH + 52.0;
/// Beside boxes, for edges between those of one stack.
const PADDING: f64 = 26.0;
/// Above boxes, for the name of the site.
const HEADER: f64 = 56.0;
const CLOSED_WIDTH: f64 = 208.0;
const CLOSED_HEIGHT: f64 = 92.0;
/// Below boxes, for each router and for all of them.
const ROUTER: f64 = 28.0;
const FOOTER: f64 = 14.0;
/// Between areas, for edges and their labels.
const BESIDE: f64 = 140.0;
const BELOW: f64 = 64.0;
/// Around all.
const MARGIN: f64 = 24.0;
/// Above all, for edges that go around areas.
const TOP: f64 = 56.0;
/// Below all, for links between routers.
const BOTTOM: f64 = 56.0;
const LEAST_WIDTH: f64 = 640.0;
const LEAST_HEIGHT: f64 = 320.0;

impl Rect {
    pub(super) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    pub(super) fn centre(&self) -> (f64, f64) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// Whether they are nearer to each other than that.
    pub(super) fn is_near(&self, other: &Self, beside: f64, below: f64) -> bool {
        spans(self.x, self.width, other.x, other.width, beside)
            && spans(self.y, self.height, other.y, other.height, below)
    }
}

fn spans(from: f64, length: f64, other: f64, other_length: f64, gap: f64) -> bool {
    from < other + other_length + gap && other < from + length + gap
}

impl Layout {
    /// Where a scene lies, where it was so before, and what to keep for the next time.
    pub(super) fn new(graph: &Graph, scene: &Scene, before: Option<Kept>) -> (Self, Kept) {
        let is_new = before.is_none();
        let mut kept = before.unwrap_or_default();
        let members = members(scene);
        // Stacks that nobody has seen before are ordered once it is known where others are.
        let unseen: Vec<bool> = members
            .iter()
            .map(|nodes| !nodes.iter().any(|node| kept.slots.contains_key(&scene.nodes[*node].id)))
            .collect();
        for (area, nodes) in members.iter().enumerate().filter(|(area, _)| !unseen[*area]) {
            seat(area, nodes, scene, &mut kept);
        }
        let places: Vec<_> = members
            .iter()
            .zip(&unseen)
            .map(|(nodes, unseen)| if *unseen { nodes.len() } else { highest(nodes, scene, &kept.slots) })
            .collect();
        let sizes: Vec<_> =
            (0..scene.areas.len()).map(|area| size(graph, scene, area, places[area])).collect();
        let neighbours = neighbours(graph, scene);
        let areas = if is_new {
            spread(graph, scene, &sizes, &neighbours)
        } else {
            moved(graph, &sizes, &neighbours, &kept.areas)
        };
        for (node, slot) in stacked(scene, &members, &areas, &unseen, &kept) {
            kept.slots.insert(scene.nodes[node].id.clone(), slot);
        }
        for (site, area) in graph.sites.iter().zip(&areas) {
            kept.areas.insert(site.id.clone(), *area);
        }
        let nodes = scene.nodes.iter().map(|node| {
            let slot = kept.slots.get(&node.id).copied().unwrap_or_default();
            boxed(&areas[node.area], slot, rows(places[node.area]))
        });
        let layout = Self {
            nodes: nodes.collect(),
            width: areas.iter().map(|area| area.right() + MARGIN).fold(LEAST_WIDTH, f64::max),
            height: areas.iter().map(|area| area.bottom() + BOTTOM).fold(LEAST_HEIGHT, f64::max),
            routers: routers(graph, &areas),
            areas,
        };
        kept.forget_absent(graph, scene);
        (layout, kept)
    }
}

impl Kept {
    /// As JSON, for the next process: `{"areas": {"ID": [x, y, width, height]}, "slots": {"ID": 3}}`.
    pub(super) fn to_json(&self) -> Value {
        let area = |area: &Rect| [area.x, area.y, area.width, area.height];
        let areas: BTreeMap<_, _> = self.areas.iter().map(|(id, rect)| (id, area(rect))).collect();
        json!({ "areas": areas, "slots": self.slots.iter().collect::<BTreeMap<_, _>>() })
    }

    /// What [`Kept::to_json`] wrote; none of anything else.
    pub(super) fn from_json(kept: &Value) -> Option<Self> {
        let area = |rect: &Value| {
            let side = |at: usize| rect.get(at)?.as_f64();
            Some(Rect { x: side(0)?, y: side(1)?, width: side(2)?, height: side(3)? })
        };
        let areas = kept["areas"].as_object()?.iter().map(|(id, rect)| Some((id.clone(), area(rect)?)));
        let slot = |slot: &Value| usize::try_from(slot.as_u64()?).ok();
        let slots = kept["slots"].as_object()?.iter().map(|(id, at)| Some((id.clone(), slot(at)?)));
        Some(Self { areas: areas.collect::<Option<_>>()?, slots: slots.collect::<Option<_>>()? })
    }

    /// Forgets what has gone, where that is very much.
    fn forget_absent(&mut self, graph: &Graph, scene: &Scene) {
        if self.slots.len() > scene.nodes.len() + MOST_ABSENT {
            let present: BTreeSet<_> = scene.nodes.iter().map(|node| node.id.as_str()).collect();
            self.slots.retain(|id, _| present.contains(id.as_str()));
        }
        if self.areas.len() > graph.sites.len() + MOST_ABSENT {
            let present: BTreeSet<_> = graph.sites.iter().map(|site| site.id.as_str()).collect();
            self.areas.retain(|id, _| present.contains(id.as_str()));
        }
    }
}

/// The nodes of each area.
fn members(scene: &Scene) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); scene.areas.len()];
    for (position, node) in scene.nodes.iter().enumerate() {
        members[node.area].push(position);
    }
    members
}

/// How many boxes a stack has, where the area has so many places.
fn rows(places: usize) -> usize {
    match places {
        0..=30 => 10,
        31..=84 => 14,
        _ => 20,
    }
}

/// One more than the highest place that a node of an area has.
fn highest(members: &[usize], scene: &Scene, slots: &HashMap<String, usize>) -> usize {
    members.iter().filter_map(|node| slots.get(&scene.nodes[*node].id)).max().map_or(0, |highest| highest + 1)
}

/// How large an area with so many places in its stack has to be.
fn size(graph: &Graph, scene: &Scene, area: usize, places: usize) -> (f64, f64) {
    let routers = graph.routers.iter().filter(|router| router.site == area).count();
    let footer = FOOTER + ROUTER * routers.min(8) as f64;
    if !scene.areas[area].is_open {
        return (CLOSED_WIDTH, CLOSED_HEIGHT + footer);
    }
    let rows_of_all = rows(places);
    let (columns, rows) = (places.div_ceil(rows_of_all).max(1), places.clamp(1, rows_of_all));
    let width = 2.0 * PADDING + columns as f64 * COLUMN - (COLUMN - BOX_WIDTH);
    (width, HEADER + rows as f64 * ROW + footer)
}

/// The box in that place of an area.
fn boxed(area: &Rect, slot: usize, rows: usize) -> Rect {
    Rect {
        x: area.x + PADDING + (slot / rows) as f64 * COLUMN,
        y: area.y + HEADER + (slot % rows) as f64 * ROW,
        width: BOX_WIDTH,
        height: BOX_HEIGHT,
    }
}

/// Which areas have to do with each other, and whether by links.
fn neighbours(graph: &Graph, scene: &Scene) -> BTreeMap<(usize, usize), bool> {
    let mut neighbours = BTreeMap::new();
    let mut add = |one: usize, other: usize, is_link: bool| {
        if one != other {
            *neighbours.entry((one.min(other), one.max(other))).or_insert(false) |= is_link;
        }
    };
    for (one, other) in &scene.neighbours {
        add(area_of(scene, *one), area_of(scene, *other), false);
    }
    for link in &graph.links {
        let [one, other] = link.ends.map(|router| graph.routers[router].site);
        add(one, other, true);
    }
    neighbours
}

/// Areas that nobody has seen before. Forces say in which order they are around the hub, and on which side; then they are
/// put in columns beside it, since edges leave by the sides, and what has no traffic with others below.
fn spread(
    graph: &Graph,
    scene: &Scene,
    sizes: &[(f64, f64)],
    neighbours: &BTreeMap<(usize, usize), bool>,
) -> Vec<Rect> {
    if sizes.is_empty() {
        return Vec::new();
    }
    let hub = hub(sizes.len(), neighbours);
    let centres = forced(sizes.len(), hub, neighbours);
    let mut talks = vec![false; sizes.len()];
    for (one, other) in &scene.neighbours {
        let [one, other] = [one, other].map(|end| area_of(scene, *end));
        if one != other {
            (talks[one], talks[other]) = (true, true);
        }
    }
    let mut beside: Vec<_> = (0..sizes.len()).filter(|area| *area != hub && talks[*area]).collect();
    // From the lower left around to the lower right, so that each half is a side.
    let angle = |area: &usize| centres[*area].0.atan2(-centres[*area].1);
    beside.sort_by(|one, other| {
        angle(one).total_cmp(&angle(other)).then_with(|| graph.sites[*one].id.cmp(&graph.sites[*other].id))
    });
    let right = beside.split_off(beside.len() / 2);
    let mut below: Vec<_> = (0..sizes.len()).filter(|area| *area != hub && !talks[*area]).collect();
    below.sort_by(|one, other| centres[*one].0.total_cmp(&centres[*other].0));
    let (hub_width, hub_height) = sizes[hub];
    let mut places = vec![(0.0, 0.0); sizes.len()];
    places[hub] = (-hub_width / 2.0, -hub_height / 2.0);
    // The left side goes upwards.
    for (side, areas) in [(-1.0, beside.iter().rev().copied().collect::<Vec<_>>()), (1.0, right)] {
        let mut inner = hub_width / 2.0 + BESIDE;
        // Nearer to the hub is what has a link to it.
        let is_near = |area: &usize| neighbours.contains_key(&(hub.min(*area), hub.max(*area)));
        let (near, far): (Vec<_>, Vec<_>) = areas.into_iter().partition(is_near);
        for column in near.chunks(STACKED).chain(far.chunks(STACKED)) {
            let height = column.iter().map(|area| sizes[*area].1 + BELOW).sum::<f64>() - BELOW;
            let width = column.iter().map(|area| sizes[*area].0).fold(0.0, f64::max);
            let mut y = -height / 2.0;
            for area in column {
                places[*area] = (if side < 0.0 { -inner - sizes[*area].0 } else { inner }, y);
                y += sizes[*area].1 + BELOW;
            }
            inner += width + BESIDE;
        }
    }
    let bottom = (0..sizes.len())
        .filter(|area| !below.contains(area))
        .map(|area| places[area].1 + sizes[area].1)
        .fold(0.0, f64::max);
    let mut y = bottom + BELOW + BOTTOM / 2.0;
    for row in below.chunks(STACKED) {
        let width = row.iter().map(|area| sizes[*area].0 + BESIDE).sum::<f64>() - BESIDE;
        let mut x = -width / 2.0;
        for area in row {
            places[*area] = (x, y);
            x += sizes[*area].0 + BESIDE;
        }
        y += row.iter().map(|area| sizes[*area].1).fold(0.0, f64::max) + BELOW;
    }
    let least = |of: fn(&(f64, f64)) -> f64| places.iter().map(of).fold(f64::MAX, f64::min);
    let (left, top) = (least(|place| place.0) - MARGIN, least(|place| place.1) - TOP);
    let rect = |((x, y), (width, height)): (&(f64, f64), &(f64, f64))| Rect {
        x: (x - left).round(),
        y: (y - top).round(),
        width: *width,
        height: *height,
    };
    places.iter().zip(sizes).map(rect).collect()
}

/// So many areas are above each other, or beside each other below all others, at most.
const STACKED: usize = 4;

fn area_of(scene: &Scene, end: End) -> usize {
    match end {
        End::Area(area) => area,
        End::Node(node) => scene.nodes[node].area,
    }
}

/// The area with links to the most others; of several that with the most traffic, then the first.
fn hub(count: usize, neighbours: &BTreeMap<(usize, usize), bool>) -> usize {
    let mut degrees = vec![(0, 0); count];
    for ((one, other), is_link) in neighbours {
        for area in [*one, *other] {
            degrees[area].0 += usize::from(*is_link);
            degrees[area].1 += 1;
        }
    }
    let most = degrees.iter().max().copied().unwrap_or_default();
    degrees.iter().position(|degree| *degree == most).unwrap_or(0)
}

/// How long a spring between two areas is at rest.
const SPRING: f64 = 100.0;

/// The centres of areas as forces have it, the hub's at 0, 0.
fn forced(count: usize, hub: usize, neighbours: &BTreeMap<(usize, usize), bool>) -> Vec<(f64, f64)> {
    let around = (count - 1).max(1) as f64;
    let mut rank = 0;
    let particles: Vec<_> = (0..count)
        .map(|area| {
            if area == hub {
                return Particle::default().fixed_position(0.0, 0.0);
            }
            let angle = std::f64::consts::TAU * f64::from(rank) / around;
            rank += 1;
            Particle::default().position(SPRING * angle.cos(), SPRING * angle.sin())
        })
        .collect();
    let springs: Vec<_> = neighbours.keys().copied().collect();
    let mut simulation = SimulationBuilder::default()
        .build(particles)
        .add_force("link", Spring::new(springs).distance(SPRING))
        .add_force("charge", ManyBody::new().strength(-120.0))
        .add_force("x", PositionX::new().strength(0.02))
        .add_force("y", PositionY::new().strength(0.06));
    simulation.step();
    let finite = |along: f64| if along.is_finite() { along } else { 0.0 };
    simulation.positions().map(|[x, y]| (finite(x), finite(y))).collect()
}

/// The place nearest to that of a rectangle, and no further left or up than `least`, that is far enough from others.
fn nearest_free(wanted: Rect, others: &[Rect], least: (f64, f64)) -> Rect {
    let wanted = Rect { x: wanted.x.max(least.0), y: wanted.y.max(least.1), ..wanted };
    let columns = others.iter().flat_map(|other| [other.right() + BESIDE, other.x - BESIDE - wanted.width]);
    let rows = others.iter().flat_map(|other| [other.bottom() + BELOW, other.y - BELOW - wanted.height]);
    let places = std::iter::once((wanted.x, wanted.y))
        .chain(columns.map(|x| (x, wanted.y)))
        .chain(rows.map(|y| (wanted.x, y)))
        .filter(|(x, y)| *x >= least.0 && *y >= least.1)
        .map(|(x, y)| Rect { x, y, ..wanted })
        .filter(|place| others.iter().all(|other| !place.is_near(other, BESIDE, BELOW)));
    // To the side of all others there is always a place.
    places
        .min_by(|one, other| {
            let distance = |place: &Rect| (place.x - wanted.x).hypot(place.y - wanted.y);
            distance(one).total_cmp(&distance(other))
        })
        .unwrap_or(wanted)
}

/// Areas of which some were seen before: those stay, but for what grew and moves others to the right and down; what is
/// new takes a place that is free.
fn moved(
    graph: &Graph,
    sizes: &[(f64, f64)],
    neighbours: &BTreeMap<(usize, usize), bool>,
    before: &HashMap<String, Rect>,
) -> Vec<Rect> {
    let mut known: Vec<(usize, Rect)> = graph
        .sites
        .iter()
        .enumerate()
        .filter_map(|(area, site)| Some((area, *before.get(&site.id)?)))
        .collect();
    let mut places: Vec<Option<Rect>> = vec![None; sizes.len()];
    known.sort_by(|(_, one), (_, other)| one.x.total_cmp(&other.x));
    for place in 0..known.len() {
        let (area, rect) = known[place];
        let pushed = known[..place].iter().filter(|(_, other)| {
            spans(rect.y, rect.height, other.y, other.height, BELOW) && other.right() + BESIDE <= rect.x
        });
        let pushed = pushed.map(|(other, _)| places[*other].map_or(0.0, |other| other.right() + BESIDE));
        let x = pushed.fold(rect.x, f64::max);
        places[area] = Some(Rect { x, width: sizes[area].0, ..rect });
    }
    let sideways = places.clone();
    known.sort_by(|(_, one), (_, other)| one.y.total_cmp(&other.y));
    for place in 0..known.len() {
        let (area, rect) = known[place];
        let Some(own) = sideways[area] else { continue };
        let pushed = known[..place].iter().filter(|(other, above)| {
            let is_in_line =
                sideways[*other].is_some_and(|other| spans(own.x, own.width, other.x, other.width, BESIDE));
            is_in_line && above.bottom() + BELOW <= rect.y
        });
        let pushed = pushed.map(|(other, _)| places[*other].map_or(0.0, |other| other.bottom() + BELOW));
        let y = pushed.fold(rect.y, f64::max);
        places[area] = Some(Rect { y, height: sizes[area].1, ..own });
    }
    for area in 0..sizes.len() {
        if places[area].is_some() {
            continue;
        }
        let near: Vec<_> = neighbours
            .keys()
            .filter_map(|(one, other)| {
                let other = if *one == area {
                    other
                } else if *other == area {
                    one
                } else {
                    return None;
                };
                places[*other]
            })
            .collect();
        let others: Vec<_> = places.iter().flatten().copied().collect();
        let near = if near.is_empty() { &others } else { &near };
        let mean = |of: fn(&Rect) -> f64| near.iter().map(of).sum::<f64>() / near.len().max(1) as f64;
        let (width, height) = sizes[area];
        let (x, y) =
            (mean(|rect| rect.centre().0) - width / 2.0, mean(|rect| rect.centre().1) - height / 2.0);
        let wanted = Rect { x: x.round(), y: y.round(), width, height };
        places[area] = Some(nearest_free(wanted, &others, (MARGIN, TOP)));
    }
    places.into_iter().map(Option::unwrap_or_default).collect()
}

/// Gives the nodes of an area that have no place in its stack one that is free, near what they have to do with.
fn seat(area: usize, members: &[usize], scene: &Scene, kept: &mut Kept) {
    let id = |node: &usize| scene.nodes[*node].id.as_str();
    let mut taken = BTreeSet::new();
    let mut new = Vec::new();
    for node in members {
        match kept.slots.get(id(node)) {
            // Another came to its place while it was away.
            Some(slot) if !taken.insert(*slot) => new.push(*node),
            Some(_) => {}
            None => new.push(*node),
        }
    }
    for node in new {
        let near = scene.neighbours.iter().filter_map(|(one, other)| {
            let other = match (*one, *other) {
                (End::Node(one), other) if one == node => other,
                (one, End::Node(other)) if other == node => one,
                _ => return None,
            };
            match other {
                End::Node(other) if scene.nodes[other].area == area => kept.slots.get(id(&other)).copied(),
                _ => None,
            }
        });
        let near: Vec<_> = near.collect();
        let wanted = near.iter().sum::<usize>() / near.len().max(1);
        let last = taken.last().map_or(0, |last| last + 1);
        // Only at the end where there is no hole, so that the area grows no more than it must.
        let slot = (0..=last)
            .filter(|slot| !taken.contains(slot))
            .min_by_key(|slot| (*slot == last, slot.abs_diff(wanted), *slot))
            .unwrap_or(last);
        taken.insert(slot);
        kept.slots.insert(id(&node).to_owned(), slot);
    }
    // Half empty: it is worth moving some.
    if taken.last().is_some_and(|last| last + 1 > 2 * taken.len() + 6) {
        let mut members = members.to_vec();
        members.sort_by_key(|node| kept.slots[id(node)]);
        for (slot, node) in members.iter().enumerate() {
            kept.slots.insert(id(node).to_owned(), slot);
        }
    }
}

/// The places in the stacks that nobody has seen before: each node as high as what it has to do with, so that few edges
/// cross.
fn stacked(
    scene: &Scene,
    members: &[Vec<usize>],
    areas: &[Rect],
    unseen: &[bool],
    kept: &Kept,
) -> Vec<(usize, usize)> {
    let mut near = vec![Vec::new(); scene.nodes.len()];
    for (one, other) in &scene.neighbours {
        if let End::Node(node) = one {
            near[*node].push(*other);
        }
        if let End::Node(node) = other {
            near[*node].push(*one);
        }
    }
    let mut slots: Vec<_> =
        scene.nodes.iter().map(|node| kept.slots.get(&node.id).copied().unwrap_or_default()).collect();
    let mut order: Vec<Vec<usize>> =
        members.iter().zip(unseen).filter(|(_, unseen)| **unseen).map(|(nodes, _)| nodes.clone()).collect();
    for nodes in &mut order {
        nodes.sort_by_key(|node| (scene.nodes[*node].name.as_str(), scene.nodes[*node].id.as_str()));
        nodes.iter().enumerate().for_each(|(slot, node)| slots[*node] = slot);
    }
    for _ in 0..SWEEPS {
        for nodes in &mut order {
            let height = |node: usize| {
                let area = scene.nodes[node].area;
                boxed(&areas[area], slots[node], rows(members[area].len())).centre().1
            };
            let mean = |node: &usize| {
                let heights = near[*node].iter().map(|end| match end {
                    End::Area(area) => areas[*area].centre().1,
                    End::Node(node) => height(*node),
                });
                if near[*node].is_empty() {
                    height(*node)
                } else {
                    heights.sum::<f64>() / near[*node].len() as f64
                }
            };
            let mut sorted: Vec<_> = nodes.iter().map(|node| (mean(node), *node)).collect();
            sorted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            *nodes = sorted.into_iter().map(|(_, node)| node).collect();
            nodes.iter().enumerate().for_each(|(slot, node)| slots[*node] = slot);
        }
    }
    order.into_iter().flatten().map(|node| (node, slots[node])).collect()
}

/// How often each stack is ordered by what others came to.
const SWEEPS: usize = 8;

/// Routers on the edges of their areas, each on the side where its links go: below where they go to both sides.
fn routers(graph: &Graph, areas: &[Rect]) -> Vec<Spot> {
    let mut towards = vec![Vec::new(); graph.routers.len()];
    let mut within = vec![Vec::new(); graph.routers.len()];
    for link in &graph.links {
        let [one, other] = link.ends;
        for (router, peer) in [(one, other), (other, one)] {
            if graph.routers[router].site == graph.routers[peer].site {
                within[router].push(peer);
            } else {
                towards[router].push(areas[graph.routers[peer].site].centre());
            }
        }
    }
    let side = |router: usize| {
        let area = &areas[graph.routers[router].site];
        let is_any = |is: &dyn Fn(&(f64, f64)) -> bool| towards[router].iter().any(is);
        let (left, right) = (is_any(&|to| to.0 < area.x), is_any(&|to| to.0 > area.right()));
        match (left, right) {
            (true, true) => Side::Bottom,
            (true, false) => Side::Left,
            (false, true) => Side::Right,
            (false, false) if is_any(&|to| to.1 < area.y) && !is_any(&|to| to.1 > area.bottom()) => Side::Top,
            (false, false) => Side::Bottom,
        }
    };
    let mut sides = BTreeMap::<(usize, Side), Vec<(f64, usize)>>::new();
    for router in 0..graph.routers.len() {
        // One without links to elsewhere is beside one of its own area that it has a link to.
        let beside = within[router].iter().copied().find(|peer| !towards[*peer].is_empty());
        let asked = if towards[router].is_empty() { beside.unwrap_or(router) } else { router };
        let (area, side) = (graph.routers[router].site, side(asked));
        let (x, y) = areas[area].centre();
        let along =
            |to: &(f64, f64)| if matches!(side, Side::Left | Side::Right) { to.1 - y } else { to.0 - x };
        let mean = towards[asked].iter().map(along).sum::<f64>() / towards[asked].len().max(1) as f64;
        sides.entry((area, side)).or_default().push((mean, router));
    }
    let mut spots = vec![Spot { x: 0.0, y: 0.0, side: Side::Bottom }; graph.routers.len()];
    for ((area, side), mut routers) in sides {
        routers.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let (rect, count) = (&areas[area], routers.len());
        for (place, (_, router)) in routers.into_iter().enumerate() {
            let (place, last) = (place as f64, (count - 1) as f64);
            let (x, y) = match side {
                Side::Left | Side::Right => {
                    let step = ROUTER.min((rect.height - 2.0 * FOOTER) / count as f64);
                    let x = if side == Side::Left { rect.x } else { rect.right() };
                    (x, rect.bottom() - FOOTER - 10.0 - (last - place) * step)
                }
                Side::Top | Side::Bottom => {
                    let step = 110_f64.min((rect.width - 2.0 * FOOTER) / count as f64);
                    let y = if side == Side::Top { rect.y } else { rect.bottom() };
                    (rect.x + rect.width / 2.0 + (place - last / 2.0) * step, y)
                }
            };
            spots[router] = Spot { x: x.round(), y: y.round(), side };
        }
    }
    spots
}
