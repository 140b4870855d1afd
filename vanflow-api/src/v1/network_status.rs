//! The network in one document: sites with their routers, links, listeners and connectors, and addresses.
//!
//! [`NetworkStatus`] works it out; here it is written. What is not reported is left out.

use serde_json::{Value, json};
use vanflow_proto::Attribute;
use vanflow_store::{
    NetworkStatus, Record, Snapshot, Text, link,
    network_status::{AddressStatus, LinkStatus, RouterStatus, SiteStatus},
};

use crate::{
    json::{Json, Object},
    v1::table::object,
};

/// The document.
pub(crate) fn render(snapshot: &Snapshot) -> Json {
    let status = NetworkStatus::new(snapshot);
    let mut json = Json::default();
    let mut document = Object::open(&mut json);
    each(&mut document, "sites", &status.sites, site);
    each(&mut document, "addresses", &status.addresses, address);
    document.close();
    json.raw("\n");
    json
}

/// Writes a list of objects.
fn each<T>(object: &mut Object<'_>, name: &str, items: &[T], write: fn(&mut Object<'_>, &T)) {
    object.name(name);
    object.json.raw("[");
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            object.json.raw(",");
        }
        let mut member = Object::open(object.json);
        write(&mut member, item);
        member.close();
    }
    object.json.raw("]");
}

/// A text, if there is one.
fn known(object: &mut Object<'_>, name: &str, text: Option<Text<'_>>) {
    if let Some(text) = text.filter(|text| *text != "") {
        object.name(name);
        object.json.text(text, "");
    }
}

fn site(object: &mut Object<'_>, status: &SiteStatus<'_>) {
    let site = status.site;
    known(object, "siteId", Some(site.id()));
    known(object, "siteName", site.text(Attribute::Name));
    known(object, "namespace", site.text(Attribute::Namespace));
    known(object, "platform", site.text(Attribute::Platform));
    known(object, "version", site.text(Attribute::BuildVersion));
    each(object, "routers", &status.routers, router);
}

fn router(object: &mut Object<'_>, status: &RouterStatus<'_>) {
    let router = status.router;
    known(object, "identity", Some(router.id()));
    known(object, "name", router.text(Attribute::Name));
    known(object, "mode", router.text(Attribute::Mode));
    known(object, "namespace", router.text(Attribute::Namespace));
    known(object, "version", router.text(Attribute::BuildVersion));
    if let Some(source) = router.source() {
        object.truth("complete", !source.is_incomplete());
    }
    each(object, "links", &status.links, link_to);
    each(object, "listeners", &status.listeners, |object, listener| endpoint(object, *listener));
    each(object, "connectors", &status.connectors, |object, connector| endpoint(object, *connector));
}

fn link_to(object: &mut Object<'_>, status: &LinkStatus<'_>) {
    let link = status.link;
    known(object, "identity", Some(link.id()));
    known(object, "name", link.text(Attribute::Name));
    object.string("status", if status.is_up { "up" } else { "down" });
    if let Some(role) = link::role(link) {
        object.string("role", role);
    }
    if let Some(cost) = link.uint(Attribute::LinkCost) {
        object.uint("cost", cost);
    }
    if let Some(downs) = link.uint(Attribute::DownCount) {
        object.uint("downCount", downs);
    }
    known(object, "routerId", status.to.map(|router| router.id()));
    known(object, "routerName", status.to.and_then(|router| router.text(Attribute::Name)));
    let site = status.to.and_then(|router| router.site());
    known(object, "siteId", site.map(|site| site.id()));
    known(object, "siteName", site.and_then(|site| site.text(Attribute::Name)));
}

/// A listener or connector.
fn endpoint(object: &mut Object<'_>, record: Record<'_>) {
    known(object, "identity", Some(record.id()));
    known(object, "name", record.text(Attribute::Name));
    known(object, "address", record.text(Attribute::VanAddress));
    known(object, "protocol", record.text(Attribute::Protocol));
    known(object, "host", record.text(Attribute::DestHost));
    known(object, "port", record.text(Attribute::DestPort));
}

fn address(object: &mut Object<'_>, status: &AddressStatus<'_>) {
    known(object, "identity", Some(status.service.id()));
    known(object, "address", Some(status.service.address()));
    known(object, "protocol", status.service.protocol());
    object.uint("listeners", status.listeners.len() as u64);
    object.uint("connectors", status.connectors.len() as u64);
    each(object, "listenerSites", &status.listener_sites, |object, site| named(object, *site));
    each(object, "connectorSites", &status.connector_sites, |object, site| named(object, *site));
}

/// A site by its identity and name.
fn named(object: &mut Object<'_>, site: Record<'_>) {
    known(object, "siteId", Some(site.id()));
    known(object, "siteName", site.text(Attribute::Name));
}

/// Its schema in the OpenAPI document.
pub(crate) fn described() -> Value {
    let text = |name: &'static str, is_always_there, description: &str| {
        (name, is_always_there, json!({ "type": "string", "description": description }))
    };
    let count = |name: &'static str, is_always_there, description: &str| {
        (name, is_always_there, json!({ "type": "integer", "minimum": 0, "description": description }))
    };
    let list = |name: &'static str, items: Value| (name, true, json!({ "type": "array", "items": items }));
    let endpoint = |description: &str| {
        object(
            description,
            [
                text("identity", true, "The identity of the record."),
                text("name", false, "Its name."),
                text("address", false, "The address of its service, the routing key."),
                text("protocol", false, "The protocol."),
                text("host", false, "The host that it listens on or connects to."),
                text("port", false, "The port of that."),
            ],
        )
    };
    let status = json!({ "type": "string", "enum": ["up", "down"] });
    let role = json!({ "type": "string", "enum": ["inter-router", "edge"] });
    let link = object(
        "A link that the router set up.",
        [
            text("identity", true, "The identity of the record."),
            text("name", false, "Its name."),
            ("status", true, status),
            ("role", false, role),
            count("cost", false, "Its cost."),
            count("downCount", false, "How often it went down."),
            text("routerId", false, "The router that it leads to."),
            text("routerName", false, "Its name."),
            text("siteId", false, "The site of that."),
            text("siteName", false, "Its name."),
        ],
    );
    let router = object(
        "A router, and what it has.",
        [
            text("identity", true, "The identity of the record."),
            text("name", false, "Its name."),
            text("mode", false, "`interior` or `edge`."),
            text("namespace", false, "The namespace that it runs in."),
            text("version", false, "Its version."),
            (
                "complete",
                false,
                json!({ "type": "boolean", "description": "Whether all that it has is here." }),
            ),
            list("links", link),
            list("listeners", endpoint("Where it accepts connections of clients.")),
            list("connectors", endpoint("Where it connects to a workload.")),
        ],
    );
    let site = object(
        "A site, and its routers.",
        [
            text("siteId", true, "The identity of the site."),
            text("siteName", false, "Its name."),
            text("namespace", false, "The namespace that it is in."),
            text("platform", false, "What it runs on."),
            text("version", false, "The version of Skupper."),
            list("routers", router),
        ],
    );
    let sites = || {
        object(
            "A site.",
            [text("siteId", true, "The identity of the site."), text("siteName", false, "Its name.")],
        )
    };
    let address = object(
        "A service, and where it is offered and served.",
        [
            text("identity", true, "The identity of the service."),
            text("address", true, "Its address, the routing key."),
            text("protocol", false, "Its protocol."),
            count("listeners", true, "How many listeners there are for it."),
            count("connectors", true, "How many connectors there are for it."),
            list("listenerSites", sites()),
            list("connectorSites", sites()),
        ],
    );
    object(
        "The network: what there is now, by site, and the addresses of services.",
        [list("sites", site), list("addresses", address)],
    )
}
