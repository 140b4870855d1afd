//! What the console relies on, whatever it is asked about: over every capture, in the midst of it and at its end.

use serde_json::Value;

use super::{COLLECTIONS, ask, results};
use crate::support::{CAPTURES, Fixture, replay};

const MOMENTS: [u64; 2] = [20_000_000, u64::MAX];

/// Each list of each capture at each moment, as the console asks for it and with all that has gone.
fn each_list(check: impl Fn(&Fixture, &str, &[Value])) {
    for capture in CAPTURES {
        for until in MOMENTS {
            let fixture = Fixture::new(replay(capture, until));
            for collection in COLLECTIONS {
                for parameters in ["", "?state=all&timeRangeStart=0"] {
                    let path = format!("{collection}{parameters}");
                    check(&fixture, &path, &results(&fixture, &path));
                }
            }
        }
    }
}

fn texts<'v>(items: &'v [Value], name: &str) -> Vec<&'v str> {
    items.iter().map(|item| item[name].as_str().unwrap_or_else(|| panic!("{name} of {item}"))).collect()
}

#[test]
fn lists_are_arrays_in_order_of_identities_that_are_counted_alike() {
    each_list(|fixture, path, items| {
        let ids = texts(items, "identity");
        assert!(ids.is_sorted(), "{path}");
        let separator = if path.contains('?') { '&' } else { '?' };
        let counted = ask(fixture, &format!("{path}{separator}limit=0"));
        assert_eq!(counted["results"], Value::Array(Vec::new()), "{path}");
        assert_eq!(
            (&counted["count"], &counted["timeRangeCount"]),
            (&0.into(), &items.len().into()),
            "{path}"
        );
    });
}

#[test]
fn identities_can_stand_in_addresses_and_groups() {
    each_list(|_, path, items| {
        for id in texts(items, "identity") {
            assert!(!id.is_empty() && !id.contains(['@', '~', ',', '/']), "{path}: {id}");
            assert_eq!(id.starts_with("processpair-"), path.starts_with("processpairs"), "{path}: {id}");
        }
    });
}

#[test]
fn no_identity_of_what_a_topology_shows_is_part_of_another() {
    each_list(|_, path, items| {
        if !["sites", "components", "processes"].iter().any(|shown| path.split('?').next() == Some(shown)) {
            return;
        }
        let ids = texts(items, "identity");
        for id in &ids {
            assert_eq!(ids.iter().filter(|other| other.contains(id)).count(), 1, "{path}: {id}");
        }
        for name in texts(items, "name") {
            assert!(!name.contains(['@', '/']), "{path}: {name}");
        }
    });
}

#[test]
fn what_the_console_takes_apart_is_there_to_be_taken_apart() {
    const FLOWS: [&str; 4] = ["tcp", "http1", "http2", "unknown"];
    each_list(|_, path, items| {
        let is_of = |collection: &str| path.split('?').next() == Some(collection);
        for item in items {
            let is_one_of = |name: &str, known: &[&str]| {
                let text = item[name].as_str();
                assert!(text.is_some_and(|text| known.contains(&text)), "{path}: {name} of {item}");
            };
            for time in ["startTime", "endTime"] {
                assert!(item[time].is_u64(), "{path}: {item}");
            }
            if path.contains("pairs") {
                is_one_of("protocol", &FLOWS);
                assert!(item["recordCount"].as_u64() > Some(0), "{path}: {item}");
            } else if is_of("services") {
                assert!(item["observedApplicationProtocols"].is_array(), "{item}");
            } else if is_of("connections") || is_of("applicationflows") {
                assert!(item["traceSites"].is_array() && item["traceRouters"].is_array(), "{item}");
                is_one_of("protocol", &FLOWS);
            } else if is_of("components") {
                assert!(item["processCount"].as_u64() > Some(0), "{item}");
                is_one_of("role", &["internal", "external", "remote"]);
            } else if is_of("processes") {
                is_one_of("role", &["internal", "external", "remote"]);
                is_one_of("binding", &["bound", "unbound"]);
                for service in item["services"].as_array().into_iter().flatten() {
                    assert_eq!(service.as_str().unwrap().split('@').count(), 3, "{item}");
                }
            } else if is_of("connectors") {
                assert!(item["name"].is_string() && item["processId"].is_string(), "{item}");
            } else if is_of("routerlinks") {
                is_one_of("status", &["up", "down"]);
                is_one_of("role", &["inter-router", "edge", "unknown"]);
            }
        }
    });
}

#[test]
fn the_ends_of_pairs_and_links_are_there_themselves() {
    each_list(|fixture, path, items| {
        let shown = match path {
            "sitepairs" => "sites",
            "componentpairs" => "components",
            "processpairs" => "processes",
            "routerlinks" => return each_end_of_a_link_is_a_site(fixture, items),
            _ => return,
        };
        let shown = results(fixture, shown);
        let shown = texts(&shown, "identity");
        for end in ["sourceId", "destinationId"] {
            for id in texts(items, end) {
                assert!(shown.contains(&id), "{path}: {end} {id}");
            }
        }
    });
}

fn each_end_of_a_link_is_a_site(fixture: &Fixture, links: &[Value]) {
    let sites = results(fixture, "sites");
    let sites = texts(&sites, "identity");
    for link in links.iter().filter(|link| !link["destinationSiteId"].is_null()) {
        for end in ["sourceSiteId", "destinationSiteId"] {
            assert!(link[end].as_str().is_some_and(|id| sites.contains(&id)), "{end} of {link}");
        }
    }
}
