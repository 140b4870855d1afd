//! What a filter wants, read from what was typed.

use super::{Pattern, Test, duration};

/// A value of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A text that a pattern stands for.
    Text(Pattern),
    /// A number from one to another.
    Numbers(u64, u64),
    /// At least so many.
    Least(u64),
}

impl Wanted {
    /// Reads a value for that test.
    ///
    /// # Errors
    ///
    /// Where it makes no sense, what it has to be.
    pub(super) fn parse(test: Test, text: &str) -> Result<Self, &'static str> {
        match test {
            Test::Status(_) => status(text).ok_or("a status as in 404, 5xx or 400-499, or up or down"),
            Test::Octets(_) => octets(text).map(Self::Least).ok_or("octets as in 1500, 10kB or 2MiB"),
            Test::Latency(_) => duration(text).map(Self::Least).ok_or("a duration as in 250ms, 2s or 1500us"),
            _ => Ok(Self::Text(Pattern::new(text))),
        }
    }

    pub(super) fn is_text(&self, text: &str) -> bool {
        matches!(self, Self::Text(pattern) if pattern.matches(text))
    }

    /// Whether that is the address, or the address less its port.
    pub(super) fn is_address(&self, address: &str) -> bool {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        self.is_text(address) || self.is_text(host)
    }

    /// Whether it is the service with that name, identity and protocol, with `@` between them.
    pub(super) fn is_served(&self, service: &str) -> bool {
        let mut parts = service.rsplitn(3, '@').skip(1);
        let id = parts.next().unwrap_or_default();
        self.is_text(id) || self.is_address(parts.next().unwrap_or(service))
    }

    pub(super) fn is_status(&self, status: &str) -> bool {
        match self {
            Self::Numbers(from, to) => {
                status.parse().is_ok_and(|status: u64| (*from..=*to).contains(&status))
            }
            _ => self.is_text(status),
        }
    }

    pub(super) fn is_reached_by(&self, number: u64) -> bool {
        matches!(self, Self::Least(least) if number >= *least)
    }

    /// What all texts begin with that are wanted; none where they have nothing in common.
    pub(super) fn beginning(&self) -> Option<String> {
        match self {
            Self::Text(pattern) => Some(pattern.beginning().to_owned()).filter(|text| !text.is_empty()),
            Self::Numbers(from, to) if from == to => Some(from.to_string()),
            Self::Numbers(from, to) if *to == from + 99 && from % 100 == 0 => Some((from / 100).to_string()),
            _ => None,
        }
    }
}

fn status(text: &str) -> Option<Wanted> {
    if let Some(class) = text.strip_suffix("xx") {
        let class: u64 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
        return Some(Wanted::Numbers(class * 100, class * 100 + 99));
    }
    if let Some((from, to)) = text.split_once('-') {
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        return (from <= to).then_some(Wanted::Numbers(from, to));
    }
    match text.parse() {
        Ok(status) => Some(Wanted::Numbers(status, status)),
        Err(_) => text
            .bytes()
            .all(|octet| octet.is_ascii_alphabetic() || octet == b'*')
            .then(|| Wanted::Text(Pattern::new(text))),
    }
}

/// Octets, with or without a decimal or binary unit.
fn octets(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 12] = [
        ("", 1),
        ("b", 1),
        ("k", 1_000),
        ("kb", 1_000),
        ("m", 1_000_000),
        ("mb", 1_000_000),
        ("g", 1_000_000_000),
        ("gb", 1_000_000_000),
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tb", 1_000_000_000_000),
    ];
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_number_a_class_a_range_or_a_word() {
        let wants = |wanted: &str, status: &str| {
            Wanted::parse(Test::Status("status"), wanted).expect("it is one").is_status(status)
        };
        assert!(wants("404", "404") && !wants("404", "4041"));
        assert!(wants("5xx", "503") && !wants("5xx", "404"));
        assert!(wants("400-451", "429") && !wants("400-451", "499"));
        assert!(wants("down", "down") && !wants("down", "up"));
        for text in ["", "0xx", "500-400", "4o4"] {
            assert!(Wanted::parse(Test::Status("status"), text).is_err() || text.is_empty(), "{text}");
        }
    }

    #[test]
    fn octets_have_decimal_or_binary_units() {
        let all = ["1500", "10kB", "2 MiB", "1g", "x", "10 apples", ""].map(octets);
        assert_eq!(all, [Some(1500), Some(10_000), Some(2 << 20), Some(1_000_000_000), None, None, None]);
    }

    #[test]
    fn a_service_is_found_by_address_host_or_identity() {
        let service = |text: &str| Wanted::Text(Pattern::new(text));
        for (text, is_found) in [
            ("label-printer:9100", true),
            ("label-printer", true),
            ("adr-803d", true),
            ("label", false),
            ("tcp", false),
        ] {
            assert_eq!(service(text).is_served("label-printer:9100@adr-803d@tcp"), is_found, "{text}");
        }
        assert!(service("catalog").is_address("catalog:8080") && !service("cat").is_address("catalog:8080"));
    }
}
