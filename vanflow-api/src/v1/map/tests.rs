//! What holds of every map, of any network.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use http_body_util::BodyExt;
use proptest::prelude::*;
use vanflow_proto::{Attribute, RecordKind, SourceType, UpdateBuf};
use vanflow_store::{Store, StoreOptions};

use super::{
    figures::{Figures, FlowRates, Rates, Trouble},
    graph::{Graph, Link, Process, Router, Site, Traffic, Unplaced},
    layout::{BOX_HEIGHT, BOX_WIDTH, Layout, Rect},
    scene::{Choice, End, Kind, Level, Scene},
    *,
};

/// Places, components and sites of processes, what goes between them, and links between the sites' routers.
type Sketch = (usize, Vec<(usize, u8, bool)>, Vec<(usize, usize, u64, u64, u64)>, Vec<(usize, usize)>);

fn sketch() -> impl Strategy<Value = Sketch> {
    (1_usize..7, 1_usize..28).prop_flat_map(|(sites, processes)| {
        (
            Just(sites),
            prop::collection::vec((0..sites, 0_u8..9, prop::bool::weighted(0.1)), processes),
            prop::collection::vec(
                (0..processes, 0..processes, 0_u64..200, 0_u64..40, 0_u64..1_000_000),
                0..60,
            ),
            prop::collection::vec((0..sites, 0..sites), 0..8),
        )
    })
}

fn graph((sites, processes, traffic, links): &Sketch) -> Graph {
    let text = |text: &str| Some(text.to_owned());
    let mut graph = Graph { time: 1_795_347_880_000_000, ..Graph::default() };
    for site in 0..*sites {
        let name = format!("site-{site}");
        graph.sites.push(Site {
            id: format!("{site:02}"),
            name,
            platform: text("kubernetes"),
            ..Site::default()
        });
        graph.routers.push(Router {
            id: format!("r{site}"),
            name: format!("router-{site}"),
            site,
            mode: None,
        });
    }
    for (number, (site, component, is_remote)) in processes.iter().enumerate() {
        let component = match is_remote {
            true => format!("site-clients-{site}"),
            false => format!("component-{component}"),
        };
        graph.processes.push(Process {
            id: format!("p{number:03}"),
            name: format!("{component}-{number}"),
            component_id: format!("id-{component}"),
            component,
            site: *site,
            is_remote: *is_remote,
        });
    }
    for (source, destination, units, errors, octets) in traffic {
        let (units, errors) = (units + errors, *errors);
        let rates = FlowRates { sent: Rates([Some(*octets as f64); 3]), ..FlowRates::default() };
        let services = [format!("service-{}:80", destination % 4)].into();
        let figures = Figures { units, errors, octets: *octets, rates, services, ..Figures::default() };
        graph.traffic.push(Traffic { source: *source, destination: *destination, figures });
    }
    for (number, (one, other)) in links.iter().filter(|(one, other)| one != other).enumerate() {
        graph.links.push(Link {
            id: format!("l{number}"),
            name: format!("link-{number}"),
            ends: [*one, *other],
            is_up: true,
            cost: Some(1),
            down_count: None,
            has_flapped: false,
            octets: Rates::default(),
            reports_octets: true,
        });
    }
    graph
}

fn choice(level: Level, limit: usize) -> Choice<'static> {
    Choice { level, open: &[], service: None, limit }
}

const LEVELS: [Level; 3] = [Level::Site, Level::Component, Level::Process];

fn is_within(inner: &Rect, outer: &Rect) -> bool {
    inner.x >= outer.x
        && inner.y >= outer.y
        && inner.right() <= outer.right()
        && inner.bottom() <= outer.bottom()
}

/// What must hold of where things are, however they came there.
fn check_layout(graph: &Graph, scene: &Scene, layout: &Layout) -> Result<(), TestCaseError> {
    let plane = Rect { x: 0.0, y: 0.0, width: layout.width, height: layout.height };
    for (position, area) in layout.areas.iter().enumerate() {
        prop_assert!(is_within(area, &plane), "{area:?} in {plane:?}");
        for other in &layout.areas[..position] {
            prop_assert!(!area.is_near(other, 40.0, 40.0), "{area:?} and {other:?}");
        }
    }
    for (position, (node, rect)) in scene.nodes.iter().zip(&layout.nodes).enumerate() {
        prop_assert!(is_within(rect, &layout.areas[node.area]), "{} at {rect:?}", node.id);
        prop_assert_eq!((rect.width, rect.height), (BOX_WIDTH, BOX_HEIGHT));
        for other in &layout.nodes[..position] {
            prop_assert!(!rect.is_near(other, 4.0, 4.0), "{rect:?} and {other:?}");
        }
    }
    for (router, spot) in graph.routers.iter().zip(&layout.routers) {
        let area = &layout.areas[router.site];
        let is_on_edge =
            [area.x, area.right()].contains(&spot.x) || [area.y, area.bottom()].contains(&spot.y);
        prop_assert!(is_on_edge, "{spot:?} at {area:?}");
    }
    Ok(())
}

/// All places by the id of what is there.
fn places(graph: &Graph, scene: &Scene, layout: &Layout) -> BTreeMap<String, Rect> {
    let areas =
        graph.sites.iter().zip(&layout.areas).map(|(site, area)| (format!("area {}", site.id), *area));
    let nodes =
        scene.nodes.iter().zip(&layout.nodes).map(|(node, rect)| (format!("node {}", node.id), *rect));
    areas.chain(nodes).collect()
}

#[test]
fn in_the_next_process_all_lies_where_it_did() {
    // Of two sites with a process each, to which come others, that most goes between.
    let few = graph(&(2, vec![(0, 0, false), (1, 1, false)], vec![(0, 1, 9, 0, 10)], vec![(0, 1)]));
    let processes = (0..10).map(|number: usize| (number % 2, number as u8, false)).collect();
    let traffic = (2..10).map(|number| (number, 11 - number, 9, 0, 1_000 * number as u64)).collect();
    let all = graph(&(2, processes, traffic, vec![(0, 1)]));
    let choice = choice(Level::Component, 150);
    let lie = |places: &mut Places, graph: &Graph| {
        let scene = Scene::new(graph, &choice);
        let layout = places.lay_out(graph, &scene, &choice, true);
        self::places(graph, &scene, &layout)
    };
    let mut first = Places::default();
    lie(&mut first, &few);
    let known = lie(&mut first, &all);
    assert_ne!(lie(&mut Places::default(), &all), known, "whoever has not seen them come has another order");
    let mut next = Places::restored(&first.save()).expect("they are places");
    assert_eq!(next.save(), first.save());
    assert_eq!(lie(&mut next, &all), known);
    for damaged in
        ["", "{}", "[1]", r#"[{"level":"component","open":[],"kept":{"areas":{"a":[1]},"slots":{}}}]"#]
    {
        assert_eq!(Places::restored(damaged.as_bytes()).unwrap_err(), PlacesError, "{damaged}");
    }
}

#[test]
fn of_more_trouble_than_there_is_room_for_the_worst_is_shown_and_the_rest_says_so() {
    let processes = (0..301).map(|number| (usize::from(number > 0), 0, false)).collect();
    let traffic =
        (1..301).map(|number| (0, number, if number == 1 { 0 } else { 95 }, 5, number as u64)).collect();
    let graph = graph(&(2, processes, traffic, Vec::new()));
    let scene = Scene::new(&graph, &choice(Level::Process, 150));
    assert_eq!((scene.nodes.len(), scene.folded), (150, 152));
    let shown = |id: &str| scene.nodes.iter().any(|node| node.id == id);
    assert!(shown("p001"), "all of it failed, though it was little");
    assert!(shown("p000") && shown("p300") && !shown("p002"));
    let more = scene.nodes.iter().find(|node| node.kind == Kind::More).expect("the rest");
    assert_eq!(more.served.trouble(), Trouble::Warn);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nothing_overlaps_and_all_is_where_it_belongs(sketch in sketch(), limit in 1_usize..40) {
        let graph = graph(&sketch);
        for level in LEVELS {
            let scene = Scene::new(&graph, &choice(level, limit));
            let (layout, kept) = Layout::new(&graph, &scene, None);
            check_layout(&graph, &scene, &layout)?;
            // And where it is laid out again it stays.
            let (again, _) = Layout::new(&graph, &scene, Some(kept));
            prop_assert_eq!(layout, again);
        }
    }

    #[test]
    fn sums_are_those_of_what_is_hidden(sketch in sketch(), limit in 1_usize..40) {
        let graph = graph(&sketch);
        let sum = |figures: &mut dyn Iterator<Item = &Figures>| {
            figures.fold((0, 0, 0), |sum, figures| {
                (sum.0 + figures.units, sum.1 + figures.errors, sum.2 + figures.octets)
            })
        };
        let all = sum(&mut graph.traffic.iter().map(|traffic| &traffic.figures));
        for level in LEVELS {
            let scene = Scene::new(&graph, &choice(level, limit));
            prop_assert_eq!(sum(&mut scene.edges.iter().map(|edge| &edge.figures)), all);
            let between: BTreeSet<_> = scene.edges.iter().map(|edge| (edge.source, edge.destination)).collect();
            prop_assert_eq!(between.len(), scene.edges.len(), "each edge is there once");
        }
    }

    #[test]
    fn trouble_is_never_folded_away(sketch in sketch(), limit in 1_usize..10) {
        let graph = graph(&sketch);
        let whole = Scene::new(&graph, &choice(Level::Component, usize::MAX));
        let folded = Scene::new(&graph, &choice(Level::Component, limit));
        let closed = Scene::new(&graph, &choice(Level::Site, limit));
        for node in whole.nodes.iter().filter(|node| node.served.trouble() > Trouble::Fine) {
            let shown = folded.nodes.iter().find(|shown| shown.id == node.id);
            prop_assert_eq!(shown.map(|shown| shown.served.trouble()), Some(node.served.trouble()), "{}", node.id);
            prop_assert!(closed.areas[node.area].trouble >= node.served.trouble());
            prop_assert!(closed.areas[node.area].text.is_some());
        }
        for edge in whole.edges.iter().filter(|edge| edge.figures.trouble() > Trouble::Fine) {
            let ends = (whole.id(&graph, edge.source), whole.id(&graph, edge.destination));
            let shown = folded.edges.iter().find(|shown| {
                (folded.id(&graph, shown.source), folded.id(&graph, shown.destination)) == ends
            });
            prop_assert_eq!(shown.map(|shown| shown.figures.trouble()), Some(edge.figures.trouble()));
        }
        let count = |scene: &Scene| scene.nodes.iter().filter(|node| node.kind != Kind::More).count();
        prop_assert_eq!(count(&folded) + folded.folded, whole.nodes.len());
    }

    #[test]
    fn what_comes_moves_others_by_no_more_than_its_area_grows(
        sketch in sketch(),
        site in 0_usize..7,
        level in prop::sample::select(&LEVELS[1..]),
    ) {
        let before = graph(&sketch);
        let scene = Scene::new(&before, &choice(level, 150));
        let (layout, kept) = Layout::new(&before, &scene, None);
        let old = places(&before, &scene, &layout);
        let (sites, mut processes, mut traffic, links) = sketch;
        processes.push((site % sites, 200, false));
        traffic.push((processes.len() - 1, 0, 10, 0, 10));
        let after = graph(&(sites, processes, traffic, links));
        let scene = Scene::new(&after, &choice(level, 150));
        let (layout, kept) = Layout::new(&after, &scene, Some(kept));
        check_layout(&after, &scene, &layout)?;
        let new = places(&after, &scene, &layout);
        let growth = |one: &Rect, other: &Rect| (other.width - one.width, other.height - one.height);
        let own = format!("area {:02}", site % sites);
        let (wider, higher) = growth(&old[&own], &new[&own]);
        for (id, rect) in &old {
            let moved = &new[id];
            prop_assert!((0.0..=wider).contains(&(moved.x - rect.x)), "{id}: {rect:?}, now {moved:?}");
            prop_assert!((0.0..=higher).contains(&(moved.y - rect.y)), "{id}: {rect:?}, now {moved:?}");
        }
        prop_assert_eq!((new[&own].x, new[&own].y), (old[&own].x, old[&own].y));
        // And when it goes again nobody moves.
        let scene = Scene::new(&before, &choice(level, 150));
        let (layout, _) = Layout::new(&before, &scene, Some(kept));
        for (id, rect) in places(&before, &scene, &layout) {
            prop_assert_eq!((rect.x, rect.y), (new[&id].x, new[&id].y), "{}", id);
        }
    }

    #[test]
    fn a_site_that_comes_moves_nobody(sketch in sketch(), peer in 0_usize..7) {
        let before = graph(&sketch);
        let scene = Scene::new(&before, &choice(Level::Component, 150));
        let (layout, kept) = Layout::new(&before, &scene, None);
        let old = places(&before, &scene, &layout);
        let (sites, processes, traffic, mut links) = sketch;
        links.push((sites, peer % sites));
        let after = graph(&(sites + 1, processes, traffic, links));
        let scene = Scene::new(&after, &choice(Level::Component, 150));
        let (layout, _) = Layout::new(&after, &scene, Some(kept));
        check_layout(&after, &scene, &layout)?;
        let new = places(&after, &scene, &layout);
        for (id, rect) in &old {
            prop_assert_eq!(rect, &new[id], "{}", id);
        }
    }

    #[test]
    fn an_opened_site_is_where_it_was_when_it_was_closed(sketch in sketch(), site in 0_usize..7) {
        let graph = graph(&sketch);
        let open = [format!("{:02}", site % sketch.0)];
        let opened = Choice { open: &open, ..choice(Level::Site, 150) };
        let lay_out = |places: &mut Places, choice: &Choice<'_>| {
            let scene = Scene::new(&graph, choice);
            (places.lay_out(&graph, &scene, choice, true), scene)
        };
        let mut places = Places::default();
        let (closed, _) = lay_out(&mut places, &choice(Level::Site, 150));
        let (after, scene) = lay_out(&mut places, &opened);
        check_layout(&graph, &scene, &after)?;
        let site = site % sketch.0;
        prop_assert_eq!((after.areas[site].x, after.areas[site].y), (closed.areas[site].x, closed.areas[site].y));
        // Whoever asks for it first sees the same.
        prop_assert_eq!(lay_out(&mut Places::default(), &opened).0, after);
    }

    #[test]
    fn pictures_are_well_formed_whatever_names_are(
        name in "[\\PC\n\r\t\u{0}\u{1}<>&\"'\\\\|\\[\\]{};]{0,24}",
        sketch in sketch(),
    ) {
        let mut graph = graph(&sketch);
        graph.sites[0].name.clone_from(&name);
        graph.routers[0].name.clone_from(&name);
        for process in &mut graph.processes {
            (process.name, process.component) = (name.clone(), name.clone());
        }
        graph.unplaced.push(Unplaced {
            id: name.clone(),
            address: name.clone(),
            trouble: Trouble::Bad,
            text: name.clone(),
        });
        let scene = Scene::new(&graph, &choice(Level::Component, 150));
        let (layout, _) = Layout::new(&graph, &scene, None);
        let picture = Picture { graph: &graph, scene: &scene, layout: &layout, level: Level::Component };
        let json = render::rendered(&picture).bytes;
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
        let drawn = svg::svg(&picture);
        prop_assert_eq!(drawn.matches('<').count(), drawn.matches('>').count());
        prop_assert!(drawn.chars().all(|letter| !letter.is_control() || letter == '\n'), "{}", drawn);
        for part in drawn.split('<').skip(1) {
            let name: String = part.chars().take_while(|letter| letter.is_ascii_alphanumeric()).collect();
            prop_assert!(name.is_empty() == part.starts_with('/') && ELEMENTS.contains(&name.as_str()), "{}", part);
        }
        // Of lines of text there are as many as without that name.
        for draw in [text::dot, text::mermaid] {
            let drawn = draw(&picture);
            let plain = draw(&Picture { graph: &plain_graph(&graph), ..picture });
            prop_assert_eq!(drawn.lines().count(), plain.lines().count(), "{}", drawn);
            let quotes = |text: &str| text.replace("\\\\", "").replace("\\\"", "").matches('"').count();
            prop_assert_eq!(quotes(&drawn) % 2, 0, "{}", drawn);
        }
    }
}

/// The same network with a name that needs no care.
fn plain_graph(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    graph.sites[0].name = "x".to_owned();
    graph.routers[0].name = "x".to_owned();
    for unplaced in &mut graph.unplaced {
        (unplaced.address, unplaced.text) = ("x".to_owned(), "x".to_owned());
    }
    graph
}

/// All that a picture is made of; an end has no name here.
const ELEMENTS: [&str; 10] = ["", "svg", "title", "style", "rect", "path", "polygon", "circle", "g", "text"];

#[test]
fn the_hub_is_between_those_that_talk_to_it() {
    let traffic = vec![(0, 1, 9, 0, 10), (2, 1, 9, 0, 10)];
    let graph = graph(&(3, vec![(0, 0, false), (1, 1, false), (2, 2, false)], traffic, vec![(0, 1), (2, 1)]));
    let scene = Scene::new(&graph, &choice(Level::Component, 150));
    let (layout, _) = Layout::new(&graph, &scene, None);
    let mut across: Vec<_> = layout.areas.iter().map(|area| area.centre().0).collect();
    let hub = across.remove(1);
    assert!(across.iter().any(|x| *x < hub) && across.iter().any(|x| *x > hub), "{:?}", layout.areas);
    assert_eq!(layout.routers[1].y, layout.areas[1].bottom(), "its links go to both sides");
}

#[test]
fn a_component_of_two_sites_is_a_node_in_each() {
    let graph =
        graph(&(2, vec![(0, 5, false), (1, 5, false), (1, 6, false)], vec![(2, 0, 9, 0, 1)], Vec::new()));
    let scene = Scene::new(&graph, &choice(Level::Component, 150));
    let ids: Vec<_> = scene.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["id-component-5@00", "id-component-5@01", "id-component-6"]);
    assert_eq!(scene.edges[0].source, End::Node(2));
}

/// The status and the text of an answer.
fn answered(api: &crate::Api, path: &str) -> (u16, String) {
    let (asked, ()) = http::Request::get(path).body(()).expect("it is a path").into_parts();
    let response = api.respond(&asked);
    let status = response.status().as_u16();
    let body = response.into_body().collect().now_or_never().expect("nothing is waited for");
    (status, String::from_utf8(body.expect("no body fails").to_bytes().into()).expect("it is text"))
}

#[test]
fn a_map_that_is_given_up_halfway_goes_no_further_and_leaves_no_trace() {
    let path = "/api/v1/map?level=process";
    let micros = 1_795_347_880_000_000;
    let at = Timestamp::from_micros(micros);
    let (network, publisher) = crate::Network::new(Store::new(StoreOptions::default()));
    let source = publisher.write().source_seen("r1:0", SourceType::Router, at);
    let new = |kind, id: &str| UpdateBuf::new(kind, id).with(Attribute::StartTime, micros);
    let mut updates =
        vec![new(RecordKind::Site, "s"), new(RecordKind::Router, "r1:0").with(Attribute::Parent, "s")];
    for kind in [RecordKind::Listener, RecordKind::Connector] {
        let service = new(kind, kind.name()).with(Attribute::Parent, "r1:0").with(Attribute::Protocol, "tcp");
        let service = service.with(Attribute::VanAddress, "carts:80").with(Attribute::DestHost, "10.0.0.1");
        updates.push(service.with(Attribute::DestPort, "80"));
    }
    for number in 1..=20 {
        let host = format!("10.0.0.{number}");
        let process = new(RecordKind::Process, &format!("p{number}")).with(Attribute::Parent, "s");
        updates.push(process.with(Attribute::SourceHost, host.as_str()).with(Attribute::Name, host.as_str()));
        let connection = new(RecordKind::BiflowTport, &format!("c{number}"))
            .with(Attribute::Parent, RecordKind::Listener.name())
            .with(Attribute::Connector, RecordKind::Connector.name())
            .with(Attribute::SourceHost, host);
        updates.push(connection);
    }
    for update in &updates {
        publisher.write().apply(source, update, at);
    }
    publisher.publish();
    let api = || crate::Api::new(network.clone(), crate::ApiOptions::default());
    let (status, whole) = answered(&api(), path);
    assert!(status == 200 && whole.contains("10.0.0.20") && whole.contains("\"edges\":[{"), "{whole}");

    let api = api();
    let mut abandoned = 0;
    loop {
        let interest = Interest::for_so_long(abandoned);
        let (status, text) = interest.compute(|| answered(&api, path));
        if status == 200 {
            assert_eq!(text, whole);
            break;
        }
        assert_eq!((status, text.contains("nobody waits for this answer")), (503, true), "{text}");
        abandoned += 1;
    }
    assert!(
        abandoned > 40,
        "it asked {abandoned} times only: once for each process and for each connection at least"
    );
}
