//! Filters: a property, and what its values may be or may not be.
//!
//! `name=value` asks for what has that value, `name!=value` for all else, `name=*` for what has any value that is known
//! and `name!=*` for what has none. Of several values of one filter any will do; `!=` is the opposite of that, so that
//! none will. A value as an answer shows it finds what it is shown of: an empty text is found by an empty value, `null`
//! or nothing by `null`, a list by itself in JSON or by any of its texts.

use vanflow_history::rows::Is;

use crate::{
    error::{ApiError, excerpt},
    query::{
        csv,
        string::Pair,
        time,
        value::{Cell, Kind, Presence, UNKNOWN},
    },
};

/// What a value may be or may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    kind: Kind,
    comparison: Comparison,
    is_negated: bool,
    wanted: Vec<Wanted>,
}

/// What of a text a filter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// How it begins, as the network observer has it.
    Beginning,
    /// All of it; or how it begins, where the filter ends with `*`.
    Whole,
    /// Any part of it, whatever the case of letters.
    Containing,
}

/// One of the values that will do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// Any that is known.
    Any,
    /// None at all.
    Nothing,
    Text(String),
    List(Vec<String>),
    Number(u64),
    Truth(bool),
}

/// A property as filters see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filtered {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
}

/// What a parameter names, and whether it asks for all else.
pub(crate) fn operand(name: &str) -> (&str, bool) {
    name.strip_suffix('!').map_or((name, false), |name| (name, true))
}

/// The conditions that filters come to, one for each property and one for all else of each; `find` looks a property up,
/// and `filtered` says what it is as filters see it.
///
/// # Errors
///
/// Where there is no such property, or it cannot have such a value.
pub(crate) fn conditions<'p, 'q: 'p, P: Copy>(
    pairs: impl IntoIterator<Item = &'p Pair<'q>>,
    comparison: Comparison,
    find: impl Fn(&str) -> Result<P, ApiError>,
    filtered: impl Fn(P) -> Filtered,
) -> Result<Vec<(P, Condition)>, ApiError> {
    let mut conditions: Vec<(P, Condition)> = Vec::new();
    for pair in pairs {
        let (name, is_negated) = operand(&pair.name);
        let found = find(name)?;
        let property = filtered(found);
        let is_it = |(other, condition): &(P, Condition)| {
            filtered(*other).name == property.name && condition.is_negated == is_negated
        };
        let at = conditions.iter().position(is_it).unwrap_or_else(|| {
            conditions.push((found, Condition::new(property.kind, comparison, is_negated)));
            conditions.len() - 1
        });
        conditions[at].1.add(property, pair)?;
    }
    Ok(conditions)
}

impl Condition {
    /// That any part of a text is so, or none of it.
    pub(crate) fn containing(kind: Kind, text: &str, is_negated: bool) -> Self {
        let wanted = vec![Wanted::Text(text.to_lowercase())];
        Self { kind, comparison: Comparison::Containing, is_negated, wanted }
    }

    /// A condition that no value meets yet.
    fn new(kind: Kind, comparison: Comparison, is_negated: bool) -> Self {
        Self { kind, comparison, is_negated, wanted: Vec::new() }
    }

    /// Has one more value do.
    ///
    /// # Errors
    ///
    /// Where the property cannot have such a value.
    fn add(&mut self, property: Filtered, pair: &Pair<'_>) -> Result<(), ApiError> {
        let readings = [Some(&pair.value), pair.plus.as_ref()];
        for value in readings.into_iter().flatten() {
            self.add_value(property, value)?;
        }
        Ok(())
    }

    fn add_value(&mut self, property: Filtered, value: &str) -> Result<(), ApiError> {
        let can_be_nothing = property.presence != Presence::Always;
        let refused = |expected: &str| {
            let none = if can_be_nothing { ", or null for none" } else { "" };
            ApiError::Invalid {
                parameter: format!("{}{}", property.name, if self.is_negated { "!" } else { "" }),
                value: excerpt(value),
                expected: format!("{expected}, or * for any{none}"),
            }
        };
        if value == "*" {
            self.wanted.push(Wanted::Any);
            return Ok(());
        }
        if value == "null" && can_be_nothing {
            self.wanted.push(Wanted::Nothing);
            if !property.kind.is_text() {
                return Ok(());
            }
        }
        let wanted = match property.kind {
            Kind::Number => {
                Wanted::Number(number(value).ok_or_else(|| refused("a whole number, 0 or more"))?)
            }
            Kind::Instant => Wanted::Number(
                time::instant(value, time::EXPECTED_INSTANT).map_err(|expected| refused(&expected))?,
            ),
            Kind::Truth => match value {
                "true" => Wanted::Truth(true),
                "false" => Wanted::Truth(false),
                _ => return Err(refused("true or false")),
            },
            Kind::OneOf(known) => {
                let is_beginning = |known: &&&str| !value.is_empty() && known.starts_with(value);
                if (value != "null" || !can_be_nothing) && known.iter().find(is_beginning).is_none() {
                    return Err(refused(&format!("one of {} or how one begins", known.join(", "))));
                }
                Wanted::Text(value.to_owned())
            }
            Kind::Texts | Kind::Parted => {
                if let Ok(list) = serde_json::from_str(value) {
                    self.wanted.push(Wanted::List(list));
                }
                Wanted::Text(value.to_owned())
            }
            Kind::Text => Wanted::Text(value.to_owned()),
        };
        self.wanted.push(wanted);
        if let Some(text) = csv::unguarded(value).filter(|_| property.kind.is_text()) {
            self.wanted.push(Wanted::Text(text.to_owned()));
        }
        Ok(())
    }

    /// Whether a value meets it. `is_known` says whether it is known, where the value itself does not.
    pub(crate) fn admits(&self, cell: &Cell<'_>, is_known: Option<bool>) -> bool {
        let meets = |wanted: &Wanted| match (wanted, cell) {
            (Wanted::Any, _) => is_known.unwrap_or_else(|| self.is_known(cell)),
            (Wanted::Nothing, Cell::Absent | Cell::Null) => true,
            (Wanted::Number(wanted), Cell::Number(number)) => wanted == number,
            (Wanted::Truth(wanted), Cell::Truth(truth)) => wanted == truth,
            (Wanted::Text(wanted), Cell::Text(text)) => self.is_text(text, wanted),
            (Wanted::Text(wanted), Cell::Texts(texts))
                if self.kind == Kind::Parted && self.comparison != Comparison::Containing =>
            {
                texts.iter().any(|text| {
                    is_alike(text, wanted)
                        || text.split('@').any(|part| !wanted.is_empty() && is_alike(part, wanted))
                })
            }
            (Wanted::Text(wanted), Cell::Texts(texts)) => texts.iter().any(|text| self.is_text(text, wanted)),
            (Wanted::List(wanted), Cell::Texts(texts)) => wanted == texts,
            _ => false,
        };
        self.wanted.iter().any(meets) != self.is_negated
    }

    /// What all values that meet it are, for who looks for them in a history; none where that cannot be said. There, what
    /// is not known is without a value, whatever it is shown as.
    pub(crate) fn in_rows(&self) -> Option<Is> {
        if self.is_negated {
            return None;
        }
        match self.kind {
            Kind::Text | Kind::OneOf(_) => {
                let text = |wanted: &Wanted| match wanted {
                    Wanted::Text(text) if !text.is_empty() && !self.is_text(UNKNOWN, text) => {
                        Some(text.as_str().into())
                    }
                    _ => None,
                };
                let texts: Vec<Box<str>> = self.wanted.iter().map(text).collect::<Option<_>>()?;
                match self.comparison {
                    Comparison::Beginning => Some(Is::Beginning(texts)),
                    Comparison::Whole | Comparison::Containing => None,
                }
            }
            Kind::Number | Kind::Instant => {
                let number = |wanted: &Wanted| match wanted {
                    Wanted::Number(number) => Some(*number),
                    _ => None,
                };
                let numbers: Vec<_> = self.wanted.iter().map(number).collect::<Option<_>>()?;
                Some(Is::Within(*numbers.iter().min()?, *numbers.iter().max()?))
            }
            Kind::Truth | Kind::Texts | Kind::Parted => None,
        }
    }

    fn is_text(&self, text: &str, wanted: &str) -> bool {
        match self.comparison {
            Comparison::Beginning if wanted.is_empty() => text.is_empty(),
            Comparison::Beginning => text.starts_with(wanted),
            Comparison::Whole => {
                text == wanted
                    || wanted.strip_suffix('*').is_some_and(|beginning| text.starts_with(beginning))
            }
            Comparison::Containing => contains(text, wanted),
        }
    }

    fn is_known(&self, cell: &Cell<'_>) -> bool {
        match cell {
            Cell::Absent | Cell::Null => false,
            // A time of 0 is one that is not known, or has not come.
            Cell::Number(number) => self.kind != Kind::Instant || *number != 0,
            Cell::Truth(_) => true,
            Cell::Text(text) => !text.is_empty() && text != UNKNOWN,
            Cell::Texts(texts) => !texts.is_empty(),
        }
    }
}

fn is_alike(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// Whether a text has another one in it, which is in lower case.
fn contains(text: &str, wanted: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(wanted);
    }
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
}

/// A number of digits alone: `parse` would take a sign as well.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::string::pairs;

    const ROLES: Kind = Kind::OneOf(&["internal", "external"]);

    fn condition(kind: Kind, presence: Presence, query: &str) -> Result<Condition, String> {
        let pairs = pairs(query).unwrap();
        let (_, is_negated) = operand(&pairs[0].name);
        let mut condition = Condition::new(kind, Comparison::Beginning, is_negated);
        let property = Filtered { name: "p", kind, presence };
        for pair in &pairs {
            condition.add(property, pair).map_err(|error| error.to_string())?;
        }
        Ok(condition)
    }

    #[track_caller]
    fn admits(kind: Kind, query: &str, cell: &Cell<'_>) -> bool {
        condition(kind, Presence::Nullable, query).unwrap().admits(cell, None)
    }

    #[test]
    fn each_value_that_an_answer_shows_finds_itself_and_its_opposite_does_not() {
        let texts = |texts: &[&'static str]| Cell::Texts(texts.iter().map(|text| (*text).into()).collect());
        for (kind, cell, value) in [
            (Kind::Text, Cell::text("a,b@c=d&e|f*"), "a,b@c=d%26e|f*"),
            (Kind::Text, Cell::text(""), ""),
            (Kind::Text, Cell::text("+8aqA:0"), "+8aqA:0"),
            (Kind::Text, Cell::text("a b"), "a+b"),
            (Kind::Text, Cell::text("null"), "null"),
            (Kind::Text, Cell::Null, "null"),
            (Kind::Text, Cell::text("=1+1"), "'=1+1"),
            (Kind::Number, Cell::Absent, "null"),
            (Kind::Number, Cell::Number(7), "7"),
            (Kind::Instant, Cell::Number(0), "0"),
            (Kind::Instant, Cell::Number(1_795_662_840_000_000), "1795662840000000"),
            (Kind::Instant, Cell::Number(1_795_662_840_000_000), "2026-11-26T03:14:00Z"),
            (Kind::Truth, Cell::Truth(true), "true"),
            (ROLES, Cell::text("internal"), "internal"),
            (Kind::Texts, texts(&["west", "a,b"]), "a,b"),
            (Kind::Texts, texts(&["west", "a,b"]), "[\"west\",\"a,b\"]"),
            (Kind::Texts, texts(&[]), "[]"),
            (Kind::Parted, texts(&["shop:9@adr-1@tcp"]), "shop:9@adr-1@tcp"),
            (Kind::Parted, texts(&["shop:9@adr-1@tcp"]), "shop:9"),
            (Kind::Parted, texts(&["shop:9@adr-1@tcp"]), "[\"shop:9@adr-1@tcp\"]"),
        ] {
            assert!(admits(kind, &format!("p={value}"), &cell), "{value}");
            assert!(!admits(kind, &format!("p!={value}"), &cell), "{value}");
            assert!(!admits(kind, &format!("p!={value}&p!=*"), &cell), "{value}: none of several");
        }
    }

    #[test]
    fn of_several_values_any_will_do_and_negated_none() {
        for (query, expected) in [("p=1&p=2", [true, true, false]), ("p!=1&p!=2", [false, false, true])] {
            for (number, expected) in (1..).zip(expected) {
                assert_eq!(admits(Kind::Number, query, &Cell::Number(number)), expected, "{query} {number}");
            }
        }
        assert!(admits(Kind::Text, "p!=x", &Cell::Null), "what has no value has not that value");
    }

    #[test]
    fn presence_is_to_be_known() {
        for (kind, cell, is_known) in [
            (Kind::Text, Cell::Null, false),
            (Kind::Text, Cell::Absent, false),
            (Kind::Text, Cell::text(""), false),
            (Kind::Text, Cell::text(UNKNOWN), false),
            (Kind::Text, Cell::text("x"), true),
            (Kind::Texts, Cell::Texts(Vec::new()), false),
            (Kind::Number, Cell::Number(0), true),
            (Kind::Instant, Cell::Number(0), false),
            (Kind::Instant, Cell::Number(1), true),
            (Kind::Truth, Cell::Truth(false), true),
        ] {
            assert_eq!(admits(kind, "p=*", &cell), is_known, "{cell:?}");
            assert_eq!(admits(kind, "p!=*", &cell), !is_known, "{cell:?}");
        }
        let condition = condition(Kind::Number, Presence::Always, "p=*").unwrap();
        assert!(!condition.admits(&Cell::Number(0), Some(false)), "it was not reported");
    }

    #[test]
    fn texts_are_compared_by_how_they_begin_or_whole() {
        let by = |comparison, value| Condition {
            kind: Kind::Text,
            comparison,
            is_negated: false,
            wanted: vec![Wanted::Text(String::from(value))],
        };
        for (value, text, beginning, whole) in [
            ("we", "west", true, false),
            ("west", "west", true, true),
            ("we*", "west", false, true),
            ("est", "west", false, false),
            ("W", "west", false, false),
            ("", "west", false, false),
        ] {
            let cell = Cell::text(text);
            assert_eq!(by(Comparison::Beginning, value).admits(&cell, None), beginning, "{value}");
            assert_eq!(by(Comparison::Whole, value).admits(&cell, None), whole, "{value}");
        }
    }

    #[test]
    fn a_part_of_a_text_is_found_whatever_the_case_of_letters() {
        for (value, text, expected) in [
            ("ES", "west", true),
            ("est", "WEST", true),
            ("west", "wes", false),
            ("", "west", true),
            ("übe", "Hier ÜBER", true),
            ("*", "west", false),
        ] {
            for is_negated in [false, true] {
                let condition = Condition::containing(Kind::Text, value, is_negated);
                assert_eq!(
                    condition.admits(&Cell::text(text), None),
                    expected != is_negated,
                    "{value} {text}"
                );
            }
        }
        let parted = Condition::containing(Kind::Parted, "ADR", false);
        assert!(parted.admits(&Cell::Texts(vec!["shop:9@adr-1@tcp".into()]), None));
        assert!(!Condition::containing(Kind::Text, "", false).admits(&Cell::Null, None), "what is not there");
    }

    #[test]
    fn a_value_that_a_property_cannot_have_is_refused() {
        for (kind, presence, query, error) in [
            (
                Kind::Number,
                Presence::Always,
                "p=many",
                "`p` is `many`, but must be a whole number, 0 or more, or * for any",
            ),
            (
                Kind::Number,
                Presence::Always,
                "p=-1",
                "`p` is `-1`, but must be a whole number, 0 or more, or * for any",
            ),
            (
                Kind::Number,
                Presence::Always,
                "p=1.0",
                "`p` is `1.0`, but must be a whole number, 0 or more, or * for any",
            ),
            (
                Kind::Number,
                Presence::Nullable,
                "p!=",
                "`p!` is ``, but must be a whole number, 0 or more, or * for any, or null for none",
            ),
            (
                Kind::Truth,
                Presence::Always,
                "p=True",
                "`p` is `True`, but must be true or false, or * for any",
            ),
            (
                Kind::Truth,
                Presence::Always,
                "p=null",
                "`p` is `null`, but must be true or false, or * for any",
            ),
            (
                ROLES,
                Presence::Always,
                "p=banana",
                "`p` is `banana`, but must be one of internal, external or how one begins, or * for any",
            ),
            (
                Kind::Instant,
                Presence::Always,
                "p=1795662840",
                "`p` is `1795662840`, but must be microseconds since the epoch, a time as in 2026-11-26T03:14:00Z, or 0 \
                 where there is none; if these are seconds, 1795662840000000, or * for any",
            ),
        ] {
            assert_eq!(condition(kind, presence, query).unwrap_err(), error);
        }
    }
}
