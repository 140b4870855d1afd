//! What a history on disk costs, and how fast it answers: a day of the emulated network, in virtual time, seeded.
//!
//! ```sh
//! cargo bench -p vanflow-collector --bench history                     # an hour of 100 connections a second
//! cargo bench -p vanflow-collector --bench history -- 24 116 history   # a day of ten million, left in that directory
//! ```
//!
//! Hours, connections a second, and a directory; the same arguments give the same rows, to the octet. Prints what a
//! connection takes on disk, how many rows are written in a second of one core, and what questions take that are asked of all
//! of it, the median of five. Where the directory has a history already, nothing is made, and that is asked.

#![expect(clippy::print_stdout, reason = "what it measures is its output")]

use std::{
    collections::HashSet,
    env, fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use vanflow_api::{Api, ApiOptions, Due, Ended, Network, Publisher, TakenEvents, history_tables};
use vanflow_collector::demo::{DemoOptions, Van};
use vanflow_history::{
    Archive, ArchiveOptions,
    rows::{Row, Rows, Span, Value, Wanted},
};
use vanflow_proto::{
    Message, Timestamp,
    discovery::{Discovery, Settings},
};
use vanflow_store::{Follower, Store, StoreOptions};

/// 26 November 2026, 00:00 UTC.
const BEGIN: u64 = 1_795_651_200_000_000;
const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3600 * SECOND;

fn main() {
    // Cargo passes `--bench`.
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |at: usize| arguments.get(at).and_then(|argument| argument.parse::<f64>().ok());
    let (hours, rate) = (number(0).unwrap_or(1.0), number(1).unwrap_or(100.0));
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let directory = arguments.get(2).map_or(temporary.path().to_owned(), PathBuf::from);
    let end = BEGIN + (hours * HOUR as f64) as u64;
    // A history that is there is asked as it is, however long it is.
    let end = if directory.join("extent").exists() { end_of(&directory) } else { end };
    if !directory.join("extent").exists() {
        make(&directory, rate, end);
        memory();
    }
    ask(&directory, end);
    ninety_days(&directory, end);
}

/// A network, and a collector that keeps what ends in it.
struct Made {
    van: Van,
    publisher: Publisher,
    follower: Follower,
    discovery: Discovery,
    api: Api,
    ended: Ended,
    events: TakenEvents,
}

impl Made {
    fn new(rate: f64) -> Self {
        let start = Timestamp::from_micros(BEGIN);
        let mut van = Van::new(DemoOptions { rate, ..DemoOptions::default() }, start);
        van.announce();
        let (network, publisher) = Network::new(Store::new(StoreOptions::default()));
        let mut discovery = Discovery::new(Settings::default(), 0);
        discovery.attached(start);
        let api = Api::new(network, ApiOptions::default());
        Self {
            van,
            publisher,
            follower: Follower::new(),
            discovery,
            api,
            ended: Ended::replacing(),
            events: TakenEvents::default(),
        }
    }

    /// What ended in a second, and what happened.
    fn second(&mut self, now: Timestamp, due: Due) -> Vec<(usize, Row)> {
        let sent = self.van.advance(now);
        let mut store = self.publisher.write();
        for sent in sent {
            self.follower.advance(&mut store, &mut self.discovery, sent.at);
            let message =
                Message::decode(&sent.outgoing.message).expect("the network sends what can be read");
            self.follower.hear(&mut store, &mut self.discovery, &sent.outgoing.address, &message, sent.at);
        }
        while store.advance(now) {}
        drop(store);
        self.publisher.publish();
        let mut rows = self.api.take_events(&mut self.events);
        loop {
            let ended = self.api.take_ended(&mut self.ended, due);
            if ended.is_empty() {
                break;
            }
            rows.extend(ended);
        }
        rows
    }
}

fn make(directory: &Path, rate: f64, end: u64) {
    let mut made = Made::new(rate);
    made.second(Timestamp::from_micros(BEGIN + SECOND), Due::Settled);
    let direct: Vec<_> = made.van.sources().map(|source| Arc::clone(source.direct())).collect();
    direct.iter().for_each(|direct| {
        made.van.flush(direct);
    });
    let (archive, _) = Archive::open(directory, history_tables(), ArchiveOptions::default(), BEGIN)
        .expect("it can be written");
    let (mut rows, mut longest) = (0, Duration::ZERO);
    let (mut writing, mut merging) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
    for now in (BEGIN + 2 * SECOND..=end).step_by(SECOND as usize) {
        let due = if now + SECOND > end { Due::All } else { Due::Settled };
        let new = made.second(Timestamp::from_micros(now), due);
        rows += new.len();
        let begun = Clocks::now();
        archive.append(&new, now).expect("there is room");
        longest = longest.max(begun.since()[0]);
        archive.seal(now).expect("there is room");
        begun.add_to(&mut writing);
    }
    let begun = Clocks::now();
    archive.seal_all().expect("there is room");
    while archive.merge(end + HOUR).expect("there is room") {}
    begun.add_to(&mut merging);
    println!("{rows} rows of {:.1} hours", (end - BEGIN) as f64 / HOUR as f64);
    let by = |clock: usize| rows as f64 / (writing[clock] + merging[clock]).as_secs_f64();
    println!(
        "written, merged and synced: {:.0} rows/s by the clock, {:.0} in a second of one core; at most {longest:.1?} to append",
        by(0),
        by(1)
    );
    println!("merged in the end: {:.1?} of {:.1?}", merging[1], writing[1] + merging[1]);
    for table in history_tables() {
        let held = archive.held(table.name);
        let each = held.octets as f64 / (held.rows as f64).max(1.0);
        println!("{:12} {:10} rows, {each:.1} octets each", table.name, held.rows);
    }
    for folder in ["rollup-1m", "rollup-5m", "rollup-1h"] {
        println!("{folder}: {} octets", size(&directory.join(folder)));
    }
}

/// When something began: by the clock, and by what this thread has computed.
struct Clocks(Instant, Duration);

impl Clocks {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn now() -> Self {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        Self(Instant::now(), Duration::from_nanos(nanoseconds))
    }

    fn since(&self) -> [Duration; 2] {
        let now = Self::now();
        [now.0 - self.0, now.1.saturating_sub(self.1)]
    }

    fn add_to(&self, sums: &mut [Duration; 2]) {
        sums.iter_mut().zip(self.since()).for_each(|(sum, took)| *sum += took);
    }
}

/// When the last of a history ended.
fn end_of(directory: &Path) -> u64 {
    let (archive, _) =
        Archive::open(directory, history_tables(), ArchiveOptions::default(), BEGIN).expect("it is there");
    archive.inherited_until()
}

/// An API about what an archive has, and about nothing else.
fn api_of(archive: Archive, end: u64) -> Api {
    let (network, publisher) = Network::new(Store::new(StoreOptions::default()));
    publisher.write().advance(Timestamp::from_micros(end + HOUR));
    publisher.publish();
    let mut options = ApiOptions::default();
    let rows: Arc<dyn Rows> = Arc::new(archive);
    options.rows = Some(rows);
    Api::new(network, options)
}

fn get(api: &Api, path: &str) -> Bytes {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (request, ()) = Request::get(path).body(()).expect("a path").into_parts();
    let response = api.respond(&request);
    let status = response.status();
    let body = runtime.block_on(response.into_body().collect()).expect("it comes whole").to_bytes();
    assert!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&body));
    body
}

/// Prints what answers take, the median of five: of one core, and by the clock, which others that compute make longer.
fn measure(api: &Api, what: &str, path: &str) {
    let mut took: Vec<_> = (0..5)
        .map(|_| {
            let begun = Clocks::now();
            let length = get(api, path).len();
            let [by_clock, of_core] = begun.since();
            (of_core, by_clock, length)
        })
        .collect();
    took.sort_unstable();
    let (of_core, by_clock, length) = took[2];
    assert!(length > 100, "{path} is empty");
    println!("{what}: {of_core:.1?} of one core, {by_clock:.1?} by the clock, {length} octets");
}

/// Ninety days with as many sums an hour as that day has: of all that is summed up together one is there.
fn ninety_days(directory: &Path, end: u64) {
    const DAY: u64 = 24 * HOUR;
    let table = history_tables().swap_remove(0);
    let mut each = Vec::new();
    {
        let (archive, _) =
            Archive::open(directory, history_tables(), ArchiveOptions::default(), end).expect("it is there");
        let mut seen = HashSet::new();
        let all = Wanted::all(table.name, Span { from: 0, until: u64::MAX });
        let mut take = |row: Row| {
            let keys: Vec<_> = table.sums.keys.iter().map(|column| row.values[*column].clone()).collect();
            if seen.insert((table.end(&row) / HOUR, keys)) {
                each.push(row);
            }
            ControlFlow::Continue(())
        };
        archive.visit(&all, &mut take).expect("it can be read");
    }
    let temporary = tempfile::tempdir_in(directory).expect("a temporary directory");
    let mut options = ArchiveOptions::default();
    (options.seal_rows, options.keep_micros) = (usize::MAX, 400 * DAY);
    let (archive, _) =
        Archive::open(temporary.path(), history_tables(), options, BEGIN).expect("it can be written");
    let start = table.sums.start.expect("rows start");
    for day in 0..90 {
        let later = |row: &Row| {
            let mut row = row.clone();
            for column in [start, table.end] {
                if let Value::Number(time) = &mut row.values[column] {
                    *time += day * DAY;
                }
            }
            row.values[table.key] = Value::Text(format!("{}+{day}", table.key(&row)).into());
            (0, row)
        };
        archive.append(&each.iter().map(later).collect::<Vec<_>>(), BEGIN).expect("there is room");
        archive.seal_all().expect("there is room");
    }
    let last = BEGIN + 90 * DAY;
    while archive.merge(last + DAY).expect("there is room") {}
    drop(archive);
    // Of what was there when it was opened nobody else has anything.
    let (archive, _) = Archive::open(temporary.path(), history_tables(), ArchiveOptions::default(), last)
        .expect("it is there");
    println!(
        "{} sums of an hour in a day, ninety days: {} octets",
        each.len(),
        size(&temporary.path().join("rollup-1h"))
    );
    let api = api_of(archive, last);
    let chart =
        format!("/api/v2alpha1/connections?timeRangeStart={BEGIN}&timeRangeEnd={last}&groupBy=routingKey");
    for step in ["1d", "6h", "1h"] {
        let path = format!("{chart}&step={step}&aggregate=count,sum(octetCount)");
        measure(&api, &format!("a chart of ninety days by service and {step}"), &path);
    }
}

fn ask(directory: &Path, end: u64) {
    let begun = Clocks::now();
    let (archive, _) =
        Archive::open(directory, history_tables(), ArchiveOptions::default(), end).expect("it is there");
    let [by_clock, of_core] = begun.since();
    println!("opened in {of_core:.1?} of one core, {by_clock:.1?} by the clock");
    for table in history_tables() {
        println!("{:12} {:10} rows", table.name, archive.held(table.name).rows);
    }
    memory();
    let api = api_of(archive, end);
    let middle = BEGIN + (end - BEGIN) / 2 / HOUR * HOUR;
    let all = format!("timeRangeStart={BEGIN}&timeRangeEnd={end}");
    let hour = format!("timeRangeStart={middle}&timeRangeEnd={}", (middle + HOUR).min(end));
    let list = get(&api, &format!("/api/v2alpha1/connections?{hour}&limit=1"));
    let list: serde_json::Value = serde_json::from_slice(&list).expect("JSON");
    let one = &list["results"][0];
    let text = |name: &str| one[name].as_str().unwrap_or_default().replace('@', "%40").replace(':', "%3A");
    let connections = "/api/v2alpha1/connections";
    for (what, path) in [
        ("a page of 20 of an hour", format!("{connections}?{hour}&limit=20&sortBy=endTime.desc")),
        (
            "the same, of one service",
            format!("{connections}?{hour}&limit=20&sortBy=endTime.desc&routingKey={}", text("routingKey")),
        ),
        ("one by key", format!("{connections}/{}", text("key"))),
        ("one by identity", format!("{connections}/{}", text("identity"))),
        (
            "top talkers of all of it, by sums",
            format!(
                "{connections}?{all}&groupBy=sourceProcessName,routingKey&aggregate=count,sum(octetCount)"
            ),
        ),
        (
            "the same, by rows",
            format!(
                "{connections}?{all}&groupBy=sourceProcessName,routingKey&aggregate=count,sum(octetCount)&octetCount!=77777"
            ),
        ),
        (
            "p95 by service of all of it",
            format!("{connections}?{all}&groupBy=routingKey&aggregate=p95(latency)"),
        ),
        (
            "a chart of all of it by service and five minutes",
            format!("{connections}?{all}&groupBy=routingKey&step=5m&aggregate=count,sum(octetCount)"),
        ),
        ("a map of a minute", format!("/api/v1/map?time={}", middle + 14 * 60 * SECOND)),
        ("events of an hour", format!("/api/v1/events?{hour}")),
    ] {
        measure(&api, what, &path);
    }
    memory();
}

/// Prints what the process takes, and took at most.
fn memory() {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"))
            .for_each(|line| println!("{line}"));
    }
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let octets = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(octets).sum()
}
