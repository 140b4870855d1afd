//! The tables in a ClickHouse: they follow from those of the history, and are made and completed by statements that can be
//! given again.

use std::time::Duration;

use vanflow_history::rows::{Column, ColumnKind, Table, Value};

/// The column that says whose network it was.
pub(super) const NETWORK: &str = "network";

/// What rows have there beside their own columns: who saw it, and when it was written.
pub(super) const OBSERVER: Column = Column { name: "observer", kind: ColumnKind::Text };
const WRITTEN: Column = Column { name: "written", kind: ColumnKind::Instant };

/// Texts that hardly any two rows have in common, or that are long: a dictionary would be of no use.
const DISTINCT: [&str; 9] = [
    "key",
    "identity",
    "connectionId",
    "sourceHost",
    "sourcePort",
    "proxyPort",
    "clientAddress",
    "listenerError",
    "connectorError",
];

/// Where tables are, and for how long rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) database: String,
    /// The cluster whose servers share them; none where there is one server.
    pub(super) cluster: Option<String>,
    pub(super) keep: Option<Duration>,
}

/// A table as it is there.
pub(crate) fn extended(table: &Table) -> Table {
    let mut table = table.clone();
    table.columns.extend([OBSERVER, WRITTEN]);
    table
}

/// What the columns that every table has beside its own have in a row that is written now.
pub(super) fn extension(observer: &str, now_micros: u64) -> [Value; 2] {
    [Value::Text(observer.into()), Value::Number(now_micros)]
}

/// What makes a table there, and completes one that an earlier version made.
pub(super) fn made(place: &Place, table: &Table) -> Vec<String> {
    let extended = extended(table);
    let whole = place.name(table.name);
    let (own, on) = match &place.cluster {
        Some(cluster) => {
            (place.name(&format!("{}_local", table.name)), format!(" ON CLUSTER {}", quoted(cluster)))
        }
        None => (whole.clone(), String::new()),
    };
    let columns: Vec<String> = (0..extended.columns.len()).map(|at| definition(&extended, at)).collect();
    let indices = [table.key, table.identity].map(|at| {
        let name = table.columns[at].name;
        format!(
            "INDEX {} {} TYPE bloom_filter(0.01) GRANULARITY 4",
            quoted(&format!("by_{name}")),
            quoted(name)
        )
    });
    let end = quoted(table.columns[table.end].name);
    let slot = format!("toStartOfFiveMinutes({end})");
    let order = table.order.iter().chain([&table.key]).map(|at| quoted(table.columns[*at].name));
    let order: Vec<String> = [slot.clone(), quoted(NETWORK)].into_iter().chain(order).collect();
    let written = quoted(WRITTEN.name);
    let (engine, settings) = match place.cluster {
        // Replicas know by themselves which inserts they had.
        Some(_) => (
            format!(
                "ReplicatedReplacingMergeTree('/clickhouse/tables/{{shard}}/{{database}}/{{table}}', '{{replica}}', {written})"
            ),
            "ttl_only_drop_parts = 1",
        ),
        None => (
            format!("ReplacingMergeTree({written})"),
            "ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000",
        ),
    };
    let ttl = place.keep.map(|keep| format!("toDateTime({end}) + INTERVAL {} SECOND", keep.as_secs()));
    let mut statements = vec![
        format!("CREATE DATABASE IF NOT EXISTS {}{on}", quoted(&place.database)),
        format!(
            "CREATE TABLE IF NOT EXISTS {own}{on} ({columns}, {indices}) ENGINE = {engine} PARTITION BY toYYYYMMDD({end}) \
             PRIMARY KEY ({slot}) ORDER BY ({order}){ttl} SETTINGS {settings}",
            columns = columns.join(", "),
            indices = indices.join(", "),
            order = order.join(", "),
            ttl = ttl.as_ref().map_or_else(String::new, |ttl| format!(" TTL {ttl}")),
        ),
        format!("ALTER TABLE {own}{on} {}", added(&columns)),
    ];
    if let Some(ttl) = ttl {
        statements.push(format!(
            "ALTER TABLE {own}{on} MODIFY TTL {ttl} SETTINGS materialize_ttl_after_modify = 0"
        ));
    }
    if let Some(cluster) = &place.cluster {
        // What has one key is on one shard, where it is replaced.
        statements.push(format!(
            "CREATE TABLE IF NOT EXISTS {whole}{on} AS {own} ENGINE = Distributed({}, {}, {}, cityHash64({}))",
            literal(cluster),
            literal(&place.database),
            literal(&format!("{}_local", table.name)),
            quoted(table.columns[table.key].name),
        ));
        statements.push(format!("ALTER TABLE {whole}{on} {}", added(&columns)));
    }
    statements
}

/// What makes a user who can read the tables and do nothing else, for those who want one.
#[cfg(test)]
pub(super) fn reader(place: &Place, name: &str) -> Vec<String> {
    let on =
        place.cluster.as_ref().map_or_else(String::new, |cluster| format!(" ON CLUSTER {}", quoted(cluster)));
    vec![
        format!("CREATE USER IF NOT EXISTS {}{on} SETTINGS readonly = 1", quoted(name)),
        format!("GRANT{on} SELECT ON {}.* TO {}", quoted(&place.database), quoted(name)),
    ]
}

impl Place {
    /// The name of a table in its database.
    pub(super) fn name(&self, table: &str) -> String {
        format!("{}.{}", quoted(&self.database), quoted(table))
    }

    /// What a batch of rows of a table is inserted by, which has all of its columns, in Parquet.
    pub(super) fn insert(&self, table: &Table) -> String {
        let columns: Vec<String> = extended(table).columns.iter().map(|column| quoted(column.name)).collect();
        format!("INSERT INTO {} ({}) FORMAT Parquet", self.name(table.name), columns.join(", "))
    }
}

fn added(columns: &[String]) -> String {
    let columns = columns.iter().map(|column| format!("ADD COLUMN IF NOT EXISTS {column}"));
    columns.collect::<Vec<_>>().join(", ")
}

/// Whether a column always has a value there, as those that rows are ordered by do: an empty one where there is none.
pub(super) fn is_certain(table: &Table, at: usize) -> bool {
    let column = table.columns[at];
    [table.key, table.identity, table.end].contains(&at)
        || table.order.contains(&at)
        || column.name == NETWORK
        || [OBSERVER, WRITTEN].contains(&column)
}

/// A column, its type and how it is packed.
pub(crate) fn definition(table: &Table, at: usize) -> String {
    let column = table.columns[at];
    let is_certain = is_certain(table, at);
    let nullable = |kind: &str| if is_certain { kind.to_owned() } else { format!("Nullable({kind})") };
    let kind = match column.kind {
        ColumnKind::Text if DISTINCT.contains(&column.name) => {
            format!("{} CODEC(ZSTD(1))", nullable("String"))
        }
        ColumnKind::Text => format!("LowCardinality({})", nullable("String")),
        ColumnKind::Texts => "Array(LowCardinality(String))".to_owned(),
        ColumnKind::Number => format!("{} CODEC(T64, ZSTD(1))", nullable("UInt64")),
        ColumnKind::Instant => format!("{} CODEC(DoubleDelta, ZSTD(1))", nullable("DateTime64(6, 'UTC')")),
        ColumnKind::Truth => nullable("Bool"),
    };
    format!("{} {kind}", quoted(column.name))
}

pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
