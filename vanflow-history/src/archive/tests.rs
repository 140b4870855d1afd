use std::{collections::BTreeMap, fs::OpenOptions};

use proptest::{collection::vec, option, prelude::*};
use tempfile::TempDir;

use super::*;
use crate::rows::{Column, ColumnKind, Value};

/// 26 November 2026, 03:14 UTC.
const AT: u64 = 1_795_662_840_000_000;

const SECOND: u64 = 1_000_000;

fn table() -> Table {
    let column = |name, kind| Column { name, kind };
    Table {
        name: "connections",
        columns: vec![
            column("key", ColumnKind::Text),
            column("endTime", ColumnKind::Instant),
            column("service", ColumnKind::Text),
            column("octets", ColumnKind::Number),
            column("isInferred", ColumnKind::Truth),
            column("trace", ColumnKind::Texts),
        ],
        key: 0,
        end: 1,
        order: vec![2],
    }
}

fn row(key: &str, end: u64) -> Row {
    let values = [
        Value::Text(key.into()),
        Value::Number(end),
        Value::Text("catalog:8080".into()),
        Value::Number(u64::MAX),
        Value::Truth(true),
        Value::Texts(vec!["west".into(), "east".into()]),
    ];
    Row { values: values.into() }
}

fn open(directory: &TempDir, options: ArchiveOptions, now: u64) -> (Archive, Vec<Remark>) {
    Archive::open(directory.path(), vec![table()], options, now).unwrap()
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
    archive.visit("connections", span, &mut insert).unwrap();
    rows
}

const ALL: Span = Span { from: 0, until: u64::MAX };

fn any_row() -> impl Strategy<Value = Row> {
    let text = || option::of("[a-zé\"\\\\\n]{0,4}");
    let texts = vec("[a-z,]{0,3}", 0..3);
    (0..3 * HOUR, text(), option::of(any::<u64>()), option::of(any::<bool>()), texts).prop_map(
        |(since, service, octets, is_inferred, trace)| {
            let values = [
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
    /// The process ends, as it can at any time, and another opens the directory.
    Reopen,
    Ask(u64, u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => vec(any_row(), 0..20).prop_map(Step::Append),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
        3 => (0..3 * HOUR, 0..HOUR).prop_map(|(from, length)| Step::Ask(AT + from, AT + from + length)),
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
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
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
        let (archive, remarks) = open(&again, ArchiveOptions::default(), AT);
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
    let (archive, _) = open(&directory, options.clone(), AT);
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
    let (archive, _) = open(&directory, options, AT + 3 * HOUR);
    assert_eq!(rows(&archive, ALL).into_keys().collect::<Vec<_>>(), ["hour 3"]);
    assert_eq!(archive.removed(), 2);
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
    newer.columns.insert(2, Column { name: "added", kind: ColumnKind::Number });
    // Not a text any more: what it was then is not taken for what it is now.
    newer.columns[3].kind = ColumnKind::Truth;
    let (archive, _) = Archive::open(directory.path(), vec![newer], ArchiveOptions::default(), AT).unwrap();
    let mut found = Vec::new();
    let mut take = |row| {
        found.push(row);
        ControlFlow::Continue(())
    };
    archive.visit("connections", ALL, &mut take).unwrap();
    for row in &found {
        assert_eq!(row.values[2..4], [Value::None, Value::None]);
        assert_eq!(row.values[4], Value::Number(u64::MAX));
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
    let error = archive.visit("connections", ALL, &mut nothing).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("a part of the history cannot be read: {}: ", path.display())),
        "{error}"
    );
}
