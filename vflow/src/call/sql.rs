//! `vflow sql`: how to open the history with a program that speaks SQL. There is none in here.

mod clickhouse;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

pub(crate) use self::clickhouse::{Named, answer};
use crate::{
    args::{Engine, Sql},
    error::{Error, RIGHT},
};

/// What a folder of the history is called in statements, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    name: String,
    files: String,
}

/// Prints commands that answer a statement.
pub(crate) fn sql(sql: &Sql, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8, Error> {
    let Some(directory) = &sql.history_dir else {
        return Err(Error::usage(
            "--history-dir DIR says where the collector keeps its history, as its own option does, or --history-clickhouse URL \
             where it sends it",
        ));
    };
    let directory = std::path::absolute(directory).map_err(|error| failed(directory, error.to_string()))?;
    let views = views(&directory)?;
    if views.is_empty() {
        let _ = writeln!(
            err,
            "there are no files in {} yet: what ends is in a log first, and in files after five minutes",
            crate::escape::visible(&directory.display().to_string())
        );
        return Ok(RIGHT);
    }
    let views = named(views, &sql.statement);
    for engine in [Engine::Duckdb, Engine::Clickhouse] {
        if sql.with.is_none_or(|with| with == engine) {
            writeln!(out, "{}", engine.command(&views, sql.statement.trim().trim_end_matches(';')))?;
        }
    }
    out.flush()?;
    Ok(RIGHT)
}

impl Engine {
    /// A command for a shell.
    fn command(self, views: &[View], statement: &str) -> String {
        let (program, before) = match self {
            Self::Duckdb => ("duckdb -c", ""),
            // Files of an earlier version have fewer columns.
            Self::Clickhouse => ("clickhouse local --query", "SET schema_inference_mode = 'union'; "),
        };
        let made: String = views.iter().map(|view| format!("{}; ", self.view(view))).collect();
        format!("{program} {}", in_shell(&format!("{before}{made}{statement}")))
    }

    fn view(self, View { name, files }: &View) -> String {
        let (name, files) = (identifier(name), literal(self, files));
        match self {
            Self::Duckdb => format!(
                "CREATE VIEW {name} AS SELECT * FROM read_parquet({files}, hive_partitioning = true, union_by_name = true)"
            ),
            Self::Clickhouse => format!("CREATE VIEW {name} AS SELECT * FROM file({files}, Parquet)"),
        }
    }
}

/// A view for each folder that has files, or has them by date.
fn views(directory: &Path) -> Result<Vec<View>, Error> {
    let mut views = Vec::new();
    add_views(directory, "", &mut views)?;
    views.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(views)
}

/// Those views that a statement names; all where it names none.
fn named(views: Vec<View>, statement: &str) -> Vec<View> {
    let words = || statement.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let is_named = |view: &View| words().any(|word| word.eq_ignore_ascii_case(&view.name));
    let (named, others): (Vec<_>, Vec<_>) = views.into_iter().partition(is_named);
    if named.is_empty() { others } else { named }
}

/// Those of the folders in one, whose names begin with that.
fn add_views(directory: &Path, before: &str, views: &mut Vec<View>) -> Result<(), Error> {
    let entries = fs::read_dir(directory).map_err(|error| failed(directory, error.to_string()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !path.is_dir() {
            continue;
        }
        let name = format!("{before}{}", name.replace('-', "_"));
        let is_own = |path: &PathBuf| is_parquet(path) || is_by_date(path) && has_files(path);
        if paths(&path).iter().any(is_own) {
            let files = path.join("**").join("*.parquet");
            let Some(files) = files.to_str().map(str::to_owned) else {
                return Err(failed(directory, "its name is not UTF-8"));
            };
            views.push(View { name, files });
        } else {
            add_views(&path, &format!("{name}_"), views)?;
        }
    }
    Ok(())
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "parquet")
}

/// Whether a folder has what is of a time.
fn is_by_date(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("date="))
}

/// Whether there is a Parquet file in a folder, or in one in it.
fn has_files(folder: &Path) -> bool {
    paths(folder).into_iter().any(|path| is_parquet(&path) || path.is_dir() && has_files(&path))
}

fn failed(path: &Path, reason: impl Into<String>) -> Error {
    Error::File { verb: "read", path: path.to_owned(), reason: reason.into() }
}

fn identifier(name: &str) -> String {
    match name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_') {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// A text as SQL has it. In ClickHouse a backslash begins an escape.
fn literal(engine: Engine, text: &str) -> String {
    let text = match engine {
        Engine::Duckdb => text.replace('\'', "''"),
        Engine::Clickhouse => text.replace('\\', "\\\\").replace('\'', "\\'"),
    };
    format!("'{text}'")
}

/// A word as shells have it.
fn in_shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_folder_is_called_a_statement_is_one_word_and_its_name_one_text() {
        let view = View { name: "rollup_5m".to_owned(), files: "/it's/\\x/*.parquet".to_owned() };
        assert_eq!(
            Engine::Duckdb.command(std::slice::from_ref(&view), "SELECT 'a'"),
            r#"duckdb -c 'CREATE VIEW "rollup_5m" AS SELECT * FROM read_parquet('\''/it'\'''\''s/\x/*.parquet'\'', "#.to_owned()
                + r"hive_partitioning = true, union_by_name = true); SELECT '\''a'\'''"
        );
        assert_eq!(
            Engine::Clickhouse.view(&view),
            r#"CREATE VIEW "rollup_5m" AS SELECT * FROM file('/it\'s/\\x/*.parquet', Parquet)"#
        );
    }

    #[test]
    fn folders_with_files_are_views() {
        let folder = tempfile::TempDir::new().expect("a directory");
        let path = folder.path();
        let of_minutes = "rollup-1m/requests/date=2026-11-26/hour=03";
        for sub in ["log", "requests/date=2026-11-26/hour=03", of_minutes, "connections/date=2026-11-26"] {
            fs::create_dir_all(path.join(sub)).expect("it is there");
        }
        let of_minutes = format!("{of_minutes}/7.parquet");
        for file in ["log/7.log", "requests/date=2026-11-26/hour=03/7.parquet", &of_minutes, "lock"] {
            fs::write(path.join(file), "").expect("it is there");
        }
        let found = views(path).expect("it can be read");
        let names: Vec<_> = found.iter().map(|view| &*view.name).collect();
        assert_eq!(names, ["requests", "rollup_1m_requests"]);
        assert_eq!(found[0].files, format!("{}/requests/**/*.parquet", path.display()));
        for (statement, expected) in [
            ("SELECT count(*) FROM Requests", &["requests"][..]),
            (
                "SELECT * FROM requests JOIN \"rollup_1m_requests\" USING (site)",
                &["requests", "rollup_1m_requests"],
            ),
            ("SHOW TABLES", &["requests", "rollup_1m_requests"]),
        ] {
            let views = named(views(path).expect("it can be read"), statement);
            assert_eq!(views.iter().map(|view| &*view.name).collect::<Vec<_>>(), expected, "{statement}");
        }
    }
}
