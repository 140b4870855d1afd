use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path as Key};
use proptest::{collection::vec, prelude::*, sample::subsequence};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vanflow_history::{
    ArchiveOptions,
    rows::{Column, ColumnKind, Condition, Is, Row, Rows, Span, Table, UnreadableRows, Value, Wanted},
};

use super::*;
use crate::beyond::Beyond;

/// 13 September 2020, 12:00 UTC: all hours of then are over.
const AT: u64 = 1_599_998_400_000_000;

const HOUR: u64 = 60 * 60 * 1_000_000;

const ALL: Span = Span { from: 0, until: u64::MAX };

/// A collector with a directory of its own, of which files are sent to a bucket.
struct Collector {
    archive: Arc<Archive>,
    uploader: Uploader,
    directory: TempDir,
}

impl Collector {
    fn new(store: &Arc<InMemory>, name: &str, now: u64, runtime: &Runtime) -> Self {
        let directory = TempDir::new().expect("a directory");
        let mut options = ArchiveOptions::default();
        (options.keeps_unsent, options.keep_micros) = (true, 2 * HOUR);
        let (archive, remarks) =
            Archive::open(directory.path(), vanflow_api::history_tables(), options, now).expect("it opens");
        assert_eq!(remarks, Vec::<String>::new());
        let archive = Arc::new(archive);
        let store: Arc<dyn ObjectStore> = store.clone();
        let bucket = Bucket::new(store, "s3://history/van".to_owned(), "van/".to_owned(), name.to_owned());
        let cache = Cache::open(directory.path().join("cache"), 3 << 20).expect("it opens");
        let uploader =
            Uploader::of(Arc::new(bucket), archive.clone(), cache, Arc::default(), runtime.handle().clone());
        Self { archive, uploader, directory }
    }

    fn append(&self, at: usize, rows: &[Row]) {
        let rows: Vec<_> = rows.iter().map(|row| (at, row.clone())).collect();
        self.archive.append(&rows, AT).expect("they are kept");
        self.archive.seal_all().expect("they are in files");
    }

    /// Sends what is finished.
    fn send(&mut self, runtime: &Runtime) {
        while self.archive.merge(AT + 99 * HOUR).expect("they are merged") {}
        // What others have sent is known at once.
        self.uploader.bucket.doubt();
        runtime.block_on(self.uploader.send_all()).expect("they are sent");
    }

    /// Removes what ended two hours before.
    fn retire(&self, now: u64) {
        self.archive.seal(now).expect("it is done");
    }

    fn rows(&self) -> Beyond<InBucket> {
        self.uploader.bucket.doubt();
        Beyond::new(self.archive.clone(), self.uploader.rows(), AT)
    }
}

fn table(at: usize) -> Table {
    vanflow_api::history_tables().swap_remove(at)
}

/// A row of a table.
fn row(at: usize, key: &str, end: u64, service: &str, octets: u64) -> Row {
    let table = table(at);
    let none = |column: &Column| match column.kind {
        ColumnKind::Texts => Value::Texts(Vec::new()),
        _ => Value::None,
    };
    let mut values: Vec<_> = table.columns.iter().map(none).collect();
    values[table.key] = Value::Text(key.into());
    values[table.identity] = Value::Text(key.split('@').next().unwrap_or_default().into());
    values[table.end] = Value::Number(end);
    for (name, value) in [("routingKey", Value::Text(service.into())), ("octetCount", Value::Number(octets))]
    {
        if let Some(column) = table.column(name) {
            values[column] = value;
        }
    }
    Row { values: values.into() }
}

/// The rows that are found, by key; each is there once.
fn found(rows: &dyn Rows, wanted: &Wanted<'_>) -> Result<BTreeMap<String, Row>, UnreadableRows> {
    let table = vanflow_api::history_tables().into_iter().find(|table| table.name == wanted.table);
    let table = table.expect("a table");
    let mut found = BTreeMap::new();
    rows.visit(wanted, &mut |row| {
        let key = table.key(&row).to_owned();
        assert_eq!(found.insert(key, row), None, "it is there twice");
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn keys(rows: &dyn Rows, table: &str) -> Vec<String> {
    found(rows, &Wanted::all(table, ALL)).expect("they are read").into_keys().collect()
}

fn names(store: &InMemory, runtime: &Runtime) -> Vec<String> {
    let objects = store.list(None);
    let objects: Vec<_> =
        runtime.block_on(futures_util::TryStreamExt::try_collect(objects)).expect("they are listed");
    objects.into_iter().map(|object: object_store::ObjectMeta| object.location.to_string()).collect()
}

#[test]
fn a_bucket_answers_what_the_disk_has_no_more_and_what_others_sent_each_once() {
    let (runtime, store) = (Runtime::new().expect("a runtime"), Arc::new(InMemory::new()));
    let mut west = Collector::new(&store, "west", AT, &runtime);
    let of_hour =
        |hour: u64| row(0, &format!("a:{hour}@{}", AT + hour * HOUR), AT + hour * HOUR + 7, "cart", hour);
    for hour in 0..4 {
        west.append(0, &[of_hour(hour)]);
        west.append(2, &[row(2, &format!("{hour}@7"), AT + hour * HOUR, "", 0)]);
    }
    west.send(&runtime);
    let held = |collector: &Collector| {
        let held = collector.rows().held("connections");
        (held.rows, held.elsewhere, held.since)
    };
    assert_eq!(held(&west), (4, 4, Some(AT)));
    west.retire(AT + 5 * HOUR);
    assert_eq!(held(&west), (1, 4, Some(AT)));
    assert_eq!(west.archive.whole_since(), AT + 3 * HOUR);
    let expected: Vec<_> = (0..4).map(|hour| format!("a:{hour}@{}", AT + hour * HOUR)).collect();
    assert_eq!(keys(&west.rows(), "connections"), expected);
    assert_eq!(keys(&west.rows(), "events").len(), 4);
    for name in [&*expected[1], "a:1"] {
        let row = west.rows().find("connections", name).expect("it is read").expect("it is there");
        assert_eq!(row, of_hour(1));
    }
    assert_eq!(west.rows().find("connections", "a:9@7").expect("it is read"), None);

    // What comes late is there beside it, and in the next file.
    west.append(0, &[row(0, "late@1", AT + 9, "cart", 1)]);
    assert_eq!(keys(&west.rows(), "connections").len(), 5);
    west.send(&runtime);
    west.retire(AT + 5 * HOUR);
    assert_eq!(held(&west), (1, 5, Some(AT)));
    assert_eq!(keys(&west.rows(), "connections").len(), 5);

    // Another sees the same network, and something that the first missed. Its events are its own.
    let mut east = Collector::new(&store, "east", AT, &runtime);
    east.append(0, &[of_hour(0), of_hour(1), row(0, "missed@1", AT + 5, "cart", 1)]);
    east.append(2, &[row(2, "0@7", AT, "", 0)]);
    east.send(&runtime);
    for (collector, count) in [(&west, 6), (&east, 4)] {
        collector.retire(AT + 5 * HOUR);
        // What ended when a disk has all that its collector saw is not looked for elsewhere.
        assert_eq!(keys(&collector.rows(), "connections").len(), count);
    }
    assert_eq!((keys(&west.rows(), "events").len(), keys(&east.rows(), "events").len()), (4, 1));
    // One whose disk is new has all of what all of them have in common.
    let anew = Collector::new(&store, "north", AT + 99 * HOUR, &runtime);
    assert_eq!((keys(&anew.rows(), "connections").len(), keys(&anew.rows(), "events").len()), (6, 0));
    let wanted = Wanted::all("connections", Span { from: AT + HOUR, until: AT + 2 * HOUR + 7 });
    assert_eq!(found(&anew.rows(), &wanted).expect("they are read").len(), 2);
}

#[test]
fn a_bucket_that_lacks_or_damages_a_file_is_an_error_that_names_it() {
    let (runtime, store) = (Runtime::new().expect("a runtime"), Arc::new(InMemory::new()));
    let mut west = Collector::new(&store, "west", AT, &runtime);
    west.append(0, &[row(0, "a:1@7", AT, "cart", 1)]);
    west.send(&runtime);
    west.retire(AT + 5 * HOUR);
    let names = names(&store, &runtime);
    let [name] = &names[..] else { panic!("one file is there: {names:?}") };
    let below = name.strip_prefix("van/").expect("it is there");
    assert_eq!(below, "connections/date=2020-09-13/hour=12/00000000000000000000.west.1.parquet");
    let rows = west.rows();
    assert_eq!(keys(&rows, "connections"), ["a:1@7"]);
    let part = west.directory.path().join("cache").join(reading::part(below, 0));
    let error = || found(&rows, &Wanted::all("connections", ALL)).expect_err("it cannot be read").to_string();

    // What is on disk is enough, for as long as nobody knows that it is gone.
    let key = Key::parse(name).expect("a name");
    let octets = runtime.block_on(async { store.get(&key).await?.bytes().await }).expect("it is read");
    runtime.block_on(store.delete(&key)).expect("it is removed");
    assert_eq!(keys(&rows, "connections"), ["a:1@7"]);
    std::fs::remove_file(&part).expect("it is there");
    let text = error();
    let begins = format!("a part of the history cannot be read: the bucket s3://history/van: {below}: ");
    assert!(text.starts_with(&begins) && text.contains("not found"), "{text}");
    // The next question finds out that it is of no use to ask for it.
    assert_eq!(keys(&rows, "connections"), Vec::<String>::new());

    let damaged = b"none".repeat(9);
    runtime.block_on(store.put(&key, damaged.into())).expect("it is written");
    west.uploader.bucket.doubt();
    let text = error();
    assert!(text.starts_with(&begins), "{text}");
    runtime.block_on(store.put(&key, octets.into())).expect("it is written");
    // Whatever else is there is none of ours.
    for other in [
        "van/notes.txt",
        "van/connections/date=2020-09-13/hour=12/7.parquet",
        "van/connections/x/y/7.a.1.parquet",
    ] {
        runtime
            .block_on(store.put(&Key::parse(other).expect("a name"), "mine".into()))
            .expect("it is written");
    }
    let anew = Collector::new(&store, "north", AT + 99 * HOUR, &runtime);
    assert_eq!(keys(&anew.rows(), "connections"), ["a:1@7"]);
}

#[derive(Clone, Debug)]
enum Step {
    /// Rows, and which of two collectors see them.
    Append(Vec<(u64, u8, u64)>, [bool; 2]),
    Send(bool),
    Retire(bool, u64),
    Ask(bool, Span, Option<(bool, u64)>, Vec<&'static str>),
}

fn any_step() -> impl Strategy<Value = Step> {
    let rows = vec((0..4 * HOUR, 0..3_u8, any::<u64>()), 1..8);
    let seen = prop_oneof![Just([true, false]), Just([false, true]), Just([true, true])];
    let condition = proptest::option::of((any::<bool>(), any::<u64>()));
    let columns = subsequence(vec!["routingKey", "octetCount", "endTime"], 0..=3);
    prop_oneof![
        3 => (rows, seen).prop_map(|(rows, seen)| Step::Append(rows, seen)),
        2 => any::<bool>().prop_map(Step::Send),
        2 => (any::<bool>(), 0..9_u64).prop_map(|(which, hours)| Step::Retire(which, AT + hours * HOUR)),
        3 => (any::<bool>(), 0..4 * HOUR, 0..2 * HOUR, condition, columns).prop_map(
            |(which, from, length, condition, columns)| {
                Step::Ask(which, Span { from: AT + from, until: AT + from + length }, condition, columns)
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A collector answers what it has seen, and of what ended before its disk is whole also what others have sent.
    #[test]
    fn a_bucket_and_a_disk_have_what_a_plain_list_has(steps in vec(any_step(), 1..24)) {
        let (runtime, store) = (Runtime::new().expect("a runtime"), Arc::new(InMemory::new()));
        let mut collectors = ["west", "east"].map(|name| Collector::new(&store, name, AT, &runtime));
        let mut plain: [Vec<Row>; 2] = Default::default();
        let mut sent: [Vec<Row>; 2] = Default::default();
        let (table, mut number) = (table(0), 0);
        for step in steps {
            match step {
                Step::Append(rows, seen) => {
                    let rows: Vec<_> = rows.into_iter().map(|(end, service, octets)| {
                        number += 1;
                        row(0, &format!("a:{number}@{AT}"), AT + end, ["cart", "shop", "käse"][usize::from(service)], octets)
                    }).collect();
                    for at in [0, 1].into_iter().filter(|at| seen[*at]) {
                        collectors[at].append(0, &rows);
                        plain[at].extend(rows.clone());
                    }
                }
                Step::Send(which) => {
                    let at = usize::from(which);
                    collectors[at].send(&runtime);
                    sent[at] = plain[at].clone();
                }
                Step::Retire(which, now) => collectors[usize::from(which)].retire(now),
                Step::Ask(which, span, condition, columns) => {
                    let (at, other) = (usize::from(which), usize::from(!which));
                    let mut wanted = Wanted::all("connections", span);
                    if let Some((is_text, number)) = condition {
                        wanted = wanted.with(match is_text {
                            true => Condition { column: "routingKey", is: Is::OneOf(vec!["shop".into()]) },
                            false => Condition { column: "octetCount", is: Is::Within(number / 2, number) },
                        });
                    }
                    let whole_since = collectors[at].archive.whole_since();
                    let beyond = sent[other].iter().filter(|row| table.end(row) < whole_since);
                    let shown = |row: &Row| {
                        columns.iter().map(|name| row.values[table.column(name).expect("a column")].clone()).collect::<Vec<_>>()
                    };
                    let expected: BTreeMap<_, _> = plain[at].iter().chain(beyond)
                        .filter(|row| wanted.admits(&table, row))
                        .map(|row| (table.key(row).to_owned(), shown(row)))
                        .collect();
                    wanted.columns = Some(columns.iter().copied().chain(["key"]).collect());
                    let found = found(&collectors[at].rows(), &wanted).expect("they are read");
                    let found: BTreeMap<_, _> = found.into_iter().map(|(key, row)| (key, shown(&row))).collect();
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
