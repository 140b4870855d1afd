//! No question, however odd, does harm.

use proptest::prelude::*;
use vanflow_history::{History, HistoryOptions, QueryKind, respond};

use crate::world::EPOCH;

fn ask(history: &History, kind: QueryKind<'_>, query: &str, times: &str) -> (u16, serde_json::Value) {
    let encoded: String = query.bytes().map(|octet| format!("%{octet:02X}")).collect();
    let (status, body) = respond(kind, Some(&format!("query={encoded}&{times}")), "", history, EPOCH);
    (status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// Samples of a few series, some of which are not always there.
fn history() -> impl Strategy<Value = History> {
    let value = prop_oneof![
        Just(None),
        (0..1_000_i32).prop_map(|value| Some(f64::from(value))),
        any::<f64>().prop_map(Some),
    ];
    prop::collection::vec((1..400_000_i64, prop::collection::vec(value, 5)), 0..40).prop_map(|scrapes| {
        let mut history = History::new(HistoryOptions::default());
        let mut at = EPOCH;
        for (later, values) in scrapes {
            at += later;
            let mut scrape = history.scrape(at);
            for (place, value) in values.into_iter().enumerate() {
                let Some(value) = value else { continue };
                let a = ["1", "2", "+Inf"][place % 3];
                scrape.sample(["x", "y"][place % 2], &[("a", a), ("le", a), ("b", "z")], value);
            }
            scrape.finish();
        }
        history
    })
}

/// Expressions of all kinds of parts, of which most make sense.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("x"),
        Just("y"),
        Just("x{a=\"1\"}"),
        Just("{b=~\"z|\"}"),
        Just("1"),
        Just("0"),
        Just("-7.5"),
        Just("NaN"),
        Just("Inf"),
        Just("time()"),
        Just("x offset 1m"),
        Just("y @ 1795347980"),
        Just("\"a\""),
        Just("x[5m]"),
        Just("y[1h:1m]"),
        Just("x[90.0001s]"),
        Just("vector(3)"),
        Just("x @ end()"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let functions = prop::sample::select(vec![
            "abs",
            "ceil",
            "sgn",
            "ln",
            "minute",
            "year",
            "scalar",
            "vector",
            "sort",
            "sort_desc",
            "absent",
            "timestamp",
            "rate",
            "irate",
            "increase",
            "delta",
            "idelta",
            "deriv",
            "resets",
            "changes",
            "avg_over_time",
            "max_over_time",
            "sum_over_time",
            "stddev_over_time",
            "last_over_time",
            "absent_over_time",
            "round",
            "nothing",
        ]);
        let pairs = prop::sample::select(vec![
            "histogram_quantile",
            "quantile_over_time",
            "predict_linear",
            "clamp_min",
            "clamp_max",
            "round",
            "topk",
            "bottomk",
            "quantile",
            "count_values",
            "limitk",
        ]);
        let aggregations =
            prop::sample::select(vec!["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
        let modifiers = prop::sample::select(vec!["", "by (a)", "by (b, le)", "without (a)", "without ()"]);
        let operators = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "atan2",
            "==",
            "!=",
            ">",
            "<",
            ">=",
            "<=",
            "and",
            "or",
            "unless",
            "> bool",
            "+ on(a)",
            "- ignoring(a)",
            "* on(b) group_left",
            "/ on(a) group_right(b)",
            "> on(b) group_left(a)",
            "+ fill(1)",
        ]);
        prop_oneof![
            (functions, inner.clone()).prop_map(|(name, a)| format!("{name}({a})")),
            (functions_of_ranges(), inner.clone()).prop_map(|(name, a)| format!("{name}(({a})[7m:33s])")),
            (pairs, inner.clone(), inner.clone()).prop_map(|(name, a, b)| format!("{name}({a}, {b})")),
            (aggregations, modifiers, inner.clone()).prop_map(|(name, by, a)| format!("{name} {by} ({a})")),
            (inner.clone(), operators, inner.clone()).prop_map(|(a, with, b)| format!("({a}) {with} ({b})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("label_replace({a}, \"a\", \"$1\", \"b\", \"(.*)\")")),
            inner.prop_map(|a| format!("label_join({a}, \"a\", \"\", \"b\")")),
        ]
    })
}

fn functions_of_ranges() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["rate", "max_over_time", "count_over_time", "deriv"])
}

fn is_sound((status, answer): (u16, serde_json::Value)) -> bool {
    match status {
        200 => answer["status"] == "success" && !answer["data"]["result"].is_null(),
        400 => answer["errorType"] == "bad_data" && answer["error"].is_string(),
        422 => answer["errorType"] == "execution" && answer["error"].is_string(),
        _ => false,
    }
}

const RANGE: &str = "start=1795347800&end=1795352000.5&step=77.7";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_expression_over_any_history_has_an_answer_or_an_error(
        history in history(),
        query in expression(),
    ) {
        for at in ["time=1795348000", "time=1795349000.123", "time=-5"] {
            let answer = ask(&history, QueryKind::Instant, &query, at);
            prop_assert!(is_sound(answer.clone()), "{query}: {answer:?}");
        }
        let answer = ask(&history, QueryKind::Range, &query, RANGE);
        prop_assert!(is_sound(answer.clone()), "{query}: {answer:?}");
    }

    #[test]
    fn any_text_has_an_answer_or_an_error(
        query in prop_oneof![
            "[a-z0-9.:\\[\\](){}\"'`\\\\@,=~! +*^#eEx-]{0,40}",
            "x\\[[0-9.a-z:x+e]{1,12}\\]( offset [-+0-9.a-ze]{1,8})?( @ [-+0-9.eE]{1,8})?",
            "[0-9.xeEinfaNs+-]{1,20}",
            ".{0,30}",
        ],
        times in "(time|start|end|step|timeout)=[-0-9.:TZeEnNaAiIfF]{0,24}&start=1&end=2&step=1",
    ) {
        let history = History::new(HistoryOptions::default());
        for kind in [QueryKind::Instant, QueryKind::Range] {
            let answer = ask(&history, kind, &query, &times);
            prop_assert!(is_sound(answer.clone()), "{query}: {answer:?}");
        }
    }
}

#[test]
fn a_query_as_deep_as_may_be_is_answered_on_a_small_stack() {
    let history = History::new(HistoryOptions::default());
    for (before, core, after) in [
        ("abs(", "vector(1)", ")"),
        ("(", "1", ")"),
        ("-", "vector(1)", ""),
        ("1+", "vector(1)", ""),
        ("sum(", "vector(1)", ")"),
        ("max_over_time(", "vector(1)", "[1m:1m])"),
        ("label_replace(", "vector(1)", ",\"a\",\"b\",\"c\",\"d\")"),
        ("", "vector(1)", " and vector(1)"),
    ] {
        let ask = |depth: usize| {
            let query = format!("{}{core}{}", before.repeat(depth), after.repeat(depth));
            ask(&history, QueryKind::Instant, &query, "time=1795348000")
        };
        let deepest = (40..=100).rev().find(|&depth| ask(depth).0 == 200).unwrap_or(0);
        assert!(deepest >= 45, "{before}{core}{after}: {deepest}");
        let (status, answer) = ask(deepest + 1);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains("more than 100 operators"), "{answer}");
    }
}
