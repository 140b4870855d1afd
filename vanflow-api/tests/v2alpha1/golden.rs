//! Every list over a capture, in virtual time.

use std::fmt::Write;

use super::{COLLECTIONS, ask, results};
use crate::support::{CAPTURES, Fixture, replay, request_with};

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

fn answers(fixture: &Fixture, accept: &str, paths: &[&str]) -> String {
    let mut text = String::new();
    for path in paths {
        let answer = fixture.ask(request_with(&format!("/api/v2alpha1/{path}"), &[("accept", accept)]));
        let content_type = answer.header("content-type").unwrap();
        writeln!(text, "{} {path}: {content_type}\n{}", answer.status.as_u16(), answer.text()).unwrap();
    }
    text
}

#[test]
fn filters_and_times_over_a_capture() {
    let fixture = Fixture::replayed("router-3.5");
    let paths = [
        "sites?name!=west&fields=name,platform",
        "sites?platform=linux&platform=podman&fields=name,platform",
        "sites?endTime=*&state=all&fields=name,endTime",
        "processes?services=shop@adr-b5869d7fca26e7b9@tcp&fields=name,services",
        "processes?services!=*&hostName=null&fields=name,role",
        "services?observedApplicationProtocols=[%22http1%22]&fields=name,observedApplicationProtocols",
        "services?observedApplicationProtocols=[]&fields=name,observedApplicationProtocols",
        "connections?listenerError=*&connectorError!=*&limit=2&fields=identity,listenerError,routingKey",
        "connections?duration=null&limit=2&fields=identity,duration",
        "connections?latency!=*&limit=2&fields=identity,latency,latencyKnown",
        "connections?sourceSiteName!=west&destSiteName!=west&limit=2&fields=sourceSiteName,destSiteName",
        "connections?timeRangeStart=-30s&timeRangeEnd=now&limit=1&fields=identity,endTime",
        "connections?timeRangeStart=2026-11-22T11:45:00Z&timeRangeEnd=2026-11-22T11:45:01.5Z&limit=1&fields=identity",
        "connections?timeRangeOperation=within&timeRangeStart=-1h&limit=1&fields=identity",
        "applicationflows?status!=200&method=GET&limit=2&fields=method,status,routingKey",
        "routerlinks?role!=inter-router&fields=name,role",
        "listeners?connectionsNeverReported=0&fields=name,connectionsNeverReported",
    ];
    insta::assert_snapshot!("v2alpha1-filters", answers(&fixture, "application/json", &paths));
}

#[test]
fn every_list_as_csv_and_as_lines() {
    let fixture = Fixture::replayed("router-3.5");
    let paths: Vec<_> =
        COLLECTIONS.iter().map(|collection| format!("{collection}?limit=2&state=all")).collect();
    let mut paths: Vec<_> = paths.iter().map(String::as_str).collect();
    paths.push("connections?limit=2&fields=octetCount,key,listenerError,traceSites");
    paths.push("connections?groupBy=routingKey,listenerError&aggregate=count,sum(octetCount)");
    for (name, accept) in [("csv", "text/csv"), ("lines", "application/x-ndjson")] {
        insta::assert_snapshot!(format!("v2alpha1-lists-{name}"), answers(&fixture, accept, &paths));
    }
}

#[test]
fn groups_over_a_capture() {
    let fixture = Fixture::replayed("router-3.5");
    let paths = [
        "connections?groupBy=sourceProcessName&aggregate=count,sum(octetCount)&sortBy=sum(octetCount).desc&limit=3",
        "connections?groupBy=routingKey,listenerError&listenerError=*",
        "connections?groupBy=routingKey&aggregate=count,p50(latency),p95(latency),max(latency)&sortBy=p95(latency).desc",
        "connections?groupBy=sourceSiteName,destSiteName&aggregate=count,sum(octetCount),sum(octetReverseCount)&sortBy=count.desc",
        "connections?groupBy=routingKey&sourceSiteName!=west&timeRangeStart=-20s",
        "connections?aggregate=count,min(startTime),max(endTime),max(duration)",
        "connections?aggregate=count,max(latency)&routingKey=nowhere",
        "connections?groupBy=routingKey&offset=1&limit=2",
        "applicationflows?groupBy=routingKey,status&sortBy=count.desc",
        "applicationflows?groupBy=routingKey&aggregate=count,p50(duration),p95(duration)&status!=2",
        "services/adr-b5869d7fca26e7b9/connections?groupBy=sourceProcessName&aggregate=count,sum(octetReverseCount)",
    ];
    insta::assert_snapshot!("v2alpha1-groups", answers(&fixture, "application/json", &paths));
}
