//! Every list over the captures, in virtual time.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use crate::support::{CAPTURES, Fixture, replay, request_with};

const LISTS: [&str; 17] = [
    "topology",
    "links",
    "routers",
    "sites",
    "processes",
    "images",
    "listeners",
    "connectors",
    "vanaddrs",
    "addresses",
    "logs",
    "hosts",
    "processgroups",
    "controllers",
    "routeraccess",
    "records?rtype=LINK",
    "records?rtype=ROUTER&includeDeleted=1",
];

fn bodies(fixture: &Fixture, lists: &[&str]) -> String {
    let mut text = String::new();
    for list in lists {
        let answer = fixture.get(&format!("/api/v1alpha1/{list}"));
        write!(text, "{} {list}\n{}\n", answer.status.as_u16(), answer.text()).unwrap();
    }
    text
}

#[test]
fn every_list_at_the_end_of_every_capture() {
    for capture in CAPTURES {
        let fixture = Fixture::replayed(capture);
        let text = bodies(&fixture, &LISTS);
        insta::assert_snapshot!(format!("lists-{capture}"), text);
    }
}

#[test]
fn records_that_have_ended_come_along_when_asked_for() {
    for capture in CAPTURES {
        let fixture = Fixture::replayed(capture);
        let lists =
            ["topology", "links", "connectors", "addresses"].map(|list| format!("{list}?includeDeleted=1"));
        let lists: Vec<_> = lists.iter().map(String::as_str).collect();
        let text = bodies(&fixture, &lists);
        insta::assert_snapshot!(format!("ended-{capture}"), text);
    }
}

#[test]
fn the_flows_of_every_service() {
    for capture in CAPTURES {
        // In the midst of the traffic, and when it is over.
        let fixture = Fixture::new(replay(capture, 20_000_000));
        let mut text = bodies(&fixture, &["flows?vanaddr=echo:7", "flows?vanaddr=web&limit=7"]);
        let fixture = Fixture::replayed(capture);
        text += &bodies(&fixture, &["flows?vanaddr=web", "flows?vanaddr=nowhere"]);
        for address in ["echo:7", "web", "shop", "dead"] {
            let flows = format!("flows?vanaddr={address}&includeDeleted=1");
            text += &bodies(&fixture, &[&format!("{flows}&limit=9")]);
            writeln!(
                text,
                "all of {address}: {}\n",
                digest(&fixture.list(&format!("/api/v1alpha1/{flows}")))
            )
            .unwrap();
        }
        insta::assert_snapshot!(format!("flows-{capture}"), text);
    }
}

/// How many of what there are, and what they come to.
fn digest(records: &[Value]) -> String {
    let mut counts = BTreeMap::<_, (u64, u64)>::new();
    for record in records {
        let id = record["id"].as_str().unwrap();
        let parts = [
            record["rtype"].as_str().unwrap(),
            if id.ends_with(".far") { "far" } else { "" },
            if record.get("counterflow").is_some() { "with counterflow" } else { "" },
            if record.get("method").is_some() { "with method" } else { "" },
            if record.get("process").is_some() { "with process" } else { "" },
            if record.get("connectorInferred").is_some() { "inferred" } else { "" },
        ];
        let key = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let (count, octets) = counts.entry(key).or_default();
        *count += 1;
        *octets += record.get("octets").and_then(Value::as_u64).unwrap_or(0);
    }
    let mut text = String::new();
    for (key, (count, octets)) in counts {
        write!(text, "\n  {count} {key}, {octets} octets").unwrap();
    }
    text
}

#[test]
fn records_by_their_ids() {
    let fixture = Fixture::replayed("router-3.5");
    let text = bodies(
        &fixture,
        &[
            "record?id=+8aqA:0&id=nobody:1",
            "record?id=%2B8aqA:0&id=11111111-aaaa-4000-8000-000000000001",
            "record?id=o%2BbK6:1",
            "record?id=o+bK6:1.far",
            "record?id=o+bK6:1.far&id=o+bK6:1&id=o+bK6:1",
            "record?id=vanaddr:echo:7",
            "record?id=image-0fa41294ca0933cb",
            "record?id=+8aqA:100",
            "record?id=+8aqA:100&includeDeleted=1",
            "record?id=+8aqA:100.far&includeDeleted=1",
            "record?id=+8aqA:1007&id=+8aqA:1007.far&includeDeleted=1",
            "record?id=+8aqA:10&id=+8aqA:10.far&includeDeleted=1",
        ],
    );
    insta::assert_snapshot!("records-by-id", text);
}

/// What replaying a capture comes to, through `records`.
#[test]
fn records_come_to_what_qpid_proton_makes_of_the_same_bytes() {
    use vanflow_proto::{Attribute, RecordKind};

    for capture in CAPTURES {
        let expected =
            std::fs::read_to_string(crate::support::capture_path(&format!("{capture}.merged.json")));
        let expected: BTreeMap<String, BTreeMap<String, Value>> =
            serde_json::from_str(&expected.expect("the file is there")).expect("it is JSON");
        // Without the sources that are lost in the course, whose records end for that.
        let fixture = Fixture::new(crate::support::replay_lossless(capture));
        let records = fixture.list("/api/v1alpha1/records?includeDeleted=1");
        assert_eq!(records.len(), expected.len(), "{capture}");
        for record in records {
            let record = record.as_object().unwrap();
            let coded = record.iter().map(|(name, value)| {
                let attribute = Attribute::from_name(name).expect("a name of the table");
                let value = match attribute {
                    Attribute::RecordType => {
                        RecordKind::from_name(value.as_str().unwrap()).unwrap().code().into()
                    }
                    _ => value.clone(),
                };
                (attribute.code().to_string(), value)
            });
            let coded: BTreeMap<_, _> = coded.collect();
            assert_eq!(Some(&coded), expected.get(record["id"].as_str().unwrap()), "{capture}");
        }
    }
}

#[test]
fn filters_over_a_capture() {
    let fixture = Fixture::replayed("router-3.5");
    let text = bodies(
        &fixture,
        &[
            "sites?name=west&fields=id,name,platform",
            "sites?name=we&fields=id",
            "sites?name=we*&fields=id,name",
            "sites?name!=west&fields=name",
            "topology?rtype=LINK&fields=id,name,direction",
            "links?direction=incoming&operStatus!=down&fields=id,linkName,octets",
            "links?octets=*&linkName!=*&fields=id",
            "processes?startTime=2026-11-22T11:44:40Z&fields=name",
            "connectors?processName=*&fields=name,processName,vanAddress",
            "flows?vanaddr=web&rtype!=FLOW&fields=rtype,id,destPort",
            "flows?vanaddr=web&includeDeleted=1&method=GET&result!=200&limit=2&fields=id,method,result",
            "flows?vanaddr=dead&includeDeleted=1&errorListenerSide=*&limit=2&fields=id,errorListenerSide",
            "record?id=+8aqA:0&id=o+bK6:1&rtype=ROUTER&fields=id,name",
            "records?rtype=BIFLOW_TPORT&includeDeleted=1&connector=null&limit=2&fields=id,connector",
            "addresses?protocols=tcp&currentFlows=0&fields=name,totalFlows",
            "addresses?protocols=[%22tcp%22]&name!=web&fields=name",
            "vanaddrs?name!=web",
            "logs?logSeverity=3&fields=logText",
            "routers?incomplete!=true&fields=name",
        ],
    );
    insta::assert_snapshot!("filters", text);
}

#[test]
fn every_list_as_csv_and_as_lines() {
    let fixture = Fixture::replayed("router-3.5");
    let lists: Vec<_> =
        LISTS.iter().chain(&["flows?vanaddr=shop&includeDeleted=1", "record?id=+8aqA:0"]).collect();
    for (name, accept) in [("csv", "text/csv"), ("lines", "application/x-ndjson")] {
        let mut text = String::new();
        for list in &lists {
            let path = format!("/api/v1alpha1/{list}{}limit=2", if list.contains('?') { '&' } else { '?' });
            let answer = fixture.ask(request_with(&path, &[("accept", accept)]));
            let content_type = answer.header("content-type").unwrap();
            write!(text, "{} {path}: {content_type}\n{}\n", answer.status.as_u16(), answer.text()).unwrap();
        }
        insta::assert_snapshot!(format!("lists-{name}"), text);
    }
}
