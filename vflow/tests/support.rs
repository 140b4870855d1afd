//! Somebody who types.

use std::{
    ffi::OsString,
    io::{self, Write},
};

use vflow::{Surroundings, Zone, run};

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: u8,
}

/// No terminal, and UTC.
pub(crate) const PIPE: Surroundings =
    Surroundings { zone: Zone::Utc, width: None, out_is_terminal: false, err_is_terminal: false };

/// A terminal of so many columns.
pub(crate) fn terminal(width: usize) -> Surroundings {
    Surroundings { width: Some(width), out_is_terminal: true, ..PIPE }
}

/// Types that, with spaces between the words, into that.
pub(crate) async fn typed(line: &str, surroundings: &Surroundings) -> Outcome {
    with(line.split(' ').map(OsString::from), surroundings).await
}

/// The same with words that have spaces.
pub(crate) async fn with(words: impl Iterator<Item = OsString>, surroundings: &Surroundings) -> Outcome {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once(OsString::from("vflow")).chain(words);
    let code = run(args, surroundings, &mut out, &mut err).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
    Outcome { out: text(out), err: text(err), code }
}

/// All that can be seen of a call, for a snapshot.
pub(crate) fn seen(line: &str, outcome: &Outcome) -> String {
    let mut text = format!("$ vflow {line}\n{}", outcome.out);
    if !outcome.err.is_empty() {
        text.push_str(&format!("-- messages\n{}", outcome.err));
    }
    text.push_str(&format!("-- exit code {}\n", outcome.code));
    text
}

/// Reads what is written until a text has come so many times, and no longer: the pipe is broken then.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) read: Vec<u8>,
    until: &'static str,
    times: usize,
}

impl Reader {
    pub(crate) fn until(until: &'static str, times: usize) -> Self {
        Self { read: Vec::new(), until, times }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text().matches(self.until).count() >= self.times {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.read.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.text().matches(self.until).count() >= self.times {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}
