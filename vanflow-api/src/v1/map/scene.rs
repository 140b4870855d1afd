//! What of the graph is shown: areas that are open or closed, the nodes in those that are open, and what goes between
//! them, each the sum of what it stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    figures::{Figures, Trouble},
    graph::{Graph, Process},
    words,
};

/// So many nodes a map has at most, however many have trouble: no picture is legible with more.
pub(super) const MOST_NODES: usize = 150;

/// How deep sites are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Level {
    /// As closed areas.
    Site,
    /// With their components.
    Component,
    /// With their processes.
    Process,
}

impl Level {
    pub(super) const NAMES: &'static [&'static str] = &["site", "component", "process"];
    pub(super) const ALL: [Self; 3] = [Self::Site, Self::Component, Self::Process];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    fn deeper(self) -> Self {
        if self == Self::Site { Self::Component } else { Self::Process }
    }
}

/// What is to be shown of a graph.
#[derive(Clone, Debug)]
pub(super) struct Choice<'c> {
    pub(super) level: Level,
    /// Ids of sites that are shown one level deeper.
    pub(super) open: &'c [String],
    /// The address of the service whose traffic alone is shown.
    pub(super) service: Option<&'c str>,
    /// So many nodes at most; more only where more have trouble, up to [`MOST_NODES`].
    pub(super) limit: usize,
}

/// What is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    /// One for each site of the graph, in the same order.
    pub(super) areas: Vec<Area>,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    /// What has anything to do with each other, whatever service is asked for, each once; the lower end first.
    pub(super) neighbours: BTreeSet<(End, End)>,
    /// How many nodes others stand for.
    pub(super) folded: usize,
}

/// A site.
#[derive(Clone, Debug, Default)]
pub(super) struct Area {
    pub(super) is_open: bool,
    /// How many nodes it would have if it were open, and none of them folded: components, where it is closed.
    pub(super) nodes: usize,
    pub(super) processes: usize,
    pub(super) trouble: Trouble,
    /// The worst of it in words.
    pub(super) text: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Component,
    Process,
    /// What is outside of a site, taken together.
    Remote,
    /// Nodes that there was no room for.
    More,
}

impl Kind {
    pub(super) const NAMES: &'static [&'static str] = &["component", "process", "remote", "more"];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// A box.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) name: String,
    /// The component that it is, or is of.
    pub(super) component_id: Option<String>,
    pub(super) area: usize,
    pub(super) processes: usize,
    /// What goes to it and from it.
    pub(super) all: Figures,
    /// What it serves.
    pub(super) served: Figures,
}

/// What an edge ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum End {
    Area(usize),
    Node(usize),
}

/// What goes from one to another.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) source: End,
    pub(super) destination: End,
    pub(super) figures: Figures,
}

impl Scene {
    pub(super) fn new(graph: &Graph, choice: &Choice<'_>) -> Self {
        let depth = |id: &str| match choice.open.iter().any(|open| open == id) {
            true => choice.level.deeper(),
            false => choice.level,
        };
        let depths: Vec<_> = graph.sites.iter().map(|site| depth(&site.id)).collect();
        let mut folding = Folding::new(graph, &depths);
        folding.fold(graph, choice.limit);
        let is_shown =
            |figures: &Figures| choice.service.is_none_or(|address| figures.services.contains(address));
        let (mut scene, ends) = folding.finish(graph, &depths);
        let mut edges = BTreeMap::<(End, End), Figures>::new();
        for traffic in &graph.traffic {
            let (source, destination) = (ends[traffic.source], ends[traffic.destination]);
            if source != destination {
                scene.neighbours.insert((source.min(destination), source.max(destination)));
            }
            if is_shown(&traffic.figures) {
                edges.entry((source, destination)).or_default().add(&traffic.figures);
            }
        }
        for (positions, rates) in &graph.shared_rates {
            let shown = positions.iter().map(|position| &graph.traffic[*position]);
            let shown: BTreeSet<_> = shown
                .filter(|traffic| is_shown(&traffic.figures))
                .map(|traffic| (ends[traffic.source], ends[traffic.destination]))
                .collect();
            let is_one = shown.len() == 1;
            for between in &shown {
                let Some(figures) = edges.get_mut(between) else { continue };
                if is_one {
                    figures.rates.add(rates);
                } else {
                    figures.is_unmeasured = true;
                }
            }
        }
        for ((source, destination), figures) in edges {
            if let End::Node(node) = destination {
                scene.nodes[node].served.add(&figures);
                scene.nodes[node].all.add(&figures);
            }
            if let End::Node(node) = source
                && source != destination
            {
                scene.nodes[node].all.add(&figures);
            }
            scene.edges.push(Edge { source, destination, figures });
        }
        scene.judge_areas(graph, is_shown);
        scene
    }

    /// Says how bad it is in each area: of its components, whatever is shown of them, and of the links that end there.
    fn judge_areas(&mut self, graph: &Graph, is_shown: impl Fn(&Figures) -> bool) {
        let mut served = BTreeMap::<(usize, &str), (Figures, &str)>::new();
        for traffic in graph.traffic.iter().filter(|traffic| is_shown(&traffic.figures)) {
            let Process { site, component_id, .. } = &graph.processes[traffic.destination];
            let (figures, name) = served.entry((*site, component_id)).or_default();
            figures.add(&traffic.figures);
            *name = &graph.processes[traffic.destination].component;
        }
        let mut found: Vec<(usize, Trouble, u64, String)> = served
            .iter()
            .filter_map(|((site, _), (figures, name))| {
                let text = format!("{}: {}", shown_name(name), words::trouble(figures)?);
                Some((*site, figures.trouble(), figures.errors, text))
            })
            .collect();
        for link in graph.links.iter().filter(|link| !link.is_up) {
            for router in link.ends {
                let router = &graph.routers[router];
                found.push((
                    router.site,
                    Trouble::Bad,
                    u64::MAX,
                    format!("a link of {} is down", router.name),
                ));
            }
        }
        found.sort_by(|left, right| (right.1, right.2, &left.3).cmp(&(left.1, left.2, &right.3)));
        for (site, trouble, _, text) in found {
            let area = &mut self.areas[site];
            if area.text.is_none() {
                (area.trouble, area.text) = (trouble, Some(text));
            }
        }
    }

    /// The id of what an edge ends at.
    pub(super) fn id<'s>(&'s self, graph: &'s Graph, end: End) -> &'s str {
        match end {
            End::Area(area) => &graph.sites[area].id,
            End::Node(node) => &self.nodes[node].id,
        }
    }
}

/// Nodes, and which of them each process is part of.
struct Folding {
    groups: Vec<Group>,
    /// By process: its group; none where its site is closed.
    of: Vec<Option<usize>>,
}

struct Group {
    node: Node,
    /// Whether another stands for it.
    is_folded: bool,
}

impl Folding {
    fn new(graph: &Graph, depths: &[Level]) -> Self {
        let mut sites_of = HashMap::<&str, BTreeSet<usize>>::new();
        for process in &graph.processes {
            sites_of.entry(&process.component_id).or_default().insert(process.site);
        }
        let mut groups = BTreeMap::<(usize, String), Group>::new();
        let mut keys = Vec::new();
        for process in &graph.processes {
            let depth = depths[process.site];
            let (kind, id, name) = match depth {
                Level::Site => {
                    keys.push(None);
                    continue;
                }
                _ if process.is_remote => {
                    (Kind::Remote, process.component_id.clone(), shown_name(&process.component))
                }
                Level::Component => {
                    // A component of several sites is a node in each.
                    let is_in_several = sites_of[process.component_id.as_str()].len() > 1;
                    let id = match is_in_several {
                        true => format!("{}@{}", process.component_id, graph.sites[process.site].id),
                        false => process.component_id.clone(),
                    };
                    (Kind::Component, id, shown_name(&process.component))
                }
                Level::Process => (Kind::Process, process.id.clone(), process.name.as_str()),
            };
            let key = (process.site, id.clone());
            let group = groups.entry(key.clone()).or_insert_with(|| Group {
                node: Node {
                    id,
                    kind,
                    name: name.to_owned(),
                    component_id: Some(process.component_id.clone()),
                    area: process.site,
                    processes: 0,
                    all: Figures::default(),
                    served: Figures::default(),
                },
                is_folded: false,
            });
            group.node.processes += 1;
            keys.push(Some(key));
        }
        let positions: HashMap<_, _> =
            groups.keys().enumerate().map(|(position, key)| (key.clone(), position)).collect();
        let of = keys.iter().map(|key| key.as_ref().map(|key| positions[key])).collect();
        Self { groups: groups.into_values().collect(), of }
    }

    /// Folds the groups with the fewest octets, where there are too many. Those that have trouble are folded only where
    /// there are more of them than [`MOST_NODES`], the worst last.
    fn fold(&mut self, graph: &Graph, limit: usize) {
        if self.groups.len() <= limit {
            return;
        }
        let mut octets = vec![0_u64; self.groups.len()];
        let mut edges = HashMap::<_, (u64, u64)>::new();
        for traffic in &graph.traffic {
            let ends = [self.of[traffic.source], self.of[traffic.destination]];
            for end in ends.into_iter().flatten() {
                octets[end] = octets[end].saturating_add(traffic.figures.octets);
            }
            let known = [(ends[0], ends[1]), (None, ends[1])];
            for between in known.into_iter().take(if ends[0].is_none() { 1 } else { 2 }) {
                let (units, errors) = edges.entry(between).or_default();
                *units += traffic.figures.units;
                *errors += traffic.figures.errors;
            }
        }
        let mut trouble = vec![Trouble::Fine; self.groups.len()];
        for ((source, destination), (units, errors)) in edges {
            let figures = Figures { units, errors, ..Figures::default() };
            for end in [source, destination].into_iter().flatten() {
                trouble[end] = trouble[end].max(figures.trouble());
            }
        }
        let mut smallest: Vec<_> = (0..self.groups.len()).collect();
        smallest.sort_by(|left, right| {
            let id = |group: &usize| &self.groups[*group].node.id;
            (trouble[*left], octets[*left], id(left)).cmp(&(trouble[*right], octets[*right], id(right)))
        });
        let (mut left, mut areas) = (self.groups.len(), BTreeSet::new());
        for group in smallest {
            let most = if trouble[group] > Trouble::Fine { limit.max(MOST_NODES) } else { limit };
            if left + areas.len() <= most {
                break;
            }
            let group = &mut self.groups[group];
            group.is_folded = true;
            areas.insert(group.node.area);
            left -= 1;
        }
    }

    /// The scene without edges, and what each process is shown as.
    fn finish(self, graph: &Graph, depths: &[Level]) -> (Scene, Vec<End>) {
        let area = |depth: &Level| Area { is_open: *depth > Level::Site, ..Area::default() };
        let mut scene = Scene { areas: depths.iter().map(area).collect(), ..Scene::default() };
        let mut components = vec![BTreeSet::new(); depths.len()];
        for process in &graph.processes {
            let area = &mut scene.areas[process.site];
            area.processes += usize::from(!process.is_remote);
            components[process.site].insert(process.component_id.as_str());
        }
        for group in &self.groups {
            scene.areas[group.node.area].nodes += 1;
        }
        for (area, components) in scene.areas.iter_mut().zip(components) {
            if !area.is_open {
                area.nodes = components.len();
            }
        }
        let mut more = BTreeMap::<usize, (usize, usize)>::new();
        for group in self.groups.iter().filter(|group| group.is_folded) {
            let (nodes, processes) = more.entry(group.node.area).or_default();
            *nodes += 1;
            *processes += group.node.processes;
            scene.folded += 1;
        }
        let mut shown = Vec::with_capacity(self.groups.len());
        for group in self.groups {
            shown.push((!group.is_folded).then_some(scene.nodes.len()).ok_or(group.node.area));
            if !group.is_folded {
                scene.nodes.push(group.node);
            }
        }
        let mut more_at = HashMap::new();
        for (area, (nodes, processes)) in more {
            more_at.insert(area, scene.nodes.len());
            scene.nodes.push(Node {
                id: format!("more@{}", graph.sites[area].id),
                kind: Kind::More,
                name: format!("+{nodes} more"),
                component_id: None,
                area,
                processes,
                all: Figures::default(),
                served: Figures::default(),
            });
        }
        let end = |(process, group): (&Process, &Option<usize>)| match group {
            None => End::Area(process.site),
            Some(group) => End::Node(shown[*group].unwrap_or_else(|area| more_at[&area])),
        };
        let ends = graph.processes.iter().zip(&self.of).map(end).collect();
        (scene, ends)
    }
}

/// What a component is called: those that are made of clients from outside by what they are.
fn shown_name(component: &str) -> &str {
    [("site-clients-", "site clients"), ("site-servers-", "site servers")]
        .into_iter()
        .find_map(|(prefix, name)| component.starts_with(prefix).then_some(name))
        .unwrap_or(component)
}
