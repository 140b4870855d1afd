//! The map as JSON.

use serde_json::{Value, json};

use super::{
    Picture,
    figures::{Figures, Rates, Trouble, WINDOW_NAMES},
    layout::Rect,
    scene::{End, Kind, Level},
    words,
};
use crate::{
    json::{Json, Object},
    v1::table::object,
};

/// All of it.
pub(super) fn rendered(picture: &Picture<'_>) -> Json {
    let Picture { graph, scene, layout, level, .. } = picture;
    let mut json =
        Json::with_capacity(400 * (scene.nodes.len() + scene.edges.len() + graph.sites.len()) + 1024);
    let mut object = Object::open(&mut json);
    object.string("level", level.name());
    object.uint("time", graph.time);
    object.uint("width", layout.width as u64);
    object.uint("height", layout.height as u64);
    object.name("windows");
    object.json.strings(&WINDOW_NAMES);
    if let Some(note) = graph.note {
        object.string("note", note);
    }
    list(&mut object, "areas", 0..scene.areas.len(), |object, area| {
        let (site, facts) = (&graph.sites[*area], &scene.areas[*area]);
        object.string("id", &site.id);
        object.string("name", &site.name);
        for (name, text) in
            [("platform", &site.platform), ("provider", &site.provider), ("version", &site.version)]
        {
            optional(object, name, text.as_deref());
        }
        truth(object, "open", facts.is_open);
        rect(object, &layout.areas[*area]);
        object.uint("nodes", facts.nodes as u64);
        object.uint("processes", facts.processes as u64);
        object.string("severity", facts.trouble.name());
        optional(object, "text", facts.text.as_deref());
    });
    list(&mut object, "nodes", 0..scene.nodes.len(), |object, position| {
        let node = &scene.nodes[*position];
        object.string("id", &node.id);
        object.string("kind", node.kind.name());
        object.string("name", &node.name);
        object.string("area", &graph.sites[node.area].id);
        optional(object, "componentId", node.component_id.as_deref());
        rect(object, &layout.nodes[*position]);
        object.uint("processes", node.processes as u64);
        rates(object, "octetRate", node.all.octet_rates());
        object.string("severity", node.served.trouble().name());
        let text = words::node(&node.all, &node.served);
        optional(object, "text", Some(&*text).filter(|text| !text.is_empty()));
    });
    list(&mut object, "routers", 0..graph.routers.len(), |object, position| {
        let (router, spot) = (&graph.routers[*position], &layout.routers[*position]);
        object.string("id", &router.id);
        object.string("name", &router.name);
        object.string("area", &graph.sites[router.site].id);
        object.uint("x", spot.x as u64);
        object.uint("y", spot.y as u64);
        optional(object, "mode", router.mode.as_deref());
        truth(object, "up", true);
    });
    list(&mut object, "links", &graph.links, |object, link| {
        object.string("id", &link.id);
        object.string("name", &link.name);
        object.string("source", &graph.routers[link.ends[0]].id);
        object.string("destination", &graph.routers[link.ends[1]].id);
        truth(object, "up", link.is_up);
        for (name, count) in [("cost", link.cost), ("downCount", link.down_count)] {
            if let Some(count) = count {
                object.uint(name, count);
            }
        }
        rates(object, "octetRate", link.octets);
        object.string("severity", picture.link_trouble(link).name());
        let text = picture.link_text(link);
        optional(object, "text", Some(&*text).filter(|text| !text.is_empty()));
    });
    list(&mut object, "edges", &scene.edges, |object, edge| {
        let id = |end: End| scene.id(graph, end);
        object.string("id", &format!("{}>{}", id(edge.source), id(edge.destination)));
        object.string("source", id(edge.source));
        object.string("destination", id(edge.destination));
        figures(object, &edge.figures);
    });
    list(&mut object, "unplaced", &graph.unplaced, |object, unplaced| {
        object.name("subject");
        let mut subject = Object::open(object.json);
        subject.string("type", "service");
        subject.string("id", &unplaced.id);
        subject.string("name", &unplaced.address);
        subject.close();
        object.string("severity", unplaced.trouble.name());
        object.string("text", &unplaced.text);
    });
    object.uint("folded", scene.folded as u64);
    object.close();
    json.raw("\n");
    json
}

fn figures(object: &mut Object<'_>, figures: &Figures) {
    rates(object, "octetRate", figures.octet_rates());
    if !figures.is_unmeasured {
        rates(object, "sentRate", figures.rates.sent);
        rates(object, "receivedRate", figures.rates.received);
        rates(object, "connectionRate", figures.rates.connections);
        rates(object, "requestRate", figures.rates.requests);
    }
    if let Some(open) = figures.open {
        object.uint("openConnections", open);
    }
    object.uint("units", figures.units);
    object.uint("errors", figures.errors);
    if let Some(share) = figures.error_share() {
        object.name("errorShare");
        number(object.json, share);
    }
    for (name, percent) in [("latencyP50", 50), ("latencyP95", 95)] {
        if let Some(latency) = figures.latency(percent) {
            object.uint(name, latency);
        }
    }
    object.name("services");
    let services: Vec<_> = figures.services.iter().collect();
    object.json.strings(&services);
    object.string("severity", figures.trouble().name());
    let text = if figures.trouble() == Trouble::Fine { None } else { words::trouble(figures) };
    optional(object, "text", text.as_deref());
}

/// A member that is a list of objects.
fn list<T>(
    object: &mut Object<'_>,
    name: &str,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut Object<'_>, &T),
) {
    object.name(name);
    object.json.raw("[");
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            object.json.raw(",");
        }
        let mut item_object = Object::open(object.json);
        each(&mut item_object, &item);
        item_object.close();
    }
    object.json.raw("]");
}

fn optional(object: &mut Object<'_>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        object.string(name, text);
    }
}

fn truth(object: &mut Object<'_>, name: &str, is_so: bool) {
    object.name(name);
    object.json.raw(if is_so { "true" } else { "false" });
}

fn rect(object: &mut Object<'_>, rect: &Rect) {
    for (name, along) in [("x", rect.x), ("y", rect.y), ("width", rect.width), ("height", rect.height)] {
        object.uint(name, along as u64);
    }
}

/// Rates over those windows of which they are known; nothing where they are not known at all.
fn rates(object: &mut Object<'_>, name: &str, rates: Rates) {
    if !rates.is_known() {
        return;
    }
    object.name(name);
    let mut windows = Object::open(object.json);
    for (window, rate) in WINDOW_NAMES.iter().zip(rates.0) {
        if let Some(rate) = rate {
            windows.name(window);
            number(windows.json, rate);
        }
    }
    windows.close();
}

/// A number, to a thousandth.
fn number(json: &mut Json, number: f64) {
    let rounded = (number * 1_000.0).round() / 1_000.0;
    json.raw(&if rounded.is_finite() { rounded.to_string() } else { "0".to_owned() });
}

/// Its schema in the OpenAPI document.
pub(in crate::v1) fn described() -> Value {
    let text = || json!({ "type": "string" });
    let truth = || json!({ "type": "boolean" });
    let count = || json!({ "type": "integer", "minimum": 0 });
    let share = || json!({ "type": "number", "minimum": 0 });
    let one_of = |known: &[&str]| json!({ "type": "string", "enum": known });
    let micros = |what: &str| json!({ "type": "integer", "minimum": 0, "description": format!("{what}, in microseconds.") });
    let pixels = || json!({ "type": "integer", "minimum": 0, "description": "In pixels of a picture that is not scaled." });
    let severity = || one_of(Trouble::NAMES);
    let rate = |what: &str| {
        let windows = WINDOW_NAMES.map(|window| (window, false, share()));
        object(&format!("{what} a second, over each of those times of which it is known."), windows)
    };
    let list = |item: Value| json!({ "type": "array", "items": item });
    let rect = || {
        [("x", true, pixels()), ("y", true, pixels()), ("width", true, pixels()), ("height", true, pixels())]
    };
    let area = [
        ("id", true, text()),
        ("name", true, text()),
        ("platform", false, text()),
        ("provider", false, text()),
        ("version", false, text()),
        ("open", true, truth()),
        ("nodes", true, count()),
        ("processes", true, count()),
        ("severity", true, severity()),
        ("text", false, text()),
    ];
    let node = [
        ("id", true, text()),
        ("kind", true, one_of(Kind::NAMES)),
        ("name", true, text()),
        ("area", true, text()),
        ("componentId", false, text()),
        ("processes", true, count()),
        ("octetRate", false, rate("Octets to it and from it")),
        ("severity", true, severity()),
        ("text", false, text()),
    ];
    let router = [
        ("id", true, text()),
        ("name", true, text()),
        ("area", true, text()),
        ("x", true, pixels()),
        ("y", true, pixels()),
        ("mode", false, text()),
        ("up", true, truth()),
    ];
    let link = [
        ("id", true, text()),
        ("name", true, text()),
        ("source", true, text()),
        ("destination", true, text()),
        ("up", true, truth()),
        ("cost", false, count()),
        ("downCount", false, count()),
        ("octetRate", false, rate("Octets both ways")),
        ("severity", true, severity()),
        ("text", false, text()),
    ];
    let edge = [
        ("id", true, text()),
        ("source", true, text()),
        ("destination", true, text()),
        ("octetRate", false, rate("Octets both ways")),
        ("sentRate", false, rate("Octets from client to server")),
        ("receivedRate", false, rate("Octets from server to client")),
        ("connectionRate", false, rate("Connections opened")),
        ("requestRate", false, rate("Requests ended")),
        ("openConnections", false, count()),
        ("units", true, count()),
        ("errors", true, count()),
        ("errorShare", false, share()),
        ("latencyP50", false, micros("The median time to the first octet")),
        ("latencyP95", false, micros("The time within which 95 of 100 first octets came")),
        ("services", true, list(text())),
        ("severity", true, severity()),
        ("text", false, text()),
    ];
    let unplaced = [
        ("subject", true, json!({ "$ref": "#/components/schemas/Subject" })),
        ("severity", true, severity()),
        ("text", true, text()),
    ];
    let map = [
        ("level", true, one_of(Level::NAMES)),
        ("time", true, micros("The moment that it shows, since the Unix epoch")),
        ("width", true, pixels()),
        ("height", true, pixels()),
        ("windows", true, list(one_of(&WINDOW_NAMES))),
        ("note", false, text()),
        ("areas", true, list(object("A site.", area.into_iter().chain(rect())))),
        ("nodes", true, list(object("What is in an open area.", node.into_iter().chain(rect())))),
        ("routers", true, list(object("A router, on the edge of its area.", router))),
        ("links", true, list(object("A link between routers.", link))),
        ("edges", true, list(object("What goes from one node or closed area to another.", edge))),
        ("unplaced", true, list(object("A service that has no place on the map.", unplaced))),
        (
            "folded",
            true,
            json!({ "type": "integer", "minimum": 0, "description": "How many nodes others stand for." }),
        ),
    ];
    object("The map of the network.", map)
}
