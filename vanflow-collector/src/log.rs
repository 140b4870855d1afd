//! The log: lines on stderr, one for each event, whatever is in it.
//!
//! Ids, addresses and errors come from the network, and whoever writes them may write anything: a newline and what
//! looks like a line of ours behind it, sequences that move the cursor of a terminal, 60 KB of text. Here, where all of
//! the log comes by, such characters are escaped and long lines are cut, so that no place that logs has to think of it.

use std::io::{self, IsTerminal, stderr};

use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::format::{self, FormatFields},
};
use vanflow_collector::{line::Line, terminal::StatusLine};

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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

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
