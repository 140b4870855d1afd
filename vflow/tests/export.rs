//! Exports in Parquet have what those in JSON lines have.

use std::{fs::File, path::Path};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{
    server::{Asked, Reply, serve},
    support::{PIPE, typed},
};

const EXPORT: &str = "--input ../tests/captures/router-3.5.jsonl export";

/// The rows of a file: what there is of each, by the names of the columns.
fn rows(path: &Path) -> Vec<Map<String, Value>> {
    let reader = SerializedFileReader::new(File::open(path).expect("it is there")).expect("it is Parquet");
    let value = |field: &Field| match field {
        Field::Null => None,
        Field::Bool(truth) => Some(json!(truth)),
        Field::ULong(number) => Some(json!(number)),
        Field::TimestampMicros(micros) => Some(json!(micros)),
        Field::Str(text) => Some(json!(text)),
        Field::ListInternal(list) => {
            Some(list.elements().iter().map(Field::to_string).map(unquoted).collect())
        }
        other => panic!("nothing is of the type of {other}"),
    };
    let row = |row: parquet::record::Row| {
        row.get_column_iter().filter_map(|(name, field)| Some((name.clone(), value(field)?))).collect()
    };
    reader.get_row_iter(None).expect("it has rows").map(|read| row(read.expect("it is whole"))).collect()
}

fn unquoted(text: String) -> Value {
    text.trim_matches('"').into()
}

async fn exported(what: &str, folder: &TempDir) -> (Vec<Map<String, Value>>, Vec<Map<String, Value>>) {
    let path = folder.path().join("export.parquet");
    let to = path.to_str().expect("UTF-8");
    let outcome = typed(&format!("{EXPORT} {what} -o parquet --to {to}"), &PIPE).await;
    assert_eq!(outcome.code, vflow::RIGHT, "{}", outcome.err);
    let lines = typed(&format!("{EXPORT} {what} -o ndjson"), &PIPE).await;
    let lines = lines.out.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let read = rows(&path);
    std::fs::remove_file(path).expect("it is there");
    (read, lines)
}

#[tokio::test]
async fn what_is_exported_as_parquet_is_what_is_exported_as_json() {
    let folder = TempDir::new().expect("a directory");
    for (what, least) in [("connections", 300), ("requests", 500), ("connections --service echo", 10)] {
        let (read, lines) = exported(what, &folder).await;
        assert!(lines.len() > least, "there are {} {what}", lines.len());
        assert_eq!(read.len(), lines.len());
        for (read, line) in read.iter().zip(&lines) {
            // Times that are not known are 0 in JSON.
            let is_kept = |(name, value): &(&String, &Value)| {
                !(value.is_null() || name.ends_with("Time") && **value == json!(0))
            };
            let line: Map<_, _> =
                line.iter().filter(is_kept).map(|(name, value)| (name.clone(), value.clone())).collect();
            let mut read = read.clone();
            read.retain(|name, value| *value != json!([]) || line.contains_key(name));
            assert_eq!(read, line);
        }
    }
}

#[tokio::test]
async fn columns_of_parquet_are_those_that_were_named() {
    let folder = TempDir::new().expect("a directory");
    let (read, lines) = exported("requests --status 404 --columns status,octetCount", &folder).await;
    assert!(!lines.is_empty());
    let names: Vec<_> = read[0].keys().collect();
    assert_eq!(names, ["octetCount", "status"]);
    for (read, line) in read.iter().zip(&lines) {
        assert_eq!((&read["octetCount"], &read["status"]), (&line["octetCount"], &line["status"]));
    }
    let outcome = typed(&format!("{EXPORT} requests -o parquet --columns octets"), &PIPE).await;
    assert_eq!((outcome.code, &*outcome.out), (vflow::WRONG_USE, ""));
    let said = "error: --columns has `octets`; it must be some of clientAddress, connectionId, ";
    assert!(outcome.err.starts_with(said), "{}", outcome.err);
}

#[tokio::test]
async fn what_was_removed_of_a_range_is_said_as_the_answer_has_it() {
    let (url, _) = serve(|asked: &Asked| {
        if asked.target.starts_with("/api/v1/verdict") {
            return Reply::ok(
                json!({"complete": true, "now": 1_795_651_200_000_000_u64, "text": ""}).to_string(),
            );
        }
        let head = "vanflow-answered-from: 1795564800000000\r\n";
        Reply { head, ..Reply::ok("{\"key\":\"1\",\"octetCount\":1}\n") }
    })
    .await;
    let said = "what ended before 2026-11-25 00:00:00 has been removed: this is all that ended since then\n";
    for call in ["export", "observe -o ndjson"] {
        for (since, expected) in [("--since -10d", said), ("--since -1h", ""), ("", "")] {
            let outcome = typed(
                &format!("{call} {since} --server {url} --columns octetCount").replace("  ", " "),
                &PIPE,
            )
            .await;
            assert_eq!((outcome.code, outcome.err.as_str()), (vflow::RIGHT, expected), "{call} {since}");
        }
    }
}

/// A collector that has so many connections on disk, and no more than three of them in an answer.
fn played(count: usize) -> impl Fn(&Asked) -> Reply {
    move |asked| {
        let parameter = |name: &str| {
            let (_, query) = asked.target.split_once('?')?;
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        if asked.target.starts_with("/api/v1/verdict") {
            let verdict = json!({
                "complete": true, "now": 1_795_651_200_000_000_u64, "text": "",
                "ended": [{"kind": "connections", "since": 1, "rows": count}],
            });
            return Reply::ok(verdict.to_string());
        }
        let Some(after) = parameter("after") else {
            let message = "there are more than 3 connections that are not held any more in this answer";
            return Reply { status: 400, ..Reply::ok(json!({"message": message}).to_string()) };
        };
        let first = if after.is_empty() { 0 } else { after.parse::<usize>().expect("a key") + 1 };
        let items =
            (first..count.min(first + 3)).map(|key| json!({"key": key.to_string(), "octetCount": key}));
        Reply::ok(items.map(|item| format!("{item}\n")).collect::<String>())
    }
}

#[tokio::test]
async fn what_a_collector_cannot_have_in_memory_is_exported_page_by_page_to_the_end() {
    for count in [0, 1, 3, 8] {
        let (url, asked) = serve(played(count)).await;
        let line = format!("export --server {url} --columns octetCount -o csv");
        let outcome = typed(&line, &PIPE).await;
        let expected: String = std::iter::once("octetCount\n".to_owned())
            .chain((0..count).map(|key| format!("{key}\n")))
            .collect();
        assert_eq!(
            (outcome.code, outcome.out.replace("\r\n", "\n")),
            (vflow::RIGHT, expected),
            "{}",
            outcome.err
        );
        let pages: Vec<_> = (asked.lock().expect("nobody panicked").iter())
            .filter_map(|asked| Some(asked.target.rsplit_once("&after=")?.1.to_owned()))
            .collect();
        let expected: Vec<_> = match count {
            0 => vec![""],
            1 => vec!["", "0"],
            3 => vec!["", "2"],
            _ => vec!["", "2", "5", "7"],
        };
        assert_eq!(pages, expected);
    }
    let folder = TempDir::new().expect("a directory");
    for (count, said) in [(1, "1 connection is in"), (8, "8 connections are in")] {
        let (url, _) = serve(played(count)).await;
        let path = folder.path().join(format!("{count}.csv"));
        let path = path.display();
        let outcome = typed(&format!("export --server {url} --to {path} --columns octetCount"), &PIPE).await;
        assert_eq!(outcome.err, format!("{said} {path}\n"));
    }
    // What breaks off in the middle is no export.
    let (url, _) = serve(|asked: &Asked| match asked.target.ends_with("&after=5") {
        true => Reply { status: 400, ..Reply::ok(json!({"message": "`after` is `5`"}).to_string()) },
        false => played(8)(asked),
    })
    .await;
    let outcome = typed(&format!("export --server {url} --columns octetCount"), &PIPE).await;
    assert_eq!((outcome.code, outcome.out.lines().count()), (vflow::WRONG_USE, 6), "{}", outcome.err);
    assert!(outcome.err.contains("`after` is `5`"), "{}", outcome.err);
}
