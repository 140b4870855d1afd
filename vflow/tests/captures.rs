//! Every call over the captures, as text.

use insta::assert_snapshot;

use crate::support::{PIPE, seen, terminal, typed};

const CAPTURE: &str = "--input ../tests/captures/router-3.5.jsonl";

/// The calls, each with the name of its snapshot.
const CALLS: &[(&str, &str)] = &[
    ("status", "status"),
    ("sites", "sites"),
    ("sites_wide", "sites -o wide"),
    ("sites_as_json", "sites -o json --columns name,platform,version"),
    ("routers", "routers"),
    ("routers_of_a_site", "routers --site west"),
    ("links", "links"),
    (
        "links_that_ended_too",
        "links --all -o csv --columns name,sourceSiteName,destinationSiteName,status,endTime",
    ),
    ("services", "services"),
    ("components", "components"),
    ("processes", "processes"),
    ("processes_by_name", "processes cart* --no-headers"),
    ("processes_as_yaml", "processes frontend-5d8b -o yaml --columns name,siteName,services"),
    ("listeners", "listeners"),
    ("connectors", "connectors"),
    ("observe", "observe --last 5"),
    ("observe_wide", "observe connections --first 2 -o wide"),
    ("observe_errors_of_a_service", "observe --service dead --error --first 2"),
    ("observe_from_a_site_but_not_to_one", "observe --from-site west --not --to-site east --last 3"),
    (
        "observe_by_component",
        "observe --from-component frontend --service shop --last 2 --columns time,client,service,octetCount",
    ),
    ("observe_what_is_large_and_slow", "observe --min-octets 100kB --min-latency 1ms --first 3"),
    ("observe_as_ndjson", "observe --last 2 -o ndjson --columns key,routingKey,octetCount"),
    ("observe_as_csv", "observe --last 2 -o csv"),
    ("observe_nothing", "observe --service nobody"),
    ("observe_a_range", "observe --since 11:45:00 --until 11:45:01"),
    ("observe_long_ago", "observe --since 2020-01-01 --until 2020-01-02"),
    ("observe_requests", "observe requests --last 4"),
    ("observe_requests_that_failed", "observe requests --status 5xx --method DELETE --service shop --last 2"),
    ("observe_links", "observe links"),
    ("observe_follows_to_the_end_of_the_capture", "observe -f --last 1"),
    ("observe_events", "observe events"),
    ("observe_events_of_a_site", "observe events --site east --last 3 -o csv"),
    ("path", "path frontend-5d8b shop"),
    ("path_from_nowhere", "path nobody shop"),
    ("map", "map"),
    ("map_of_sites", "map --level site"),
    ("map_as_dot", "map --level site -o dot"),
    ("export", "export --service echo --min-octets 700kB --columns key,octetCount"),
    (
        "export_as_csv",
        "export requests --status 404 --columns method,status,routingKey -o csv --since 11:45:51",
    ),
    ("top", "top --once"),
    ("top_of_pairs", "top pairs --sort name"),
    ("top_of_sites", "top sites --sort received -o csv"),
    ("query", "query sum(skupper_connections_opened_total)by(routing_key)"),
    ("query_over_time", "query sum(skupper_connections_opened_total) --since -40s --step 10s"),
    ("query_as_a_chart", "query sum(skupper_connections_opened_total) --since -1m --chart"),
];

#[tokio::test]
async fn every_call_has_the_output_that_was_agreed() {
    for (name, line) in CALLS {
        let outcome = typed(&format!("{line} {CAPTURE}"), &PIPE).await;
        assert_snapshot!(*name, seen(line, &outcome));
    }
}

#[tokio::test]
async fn a_terminal_of_80_columns_is_never_wider_than_that() {
    for line in
        ["sites", "processes", "listeners", "connectors", "observe --last 5", "observe requests --last 5"]
    {
        let outcome = typed(&format!("{line} {CAPTURE} --color never"), &terminal(80)).await;
        assert_eq!(outcome.code, 0, "{line}: {}", outcome.err);
        assert!(outcome.out.lines().count() > 1, "{line}");
        for row in outcome.out.lines() {
            assert!(row.chars().count() <= 80, "{line}: {row}");
        }
    }
    let outcome = typed(&format!("observe --last 3 {CAPTURE} --color never"), &terminal(80)).await;
    assert_snapshot!("observe_in_80_columns", outcome.out);
}

#[tokio::test]
async fn routers_of_2_x_are_shown_like_others() {
    for capture in ["router-2.7", "router-3.5-halves"] {
        for line in ["links", "observe --last 3", "observe requests --last 2"] {
            let outcome = typed(&format!("{line} --input ../tests/captures/{capture}.jsonl"), &PIPE).await;
            assert_snapshot!(format!("{capture}_{}", line.replace(' ', "_")), seen(line, &outcome));
        }
    }
}

#[tokio::test]
async fn colours_are_there_where_they_are_asked_for() {
    let outcome = typed(&format!("observe --error --last 1 {CAPTURE} --color always"), &PIPE).await;
    assert!(outcome.out.contains("\u{1b}[31m✕ "), "{}", outcome.out);
    let outcome = typed(&format!("observe --error --last 1 {CAPTURE} --color never"), &terminal(140)).await;
    assert!(!outcome.out.contains('\u{1b}'), "{}", outcome.out);
}
