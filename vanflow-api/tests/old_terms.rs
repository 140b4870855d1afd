//! Today's records in the terms of the original API, case by case.

use serde_json::{Value, json};
use vanflow_proto::{Attribute, RecordKind, UpdateBuf, ValueBuf};
use vanflow_store::Store;

use crate::support::{EPOCH, Fixture, service};

fn fixture(updates: &[UpdateBuf]) -> Fixture {
    let mut fixture = Fixture::new(Store::new(vanflow_store::StoreOptions::default()));
    fixture.report(updates);
    fixture
}

fn list(fixture: &Fixture, path: &str) -> Vec<Value> {
    fixture.list(&format!("/api/v1alpha1/{path}"))
}

fn new(kind: RecordKind, id: &str) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::StartTime, EPOCH)
}

fn router(id: &str, name: &str) -> UpdateBuf {
    new(RecordKind::Router, id).with(Attribute::Name, name)
}

fn link() -> UpdateBuf {
    new(RecordKind::Link, "gv_ZW:1")
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::Name, "uplink")
        .with(Attribute::Role, "inter-router")
        .with(Attribute::Octets, 10)
        .with(Attribute::OctetsReverse, 20)
        .with(Attribute::OctetRate, 1)
        .with(Attribute::OctetRateReverse, 2)
}

#[test]
fn a_link_is_seen_from_each_of_its_routers() {
    let access = new(RecordKind::RouterAccess, "west:1").with(Attribute::Parent, "west:0");
    let reported = [
        router("gv_ZW:0", "0/edge-1"),
        router("west:0", "0/west-1"),
        access,
        link().with(Attribute::Peer, "west:1"),
    ];
    let rest = json!({
        "rtype": "LINK", "linkName": "uplink", "mode": "interior", "role": "inter-router", "peer": "west:1",
        "startTime": EPOCH, "duration": 0,
    });
    let mut near = json!({
        "id": "gv_ZW:1", "parent": "gv_ZW:0", "name": "0/west-1", "direction": "outgoing",
        "octets": 10, "octetsReverse": 20, "octetRate": 1, "octetRateReverse": 2,
    });
    let mut far = json!({
        "id": "gv_ZW:1.far", "parent": "west:0", "name": "0/edge-1", "direction": "incoming",
        "octets": 20, "octetsReverse": 10, "octetRate": 2, "octetRateReverse": 1,
    });
    for face in [&mut near, &mut far] {
        face.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    }
    let fixture = fixture(&reported);
    assert_eq!(list(&fixture, "links"), [near.clone(), far.clone()]);
    let topology = list(&fixture, "topology");
    assert_eq!(
        topology.iter().map(|record| &record["rtype"]).collect::<Vec<_>>(),
        ["ROUTER", "ROUTER", "LINK"]
    );
    assert_eq!(topology[2], far);
    assert_eq!(list(&fixture, "record?id=gv_ZW:1"), [near]);
    assert_eq!(list(&fixture, "record?id=gv_ZW:1.far"), [far]);
    let raw = list(&fixture, "records?rtype=LINK");
    assert_eq!((raw.len(), &raw[0]["name"], raw[0].get("mode")), (1, &json!("uplink"), None));
}

#[test]
fn an_edge_link_has_the_mode_of_one() {
    let fixture = fixture(&[link().with(Attribute::Role, "edge")]);
    assert_eq!(list(&fixture, "links")[0]["mode"], "edge");
}

#[test]
fn a_link_whose_other_end_is_not_known_yet_is_shown_as_far_as_it_is() {
    // faults 8
    let mut fixture = fixture(&[link()]);
    let links = list(&fixture, "links");
    assert_eq!((links.len(), &links[0]["direction"]), (1, &json!("outgoing")));
    assert_eq!(links[0].get("name"), None, "it would be the other router's");
    fixture.report(&[UpdateBuf::new(RecordKind::Link, "gv_ZW:1").with(Attribute::Peer, "west:1")]);
    let links = list(&fixture, "links");
    assert_eq!((links.len(), links[1].get("parent"), links[1].get("name")), (2, None, None));
    fixture.report(&[
        router("west:0", "0/west-1"),
        new(RecordKind::RouterAccess, "west:1").with(Attribute::Parent, "west:0"),
    ]);
    let links = list(&fixture, "links");
    assert_eq!((&links[0]["name"], &links[1]["parent"]), (&json!("0/west-1"), &json!("west:0")));
}

#[test]
fn a_link_that_each_router_reports_for_itself_has_the_name_of_the_other_router() {
    let old = new(RecordKind::Link, "gv_ZW:1")
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::Name, "west-1")
        .with(Attribute::Mode, "edge")
        .with(Attribute::Direction, "outgoing");
    let mut fixture = fixture(&[old]);
    assert_eq!(list(&fixture, "links")[0]["name"], "west-1", "that is all that is known");
    fixture.report(&[router("west:0", "0/west-1")]);
    let links = list(&fixture, "links");
    assert_eq!((links.len(), &links[0]["name"]), (1, &json!("0/west-1")));
    let topology = list(&fixture, "topology");
    assert!(topology.iter().all(|record| record["rtype"] == "ROUTER"), "an outgoing link is not in it");
}

/// A LINK as routers up to 2.x report it, of their own side.
fn side(id: &str, router: &str, other: &str, direction: &str) -> UpdateBuf {
    new(RecordKind::Link, id)
        .with(Attribute::Parent, router)
        .with(Attribute::Name, other)
        .with(Attribute::Mode, "interior")
        .with(Attribute::Direction, direction)
}

fn ends_of_links(fixture: &Fixture, path: &str) -> Vec<[String; 4]> {
    let records = list(fixture, path);
    let links = records.iter().filter(|record| record["rtype"] == "LINK");
    links
        .map(|link| {
            ["id", "direction", "parent", "name"].map(|name| link[name].as_str().unwrap_or("").to_owned())
        })
        .collect()
}

#[test]
fn a_link_that_only_one_of_two_known_routers_reports_is_seen_from_both() {
    // faults 32: of an edge router, or of one of today's, a router up to 2.x is the only one to report a link.
    let routers = [router("gv_ZW:0", "0/west-1"), router("east:0", "0/east-1")];
    for (reported, far) in [("outgoing", "incoming"), ("incoming", "outgoing")] {
        let mut fixture = fixture(&routers);
        fixture.report(&[side("gv_ZW:1", "gv_ZW:0", "east-1", reported)]);
        let near = ["gv_ZW:1", reported, "gv_ZW:0", "0/east-1"];
        let far = ["gv_ZW:1.far", far, "east:0", "0/west-1"];
        assert_eq!(ends_of_links(&fixture, "links"), [near, far]);
        let incoming = if far[1] == "incoming" { far } else { near };
        assert_eq!(ends_of_links(&fixture, "topology"), [incoming]);
        assert_eq!(ends_of_links(&fixture, "record?id=gv_ZW:1.far"), [far]);
        assert_eq!(list(&fixture, "links")[1].get("linkName"), None, "it has no name of its own");
    }
}

#[test]
fn a_link_that_both_routers_report_is_in_the_topology_once() {
    // faults 14, 32
    let west = |number: u64| side(&format!("gv_ZW:{number}"), "gv_ZW:0", "east-1", "outgoing");
    let east = |number: u64| side(&format!("east:{number}"), "east:0", "west-1", "incoming");
    let mut fixture = fixture(&[router("gv_ZW:0", "0/west-1"), router("east:0", "0/east-1"), west(1)]);
    let ids = |fixture: &Fixture, path: &str| -> Vec<String> {
        ends_of_links(fixture, path).into_iter().map(|[id, ..]| id).collect()
    };
    assert_eq!(ids(&fixture, "topology"), ["gv_ZW:1.far"]);
    fixture.report(&[east(1)]);
    assert_eq!(ids(&fixture, "topology"), ["east:1"]);
    assert_eq!(ids(&fixture, "links"), ["gv_ZW:1", "east:1"]);
    // Of two links between the same routers, one is reported from one side only.
    fixture.report(&[west(2)]);
    assert_eq!(ids(&fixture, "topology"), ["east:1", "gv_ZW:2.far"]);
    fixture.report(&[east(2)]);
    assert_eq!(ids(&fixture, "topology"), ["east:1", "east:2"]);
    fixture.report(&[UpdateBuf::new(RecordKind::Link, "east:1").with(Attribute::EndTime, EPOCH + 9)]);
    assert_eq!(ids(&fixture, "topology").len(), 2, "one side has ended, and the other lives");
}

#[test]
fn a_link_of_todays_routers_to_one_up_to_2_x_is_there_once() {
    // faults 32: it is not reported where it arrived, and the router there reports that something did.
    let mut fixture = fixture(&[router("gv_ZW:0", "0/new-1"), router("old:0", "0/old-1"), link()]);
    fixture.report(&[side("old:1", "old:0", "new-1", "incoming")]);
    assert_eq!(ends_of_links(&fixture, "topology"), [["old:1", "incoming", "old:0", "0/new-1"]]);
    let links = ends_of_links(&fixture, "links");
    let links: Vec<_> = links.iter().map(|[id, direction, ..]| (&**id, &**direction)).collect();
    assert_eq!(links, [("gv_ZW:1", "outgoing"), ("old:1", "incoming")]);
}

#[test]
fn a_connection_is_a_flow_for_each_direction() {
    let fixture = fixture(&service("echo:7", 1, 1));
    let flows = list(&fixture, "flows?vanaddr=echo:7");
    assert_eq!(
        flows[2..],
        [
            json!({
                "rtype": "FLOW", "id": "gv_ZW:3", "parent": "gv_ZW:1", "startTime": EPOCH + 3, "duration": 0,
                "sourceHost": "10.0.0.9", "sourcePort": "30003", "octets": 3, "latency": 1000,
                "trace": "0/west-1|0/east-1", "connector": "gv_ZW:2", "counterflow": "gv_ZW:3.far",
            }),
            json!({
                "rtype": "FLOW", "id": "gv_ZW:3.far", "parent": "gv_ZW:2", "startTime": EPOCH + 3, "duration": 0,
                "sourceHost": "10.0.0.2", "sourcePort": "20003", "octets": 6, "latency": 500,
                "trace": "0/west-1|0/east-1", "counterflow": "gv_ZW:3",
            }),
            json!({
                "rtype": "FLOW", "id": "gv_ZW:4", "parent": "gv_ZW:3", "startTime": EPOCH + 4, "duration": 0,
                "method": "GET", "counterflow": "gv_ZW:4.far",
            }),
            json!({
                "rtype": "FLOW", "id": "gv_ZW:4.far", "parent": "gv_ZW:3.far", "startTime": EPOCH + 4,
                "duration": 0, "octets": 10, "counterflow": "gv_ZW:4",
            }),
        ]
    );
}

#[test]
fn a_connector_that_nobody_named_is_inferred_where_there_is_one_and_said_to_be() {
    // faults 11
    let mut fixture = fixture(&service("echo:7", 0, 0));
    fixture.report(&[UpdateBuf::new(RecordKind::BiflowTport, "gv_ZW:9")
        .with(Attribute::StartTime, EPOCH + 5)
        .with(Attribute::Parent, "gv_ZW:1")
        .with(Attribute::Octets, 1)
        .with(Attribute::OctetsReverse, 2)]);
    let flows = list(&fixture, "flows?vanaddr=echo:7");
    let ids = |flows: &[Value]| -> Vec<String> {
        flows.iter().map(|flow| flow["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&flows[2..]), ["gv_ZW:9", "gv_ZW:9.far"]);
    for flow in &flows[2..] {
        assert_eq!(flow["connectorInferred"], true);
    }
    assert_eq!((&flows[2]["connector"], &flows[3]["parent"]), (&json!("gv_ZW:2"), &json!("gv_ZW:2")));

    let mut other = UpdateBuf::new(RecordKind::Connector, "gv_ZW:10")
        .with(Attribute::StartTime, EPOCH + 6)
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::VanAddress, "echo:7");
    fixture.report(std::slice::from_ref(&other));
    let flows = list(&fixture, "flows?vanaddr=echo:7");
    assert_eq!(
        ids(&flows[3..]),
        ["gv_ZW:9", "gv_ZW:9.far"],
        "it was not there yet when the connection began"
    );

    other.set(Attribute::StartTime, EPOCH + 4);
    fixture.report(&[other]);
    let flows = list(&fixture, "flows?vanaddr=echo:7");
    let flow = flows.last().expect("the connection");
    assert_eq!(flow["id"], "gv_ZW:9", "it could be either: there is no far side to show");
    assert_eq!((flow.get("counterflow"), flow.get("connectorInferred")), (None, None));
    assert_eq!(flow["octetsReverse"], 2, "nothing is lost for that");
}

#[test]
fn flows_whose_connector_nobody_reported_are_with_those_that_they_belong_to() {
    let mut fixture = fixture(&service("echo:7", 0, 0));
    fixture.report(&[
        new(RecordKind::Flow, "gv_ZW:20").with(Attribute::Parent, "gv_ZW:1"),
        new(RecordKind::Flow, "east:7")
            .with(Attribute::Parent, "east:1")
            .with(Attribute::Counterflow, "gv_ZW:20"),
    ]);
    for query in ["flows?vanaddr=echo:7", "flows?vanaddr=echo:7&includeDeleted=1"] {
        let flows = list(&fixture, query);
        assert_eq!(
            (flows.len(), &flows[2]["id"], &flows[3]["id"]),
            (4, &json!("gv_ZW:20"), &json!("east:7"))
        );
        assert_eq!(flows[2]["counterflow"], "east:7", "each is the other's");
        assert_eq!(flows[3]["counterflow"], "gv_ZW:20");
    }
}

#[test]
fn processes_are_named_where_they_are_known() {
    let mut updates = service("echo:7", 1, 1);
    updates[0].set(Attribute::Parent, "site-1");
    updates.push(new(RecordKind::Site, "site-1"));
    for (id, host, name) in [("p-1", "10.0.0.9", "client"), ("p-2", "10.0.0.1", "server")] {
        updates.push(
            new(RecordKind::Process, id)
                .with(Attribute::Parent, "site-1")
                .with(Attribute::SourceHost, host)
                .with(Attribute::Name, name),
        );
    }
    let fixture = fixture(&updates);
    let names: Vec<_> = list(&fixture, "flows?vanaddr=echo:7")
        .iter()
        .map(|record| (record["id"].clone(), record.get("processName").cloned().unwrap_or_default()))
        .collect();
    let expected = [
        ("gv_ZW:1", Value::Null),
        ("gv_ZW:2", json!("server")),
        ("gv_ZW:3", json!("client")),
        ("gv_ZW:3.far", json!("server")),
        ("gv_ZW:4", json!("client")),
        ("gv_ZW:4.far", json!("server")),
    ];
    assert_eq!(names, expected.map(|(id, name)| (json!(id), name)));
}

#[test]
fn an_address_is_one_whatever_is_spoken_there() {
    let mut fixture = fixture(&service("web", 2, 5));
    fixture.report(&[new(RecordKind::Listener, "gv_ZW:90")
        .with(Attribute::Parent, "gv_ZW:0")
        .with(Attribute::Protocol, "http1")
        .with(Attribute::VanAddress, "web")]);
    assert_eq!(list(&fixture, "vanaddrs"), [json!("web")]);
    let addresses = list(&fixture, "addresses");
    assert_eq!(
        addresses,
        [json!({
            "rtype": "VAN_ADDRESS", "id": "vanaddr:web", "startTime": EPOCH, "name": "web",
            "protocols": ["http1", "tcp"], "listenerCount": 2, "connectorCount": 1, "totalFlows": 2, "currentFlows": 2,
        })]
    );
    assert_eq!(list(&fixture, "record?id=vanaddr:web"), addresses);
    assert_eq!(list(&fixture, "record?id=vanaddr:nowhere"), [] as [Value; 0]);

    let end = |kind, id: &str| UpdateBuf::new(kind, id).with(Attribute::EndTime, EPOCH + 1_000);
    fixture.report(&[
        end(RecordKind::Listener, "gv_ZW:90"),
        end(RecordKind::Listener, "gv_ZW:1"),
        end(RecordKind::Connector, "gv_ZW:2"),
    ]);
    assert!(list(&fixture, "vanaddrs").is_empty() && list(&fixture, "addresses").is_empty());
    assert_eq!(list(&fixture, "vanaddrs?includeDeleted=1"), [json!("web")]);
    assert!(list(&fixture, "addresses?includeDeleted=1")[0].get("endTime").is_some());
}

#[test]
fn an_address_counts_connections_of_clients_alone() {
    // faults 32: connectors of 2.x routers report tries of servers that are not there yet as FLOWs of their own.
    let fixture = Fixture::replayed("router-2.7");
    for address in list(&fixture, "addresses?includeDeleted=1") {
        let name = address["name"].as_str().unwrap();
        let flows = list(&fixture, &format!("flows?vanaddr={name}&includeDeleted=1"));
        let of = |kind: &str| -> Vec<&Value> {
            let records = flows.iter().filter(|record| record["rtype"] == kind);
            records.map(|record| &record["id"]).collect()
        };
        let (listeners, all) = (of("LISTENER"), flows.iter().filter(|record| record["rtype"] == "FLOW"));
        let clients = all.filter(|flow| listeners.contains(&&flow["parent"])).count();
        assert_eq!(address["totalFlows"], clients, "{name}");
    }
}

#[test]
fn what_is_strange_is_shown_as_it_is_reported_and_kept_out_of_what_has_a_schema() {
    // faults 17
    let mut strange = new(RecordKind::Site, "site-1").with(Attribute::Name, "a \"name\"\n");
    strange.attributes.push((Attribute::Location.code(), ValueBuf::Bytes([0, 0xfe].into())));
    strange.attributes.push((Attribute::Provider.code(), ValueBuf::Uint(7)));
    strange.attributes.push((4711, ValueBuf::Text("new".into())));
    strange.attributes.push((4712, ValueBuf::Bool(true)));
    let mut unknown = new(RecordKind::Site, "x:1");
    unknown.type_code = Some(99);
    let fixture = fixture(&[strange, unknown]);

    let site = json!({
        "rtype": "SITE", "id": "site-1", "startTime": EPOCH, "name": "a \"name\"\n", "attr4711": "new",
        "attr4712": true, "duration": 0,
    });
    assert_eq!(list(&fixture, "sites"), [site]);
    let reported = json!({
        "rtype": "SITE", "id": "site-1", "startTime": EPOCH, "name": "a \"name\"\n", "location": "00fe",
        "provider": 7, "attr4711": "new", "attr4712": true,
    });
    assert_eq!(list(&fixture, "records?rtype=SITE")[..], *std::slice::from_ref(&reported));
    assert_eq!(list(&fixture, "records?rtype=site"), [reported]);
    let unknown = json!({ "rtype": 99, "id": "x:1", "startTime": EPOCH });
    assert_eq!(list(&fixture, "records?rtype=99"), [unknown]);
    assert_eq!(list(&fixture, "record?id=x:1"), [] as [Value; 0], "there are no old terms for it");
    assert_eq!(list(&fixture, "records").len(), 2);
}

#[test]
fn what_has_ended_is_shown_to_those_who_ask_for_it() {
    let end = |kind, id: &str| UpdateBuf::new(kind, id).with(Attribute::EndTime, EPOCH + 1_000);
    let mut fixture = fixture(&service("echo:7", 2, 0));
    fixture.report(&[end(RecordKind::BiflowTport, "gv_ZW:3")]);
    let ids = |query: &str| -> Vec<String> {
        list(&fixture, query).iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("flows?vanaddr=echo:7"), ["gv_ZW:1", "gv_ZW:2", "gv_ZW:4", "gv_ZW:4.far"]);
    assert_eq!(
        ids("flows?vanaddr=echo:7&includeDeleted=1"),
        ["gv_ZW:1", "gv_ZW:2", "gv_ZW:4", "gv_ZW:4.far", "gv_ZW:3", "gv_ZW:3.far"]
    );
    assert!(ids("record?id=gv_ZW:3").is_empty());
    let flow = &list(&fixture, "record?id=gv_ZW:3.far&includeDeleted=1")[0];
    assert_eq!((&flow["endTime"], &flow["duration"]), (&json!(EPOCH + 1_000), &json!(997)));
    assert_eq!(ids("records?rtype=BIFLOW_TPORT"), ["gv_ZW:4"]);
    assert_eq!(ids("records?rtype=BIFLOW_TPORT&includeDeleted=1"), ["gv_ZW:3", "gv_ZW:4"]);
}

#[test]
fn a_router_that_has_not_reported_all_is_incomplete_and_no_hole() {
    // faults 1
    let mut fixture = fixture(&[]);
    assert_eq!(
        list(&fixture, "routers"),
        [json!({ "rtype": "ROUTER", "id": "gv_ZW:0", "incomplete": true })]
    );
    fixture.report(&[UpdateBuf::new(RecordKind::Listener, "gv_ZW:1").with(Attribute::FlowCountL4, 7)]);
    assert_eq!(
        list(&fixture, "listeners"),
        [
            json!({ "rtype": "LISTENER", "id": "gv_ZW:1", "flowCountL4": 7, "connectionsNeverReported": 0, "incomplete": true })
        ]
    );
    fixture.report(&service("echo:7", 0, 0));
    assert_eq!(list(&fixture, "routers")[0].get("incomplete"), None);
    assert_eq!(list(&fixture, "listeners")[0].get("incomplete"), None);
}
