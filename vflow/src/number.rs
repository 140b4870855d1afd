//! Numbers with their units, for people: three digits, and a smaller unit below a twentieth of one.

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// So many of something: `1 link`, `1,048 links`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Octets, decimal: `803 B`, `63.5 kB`.
pub(crate) fn octets(octets: f64) -> String {
    scaled(octets, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// Octets a second.
pub(crate) fn octet_rate(rate: f64) -> String {
    scaled(rate, &["B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"])
}

/// Memory, binary: `512 MiB`.
pub(crate) fn memory(octets: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (octets, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value, unit == 0), UNITS[unit])
}

/// So many a second: `4.2/s`.
pub(crate) fn rate(rate: f64) -> String {
    if rate == 0.0 {
        "0/s".to_owned()
    } else if rate < 0.05 {
        format!("{}/min", three_digits(rate * 60.0, false))
    } else if rate < 999.5 {
        format!("{}/s", three_digits(rate, false))
    } else {
        format!("{} k/s", three_digits(rate / 1000.0, false))
    }
}

/// A share of 1: `1.4 %`.
pub(crate) fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 {
        "0 %".to_owned()
    } else if percent < 0.05 {
        "< 0.1 %".to_owned()
    } else if percent < 9.95 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// A duration, given in microseconds: `0.82 ms`, `4.3 s`, `3 h 12 min`, `5 d`.
pub(crate) fn duration(micros: u64) -> String {
    let two = |value: f64| if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    match micros {
        0 => "0 ms".to_owned(),
        1..50 => format!("{micros} µs"),
        50..1_000 => format!("{:.2} ms", micros as f64 / 1e3),
        1_000..999_500 => format!("{} ms", three_digits(micros as f64 / 1e3, false)),
        999_500..MINUTE => format!("{} s", two(micros as f64 / 1e6)),
        MINUTE..HOUR => format!("{} min", micros / MINUTE),
        HOUR..DAY => match micros % HOUR / MINUTE {
            0 => format!("{} h", micros / HOUR),
            minutes => format!("{} h {minutes} min", micros / HOUR),
        },
        _ => format!("{} d", micros / DAY),
    }
}

/// A count, with its thousands kept apart: `1,153,434`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn scaled(value: f64, units: &[&str]) -> String {
    let (mut value, mut unit) = (value, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value, unit == 0 && value.fract() == 0.0), units[unit])
}

/// Three digits of it; whole numbers as they are.
fn three_digits(value: f64, is_whole: bool) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if is_whole || value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_have_three_digits_and_decimal_units() {
        for (number, text) in [
            (0.0, "0 B"),
            (7.0, "7 B"),
            (803.0, "803 B"),
            (999.0, "999 B"),
            (1000.0, "1.00 kB"),
            (63_512.0, "63.5 kB"),
            (999_600.0, "1.00 MB"),
            (152_000_000.0, "152 MB"),
            (4.2e18, "4200 PB"),
        ] {
            assert_eq!(octets(number), text);
        }
        assert_eq!(octet_rate(803.0), "803 B/s");
        assert_eq!(octet_rate(0.25), "0.25 B/s");
        assert_eq!(memory(536_870_912.0), "512 MiB");
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        for (micros, text) in [
            (0, "0 ms"),
            (7, "7 µs"),
            (820, "0.82 ms"),
            (1_378, "1.38 ms"),
            (18_640, "18.6 ms"),
            (487_000, "487 ms"),
            (999_700, "1.0 s"),
            (4_300_000, "4.3 s"),
            (42 * MINUTE, "42 min"),
            (3 * HOUR + 12 * MINUTE, "3 h 12 min"),
            (2 * HOUR, "2 h"),
            (5 * DAY + HOUR, "5 d"),
        ] {
            assert_eq!(duration(micros), text);
        }
    }

    #[test]
    fn rates_shares_and_counts_are_readable() {
        assert_eq!(
            [rate(0.0), rate(0.01), rate(4.2), rate(1234.0)],
            ["0/s", "0.60/min", "4.20/s", "1.23 k/s"]
        );
        assert_eq!(
            [share(0.0), share(0.0001), share(0.0142), share(0.5), share(1.0)],
            ["0 %", "< 0.1 %", "1.4 %", "50 %", "100 %"]
        );
        assert_eq!([count(0), count(999), count(1_153_434)], ["0", "999", "1,153,434"]);
    }
}
