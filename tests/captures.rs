//! Captures of real routers, replayed, come to what another decoder made of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Map, Value};
use vanflow_proto::{Attribute, RecordKind};

use crate::support::{Collector, capture};

const CAPTURES: [&str; 3] = ["router-3.5", "router-3.5-halves", "router-2.7"];

/// Records by id; attributes by name, those that a collector works out by itself left out.
type Records = BTreeMap<String, Map<String, Value>>;

async fn replayed(name: &str) -> Records {
    let file = capture(&format!("{name}.jsonl"));
    let file = file.to_str().expect("a path in UTF-8");
    let collector = Collector::start(["--replay", file, "--speed", "max"]).await;
    collector.ready().await;
    let answer = collector.get("/api/v1alpha1/records?includeDeleted=1").await;
    collector.leave().await;
    let Value::Array(records) = answer else { panic!("a list of records, not {answer}") };
    let records: Vec<_> = records
        .into_iter()
        .map(|record| {
            let Value::Object(record) = record else { panic!("a record, not {record}") };
            let id = record["id"].as_str().expect("an identity").to_owned();
            (id, record)
        })
        .collect();
    let count = records.len();
    let records: Records = records.into_iter().collect();
    assert_eq!(records.len(), count, "{name}: an id is answered twice");
    records
}

fn merged(name: &str) -> Records {
    let merged = fs::read_to_string(capture(&format!("{name}.merged.json"))).expect("the file is there");
    let merged: BTreeMap<String, BTreeMap<u32, Value>> = serde_json::from_str(&merged).expect("it is JSON");
    let named = |(code, value): (u32, Value)| {
        let attribute = Attribute::from_code(code).expect("it is known");
        let value = match attribute {
            Attribute::RecordType => {
                let code = value.as_u64().and_then(|code| u32::try_from(code).ok()).expect("a code");
                RecordKind::from_code(code).expect("it is known").name().into()
            }
            _ => value,
        };
        (attribute.name().to_owned(), value)
    };
    merged.into_iter().map(|(id, record)| (id, record.into_iter().map(named).collect())).collect()
}

/// How the ids of the router begin that was killed: of the two that bear its name, the one that started first.
fn killed(merged: &Records) -> String {
    let (id, _) = merged
        .iter()
        .filter(|(_, record)| record["rtype"] == "ROUTER" && record["name"] == "0/east-1")
        .min_by_key(|(_, record)| record["startTime"].as_u64())
        .expect("there are two");
    id.trim_end_matches('0').to_owned()
}

#[tokio::test]
async fn every_capture_replayed_comes_to_what_qpid_proton_makes_of_it() {
    for name in CAPTURES {
        let (mut replayed, merged) = (replayed(name).await, merged(name));
        assert_eq!(replayed.len(), merged.len(), "{name}");
        for (id, expected) in &merged {
            let mut expected = expected.clone();
            let record = replayed.get_mut(id).unwrap_or_else(|| panic!("{name}: no {id}"));
            record.sort_keys();
            expected.sort_keys();
            if record.get("endTime") != expected.get("endTime") {
                record.remove("endTime");
            }
            assert_eq!(record, &expected, "{name}: {id}");
        }
    }
}

#[tokio::test]
async fn the_records_of_a_router_that_was_killed_end_when_it_was_last_heard() {
    // faults 4
    let (replayed, merged) = (replayed("router-3.5").await, merged("router-3.5"));
    let killed = killed(&merged);
    let open =
        |(id, record): &(&String, &Map<_, _>)| id.starts_with(&killed) && !record.contains_key("endTime");
    let open: BTreeSet<_> = merged.iter().filter(open).map(|(id, _)| id).collect();
    assert!(open.len() > 3, "{open:?}");
    let ended = |id: &&String| replayed[*id].get("endTime") != merged[*id].get("endTime");
    let ended: BTreeSet<_> = merged.keys().filter(ended).collect();
    assert_eq!(ended, open, "nothing else has ended");
    let ends: BTreeSet<_> = ended.iter().map(|id| replayed[*id]["endTime"].as_u64()).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
}
