use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use serde_json::Value as Json;
use tempfile::TempDir;
use vanflow_api::selection::{Directory, Process};
use vanflow_history::rows::{Row, Value};

use super::{
    file::{FlowLogError, LogFile, Rotation},
    line::{self, Lines},
    *,
};
use crate::config::FlowLogFormat;

const AT: u64 = 1_795_662_840_123_456;

fn row(table: usize, values: &[(&str, Value)]) -> Entry {
    let table_of = &tables()[table];
    let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let values = table_of.columns.iter().map(|column| value(column.name).unwrap_or_default()).collect();
    Entry { phase: Phase::End, table, row: Row { values }, at: AT + 1 }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn connection(key: &str) -> Entry {
    row(
        0,
        &[
            ("key", text(key)),
            ("endTime", Value::Number(AT)),
            ("startTime", Value::Number(0)),
            ("sourceHost", text("10.0.0.9")),
            ("sourceProcessName", text("cart \"7\"")),
            ("sourceSiteName", text("west")),
            ("destSiteName", text("east")),
            ("routingKey", text("catalog:8080")),
            ("protocol", text("tcp")),
            ("octetCount", Value::Number(1500)),
            ("octetReverseCount", Value::Number(u64::MAX)),
            ("duration", Value::None),
            ("connectorInferred", Value::Truth(true)),
            ("listenerError", text("reset\n{\"key\":\"b@1\"}")),
            ("traceSites", Value::Texts(vec!["west".into(), "east".into()])),
            ("network", text("van")),
        ],
    )
}

fn request() -> Entry {
    row(
        1,
        &[
            ("key", text("a:3@0")),
            ("endTime", Value::Number(AT)),
            ("clientAddress", text("203.0.113.7")),
            ("method", text("GET")),
            ("status", text("503")),
            ("routingKey", text("catalog:8080")),
            ("protocol", text("http1")),
            ("octetReverseCount", Value::Number(512)),
            ("duration", Value::Number(1700)),
        ],
    )
}

fn lines(format: FlowLogFormat, fields: Option<&[&str]>) -> Lines {
    let fields = fields.map(|fields| fields.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    Lines::new(format, tables(), fields.as_deref(), None, false)
}

#[test]
fn a_line_of_json_has_what_is_known_by_the_names_of_the_api() {
    let line = lines(FlowLogFormat::Json, None).line(&connection("a:2@0"), None);
    assert_eq!(
        line,
        "{\"time\":\"2026-11-26T03:14:00.123456Z\",\"event\":\"connection.end\",\
         \"connectorInferred\":true,\"destSiteName\":\"east\",\"endTime\":1795662840123456,\"key\":\"a:2@0\",\
         \"listenerError\":\"reset\\n{\\\"key\\\":\\\"b@1\\\"}\",\"octetCount\":1500,\
         \"octetReverseCount\":18446744073709551615,\"protocol\":\"tcp\",\"routingKey\":\"catalog:8080\",\
         \"sourceHost\":\"10.0.0.9\",\"sourceProcessName\":\"cart \\\"7\\\"\",\
         \"sourceSiteName\":\"west\",\"traceSites\":[\"west\",\"east\"],\
         \"network\":\"van\"}\n"
    );
    let chosen = lines(FlowLogFormat::Json, Some(&["event", "status", "routingKey"]));
    assert_eq!(
        chosen.line(&request(), Some("abc")),
        "{\"event\":\"request.end\",\"status\":\"503\",\"routingKey\":\"catalog:8080\",\"key\":\"a:3@0\",\
         \"prev\":\"abc\"}\n"
    );
}

#[test]
fn a_line_of_the_combined_format_begins_as_those_of_web_servers() {
    let lines = lines(FlowLogFormat::Combined, None);
    assert_eq!(
        lines.line(&request(), None),
        "203.0.113.7 - - [26/Nov/2026:03:14:00 +0000] \"GET catalog:8080 http1\" 503 512 \"-\" \"-/-\" - 1700 \"-\" a:3@0\n"
    );
    assert_eq!(
        lines.line(&connection("a 2@0"), None),
        "10.0.0.9 - cart\\x20\\x227\\x22 [26/Nov/2026:03:14:00 +0000] \"- catalog:8080 tcp\" - 18446744073709551615 \
         \"west\" \"east/-\" 1500 - \"reset\\x0a{\\x22key\\x22:\\x22b@1\\x22}\" a\\x202@0\n"
    );
}

#[test]
fn a_line_of_what_is_open_says_so_and_can_be_told_from_that_of_its_end() {
    let fields = ["time", "octetCount"].map(str::to_owned);
    let lines = Lines::new(FlowLogFormat::Json, tables(), Some(&fields), None, true);
    let values = [("key", text("a:2@7")), ("startTime", Value::Number(AT)), ("octetCount", Value::Number(7))];
    let line = |phase| lines.line(&Entry { phase, ..row(0, &values) }, None);
    let open = line(Phase::Open);
    assert_eq!(
        open,
        "{\"time\":\"2026-11-26T03:14:00.123456Z\",\"octetCount\":7,\"key\":\"a:2@7\",\
         \"event\":\"connection.open\"}\n"
    );
    assert_eq!(
        line(Phase::Progress),
        open.replace("3456Z", "3457Z").replace("connection.open", "connection.progress")
    );
    for phase in [Phase::Open, Phase::Progress, Phase::End] {
        let read = line::read(line(phase).trim_end().as_bytes());
        assert_eq!(read, Some((phase, "a:2@7".to_owned())));
    }
}

#[test]
fn what_passes_filters_has_a_line() {
    let lines = lines(FlowLogFormat::Json, None);
    let open = Entry { phase: Phase::Open, ..connection("a:2@0") };
    let entries = [connection("a:2@0"), request(), open];
    for (filters, pass) in [
        (&[][..], [true, true, true]),
        (&["site=w*"], [true, false, true]),
        (&["from-site=east", "from-site=west"], [true, false, true]),
        (&["to-site=west"], [false, false, false]),
        (&["service=catalog"], [true, true, true]),
        (&["not-service=catalog"], [false, false, false]),
        // Connections have no status, and are not logged.
        (&["status=5xx"], [false, true, false]),
        (&["not-status=5xx"], [false, false, false]),
        (&["error"], [true, true, true]),
        (&["not-error", "kind=*.end"], [false, false, false]),
        (&["to-error"], [false, false, false]),
        (&["kind=connection.*"], [true, false, true]),
        (&["kind=*.open"], [false, false, true]),
        (&["min-octets=2kB", "host=10.0.0.9"], [true, false, true]),
        (&["min-latency=2ms"], [false, false, false]),
        (&["min-latency=1ms"], [false, true, false]),
    ] {
        let filters: Vec<_> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let admission = Admission::new(&parse_filters(&filters).unwrap(), tables());
        let admitted = entries.each_ref().map(|entry| admission.admits(entry, &lines));
        assert_eq!(admitted, pass, "{filters:?}");
    }
}

#[test]
fn filters_by_component_and_by_what_a_client_serves_go_by_what_is_known_of_processes() {
    let lines = lines(FlowLogFormat::Json, None);
    let between = |source: &str, destination: &str| {
        let ends = [("sourceProcessId", text(source)), ("destProcessId", text(destination))];
        row(0, &[("key", text("a:2@0")), ends[0].clone(), ends[1].clone()])
    };
    let entries = [between("cart-1", "catalog-1"), between("catalog-1", "db-1"), between("", "cart-1")];
    let process = |name: &str, services: &[&str]| {
        let process = Process {
            component: name.to_owned(),
            component_id: format!("id-{name}"),
            services: services.iter().map(|service| (*service).to_owned()).collect(),
        };
        (format!("{name}-1"), process)
    };
    let known = Directory {
        processes: [process("cart", &[]), process("catalog", &["catalog:8080@1@tcp"]), process("db", &[])]
            .into(),
        ..Directory::default()
    };
    for (filters, pass) in [
        (&["component=cart"][..], [true, false, true]),
        (&["from-component=ca*"], [true, true, false]),
        (&["to-component=id-db"], [false, true, false]),
        (&["not-component=cart"], [false, true, false]),
        (&["from-service=catalog"], [false, true, false]),
    ] {
        let filters: Vec<_> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let mut admission = Admission::new(&parse_filters(&filters).unwrap(), tables());
        admission.learn(|| known.clone());
        let admitted = entries.each_ref().map(|entry| admission.admits(entry, &lines));
        assert_eq!(admitted, pass, "{filters:?}");
    }
    let mut admission = Admission::new(&parse_filters(&["site=west".to_owned()]).unwrap(), tables());
    admission.learn(|| panic!("nothing asks for it"));
}

proptest! {
    #[test]
    fn the_key_of_any_line_is_read_off_it_again(
        id in "\\PC{1,8}|[\"\\\\ \n{}:,key]{1,12}",
        other in "\\PC{0,8}|[\"\\\\ \n{}:,key]{1,12}",
        is_json in any::<bool>(),
    ) {
        let format = if is_json { FlowLogFormat::Json } else { FlowLogFormat::Combined };
        let key = format!("{id}@17");
        let row = row(0, &[("key", text(&key)), ("endTime", Value::Number(AT)), ("sourceHost", text(&other)),
            ("connectorError", text(&other)), ("sourceProcessName", text(&other))]);
        let line = lines(format, None).line(&row, None);
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert_eq!(line::read(line.trim_end_matches('\n').as_bytes()), Some((Phase::End, key)));
    }
}

fn rotation(octets: u64, keep: usize) -> Rotation {
    Rotation { octets: Some(octets), age: None, keep }
}

#[track_caller]
fn open(path: &Path, rotation: Rotation) -> (LogFile, Vec<String>) {
    LogFile::open(path, rotation).unwrap()
}

fn line(number: usize) -> String {
    lines(FlowLogFormat::Json, Some(&["key"])).line(&connection(&format!("a:{number}@0")), None)
}

/// The keys of all files. None is there twice.
#[track_caller]
fn keys(file: &LogFile) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let remarks = file
        .keys(SystemTime::UNIX_EPOCH, false, |_, _, key| {
            assert!(keys.insert(key.to_owned()), "{key} is there twice");
        })
        .unwrap();
    assert_eq!(remarks, Vec::<String>::new());
    keys
}

fn numbered(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(|number| format!("a:{number}@0")).collect()
}

/// The names of what is in a folder.
fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn later(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000 + seconds)
}

#[test]
fn a_full_file_is_finished_compressed_and_removed_when_there_are_more_than_are_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("flow.log");
    let (mut file, remarks) = open(&path, rotation(line(0).len() as u64 * 2, 2));
    assert_eq!(remarks, Vec::<String>::new());
    for number in 0..7 {
        file.append(line(number).as_bytes()).unwrap();
        file.rotate(later(0)).unwrap();
        file.settle().unwrap();
    }
    assert_eq!(names(&folder), ["flow.log", "flow.log.000002.gz", "flow.log.000003.gz"]);
    assert_eq!(keys(&file), numbered(2..7));
    assert_eq!(file.last_line().unwrap().as_deref(), Some(line(6).trim_end().as_bytes()));
    drop(file);
    // Numbers go on where they were.
    let (mut file, _) = open(&path, rotation(1, 2));
    file.rotate(later(0)).unwrap();
    file.settle().unwrap();
    assert_eq!(names(&folder), ["flow.log", "flow.log.000003.gz", "flow.log.000004.gz"]);
    assert_eq!(file.last_line().unwrap().as_deref(), Some(line(6).trim_end().as_bytes()));
}

#[test]
fn an_old_file_is_finished_too_and_an_empty_one_never() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("flow.log");
    let by_age = Rotation { octets: None, age: Some(Duration::from_secs(60)), keep: 9 };
    let (mut file, _) = open(&path, by_age);
    file.rotate(later(0)).unwrap();
    assert_eq!(names(&folder), ["flow.log"]);
    file.append(line(0).as_bytes()).unwrap();
    file.rotate(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(names(&folder), ["flow.log"]);
    file.rotate(later(0)).unwrap();
    file.settle().unwrap();
    assert_eq!(names(&folder), ["flow.log", "flow.log.000001.gz"]);
}

/// faults 39
#[test]
fn whatever_a_crash_leaves_of_a_file_that_is_compressed_each_line_is_there_once() {
    let whole = || {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("flow.log");
        let (mut file, _) = open(&path, rotation(line(0).len() as u64, 9));
        for number in 0..2 {
            file.append(line(number).as_bytes()).unwrap();
            file.rotate(later(0)).unwrap();
        }
        file.settle().unwrap();
        (folder, path)
    };
    let (folder, path) = whole();
    let compressed = fs::read(folder.path().join("flow.log.000002.gz")).unwrap();
    let beside = |end: &str| -> PathBuf { path.with_extension(format!("log.000002{end}")) };
    // Renamed; begun to be compressed; compressed, and not removed yet.
    for left in [None, Some(".gz.unfinished"), Some(".gz")] {
        fs::remove_file(beside(".gz")).unwrap();
        fs::write(beside(""), line(1)).unwrap();
        if let Some(left) = left {
            let length = if left == ".gz" { compressed.len() } else { compressed.len() / 2 };
            fs::write(beside(left), &compressed[..length]).unwrap();
        }
        let (mut file, remarks) = open(&path, rotation(1 << 20, 9));
        assert_eq!(remarks, Vec::<String>::new());
        assert_eq!(keys(&file), numbered(0..2), "{left:?}");
        file.rotate(later(0)).unwrap();
        file.settle().unwrap();
        assert_eq!(keys(&file), numbered(0..2), "{left:?}");
        assert_eq!(names(&folder), ["flow.log", "flow.log.000001.gz", "flow.log.000002.gz"], "{left:?}");
    }
}

/// faults 39
#[test]
fn a_line_that_a_crash_tore_is_cut_off_wherever_that_was() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("flow.log");
    let whole = line(0) + &line(1);
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        if length == 1 {
            // That could be anything, and is left alone.
            assert!(LogFile::open(&path, rotation(1 << 20, 9)).is_err());
            continue;
        }
        let (mut file, remarks) = open(&path, rotation(1 << 20, 9));
        let ends = whole[..length].matches('\n').count();
        assert_eq!(remarks.is_empty(), length == 0 || whole[..length].ends_with('\n'), "{remarks:?}");
        assert_eq!(keys(&file), numbered(0..ends), "of {length} octets");
        file.append(line(7).as_bytes()).unwrap();
        assert_eq!(keys(&file), numbered((0..ends).chain([7])), "of {length} octets");
    }
}

#[test]
fn a_file_that_is_moved_away_is_followed_by_another() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("flow.log");
    let (mut file, _) = open(&path, Rotation { octets: None, age: None, keep: 1 });
    file.append(line(0).as_bytes()).unwrap();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    file.append(line(1).as_bytes()).unwrap();
    file.rotate(later(0)).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("moved")).unwrap(), line(0));
    assert_eq!(fs::read_to_string(&path).unwrap(), line(1));
}

/// faults 39
#[test]
fn what_is_no_flow_log_is_left_alone_and_a_second_writer_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("flow.log");
    for text in ["root:x:0:0:root:/root:/bin/sh\n", "{\"a\":1}\n", "no end of a line"] {
        fs::write(&path, text).unwrap();
        let error = LogFile::open(&path, rotation(1, 1)).unwrap_err();
        assert!(matches!(error, FlowLogError::NotOurs { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "{} is there already, and is no flow log: its first line is not one of connections or requests; name \
                 another file, or move it away",
                path.display()
            )
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::remove_file(&path).unwrap();
    let (_first, _) = open(&path, rotation(1, 1));
    assert_eq!(
        LogFile::open(&path, rotation(1, 1)).unwrap_err().to_string(),
        format!(
            "{} is in use by another process; each collector needs a flow log of its own",
            path.display()
        )
    );
    let nowhere = folder.path().join("nowhere/flow.log");
    assert_eq!(
        LogFile::open(&nowhere, rotation(1, 1)).unwrap_err().to_string(),
        format!("cannot keep a flow log in {}: No such file or directory (os error 2)", nowhere.display())
    );
}

#[test]
fn hashes_are_those_that_other_programs_work_out() {
    // printf %s abc | sha256sum
    assert_eq!(line::hash(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let first: Json = serde_json::from_str(&format!("\"{}\"", line::first())).unwrap();
    assert_eq!(first.as_str().map(str::len), Some(64));
}

/// faults 39
#[test]
fn a_finished_file_that_is_damaged_is_remarked_on_and_costs_no_other() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("flow.log");
    let (mut file, _) = open(&path, rotation(1, 9));
    for number in 0..3 {
        file.append(line(number).as_bytes()).unwrap();
        file.rotate(later(0)).unwrap();
        file.settle().unwrap();
    }
    let damaged = folder.path().join("flow.log.000002.gz");
    let octets = fs::read(&damaged).unwrap();
    fs::write(&damaged, &octets[..octets.len() / 2]).unwrap();
    let mut keys = Vec::new();
    let remarks = file.keys(SystemTime::UNIX_EPOCH, false, |_, _, key| keys.push(key.to_owned())).unwrap();
    assert_eq!(keys, ["a:0@0", "a:2@0"]);
    let begins = format!("{} cannot be read to its end: ", damaged.display());
    assert!(remarks.len() == 1 && remarks[0].starts_with(&begins), "{remarks:?}");
    assert!(remarks[0].ends_with("; what is in the rest of it can be logged twice"), "{remarks:?}");
}
