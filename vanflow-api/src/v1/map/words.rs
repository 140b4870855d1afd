//! Figures in words, for people.

use std::fmt::Write;

use super::figures::{Figures, Trouble};

/// A number with three digits and a unit that suits: `803 B/s`, `63.5 kB/s`.
pub(super) fn octet_rate(rate: f64) -> String {
    const UNITS: [&str; 5] = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"];
    if rate > 0.0 && rate < 0.05 {
        return "< 0.1 B/s".to_owned();
    }
    let (mut number, mut unit) = (rate, 0);
    // What would be rounded to 1000 has the next unit.
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1_000.0;
        unit += 1;
    }
    let is_whole = number >= 99.95 || number == 0.0;
    if is_whole { format!("{number:.0} {}", UNITS[unit]) } else { format!("{number:.1} {}", UNITS[unit]) }
}

/// A whole number, with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share: `5.5 %`, `12 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// So many of a thing: `1 link`, `2 links`.
pub(super) fn counted(count: usize, one: &str, several: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {several}", grouped(count as u64)) }
}

/// What is wrong, where something is: `33 of 33 refused`, `5.5 % of 3,200 requests failed`.
pub(super) fn trouble(figures: &Figures) -> Option<String> {
    if figures.trouble() == Trouble::Fine {
        return None;
    }
    let (units, errors) = (grouped(figures.units), grouped(figures.errors));
    let unit = unit(figures);
    Some(if figures.errors < figures.units {
        format!("{} of {units} {unit} failed", percent(figures.error_share()?))
    } else if figures.refused == figures.errors {
        format!("{errors} of {units} refused")
    } else {
        format!("{errors} of {units} {unit} failed")
    })
}

/// What so many units are called.
fn unit(figures: &Figures) -> &'static str {
    match (figures.has_requests, figures.units) {
        (true, 1) => "request",
        (true, _) => "requests",
        (false, 1) => "connection",
        (false, _) => "connections",
    }
}

/// The same at an edge of a picture, where there is little room.
pub(super) fn short_trouble(figures: &Figures) -> Option<String> {
    match trouble(figures) {
        Some(_) if figures.errors < figures.units => Some(percent(figures.error_share()?)),
        Some(text) => Some(text.replace(&format!(" {}", unit(figures)), "")),
        None => None,
    }
}

/// What goes by at a node, and what is wrong with what it serves.
pub(super) fn node(all: &Figures, served: &Figures) -> String {
    let mut text = all.octet_rates().shown().map(octet_rate).unwrap_or_default();
    let trouble = match served.trouble() {
        Trouble::Fine => return text,
        _ if served.errors < served.units => {
            format!("{} failed", percent(served.error_share().unwrap_or(1.0)))
        }
        _ if served.refused == served.errors => "all refused".to_owned(),
        _ => "all failed".to_owned(),
    };
    let separator = if text.is_empty() { "" } else { ", " };
    let _ = write!(text, "{separator}{trouble}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits_and_a_unit() {
        for (rate, expected) in [
            (0.0, "0 B/s"),
            (0.01, "< 0.1 B/s"),
            (0.54, "0.5 B/s"),
            (803.4, "803 B/s"),
            (999.7, "1.0 kB/s"),
            (63_512.0, "63.5 kB/s"),
            (181_000.0, "181 kB/s"),
            (1.25e9, "1.2 GB/s"),
            (4.0e15, "4000 TB/s"),
        ] {
            assert_eq!(octet_rate(rate), expected);
        }
    }

    #[test]
    fn trouble_is_said_with_what_it_is_a_share_of() {
        let figures = |units, errors, refused, has_requests| Figures {
            units,
            errors,
            refused,
            has_requests,
            ..Figures::default()
        };
        for (figures, text, short) in [
            (figures(33, 33, 33, false), Some("33 of 33 refused"), Some("33 of 33 refused")),
            (figures(33, 33, 2, false), Some("33 of 33 connections failed"), Some("33 of 33 failed")),
            (figures(1, 1, 0, false), Some("1 of 1 connection failed"), Some("1 of 1 failed")),
            (figures(1, 1, 0, true), Some("1 of 1 request failed"), Some("1 of 1 failed")),
            (figures(3_200, 176, 0, true), Some("5.5 % of 3,200 requests failed"), Some("5.5 %")),
            (figures(100, 12, 0, false), Some("12 % of 100 connections failed"), Some("12 %")),
            (figures(100, 1, 1, false), None, None),
        ] {
            assert_eq!((trouble(&figures).as_deref(), short_trouble(&figures).as_deref()), (text, short));
        }
        let served = figures(33, 33, 33, false);
        assert_eq!(node(&served, &served), "all refused");
        assert_eq!(counted(1, "link", "links") + &counted(1_200, "link", "links"), "1 link1,200 links");
    }
}
