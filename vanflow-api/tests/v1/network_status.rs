//! The network in one document.

use serde_json::json;
use vanflow_proto::{Attribute, RecordKind};

use super::ask;
use crate::{
    support::request_with,
    v2alpha1::{network, new},
};

#[test]
fn links_lead_from_the_router_that_set_them_up_to_a_site() {
    let mut fixture = network();
    fixture.report(&[
        new(RecordKind::RouterAccess, "rb:8").with(Attribute::Parent, "rb:0"),
        new(RecordKind::Link, "ra:7")
            .with(Attribute::Parent, "ra:0")
            .with(Attribute::Name, "to-east")
            .with(Attribute::Role, "inter-router")
            .with(Attribute::Peer, "rb:8")
            .with(Attribute::OperStatus, "up")
            .with(Attribute::LinkCost, 2),
    ]);
    let status = ask(&fixture, "network-status");
    let sites: Vec<_> = status["sites"].as_array().unwrap().iter().map(|site| &site["siteName"]).collect();
    assert_eq!(sites, ["east", "west"], "by name");
    assert_eq!(
        status["sites"][1]["routers"],
        json!([{
            "identity": "ra:0",
            "name": "0/router-a",
            "complete": false,
            "links": [{
                "identity": "ra:7",
                "name": "to-east",
                "status": "up",
                "role": "inter-router",
                "cost": 2,
                "routerId": "rb:0",
                "routerName": "0/router-b",
                "siteId": "bbbb2222-site-b",
                "siteName": "east",
            }],
            "listeners": [{ "identity": "ra:1", "address": "backend", "protocol": "tcp" }],
            "connectors": [],
        }])
    );
    assert_eq!(
        status["addresses"],
        json!([{
            "identity": status["addresses"][0]["identity"],
            "address": "backend",
            "protocol": "tcp",
            "listeners": 1,
            "connectors": 1,
            "listenerSites": [{ "siteId": "aaaa1111-site-a", "siteName": "west" }],
            "connectorSites": [{ "siteId": "bbbb2222-site-b", "siteName": "east" }],
        }])
    );
}

#[test]
fn what_the_client_has_already_is_not_sent_again_until_something_changes() {
    let mut fixture = network();
    let path = "/api/v1/network-status";
    let tag = fixture.get(path).header("etag").unwrap().to_owned();
    let again = fixture.ask(request_with(path, &[("if-none-match", &tag)]));
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    fixture.report(&[new(RecordKind::Site, "cccc3333").with(Attribute::Name, "south")]);
    let again = fixture.ask(request_with(path, &[("if-none-match", &tag)]));
    assert_eq!(again.status.as_u16(), 200);
    assert_eq!(again.json()["sites"][1]["siteName"], "south");
}
