//! What follows from records: it appears, changes and ends with them.

use serde_json::{Value, json};
use vanflow_proto::{Attribute, RecordKind, UpdateBuf};

use super::{connection, connector, identities, network, new, process, results, single};
use crate::support::EPOCH;

fn only(mut items: Vec<Value>) -> Value {
    assert_eq!(items.len(), 1, "{items:#?}");
    items.remove(0)
}

#[test]
fn a_connection_is_shown_from_its_first_record_on_and_mended_when_more_comes() {
    let mut fixture = network();
    fixture.report(&[UpdateBuf::new(RecordKind::BiflowTport, "rx:9").with(Attribute::Octets, 7)]);
    let half = single(&fixture, "connections/rx:9");
    assert_eq!(half["octetCount"], 7);
    for name in
        ["listenerId", "connectorId", "sourceProcessId", "destProcessName", "destSiteId", "routingKey"]
    {
        assert_eq!(half[name], "unknown", "{name}");
    }
    assert_eq!((&half["processPairId"], &half["startTime"]), (&Value::Null, &json!(0)));
    fixture.report(&[connection("rx:9", "10.0.0.9")]);
    let whole = single(&fixture, "connections/rx:9");
    assert_eq!(whole["connectorId"], "rb:1", "the service has no other");
    assert_eq!(whole["sourceProcessName"], "site-client-10.0.0.9-aaaa1111");
    assert_eq!(whole["destProcessName"], "site-server-10.0.0.1-bbbb2222");
    assert_eq!((&whole["sourceSiteName"], &whole["destSiteName"]), (&json!("west"), &json!("east")));
    assert_eq!(whole["traceRouters"], json!(["0/router-a", "0/router-b"]));
    fixture.report(&[process("client", "aaaa1111-site-a", "10.0.0.9")]);
    assert_eq!(single(&fixture, "connections/rx:9")["sourceProcessId"], "client");
}

#[test]
fn a_connection_that_failed_has_its_error_and_no_server() {
    let mut fixture = network();
    fixture.report(&[
        connector("rb:2", "10.0.0.2"),
        connection("ra:9", "10.0.0.9")
            .with(Attribute::EndTime, EPOCH + 9)
            .with(Attribute::ErrorListenerSide, "no route"),
    ]);
    let failed = single(&fixture, "connections/ra:9");
    assert_eq!(failed["listenerError"], "no route");
    assert_eq!((&failed["connectorId"], &failed["destProcessId"]), (&json!("unknown"), &json!("unknown")));
    assert_eq!((&failed["routingKey"], &failed["protocol"]), (&json!("backend"), &json!("tcp")));
    assert_eq!(failed["duration"], 9);
    assert_eq!(results(&fixture, "processpairs?state=all"), Vec::<Value>::new(), "nobody knows with whom");
}

#[test]
fn a_server_that_nobody_reports_is_there_while_a_connector_says_so() {
    let mut fixture = network();
    let server = only(results(&fixture, "processes"));
    let id = server["identity"].as_str().unwrap().to_owned();
    assert_eq!(id, vanflow_store::derived::site_process_id("10.0.0.1", "bbbb2222-site-b"));
    assert_eq!(server["name"], "site-server-10.0.0.1-bbbb2222");
    assert_eq!((&server["role"], &server["binding"]), (&json!("remote"), &json!("bound")));
    assert_eq!(server["services"], json!(["backend@adr-f2ce465a1ba7c84d@tcp"]));
    let connector = single(&fixture, "connectors/rb:1");
    assert_eq!((&connector["processId"], &connector["target"]), (&server["identity"], &server["name"]));
    // The connector goes.
    fixture.report(&[UpdateBuf::new(RecordKind::Connector, "rb:1").with(Attribute::EndTime, EPOCH + 5)]);
    assert_eq!(identities(&fixture, "processes"), [""; 0]);
    assert_eq!(single(&fixture, &format!("processes/{id}"))["endTime"], EPOCH + 5);
    assert_eq!(identities(&fixture, "components"), [""; 0]);
    assert_eq!(only(results(&fixture, "components?state=terminated"))["endTime"], EPOCH + 5);
}

#[test]
fn a_connector_whose_process_is_known_makes_no_phantom() {
    let mut fixture = network();
    fixture.report(&[
        process("server", "bbbb2222-site-b", "10.9.9.9"),
        UpdateBuf::new(RecordKind::Connector, "rb:1").with(Attribute::Process, "server"),
    ]);
    assert_eq!(identities(&fixture, "processes"), ["server"]);
    assert_eq!(single(&fixture, "processes/server")["binding"], "bound");
    fixture.report(&[UpdateBuf::new(RecordKind::Listener, "ra:1").with(Attribute::EndTime, EPOCH + 5)]);
    assert_eq!(single(&fixture, "processes/server")["binding"], "unbound");
}

#[test]
fn a_component_has_the_processes_of_a_group_and_goes_with_the_last() {
    let mut fixture = network();
    let member = |id: &str, mode: &str, start: u64| {
        process(id, "aaaa1111-site-a", id)
            .with(Attribute::Group, "client")
            .with(Attribute::Mode, mode)
            .with(Attribute::StartTime, EPOCH + start)
    };
    fixture.report(&[
        member("p1", "internal", 20),
        member("p2", "EXTERNAL", 10),
        process("alone", "aaaa1111-site-a", "10.0.0.7"),
    ]);
    let component = "components/pg-065db63da765a6ff";
    let found = single(&fixture, component);
    assert_eq!((&found["processCount"], &found["role"]), (&json!(2), &json!("external")));
    assert_eq!(found["startTime"], EPOCH + 10);
    assert_eq!(single(&fixture, "processes/alone")["componentName"], "alone", "one without a group");
    let end =
        |id: &str, end: u64| UpdateBuf::new(RecordKind::Process, id).with(Attribute::EndTime, EPOCH + end);
    fixture.report(&[end("p2", 30)]);
    let found = single(&fixture, component);
    assert_eq!((&found["processCount"], &found["role"]), (&json!(1), &json!("internal")));
    fixture.report(&[end("p1", 40)]);
    let found = single(&fixture, component);
    assert_eq!((&found["processCount"], &found["endTime"]), (&json!(2), &json!(EPOCH + 40)));
    assert!(!identities(&fixture, "components").contains(&"pg-065db63da765a6ff".to_owned()));
}

#[test]
fn pairs_count_what_goes_between_and_go_with_either_side() {
    let mut fixture = network();
    let request = |id: &str| {
        new(RecordKind::BiflowApp, id).with(Attribute::Parent, "ra:9").with(Attribute::Protocol, "HTTP/1.1")
    };
    fixture.report(&[
        process("proc-client", "aaaa1111-site-a", "10.0.0.9").with(Attribute::Group, "client"),
        process("proc-server", "bbbb2222-site-b", "10.0.0.1"),
        connection("ra:9", "10.0.0.9"),
        connection("ra:10", "10.0.0.9").with(Attribute::EndTime, EPOCH + 3),
        request("ra:11"),
    ]);
    let tcp = "processpair-3a5bc71f219442f9";
    assert_eq!(identities(&fixture, "processpairs"), [tcp, "processpair-9c30e2c7bc5c4c85"]);
    let pair = single(&fixture, &format!("processpairs/{tcp}"));
    assert_eq!((&pair["recordCount"], &pair["endTime"]), (&json!(2), &json!(0)));
    assert_eq!(single(&fixture, "connections/ra:9")["processPairId"], tcp);
    let sites = single(&fixture, "sitepairs/sitepair-c9b6896bbb4c6690");
    assert_eq!((&sites["sourceName"], &sites["destinationName"]), (&json!("west"), &json!("east")));
    fixture.report(&[UpdateBuf::new(RecordKind::BiflowTport, "ra:9").with(Attribute::EndTime, EPOCH + 8)]);
    assert_eq!(single(&fixture, &format!("processpairs/{tcp}"))["endTime"], EPOCH + 8);
    assert_eq!(identities(&fixture, "processpairs").len(), 2, "it is looked back at");
    fixture.report(&[UpdateBuf::new(RecordKind::Process, "proc-client").with(Attribute::EndTime, EPOCH + 9)]);
    for list in ["processpairs", "componentpairs", "sitepairs"] {
        assert_eq!(identities(&fixture, list), [""; 0], "{list}: no edge without its nodes");
        assert_eq!(identities(&fixture, &format!("{list}?state=all")).len(), 2, "{list}");
        // Who asks about a time asks who talked then, whatever has been replaced since.
        let of_time = |from: u64| identities(&fixture, &format!("{list}?timeRangeStart={from}")).len();
        assert_eq!((of_time(EPOCH), of_time(EPOCH + 9)), (2, 1), "{list}: the request is open");
        assert_eq!(identities(&fixture, &format!("{list}?timeRangeStart={EPOCH}&state=active")).len(), 1);
    }
    let services = identities(&fixture, "services");
    let of_service =
        |query: &str| identities(&fixture, &format!("services/{}/processpairs{query}", services[0])).len();
    assert_eq!((of_service(""), of_service("?timeRangeStart=0")), (0, 2));
    for list in ["processes", "sites"] {
        assert_eq!(
            identities(&fixture, &format!("{list}?timeRangeStart=0")),
            identities(&fixture, list),
            "what is there is no matter of traffic"
        );
    }
}

#[test]
fn a_burst_of_thousands_is_all_there_at_once() {
    let mut fixture = network();
    let updates: Vec<_> = (0..3000)
        .flat_map(|number| {
            let name = format!("p{number}");
            let listener = new(RecordKind::Listener, &format!("ra:{}", 100 + number))
                .with(Attribute::Parent, "ra:0")
                .with(Attribute::Protocol, "tcp")
                .with(Attribute::VanAddress, name.as_str());
            let host = format!("10.1.{}.{}", number / 250, number % 250);
            [listener, process(&name, "aaaa1111-site-a", &host).with(Attribute::Group, name.as_str())]
        })
        .collect();
    fixture.report(&updates);
    for (list, count) in [("services", 3001), ("components", 3001), ("processes", 3001), ("listeners", 3001)]
    {
        assert_eq!(super::ask(&fixture, &format!("{list}?limit=0"))["timeRangeCount"], count, "{list}");
    }
}
