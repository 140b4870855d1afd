//! Every list over a capture, in virtual time.

use std::fmt::Write;

use super::{COLLECTIONS, ask, results};
use crate::support::{CAPTURES, Fixture, replay};

fn lists(fixture: &Fixture, parameters: &str) -> String {
    let mut text = String::new();
    for collection in COLLECTIONS {
        let path = format!("{collection}?{parameters}");
        let answer = ask(fixture, &path);
        let (count, total) = (&answer["count"], &answer["timeRangeCount"]);
        writeln!(text, "{path}: {count} of {total}").unwrap();
        for item in answer["results"].as_array().unwrap() {
            writeln!(text, "{item}").unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_list_in_the_midst_of_the_traffic_and_when_it_is_over() {
    for (name, until) in [("midst", 20_000_000), ("over", u64::MAX)] {
        let fixture = Fixture::new(replay("router-3.5", until));
        insta::assert_snapshot!(format!("v2alpha1-lists-{name}"), lists(&fixture, "limit=12"));
    }
}

#[test]
fn every_list_of_routers_up_to_2_x() {
    let fixture = Fixture::replayed("router-2.7");
    insta::assert_snapshot!("v2alpha1-lists-router-2.7", lists(&fixture, "limit=6&timeRangeStart=0"));
}

#[test]
fn what_has_gone_when_asked_for() {
    let fixture = Fixture::replayed("router-3.5");
    insta::assert_snapshot!("v2alpha1-lists-gone", lists(&fixture, "state=terminated&limit=12"));
}

#[test]
fn the_links_of_routers_of_each_age() {
    for capture in CAPTURES {
        let mut text = String::new();
        for until in [20_000_000, u64::MAX] {
            let fixture = Fixture::new(replay(capture, until));
            for link in results(&fixture, "routerlinks?state=all&timeRangeStart=0") {
                writeln!(text, "{link}").unwrap();
            }
            text.push('\n');
        }
        insta::assert_snapshot!(format!("v2alpha1-links-{capture}"), text);
    }
}
