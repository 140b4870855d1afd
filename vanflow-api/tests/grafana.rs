//! What Grafana asks of a Prometheus data source at `http://…/prometheus`: to test it, to fill its query editor, to
//! draw. It sends queries by POST unless it is told otherwise, and adds `/api/v1/…` to the address it was given.

use http::Method;
use serde_json::{Value, json};
use vanflow_api::ApiOptions;
use vanflow_history::HistoryOptions;
use vanflow_proto::Timestamp;
use vanflow_store::Store;

use crate::support::{Answer, Fixture, request_by};

const BASE: &str = "/prometheus/api/v1";

/// One that was measured twice, 5 s apart.
fn measured(change: impl FnOnce(&mut ApiOptions)) -> Fixture {
    let mut options = ApiOptions::default();
    options.history = Some(HistoryOptions::default());
    change(&mut options);
    let fixture = Fixture::with_options(Store::new(vanflow_store::StoreOptions::default()), options);
    for seconds in [1_795_347_880, 1_795_347_885] {
        fixture.api.remember(Timestamp::from_micros(seconds * 1_000_000));
    }
    fixture
}

fn success(answer: &Answer) -> Value {
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    assert_eq!(json["status"], "success", "{json}");
    json["data"].clone()
}

#[test]
fn save_and_test_finds_a_prometheus() {
    let fixture = measured(|_| {});
    let health = json!({ "resultType": "scalar", "result": [4, "2"] });
    assert_eq!(success(&fixture.post(&format!("{BASE}/query"), "query=1%2B1&time=4")), health);
    assert_eq!(success(&fixture.get(&format!("{BASE}/query?query=1%2B1&time=4"))), health);
    let build = success(&fixture.get(&format!("{BASE}/status/buildinfo")));
    assert_eq!(build["version"], "2.42.0");
    assert_eq!(build["revision"], concat!("vanflow-collector-", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_panel_is_drawn_by_post() {
    let fixture = measured(|_| {});
    let form = "query=vanflow_collector_attached&start=1795347880&end=1795347885&step=5";
    let data = success(&fixture.post(&format!("{BASE}/query_range"), form));
    let values = json!([[1_795_347_880, "0"], [1_795_347_885, "0"]]);
    assert_eq!(data["result"][0]["values"], values);
}

#[test]
fn the_query_editor_learns_names_labels_and_values() {
    let fixture = measured(|options| options.metrics.labels = vec![("network".into(), "west".into())]);
    let times = "start=1795347000&end=1795347900";
    let names = success(&fixture.get(&format!("{BASE}/label/__name__/values?{times}")));
    let names: Vec<_> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(names.contains(&"vanflow_collector_attached") && names.is_sorted(), "{names:?}");

    let attached = "match%5B%5D=vanflow_collector_attached";
    let labels = json!(["__name__", "network"]);
    assert_eq!(success(&fixture.post(&format!("{BASE}/labels"), &format!("{times}&{attached}"))), labels);
    assert_eq!(success(&fixture.get(&format!("{BASE}/labels?{times}&{attached}"))), labels);
    let values = fixture.get(&format!("{BASE}/label/network/values?{times}&{attached}&limit=40000"));
    assert_eq!(success(&values), json!(["west"]));
    let series = json!([{ "__name__": "vanflow_collector_attached", "network": "west" }]);
    assert_eq!(success(&fixture.post(&format!("{BASE}/series"), &format!("{times}&{attached}"))), series);
    assert_eq!(success(&fixture.get(&format!("{BASE}/series?{attached}"))), series);
}

#[test]
fn metadata_is_that_of_the_table_of_metrics() {
    let fixture = measured(|options| options.metrics.exclude = vec!["skupper_site_info".into()]);
    let data = success(&fixture.get(&format!("{BASE}/metadata?limit=40000")));
    let known: Vec<_> =
        vanflow_api::metrics::described().filter(|metric| metric.name != "skupper_site_info").collect();
    assert_eq!(data.as_object().map(|data| data.len()), Some(known.len()));
    for metric in known {
        let expected = json!([{ "type": metric.form, "help": metric.help, "unit": "" }]);
        assert_eq!(data[metric.name], expected, "{}", metric.name);
    }
    let one = success(&fixture.get(&format!("{BASE}/metadata?metric=skupper_requests_total")));
    assert_eq!(one.as_object().map(|data| data.len()), Some(1));
    for (limit, count) in [("2", 2), ("0", 0)] {
        let data = success(&fixture.get(&format!("{BASE}/metadata?limit={limit}")));
        assert_eq!(data.as_object().map(|data| data.len()), Some(count), "{limit}");
    }
    let answer = fixture.get(&format!("{BASE}/metadata?limit=many"));
    let error = json!({ "status": "error", "errorType": "bad_data", "error": "limit must be a number" });
    assert_eq!((answer.status.as_u16(), answer.json()), (400, error));
}

#[test]
fn methods_are_those_of_prometheus() {
    let fixture = measured(|_| {});
    let answer = fixture.ask(request_by(Method::POST, &format!("{BASE}/label/network/values")));
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(answer.json()["error"], "POST is not possible here, only GET and HEAD");
    for path in ["metadata", "status/buildinfo"] {
        let answer = fixture.ask(request_by(Method::POST, &format!("{BASE}/{path}")));
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
}

#[test]
fn without_a_history_what_metrics_mean_is_known_all_the_same() {
    let fixture = Fixture::new(Store::new(vanflow_store::StoreOptions::default()));
    success(&fixture.get(&format!("{BASE}/metadata")));
    let answer = fixture.get(&format!("{BASE}/labels"));
    assert_eq!((answer.status.as_u16(), &answer.json()["errorType"]), (503, &json!("unavailable")));
}
