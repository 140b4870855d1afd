//! Which series and labels there are: as a real Prometheus says it, and as text.

use serde_json::{Value, json};
use vanflow_history::{History, HistoryOptions, QueryKind, respond};

use crate::{
    prometheus::Prometheus,
    world::{self, EPOCH, SCRAPES},
};

fn ask(history: &History, kind: QueryKind<'_>, query: &str) -> (u16, Value) {
    let (status, body) = respond(kind, Some(query), "", history, 0);
    (status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// What is asked of both: a kind and a query string.
fn questions() -> Vec<(QueryKind<'static>, String)> {
    let (start, end) = (EPOCH / 1000 - 60, (EPOCH + SCRAPES * 5_000) / 1000 + 60);
    let times = [
        String::new(),
        format!("start={start}&end={end}"),
        format!("start={start}"),
        format!("end={end}"),
        // Before there was anything; the wrong way round; no times.
        format!("start={}&end={}", start - 90_000, start - 80_000),
        format!("start={end}&end={start}"),
        "start=yesterday".to_owned(),
        "end=tomorrow".to_owned(),
    ];
    let selectors = [
        "match[]=skupper_sent_bytes_total",
        "match[]=level&match[]=tiny",
        "match[]=level&match[]=%7Bsite=~%22w.*%22%7D",
        "match[]=%7B__name__=~%22skupper_.*info%22,version!=%222.0%22%7D",
        "match[]=skupper_requests_total%7Bmethod=%22GET%22,code=~%22%5B45%5Dxx%22%7D",
        "match[]=nothing",
        "match[]=%7Bsite=%22%22%7D",
        "match[]=level%7B",
        "match[]=1",
        "match[]=level%5B5m%5D",
        "match[]=level%20offset%205m",
        "match[]=",
        "",
    ];
    let kinds = [
        QueryKind::Labels,
        QueryKind::Series,
        QueryKind::LabelValues("site"),
        QueryKind::LabelValues("__name__"),
        QueryKind::LabelValues("none"),
        QueryKind::LabelValues("a-b"),
    ];
    let queries = || selectors.iter().flat_map(|one| times.iter().map(move |time| format!("{one}&{time}")));
    kinds.into_iter().flat_map(|kind| queries().map(move |query| (kind, query))).collect()
}

#[test]
fn prometheus_and_we_know_the_same_series() {
    let Some(prometheus) = Prometheus::start() else { return };
    let scrapes = world::scrapes();
    let history = world::history(&scrapes);
    prometheus.write(&scrapes);
    let mut wrong = Vec::new();
    let mut filled = 0;
    let questions = questions();
    for (kind, query) in &questions {
        let path = kind.prometheus_path();
        let (their_status, mut theirs) = prometheus.get(&format!("{path}?{query}"));
        let (status, mut ours) = ask(&history, *kind, query);
        filled += usize::from(theirs["data"].as_array().is_some_and(|data| !data.is_empty()));
        // Where a selector is wrong, the parser has words of its own; series come in an order of theirs.
        if theirs["error"].as_str().is_some_and(|error| error.contains("parse error: ")) {
            for answer in [&mut theirs, &mut ours] {
                answer["error"] = "parse error".into();
            }
        }
        for answer in [&mut theirs, &mut ours] {
            if let Some(data) = answer["data"].as_array_mut() {
                data.sort_by_key(ToString::to_string);
            }
        }
        if (their_status, &theirs) != (status, &ours) {
            wrong.push(format!("{path}?{query}\n  {their_status} {theirs}\n  {status} {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), questions.len(), wrong.join("\n"));
    assert!(filled > 50, "{filled} have something to say");
}

/// One series that ended after 20 s, and one that began then.
fn history() -> History {
    let mut history = History::new(HistoryOptions::default());
    for tick in 0..9_i64 {
        let mut scrape = history.scrape(tick * 5_000);
        let (name, site) = if tick <= 4 { ("sent", "west") } else { ("received", "east") };
        scrape.sample(name, &[("site", site), (if tick <= 4 { "old" } else { "new" }, "1")], 1.0);
        scrape.finish();
    }
    history
}

#[test]
fn only_series_with_a_value_in_the_time_asked_for_are_there() {
    let history = history();
    let success = |data: Value| (200, json!({ "status": "success", "data": data }));
    assert_eq!(ask(&history, QueryKind::LabelValues("site"), ""), success(json!(["east", "west"])));
    assert_eq!(ask(&history, QueryKind::LabelValues("site"), "end=20"), success(json!(["west"])));
    // The series that ended at 25 s has no value there.
    assert_eq!(ask(&history, QueryKind::LabelValues("site"), "start=25"), success(json!(["east"])));
    assert_eq!(ask(&history, QueryKind::Labels, "end=24.999"), success(json!(["__name__", "old", "site"])));
    assert_eq!(
        ask(&history, QueryKind::Series, "match[]=%7Bsite=~%22.%2B%22%7D&start=21"),
        success(json!([{ "__name__": "received", "new": "1", "site": "east" }]))
    );
}

#[test]
fn an_answer_that_a_limit_cuts_says_so() {
    let history = history();
    let cut =
        json!({ "status": "success", "data": ["east"], "warnings": ["results truncated due to limit"] });
    assert_eq!(ask(&history, QueryKind::LabelValues("site"), "limit=1"), (200, cut));
    for whole in ["limit=0", "limit=2", "limit="] {
        let answer = ask(&history, QueryKind::LabelValues("site"), whole);
        assert_eq!(answer, (200, json!({ "status": "success", "data": ["east", "west"] })), "{whole}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let history = history();
    for (kind, query, expected) in [
        (QueryKind::Series, "", "no match[] parameter provided"),
        (QueryKind::Labels, "limit=-1", "invalid parameter \"limit\": limit must be non-negative"),
        (QueryKind::Labels, "limit=x", "invalid parameter \"limit\": cannot parse \"x\" to a whole number"),
        (
            QueryKind::Labels,
            "start=x",
            "invalid parameter \"start\": Invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
        ),
        (
            QueryKind::Labels,
            "match[]=a[5m]",
            "invalid parameter \"match[]\": parse error: it must be a selector of series, such as a{b=\"c\"}",
        ),
        (QueryKind::LabelValues("a%20b"), "", "invalid label name: \"a b\""),
        (QueryKind::Labels, "match[]={a=\"\"}", "match[] must contain at least one non-empty matcher"),
    ] {
        let answer = ask(&history, kind, query);
        let expected = json!({ "status": "error", "errorType": "bad_data", "error": expected });
        assert_eq!(answer, (400, expected), "{query}");
    }
}
