//! What a row is, is said in one table. All that is derived from it is held to it here: files, a ClickHouse, the flow log, CSV and
//! the document of the APIs. (Columns of vflow are in its own tests.)

use std::collections::BTreeSet;

use http::Request;
use http_body_util::BodyExt;
use parquet::schema::printer::print_schema;
use serde_json::{Value as Json, json};
use vanflow_api::{Api, ApiOptions, Network, history_tables, tables};
use vanflow_history::{
    ParquetWriter,
    rows::{Column, ColumnKind, Table},
};
use vanflow_store::{Store, StoreOptions};

use crate::{clickhouse, flow_log};

/// What rows have beside the properties of the API.
const BESIDE: [&str; 5] = ["sourceComponentName", "destComponentName", "replaces", "network", "source"];

/// What columns of a kind are: in a file, in a ClickHouse, and in the document of the APIs.
fn forms(column: Column) -> (String, &'static str, &'static [&'static str], &'static str) {
    let name = column.name;
    match column.kind {
        ColumnKind::Text => (
            format!("OPTIONAL BYTE_ARRAY {name} (STRING);"),
            "String",
            &["CODEC(ZSTD(1))", "LowCardinality("],
            "string",
        ),
        ColumnKind::Texts => {
            (format!("REQUIRED group {name} (LIST) {{"), "Array(LowCardinality(String))", &[""], "array")
        }
        ColumnKind::Number => (
            format!("OPTIONAL INT64 {name} (INTEGER(64,false));"),
            "UInt64",
            &["CODEC(T64, ZSTD(1))"],
            "integer",
        ),
        ColumnKind::Instant => (
            format!("OPTIONAL INT64 {name} (TIMESTAMP(MICROS,true));"),
            "DateTime64(6, 'UTC')",
            &["CODEC(DoubleDelta, ZSTD(1))"],
            "integer",
        ),
        ColumnKind::Truth => (format!("OPTIONAL BOOLEAN {name};"), "Bool", &[""], "boolean"),
    }
}

/// The lines of the schema of a file of that table.
fn schema(table: &Table) -> Vec<String> {
    let writer = ParquetWriter::new(table, &table.columns, 1, Vec::new()).expect("it is written");
    let file = bytes::Bytes::from(writer.end().expect("it is written"));
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&file);
    let metadata = metadata.expect("it is read");
    let mut text = Vec::new();
    print_schema(&mut text, metadata.file_metadata().schema());
    let text = String::from_utf8(text).expect("it is text");
    text.lines().map(|line| line.trim().to_owned()).collect()
}

async fn answer(path: &str, media: &str) -> String {
    let (network, _) = Network::new(Store::new(StoreOptions::default()));
    let api = Api::new(network, ApiOptions::default());
    let (request, ()) = Request::get(path).header("accept", media).body(()).expect("a request").into_parts();
    let body = api.respond(&request).into_body().collect().await.expect("it comes whole");
    String::from_utf8(body.to_bytes().into()).expect("it is text")
}

#[test]
fn files_and_a_clickhouse_have_the_columns_of_the_table_and_no_others() {
    for table in history_tables() {
        let lines = schema(&table);
        let there = clickhouse::extended(&table);
        let more: Vec<_> = there.columns[table.columns.len()..].iter().map(|column| column.name).collect();
        assert_eq!(
            (&there.columns[..table.columns.len()], &*more),
            (&*table.columns, &["observer", "written"][..])
        );
        assert!(table.column("network").is_some(), "{}", table.name);
        let mut lists = 0;
        for (at, column) in table.columns.iter().enumerate() {
            let (in_file, kind, packed, _) = forms(*column);
            assert!(lines.contains(&in_file), "{}: {in_file}: {lines:#?}", table.name);
            lists += usize::from(column.kind == ColumnKind::Texts);
            let definition = clickhouse::definition(&there, at);
            assert!(definition.starts_with(&format!("`{}` ", column.name)), "{definition}");
            assert!(definition.contains(kind), "{definition}");
            assert!(packed.iter().any(|packed| definition.contains(packed)), "{definition}");
        }
        // Beside a line for each there are the message, its end, and of each list four more.
        assert_eq!(lines.len(), table.columns.len() + 2 + 4 * lists, "{lines:#?}");
    }
}

#[tokio::test]
async fn the_flow_log_csv_and_the_document_of_the_apis_have_the_properties_of_the_table() {
    let document: Json = serde_json::from_str(&answer("/openapi.json", "*/*").await).expect("it is JSON");
    let logged: BTreeSet<_> = flow_log::names(&tables()).into_iter().collect();
    let lists = [("connections", "Connection"), ("applicationflows", "ApplicationFlow")];
    for (table, (path, schema)) in tables().into_iter().zip(lists) {
        let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        assert!(names.iter().all(|name| logged.contains(name)), "{}", table.name);
        assert!(BESIDE.iter().all(|name| names.contains(name)), "{}", table.name);
        let properties: Vec<_> = names.into_iter().filter(|name| !BESIDE.contains(name)).collect();
        let csv = answer(&format!("/api/v2alpha1/{path}?limit=0"), "text/csv").await;
        assert_eq!(csv.trim_end(), properties.join(","));
        let described = &document["components"]["schemas"][schema]["properties"];
        let described = described.as_object().expect("it is described");
        let known: BTreeSet<_> = described.keys().map(String::as_str).collect();
        assert_eq!(known, properties.iter().copied().collect());
        for column in table.columns.iter().filter(|column| !BESIDE.contains(&column.name)) {
            let (.., kind) = forms(*column);
            let its = &described[column.name]["type"];
            assert!(*its == json!(kind) || *its == json!([kind, "null"]), "{}: {its}", column.name);
        }
    }
    let expected = ["time", "event", "observer"].into_iter();
    let columns = tables().into_iter().flat_map(|table| table.columns);
    assert_eq!(logged, expected.chain(columns.map(|column| column.name)).collect());
}
