//! The log: lines on stderr, one for each event, whatever is in it.
//!
//! Ids, addresses and errors come from the network, and whoever writes them may write anything: a newline and what
//! looks like a line of ours behind it, sequences that move the cursor of a terminal, 60 KB of text. Here, where all of
//! the log comes by, such characters are escaped and long lines are cut, so that no place that logs has to think of it.

use std::{
    collections::VecDeque,
    fmt::{self, Display, Write},
    io::{self, IsTerminal, stderr},
};

use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::format::{self, FormatFields},
};
use vanflow_collector::terminal::StatusLine;

/// Characters that are shown of the start of a long text.
const HEAD: usize = 1000;

/// Characters that are shown of its end, where the words often are that say what happened.
const TAIL: usize = 200;

/// Logs what `filter` lets through to stderr, above the line of a terminal that changes, if there is one.
///
/// Plain lines; a person at a terminal knows what time it is, and who speaks. Where nobody reads them any more they are
/// lost, and nothing else: to complain of that on stderr would be a panic of whoever logged.
pub(crate) fn to_stderr(filter: EnvFilter, line: Option<StatusLine>) {
    let writer = move || match &line {
        Some(line) => Box::new(line.clone()) as Box<dyn io::Write>,
        None => Box::new(stderr()),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .log_internal_errors(false)
        .fmt_fields(fields());
    if stderr().is_terminal() {
        lines.without_time().with_target(false).init();
    } else {
        lines.with_ansi(false).init();
    }
}

/// The message of an event as it is, other fields with their names, each as a [`Line`].
fn fields() -> impl for<'writer> FormatFields<'writer> {
    format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", Line(format_args!("{value:?}"))),
        name => write!(writer, "{name}={}", Line(format_args!("{value:?}"))),
    })
    .delimited(" ")
}

/// Shows a text within one line: without control characters, and not at any length.
pub(crate) struct Line<T>(pub(crate) T);

impl<T: Display> Display for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cut = Cut { out: f, shown: 0, omitted: 0, tail: VecDeque::new() };
        write!(cut, "{}", self.0)?;
        cut.end()
    }
}

/// Shows the first characters at once, and holds back the last ones until it is known which those are.
struct Cut<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    shown: usize,
    omitted: usize,
    tail: VecDeque<char>,
}

impl Write for Cut<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.shown < HEAD {
                self.shown += 1;
                show(self.out, character)?;
                continue;
            }
            if self.tail.len() == TAIL {
                self.tail.pop_front();
                self.omitted += 1;
            }
            self.tail.push_back(character);
        }
        Ok(())
    }
}

impl Cut<'_, '_> {
    fn end(self) -> fmt::Result {
        if self.omitted > 0 {
            write!(self.out, "… ({} characters) …", self.omitted)?;
        }
        self.tail.into_iter().try_for_each(|character| show(self.out, character))
    }
}

fn show(out: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    if is_shown(character) {
        out.write_char(character)
    } else {
        Display::fmt(&character.escape_default(), out)
    }
}

/// Whether a character stays where it is put, and leaves all others where they are.
fn is_shown(character: char) -> bool {
    // Some viewers begin a line at the former two; the others turn the direction of what stands behind them.
    let is_format = matches!(
        character,
        '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !character.is_control() && !is_format
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn line(text: &str) -> String {
        Line(text).to_string()
    }

    #[test]
    fn what_is_no_control_character_is_shown_as_it_is() {
        for text in ["", "attached to amqps://r:5671", "\\n \"quoted\" 'too'", "Zürich ⟶ 東京 🦀"] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(line("a\nb\r\tc\0"), "a\\nb\\r\\tc\\u{0}");
        assert_eq!(line("\u{1b}[31mred\u{9b}0m\u{7f}"), "\\u{1b}[31mred\\u{9b}0m\\u{7f}");
        assert_eq!(line("a\u{2028}b\u{202e}c"), "a\\u{2028}b\\u{202e}c");
    }

    #[test]
    fn long_texts_are_cut_in_their_middle() {
        let just = "x".repeat(HEAD + TAIL);
        assert_eq!(line(&just), just);
        let long = format!("{}{} is lost", "x".repeat(HEAD), "y".repeat(60_000));
        let end = format!("{} is lost", "y".repeat(TAIL - " is lost".len()));
        assert_eq!(line(&long), format!("{}… (59808 characters) …{end}", "x".repeat(HEAD)));
    }

    /// What is logged there instead of on stderr.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn messages_and_fields_alike_stay_within_their_line() {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .without_time()
            .with_ansi(false)
            .fmt_fields(fields())
            .finish();
        tracing::subscriber::with_default(lines, || {
            tracing::info!(id = "a\nb", other = %"c\nd", "e\nf {}", "g\nh");
        });
        let text = String::from_utf8(kept.0.lock().expect("no panic").clone()).expect("UTF-8");
        assert_eq!(text, " INFO vanflow_collector::log::tests: e\\nf g\\nh id=\"a\\nb\" other=c\\nd\n");
    }
}
