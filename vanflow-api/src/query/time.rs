//! Times in questions: microseconds since the epoch, dates, and so long before now.

use chrono::DateTime;
use vanflow_proto::Timestamp;

/// A time that somebody asked for, which can depend on when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// In microseconds since the epoch; 0 is the beginning of all time.
    At(u64),
    /// So many microseconds before now.
    Ago(u64),
}

/// What a time has to be, for those who gave something else.
pub(crate) const EXPECTED: &str = "microseconds since the epoch, a time as in 2026-11-26T03:14:00Z, one before now as in \
                                   -1h or -15m, or now";

/// The same where it cannot depend on when it is asked.
pub(crate) const EXPECTED_INSTANT: &str =
    "microseconds since the epoch, a time as in 2026-11-26T03:14:00Z, or 0 where there is none";

/// No record is older than this, the beginning of the year 2000: a lower number is seconds or milliseconds.
pub(crate) const EARLIEST: u64 = 946_684_800_000_000;

/// What no time is later than: numbers of more digits are something else.
pub(crate) const LATEST: u64 = i64::MAX as u64;

/// Units of time before now, with the microseconds that each has.
const UNITS: [(&str, u64); 7] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
];

impl Time {
    /// Reads a time.
    ///
    /// # Errors
    ///
    /// Where it is none, what it has to be.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Ago(0));
        }
        match text.strip_prefix('-') {
            Some(before) => duration(before).map(Self::Ago).ok_or_else(|| EXPECTED.to_owned()),
            None => instant(text, EXPECTED).map(Self::At),
        }
    }

    /// The time in microseconds since the epoch.
    pub(crate) fn micros(self, now: Timestamp) -> u64 {
        match self {
            Self::At(micros) => micros,
            Self::Ago(micros) => now.as_micros().saturating_sub(micros),
        }
    }

    /// Whether it is another one when time has passed.
    pub(crate) fn is_moving(self) -> bool {
        matches!(self, Self::Ago(_))
    }
}

/// Reads a time that does not depend on when it is asked, in microseconds.
///
/// # Errors
///
/// Where it is none, what it has to be.
pub(crate) fn instant(text: &str, expected: &str) -> Result<u64, String> {
    if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit()) {
        let number = text.parse().unwrap_or(u64::MAX);
        return match number {
            0 => Ok(0),
            EARLIEST..=LATEST => Ok(number),
            _ if number > LATEST => Err(format!("{expected}; no time is that late")),
            _ => Err(meant(number).map_or_else(
                || format!("{expected}; a time before the year 2000 is none"),
                |(unit, micros)| format!("{expected}; if these are {unit}, {micros}"),
            )),
        };
    }
    // A plus sign that was not encoded has become a space; there is no other in a time.
    let date = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).map_err(|_| expected.to_owned())?;
    let micros = u64::try_from(date.timestamp_micros()).unwrap_or(0);
    if micros < EARLIEST {
        Err(format!("{expected}; a time before the year 2000 is none"))
    } else {
        Ok(micros)
    }
}

/// What a number of a larger unit than microseconds is in them, where that is a time in this century.
fn meant(number: u64) -> Option<(&'static str, u64)> {
    let is_near = |micros: &u64| (EARLIEST..EARLIEST + 3_155_760_000_000_000).contains(micros);
    [("seconds", 1_000_000), ("milliseconds", 1_000)]
        .into_iter()
        .find_map(|(unit, micros)| number.checked_mul(micros).filter(is_near).map(|micros| (unit, micros)))
}

/// How many microseconds `1h30m` is; none where it is no duration. More than there can be is as good as the most that there
/// can be.
pub fn duration(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text, 0_u64);
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at(letters);
        let micros = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        if digits == 0 {
            return None;
        }
        let number = number.parse().unwrap_or(u64::MAX);
        sum = sum.saturating_add(micros.saturating_mul(number));
        if after.is_empty() {
            return Some(sum);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000;

    #[test]
    fn times_are_microseconds_dates_or_before_now() {
        for (text, time) in [
            ("0", Time::At(0)),
            ("946684800000000", Time::At(EARLIEST)),
            ("1795662840000000", Time::At(1_795_662_840_000_000)),
            ("2026-11-26T03:14:00Z", Time::At(1_795_662_840_000_000)),
            ("2026-11-26t03:14:00.000001z", Time::At(1_795_662_840_000_001)),
            ("2026-11-26T04:14:00+01:00", Time::At(1_795_662_840_000_000)),
            ("2026-11-26T04:14:00 01:00", Time::At(1_795_662_840_000_000)),
            ("now", Time::Ago(0)),
            ("-1h", Time::Ago(HOUR)),
            ("-15m", Time::Ago(HOUR / 4)),
            ("-1h30m", Time::Ago(HOUR * 3 / 2)),
            ("-1w2d", Time::Ago(9 * 24 * HOUR)),
            ("-5ms", Time::Ago(5_000)),
            ("-7us", Time::Ago(7)),
            ("-99999999999999999999w", Time::Ago(u64::MAX)),
        ] {
            assert_eq!(Time::parse(text), Ok(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_met_with_what_is() {
        for text in ["", "yesterday", "-1", "-", "-h", "-1y", "1h", "-1H", "1e15", "1.5", "+1", "2026-11-26"]
        {
            assert_eq!(Time::parse(text), Err(EXPECTED.to_owned()), "{text}");
        }
        for (text, hint) in [
            ("1795662840", "if these are seconds, 1795662840000000"),
            ("1795662840123", "if these are milliseconds, 1795662840123000"),
            ("9223372036854775808", "no time is that late"),
            ("99999999999999999999", "no time is that late"),
            ("1", "a time before the year 2000 is none"),
            ("946684799999999", "a time before the year 2000 is none"),
            ("1999-12-31T23:59:59Z", "a time before the year 2000 is none"),
            ("1969-12-31T23:59:59Z", "a time before the year 2000 is none"),
        ] {
            assert_eq!(Time::parse(text), Err(format!("{EXPECTED}; {hint}")), "{text}");
        }
    }

    #[test]
    fn now_is_an_argument() {
        let now = Timestamp::from_micros(10 * HOUR);
        assert_eq!(Time::At(5).micros(now), 5);
        assert_eq!(Time::Ago(HOUR).micros(now), 9 * HOUR);
        assert_eq!(Time::Ago(u64::MAX).micros(now), 0);
    }
}
