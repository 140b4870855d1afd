mod merging;
mod rollups;

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    ops::ControlFlow,
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{self, subsequence},
};
use tempfile::TempDir;

use super::{disk::Disk, merging::MANY, *};
use crate::rows::{
    Column, ColumnKind, Condition, Is, Part, Rows, Span, Sum, Summed, Summing, Sums, Value, Wanted,
};

/// 26 November 2026, 03:14 UTC.
pub(super) const AT: u64 = 1_795_662_840_000_000;

const SECOND: u64 = 1_000_000;

pub(super) fn table() -> Table {
    let column = |name, kind| Column { name, kind };
    Table {
        name: "connections",
        columns: vec![
            column("key", ColumnKind::Text),
            column("identity", ColumnKind::Text),
            column("endTime", ColumnKind::Instant),
            column("service", ColumnKind::Text),
            column("octets", ColumnKind::Number),
            column("isInferred", ColumnKind::Truth),
            column("trace", ColumnKind::Texts),
        ],
        key: 0,
        identity: 1,
        end: 2,
        order: vec![3],
        sums: Sums {
            keys: vec![3],
            numbers: vec![Summed { column: 4, known: Some(5) }, Summed { column: 2, known: None }],
            start: None,
            replaces: None,
        },
    }
}

pub(super) fn row(key: &str, end: u64) -> Row {
    let values = [
        Value::Text(key.into()),
        Value::Text(key.split('@').next().unwrap_or_default().into()),
        Value::Number(end),
        Value::Text("catalog:8080".into()),
        Value::Number(u64::MAX),
        Value::Truth(true),
        Value::Texts(vec!["west".into(), "east".into()]),
    ];
    Row { values: values.into() }
}

pub(super) fn open(directory: &TempDir, options: ArchiveOptions, now: u64) -> (Archive, Vec<Remark>) {
    Archive::open(directory.path(), vec![table()], options, now).unwrap()
}

/// The same, of rows that nothing is summed up of.
fn open_plain(directory: &TempDir, options: ArchiveOptions, now: u64) -> (Archive, Vec<Remark>) {
    let table = Table { sums: Sums::default(), ..table() };
    Archive::open(directory.path(), vec![table], options, now).unwrap()
}

/// All rows of a time by key. No row is there twice.
#[track_caller]
fn rows(archive: &Archive, span: Span) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    let mut insert = |row: Row| {
        let key = table().key(&row).to_owned();
        assert_eq!(rows.insert(key, row), None, "it is there twice");
        ControlFlow::Continue(())
    };
    archive.visit(&Wanted::all("connections", span), &mut insert).unwrap();
    rows
}

/// What rows come to, how many of the parts of that were sums, how many rows, and of which time it is.
fn sums_by(
    archive: &Archive,
    table: &Table,
    wanted: &Wanted<'_>,
    summing: &Summing,
) -> (Vec<Sum>, usize, (usize, Span)) {
    let (mut rows, mut sums): (Vec<Row>, Vec<Sum>) = (Vec::new(), Vec::new());
    let answered = archive
        .visit_sums(wanted, summing, &mut |part| {
            match part {
                Part::Row(row) => rows.push(row),
                Part::Sum(sum) => sums.push(sum),
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let count = sums.len();
    let mut all: BTreeMap<(Row, u64), Sum> = BTreeMap::new();
    for sum in table.sum_up(&rows, summing.step).into_iter().chain(sums) {
        let place = (sum.alike.clone(), sum.begin);
        let Some(known) = all.get_mut(&place) else {
            all.insert(place, sum);
            continue;
        };
        known.rows += sum.rows;
        known.numbers.iter_mut().zip(sum.numbers).for_each(|(tally, other)| tally.merge(other));
    }
    (all.into_values().collect(), count, (rows.len(), answered))
}

pub(super) const ALL: Span = Span { from: 0, until: u64::MAX };

fn any_row() -> impl Strategy<Value = Row> {
    let text = || {
        prop_oneof![
            4 => Just(Some("catalog".to_owned())),
            1 => Just(Some("orders".to_owned())),
            1 => option::of("[a-zé\"\\\\\n]{0,4}"),
        ]
    };
    let texts = vec("[a-z,]{0,3}", 0..3);
    (0..3 * HOUR, text(), option::of(any::<u64>()), option::of(any::<bool>()), texts).prop_map(
        |(since, service, octets, is_inferred, trace)| {
            let values = [
                Value::None,
                Value::None,
                Value::Number(AT + since),
                service.map_or(Value::None, |text| Value::Text(text.into())),
                octets.map_or(Value::None, Value::Number),
                is_inferred.map_or(Value::None, Value::Truth),
                Value::Texts(trace.into_iter().map(Into::into).collect()),
            ];
            Row { values: values.into() }
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Row>),
    Seal,
    /// It is so many hours later.
    Merge(u64),
    /// The process ends, as it can at any time, and another opens the directory.
    Reopen,
    Ask(u64, u64),
    /// For rows that have something, and for some of their columns.
    AskFor(u64, u64, Vec<Condition>, Vec<&'static str>),
    /// For what rows come to, where sums of a shorter time will do.
    AskForSums(u64, u64, u64, Option<u64>),
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let texts = || vec("[a-zé\"]{0,2}", 1..3).prop_map(|texts| texts.into_iter().map(Into::into).collect());
    let number = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    let within = (number(), number()).prop_map(|(from, until)| Is::Within(from.min(until), from.max(until)));
    let is_text = prop_oneof![texts().prop_map(Is::OneOf), texts().prop_map(Is::Beginning)];
    prop_oneof![
        is_text.prop_map(|is| Condition { column: "service", is }),
        within.clone().prop_map(|is| Condition { column: "octets", is }),
        within.prop_map(|is| Condition { column: "unheardOf", is }),
    ]
}

/// Of a step in which sums are told apart.
fn any_length() -> impl Strategy<Value = Option<u64>> {
    let minutes = |minutes: u64| Some(minutes * 60 * SECOND);
    prop_oneof![
        Just(None),
        Just(Some(7 * SECOND)),
        proptest::sample::select(vec![1, 5, 20, 60, 180]).prop_map(minutes)
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => vec(any_row(), 0..20).prop_map(Step::Append),
        2 => Just(Step::Seal),
        1 => (0..5_u64).prop_map(Step::Merge),
        1 => Just(Step::Reopen),
        3 => (0..3 * HOUR, 0..HOUR).prop_map(|(from, length)| Step::Ask(AT + from, AT + from + length)),
        3 => (
            0..3 * HOUR,
            0..HOUR,
            vec(any_condition(), 0..3),
            subsequence(vec!["key", "service", "octets", "isInferred", "trace"], 0..=5),
        )
            .prop_map(|(from, length, conditions, columns)| {
                Step::AskFor(AT + from, AT + from + length, conditions, columns)
            }),
        3 => (0..3 * HOUR, 0..4 * HOUR, 0..HOUR, any_length())
            .prop_map(|(from, length, less, step)| Step::AskForSums(AT + from, AT + from + length, less, step)),
    ]
}

proptest! {
    // Each takes its time, for a disk.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_appended_is_found_by_its_time_whatever_it_is_kept_in(steps in vec(any_step(), 1..20)) {
        let directory = TempDir::new().unwrap();
        let (mut archive, _) = open(&directory, ArchiveOptions::default(), AT);
        let mut plain: Vec<Row> = Vec::new();
        for step in steps {
            match step {
                Step::Append(mut new) => {
                    for row in &mut new {
                        row.values[0] = Value::Text(format!("row {}", plain.len()).into());
                        plain.push(row.clone());
                    }
                    let new: Vec<_> = new.into_iter().map(|row| (0, row)).collect();
                    archive.append(&new, AT).unwrap();
                }
                Step::Seal => archive.seal_all().unwrap(),
                Step::Merge(hours) => while archive.merge(AT + hours * HOUR).unwrap() {},
                Step::Reopen => {
                    drop(archive);
                    let (opened, remarks) = open(&directory, ArchiveOptions::default(), AT);
                    prop_assert_eq!(remarks, Vec::<Remark>::new());
                    archive = opened;
                }
                Step::Ask(from, until) => {
                    let span = Span { from, until };
                    let expected = plain.iter().filter(|row| span.has(table().end(row)));
                    let expected: BTreeMap<_, _> =
                        expected.map(|row| (table().key(row).to_owned(), row.clone())).collect();
                    prop_assert_eq!(rows(&archive, span), expected);
                }
                Step::AskFor(from, until, conditions, columns) => {
                    let mut wanted = Wanted::all("connections", Span { from, until });
                    wanted.conditions = conditions;
                    wanted.columns = Some(columns);
                    let asked = |row: &Row| {
                        let columns = wanted.columns.as_deref().unwrap_or_default();
                        columns.iter().map(|name| row.values[table().column(name).unwrap()].clone()).collect::<Vec<_>>()
                    };
                    let expected = plain.iter().filter(|row| wanted.admits(&table(), row)).map(asked);
                    let mut expected: Vec<_> = expected.collect();
                    let mut found = Vec::new();
                    archive
                        .visit(&wanted, &mut |row| {
                            found.push(asked(&row));
                            ControlFlow::Continue(())
                        })
                        .unwrap();
                    expected.sort();
                    found.sort();
                    prop_assert_eq!(found, expected);
                }
                Step::AskForSums(from, until, less, step) => {
                    let wanted = Wanted::all("connections", Span { from, until });
                    let whole = Span { from, until: until.saturating_sub(less) };
                    let expected = plain.iter().filter(|row| wanted.span.has(table().end(row)));
                    let expected = table().sum_up(expected, step);
                    let summing = Summing { whole, step, has_bounds: true };
                    let (found, _, (_, answered)) = sums_by(&archive, &table(), &wanted, &summing);
                    prop_assert_eq!(found, expected);
                    prop_assert_eq!(answered, whole);
                }
            }
        }
        let held = archive.held("connections");
        prop_assert_eq!(held.rows, plain.len() as u64);
        prop_assert_eq!(held.since, plain.iter().map(|row| table().end(row)).min());
    }
}

/// faults 36
#[test]
fn a_log_that_ends_anywhere_loses_no_line_that_is_whole() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open_plain(&directory, ArchiveOptions::default(), AT);
    for number in 0..3 {
        archive.append(&[(0, row(&format!("row {number}"), AT + number))], AT).unwrap();
    }
    drop(archive);
    let path = directory.path().join("log/00000000000000000000.log");
    let whole = fs::read(&path).unwrap();
    let ends: Vec<_> = (1..=whole.len()).filter(|end| whole[end - 1] == b'\n').collect();
    assert_eq!(ends.len(), 3);
    for length in 0..=whole.len() {
        let again = TempDir::new().unwrap();
        fs::create_dir(again.path().join("log")).unwrap();
        fs::write(again.path().join("log/00000000000000000000.log"), &whole[..length]).unwrap();
        let (archive, remarks) = open_plain(&again, ArchiveOptions::default(), AT);
        let expected = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(rows(&archive, ALL).len(), expected, "of {length} octets");
        assert_eq!(remarks.len(), usize::from(length > 0 && !ends.contains(&length)), "{remarks:?}");
    }
}

/// faults 36
#[test]
fn a_damaged_line_costs_its_neighbours_nothing() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    let three = (0..3).map(|number| (0, row(&format!("row {number}"), AT)));
    archive.append(&three.collect::<Vec<_>>(), AT).unwrap();
    drop(archive);
    let path = directory.path().join("log/00000000000000000000.log");
    let mut octets = fs::read(&path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    fs::write(&path, octets).unwrap();
    let (archive, remarks) = open(&directory, ArchiveOptions::default(), AT);
    assert_eq!(rows(&archive, ALL).into_keys().collect::<Vec<_>>(), ["row 0", "row 2"]);
    let expected = format!("1 lines of {} were torn or damaged, and are not there any more", path.display());
    assert_eq!(remarks, [expected]);
}

/// faults 36
#[test]
fn a_crash_between_the_files_and_the_end_of_their_log_doubles_nothing() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    // In two hours, so that there are two files, of which the second is not finished.
    archive.append(&[(0, row("first", AT)), (0, row("second", AT + HOUR))], AT).unwrap();
    let log = directory.path().join("log/00000000000000000000.log");
    let kept = fs::read(&log).unwrap();
    archive.seal_all().unwrap();
    assert!(!log.exists());
    drop(archive);
    fs::write(&log, kept).unwrap();
    let hour = directory.path().join("connections/date=2026-11-26/hour=04");
    let second = hour.join("00000000000000000000.parquet");
    fs::rename(&second, second.with_extension("unfinished")).unwrap();

    let (archive, remarks) = open(&directory, ArchiveOptions::default(), AT);
    assert_eq!(rows(&archive, ALL).into_keys().collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(archive.held("connections").rows, 2);
    assert_eq!(remarks, Vec::<Remark>::new());
    assert!(!log.exists() && second.exists());
}

/// faults 36
#[test]
fn what_cannot_be_written_stays_in_the_log_and_can_be_asked_for() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    archive.append(&[(0, row("first", AT))], AT).unwrap();
    // A file is where the folder would be.
    let folder = directory.path().join("connections");
    fs::write(&folder, "").unwrap();
    let error = archive.seal_all().unwrap_err().to_string();
    let file = folder.join("date=2026-11-26/hour=03/00000000000000000000.parquet");
    assert!(error.starts_with(&format!("cannot write {}: ", file.display())), "{error}");
    archive.append(&[(0, row("second", AT))], AT).unwrap();
    assert_eq!(rows(&archive, ALL).len(), 2);
    fs::remove_file(&folder).unwrap();
    archive.seal_all().unwrap();
    assert_eq!(rows(&archive, ALL).len(), 2);
    assert_eq!(fs::read_dir(directory.path().join("log")).unwrap().count(), 0);
}

/// faults 36
#[test]
fn a_second_writer_is_refused_and_what_is_not_ours_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    archive.append(&[(0, row("first", AT))], AT).unwrap();
    archive.seal_all().unwrap();
    let path = directory.path().display();
    let second = Archive::open(directory.path(), vec![table()], ArchiveOptions::default(), AT);
    assert_eq!(
        second.unwrap_err().to_string(),
        format!("{path} is in use by another process; each needs a directory of its own")
    );
    drop(archive);
    let hour = directory.path().join("connections/date=2026-11-26/hour=03");
    for name in ["notes.txt", "00000000000000000009.parquet"] {
        fs::write(hour.join(name), "no columns").unwrap();
    }
    let (archive, mut remarks) = open(&directory, ArchiveOptions::default(), AT);
    remarks.sort();
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    assert!(remarks[0].contains("0009.parquet cannot be read: "), "{remarks:?}");
    assert!(remarks[1].ends_with("notes.txt is none of ours; it is left alone"), "{remarks:?}");
    assert_eq!(rows(&archive, ALL).len(), 1);
    assert_eq!(fs::read_dir(&hour).unwrap().count(), 3);
}

#[test]
fn files_are_removed_when_they_are_old_or_too_much() {
    let directory = TempDir::new().unwrap();
    let mut options = ArchiveOptions { keep_micros: 2 * HOUR, ..ArchiveOptions::default() };
    let (archive, _) = open_plain(&directory, options.clone(), AT);
    for hour in 0..4 {
        archive.append(&[(0, row(&format!("hour {hour}"), AT + hour * HOUR))], AT).unwrap();
        archive.seal_all().unwrap();
    }
    archive.seal(AT + 3 * HOUR).unwrap();
    assert_eq!(rows(&archive, ALL).into_keys().collect::<Vec<_>>(), ["hour 1", "hour 2", "hour 3"]);
    assert_eq!(archive.held("connections").since, Some(AT + HOUR));
    assert!(!directory.path().join("connections/date=2026-11-26/hour=03").exists());
    let one = archive.held("connections").octets / 3;
    drop(archive);
    options.keep_octets = Some(one + one / 2);
    let (archive, _) = open_plain(&directory, options, AT + 3 * HOUR);
    assert_eq!(rows(&archive, ALL).into_keys().collect::<Vec<_>>(), ["hour 3"]);
    assert_eq!(archive.removed(), 2);
}

#[test]
fn rows_take_memory_until_they_are_in_a_file() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open_plain(&directory, ArchiveOptions::default(), AT);
    let (short, long) = (row("a", AT), row(&"a".repeat(101), AT));
    let is_key = |value: &&Value| **value == Value::Text("a".into());
    let keys = short.values.iter().filter(is_key).count() as u64;
    assert_eq!(long.memory(), short.memory() + keys * 100);
    let values = size_of::<Value>() * short.values.len();
    assert!(short.memory() > values as u64);
    let memory = short.memory() + long.memory();
    archive.append(&[(0, short), (0, long)], AT).unwrap();
    assert_eq!(archive.held("connections").memory, memory);
    archive.seal_all().unwrap();
    assert_eq!(archive.held("connections").memory, 0);
}

#[test]
fn a_log_becomes_files_after_some_time_or_rows() {
    let directory = TempDir::new().unwrap();
    let options =
        ArchiveOptions { seal_after_micros: 60 * SECOND, seal_rows: 3, ..ArchiveOptions::default() };
    let (archive, _) = open(&directory, options, AT);
    let logs = || fs::read_dir(directory.path().join("log")).unwrap().count();
    archive.append(&[(0, row("first", AT))], AT).unwrap();
    archive.seal(AT + 59 * SECOND).unwrap();
    assert_eq!(logs(), 1);
    archive.seal(AT + 60 * SECOND).unwrap();
    assert_eq!(logs(), 0);
    let three = ["a", "b", "c"].map(|key| (0, row(key, AT)));
    archive.append(&three, AT + 61 * SECOND).unwrap();
    archive.seal(AT + 61 * SECOND).unwrap();
    assert_eq!(logs(), 0);
    assert_eq!(rows(&archive, ALL).len(), 4);
}

#[test]
fn columns_that_an_old_file_has_not_are_without_values_in_its_rows() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    archive.append(&[(0, row("old", AT))], AT).unwrap();
    archive.seal_all().unwrap();
    archive.append(&[(0, row("in the log", AT))], AT).unwrap();
    drop(archive);
    let mut newer = table();
    newer.columns.insert(3, Column { name: "added", kind: ColumnKind::Number });
    // Not a text any more: what it was then is not taken for what it is now.
    newer.columns[4].kind = ColumnKind::Truth;
    let (archive, _) = Archive::open(directory.path(), vec![newer], ArchiveOptions::default(), AT).unwrap();
    let mut found = Vec::new();
    let mut take = |row| {
        found.push(row);
        ControlFlow::Continue(())
    };
    archive.visit(&Wanted::all("connections", ALL), &mut take).unwrap();
    for row in &found {
        assert_eq!(row.values[3..5], [Value::None, Value::None]);
        assert_eq!(row.values[5], Value::Number(u64::MAX));
    }
    assert_eq!(found.len(), 2);
}

/// faults 36
#[test]
fn a_file_that_is_damaged_while_it_is_held_is_an_error_and_no_short_answer() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    archive.append(&[(0, row("first", AT))], AT).unwrap();
    archive.seal_all().unwrap();
    let path = directory.path().join("connections/date=2026-11-26/hour=03/00000000000000000000.parquet");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    let mut nothing = |_| ControlFlow::Continue(());
    let error = archive.visit(&Wanted::all("connections", ALL), &mut nothing).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("a part of the history cannot be read: {}: ", path.display())),
        "{error}"
    );
}

/// The names of the files of an hour.
fn files(directory: &TempDir, hour: &str) -> Vec<String> {
    let folder = directory.path().join("connections/date=2026-11-26").join(hour);
    let entries = fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().file_name()));
    let mut names: Vec<_> = entries.into_iter().flatten().map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn sealed(archive: &Archive, key: &str, end: u64) {
    archive.append(&[(0, row(key, end))], AT).unwrap();
    archive.seal_all().unwrap();
}

#[test]
fn a_row_is_found_by_its_key_and_the_last_by_its_identity_whatever_it_is_in() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    sealed(&archive, "a:1@7", AT);
    sealed(&archive, "a:1@9", AT + HOUR);
    sealed(&archive, "a:2@7", AT + 2 * HOUR);
    sealed(&archive, "a:2@6", AT + HOUR);
    let key = |name: &str| {
        let found = archive.find("connections", name).unwrap();
        found.map(|row| table().key(&row).to_owned())
    };
    let look = || {
        for name in ["a:1@7", "a:1@9", "a:2@6", "a:2@7"] {
            assert_eq!(key(name).as_deref(), Some(name));
        }
        assert_eq!(key("a:1").as_deref(), Some("a:1@9"));
        assert_eq!(key("a:2").as_deref(), Some("a:2@7"));
        assert_eq!(key("a:3").or(key("a:1@8")).or(key("")), None);
        assert_eq!(archive.find("requests", "a:1").unwrap(), None);
    };
    look();
    while archive.merge(AT + 9 * HOUR).unwrap() {}
    look();
    archive.append(&[(0, row("a:1@11", AT + HOUR + 1))], AT).unwrap();
    assert_eq!(key("a:1").as_deref(), Some("a:1@11"));
    assert_eq!(key("a:1@9").as_deref(), Some("a:1@9"));
}

/// What is done to an archive on a disk that fails at some step; the keys of which it said that they are kept, and all.
fn work(
    disk: Disk,
    directory: &TempDir,
    (table, rounds): &(Table, u32),
) -> (Vec<String>, Vec<String>, Option<Archive>) {
    let (mut kept, mut all) = (Vec::new(), Vec::new());
    let options = ArchiveOptions::default();
    let opened = Archive::open_on(disk, directory.path(), vec![table.clone()], options, AT);
    let Ok((archive, _)) = opened else { return (kept, all, None) };
    for round in 0..*rounds {
        for part in 0..=round % 2 {
            let keys: Vec<_> = (0..2).map(|number| format!("a:{round}{part}{number}@0")).collect();
            let new = keys.iter().zip(0..).map(|(key, hour)| (0, row(key, AT + hour % 2 * HOUR)));
            let is_kept = archive.append(&new.collect::<Vec<_>>(), AT).is_ok();
            all.extend(keys.iter().cloned());
            kept.extend(keys.into_iter().filter(|_| is_kept));
        }
        // What fails is tried again by whoever owns it.
        let _ = archive.seal_all();
        if round > 0 {
            let _ = archive.merge(AT + 9 * HOUR);
        }
    }
    (kept, all, Some(archive))
}

/// Each row that was said to be kept is there, none is there twice, and there is nothing else.
#[track_caller]
fn has(archive: &Archive, kept: &[String], all: &[String], step: usize) {
    let rows = rows(archive, ALL);
    for key in kept {
        assert!(rows.contains_key(key), "{key} is missing, step {step}");
    }
    assert!(rows.keys().all(|key| all.contains(key)), "{rows:?}");
    let summing = Summing { whole: ALL, step: Some(HOUR), has_bounds: false };
    let table = &archive.tables()[0];
    let (sums, ..) = sums_by(archive, table, &Wanted::all("connections", ALL), &summing);
    assert_eq!(sums.iter().map(|sum| sum.rows).sum::<u64>(), rows.len() as u64, "step {step}");
}

/// faults 36
#[test]
fn a_disk_that_fails_at_any_step_loses_nothing_that_was_kept_and_doubles_nothing() {
    let plain = (Table { sums: Sums::default(), ..table() }, 3);
    for (way, for_good) in [(&plain, true), (&plain, false), (&(table(), 2), true)] {
        let mut steps = 0;
        for at in 0.. {
            let directory = TempDir::new().unwrap();
            let failing = |at| Arc::new(disk::Faults { taken: AtomicUsize::new(0), at, for_good });
            let faults = failing(at);
            let disk = Disk { faults: Some(Arc::clone(&faults)) };
            let (kept, all, archive) = work(disk, &directory, way);
            if let Some(archive) = archive.filter(|_| !for_good) {
                has(&archive, &kept, &all, at);
            }
            for _ in 0..2 {
                let mended = Disk { faults: Some(failing(usize::MAX)) };
                let (tables, options) = (vec![way.0.clone()], ArchiveOptions::default());
                let (archive, _) = Archive::open_on(mended, directory.path(), tables, options, AT).unwrap();
                has(&archive, &kept, &all, at);
                while archive.merge(AT + 9 * HOUR).unwrap() {}
                has(&archive, &kept, &all, at);
                for hour in ["hour=03", "hour=04"] {
                    let files = files(&directory, hour);
                    assert!(files.len() <= 1, "{files:?}, step {at}");
                }
            }
            if faults.taken.load(Ordering::Relaxed) <= at {
                assert_eq!(kept.len(), if way.1 == 3 { 8 } else { 6 });
                break;
            }
            steps += 1;
        }
        assert!(steps > 100, "{steps}");
    }
}

/// faults 36
#[test]
fn what_is_kept_beside_rows_is_what_it_was_where_another_cannot_be_written() {
    for at in 0.. {
        let directory = TempDir::new().unwrap();
        let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
        assert_eq!(archive.get("charts").unwrap(), None);
        archive.put("charts", b"before").unwrap();
        drop(archive);
        let faults = Arc::new(disk::Faults { taken: AtomicUsize::new(0), at, for_good: true });
        let disk = Disk { faults: Some(Arc::clone(&faults)) };
        let opened = Archive::open_on(disk, directory.path(), vec![table()], ArchiveOptions::default(), AT);
        let is_put = opened.is_ok_and(|(archive, _)| archive.put("charts", b"after").is_ok());
        let (archive, remarks) = open(&directory, ArchiveOptions::default(), AT);
        let found = archive.get("charts").unwrap().unwrap();
        assert!(found == b"after" || !is_put && found == b"before", "step {at}");
        assert_eq!(remarks, Vec::<Remark>::new());
        if faults.taken.load(Ordering::Relaxed) <= at {
            assert!(is_put);
            break;
        }
    }
}

#[test]
fn what_is_kept_with_its_checksum_is_it_or_said_to_be_damaged() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    assert_eq!(archive.get_checked("counters").unwrap(), None);
    for octets in [&b""[..], b"12", b"a line\nand another"] {
        archive.put_checked("counters", octets).unwrap();
        assert_eq!(archive.get_checked("counters").unwrap().as_deref(), Some(octets));
        let kept = archive.get("counters").unwrap().unwrap();
        for at in 0..kept.len() {
            let mut damaged = kept.clone();
            damaged[at] ^= 1;
            archive.put("counters", &damaged).unwrap();
            let error = archive.get_checked("counters").unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string()),
                (io::ErrorKind::InvalidData, "it is damaged".to_owned())
            );
            archive.put("counters", &kept[..at]).unwrap();
            archive.get_checked("counters").unwrap_err();
        }
    }
}

/// The names of files that are finished.
fn finished(archive: &Archive, now: u64) -> Vec<String> {
    archive.finished(now).into_iter().map(|file| file.name).collect()
}

#[test]
fn files_are_finished_when_nothing_can_be_merged_with_them_any_more() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    sealed(&archive, "a:1@7", AT);
    sealed(&archive, "a:2@7", AT + SECOND);
    // The hour is not over; then its files are merged first.
    assert_eq!(finished(&archive, AT), Vec::<String>::new());
    let later = AT + HOUR + HOUR / 4;
    assert_eq!(finished(&archive, later), Vec::<String>::new());
    archive.seal(later).unwrap();
    let whole = archive.finished(later);
    let name = format!("connections/date=2026-11-26/hour=03/{:020}-{:020}.parquet", 0, 1);
    assert_eq!(whole.iter().map(|file| (&*file.name, file.rows)).collect::<Vec<_>>(), [(&*name, 2)]);
    assert!(whole[0].path.ends_with(&name) && whole[0].path.exists());
    archive.sent(&whole[0]);
    assert_eq!(finished(&archive, later), Vec::<String>::new());

    // What comes late is merged with it, and that is another file, which has the rows of the one that was sent.
    sealed(&archive, "a:3@7", AT + 2 * SECOND);
    assert_eq!(finished(&archive, later), Vec::<String>::new());
    archive.seal(later).unwrap();
    let again = archive.finished(later);
    assert_eq!(again.iter().map(|file| file.rows).collect::<Vec<_>>(), [3]);
    assert!(again[0].has_rows_of(&name) && !whole[0].has_rows_of(&again[0].name));
    assert!(!again[0].has_rows_of(&name.replace("hour=03", "hour=04")) && !again[0].has_rows_of("notes.txt"));
}

#[test]
fn a_file_that_is_to_be_sent_stays_until_it_was_and_only_where_there_is_room() {
    // faults 37
    let directory = TempDir::new().unwrap();
    let mut options = ArchiveOptions::default();
    (options.keeps_unsent, options.keep_micros) = (true, 24 * HOUR);
    let (archive, _) = open_plain(&directory, options.clone(), AT);
    for hour in 0..4 {
        sealed(&archive, &format!("a:{hour}@7"), AT + hour * HOUR);
    }
    let octets = archive.held("connections").octets;
    let later = AT + 72 * HOUR;
    archive.seal(later).unwrap();
    let files = archive.finished(later);
    assert_eq!(files.len(), 4);
    // Out of turn: the oldest is not sent yet.
    archive.sent(&files[1]);
    archive.seal(later).unwrap();
    assert_eq!(rows(&archive, ALL).into_keys().collect::<Vec<_>>(), ["a:0@7", "a:2@7", "a:3@7"]);
    assert_eq!((archive.lost(), archive.removed()), (0, 1));
    drop(archive);

    // With less room the oldest goes, and is counted.
    options.keep_octets = Some(octets / 4 * 2 + 10);
    let (archive, _) = open_plain(&directory, options, later);
    archive.seal(later).unwrap();
    assert_eq!(rows(&archive, ALL).into_keys().collect::<Vec<_>>(), ["a:2@7", "a:3@7"]);
    assert_eq!((archive.lost(), archive.removed()), (1, 1));
    // What was sent goes first.
    let files = archive.finished(later);
    archive.sent(&files[1]);
    archive.seal(later).unwrap();
    assert_eq!(rows(&archive, ALL).into_keys().collect::<Vec<_>>(), ["a:2@7"]);
    assert_eq!(archive.lost(), 1);
}
