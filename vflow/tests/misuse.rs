//! What is said to those who typed something that makes no sense, and the exit codes.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use vflow::{BAD, NOT_REACHABLE, RIGHT, WRONG_USE};

use crate::{
    server::{Reply, serve},
    support::{PIPE, typed},
};

const CAPTURE: &str = "--input ../tests/captures/router-3.5.jsonl";

#[tokio::test]
async fn errors_name_what_was_wrong_and_what_would_be_right() {
    for (line, error) in [
        (
            "observe --since soon",
            "error: --since is `soon`, which has to be a time as in 2026-11-26T03:14:00Z, 2026-11-26 03:14, 2026-11-26, 03:14 or \
             `yesterday 03:14`, or one before now as in -1h, 10m or 1h30m, or now",
        ),
        (
            "observe --since -1m --until -2m",
            "error: --since is 2026-11-22 11:45:16, which is after --until, 2026-11-22 11:44:16",
        ),
        (
            "observe --status 5xx",
            "error: --status does not apply to connections, which have --site, --from-site, --to-site, --component, \
             --from-component, --to-component, --process, --from-process, --to-process, --service, --from-service, --to-service, \
             --host, --from-host, --to-host, --port, --from-port, --to-port, --protocol, --id, --error, --from-error, --to-error, \
             --min-octets, --from-min-octets, --to-min-octets, --min-latency, --from-min-latency, --to-min-latency",
        ),
        (
            "observe requests --status 5x",
            "error: --status is `5x`, which has to be a status as in 404, 5xx or 400-499, or up or down",
        ),
        (
            "observe --min-octets many",
            "error: --min-octets is `many`, which has to be octets as in 1500, 10kB or 2MiB",
        ),
        (
            "observe --min-latency 1",
            "error: --min-latency is `1`, which has to be a duration as in 250ms, 2s or 1500us",
        ),
        (
            "observe -f -o json",
            "error: -f never ends, and a JSON document has an end: -o ndjson has an object a line",
        ),
        (
            "sites -o svg",
            "error: sites cannot be shown as svg: -o is one of table, wide, json, ndjson, yaml, csv",
        ),
        (
            "status -o csv",
            "error: the verdict cannot be shown as csv: -o is one of table, json, ndjson, yaml",
        ),
        (
            "export links -o parquet",
            "error: links cannot be exported as parquet: -o is one of ndjson, csv, json, yaml",
        ),
        (
            "verify -o csv flow.log",
            "error: a flow log cannot be shown as csv: -o is one of table, json, ndjson, yaml",
        ),
        ("verify nowhere/flow.log", "error: cannot read nowhere: No such file or directory (os error 2)"),
        ("verify nowhere.log", "error: cannot read nowhere.log: No such file or directory (os error 2)"),
        (
            "export -o wide",
            "error: wide is no form for an export: -o is one of ndjson, csv, json, yaml, parquet",
        ),
        (
            "top --once --sort size",
            "error: --sort is `size`, which has to be one of octets, sent, received, open, connections, requests, errors, p95, name",
        ),
        (
            "top --once --window 1",
            "error: --window is `1`, which has to be a duration of 1s or more, as in 1m",
        ),
        ("query up --step 5s", "error: --step is of a range of time: --since says where it begins"),
        (
            "query up --since -1m --step 5",
            "error: --step is `5`, which has to be a duration of 1ms or more, as in 30s or 5m",
        ),
    ] {
        let outcome = typed(&format!("{line} {CAPTURE}"), &PIPE).await;
        let last = outcome.err.lines().last().unwrap_or_default();
        assert_eq!((last, outcome.code), (error, WRONG_USE), "{line}: {}", outcome.err);
        assert_eq!(outcome.out, "", "{line}");
    }
}

#[tokio::test]
async fn a_column_that_the_api_does_not_have_is_named_by_it() {
    let outcome = typed(&format!("sites --columns name,colour {CAPTURE}"), &PIPE).await;
    assert_eq!(outcome.code, WRONG_USE);
    assert!(outcome.err.starts_with("error: ") && outcome.err.contains("colour"), "{}", outcome.err);
}

#[tokio::test]
async fn a_query_that_is_no_promql_is_refused_in_the_words_of_the_engine() {
    let outcome = typed(&format!("query sum( {CAPTURE}"), &PIPE).await;
    assert_eq!(outcome.code, WRONG_USE);
    assert!(outcome.err.starts_with("error: ") && outcome.err.lines().count() == 1, "{}", outcome.err);
}

#[tokio::test]
async fn a_capture_that_is_not_there_is_named() {
    let outcome = typed("sites --input no/such/file", &PIPE).await;
    assert_eq!(outcome.err, "error: cannot read no/such/file: No such file or directory (os error 2)\n");
    assert_eq!(outcome.code, WRONG_USE);
}

#[tokio::test]
async fn a_capture_that_is_damaged_is_read_but_for_what_is() {
    let path = CAPTURE.strip_prefix("--input ").expect("that is how it is given");
    let whole = std::fs::read_to_string(path).expect("it is there");
    let mut lines: Vec<_> = whole.lines().collect();
    for _ in 0..4 {
        lines.insert(7, "{\"us\": 12");
    }
    let damaged = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(damaged.path(), lines.join("\n") + "\n{\"us\"").expect("writes");
    let outcome = typed(&format!("sites --input {}", damaged.path().display()), &PIPE).await;
    let clean = typed(&format!("sites {CAPTURE}"), &PIPE).await;
    assert_eq!((outcome.code, outcome.out), (RIGHT, clean.out));
    let said = outcome.err.strip_suffix(&clean.err).expect("and what is said of the whole one");
    let said: Vec<_> = said.lines().collect();
    let expected = "expected {\"us\": …, \"link\": …, \"message\": …}: EOF while parsing";
    assert_eq!(said.len(), 4, "{said:#?}");
    for (line, said) in (8..).zip(&said[..3]) {
        let start = format!("warning: line {line} of the capture: {expected}");
        assert!(said.starts_with(&start) && said.ends_with(": passed over"), "{said}");
    }
    assert_eq!(said[3], "warning: passed over 5 lines of the capture that cannot be read");
}

#[tokio::test]
async fn months_of_silence_in_a_capture_take_no_longer_than_hours() {
    let path = CAPTURE.strip_prefix("--input ").expect("that is how it is given");
    let mut lines = std::fs::read_to_string(path).expect("it is there");
    lines.push_str("{\"us\": 25920000000000, \"link\": \"mc/sfe.all\", \"message\": \"\"}\n");
    let late = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(late.path(), lines).expect("writes");
    let outcome = typed(&format!("sites --input {}", late.path().display()), &PIPE).await;
    // All sources were silent for too long.
    assert_eq!(outcome.err, "there are no sites\nnot complete: No source is heard yet.\n");
    assert_eq!(outcome.code, RIGHT);
}

#[tokio::test]
async fn a_file_that_exists_is_not_overwritten() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().display();
    let outcome = typed(&format!("export --to {path} {CAPTURE}"), &PIPE).await;
    assert_eq!(outcome.code, WRONG_USE);
    let last = outcome.err.lines().last();
    assert_eq!(last, Some(format!("error: cannot write {path}: File exists (os error 17)").as_str()));
    let outcome = typed(&format!("record {path} --router amqp://127.0.0.1:1"), &PIPE).await;
    assert_eq!(outcome.err, format!("error: cannot write {path}: File exists (os error 17)\n"));
}

#[test]
fn a_recording_that_is_terminated_ends_as_one_that_is_interrupted() {
    let nobody_speaks = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody_speaks.local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("capture.jsonl");
    for signal in ["-TERM", "-INT"] {
        let mut recording = Command::new(env!("CARGO_BIN_EXE_vflow"))
            .args([OsStr::new("record"), path.as_os_str(), OsStr::new("--router")])
            .arg(format!("amqp://{address}"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut said = BufReader::new(recording.stderr.take().expect("it is piped"));
        let mut begun = String::new();
        said.read_line(&mut begun).expect("reads");
        let kill =
            Command::new("kill").args([signal, &recording.id().to_string()]).status().expect("kill runs");
        assert!(kill.success());
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("reads");
        assert!(rest.ends_with(&format!("nothing came, and {} is not there\n", path.display())), "{rest}");
        assert_eq!(recording.wait().expect("it ends").code(), Some(3));
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_flow_log_that_was_never_chained_says_by_which_option_it_would_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flows.jsonl");
    std::fs::write(&path, "{}\n").expect("it can be written");
    let path = path.display();
    let outcome = typed(&format!("verify {path}"), &PIPE).await;
    assert_eq!(
        (outcome.code, outcome.out),
        (
            BAD,
            format!(
                "broken: line 1 of {path} carries no hash of the line before, which --flow-log-chain has the collector write; \
                 before it, 0 lines\n"
            )
        )
    );
}

#[tokio::test]
async fn a_recording_over_tls_says_which_option_it_needs() {
    let outcome = typed("record van.jsonl --router amqps://127.0.0.1:1", &PIPE).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (WRONG_USE, ""));
    assert_eq!(
        outcome.err,
        "error: --router is an amqps:// URL, which needs --ca FILE: the authority that signed the router's certificate\n"
    );
}

#[tokio::test]
async fn a_recording_of_nothing_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("van.jsonl");
    let path = path.display();
    // Bound and let go: nobody listens there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    drop(listener);
    let outcome = typed(&format!("record {path} --router amqp://{address} --for 1s"), &PIPE).await;
    let lines: Vec<_> = outcome.err.lines().collect();
    assert_eq!(lines[0], format!("recording what amqp://{address} sends to {path}; interrupt it to end"));
    assert!(lines[1].starts_with("not attached: ") && lines[1].ends_with("; trying again"), "{}", lines[1]);
    assert_eq!(lines[2..], [format!("nothing came, and {path} is not there")]);
    assert_eq!(outcome.code, NOT_REACHABLE);
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
}

#[tokio::test]
async fn nobody_there_is_3_and_says_how_to_name_another() {
    // Bound and let go: nobody listens there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    drop(listener);
    let outcome = typed(&format!("status --server http://{address}"), &PIPE).await;
    assert_eq!(
        outcome.err,
        format!(
            "error: cannot reach the collector at http://{address}: Connection refused (os error 111); --server URL, or \
             VFLOW_SERVER, says where it is, and --input FILE reads a capture without one\n"
        )
    );
    assert_eq!(outcome.code, NOT_REACHABLE);
}

#[tokio::test]
async fn a_server_that_wants_to_know_who_asks_is_told_so_and_who_asks_tells() {
    let (url, _) = serve(|asked| {
        let is_known = asked.head.contains("authorization: Basic bWU6c2VjcmV0");
        Reply { status: if is_known { 200 } else { 401 }, ..Reply::ok("{\"complete\":true}") }
    })
    .await;
    let outcome = typed(&format!("status --server {url}"), &PIPE).await;
    assert_eq!(
        outcome.err,
        format!(
            "error: {url} refuses to answer (HTTP 401): log in by `vflow login`, or name yourself by --user or --token-file\n"
        )
    );
    assert_eq!(outcome.code, WRONG_USE);
    let outcome = typed(&format!("status -o ndjson --server {url} --user me:secret"), &PIPE).await;
    assert_eq!((outcome.out.as_str(), outcome.code), ("{\"complete\":true}\n", RIGHT));
    let outcome = typed(&format!("status --server {url} --user me"), &PIPE).await;
    assert_eq!(
        outcome.err,
        "error: --user has to be NAME:PASSWORD, or NAME with --password-file; in VFLOW_USER nobody sees it in a list of processes\n"
    );
}

#[tokio::test]
async fn whoever_is_no_collector_is_told_from_one() {
    let (url, _) = serve(|_| Reply::ok("<html>")).await;
    let outcome = typed(&format!("status --server {url}"), &PIPE).await;
    let expected = format!(
        "error: the answer of {url} to api/v1/verdict is no JSON: expected value at line 1 column 1\n"
    );
    assert_eq!((outcome.err, outcome.code), (expected, NOT_REACHABLE));
    let (url, _) = serve(|_| Reply { status: 404, ..Reply::ok("nothing") }).await;
    let outcome = typed(&format!("status --server {url}"), &PIPE).await;
    let expected = format!("error: {url} cannot answer api/v1/verdict (HTTP 404): it says no more\n");
    assert_eq!((outcome.err, outcome.code), (expected, NOT_REACHABLE));
}

#[tokio::test]
async fn a_server_that_is_named_wrongly_is_told_how_one_is_named() {
    for (server, why) in [
        ("127.0.0.1:8010", "has neither http:// nor https:// before it"),
        ("ftp://host", "has neither http:// nor https:// before it"),
        ("http://me:secret@host", "names a user, which is for --user to say"),
        ("http://host?x=1", "has a query"),
    ] {
        let outcome = typed(&format!("status --server {server}"), &PIPE).await;
        let expected =
            format!("error: --server is `{server}`, which {why}: it has to be as in http://127.0.0.1:8010\n");
        assert_eq!((outcome.err, outcome.code), (expected, WRONG_USE));
    }
}

#[tokio::test]
async fn help_is_output_and_what_is_unknown_is_not() {
    let outcome = typed("--help", &PIPE).await;
    assert_eq!((outcome.code, outcome.err.as_str()), (RIGHT, ""));
    for word in ["status", "observe", "top", "path", "map", "export", "query", "record", "VFLOW_SERVER"] {
        assert!(outcome.out.contains(word), "{word}");
    }
    let outcome = typed("stauts", &PIPE).await;
    assert_eq!((outcome.code, outcome.out.as_str()), (WRONG_USE, ""));
    assert!(outcome.err.contains("'status'"), "{}", outcome.err);
}

#[tokio::test]
async fn completions_and_man_pages_are_written() {
    let outcome = typed("completions bash", &PIPE).await;
    assert!(outcome.out.contains("complete -F _vflow"), "{}", outcome.out);
    let directory = tempfile::tempdir().expect("a directory");
    let outcome = typed(&format!("man {}", directory.path().display()), &PIPE).await;
    assert_eq!((outcome.code, outcome.err.as_str()), (RIGHT, ""));
    let page = std::fs::read_to_string(directory.path().join("vflow-observe.1")).expect("there is a page");
    assert!(page.contains("min\\-octets"), "{page}");
}
