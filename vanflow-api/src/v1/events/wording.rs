//! How events are put in words.

/// A text in one line of at most so many letters: what is no letter of a line becomes a space.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|letter| if is_of_line(letter) { letter } else { ' ' });
    let mut plain: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        plain.pop();
        plain.push('…');
    }
    plain
}

/// Whether a letter stands for itself in a line: neither a control character nor one that turns a line around.
fn is_of_line(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A time span as people say it: `0.82 ms`, `18.6 ms`, `487 ms`, `4.3 s`, `42 min`, `3 h 12 min`, `5 d`.
pub(crate) fn span(micros: u64) -> String {
    const SECOND: u64 = 1_000_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let millis = micros as f64 / 1e3;
    match micros {
        0..995 => format!("{millis:.2} ms"),
        995..99_500 => format!("{millis:.1} ms"),
        99_500..999_500 => format!("{millis:.0} ms"),
        999_500..9_950_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ if micros < 2 * MINUTE => format!("{:.0} s", micros as f64 / 1e6),
        _ if micros < HOUR => format!("{} min", micros / MINUTE),
        _ if micros < DAY => match micros % HOUR / MINUTE {
            0 => format!("{} h", micros / HOUR),
            minutes => format!("{} h {minutes} min", micros / HOUR),
        },
        _ => format!("{} d", micros / DAY),
    }
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`.
pub(crate) fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// `once`, `twice`, `3 times`.
pub(crate) fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit_and_as_many_digits_as_matter() {
        for (micros, expected) in [
            (0, "0.00 ms"),
            (820, "0.82 ms"),
            (18_600, "18.6 ms"),
            (487_000, "487 ms"),
            (4_300_000, "4.3 s"),
            (42_000_000, "42 s"),
            (119_000_000, "119 s"),
            (42 * 60_000_000, "42 min"),
            (3 * 3_600_000_000, "3 h"),
            (192 * 60_000_000, "3 h 12 min"),
            (5 * 86_400_000_000 + 7, "5 d"),
        ] {
            assert_eq!(span(micros), expected);
        }
    }

    #[test]
    fn numbers_are_counted_as_people_count() {
        let spoken = [1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal);
        assert_eq!(spoken, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"]);
        assert_eq!([1, 2, 3].map(times), ["once", "twice", "3 times"]);
    }

    #[test]
    fn a_line_stays_a_line() {
        assert_eq!(plain("one\r\ntwo\u{202e}three\u{7}", 80), "one  two three ");
        assert_eq!(plain("12345", 5), "12345");
        assert_eq!(plain("123456", 5), "1234…");
    }
}
