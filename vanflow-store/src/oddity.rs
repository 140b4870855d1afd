//! What was strange in what sources reported: kept where it can be, and always counted (faults 9, 10, 17, 24, 30).

/// Kinds of strangeness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Oddity {
    /// A counter was reported lower than before; the higher value stays.
    CounterFell,
    /// An object was asked to have ended before it started.
    EndBeforeStart,
    /// An attribute was reported with a value of a type that it should not have; the value is kept as it is.
    WrongType,
    /// An attribute was reported without a value, or ended at no time; what was known of it stays.
    NoValue,
    /// An attribute that the table does not have; it is kept.
    UnknownAttribute,
    /// A record of a type that the table does not have; it is kept.
    UnknownType,
    /// A record that nobody knows was reported without its type, and so cannot be kept.
    NoType,
    /// A record was asked to be of another type than before; the update is refused.
    TypeChanged,
    /// An update cannot be read to its end; what came before is merged.
    Torn,
    /// There is no room for more records or ids; the update is refused.
    NoRoom,
    /// A source reported what only another may; that is refused (faults 24).
    Foreign,
    /// A new record of a source that takes more than its share of the memory, while there is no room for more; it is
    /// refused, or what would make a known record larger is (faults 30).
    MemoryFull,
    /// A new record of a source that has as many live ones as a source may; it is refused (faults 30).
    SourceFull,
    /// An attribute beyond those that a record may have; it is refused (faults 30).
    TooManyAttributes,
    /// A text, or another value, that is longer than they may be; it is refused (faults 30).
    TextTooLong,
    /// An id that is longer than they may be; the record is refused, or the reference (faults 30).
    IdTooLong,
}

impl Oddity {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::CounterFell,
        Self::EndBeforeStart,
        Self::WrongType,
        Self::NoValue,
        Self::UnknownAttribute,
        Self::UnknownType,
        Self::NoType,
        Self::TypeChanged,
        Self::Torn,
        Self::NoRoom,
        Self::Foreign,
        Self::MemoryFull,
        Self::SourceFull,
        Self::TooManyAttributes,
        Self::TextTooLong,
        Self::IdTooLong,
    ];

    /// The name under which it is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CounterFell => "counter_fell",
            Self::EndBeforeStart => "end_before_start",
            Self::WrongType => "wrong_type",
            Self::NoValue => "no_value",
            Self::UnknownAttribute => "unknown_attribute",
            Self::UnknownType => "unknown_type",
            Self::NoType => "no_type",
            Self::TypeChanged => "type_changed",
            Self::Torn => "torn",
            Self::NoRoom => "no_room",
            Self::Foreign => "foreign",
            Self::MemoryFull => "memory_full",
            Self::SourceFull => "source_full",
            Self::TooManyAttributes => "too_many_attributes",
            Self::TextTooLong => "text_too_long",
            Self::IdTooLong => "id_too_long",
        }
    }
}

/// How often each kind was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities([u64; Oddity::ALL.len()]);

impl Oddities {
    /// How often that kind was met.
    pub fn count(&self, oddity: Oddity) -> u64 {
        self.0[oddity as usize]
    }

    /// The kinds that were met, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Oddity, u64)> {
        self.all().filter(|(_, count)| *count > 0)
    }

    /// Every kind, and how often it was met, if at all.
    pub fn all(&self) -> impl Iterator<Item = (Oddity, u64)> {
        Oddity::ALL.iter().map(|&oddity| (oddity, self.count(oddity)))
    }

    pub(crate) fn add(&mut self, oddity: Oddity) {
        self.0[oddity as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_counts() {
        for (position, oddity) in Oddity::ALL.iter().enumerate() {
            assert_eq!(*oddity as usize, position, "{}", oddity.name());
        }
    }
}
