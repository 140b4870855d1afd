//! ARCHITECTURE.md is a map: it must show what is there.

use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts in single backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_path_that_the_map_names_exists() {
    let map = read("ARCHITECTURE.md");
    let mut crate_folder = String::new();
    let mut checked = 0;
    for line in map.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            crate_folder = if title.starts_with("vanflow-") || title == "vflow" {
                format!("{title}/src/")
            } else {
                String::new()
            };
        }
        for name in quoted(line) {
            let is_path = name.ends_with(".rs") || name.ends_with(".md") || name.ends_with('/');
            if !is_path || name.contains(' ') {
                continue;
            }
            let whole = root().join(name);
            let in_crate = root().join(&crate_folder).join(name);
            let in_tests = root().join("tests").join(name);
            assert!(
                [whole, in_crate, in_tests].iter().any(|path| path.exists()),
                "ARCHITECTURE.md names `{name}`, which does not exist: {line}"
            );
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

/// The crates of this workspace that a manifest's sections other than those for tests and benches name.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let text = read(&format!("{manifest}/Cargo.toml"));
    let mut in_dependencies = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('[') {
            in_dependencies = line == "[dependencies]";
        } else if in_dependencies && let Some(name) = line.split(['.', ' ', '=']).next() {
            found.insert(name.to_owned());
        }
    }
    found
}

#[test]
fn dependencies_point_one_way_only() {
    let ours = |manifest: &str| {
        dependencies(manifest).into_iter().filter(|name| name.starts_with("vanflow-")).collect::<Vec<_>>()
    };
    assert_eq!(ours("vanflow-proto"), [""; 0]);
    assert_eq!(ours("vanflow-store"), ["vanflow-proto"]);
    assert_eq!(ours("vanflow-history"), [""; 0]);
    assert_eq!(ours("vanflow-api"), ["vanflow-history", "vanflow-proto", "vanflow-store"]);
    assert_eq!(
        ours("vanflow-collector"),
        ["vanflow-api", "vanflow-history", "vanflow-proto", "vanflow-store"]
    );
    assert_eq!(ours("vflow"), ["vanflow-api", "vanflow-history", "vanflow-proto", "vanflow-store"]);
}

#[test]
fn store_and_history_have_no_runtime_and_the_api_no_sockets() {
    for (manifest, banned) in [
        ("vanflow-store", &["tokio", "hyper", "http", "serde", "fe2o3-amqp", "futures-util"][..]),
        ("vanflow-history", &["tokio", "hyper", "prometheus-client", "futures-util"][..]),
        ("vanflow-api", &["hyper-util", "tokio-rustls", "fe2o3-amqp", "rustls"][..]),
    ] {
        let found = dependencies(manifest);
        for name in banned {
            assert!(!found.contains(*name), "{manifest} depends on {name}");
        }
    }
}

#[test]
fn every_fault_has_a_test_that_cites_it() {
    let faults = read("docs/faults.md");
    let rows: Vec<u32> =
        faults.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()?.parse().ok()).collect();
    // Rows are cited by their numbers, which they keep; not every number is taken.
    assert!(rows.is_sorted_by(|row, next| row < next), "{rows:?}");
    assert!(rows.len() >= 23, "{rows:?}");
    let mut cited = BTreeSet::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is a folder").map(|entry| entry.expect("it can be read"))
        {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != ".git" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("it can be read");
                let is_test = name == "tests.rs" || path.iter().any(|part| part == "tests");
                let tests = if is_test {
                    &text[..]
                } else {
                    text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests)
                };
                for line in tests.lines().filter(|line| line.trim_start().starts_with("//")) {
                    cited.extend(citations(line));
                }
            }
        }
    }
    let missing: Vec<_> = rows.iter().filter(|row| !cited.contains(row)).collect();
    assert!(missing.is_empty(), "no test cites faults {missing:?}");
}

/// The rows that a comment cites: `faults 3`, `faults 3 and 4`, `faults 3, 4`, `faults 3–5`.
fn citations(line: &str) -> Vec<u32> {
    let Some((_, rest)) = line.split_once("faults ") else { return Vec::new() };
    let mut found: Vec<u32> = Vec::new();
    let mut range = false;
    for word in rest.split_inclusive([' ', ',', '–', '-', ')', '.', ':']) {
        let digits = word.trim_end_matches(|character: char| !character.is_ascii_digit());
        match digits.parse::<u32>() {
            Ok(row) => {
                let from = if range { found.last().map_or(row, |last| last + 1) } else { row };
                found.extend(from..=row);
                range = word.ends_with(['–', '-']);
                if word.ends_with([')', '.', ':']) {
                    break;
                }
            }
            Err(_) if word.trim() == "and" || word.trim().is_empty() => {}
            Err(_) => break,
        }
    }
    found
}

#[test]
fn citations_are_understood() {
    assert_eq!(citations("// faults 3"), [3]);
    assert_eq!(citations("// faults 3 and 14: both"), [3, 14]);
    assert_eq!(citations("// (faults 1–3, 9) and 7 more"), [1, 2, 3, 9]);
    assert_eq!(citations("// no faults at all 3"), [0; 0]);
}
