//! Times, as they are typed and as they are shown.

use chrono::{DateTime, Days, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use vanflow_api::selection::duration;

/// By which clock times are typed and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The one of this machine.
    Local,
    /// Coordinated universal time.
    Utc,
}

/// What a time has to be, for those who typed something else.
const EXPECTED: &str = "a time as in 2026-11-26T03:14:00Z, 2026-11-26 03:14, 2026-11-26, 03:14 or `yesterday 03:14`, or one \
                        before now as in -1h, 10m or 1h30m, or now";

/// Reads a time, in microseconds since the epoch; `now` is what those before now are counted from.
///
/// # Errors
///
/// Where it is none, what it has to be.
pub(crate) fn parse(text: &str, now: u64, zone: Zone) -> Result<u64, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if let Some(before) = duration(text.strip_prefix('-').unwrap_or(text)) {
        return Ok(now.saturating_sub(before));
    }
    if text.len() == 16 && text.bytes().all(|octet| octet.is_ascii_digit()) {
        return text.parse().map_err(|_| EXPECTED.to_owned());
    }
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return u64::try_from(date.timestamp_micros()).map_err(|_| "a time after 1970".to_owned());
    }
    let naive = naive(text, zone.naive(now)).ok_or_else(|| EXPECTED.to_owned())?;
    zone.instant(naive).ok_or_else(|| format!("a time that there was: the clocks were set forward at {text}"))
}

/// A date, a time of day, or both, as the clock on the wall shows them.
fn naive(text: &str, now: NaiveDateTime) -> Option<NaiveDateTime> {
    let time = |text: &str| {
        ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())
    };
    let day = |text: &str| match text {
        "today" => Some(now.date()),
        "yesterday" => now.date().checked_sub_days(Days::new(1)),
        _ => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok(),
    };
    if let Some((first, second)) = text.split_once([' ', 'T']) {
        return Some(day(first)?.and_time(time(second.trim())?));
    }
    if let Some(day) = day(text) {
        return Some(day.and_time(NaiveTime::MIN));
    }
    // The last time that the clock showed it.
    let today = now.date().and_time(time(text)?);
    if today <= now { Some(today) } else { today.checked_sub_days(Days::new(1)) }
}

impl Zone {
    fn naive(self, micros: u64) -> NaiveDateTime {
        let utc =
            DateTime::from_timestamp_micros(i64::try_from(micros).unwrap_or(i64::MAX)).unwrap_or_default();
        match self {
            Self::Utc => utc.naive_utc(),
            Self::Local => utc.with_timezone(&Local).naive_local(),
        }
    }

    /// Of times that were there twice, the first.
    fn instant(self, naive: NaiveDateTime) -> Option<u64> {
        let micros = match self {
            Self::Utc => Utc.from_utc_datetime(&naive).timestamp_micros(),
            Self::Local => Local.from_local_datetime(&naive).earliest()?.timestamp_micros(),
        };
        u64::try_from(micros).ok()
    }

    /// The clock time, to the millisecond; with its date where that is not the one of `now`.
    pub(crate) fn clock(self, micros: u64, now: u64) -> String {
        let (time, today) = (self.naive(micros), self.naive(now).date());
        if time.date() == today {
            time.format("%H:%M:%S%.3f").to_string()
        } else {
            time.format("%Y-%m-%d %H:%M:%S").to_string()
        }
    }

    /// The same, to the second.
    pub(crate) fn clock_to_the_second(self, micros: u64, now: u64) -> String {
        let (time, today) = (self.naive(micros), self.naive(now).date());
        time.format(if time.date() == today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string()
    }

    /// Date and time, to the second.
    pub(crate) fn date_and_time(self, micros: u64) -> String {
        self.naive(micros).format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The name of the zone: `UTC`, or how far it is from there.
    pub(crate) fn name(self, now: u64) -> String {
        match self {
            Self::Utc => "UTC".to_owned(),
            Self::Local => {
                let utc =
                    DateTime::from_timestamp_micros(i64::try_from(now).unwrap_or(0)).unwrap_or_default();
                match utc.with_timezone(&Local).format("%:z").to_string().as_str() {
                    "+00:00" => "UTC".to_owned(),
                    offset => format!("UTC{offset}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26 12:00:00 UTC.
    const NOON: u64 = 1_795_694_400_000_000;
    const HOUR: u64 = 3_600_000_000;

    #[test]
    fn times_are_dates_times_of_day_or_before_now() {
        for (text, micros) in [
            ("now", NOON),
            ("-1h", NOON - HOUR),
            ("10m", NOON - HOUR / 6),
            ("1h30m", NOON - HOUR * 3 / 2),
            ("2026-11-26T11:00:00Z", NOON - HOUR),
            ("2026-11-26T12:00:00+01:00", NOON - HOUR),
            ("2026-11-26 11:00", NOON - HOUR),
            ("2026-11-26T11:00", NOON - HOUR),
            ("2026-11-26", NOON - 12 * HOUR),
            ("11:00", NOON - HOUR),
            ("11:00:00.5", NOON - HOUR + 500_000),
            ("13:00", NOON - 23 * HOUR),
            ("today", NOON - 12 * HOUR),
            ("yesterday", NOON - 36 * HOUR),
            ("yesterday 03:00", NOON - 33 * HOUR),
            ("1795694400000000", NOON),
        ] {
            assert_eq!(parse(text, NOON, Zone::Utc), Ok(micros), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_what_one_is() {
        for text in ["", "soon", "25:00", "1x", "2026-13-01", "yesterday noon", "12"] {
            assert_eq!(parse(text, NOON, Zone::Utc), Err(EXPECTED.to_owned()), "{text}");
        }
    }

    #[test]
    fn clock_times_have_a_date_on_other_days_only() {
        assert_eq!(Zone::Utc.clock(NOON - HOUR, NOON), "11:00:00.000");
        assert_eq!(Zone::Utc.clock(NOON - 24 * HOUR, NOON), "2026-11-25 12:00:00");
    }
}
