//! What rows come to, while they are there and when they are gone.

use super::*;
use crate::archive::rollup::DAY;

const MINUTE: u64 = 60 * SECOND;

/// The beginning of a day.
const BEGIN: u64 = AT / DAY * DAY;

/// Rows that start, and can be in place of others.
fn replacing() -> Table {
    let mut table = table();
    table.columns.push(Column { name: "startTime", kind: ColumnKind::Instant });
    table.columns.push(Column { name: "replaces", kind: ColumnKind::Number });
    (table.sums.start, table.sums.replaces) = (Some(7), Some(8));
    table
}

fn made(key: &str, (start, end): (u64, u64), service: &str, octets: u64, replaces: bool) -> Row {
    let values = [
        Value::Text(key.into()),
        Value::Text(key.into()),
        Value::Number(end),
        Value::Text(service.into()),
        Value::Number(octets),
        Value::Truth(true),
        Value::Texts(Vec::new()),
        Value::Number(start),
        if replaces { Value::Number(1) } else { Value::None },
    ];
    Row { values: values.into() }
}

fn opened(directory: &TempDir, options: &ArchiveOptions, now: u64) -> (Archive, Vec<Remark>) {
    Archive::open(directory.path(), vec![replacing()], options.clone(), now).unwrap()
}

fn append(archive: &Archive, rows: &[Row]) {
    let rows: Vec<_> = rows.iter().map(|row| (0, row.clone())).collect();
    archive.append(&rows, AT).unwrap();
}

/// What ended between these times, and how much of that rows were looked at for, and of which time it is.
fn asked(archive: &Archive, (from, until): (u64, u64), step: Option<u64>) -> (Vec<Sum>, usize, Span) {
    let span = Span { from, until };
    let summing = Summing { whole: span, step, has_bounds: true };
    let (sums, _, (rows, answered)) =
        sums_by(archive, &replacing(), &Wanted::all("connections", span), &summing);
    (sums, rows, answered)
}

/// The same of rows in a vector.
fn plain(rows: &[Row], span: Span, step: Option<u64>) -> Vec<Sum> {
    let table = replacing();
    let its = rows.iter().filter(|row| span.has(table.end(row)));
    let is_replaced = |row: &&Row| {
        rows.iter().any(|other| {
            table.replaces(other) && table.key(other) == table.key(row) && table.end(other) > table.end(row)
        })
    };
    table.sum_up(its.filter(|row| !is_replaced(row)), step)
}

/// A row each ten seconds, of two services.
fn each_ten_seconds(from: u64, until: u64) -> Vec<Row> {
    let row = |end: u64| {
        let number = end / (10 * SECOND);
        let service = if number.is_multiple_of(3) { "orders" } else { "catalog" };
        made(&format!("a:{number}"), (end - SECOND, end), service, number % 17, false)
    };
    (from..until).step_by(10 * SECOND as usize).map(row).collect()
}

#[test]
fn no_more_rows_are_looked_at_than_those_of_minutes_that_are_not_whole() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = opened(&directory, &ArchiveOptions::default(), AT);
    let rows = each_ten_seconds(BEGIN + 10 * HOUR, BEGIN + 14 * HOUR);
    for part in rows.chunks(100) {
        append(&archive, part);
        archive.seal_all().unwrap();
    }
    for _ in 0..2 {
        for (from, until, most) in [
            (BEGIN, BEGIN + DAY, 0),
            (BEGIN + 11 * HOUR, BEGIN + 12 * HOUR - 1, 0),
            (BEGIN + 11 * HOUR + 3 * MINUTE, BEGIN + 12 * HOUR + 6 * MINUTE - 1, 0),
            (BEGIN + 11 * HOUR + 25 * SECOND, BEGIN + 12 * HOUR + 25 * SECOND, 6),
            (BEGIN + 11 * HOUR + 1, BEGIN + 11 * HOUR + 50 * SECOND, 5),
        ] {
            for step in [None, Some(MINUTE), Some(5 * MINUTE), Some(HOUR), Some(DAY)] {
                let (sums, looked_at, answered) = asked(&archive, (from, until), step);
                assert_eq!(sums, plain(&rows, Span { from, until }, step), "{step:?}");
                assert!(looked_at <= most, "{looked_at} of {from} to {until} by {step:?}");
                assert_eq!(answered, Span { from, until });
            }
            // No rollup tells these apart.
            let (sums, ..) = asked(&archive, (from, until), Some(90 * SECOND));
            assert_eq!(sums, plain(&rows, Span { from, until }, Some(90 * SECOND)));
        }
        let many = |folder: &str| {
            let path = directory.path().join(folder).join("connections/date=2026-11-26");
            fs::read_dir(path).unwrap().count()
        };
        let before = [many("rollup-5m"), many("rollup-1h")];
        while archive.merge(AT + 40 * HOUR).unwrap() {}
        assert_eq!([many("rollup-5m"), many("rollup-1h")], [1, 1], "they were {before:?}");
    }
}

#[test]
fn sums_stay_when_their_rows_go_and_an_answer_says_what_it_is_of() {
    let directory = TempDir::new().unwrap();
    let mut options = ArchiveOptions { keep_micros: DAY, ..ArchiveOptions::default() };
    options.keep_sums_micros = [2 * DAY, 4 * DAY, 8 * DAY];
    let (mut archive, _) = opened(&directory, &options, BEGIN);
    let mut rows = Vec::new();
    for day in 0..6 {
        let its = each_ten_seconds(BEGIN + day * DAY + 10 * HOUR, BEGIN + day * DAY + 12 * HOUR);
        append(&archive, &its);
        archive.seal_all().unwrap();
        rows.extend(its);
    }
    let now = BEGIN + 6 * DAY;
    let at = |day: u64, hour: u64, rest: u64| BEGIN + day * DAY + hour * HOUR + rest;
    for _ in 0..2 {
        archive.seal(now).unwrap();
        while archive.merge(now).unwrap() {}
        let held = archive.held("connections");
        assert_eq!((held.rows, held.since), (720, Some(at(5, 10, 0))));
        assert_eq!(Rows::since(&archive, "connections"), at(4, 12, 0));
        let until = at(5, 11, 25 * SECOND);
        for (from, answered_from) in [
            // Rows, minutes, five minutes, hours.
            (at(5, 10, 7 * SECOND), at(5, 10, 7 * SECOND)),
            (at(4, 10, 7 * SECOND), at(4, 10, 0)),
            (at(3, 10, 7 * MINUTE), at(3, 10, 5 * MINUTE)),
            (at(1, 10, 7 * MINUTE), at(1, 10, 0)),
        ] {
            for step in [None, Some(HOUR), Some(DAY)] {
                let (sums, looked_at, answered) = asked(&archive, (from, until), step);
                assert_eq!(answered, Span { from: answered_from, until }, "{step:?}");
                assert_eq!(sums, plain(&rows, answered, step), "{step:?}");
                assert!(looked_at <= 10, "{looked_at}");
            }
        }
        // The other end is in a minute, or an hour, that is whole in the answer.
        let (sums, _, answered) = asked(&archive, (at(0, 0, 0), at(4, 10, 7 * SECOND)), None);
        assert_eq!(answered, Span { from: at(0, 0, 0), until: at(4, 10, MINUTE) - 1 });
        assert_eq!(sums, plain(&rows, answered, None));
        let (sums, _, answered) = asked(&archive, (at(0, 0, 0), at(1, 10, 7 * SECOND)), None);
        assert_eq!(answered, Span { from: at(0, 0, 0), until: at(1, 11, 0) - 1 });
        assert_eq!(sums, plain(&rows, answered, None));
        // Steps that are finer than what is kept begin when they can be told apart.
        for (step, from) in [(MINUTE, at(4, 0, 0)), (5 * MINUTE, at(2, 0, 0)), (90 * SECOND, at(4, 12, 0))] {
            let (sums, _, answered) = asked(&archive, (at(0, 0, 0), until), Some(step));
            assert_eq!(answered.until, until);
            assert!(answered.from <= from && answered.from > at(1, 12, 0), "{step}: {}", answered.from);
            assert_eq!(sums, plain(&rows, answered, Some(step)), "{step}");
        }
        drop(archive);
        let (again, remarks) = opened(&directory, &options, now);
        assert_eq!(remarks, Vec::<Remark>::new());
        archive = again;
    }
    // What comes now is none of what was there, whatever numbers logs had.
    let late = each_ten_seconds(at(6, 0, 0), at(6, 1, 0));
    append(&archive, &late);
    archive.seal_all().unwrap();
    rows.extend(late);
    let whole = (at(0, 0, 0), at(7, 0, 0));
    assert_eq!(asked(&archive, whole, Some(HOUR)).0, plain(&rows, ALL, Some(HOUR)));
    // Then hours go, too.
    archive.seal(at(9, 0, 0)).unwrap();
    let (sums, _, answered) = asked(&archive, whole, Some(HOUR));
    assert_eq!((sums, answered.from), (plain(&rows, answered, Some(HOUR)), at(1, 0, 0)));
}

#[test]
fn what_is_replaced_is_in_no_sum_wherever_the_other_is() {
    for same_log in [true, false] {
        let directory = TempDir::new().unwrap();
        let (archive, _) = opened(&directory, &ArchiveOptions::default(), AT);
        let mut rows = each_ten_seconds(AT, AT + HOUR / 2);
        let presumed = |number: u64, octets| {
            made(&format!("b:{number}"), (AT - HOUR, AT + number * MINUTE), "catalog", octets, number > 1)
        };
        rows.extend([presumed(1, 1_000), made("b:2", (AT - HOUR, AT + MINUTE), "orders", 10, false)]);
        append(&archive, &rows);
        if !same_log {
            archive.seal_all().unwrap();
        }
        // The first twice, and the second once. The first was the greatest there is.
        let mut again: Vec<_> = [2, 3].map(|number| presumed(number, 40 + number)).into();
        again.iter_mut().for_each(|row| row.values[..2].fill(Value::Text("b:1".into())));
        again.push(made("b:2", (AT - HOUR, AT + 40 * MINUTE), "orders", 11, true));
        for part in again.chunks(1) {
            append(&archive, part);
            rows.extend(part.iter().cloned());
            for is_sealed in [same_log, true] {
                if is_sealed {
                    archive.seal_all().unwrap();
                }
                let span = Span { from: AT - DAY, until: AT + DAY };
                for step in [None, Some(MINUTE), Some(HOUR)] {
                    let expected = plain(&rows, span, step);
                    for has_bounds in [true, false] {
                        let summing = Summing { whole: span, step, has_bounds };
                        let mut count = 0;
                        let wanted = Wanted::all("connections", span);
                        let mut is_by_rows = false;
                        let (mut of_sums, mut of_rows) = (Vec::new(), Vec::new());
                        archive
                            .visit_sums(&wanted, &summing, &mut |part| {
                                match part {
                                    Part::Sum(sum) => of_sums.push(sum),
                                    Part::Row(row) => of_rows.push(row),
                                }
                                ControlFlow::Continue(())
                            })
                            .unwrap();
                        is_by_rows |= of_sums.is_empty();
                        // What is replaced can be among rows: who asks passes it over.
                        let its = plain(&of_rows, span, step);
                        count += its.iter().chain(&of_sums).map(|sum| sum.rows).sum::<u64>();
                        assert_eq!(count, expected.iter().map(|sum| sum.rows).sum::<u64>(), "{step:?}");
                        let octets = |sums: &[Sum]| sums.iter().map(|sum| sum.numbers[0].sum).sum::<u64>();
                        assert_eq!(octets(&its) + octets(&of_sums), octets(&expected));
                        if has_bounds {
                            assert!(is_by_rows, "the greatest of what was replaced is in sums");
                            assert_eq!(its, expected);
                        }
                    }
                }
            }
        }
        let span = Span { from: AT - DAY, until: AT + DAY };
        let summing = Summing { whole: span, step: Some(HOUR), has_bounds: false };
        let wanted = Wanted::all("connections", span);
        while archive.merge(AT + 40 * HOUR).unwrap() {}
        let (sums, count, (looked_at, _)) = sums_by(&archive, &replacing(), &wanted, &summing);
        assert_eq!((looked_at, sums.len()), (0, count));
        assert_eq!(sums.iter().map(|sum| sum.rows).sum::<u64>(), rows.len() as u64 - 3);
    }
}

#[test]
fn what_starts_after_its_end_is_looked_at_where_that_makes_a_difference() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = opened(&directory, &ArchiveOptions::default(), AT);
    let mut rows = each_ten_seconds(AT, AT + HOUR);
    rows.push(made("late", (AT + 3 * HOUR, AT + MINUTE), "catalog", 5, false));
    append(&archive, &rows);
    archive.seal_all().unwrap();
    let whole = Span { from: AT, until: AT + HOUR - 1 };
    let looked_at = |until: u64| {
        let summing = Summing { whole, step: None, has_bounds: false };
        let wanted = Wanted::all("connections", Span { from: AT, until });
        sums_by(&archive, &replacing(), &wanted, &summing).2.0
    };
    assert_eq!(looked_at(u64::MAX), rows.len(), "some may not be looked for");
    assert!(looked_at(whole.until) < rows.len(), "all that ended then is looked for");
}

/// faults 36
#[test]
fn sums_that_cannot_be_read_or_are_gone_are_worked_out_from_rows_while_these_are_there() {
    let directory = TempDir::new().unwrap();
    let options = ArchiveOptions { keep_micros: DAY, ..ArchiveOptions::default() };
    let (archive, _) = opened(&directory, &options, BEGIN);
    let rows = each_ten_seconds(BEGIN, BEGIN + HOUR);
    append(&archive, &rows);
    archive.seal_all().unwrap();
    let whole = (BEGIN, BEGIN + DAY);
    let expected = plain(&rows, ALL, None);
    assert_eq!(asked(&archive, whole, None).1, 0);
    let path = directory.path().join("rollup-1h/connections/date=2026-11-26/00000000000000000000.parquet");
    let octets = fs::read(&path).unwrap();
    fs::write(&path, &octets[1..]).unwrap();
    let (sums, looked_at, _) = asked(&archive, whole, None);
    assert_eq!((&sums, looked_at), (&expected, rows.len()));
    drop(archive);
    // Gone while no process was there, as those of an earlier version are, which were elsewhere.
    fs::remove_file(&path).unwrap();
    let earlier = directory.path().join("rollup-1h/connections/date=2026-11-26/hour=03");
    fs::create_dir(&earlier).unwrap();
    fs::write(earlier.join("00000000000000000000.parquet"), "as it was").unwrap();
    let (archive, remarks) = opened(&directory, &options, BEGIN + HOUR);
    assert_eq!(remarks, Vec::<Remark>::new());
    assert!(!earlier.join("00000000000000000000.parquet").exists());
    let (sums, looked_at, answered) = asked(&archive, whole, Some(HOUR));
    assert_eq!((sums, looked_at), (plain(&rows, ALL, Some(HOUR)), 0), "finer ones are there");
    assert_eq!(answered, Span { from: whole.0, until: whole.1 });
    let next = each_ten_seconds(BEGIN + 2 * DAY, BEGIN + 2 * DAY + HOUR);
    append(&archive, &next);
    archive.seal_all().unwrap();
    archive.seal(BEGIN + 2 * DAY + HOUR).unwrap();
    // Rows are gone, and hours of that day are not there: an answer by the hour says that it begins later.
    let (sums, _, answered) = asked(&archive, (BEGIN, BEGIN + 3 * DAY), Some(HOUR));
    assert_eq!(answered.from, BEGIN, "finer ones are there");
    let all: Vec<_> = rows.iter().chain(&next).cloned().collect();
    assert_eq!(sums, plain(&all, ALL, Some(HOUR)));
    // Those of minutes cannot be read any more, and neither can what they are of.
    for folder in ["rollup-5m", "rollup-1m"] {
        let day = directory.path().join(folder).join("connections/date=2026-11-26");
        let one = if folder == "rollup-5m" { day } else { day.join("hour=00") };
        fs::write(one.join("00000000000000000000.parquet"), "torn").unwrap();
    }
    let span = Span { from: BEGIN, until: BEGIN + DAY };
    let summing = Summing { whole: span, step: None, has_bounds: false };
    let error = archive
        .visit_sums(&Wanted::all("connections", span), &summing, &mut |_| ControlFlow::Continue(()))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("a part of the history cannot be read: ") && error.contains("rollup-"),
        "{error}"
    );
}

#[test]
fn sums_take_no_more_than_half_of_the_room_and_the_finest_go_first() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = opened(&directory, &ArchiveOptions::default(), BEGIN);
    for day in 0..4 {
        append(&archive, &each_ten_seconds(BEGIN + day * DAY, BEGIN + day * DAY + HOUR / 4));
        archive.seal_all().unwrap();
    }
    let octets = |folder: &str| -> u64 {
        fn size(path: &Path) -> u64 {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let octets = |entry: fs::DirEntry| match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => size(&entry.path()),
                Ok(metadata) => metadata.len(),
                Err(_) => 0,
            };
            entries.map(octets).sum()
        }
        size(&directory.path().join(folder))
    };
    let [minutes, fives, hours] = ["rollup-1m", "rollup-5m", "rollup-1h"].map(octets);
    drop(archive);
    let keep_octets = Some(2 * (minutes / 2 + fives + hours));
    let options = ArchiveOptions { keep_octets, ..ArchiveOptions::default() };
    let (archive, _) = opened(&directory, &options, BEGIN + 4 * DAY);
    assert_eq!((octets("rollup-5m"), octets("rollup-1h")), (fives, hours));
    assert!((1..=minutes / 2).contains(&octets("rollup-1m")), "{} of {minutes}", octets("rollup-1m"));
    assert_eq!(archive.held("connections").rows, 360);
}

#[derive(Clone, Debug)]
enum Deed {
    /// So many rows, of that hour since the beginning.
    Append(u64, u64),
    Seal,
    Merge,
    Reopen,
    /// Hours go by.
    Wait(u64),
    Ask(u64, u64, Option<u64>),
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let step =
        prop_oneof![Just(None), proptest::sample::select(vec![7, 60, 300, 3600, 86_400]).prop_map(Some)];
    prop_oneof![
        4 => (0..200_u64, 0..24_u64).prop_map(|(count, ago)| Deed::Append(count, ago)),
        3 => Just(Deed::Seal),
        1 => Just(Deed::Merge),
        1 => Just(Deed::Reopen),
        3 => (1..30_u64).prop_map(Deed::Wait),
        6 => (0..DAY * 8, 0..DAY * 4, step)
            .prop_map(|(ago, length, step)| Deed::Ask(ago, length, step.map(|step| step * SECOND))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sums_are_those_of_all_that_ever_ended_in_the_time_that_an_answer_is_of(deeds in vec(any_deed(), 1..40)) {
        let directory = TempDir::new().unwrap();
        let mut options = ArchiveOptions { keep_micros: 12 * HOUR, ..ArchiveOptions::default() };
        options.keep_sums_micros = [DAY, 2 * DAY, 4 * DAY];
        let (mut archive, _) = opened(&directory, &options, BEGIN);
        let (mut now, mut rows) = (BEGIN + DAY, Vec::<Row>::new());
        for deed in deeds {
            match deed {
                Deed::Append(count, ago) => {
                    let from = now - ago * HOUR;
                    let new: Vec<_> = (0..count)
                        .map(|number| {
                            let end = from + number * 7_777_777;
                            let service = ["catalog", "orders", "cart"][(number % 3) as usize];
                            let replaces = number % 5 == 0 && ago < 8;
                            let key = match replaces {
                                // What ended last of another.
                                true => rows.iter().map(|row| (replacing().end(row), replacing().key(row)))
                                    .filter(|(before, _)| *before < end && end - before < HOUR)
                                    .max()
                                    .map(|(_, key)| key.to_owned()),
                                false => None,
                            };
                            let replaces = key.is_some();
                            let key = key.unwrap_or_else(|| format!("a:{}:{number}", rows.len()));
                            // The same connection began before it ended the first time.
                            let start = if replaces { end - HOUR - SECOND } else { end - SECOND };
                            made(&key, (start, end), service, number, replaces)
                        })
                        .collect();
                    // No two of the same log are in place of the same.
                    let mut keys = std::collections::HashSet::new();
                    let table = replacing();
                    let new: Vec<_> = new.into_iter().filter(|row| keys.insert(table.key(row).to_owned())).collect();
                    append(&archive, &new);
                    rows.extend(new);
                }
                Deed::Seal => archive.seal(now).unwrap(),
                Deed::Merge => while archive.merge(now).unwrap() {},
                Deed::Reopen => {
                    drop(archive);
                    archive = opened(&directory, &options, now).0;
                }
                Deed::Wait(hours) => now += hours * HOUR,
                Deed::Ask(ago, length, step) => {
                    let from = now.saturating_sub(ago);
                    let (from, until) = (from, from + length);
                    let span = Span { from, until };
                    let summing = Summing { whole: span, step, has_bounds: false };
                    let (mut of_rows, mut sums) = (Vec::new(), Vec::new());
                    let answered = archive
                        .visit_sums(&Wanted::all("connections", span), &summing, &mut |part| {
                            match part {
                                Part::Row(row) => of_rows.push(row),
                                Part::Sum(sum) => sums.push(sum),
                            }
                            ControlFlow::Continue(())
                        })
                        .unwrap();
                    let table = replacing();
                    let is_replaced = |row: &Row| rows.iter().any(|other| {
                        table.replaces(other) && table.key(other) == table.key(row) && table.end(other) > table.end(row)
                    });
                    of_rows.retain(|row| !is_replaced(row));
                    let mut found: BTreeMap<(Row, u64), (u64, u64)> = BTreeMap::new();
                    for sum in table.sum_up(&of_rows, step).into_iter().chain(sums) {
                        let (count, octets) = found.entry((sum.alike, sum.begin)).or_default();
                        (*count, *octets) = (*count + sum.rows, *octets + sum.numbers[0].sum);
                    }
                    let expected: BTreeMap<_, _> = plain(&rows, answered, step)
                        .into_iter()
                        .map(|sum| ((sum.alike, sum.begin), (sum.rows, sum.numbers[0].sum)))
                        .collect();
                    prop_assert_eq!(found, expected, "{:?} by {:?} is {:?}", span, step, answered);
                    if from >= Rows::since(&archive, "connections") {
                        prop_assert_eq!(answered, span);
                    }
                    prop_assert!(step.is_some() || answered.from <= from.max(now - 3 * DAY));
                }
            }
        }
    }
}

#[test]
fn a_row_is_found_by_its_key_whether_that_says_when_it_began_or_looks_as_if_it_did() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = opened(&directory, &ArchiveOptions::default(), AT);
    for hour in 0..4 {
        let (start, end) = (AT + hour * HOUR, AT + hour * HOUR + MINUTE);
        for name in [format!("a:{hour}"), format!("a:9@{}", hour + 1)] {
            let mut row = made(&format!("{name}@{start}"), (start, end), "catalog", 1, false);
            row.values[1] = Value::Text(name.into());
            append(&archive, &[row]);
        }
        archive.seal_all().unwrap();
    }
    let found = |name: &str| {
        let found = archive.find("connections", name).unwrap();
        found.map(|row| replacing().key(&row).to_owned())
    };
    for hour in 0..4 {
        let start = AT + hour * HOUR;
        for name in [format!("a:{hour}"), format!("a:9@{}", hour + 1)] {
            let key = format!("{name}@{start}");
            assert_eq!(found(&key), Some(key.clone()));
            // An identity that looks like a key.
            assert_eq!(found(&name), Some(key));
        }
        assert_eq!(found(&format!("a:8@{start}")), None);
    }
}
