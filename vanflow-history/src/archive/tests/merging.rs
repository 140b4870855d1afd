//! Small files become one, and none of them loses a row by it.

use super::*;

#[test]
fn small_files_of_an_hour_become_one_when_it_is_over_or_they_are_many() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open_plain(&directory, ArchiveOptions::default(), AT);
    for number in 0..MANY {
        assert!(!archive.merge(AT).unwrap(), "{number}");
        sealed(&archive, &format!("early {number}"), AT);
    }
    assert!(archive.merge(AT).unwrap());
    let first = "00000000000000000000-00000000000000000015.parquet";
    assert_eq!(files(&directory, "hour=03"), [first]);
    assert_eq!(rows(&archive, ALL).len(), MANY);
    for number in 0..2 {
        sealed(&archive, &format!("late {number}"), AT);
        sealed(&archive, &format!("next {number}"), AT + HOUR);
    }
    assert!(!archive.merge(AT + HOUR / 2).unwrap());
    assert!(archive.merge(AT + HOUR).unwrap());
    assert!(!archive.merge(AT + HOUR).unwrap());
    assert_eq!(files(&directory, "hour=03"), ["00000000000000000000-00000000000000000018.parquet"]);
    assert_eq!(files(&directory, "hour=04").len(), 2);
    assert_eq!(archive.merged(), MANY as u64 + 3);
    assert_eq!(rows(&archive, ALL).len(), MANY + 4);
    drop(archive);
    let (archive, remarks) = open_plain(&directory, ArchiveOptions::default(), AT);
    assert_eq!((rows(&archive, ALL).len(), remarks), (MANY + 4, Vec::<Remark>::new()));
}

/// faults 36
#[test]
fn a_file_that_cannot_be_read_now_or_has_more_than_its_table_is_merged_with_nothing() {
    let directory = TempDir::new().unwrap();
    let mut wider = table();
    wider.columns.push(Column { name: "added", kind: ColumnKind::Text });
    for (number, table) in [table(), wider, table(), table()].into_iter().enumerate() {
        let options = ArchiveOptions::default();
        let (archive, _) = Archive::open(directory.path(), vec![table.clone()], options, AT).unwrap();
        let mut row = row(&format!("row {number}"), AT);
        if table.columns.len() > 7 {
            row.values = row.values.into_iter().chain([Value::Text("more".into())]).collect();
        }
        archive.append(&[(0, row)], AT).unwrap();
        archive.seal_all().unwrap();
    }
    let hour = directory.path().join("connections/date=2026-11-26/hour=03");
    let unreadable = hour.join("00000000000000000002.parquet");
    let octets = fs::read(&unreadable).unwrap();
    fs::write(&unreadable, &octets[..octets.len() / 2]).unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    while archive.merge(AT + 9 * HOUR).unwrap() {}
    assert_eq!(files(&directory, "hour=03").len(), 4);
    drop(archive);
    fs::write(&unreadable, octets).unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    while archive.merge(AT + 9 * HOUR).unwrap() {}
    assert_eq!(
        files(&directory, "hour=03"),
        [
            "00000000000000000000.parquet",
            "00000000000000000001.parquet",
            "00000000000000000002-00000000000000000003.parquet"
        ]
    );
    assert_eq!(rows(&archive, ALL).len(), 4);
}

/// faults 36
#[test]
fn a_file_that_is_damaged_anywhere_is_merged_with_nothing_and_what_it_has_is_an_error_and_no_short_answer() {
    const PARTS: usize = 12;
    let directory = TempDir::new().unwrap();
    for number in 0..2 {
        let (archive, _) = open_plain(&directory, ArchiveOptions::default(), AT);
        let rows: Vec<_> = (0..200).map(|at| (0, row(&format!("row {number} {at}"), AT + at))).collect();
        archive.append(&rows, AT).unwrap();
        archive.seal_all().unwrap();
    }
    let hour = directory.path().join("connections/date=2026-11-26/hour=03");
    let damaged = hour.join("00000000000000000001.parquet");
    let whole = fs::read(&damaged).unwrap();
    let mut apart = 0;
    for part in 0..PARTS {
        let mut octets = whole.clone();
        let from = 4 + (octets.len() - 8) * part / PARTS;
        octets[from..from + 16].iter_mut().for_each(|octet| *octet ^= 0xff);
        fs::write(&damaged, &octets).unwrap();
        let (archive, _) = open_plain(&directory, ArchiveOptions::default(), AT);
        let is_held = archive.held("connections").rows == 400;
        let mut found = 0;
        let mut count = |_| {
            found += 1;
            ControlFlow::Continue(())
        };
        let is_readable = archive.visit(&Wanted::all("connections", ALL), &mut count).is_ok();
        // In what is of no use to readers but to find something sooner it may be damaged.
        if is_held && is_readable {
            continue;
        }
        apart += 1;
        while archive.merge(AT + 9 * HOUR).unwrap() {}
        assert_eq!(files(&directory, "hour=03").len(), 2, "damaged from {from} on");
        assert_eq!(fs::read(&damaged).unwrap(), octets);
    }
    assert!(apart > PARTS / 2, "{apart}");
    fs::write(&damaged, whole).unwrap();
    let (archive, _) = open_plain(&directory, ArchiveOptions::default(), AT);
    assert!(archive.merge(AT + 9 * HOUR).unwrap());
    assert_eq!(rows(&archive, ALL).len(), 400);
}

#[test]
fn whoever_reads_reads_on_while_files_are_merged_and_removed() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open(&directory, ArchiveOptions::default(), AT);
    for number in 0..3 {
        sealed(&archive, &format!("row {number}"), AT);
    }
    let mut found = 0;
    let mut visit = |_| {
        if found == 0 {
            assert!(archive.merge(AT + 2 * HOUR).unwrap());
            archive.seal(AT + 365 * 24 * HOUR).unwrap();
            assert_eq!(archive.held("connections").rows, 0);
        }
        found += 1;
        ControlFlow::Continue(())
    };
    archive.visit(&Wanted::all("connections", ALL), &mut visit).unwrap();
    assert_eq!(found, 3);
    assert!(!directory.path().join("connections/date=2026-11-26").exists());
}

#[test]
fn files_of_an_hour_that_goes_on_are_merged_when_they_are_as_many_rows_as_one_may_have() {
    let directory = TempDir::new().unwrap();
    let (archive, _) = open_plain(&directory, ArchiveOptions::default(), AT);
    let filled = |numbers: std::ops::Range<u64>| {
        let rows: Vec<_> = numbers.map(|number| (0, row(&format!("row {number}"), AT + number))).collect();
        archive.append(&rows, AT).unwrap();
        archive.seal_all().unwrap();
    };
    for part in 0..4 {
        filled(part * 15_000..(part + 1) * 15_000);
        assert!(!archive.merge(AT).unwrap(), "there is room for the next");
    }
    filled(60_000..75_000);
    assert!(archive.merge(AT).unwrap());
    let merged = "00000000000000000000-00000000000000000003.parquet";
    assert_eq!(files(&directory, "hour=03"), [merged, "00000000000000000004.parquet"]);
    assert!(!archive.merge(AT).unwrap());
    assert_eq!(rows(&archive, ALL).len(), 75_000);
}

/// What is in each folder, where it is one file.
fn octets_by_folder(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "parquet") {
                let of = folder.strip_prefix(directory).unwrap().to_owned();
                assert!(found.insert(of, fs::read(path).unwrap()).is_none(), "there are several");
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn merged_files_are_what_one_log_would_have_become(
        rows in vec(any_row(), 2..60),
        cuts in vec(any::<sample::Index>(), 1..4),
    ) {
        let keyed = |(number, mut row): (usize, Row)| {
            row.values[0] = Value::Text(format!("a:{number}@7").into());
            row.values[1] = Value::Text(format!("a:{number}").into());
            (0, row)
        };
        let rows: Vec<_> = rows.into_iter().enumerate().map(keyed).collect();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(rows.len())).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        let (at_once, in_parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (archive, _) = open(&at_once, ArchiveOptions::default(), AT);
        archive.append(&rows, AT).unwrap();
        archive.seal_all().unwrap();
        let (archive, _) = open(&in_parts, ArchiveOptions::default(), AT);
        for part in cuts.windows(2) {
            archive.append(&rows[part[0]..part[1]], AT).unwrap();
            archive.seal_all().unwrap();
        }
        while archive.merge(AT + 48 * HOUR).unwrap() {}
        let folders = octets_by_folder(at_once.path());
        prop_assert!(folders.keys().any(|folder| folder.starts_with("rollup-1h")));
        prop_assert_eq!(octets_by_folder(in_parts.path()), folders);
    }
}
