//! The map as a picture that can stand in a document: light and dark, no text below 11 pixels, nothing from elsewhere.
//!
//! Colours, sizes and marks are those of the page. Names come from remote peers: all text goes through [`Markup::text`].

mod curve;
mod labels;
mod legend;
mod markup;

use std::collections::BTreeMap;

use self::{
    curve::{Curve, Point},
    labels::{Label, Labels, Mark},
    markup::{Markup, text_width},
};
use super::{
    Picture,
    figures::Trouble,
    graph::Link,
    layout::{Rect, Side},
    scene::{Edge, End, Kind, Node},
    words,
};

const STYLE: &str = include_str!("svg/style.css");

/// How many edges that are fine have a label.
const LABELLED: usize = 5;

/// So many processes are dots; more are a number.
const MOST_DOTS: usize = 5;

/// All of it.
pub(super) fn svg(picture: &Picture<'_>) -> String {
    let Picture { scene, layout, .. } = picture;
    let (width, map_height) = (layout.width, layout.height);
    let height = map_height + legend::height(picture);
    let mut svg = Markup::default();
    svg.raw(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">"
    ));
    svg.text(&picture.title());
    svg.raw("</title>\n<style>");
    svg.raw(STYLE);
    svg.raw("</style>\n");
    svg.raw(&format!("<rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>\n"));
    let mut labels = Labels::new(width, map_height);
    areas(picture, &mut svg, &mut labels);
    for (position, node) in scene.nodes.iter().enumerate() {
        let _ = node;
        labels.avoid(layout.nodes[position]);
    }
    routers_avoided(picture, &mut labels);
    let links = links(picture, &mut svg);
    let edges = edges(picture, &mut svg);
    for (position, node) in scene.nodes.iter().enumerate() {
        boxed(&mut svg, node, &layout.nodes[position]);
    }
    routers(picture, &mut svg);
    label_all(picture, &edges, &links, &mut labels);
    labels.draw(&mut svg);
    if scene.areas.is_empty() {
        svg.line(width / 2.0, map_height / 2.0, "name middle", "No site is known yet");
    }
    legend::draw(picture, &mut svg);
    svg.raw("</svg>\n");
    svg.finish()
}

fn areas(picture: &Picture<'_>, svg: &mut Markup, labels: &mut Labels) {
    let Picture { graph, scene, layout, .. } = picture;
    for (position, rect) in layout.areas.iter().enumerate() {
        let (site, area) = (&graph.sites[position], &scene.areas[position]);
        let class = match area.trouble {
            Trouble::Bad if !area.is_open => "site bad",
            Trouble::Warn if !area.is_open => "site warn",
            _ => "site",
        };
        svg.rect(class, rect, 16.0);
        let room = rect.width - 32.0;
        svg.fitted_line(rect.x + 16.0, rect.y + 24.0, "name", &site.name, room, 13.0, true);
        let subtitle = picture.subtitle(position);
        svg.fitted_line(rect.x + 16.0, rect.y + 40.0, "third", &subtitle, room, 11.0, false);
        labels.avoid(Rect { height: 46.0, ..*rect });
        if !area.is_open {
            svg.fitted_line(
                rect.x + 16.0,
                rect.y + 62.0,
                "second",
                &picture.area_counts(position),
                room,
                11.0,
                false,
            );
            if let Some(text) = &area.text {
                let class = if area.trouble == Trouble::Bad { "is-bad" } else { "is-warn" };
                let mark = if area.trouble == Trouble::Bad { Mark::Bad } else { Mark::Warn };
                mark.draw(svg, rect.x + 20.0, rect.y + 76.0);
                svg.fitted_line(rect.x + 30.0, rect.y + 80.0, class, text, room - 14.0, 11.0, true);
            }
            labels.avoid(*rect);
        }
    }
}

fn boxed(svg: &mut Markup, node: &Node, rect: &Rect) {
    let trouble = node.served.trouble();
    let mut class = String::from("node");
    class.push_str(match node.kind {
        Kind::Remote => " remote",
        Kind::More => " more",
        Kind::Component | Kind::Process => "",
    });
    if trouble == Trouble::Bad {
        class.push_str(" bad");
    }
    svg.rect(&class, rect, 5.0);
    let (dots, end) = (node.processes, rect.right() - 10.0);
    let taken = match (node.kind, dots) {
        (Kind::Process, _) | (_, 0) => 0.0,
        (Kind::Component | Kind::Remote, 1..=MOST_DOTS) => {
            for dot in 0..dots {
                let (x, y) = (end - 3.0 - 8.0 * dot as f64, rect.y + 11.0);
                let class = if node.kind == Kind::Remote { "dot hollow" } else { "dot" };
                svg.raw(&format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"2.5\"/>\n"));
            }
            8.0 * dots as f64
        }
        _ => {
            let text = format!("×{}", words::grouped(dots as u64));
            svg.line(end, rect.y + 15.0, "third end", &text);
            text_width(&text, 11.0, false)
        }
    };
    let room = rect.width - 24.0 - taken;
    svg.fitted_line(rect.x + 10.0, rect.y + 15.0, "box-name", &node.name, room, 12.5, true);
    let mut text = words::node(&node.all, &node.served);
    if text_width(&text, 11.0, true) > rect.width - 20.0
        && let Some((_, trouble)) = text.split_once(", ")
    {
        text = trouble.to_owned();
    }
    let class = match trouble {
        Trouble::Fine => "second",
        Trouble::Warn => "is-warn",
        Trouble::Bad => "is-bad",
    };
    svg.fitted_line(
        rect.x + 10.0,
        rect.y + 28.0,
        class,
        &text,
        rect.width - 20.0,
        11.0,
        trouble > Trouble::Fine,
    );
}

fn routers_avoided(picture: &Picture<'_>, labels: &mut Labels) {
    for (router, spot) in picture.graph.routers.iter().zip(&picture.layout.routers) {
        let width = text_width(&router.name, 11.0, false) + 20.0;
        let (x, y) = match spot.side {
            Side::Left => (spot.x - 8.0, spot.y - 9.0),
            Side::Right => (spot.x + 8.0 - width, spot.y - 9.0),
            Side::Top | Side::Bottom => (spot.x - 8.0, spot.y - 18.0),
        };
        labels.avoid(Rect { x, y, width, height: 24.0 });
    }
}

fn routers(picture: &Picture<'_>, svg: &mut Markup) {
    for (router, spot) in picture.graph.routers.iter().zip(&picture.layout.routers) {
        let class = if router.mode.as_deref() == Some("edge") { "router edge" } else { "router" };
        let (x, y) = (spot.x, spot.y);
        svg.raw(&format!(
            "<path class=\"{class}\" d=\"M{x} {}L{} {y}L{x} {}L{} {y}Z\"/>\n",
            y - 7.0,
            x + 7.0,
            y + 7.0,
            x - 7.0
        ));
        let area = &picture.layout.areas[router.site];
        let room = area.width / 2.0;
        let (x, y, class) = match spot.side {
            // Inside, where the links do not go.
            Side::Left => (x + 12.0, y + 4.0, "second"),
            Side::Right => (x - 12.0, y + 4.0, "second end"),
            Side::Top | Side::Bottom => (x + 12.0, y - 6.0, "second"),
        };
        svg.fitted_line(x, y, class, &router.name, room, 11.0, false);
    }
}

/// Draws the links between routers. Answers where each is.
fn links(picture: &Picture<'_>, svg: &mut Markup) -> Vec<Curve> {
    let Picture { graph, layout, .. } = picture;
    let mut between = BTreeMap::<[usize; 2], usize>::new();
    graph
        .links
        .iter()
        .map(|link| {
            let [one, other] = link.ends;
            let rank = between.entry([one.min(other), one.max(other)]).or_insert(0);
            let [from, to] = link.ends.map(|router| layout.routers[router]);
            let reach = ((from.x - to.x).hypot(from.y - to.y) * 0.4).clamp(28.0, 110.0) + 18.0 * *rank as f64;
            *rank += 1;
            let leaves = |spot: &super::layout::Spot| match spot.side {
                Side::Left => (spot.x - reach, spot.y),
                Side::Right => (spot.x + reach, spot.y),
                Side::Top => (spot.x, spot.y - reach.min(44.0)),
                Side::Bottom => (spot.x, spot.y + reach.min(44.0)),
            };
            let curve = Curve([(from.x, from.y), leaves(&from), leaves(&to), (to.x, to.y)]);
            let (class, width) = match link {
                Link { is_up: false, .. } => ("link down", 2.0),
                Link { reports_octets: false, .. } => ("link unknown", 2.0),
                _ => ("link", picture.width_of(link.octets)),
            };
            svg.curve(class, &curve, width);
            curve
        })
        .collect()
}

/// An edge as it is drawn.
struct Drawn<'p> {
    edge: &'p Edge,
    curve: Curve,
}

/// Draws what goes between nodes, the widest below. Answers where each is.
fn edges<'p>(picture: &Picture<'p>, svg: &mut Markup) -> Vec<Drawn<'p>> {
    let scene = picture.scene;
    let shown: Vec<_> = scene.edges.iter().filter(|edge| edge.source != edge.destination).collect();
    let routes: Vec<_> = shown.iter().map(|edge| route(picture, edge)).collect();
    let ends = attached(picture, &shown, &routes);
    let mut drawn: Vec<_> = shown
        .into_iter()
        .zip(routes)
        .zip(ends)
        .map(|((edge, route), [from, to])| Drawn { edge, curve: curve(picture, edge, route, from, to) })
        .collect();
    let width = |drawn: &Drawn<'_>| picture.width_of(drawn.edge.figures.octet_rates());
    drawn.sort_by(|one, other| {
        let trouble = |drawn: &Drawn<'_>| drawn.edge.figures.trouble();
        trouble(one).cmp(&trouble(other)).then(width(other).total_cmp(&width(one)))
    });
    for drawn in &drawn {
        let trouble = drawn.edge.figures.trouble();
        let class = ["edge", "edge warn", "edge bad"][trouble as usize];
        let width = if trouble == Trouble::Bad { 2.0 } else { width(drawn) };
        let reach = 6.0 + 0.8 * width;
        let (line, tip) = drawn.curve.without_tip(reach);
        svg.curve(class, &line, width);
        let (from, to) = tip;
        let (dx, dy) = ((to.0 - from.0) / reach, (to.1 - from.1) / reach);
        let half = 3.5 + 0.6 * width;
        svg.polygon(
            ["head", "head warn", "head bad"][trouble as usize],
            [to, (from.0 - dy * half, from.1 + dx * half), (from.0 + dy * half, from.1 - dx * half)],
        );
    }
    drawn
}

/// How an edge goes: the sides at which it leaves and arrives.
#[derive(Clone, Copy, Debug)]
struct Route {
    leaves: Side,
    arrives: Side,
}

fn rect_of(picture: &Picture<'_>, end: End) -> Rect {
    match end {
        End::Area(area) => picture.layout.areas[area],
        End::Node(node) => picture.layout.nodes[node],
    }
}

fn area_of(picture: &Picture<'_>, end: End) -> usize {
    match end {
        End::Area(area) => area,
        End::Node(node) => picture.scene.nodes[node].area,
    }
}

fn route(picture: &Picture<'_>, edge: &Edge) -> Route {
    let [from, to] = [edge.source, edge.destination].map(|end| rect_of(picture, end));
    let is_inside = area_of(picture, edge.source) == area_of(picture, edge.destination);
    let both = |side| Route { leaves: side, arrives: side };
    if to.x >= from.right() {
        return Route { leaves: Side::Right, arrives: Side::Left };
    }
    if to.right() <= from.x {
        return Route { leaves: Side::Left, arrives: Side::Right };
    }
    if is_inside {
        return both(Side::Left);
    }
    both(if from.centre().0 <= to.centre().0 { Side::Right } else { Side::Left })
}

/// Where edges leave and arrive: those at one side of a box are in the order of where they go.
fn attached(picture: &Picture<'_>, edges: &[&Edge], routes: &[Route]) -> Vec<[Point; 2]> {
    let mut sides = BTreeMap::<(End, Side), Vec<(f64, usize, usize)>>::new();
    for (position, (edge, route)) in edges.iter().zip(routes).enumerate() {
        for (which, (end, side, other)) in
            [(edge.source, route.leaves, edge.destination), (edge.destination, route.arrives, edge.source)]
                .into_iter()
                .enumerate()
        {
            let (x, y) = rect_of(picture, other).centre();
            let along = if matches!(side, Side::Left | Side::Right) { y } else { x };
            sides.entry((end, side)).or_default().push((along, position, which));
        }
    }
    let mut points = vec![[(0.0, 0.0); 2]; edges.len()];
    for ((end, side), mut ends) in sides {
        ends.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let rect = rect_of(picture, end);
        let share = |place: usize| (place + 1) as f64 / (ends.len() + 1) as f64;
        for (place, (_, edge, which)) in ends.iter().enumerate() {
            points[*edge][*which] = match side {
                Side::Left => (rect.x, rect.y + rect.height * share(place)),
                Side::Right => (rect.right(), rect.y + rect.height * share(place)),
                Side::Top => (rect.x + rect.width * share(place), rect.y),
                Side::Bottom => (rect.x + rect.width * share(place), rect.bottom()),
            };
        }
    }
    points
}

fn curve(picture: &Picture<'_>, edge: &Edge, route: Route, from: Point, to: Point) -> Curve {
    let towards = |side, (x, y): Point, reach: f64| match side {
        Side::Left => (x - reach, y),
        Side::Right => (x + reach, y),
        Side::Top => (x, y - reach),
        Side::Bottom => (x, y + reach),
    };
    if route.leaves == route.arrives {
        let is_inside = area_of(picture, edge.source) == area_of(picture, edge.destination);
        let reach = if is_inside { 28.0 } else { 56.0 + (to.1 - from.1).abs() * 0.1 };
        return Curve([from, towards(route.leaves, from, reach), towards(route.arrives, to, reach), to]);
    }
    let across = (to.0 - from.0).abs();
    if matches!(route.leaves, Side::Left | Side::Right) {
        let own = [edge.source, edge.destination].map(|end| area_of(picture, end));
        let path =
            Rect { x: from.0.min(to.0), y: from.1.min(to.1), width: across, height: (from.1 - to.1).abs() };
        let crossed: Vec<_> = picture
            .layout
            .areas
            .iter()
            .enumerate()
            .filter(|(area, rect)| !own.contains(area) && rect.is_near(&path, 0.0, 0.0))
            .map(|(_, rect)| rect)
            .collect();
        if !crossed.is_empty() {
            let above = crossed.iter().map(|rect| rect.y).fold(f64::MAX, f64::min) - 22.0;
            let below = crossed.iter().map(|rect| rect.bottom()).fold(0.0, f64::max) + 22.0;
            let middle = f64::midpoint(from.1, to.1);
            let is_below =
                (below - middle < middle - above || above < 12.0) && below < picture.layout.height - 12.0;
            let level = if is_below { below } else { above.max(12.0) };
            // So that the middle of the curve is as high as that.
            let control = (4.0 * level - middle) / 3.0;
            let aside = across * 0.12;
            let (leave, arrive) = if to.0 > from.0 { (aside, -aside) } else { (-aside, aside) };
            return Curve([from, (from.0 + leave, control), (to.0 + arrive, control), to]);
        }
    }
    let reach = match route.leaves {
        Side::Left | Side::Right => (across * 0.5).max(30.0),
        Side::Top | Side::Bottom => 4.0,
    };
    Curve([from, towards(route.leaves, from, reach), towards(route.arrives, to, reach), to])
}

/// Puts a label to what has trouble, then to the widest, then to links: each where there is room for it.
fn label_all(picture: &Picture<'_>, edges: &[Drawn<'_>], links: &[Curve], labels: &mut Labels) {
    let rate = |drawn: &&Drawn<'_>| drawn.edge.figures.octet_rates().shown().unwrap_or_default();
    let mut widest: Vec<_> = edges.iter().collect();
    widest.sort_by(|one, other| {
        let trouble = |drawn: &Drawn<'_>| drawn.edge.figures.trouble();
        trouble(other).cmp(&trouble(one)).then(rate(other).total_cmp(&rate(one)))
    });
    let mut fine = 0;
    for drawn in widest {
        let figures = &drawn.edge.figures;
        let label = match words::short_trouble(figures) {
            Some(text) => {
                let mark = if figures.trouble() == Trouble::Bad { Mark::Bad } else { Mark::Warn };
                Label { text, mark: Some(mark), class: if mark == Mark::Bad { "bad" } else { "warn" } }
            }
            None if fine < LABELLED => {
                let Some(rate) = figures.octet_rates().shown().filter(|rate| *rate > 0.0) else { continue };
                fine += 1;
                Label { text: words::octet_rate(rate), mark: None, class: "" }
            }
            None => continue,
        };
        labels.place(label, &drawn.curve);
    }
    for (link, curve) in picture.graph.links.iter().zip(links) {
        let text = picture.link_text(link);
        if text.is_empty() {
            continue;
        }
        let label = match picture.link_trouble(link) {
            Trouble::Fine => Label { text, mark: None, class: "quiet" },
            Trouble::Warn => Label { text, mark: Some(Mark::Warn), class: "warn" },
            Trouble::Bad => Label { text, mark: Some(Mark::Bad), class: "bad" },
        };
        labels.place(label, curve);
    }
}
