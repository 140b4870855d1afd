//! Identities of records, small.
//!
//! A router's ids are `<router>:<counter>`, so that an id repeats its source and counts up. A [`Key`] keeps the part
//! before the colon once, in a table, and the counter as a number. Ids of another form are wholly in the table.
//!
//! When a router starts anew under the same id and counts from 0 again (faults 6), its ids come back with another
//! meaning. Then the name in the table is *retired*: keys made of it go on standing for the old records, and the
//! same text makes new keys.

use std::{cmp::Ordering, sync::Arc};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::pages::Pages;

/// Stands for the id of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(u64);

const NUMBER_BITS: u32 = 40;
const NO_NUMBER: u64 = (1 << NUMBER_BITS) - 1;
const MAX_SCOPES: usize = (1 << (64 - NUMBER_BITS)) - 1;

impl Key {
    pub(crate) const NONE: Self = Self(u64::MAX);

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    fn new(scope: u32, number: u64) -> Self {
        Self(u64::from(scope) << NUMBER_BITS | number)
    }

    fn scope(self) -> usize {
        (self.0 >> NUMBER_BITS) as usize
    }

    /// The first of the `many` keys around this one, and its position among them. `many` is a power of two.
    #[inline]
    pub(crate) fn around(self, many: u64) -> (Self, usize) {
        (Self(self.0 & !(many - 1)), (self.0 & (many - 1)) as usize)
    }

    pub(crate) fn number(self) -> Option<u64> {
        let number = self.0 & NO_NUMBER;
        (number != NO_NUMBER).then_some(number)
    }

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// What puts numbers into the order of their decimal digits, without those: the digits moved to the left, and how many
/// they are; no number comes before all.
#[inline]
fn by_digits(number: u64) -> u64 {
    if number == NO_NUMBER {
        return 0;
    }
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    (number * POWERS[MOST_DIGITS - digits]) << 4 | digits as u64
}

const POWERS: [u64; MOST_DIGITS] = {
    let mut powers = [1; MOST_DIGITS];
    let mut position = 1;
    while position < powers.len() {
        powers[position] = powers[position - 1] * 10;
        position += 1;
    }
    powers
};

/// Ids with longer numbers are kept as a whole.
const MOST_DIGITS: usize = 12;

/// Scope and counter of an id.
#[inline]
fn split(id: &str) -> (&str, u64) {
    let bytes = id.as_bytes();
    let (mut number, mut unit, mut position) = (0, 1, bytes.len());
    while position > 0 && bytes.len() - position < MOST_DIGITS && bytes[position - 1].is_ascii_digit() {
        position -= 1;
        number += u64::from(bytes[position] - b'0') * unit;
        unit *= 10;
    }
    let digits = bytes.len() - position;
    let canonical = digits == 1 || digits > 1 && bytes[position] != b'0';
    if canonical && position > 1 && bytes[position - 1] == b':' && number < NO_NUMBER {
        (&id[..position - 1], number)
    } else {
        (id, NO_NUMBER)
    }
}

/// The part before the colon of an id that a source counts up.
#[inline]
pub(crate) fn scope(id: &str) -> Option<&str> {
    let (scope, number) = split(id);
    (number != NO_NUMBER).then_some(scope)
}

/// The names behind keys, as a reader sees them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScopeTable {
    names: Pages<Arc<str>>,
    by_name: imbl::GenericHashMap<Arc<str>, Namesakes, RandomState, imbl::shared_ptr::DefaultSharedPtr>,
}

/// The scopes with one name.
#[derive(Clone, Debug, Default)]
struct Namesakes {
    /// The one that the name makes keys of now is last.
    scopes: SmallVec<[u32; 2]>,
    /// Whether none of them is: the next key makes a new one.
    is_retired: bool,
}

impl ScopeTable {
    /// The part of the id before the colon, or the whole id.
    pub(crate) fn name(&self, key: Key) -> &str {
        self.names.get(key.scope()).map_or("", |name| name)
    }

    /// How the ids behind other keys compare to the one behind this key, octet by octet.
    #[inline]
    pub(crate) fn probe(&self, key: Key) -> impl Fn(Key) -> Ordering {
        let digits = by_digits(key.0 & NO_NUMBER);
        move |other| {
            if other.scope() == key.scope() {
                by_digits(other.0 & NO_NUMBER).cmp(&digits)
            } else {
                self.compare_scopes(other, key)
            }
        }
    }

    fn compare_scopes(&self, left: Key, right: Key) -> Ordering {
        let names = (self.name(left).as_bytes(), self.name(right).as_bytes());
        let common = names.0.len().min(names.1.len());
        let order = names.0[..common].cmp(&names.1[..common]);
        if order.is_ne() {
            order
        } else if names.0.len() == names.1.len() {
            by_digits(left.0 & NO_NUMBER).cmp(&by_digits(right.0 & NO_NUMBER))
        } else {
            self.whole(left).cmp(&self.whole(right))
        }
    }

    /// The id behind a key.
    pub(crate) fn whole(&self, key: Key) -> String {
        match key.number() {
            Some(number) => format!("{}:{number}", self.name(key)),
            None => self.name(key).to_owned(),
        }
    }

    /// Keys that the id stands or stood for, the present one first.
    pub(crate) fn keys(&self, id: &str) -> impl Iterator<Item = Key> {
        let (scope, number) = split(id);
        let scopes = self.by_name.get(scope).map_or(&[][..], |namesakes| &namesakes.scopes);
        scopes
            .iter()
            .rev()
            .map(move |&scope| Key::new(scope, number))
            .collect::<SmallVec<[Key; 2]>>()
            .into_iter()
    }
}

/// The names of ids that are in use, each with the number of places that use it.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    table: ScopeTable,
    uses: Vec<u32>,
    free: Vec<u32>,
    /// The scopes of the ids that were counted up and asked for lately, the latest first. Updates of one source come in
    /// batches; each has an id of that source, and mostly refers to records of that source and of one other.
    recent: [Option<u32>; 2],
    octets: usize,
}

const OVERHEAD: usize = 96;

/// There is no room for another id; see [`MAX_SCOPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyScopes;

impl Scopes {
    /// The key for an id, which is in one more use now.
    #[inline]
    pub(crate) fn acquire(&mut self, id: &str) -> Result<Key, TooManyScopes> {
        let (name, number) = split(id);
        let scope = match self.scope(name, number) {
            Some(scope) => scope,
            None => self.insert(name)?,
        };
        self.uses[scope as usize] += 1;
        Ok(Key::new(scope, number))
    }

    /// The key for an id whose name is in use.
    #[inline]
    pub(crate) fn find(&mut self, id: &str) -> Option<Key> {
        let (name, number) = split(id);
        Some(Key::new(self.scope(name, number)?, number))
    }

    /// The scope of that name that makes keys now.
    #[inline]
    fn scope(&mut self, name: &str, number: u64) -> Option<u32> {
        let [latest, other] = self.recent;
        if self.is_named(latest, name) {
            return latest;
        }
        let scope = if self.is_named(other, name) { other } else { self.current(name) };
        if number != NO_NUMBER && scope.is_some() {
            self.recent = [scope, latest];
        }
        scope
    }

    #[inline]
    fn is_named(&self, scope: Option<u32>, name: &str) -> bool {
        scope.is_some_and(|scope| self.table.names.get(scope as usize).is_some_and(|own| **own == *name))
    }

    /// One more use of a key that is in use already.
    pub(crate) fn share(&mut self, key: Key) -> Key {
        if !key.is_none() {
            self.uses[key.scope()] += 1;
        }
        key
    }

    fn current(&self, name: &str) -> Option<u32> {
        let namesakes = self.table.by_name.get(name)?;
        if namesakes.is_retired { None } else { namesakes.scopes.last().copied() }
    }

    #[cold]
    fn insert(&mut self, name: &str) -> Result<u32, TooManyScopes> {
        let name: Arc<str> = name.into();
        let scope = match self.free.pop() {
            Some(scope) => {
                *self.table.names.get_mut(scope as usize) = name.clone();
                scope
            }
            None if self.table.names.len() >= MAX_SCOPES => return Err(TooManyScopes),
            None => {
                let scope = u32::try_from(self.table.names.len()).map_err(|_| TooManyScopes)?;
                self.table.names.push(name.clone());
                self.uses.push(0);
                scope
            }
        };
        self.octets += name.len() + OVERHEAD;
        let namesakes = self.table.by_name.entry(name).or_default();
        namesakes.scopes.push(scope);
        namesakes.is_retired = false;
        Ok(scope)
    }

    /// One use less; a name that nobody uses is forgotten.
    #[inline]
    pub(crate) fn release(&mut self, key: Key) {
        if key.is_none() {
            return;
        }
        let scope = key.scope();
        self.uses[scope] -= 1;
        if self.uses[scope] == 0 {
            self.forget(scope);
        }
    }

    #[cold]
    fn forget(&mut self, scope: usize) {
        let name = self.table.names.get(scope).expect("it came out of a key").clone();
        if let Some(namesakes) = self.table.by_name.get_mut(&name) {
            // Without its last scope, the name makes a new one, as if that were retired.
            namesakes.is_retired |= namesakes.scopes.last().is_some_and(|last| *last as usize == scope);
            namesakes.scopes.retain(|other| *other as usize != scope);
            if namesakes.scopes.is_empty() {
                self.table.by_name.remove(&name);
            }
        }
        self.octets -= name.len() + OVERHEAD;
        *self.table.names.get_mut(scope) = "".into();
        let scope = u32::try_from(scope).expect("it came out of a key");
        for recent in &mut self.recent {
            recent.take_if(|recent| *recent == scope);
        }
        self.free.push(scope);
    }

    /// The name of that id makes new keys from now on; those that it made keep their meaning (faults 6).
    pub(crate) fn retire(&mut self, id: &str) {
        let (name, _) = split(id);
        if let Some(namesakes) = self.table.by_name.get_mut(name) {
            namesakes.is_retired = true;
        }
        self.recent = [None; 2];
    }

    pub(crate) fn table(&self) -> &ScopeTable {
        &self.table
    }

    /// The memory that the names take, in octets.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(scopes: &Scopes, key: Key) -> String {
        scopes.table().whole(key)
    }

    #[test]
    fn every_form_of_id_comes_back_as_it_was() {
        let mut scopes = Scopes::default();
        for id in [
            "gv_ZW:0",
            "gv_ZW:123",
            "gv_ZW:007",
            "gv_ZW:",
            ":7",
            "gv:ZW:9",
            "gv_ZW:1099511627774",
            "gv_ZW:1099511627775",
            "gv_ZW:99999999999999999999",
            "22222222-bbbb-4000-8000-000000000002",
            "gv_ZW",
            "x:+1",
        ] {
            let key = scopes.acquire(id).expect("there is room");
            assert_eq!(text(&scopes, key), id);
            assert_eq!(scopes.table().keys(id).collect::<Vec<_>>(), [key]);
        }
    }

    #[test]
    fn keys_are_in_the_order_of_their_ids() {
        let mut scopes = Scopes::default();
        let ids = [
            "a",
            "a+",
            "a:",
            "a:0",
            "a:00",
            "a:1",
            "a:10",
            "a:100",
            "a:19",
            "a:2",
            "a:5",
            "a:50",
            "a:59",
            "a:5:7",
            "a:5x",
            "a:6",
            "a:99999999999",
            "a:999999999999",
            "a:9999999999999",
            "a:x",
            "ab:1",
            "b",
            "b:1",
        ];
        assert!(ids.is_sorted());
        let keys = ids.map(|id| scopes.acquire(id).expect("there is room"));
        for (position, &left) in keys.iter().enumerate() {
            for (other, &right) in keys.iter().enumerate() {
                assert_eq!(
                    scopes.table().probe(right)(left),
                    position.cmp(&other),
                    "{} {}",
                    ids[position],
                    ids[other]
                );
            }
        }
        scopes.retire("a:0");
        let again = scopes.acquire("a:10").expect("there is room");
        assert_eq!(scopes.table().probe(keys[6])(again), Ordering::Equal);
        assert_eq!(scopes.table().probe(keys[5])(again), Ordering::Greater);
    }

    #[test]
    fn a_retired_name_keeps_its_keys_and_makes_new_ones() {
        let mut scopes = Scopes::default();
        let old = scopes.acquire("gv_ZW:3").expect("there is room");
        scopes.retire("gv_ZW:0");
        let new = scopes.acquire("gv_ZW:3").expect("there is room");
        assert_ne!(old, new);
        assert_eq!((text(&scopes, old), text(&scopes, new)), ("gv_ZW:3".into(), "gv_ZW:3".into()));
        assert_eq!(scopes.table().keys("gv_ZW:3").collect::<Vec<_>>(), [new, old]);
        scopes.release(old);
        assert_eq!(scopes.table().keys("gv_ZW:3").collect::<Vec<_>>(), [new]);
        scopes.release(new);
        assert_eq!(scopes.octets(), 0);
    }
}
