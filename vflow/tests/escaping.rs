//! Names come from remote peers: nothing that a terminal acts on gets through, in any form.

use crate::{
    server::{Asked, Reply, serve},
    support::{PIPE, terminal, typed},
};

const EVIL: &str = r"\u001b[2J\u001b]0;owned\u0007\u009b31m\r\n\u202egnp";

/// Whatever is asked, all texts of the answer are evil.
fn evil(asked: &Asked) -> Reply {
    let target = asked.target.as_str();
    let item = format!(
        r#"{{"identity":"{EVIL}","key":"{EVIL}","name":"{EVIL}","siteName":"{EVIL}","sourceSiteName":"{EVIL}",
            "routingKey":"{EVIL}","sourceProcessName":"{EVIL}","connectorError":"{EVIL}","status":"{EVIL}","method":"{EVIL}",
            "traceRouters":["{EVIL}"],"services":["{EVIL}@{EVIL}@tcp"],"startTime":1795347888000000,"endTime":0,
            "time":1795347888000000,"text":"{EVIL}","detail":"{EVIL}","severity":"bad","kind":"{EVIL}","number":1}}"#
    )
    .replace('\n', "");
    let body = if target.starts_with("/api/v1/verdict") {
        format!(
            r#"{{"complete":false,"now":1795347890000000,"state":"{EVIL}","text":"{EVIL}","detail":"{EVIL}",
                "findings":[{{"severity":"bad","text":"{EVIL}","detail":"{EVIL}"}}],
                "known":[{{"severity":"warn","text":"{EVIL}","detail":"{EVIL}","value":1}}]}}"#
        )
    } else if target.starts_with("/api/v1/map") {
        format!(
            r#"{{"areas":[{{"id":"a","name":"{EVIL}","platform":"{EVIL}","severity":"bad","text":"{EVIL}"}}],
                "nodes":[{{"id":"n","area":"a","kind":"component","name":"{EVIL}"}}],
                "routers":[{{"id":"r","area":"a","name":"{EVIL}","mode":"{EVIL}"}}],
                "links":[{{"source":"r","destination":"{EVIL}","up":true}}],
                "edges":[{{"source":"n","destination":"n","services":["{EVIL}"],"severity":"bad","text":"{EVIL}"}}],
                "unplaced":[{{"subject":{{"name":"{EVIL}"}},"severity":"bad","text":"{EVIL}"}}]}}"#
        )
    } else if target.starts_with("/api/v1/path") {
        format!(
            r#"{{"from":{{"name":"{EVIL}"}},"to":{{"name":"{EVIL}"}},"connections":1,"paths":[{{"connections":1,
                "hops":[{{"type":"{EVIL}","name":"{EVIL}","siteName":"{EVIL}","address":"{EVIL}"}}]}}]}}"#
        )
    } else if target.starts_with("/prometheus") {
        format!(
            r#"{{"status":"success","warnings":["{EVIL}"],"data":{{"resultType":"vector","result":[{{"metric":{{"{EVIL}":"{EVIL}",
                "routing_key":"{EVIL}"}},"value":[1795347888,"1"]}}]}}}}"#
        )
    } else if asked.head.contains("text/csv") {
        "name,routingKey,connectorError,text\n".to_owned()
    } else if asked.head.contains("x-ndjson") {
        format!("{item}\n")
    } else {
        format!(r#"{{"results":[{item}],"count":1}}"#)
    };
    Reply::ok(body)
}

#[tokio::test]
async fn no_control_character_of_a_peer_reaches_the_terminal() {
    let (url, _) = serve(evil).await;
    let lines = [
        "status",
        "status -o json",
        "status -o yaml",
        "sites",
        "sites -o json",
        "sites -o yaml",
        "routers -o wide",
        "links",
        "services",
        "processes",
        "listeners",
        "connectors",
        "components",
        "observe",
        "observe -o wide",
        "observe -o ndjson",
        "observe requests",
        "observe events -o wide",
        "observe links",
        "map",
        "map -o yaml",
        "path a b",
        "query x",
        "query x --chart",
        "top --once",
        "sites --columns name,identity",
    ];
    for line in lines {
        for surroundings in [PIPE, terminal(80)] {
            let outcome = typed(&format!("{line} --server {url} --color never"), &surroundings).await;
            let all = format!("{}{}", outcome.out, outcome.err);
            let hidden =
                |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
            assert!(!all.contains(hidden), "{line}: {all:?}");
            assert!(all.contains("owned"), "{line} shows it: {all}");
        }
    }
}

#[tokio::test]
async fn no_formula_and_no_control_character_is_in_a_table_for_spreadsheets() {
    let (url, _) = serve(|asked| {
        if asked.head.contains("x-ndjson") {
            return Reply::ok("{\"name\":\"=cmd|' /C calc'!A0\",\"routingKey\":\"@SUM(1)\"}\n");
        }
        evil(asked)
    })
    .await;
    let outcome = typed(&format!("sites -o csv --columns name,routingKey --server {url}"), &PIPE).await;
    assert_eq!(outcome.out, "name,routingKey\n'=cmd|' /C calc'!A0,'@SUM(1)\n");
}
