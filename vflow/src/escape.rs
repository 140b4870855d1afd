//! Texts from elsewhere, made safe to show in a terminal.
//!
//! Names, addresses and errors come from remote peers. A control character among them could move the cursor, change
//! what was written before, or make the terminal answer; marks that turn the direction of writing could make a name
//! look like another. None gets through.

use std::borrow::Cow;

/// The text with everything escaped that is not to be seen as itself.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal does something else with it than to show it.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Direction of writing, invisible joiners and spaces, separators of lines, byte order mark, tags.
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_command_the_terminal_is_escaped() {
        for (text, safe) in [
            ("loyalty:8080", "loyalty:8080"),
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", "\\u{1b}[2J\\u{1b}]0;owned\\u{7}"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("Käse-東京", "Käse-東京"),
        ] {
            assert_eq!(visible(text), safe);
        }
    }

    #[test]
    fn no_control_character_of_any_kind_gets_through() {
        let all: String = (0..=0x9f).filter_map(char::from_u32).collect();
        assert!(!visible(&all).chars().any(char::is_control));
    }
}
