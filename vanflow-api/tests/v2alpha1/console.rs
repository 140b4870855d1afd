//! What the console relies on in every list that it asks for.

use serde_json::Value;
use vanflow_store::{Store, StoreOptions};

use super::ask;
use crate::support::Fixture;

/// The lists that the tests of the console itself ask for, without parameters.
const COLLECTIONS: [&str; 12] = [
    "sites",
    "routerlinks",
    "components",
    "processes",
    "services",
    "listeners",
    "connectors",
    "connections",
    "applicationflows",
    "sitepairs",
    "componentpairs",
    "processpairs",
];

#[test]
fn the_lists_that_the_console_asks_for_have_items_and_both_counts() {
    let fixture = Fixture::replayed("router-3.5");
    for collection in COLLECTIONS {
        let answer = ask(&fixture, collection);
        let items = answer["results"].as_array().expect("a list").len();
        assert!(items > 0, "{collection} is empty");
        assert_eq!(answer["count"], items, "{collection}");
        assert_eq!(answer["timeRangeCount"], items, "{collection}");
        assert_eq!(answer.as_object().map(serde_json::Map::len), Some(3), "{collection}");
    }
}

#[test]
fn lists_of_a_network_that_nothing_is_known_of_are_empty_rather_than_null() {
    let fixture = Fixture::new(Store::new(StoreOptions::default()));
    for collection in COLLECTIONS {
        let answer = ask(&fixture, collection);
        assert_eq!(answer["results"], Value::Array(Vec::new()), "{collection}");
        assert_eq!((&answer["count"], &answer["timeRangeCount"]), (&0.into(), &0.into()), "{collection}");
    }
}

#[test]
fn identities_can_stand_in_the_addresses_of_the_consoles_pages() {
    let fixture = Fixture::replayed("router-3.5");
    for collection in COLLECTIONS {
        for item in ask(&fixture, collection)["results"].as_array().expect("a list") {
            let id = item["identity"].as_str().expect("a text");
            assert!(!id.contains(['@', '~', ',', '/']), "{collection}: {id}");
            if collection == "processpairs" {
                assert!(id.starts_with("processpair-"), "{id}");
            }
        }
    }
}
