//! Random rows, in memory, a log, small and merged files, and a ClickHouse: what is asked of them is what a plain list has.

use std::ops::ControlFlow;

use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;
use vanflow_history::{
    Archive, ArchiveOptions,
    rows::{Condition, Is, Rows, Span, Value, Wanted},
};

use super::*;
use crate::beyond::Beyond;

const HOUR: u64 = 60 * 60 * 1_000_000;

/// 13 September 2020, 12:00 UTC.
const AT: u64 = 1_599_998_400_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// Rows by when they ended and what is in their columns, by a number each.
    Append(Vec<(u64, Vec<u8>)>),
    Seal,
    Merge,
    /// What ended an hour before is removed from the disk.
    Retire(u64),
    Ask(Span, Vec<Condition>, Vec<&'static str>),
    Find(u64),
}

fn connections() -> Table {
    history_tables().swap_remove(0)
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let text = select(vec!["west", "ea'st", "kä\\se", "\t{p0:String}"]);
    let texts = vec(text, 1..3).prop_map(|texts| texts.into_iter().map(Into::into).collect());
    let beginning = vec(select(vec!["we", "k", "\t", "x"]), 1..3);
    let beginning = beginning.prop_map(|texts| Is::Beginning(texts.into_iter().map(Into::into).collect()));
    let number = select(vec![0, 7, 100, (1 << 53) + 1, u64::MAX]);
    let within =
        (number.clone(), number).prop_map(|(from, until)| Is::Within(from.min(until), from.max(until)));
    let column = select(vec!["routingKey", "protocol", "sourceHost", "listenerError"]);
    prop_oneof![
        (column, prop_oneof![texts.prop_map(Is::OneOf), beginning])
            .prop_map(|(column, is)| Condition { column, is }),
        within.clone().prop_map(|is| Condition { column: "octetCount", is }),
        within.prop_map(|is| Condition { column: "unheardOf", is }),
        (0..4 * HOUR, 0..HOUR).prop_map(|(from, length)| {
            Condition { column: "startTime", is: Is::Within(AT + from, AT + from + length) }
        }),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let columns = connections().columns.len();
    let span = || {
        (0..4 * HOUR, 0..2 * HOUR)
            .prop_map(|(from, length)| Span { from: AT + from, until: AT + from + length })
    };
    let shown = vec!["key", "routingKey", "octetCount", "startTime", "traceSites"];
    prop_oneof![
        4 => vec((0..4 * HOUR, vec(0..6_u8, columns)), 1..12).prop_map(Step::Append),
        1 => Just(Step::Seal),
        1 => Just(Step::Merge),
        1 => (0..9_u64).prop_map(|hours| Step::Retire(AT + hours * HOUR)),
        3 => (span(), vec(any_condition(), 0..3), subsequence(shown, 0..=5))
            .prop_map(|(span, conditions, columns)| Step::Ask(span, conditions, columns)),
        1 => any::<u64>().prop_map(Step::Find),
    ]
}

/// A row of a connection.
fn any_connection(network: &str, number: usize, end: u64, seeds: &[u8]) -> Row {
    let table = connections();
    let value = |(at, seed): (usize, &u8)| {
        let seed = usize::from(*seed);
        let texts = ["west", "ea'st", "kä\\se", "west-2", "\t{p0:String}"];
        match table.columns[at].kind {
            _ if table.columns[at].name == "network" => Value::Text(network.into()),
            _ if at == table.key => Value::Text(format!("a:{number}@{AT}").into()),
            _ if at == table.identity => Value::Text(format!("a:{}", number % 7).into()),
            _ if at == table.end => Value::Number(AT + end),
            ColumnKind::Text => match seed.checked_sub(1) {
                Some(seed) => Value::Text(texts[seed].into()),
                None => Value::None,
            },
            ColumnKind::Texts => {
                Value::Texts(texts[..seed.min(3)].iter().map(|text| (*text).into()).collect())
            }
            ColumnKind::Number => match seed {
                0 => Value::None,
                seed => Value::Number([0, 7, 100, (1 << 53) + 1, u64::MAX][seed - 1]),
            },
            ColumnKind::Instant => match seed {
                0 => Value::None,
                seed => Value::Number(AT + seed as u64 * HOUR / 2),
            },
            ColumnKind::Truth => [Value::None, Value::Truth(false), Value::Truth(true)][seed % 3].clone(),
        }
    };
    Row { values: seeds.iter().enumerate().map(value).collect() }
}

/// A collector with an empty directory, whose network nobody else has, and what it should have.
struct World {
    runtime: Runtime,
    _folder: TempDir,
    archive: Arc<Archive>,
    exporter: Option<Exporter>,
    rows: Beyond<InClickHouse>,
    network: String,
    plain: Vec<Row>,
}

impl World {
    fn new(url: &str) -> Self {
        let (runtime, folder) = (Runtime::new().unwrap(), TempDir::new().unwrap());
        let mut options = ArchiveOptions::default();
        options.keep_micros = HOUR;
        let (archive, _) = Archive::open(folder.path(), history_tables(), options, AT).unwrap();
        let (archive, network) = (Arc::new(archive), format!("{:016x}", rand::random::<u64>()));
        let mut exporter = {
            let _entered = runtime.enter();
            let mut settings = settings(&folder, url.to_owned());
            settings.network = Some(network.clone());
            Exporter::open(settings, Arc::default()).unwrap()
        };
        runtime.block_on(exporter.sender.send_all()).unwrap();
        let rows = {
            let _entered = runtime.enter();
            Beyond::new(archive.clone(), exporter.rows(), AT)
        };
        Self { runtime, _folder: folder, archive, exporter: Some(exporter), rows, network, plain: Vec::new() }
    }

    fn append(&mut self, rows: Vec<(u64, Vec<u8>)>) {
        let number = self.plain.len();
        let rows = rows.iter().enumerate();
        let rows: Vec<_> = rows
            .map(|(at, (end, seeds))| (0, any_connection(&self.network, number + at, *end, seeds)))
            .collect();
        self.archive.append(&rows, AT).unwrap();
        self.plain.extend(rows.iter().map(|(_, row)| row.clone()));
        let exporter = self.exporter.as_mut().unwrap();
        exporter.packer.waiting.extend(rows);
        exporter.packer.pack(AT).unwrap();
        self.runtime.block_on(exporter.sender.send_all()).unwrap();
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let table = connections();
        match step {
            Step::Append(rows) => self.append(rows),
            Step::Seal => self.archive.seal_all().unwrap(),
            Step::Merge => while self.archive.merge(AT + 99 * HOUR).unwrap() {},
            Step::Retire(now) => self.archive.seal(now).unwrap(),
            Step::Ask(span, conditions, columns) => {
                let mut wanted = Wanted::all(table.name, span);
                (wanted.conditions, wanted.columns) = (conditions, Some(columns.clone()));
                let shown = |row: &Row| {
                    columns
                        .iter()
                        .map(|name| row.values[table.column(name).unwrap()].clone())
                        .collect::<Vec<_>>()
                };
                let mut found = Vec::new();
                let visited = self.rows.visit(&wanted, &mut |row| {
                    found.push(shown(&row));
                    ControlFlow::Continue(())
                });
                prop_assert_eq!(visited, Ok(()));
                let mut expected: Vec<_> =
                    self.plain.iter().filter(|row| wanted.admits(&table, row)).map(shown).collect();
                found.sort();
                expected.sort();
                prop_assert_eq!(found, expected);
            }
            Step::Find(seed) => {
                let number = seed % (self.plain.len() as u64 + 1);
                for name in [format!("a:{number}@{AT}"), format!("a:{}", number % 7)] {
                    let found = self.rows.find(table.name, &name);
                    let its = self.plain.iter().filter(|row| table.is_called(row, &name));
                    let latest = its.clone().map(|row| table.end(row)).max();
                    let row = found.unwrap();
                    prop_assert_eq!(row.as_ref().map(|row| table.end(row)), latest);
                    prop_assert!(row.is_none_or(|row| self.plain.contains(&row)));
                }
            }
        }
        Ok(())
    }
}

#[test]
#[ignore = "needs a ClickHouse, as .ci/clickhouse.py has one"]
fn in_a_clickhouse_and_on_disk_there_is_what_a_plain_list_has() {
    let url = std::env::var("VANFLOW_TEST_CLICKHOUSE").expect("the URL of a ClickHouse");
    let mut runner = TestRunner::new(Config { max_shrink_iters: 64, ..Config::with_cases(32) });
    let outcome = runner.run(&vec(any_step(), 4..24), |steps| {
        let mut world = World::new(&url);
        steps.into_iter().try_for_each(|step| world.take(step))
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
