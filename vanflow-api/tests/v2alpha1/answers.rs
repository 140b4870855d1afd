//! What the network observer answered on a live network, and what we answer on the very messages that it got.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::support::{Fixture, capture_path, replay};

type Items = BTreeMap<String, Map<String, Value>>;

fn by_identity(items: &Value) -> Items {
    let mut found = Items::new();
    for item in items["results"].as_array().unwrap() {
        let item = item.as_object().unwrap().clone();
        let id = item["identity"].as_str().unwrap().to_owned();
        assert!(found.insert(id, item).is_none(), "an identity is there twice");
    }
    found
}

fn observed(collection: &str) -> Items {
    let path = capture_path(&format!("router-3.5-answers/{collection}.json"));
    by_identity(&serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

/// At the moment when the network observer was asked, 82 s into the capture.
fn fixture() -> Fixture {
    Fixture::new(replay("router-3.5", 82_000_000))
}

fn ours(fixture: &Fixture, collection: &str) -> Items {
    by_identity(&fixture.get(&format!("/api/v2alpha1/{collection}?timeRangeStart=0")).json())
}

/// Where an answer of ours differs from the network observer's: collection, property, and what ours must be like. Each
/// has its row in `docs/differences.md`.
type Difference = (&'static str, &'static str, fn(theirs: &Value, ours: &Value) -> bool);

const DIFFERENCES: &[Difference] = &[
    ("routers", "buildVersion", |theirs, ours| theirs == "" && ours == "3.5.1"),
    ("routerlinks", "octetCount", |theirs, ours| theirs == 0 && is_more(theirs, ours)),
    ("routerlinks", "octetReverseCount", |theirs, ours| theirs == 0 && is_more(theirs, ours)),
    // The requests to the edge, which are hidden there.
    ("services", "observedApplicationProtocols", |theirs, ours| {
        *theirs == json!([]) && *ours == json!(["http1"])
    }),
    ("components", "startTime", is_less),
    ("processes", "startTime", is_less),
    ("sitepairs", "startTime", is_less),
    ("sitepairs", "endTime", |theirs, ours| theirs == 0 && is_more(theirs, ours)),
    ("sitepairs", "recordCount", |theirs, ours| theirs == 0 && is_more(theirs, ours)),
    ("componentpairs", "startTime", is_less),
    ("componentpairs", "endTime", |theirs, ours| theirs == 0 && is_more(theirs, ours)),
    ("componentpairs", "recordCount", |theirs, ours| theirs == 0 && is_more(theirs, ours)),
    ("processpairs", "startTime", is_less),
    ("processpairs", "endTime", |theirs, ours| theirs == 0 && is_more(theirs, ours)),
    ("processpairs", "recordCount", |theirs, ours| theirs == 0 && is_more(theirs, ours)),
    ("connections", "processPairId", |theirs, ours| theirs.is_null() && starts(ours, "processpair-")),
    ("connections", "componentPairId", |theirs, ours| theirs.is_null() && starts(ours, "grouppair-")),
    ("connections", "sitePairId", |theirs, ours| theirs.is_null() && starts(ours, "sitepair-")),
];

/// What is there in our answers beside what is there in the network observer's. Each has its row in
/// `docs/differences.md`.
const ADDITIONS: &[&str] = &[
    "clientAddress",
    "connectionCount",
    "connectionsNeverReported",
    "connectionsReceived",
    "connectorInferred",
    "derived",
    "key",
    "latencyKnown",
    "latencyReverseKnown",
    "linkCountKnown",
    "octetCountKnown",
    "octetReverseCountKnown",
];

fn is_more(theirs: &Value, ours: &Value) -> bool {
    ours.as_u64() > theirs.as_u64()
}

fn is_less(theirs: &Value, ours: &Value) -> bool {
    is_more(ours, theirs)
}

fn starts(value: &Value, prefix: &str) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(prefix))
}

/// Whether the network observer hides it: everything that ended at the edge, whose connector nobody named.
fn is_hidden(collection: &str, item: &Map<String, Value>) -> bool {
    match collection {
        "connections" | "applicationflows" => item["destSiteName"] == "edge" && item["routingKey"] == "web",
        "sitepairs" => item["destinationName"] == "edge",
        "componentpairs" => item["destinationName"] == "web",
        "processpairs" => item["destinationName"] == "web-77aa",
        _ => false,
    }
}

/// How many there are of each, and how many of them the network observer showed.
const COUNTS: [(&str, usize, usize); 14] = [
    ("sites", 3, 3),
    ("routers", 3, 3),
    ("routerlinks", 2, 2),
    ("routeraccess", 2, 2),
    ("listeners", 4, 4),
    ("connectors", 4, 4),
    ("services", 4, 4),
    ("components", 7, 7),
    ("processes", 8, 8),
    ("sitepairs", 4, 2),
    ("componentpairs", 9, 5),
    ("processpairs", 9, 5),
    ("connections", 332, 232),
    ("applicationflows", 706, 373),
];

#[test]
fn everything_that_the_network_observer_shows_is_shown_alike_but_for_the_known_differences() {
    let fixture = fixture();
    let mut used = vec![0; DIFFERENCES.len()];
    let mut wrong = Vec::new();
    for (collection, count, shown) in COUNTS {
        let (theirs, ours) = (observed(collection), ours(&fixture, collection));
        assert_eq!((ours.len(), theirs.len()), (count, shown), "{collection}");
        for (id, item) in ours.iter().filter(|(id, _)| !theirs.contains_key(*id)) {
            if !is_hidden(collection, item) {
                wrong.push(format!("{collection} {id} is ours only: {item:?}"));
            }
        }
        for (id, theirs) in theirs {
            let Some(ours) = ours.get(&id) else {
                wrong.push(format!("{collection} {id} is missing"));
                continue;
            };
            let names: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
            for name in names {
                let [left, right] = [&theirs, ours].map(|item| item.get(name).unwrap_or(&Value::Null));
                if ADDITIONS.contains(&name.as_str()) {
                    assert!(!theirs.contains_key(name), "{collection} {name} is no addition");
                    continue;
                }
                if left == right && theirs.contains_key(name) == ours.contains_key(name) {
                    continue;
                }
                let known = DIFFERENCES.iter().position(|known| known.0 == collection && known.1 == name);
                match known.filter(|known| DIFFERENCES[*known].2(left, right)) {
                    Some(known) => used[known] += 1,
                    None => wrong.push(format!("{collection} {id} {name}: {left} is {right}")),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(60)]);
    assert!(used.iter().all(|count| *count > 0), "a known difference does not occur: {used:?}");
}

#[test]
fn what_processes_belong_to_is_what_their_list_says() {
    let fixture = fixture();
    let directory = fixture.api.directory();
    let processes = fixture.get("/api/v2alpha1/processes?timeRangeStart=0").json();
    let processes = processes["results"].as_array().expect("a list");
    assert_eq!(directory.processes.len(), processes.len());
    let mut served = 0;
    for listed in processes {
        let known = directory.process(listed["identity"].as_str().expect("a text")).expect("it is there");
        assert_eq!(
            (&listed["componentName"], &listed["componentId"]),
            (&known.component.as_str().into(), &known.component_id.as_str().into())
        );
        let services = listed["services"].as_array().cloned().unwrap_or_default();
        assert_eq!(serde_json::json!(known.services), serde_json::json!(services));
        served += services.len();
    }
    assert!(served > 0, "{processes:?}");
}
