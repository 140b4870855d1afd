//! `vflow verify`: whether a flow log is as the collector wrote it.
//!
//! With `--flow-log-chain` each line carries the hash of the one before, SHA-256 of its octets without the end of the line. What
//! was changed, added or removed since breaks the chain; only what was cut off at its end does not, which is why the hash
//! of the last line is answered, to be kept elsewhere.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::{
    args::{Form, Verify},
    error::{BAD, Error, RIGHT},
    escape::visible,
    number, output,
};

/// What the first line of all carries.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What is seen of a chain.
#[derive(Debug, Default)]
struct Chain {
    lines: u64,
    /// What the first line carries.
    first: Option<String>,
    /// The hash of the last line.
    last: Option<String>,
    /// Where it breaks, and how.
    broken: Option<String>,
}

/// Checks a flow log: the files that are named, or one with those beside it that were finished before.
pub(crate) fn verify(verify: &Verify, form: Option<Form>, out: &mut dyn Write) -> Result<u8, Error> {
    let form = form.unwrap_or(Form::Table);
    if !matches!(form, Form::Table | Form::Json | Form::Ndjson | Form::Yaml) {
        let text =
            format!("a flow log cannot be shown as {}: -o is one of table, json, ndjson, yaml", form.name());
        return Err(Error::usage(text));
    }
    let files = match &verify.files[..] {
        [only] => with_finished(only)?,
        files => files.to_vec(),
    };
    let mut chain = Chain::default();
    for file in &files {
        if chain.broken.is_none() {
            chain.read(file).map_err(|error| unreadable(file, &error))?;
        }
    }
    let is_whole = chain.first.as_deref().is_none_or(|first| first == NOTHING);
    let document = json!({
        "unbroken": chain.broken.is_none(),
        "files": files.len(),
        "lines": chain.lines,
        "beginsWithTheFirst": is_whole,
        "follows": chain.first,
        "last": chain.last,
        "broken": chain.broken,
    });
    match form {
        Form::Json => writeln!(out, "{}", output::escaped_pretty(&document))?,
        Form::Ndjson => writeln!(out, "{}", output::escaped(&document))?,
        Form::Yaml => output::yaml(out, &document)?,
        _ => writeln!(out, "{}", visible(&chain.text(files.len(), is_whole)))?,
    }
    out.flush()?;
    Ok(if chain.broken.is_none() { RIGHT } else { BAD })
}

impl Chain {
    fn read(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let is_compressed = path.extension().is_some_and(|end| end == "gz");
        let file: Box<dyn Read> =
            if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut file = BufReader::with_capacity(256 << 10, file);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            // What has no end yet is being written.
            if file.read_until(b'\n', &mut line)? == 0 || line.pop() != Some(b'\n') {
                break;
            }
            let at = || format!("line {number} of {}", path.display());
            let carried = serde_json::from_slice::<Value>(&line).ok();
            let Some(carried) = carried.as_ref().and_then(|line| line["prev"].as_str()) else {
                // Where no line has one, none was asked for.
                let how =
                    if self.lines == 0 { ", which --flow-log-chain has the collector write" } else { "" };
                self.broken = Some(format!("{} carries no hash of the line before{how}", at()));
                break;
            };
            match &self.last {
                None => self.first = Some(carried.to_owned()),
                Some(last) if last == carried => {}
                Some(_) => {
                    self.broken = Some(format!(
                        "{} does not follow the line before: one of them was changed, or lines between them were added or \
                         removed",
                        at()
                    ));
                    break;
                }
            }
            self.lines += 1;
            self.last = Some(hash(&line));
        }
        Ok(())
    }

    fn text(&self, files: usize, is_whole: bool) -> String {
        let lines = number::counted(self.lines, "line", "lines");
        if let Some(broken) = &self.broken {
            return format!("broken: {broken}; before it, {lines}");
        }
        let Some(last) = &self.last else { return "there are no lines".to_owned() };
        let from = if is_whole { "from the very first" } else { "what came before them is not there" };
        let files = number::counted(files as u64, "file", "files");
        format!("unbroken: {lines} in {files}, {from}; the last has the hash {last}")
    }
}

/// A file, after those that were finished before it, in their order.
fn with_finished(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut finished = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let its = entry.map_err(|error| unreadable(folder, &error))?.file_name();
        // As the one that was named, which may have no folder.
        let path = path.with_file_name(&its);
        let its = its.to_str().unwrap_or_default();
        let Some(rest) = its.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else { continue };
        let (digits, is_compressed) = match rest.strip_suffix(".gz") {
            Some(digits) => (digits, true),
            None => (rest, false),
        };
        let is_one = digits.len() >= 6 && digits.bytes().all(|letter| letter.is_ascii_digit());
        if let Some(number) = digits.parse::<u64>().ok().filter(|_| is_one) {
            finished.push((number, !is_compressed, path));
        }
    }
    finished.sort();
    // What is there in both forms is being compressed.
    finished.dedup_by_key(|(number, ..)| *number);
    Ok(finished.into_iter().map(|(.., path)| path).chain([path.to_owned()]).collect())
}

fn hash(line: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for octet in digest(&SHA256, line).as_ref() {
        // A text takes all that is written.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::File { verb: "read", path: path.to_owned(), reason: error.to_string() }
}
