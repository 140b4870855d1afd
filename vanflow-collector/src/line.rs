//! Texts of others within a line of ours.
//!
//! Ids, addresses and errors come from the network, and whoever writes them may write anything. What is logged, what a
//! terminal shows and what the process says at its end all go by [`Line`].

use std::{
    collections::VecDeque,
    fmt::{self, Display, Write},
};

/// Characters that are shown of the start of a long text.
const HEAD: usize = 1000;

/// Characters that are shown of its end, where the words often are that say what happened.
const TAIL: usize = 200;

/// Shows a text within one line: without control characters, and not at any length.
#[derive(Clone, Copy, Debug)]
pub struct Line<T>(
    /// The text.
    pub T,
);

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
}
