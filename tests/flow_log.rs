//! The flow log against what there was: nothing is missing, and nothing there twice, over rotation and restarts.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::read::GzDecoder;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{interval, timeout};
use vanflow_collector::config::{FlowLog, FlowLogTarget, Settings};
use vanflow_proto::{
    Attribute, RecordKind, UpdateBuf,
    source::{ExchangeOptions, Source},
};

use crate::{
    network::{EPOCH, Network, listener, router},
    support::{Collector, PATIENCE},
};

/// A router with a listener.
fn source() -> Source {
    let mut source = Source::router("a:0");
    source.update(router("a:0", "0/west-1", EPOCH));
    source.update(listener("a:1", "a:0", "echo"));
    source
}

fn connection(number: usize) -> String {
    format!("a:{}", 10 + 2 * number)
}

fn request(number: usize) -> String {
    format!("a:{}", 11 + 2 * number)
}

/// Connections with a request in each.
fn begin(source: &mut Source, numbers: Range<usize>) {
    for number in numbers {
        let start = EPOCH.plus_micros(number as u64 + 1);
        source.update(
            UpdateBuf::new(RecordKind::BiflowTport, connection(number))
                .with(Attribute::StartTime, start)
                .with(Attribute::Parent, "a:1")
                .with(Attribute::SourceHost, "10.0.0.9")
                .with(Attribute::Octets, number as u64),
        );
        source.update(
            UpdateBuf::new(RecordKind::BiflowApp, request(number))
                .with(Attribute::StartTime, start)
                .with(Attribute::Parent, &*connection(number))
                .with(Attribute::Protocol, "HTTP/1.1")
                .with(Attribute::Method, "GET")
                .with(Attribute::Result, "200"),
        );
    }
}

fn end(source: &mut Source, numbers: Range<usize>) {
    for number in numbers {
        let end = EPOCH.plus_micros(1_000_000 + number as u64);
        source.end(&request(number), end);
        source.end(&connection(number), end);
    }
}

/// The keys of connections and requests, as the log should have them.
fn all(numbers: Range<usize>) -> Vec<String> {
    let mut keys: Vec<_> = numbers
        .flat_map(|number| {
            let start = EPOCH.plus_micros(number as u64 + 1);
            [connection(number), request(number)].map(|id| format!("{id}@{start}"))
        })
        .collect();
    keys.sort();
    keys
}

/// Where a collector keeps its state and its log.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        fs::create_dir(directory.path().join("log")).expect("it is there");
        Self(directory)
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log/flow.log")
    }

    /// A collector of this place, whose files are full with so many octets.
    async fn collector(&self, network: &Network, octets: u64) -> Collector {
        self.collector_with(network, octets, |_| {}).await
    }

    /// The same, with a flow log that is changed.
    async fn collector_with(
        &self,
        network: &Network,
        octets: u64,
        changed: impl FnOnce(&mut FlowLog),
    ) -> Collector {
        let (log, state) = (self.log(), self.0.path().join("state"));
        let arguments = [
            "--flow-log",
            log.to_str().expect("UTF-8"),
            "--flow-log-chain",
            "--state",
            state.to_str().expect("UTF-8"),
        ];
        let url = network.exchange().url();
        let change = |settings: &mut Settings| {
            settings.waits.shortest_retry = 200_000;
            settings.waits.grace = 1_000_000;
            let flow_log = settings.flow_log.as_mut().expect("a log");
            assert_eq!(flow_log.target, FlowLogTarget::File(log.clone()));
            flow_log.rotation.octets = Some(octets);
            flow_log.rotation.keep = 1000;
            changed(flow_log);
        };
        let collector = Collector::start_with(["--router", &url].into_iter().chain(arguments), change).await;
        collector.ready().await;
        collector
    }

    /// What is there at this moment, as a machine that stops leaves it: these before those.
    fn crashed(&self, parts: [&str; 2]) -> Self {
        let copy = Self::new();
        for part in parts {
            let to = copy.0.path().join(part);
            fs::create_dir_all(&to).expect("it is there");
            for entry in fs::read_dir(self.0.path().join(part)).expect("it is there") {
                let entry = entry.expect("it is there");
                // What was renamed or removed meanwhile is there under its next name, or not needed any more.
                if let Ok(octets) = fs::read(entry.path()) {
                    fs::write(to.join(entry.file_name()), octets).expect("it is there");
                }
            }
        }
        copy
    }

    /// How many lines there are of each key that say that.
    fn keys_of(&self, what: &str) -> BTreeMap<String, usize> {
        let mut keys = BTreeMap::new();
        let folder = self.log().parent().expect("it is there").to_owned();
        let files =
            fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it is there").path());
        for file in files.filter(|file| file.extension().is_none_or(|end| end != "unfinished")) {
            for line in text(&file).lines() {
                // What is being written has no end yet.
                let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
                if !line["event"].as_str().expect("an event").ends_with(what) {
                    continue;
                }
                *keys.entry(line["key"].as_str().expect("a key").to_owned()).or_default() += 1;
            }
        }
        keys
    }

    /// Waits until the log has so many keys.
    async fn until(&self, lines: usize) {
        self.until_it_has("end", lines, 1).await;
    }

    /// Waits until the log has as many lines or more that say that, of so many keys.
    async fn until_it_has(&self, what: &str, keys: usize, times: usize) {
        let found = || self.keys_of(what).values().filter(|its| **its >= times).count();
        let asking = async {
            let mut pace = interval(Duration::from_millis(50));
            while found() < keys {
                pace.tick().await;
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("there are {}", found()));
    }

    /// Each of those is there once, and nothing else.
    #[track_caller]
    fn has_once(&self, expected: &[String]) {
        self.has_once_that_it("end", expected);
    }

    #[track_caller]
    fn has_once_that_it(&self, what: &str, expected: &[String]) {
        let keys = self.keys_of(what);
        let doubled: Vec<_> = keys.iter().filter(|(_, times)| **times != 1).collect();
        assert_eq!(doubled, []);
        assert_eq!(keys.into_keys().collect::<Vec<_>>(), expected);
    }

    /// What `vflow verify` says, and its exit code.
    async fn verified(&self) -> (String, u8) {
        let surroundings = vflow::Surroundings {
            zone: vflow::Zone::Utc,
            width: None,
            out_is_terminal: false,
            err_is_terminal: false,
        };
        let line = ["vflow".into(), "verify".into(), self.log().into_os_string()];
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = vflow::run(line, &surroundings, &mut out, &mut err).await;
        assert_eq!(String::from_utf8(err).expect("UTF-8"), "");
        (String::from_utf8(out).expect("UTF-8"), code)
    }
}

/// What a file has, compressed or not; nothing where it was renamed meanwhile.
fn text(file: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut opened) = File::open(file) {
        let read = match file.extension().is_some_and(|end| end == "gz") {
            true => GzDecoder::new(opened).read_to_string(&mut text),
            false => opened.read_to_string(&mut text),
        };
        read.expect("it is there");
    }
    text
}

#[tokio::test]
async fn each_connection_and_request_is_logged_once_over_rotation_restarts_and_crashes() {
    // faults 39
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(source());
    let place = Place::new();
    let collector = place.collector(&network, 6_000).await;
    network.report("a:0", |source| begin(source, 0..60));
    network.report("a:0", |source| end(source, 0..20));
    place.until(40).await;

    // As a machine leaves it that stops at this moment, whatever of it is newer.
    let crashed = [place.crashed(["state", "log"]), place.crashed(["log", "state"])];
    network.report("a:0", |source| end(source, 20..40));
    place.until(80).await;
    collector.leave().await;
    place.has_once(&all(0..40));

    // What ended while no collector was there to see it is logged when it is known.
    network.report("a:0", |source| end(source, 40..50));
    for place in [&place, &crashed[0], &crashed[1]] {
        let collector = place.collector(&network, 6_000).await;
        place.until(100).await;
        collector.leave().await;
        place.has_once(&all(0..50));
    }
    let collector = place.collector(&network, 6_000).await;
    network.report("a:0", |source| end(source, 50..60));
    place.until(120).await;
    collector.leave().await;
    place.has_once(&all(0..60));

    let files = fs::read_dir(place.log().parent().unwrap()).unwrap().count();
    assert!(files > 5, "{files}");
    for (place, lines) in [(&place, 120), (&crashed[0], 100), (&crashed[1], 100)] {
        let (said, code) = place.verified().await;
        assert!(said.starts_with(&format!("unbroken: {lines} lines in ")), "{said}");
        assert!(said.contains(", from the very first; "), "{said}");
        assert_eq!(code, vflow::RIGHT);
    }
}

#[tokio::test]
async fn what_begins_is_logged_once_and_what_is_open_again_and_again_over_rotation_restarts_and_crashes() {
    // faults 39
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(source());
    let place = Place::new();
    let opened = |flow_log: &mut FlowLog| {
        flow_log.has_opened = true;
        flow_log.progress = Some(Duration::from_secs(1));
    };
    let collector = place.collector_with(&network, 6_000, opened).await;
    network.report("a:0", |source| begin(source, 0..20));
    network.report("a:0", |source| end(source, 0..5));
    place.until(10).await;
    place.until_it_has("open", 40, 1).await;
    place.until_it_has("progress", 30, 2).await;

    let crashed = [place.crashed(["state", "log"]), place.crashed(["log", "state"])];
    collector.leave().await;
    network.report("a:0", |source| begin(source, 20..25));
    network.report("a:0", |source| end(source, 5..10));
    for place in [&place, &crashed[0], &crashed[1]] {
        let before = place.keys_of("progress").into_values().max().unwrap_or(0);
        let collector = place.collector_with(&network, 6_000, opened).await;
        place.until(20).await;
        place.until_it_has("open", 50, 1).await;
        place.until_it_has("progress", 20, before + 1).await;
        collector.leave().await;
        place.has_once_that_it("open", &all(0..25));
        place.has_once(&all(0..10));
        assert_eq!(place.verified().await.1, vflow::RIGHT);
    }
}

#[tokio::test]
async fn a_line_that_is_changed_added_or_removed_breaks_the_chain() {
    let network = Network::start(ExchangeOptions::default()).await;
    network.add(source());
    let place = Place::new();
    let collector = place.collector(&network, 21_000).await;
    network.report("a:0", |source| begin(source, 0..20));
    network.report("a:0", |source| end(source, 0..20));
    place.until(40).await;
    collector.leave().await;
    let current = place.log();
    let whole = fs::read_to_string(&current).unwrap();
    assert!(whole.lines().count() >= 3, "{whole}");
    let name = current.display();
    let follows = |line| {
        format!(
            "broken: line {line} of {name} does not follow the line before: one of them was changed, or lines between them \
             were added or removed; before it, "
        )
    };
    let mut lines: Vec<_> = whole.split_inclusive('\n').collect();
    let (first, second) = (lines[0], lines[1]);
    let changed = first.replace("10.0.0.9", "10.0.0.8").replace("GET", "PUT");
    assert_ne!(changed, first);
    for (with, broken) in [
        (vec![&*changed, second], follows(2)),
        (vec![second], follows(1)),
        (vec![first, first], follows(2)),
        (
            vec![first, "{}\n"],
            format!("broken: line 2 of {name} carries no hash of the line before; before it, "),
        ),
    ] {
        lines.splice(0..2, with);
        fs::write(&current, lines.concat()).unwrap();
        let (said, code) = place.verified().await;
        assert!(said.starts_with(&broken), "{said}");
        assert_eq!(code, vflow::BAD);
        lines = whole.split_inclusive('\n').collect();
    }

    // What a rotation has removed is no break, and is said.
    fs::write(&current, &whole).unwrap();
    let oldest = current.with_extension("log.000001.gz");
    assert!(text(&oldest).lines().count() > 1);
    fs::remove_file(&oldest).unwrap();
    let (said, code) = place.verified().await;
    assert!(said.contains(", what came before them is not there; the last has the hash "), "{said}");
    assert_eq!(code, vflow::RIGHT);
}
