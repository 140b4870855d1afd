//! What a person at a terminal sees of the start: one line that updates by itself, and makes room for what is logged.

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::line::Line;

/// Begins the line anew, with nothing in it.
const CLEAR: &str = "\r\u{1b}[K";

/// What is longer than the terminal is wide must not begin a second line: that one would stay.
const CUT: (&str, &str) = ("\u{1b}[?7l", "\u{1b}[?7h");

/// The last line of a terminal, which changes. Clones are the same line.
#[derive(Clone)]
pub struct StatusLine {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    terminal: Box<dyn Write + Send>,
    /// What the line shows; nothing where there is none.
    shown: String,
}

impl fmt::Debug for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusLine").field("shown", &self.lock().shown).finish_non_exhaustive()
    }
}

impl StatusLine {
    /// A line of that terminal.
    pub fn new(terminal: impl Write + Send + 'static) -> Self {
        let shared = Shared { terminal: Box::new(terminal), shown: String::new() };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Shows that text in the line, in place of what it shows.
    pub fn show(&self, text: &str) {
        let (mut shared, text) = (self.lock(), Line(text).to_string());
        if shared.shown != text {
            shared.shown = text;
            shared.draw();
        }
    }

    /// Writes a text that stays above the line.
    pub fn say(&self, text: &str) {
        self.lock().above(format!("{}\n", Line(text)).as_bytes());
    }

    /// Shows that text in the line, and leaves it there for good.
    pub fn end(&self, text: &str) {
        let mut shared = self.lock();
        shared.shown.clear();
        shared.write(format!("{CLEAR}{}\n", Line(text)).as_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whatever is written stays above the line: for what is logged. To be written in whole lines.
impl Write for StatusLine {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.lock().above(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn above(&mut self, octets: &[u8]) {
        if self.shown.is_empty() {
            self.write(octets);
            return;
        }
        self.write(&[CLEAR.as_bytes(), octets].concat());
        self.draw();
    }

    fn draw(&mut self) {
        let text = format!("{CLEAR}{}{}{}", CUT.0, self.shown, CUT.1);
        self.write(text.as_bytes());
    }

    /// A terminal that is gone is no reason to stop.
    fn write(&mut self, octets: &[u8]) {
        let _ = self.terminal.write_all(octets).and_then(|()| self.terminal.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal as far as it matters here: what is on it in the end.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn lines(&self) -> Vec<String> {
            let written = String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8");
            let last = |line: &str| {
                let shown = line.rsplit(CLEAR).next().unwrap_or_default();
                shown.replace(CUT.0, "").replace(CUT.1, "")
            };
            written.split('\n').map(last).collect()
        }
    }

    #[test]
    fn the_line_shows_the_latest_text_below_all_that_was_said_and_logged() {
        let screen = Screen::default();
        let mut line = StatusLine::new(screen.clone());
        line.say("the page");
        line.show("1 router");
        line.show("2 routers");
        line.write_all(b" WARN one\n").expect("it takes all");
        assert_eq!(screen.lines(), ["the page", " WARN one", "2 routers"]);
        line.show("3 routers");
        line.end("3 routers, all of them");
        line.write_all(b" WARN two\n").expect("it takes all");
        assert_eq!(screen.lines(), ["the page", " WARN one", "3 routers, all of them", " WARN two", ""]);
    }

    #[test]
    fn a_text_that_is_shown_already_is_not_written_again() {
        let screen = Screen::default();
        let line = StatusLine::new(screen.clone());
        line.show("1 router");
        let written = screen.0.lock().expect("no panic").len();
        line.show("1 router");
        assert_eq!(screen.0.lock().expect("no panic").len(), written);
    }

    #[test]
    fn what_others_wrote_leaves_the_terminal_as_it_is() {
        let screen = Screen::default();
        let line = StatusLine::new(screen.clone());
        line.say("a router at \u{1b}[2Jx\nforged");
        line.show("not attached: \u{1b}]0;title\u{7}");
        line.end("the network \r is known");
        let shown = String::from_utf8(screen.0.lock().expect("no panic").clone()).expect("UTF-8");
        assert_eq!(
            shown,
            "a router at \\u{1b}[2Jx\\nforged\n\r\u{1b}[K\u{1b}[?7lnot attached: \\u{1b}]0;title\\u{7}\u{1b}[?7h\
             \r\u{1b}[Kthe network \\r is known\n"
        );
    }
}
