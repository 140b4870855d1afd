//! Answers as text: what a client sees.

use std::cell::Cell;

use http::StatusCode;
use vanflow_history::{History, HistoryOptions, QueryKind, respond, respond_while};

fn ask(history: &History, kind: QueryKind<'_>, query: &str) -> (StatusCode, String) {
    let (status, body) = respond(kind, Some(query), "", history, 60_000);
    (status, String::from_utf8(body).unwrap())
}

fn instant(history: &History, query: &str) -> String {
    ask(history, QueryKind::Instant, query).1
}

fn refused(history: &History, kind: QueryKind<'_>, query: &str) -> (u16, String, String) {
    let (status, body) = ask(history, kind, query);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], "error");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (status.as_u16(), text("errorType"), text("error"))
}

/// A minute of two counters, 5 s apart; the second ends after half of it.
fn history() -> History {
    let mut history = History::new(HistoryOptions::default());
    for tick in 0..13_i64 {
        let mut scrape = history.scrape(tick * 5_000);
        scrape.sample("sent", &[("site", "west")], (tick * 100) as f64);
        if tick < 6 {
            scrape.sample("sent", &[("site", "east \"2\"")], (tick * 50) as f64);
        }
        scrape.finish();
    }
    history
}

#[test]
fn an_instant_answer_is_a_vector_a_scalar_a_string_or_samples() {
    let history = history();
    assert_eq!(
        instant(&history, "query=sent&time=12.5"),
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"sent","site":"east \"2\""},"value":[12.500,"100"]},{"metric":{"__name__":"sent","site":"west"},"value":[12.500,"200"]}]}}"#
    );
    assert_eq!(
        instant(&history, "query=1e21&time=12"),
        r#"{"status":"success","data":{"resultType":"scalar","result":[12,"1e+21"]}}"#
    );
    assert_eq!(
        instant(&history, "query=\"a\""),
        r#"{"status":"success","data":{"resultType":"string","result":[60,"a"]}}"#
    );
    assert_eq!(
        instant(&history, "query=sent{site=\"west\"}[10s]&time=10"),
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"sent","site":"west"},"values":[[0,"0"],[5,"100"],[10,"200"]]}]}}"#
    );
    assert_eq!(
        instant(&history, "query=nothing"),
        r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#
    );
}

#[test]
fn a_range_has_its_samples_at_exactly_start_and_each_step() {
    let history = history();
    let (status, body) = ask(
        &history,
        QueryKind::Range,
        "query=sum(rate(sent{site=\"west\"}[20s]))&start=20.001&end=42&step=7",
    );
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[20.001,"20"],[27.001,"20"],[34.001,"20"],[41.001,"20"]]}]}}"#
    );
}

#[test]
fn a_series_that_ended_is_gone_at_once_and_not_five_minutes_later() {
    let history = history();
    assert_eq!(
        instant(&history, "query=count(sent)&time=29.999"),
        instant(&history, "query=vector(2)&time=29.999")
    );
    assert_eq!(instant(&history, "query=count(sent)&time=30"), instant(&history, "query=vector(1)&time=30"));
    assert_eq!(
        instant(&history, "query=count(sent)&time=360"),
        instant(&history, "query=vector(1)&time=360"),
        "the look-back is five minutes, and its end is in it"
    );
    assert_eq!(instant(&history, "query=sent&time=360.001"), instant(&history, "query=nothing"));
}

#[test]
fn a_counter_that_is_born_counts_from_its_first_octet() {
    let mut history = History::new(HistoryOptions::default());
    for tick in 0..4_i64 {
        let mut scrape = history.scrape(tick * 5_000);
        scrape.sample("up", &[], 1.0);
        if tick >= 2 {
            scrape.born("sent", &[], 1_000.0);
        }
        scrape.finish();
    }
    assert_eq!(
        instant(&history, "query=increase(sent[15s])&time=15"),
        // 1000 in 10 s; before that it was 0, so nothing is added there.
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[15,"1000"]}]}}"#
    );
}

#[test]
fn a_duration_with_a_fraction_is_taken_to_the_millisecond() {
    let history = history();
    assert_eq!(
        instant(&history, "query=increase(sent{site=\"west\"}[60.00099992752075s])&time=60"),
        instant(&history, "query=increase(sent{site=\"west\"}[60001ms])&time=60")
    );
    assert_ne!(
        instant(&history, "query=increase(sent{site=\"west\"}[30.4s])&time=60"),
        instant(&history, "query=increase(sent{site=\"west\"}[30.3s])&time=60")
    );
}

#[test]
fn a_form_asks_like_a_query_string() {
    let history = history();
    let form = "query=sent%7Bsite%3D%22west%22%7D&time=12.5";
    let (status, body) = respond(QueryKind::Instant, None, form, &history, 0);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(String::from_utf8(body).unwrap(), instant(&history, "query=sent{site=\"west\"}&time=12.5"));
}

#[test]
fn a_parameter_that_makes_no_sense_is_named() {
    let history = history();
    let range = |query: &str| refused(&history, QueryKind::Range, query);
    let bad = |error: &str| (400, "bad_data".to_owned(), error.to_owned());
    assert_eq!(
        range("query=1&end=2&step=1"),
        bad("invalid parameter \"start\": cannot parse \"\" to a valid timestamp")
    );
    assert_eq!(
        range("query=1&start=2&end=1&step=1"),
        bad("invalid parameter \"end\": end timestamp must not be before start time")
    );
    assert_eq!(
        range("query=1&start=1&end=2&step=0"),
        bad("invalid parameter \"step\": zero or negative query resolution step widths are not accepted. \
             Try a positive integer")
    );
    assert_eq!(
        range("query=1&start=1&end=2&step=soon"),
        bad("invalid parameter \"step\": cannot parse \"soon\" to a valid duration")
    );
    assert_eq!(
        range("query=1&start=0&end=11001&step=1"),
        bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
             (?step=XX)"
        )
    );
    assert_eq!(ask(&history, QueryKind::Range, "query=1&start=0&end=11000&step=1").0, StatusCode::OK);
    assert_eq!(
        range("query=sent[1m]&start=1&end=2&step=1"),
        bad(
            "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar \
             or instant Vector"
        )
    );
    assert_eq!(
        refused(&history, QueryKind::Instant, "query=1&timeout=late"),
        bad("invalid parameter \"timeout\": cannot parse \"late\" to a valid duration")
    );
    assert_eq!(
        refused(&history, QueryKind::Instant, "query="),
        bad("invalid parameter \"query\": parse error: no expression found in input")
    );
}

#[test]
fn what_is_not_supported_says_so() {
    let history = history();
    for (query, what) in [
        ("double_exponential_smoothing(sent[1m], 0.1, 0.1)", "the function double_exponential_smoothing"),
        ("limitk(1, sent)", "the aggregation limitk"),
        ("sent %2B fill(1) sent", "the modifier fill"),
        ("{site=\"west\" or site=\"east\"}", "or between matchers"),
    ] {
        assert_eq!(
            refused(&history, QueryKind::Instant, &format!("query={query}")),
            (
                400,
                "bad_data".to_owned(),
                format!("invalid parameter \"query\": {what} is not supported here, only by a Prometheus")
            )
        );
    }
}

#[test]
fn series_that_do_not_match_one_to_one_are_named() {
    let mut history = History::new(HistoryOptions::default());
    let mut scrape = history.scrape(60_000);
    for (site, link) in [("west", "1"), ("west", "2"), ("east", "1")] {
        scrape.sample("opened", &[("site", site), ("link", link)], 1.0);
    }
    scrape.sample("sites", &[("site", "west")], 1.0);
    scrape.finish();
    let execution = |query: &str| {
        let (status, kind, error) = refused(&history, QueryKind::Instant, query);
        assert_eq!((status, kind.as_str()), (422, "execution"));
        error
    };
    assert_eq!(
        execution("query=sites - on(site) opened"),
        "found duplicate series for the match group {site=\"west\"} on the right hand-side of the operation: \
         [opened{link=\"2\", site=\"west\"}, opened{link=\"1\", site=\"west\"}];\
         many-to-many matching not allowed: matching labels must be unique on one side"
    );
    assert_eq!(
        execution("query=opened - on(site) sites"),
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    );
    assert_eq!(
        execution("query=label_replace(opened, \"link\", \"\", \"link\", \".*\")"),
        "vector cannot contain metrics with the same labelset"
    );
}

#[test]
fn a_query_that_asks_for_too_much_is_refused() {
    let mut history = History::new(HistoryOptions::default());
    for tick in 0..100_i64 {
        let mut scrape = history.scrape(tick * 5_000);
        for series in 0..2_000 {
            scrape.sample("many", &[("series", &series.to_string())], 1.0);
        }
        scrape.finish();
    }
    assert_eq!(
        refused(&history, QueryKind::Range, "query=many&start=0&end=495&step=0.045"),
        (
            422,
            "execution".to_owned(),
            "query processing would load too many samples into memory in query execution".to_owned()
        )
    );
    assert_eq!(
        refused(&history, QueryKind::Range, "query=sum(rate(many[9m]))&start=0&end=500&step=0.08"),
        (
            422,
            "execution".to_owned(),
            "query processing would look at more than 500000000 samples: ask for fewer series, a shorter range or a \
             wider step"
                .to_owned()
        )
    );
}

#[test]
fn a_query_that_nobody_waits_for_any_more_goes_no_further() {
    let mut history = History::new(HistoryOptions::default());
    for tick in 0..13_i64 {
        let mut scrape = history.scrape(tick * 5_000);
        for site in 0..1_000 {
            scrape.sample("sent", &[("site", &site.to_string())], (tick * site) as f64);
        }
        scrape.finish();
    }
    // As many series are looked at as somebody waits for.
    let ask = |kind, query, patience: usize| {
        let asked = Cell::new(0);
        let is_wanted = || asked.replace(asked.get() + 1) < patience;
        let (status, body) = respond_while(kind, Some(query), "", &history, 60_000, &is_wanted);
        (status.as_u16(), String::from_utf8(body).expect("text"), asked.get())
    };
    for (kind, query) in [
        (QueryKind::Instant, "query=sum(rate(sent[30s]))"),
        (QueryKind::Range, "query=sent%2B1&start=0&end=60&step=5"),
        (QueryKind::Series, "match[]=sent"),
        (QueryKind::LabelValues("site"), ""),
        (QueryKind::Labels, ""),
    ] {
        let (status, whole, asked) = ask(kind, query, usize::MAX);
        assert_eq!(status, 200, "{whole}");
        assert!(asked >= 1_000, "{kind:?}: it was asked {asked} times");
        for patience in [0, 10, 500] {
            let (status, body, asked) = ask(kind, query, patience);
            let expected = r#"{"status":"error","errorType":"canceled","error":"query was canceled in query execution"}"#;
            assert_eq!((status, body.trim_end()), (503, expected), "{kind:?}");
            assert_eq!(asked, patience + 1, "{kind:?} went on");
        }
    }
}
