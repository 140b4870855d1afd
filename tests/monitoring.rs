//! What stands in files about metrics is so: dashboards, alerts and documentation name metrics that there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use hyper::StatusCode;
use tokio::net::TcpStream;
use vanflow_api::metrics::{Described, described};

use crate::support::{Collector, ask, capture};

fn read(file: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The names in a text that look like those of metrics.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let begins = ["skupper_", "vanflow_collector_", "legacy_flow_"];
    words.filter(|word| begins.iter().any(|begin| word.starts_with(begin))).collect()
}

fn find(name: &str) -> Option<Described> {
    described().find(|metric| match metric.form {
        "histogram" => {
            let rest = name.strip_prefix(metric.name);
            rest.is_some_and(|rest| ["_bucket", "_sum", "_count"].contains(&rest))
        }
        _ => name == metric.name,
    })
}

#[test]
fn dashboards_and_alerts_name_metrics_that_there_are() {
    for file in ["grafana-dashboard.json", "alerts.yaml", "alerts-test.yaml"] {
        let text = read(&format!("monitoring/{file}"));
        let names = named(&text);
        assert!(names.len() > 5, "{file} names {names:?}");
        for name in names {
            assert!(find(name).is_some(), "{file}: there is no metric {name}");
        }
    }
}

#[test]
fn the_documentation_has_every_metric_as_it_is() {
    let text = read("docs/metrics.md");
    let mut rows = BTreeMap::new();
    let beginnings = ["skupper_", "vanflow_", "legacy_", "process_"];
    for line in text.lines().filter(|line| {
        line.strip_prefix("| `").is_some_and(|name| beginnings.iter().any(|part| name.starts_with(part)))
    }) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        rows.insert(
            cells[0].trim_matches('`').to_owned(),
            cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>(),
        );
    }
    for metric in described() {
        let flow: Vec<_> = metric.labels.iter().skip(12).map(|label| format!("`{label}`")).collect();
        let labels = match metric.labels.first() {
            Some(&"source_site_id") => ["*flow*".to_owned()].into_iter().chain(flow).collect(),
            _ => metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>(),
        };
        let expected =
            [format!("`{}`", metric.name), metric.form.into(), labels.join(", "), metric.help.into()];
        let row = rows.remove(metric.name).unwrap_or_default();
        assert_eq!(row, expected, "docs/metrics.md should have: | {} |", expected.join(" | "));
    }
    assert!(rows.is_empty(), "docs/metrics.md has metrics that there are not: {:?}", rows.keys());
}

#[tokio::test]
async fn monitors_have_a_listener_of_their_own() {
    let file = capture("router-3.5.jsonl");
    let file = file.to_str().expect("UTF-8");
    let collector = Collector::start(
        ["--replay", file, "--speed", "max", "--metrics-listen", "127.0.0.1:0", "--metrics-zero-for", "0s"]
            .into_iter()
            .chain(["--metrics-labels", "network=west,observer=a"]),
    )
    .await;
    collector.ready().await;
    let monitors = collector.metrics_address();
    let mut metrics = Vec::new();
    for (address, path, expected) in [
        (monitors, "/metrics", StatusCode::OK),
        (monitors, "/healthz", StatusCode::OK),
        (monitors, "/readyz", StatusCode::OK),
        (monitors, "/api/v1alpha1/routers", StatusCode::NOT_FOUND),
        (collector.address(), "/metrics", StatusCode::OK),
    ] {
        let (head, body) = ask(TcpStream::connect(address).await.expect("it listens"), path).await;
        assert_eq!(head.status, expected, "{path}");
        if path == "/metrics" {
            let body = http_body_util::BodyExt::collect(body).await.expect("a whole answer").to_bytes();
            metrics.push(String::from_utf8(body.to_vec()).expect("UTF-8"));
        }
    }
    let opened = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("skupper_connections_opened_total{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(opened(&metrics[0]), opened(&metrics[1]));
    assert!(opened(&metrics[0]).len() >= 4, "{}", metrics[0]);
    assert!(
        opened(&metrics[0])[0]
            .starts_with("skupper_connections_opened_total{network=\"west\",observer=\"a\",")
    );
    // The collector counted what it merged.
    let merged = "vanflow_collector_records_total{network=\"west\",observer=\"a\",type=\"ROUTER\"} ";
    let merged = metrics[0].lines().find_map(|line| line.strip_prefix(merged)).expect("it is there");
    assert!(merged.parse::<u64>().expect("a number") >= 3, "{merged}");
    collector.leave().await;
}
