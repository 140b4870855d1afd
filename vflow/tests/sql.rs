//! SQL that a ClickHouse answers.

use std::ffi::OsString;

use crate::{
    server::{Reply, serve},
    support::{Outcome, PIPE, with},
};

async fn sql(url: &str, more: &[&str]) -> Outcome {
    let words = ["sql", "SELECT 1", "--history-clickhouse", url];
    with(words.iter().chain(more).map(OsString::from), &PIPE).await
}

const ANSWER: &str = r#"{"meta": [{"name": "routingKey", "type": "String"}, {"name": "count()", "type": "UInt64"}],
    "data": [["cart:8080\u001b[2J", 1153], ["=1+1", null]], "rows": 2}"#;

#[tokio::test]
async fn what_a_clickhouse_answers_is_shown_in_any_form() {
    let (url, asked) = serve(|_| Reply::ok(ANSWER)).await;
    let table = sql(&format!("{url}/van"), &[]).await;
    assert_eq!((table.code, &*table.err), (vflow::RIGHT, ""));
    assert_eq!(
        table.out,
        "routingKey          count()\ncart:8080\\u{1b}[2J     1153\n=1+1                      –\n"
    );
    let target = asked.lock().unwrap()[0].target.clone();
    assert_eq!(target, "/?query=SELECT%201&database=van&default_format=JSONCompact");

    let lines = sql(&url, &["-o", "ndjson"]).await;
    assert_eq!(
        lines.out,
        "{\"routingKey\":\"cart:8080\\u001b[2J\",\"count()\":1153}\n{\"routingKey\":\"=1+1\",\"count()\":null}\n"
    );
    assert!(asked.lock().unwrap()[1].target.contains("&database=vanflow&"));
    let spreadsheet = sql(&url, &["-o", "csv", "--no-headers"]).await;
    assert!(spreadsheet.out.ends_with("\n'=1+1,\n"), "{}", spreadsheet.out);
}

#[tokio::test]
async fn who_asks_is_in_the_url_and_what_goes_wrong_is_in_the_words_of_who_noticed() {
    let (url, asked) = serve(|_| Reply {
        status: 400,
        ..Reply::ok("Code: 62. DB::Exception: Syntax error: failed at position 7\nmore")
    })
    .await;
    let folder = tempfile::TempDir::new().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "open sesame\n").unwrap();
    let named = url.replace("http://", "http://reader@");
    let refused = sql(&named, &["--password-file", password.to_str().unwrap()]).await;
    assert_eq!(refused.err, "error: Code: 62. DB::Exception: Syntax error: failed at position 7\n");
    assert_eq!((refused.code, &*refused.out), (vflow::WRONG_USE, ""));
    // reader:open sesame
    let head = asked.lock().unwrap()[0].head.to_lowercase();
    assert!(head.contains("authorization: basic cmvhzgvyom9wzw4gc2vzyw1l"), "{head}");

    let wrong = sql("ch:8123", &[]).await;
    assert_eq!(
        wrong.err,
        "error: --history-clickhouse is `ch:8123`, which has to be as in http://user@host:8123/database\n"
    );
}
