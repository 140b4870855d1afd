//! How a sparse update folds into what is believed of a record. The only place where one becomes the other.
//!
//! The rules, by what an attribute is:
//!
//! | attribute | rule |
//! |---|---|
//! | counter | the highest value stays: a lower one is stale, or reported by something broken (faults 9, 10); one that is not reported by the record's owner is refused (faults 24) |
//! | end | once reported it stays, whatever comes late (faults 9); an end that we presumed is taken back when the source speaks of the record again (faults 5) |
//! | start newer than the known one, of an ended record | without an end beside it, the record lives again since then; not of connections, requests and FLOWs, which live once (faults 9) |
//! | start or end before the start of a record that lives again | all of the update is of the life before, and late: nothing of it is merged (faults 9) |
//! | any other | the last value |
//!
//! So an update cut into pieces comes to the same in any order, if its start and its end stay together, and twice comes
//! to the same as once.

use std::sync::Arc;

use vanflow_proto::{Attribute, AttributeKind, Update, Value};

use crate::{
    identity::{Key, Scopes},
    oddity::{Oddities, Oddity},
    row::{Flags, RestValue, Row, SHORT, charged, value_octets},
    schema::{AttributePlace, END, START, Schema},
    text::{Symbol, Texts},
};

/// The tables that give texts and ids their numbers, and what was strange.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) texts: Texts,
    pub(crate) scopes: Scopes,
    pub(crate) oddities: Oddities,
    /// How many attributes are kept that have no place of their own.
    pub(crate) rest_values: usize,
    pub(crate) limits: Limits,
    /// The text that each attribute had last: it often has it again.
    recent: [Symbol; Attribute::ALL.len()],
}

impl Vocabulary {
    /// One without texts and ids, for records that are no larger than that.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            texts: Texts::default(),
            scopes: Scopes::default(),
            oddities: Oddities::default(),
            rest_values: 0,
            limits,
            recent: [Symbol::NONE; Attribute::ALL.len()],
        }
    }
}

/// How large a record may be (faults 30).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Attributes without a place of their own.
    pub(crate) attributes: usize,
    /// Octets of a text or another value.
    pub(crate) text: usize,
    /// Octets of an id.
    pub(crate) id: usize,
}

/// Which attributes an update changed: a bit for each code of the table, and one for all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed([u64; 2]);

impl Changed {
    pub(crate) fn add(&mut self, code: u32) {
        let bit = code.min(127);
        self.0[bit as usize / 64] |= 1 << (bit % 64);
    }

    pub(crate) fn any(self) -> bool {
        self.0 != [0; 2]
    }

    pub(crate) fn has(self, attribute: Attribute) -> bool {
        self.0[attribute.code() as usize / 64] & 1 << (attribute.code() % 64) != 0
    }
}

/// What of an update does not come into the row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LeaveOut {
    /// An end: somebody else says that the object is still there.
    pub(crate) end: bool,
    /// Counters: they are for the record's owner to report (faults 24).
    pub(crate) counters: bool,
    /// What would take more memory than the row does: there is no room for more of that source (faults 30).
    pub(crate) bulk: bool,
}

/// Folds an update into a row, but for what is left out. References that the row no longer has are still in use: once
/// nothing is linked to them, [`Scopes::release`] says that they are not.
#[inline]
pub(crate) fn fold<const N: usize, const M: usize, const K: usize, S>(
    row: &mut Row<N, M, K, S>,
    schema: &Schema,
    update: &Update<'_>,
    leave_out: LeaveOut,
    vocabulary: &mut Vocabulary,
) -> Changed {
    let mut changed = Changed::default();
    if row.head.flags.has(Flags::LIVES_AGAIN) && is_of_life_before(row, update) {
        return changed;
    }
    if row.head.flags.has(Flags::PRESUMED_END) {
        row.head.flags.set(Flags::PRESUMED_END, false);
        clear_end(row);
        changed.add(Attribute::EndTime.code());
    }
    if schema.lives_again && lives_again(row, update) {
        clear_end(row);
        row.head.flags.set(Flags::LIVES_AGAIN, true);
        changed.add(Attribute::EndTime.code());
    }
    let references = row.references;
    for attribute in update.attributes() {
        let Ok((code, value)) = attribute else {
            vocabulary.oddities.add(Oddity::Torn);
            break;
        };
        if leave_out.counters && is_counter(code) {
            vocabulary.oddities.add(Oddity::Foreign);
            continue;
        }
        let place = schema.place(code);
        let is_changed = match (place, value) {
            (AttributePlace::Text(place), Value::Text(text)) => {
                let old = row.texts[place as usize];
                if vocabulary.texts.is(old, text) || !vocabulary.admits(text.len(), leave_out) {
                    false
                } else {
                    row.head.bulk = recharged(row.head.bulk, || vocabulary.texts.len(old), text.len());
                    let recent = &mut vocabulary.recent[code as usize];
                    row.texts[place as usize] = vocabulary.texts.acquire_like(recent, text);
                    vocabulary.texts.release(old);
                    true
                }
            }
            (AttributePlace::Reference(place), Value::Text(text)) => match vocabulary.reference(text) {
                Some(new) => {
                    let old = std::mem::replace(&mut row.references[place as usize], new);
                    // The row's use of the reference that it had at first is for the caller to release.
                    let first = references[place as usize];
                    if new == first {
                        vocabulary.scopes.release(new);
                    }
                    if old != first {
                        vocabulary.scopes.release(old);
                    }
                    if old != new {
                        let length = || vocabulary.scopes.table().name(old).len();
                        row.head.bulk = recharged(row.head.bulk, length, text.len());
                    }
                    old != new
                }
                None => false,
            },
            (AttributePlace::Number(place), value) if let Some(number) = value.as_uint() => {
                let place = place as usize;
                if place == END && (leave_out.end || number == 0) {
                    if number == 0 {
                        vocabulary.oddities.add(Oddity::NoValue);
                    }
                    continue;
                }
                let known = row.head.present & 1 << place != 0;
                let number = if number < row.numbers[place] && known && is_counter(code) {
                    vocabulary.oddities.add(Oddity::CounterFell);
                    row.numbers[place]
                } else {
                    number
                };
                let is_changed = !known || row.numbers[place] != number;
                row.head.present |= 1 << place;
                row.numbers[place] = number;
                is_changed
            }
            (_, Value::Null) => {
                vocabulary.oddities.add(Oddity::NoValue);
                false
            }
            (place, value) => {
                let rest = (&mut row.rest, &mut row.head.bulk);
                let is_changed = fold_rest(rest, code, value, leave_out, vocabulary);
                // A value that fits would have found its place.
                debug_assert!(place == AttributePlace::Rest || is_misfit(code, value));
                is_changed
            }
        };
        let mut is_changed = is_changed;
        if place != AttributePlace::Rest && row.rest.is_some() && value != Value::Null {
            // Also where the value is the one that was there: the one of the wrong type came between.
            is_changed |= drop_misfit((&mut row.rest, &mut row.head.bulk), code, value, vocabulary);
        }
        if is_changed {
            changed.add(code);
        }
    }
    let ended = row.head.present & 1 << END != 0;
    // Without a start, that is 0.
    if changed.has(Attribute::EndTime) && ended && row.numbers[END] < row.numbers[START] {
        vocabulary.oddities.add(Oddity::EndBeforeStart);
    }
    changed
}

fn clear_end<const N: usize, const M: usize, const K: usize, S>(row: &mut Row<N, M, K, S>) {
    row.head.present &= !(1 << END);
    row.numbers[END] = 0;
}

/// Whether an ended record is reported with a newer start, and without an end: then its object is there again. With the
/// same start it is a late duplicate. Where no start is known, one after the end is newer.
#[inline]
fn lives_again<const N: usize, const M: usize, const K: usize, S>(
    row: &Row<N, M, K, S>,
    update: &Update<'_>,
) -> bool {
    if row.head.present & 1 << END == 0 {
        return false;
    }
    let number = |attribute| update.get(attribute).and_then(Value::as_uint);
    let known = if row.head.present & 1 << START != 0 { START } else { END };
    number(Attribute::StartTime).is_some_and(|start| start > row.numbers[known])
        && number(Attribute::EndTime).is_none_or(|end| end == 0)
}

/// Whether an update is of an earlier life of a record that lives again: its start, or its end, is before the start.
#[cold]
fn is_of_life_before<const N: usize, const M: usize, const K: usize, S>(
    row: &Row<N, M, K, S>,
    update: &Update<'_>,
) -> bool {
    let is_before = |attribute| {
        let number = update.get(attribute).and_then(Value::as_uint);
        number.is_some_and(|number| number > 0 && number < row.numbers[START])
    };
    is_before(Attribute::StartTime) || is_before(Attribute::EndTime)
}

fn is_counter(code: u32) -> bool {
    Attribute::from_code(code).is_some_and(|attribute| attribute.kind() == AttributeKind::Counter)
}

fn is_misfit(code: u32, value: Value<'_>) -> bool {
    Attribute::from_code(code).is_some_and(|attribute| !value.fits(attribute))
}

impl Vocabulary {
    fn reference(&mut self, text: &str) -> Option<Key> {
        if text.is_empty() {
            return Some(Key::NONE);
        }
        if text.len() > self.limits.id {
            self.oddities.add(Oddity::IdTooLong);
            return None;
        }
        let key = self.scopes.acquire(text).ok();
        if key.is_none() {
            self.oddities.add(Oddity::NoRoom);
        }
        key
    }

    /// Whether a text or another value of that length is taken; one that is not is counted.
    #[inline]
    fn admits(&mut self, octets: usize, leave_out: LeaveOut) -> bool {
        if octets <= SHORT {
            return true;
        }
        if octets > self.limits.text {
            self.oddities.add(Oddity::TextTooLong);
        } else if leave_out.bulk {
            self.oddities.add(Oddity::MemoryFull);
        } else {
            return true;
        }
        false
    }

    pub(crate) fn release_value(&mut self, value: &RestValue) {
        match value {
            RestValue::Text(symbol) => self.texts.release(*symbol),
            RestValue::Reference(key) => self.scopes.release(*key),
            RestValue::Uint(_) | RestValue::Other(_) => {}
        }
    }

    /// The value of an attribute without a place of its own, which is in use now.
    fn rest_value(&mut self, code: u32, value: Value<'_>) -> Option<RestValue> {
        let kind = Attribute::from_code(code).map(Attribute::kind);
        Some(match (kind, value) {
            (Some(AttributeKind::Reference), Value::Text(text)) => {
                RestValue::Reference(self.reference(text)?)
            }
            (Some(kind), Value::Text(text)) if kind.is_text() => RestValue::Text(self.texts.acquire(text)),
            (None, Value::Text(text)) => {
                self.oddities.add(Oddity::UnknownAttribute);
                RestValue::Text(self.texts.acquire(text))
            }
            (None, Value::Uint(number)) => {
                self.oddities.add(Oddity::UnknownAttribute);
                RestValue::Uint(number)
            }
            (Some(kind), value)
                if !kind.is_text()
                    && let Some(number) = value.as_uint() =>
            {
                RestValue::Uint(number)
            }
            (kind, value) => {
                self.oddities.add(if kind.is_some() { Oddity::WrongType } else { Oddity::UnknownAttribute });
                RestValue::Other(Arc::new(value.to_owned()))
            }
        })
    }
}

/// What a row is charged with once a text or id takes the place of another. `old` is how long that was.
#[inline]
fn recharged(bulk: u32, old: impl FnOnce() -> usize, new: usize) -> u32 {
    if bulk == 0 && new <= SHORT {
        return 0;
    }
    let bulk = (bulk as usize).saturating_sub(charged(old())) + charged(new);
    u32::try_from(bulk).unwrap_or(u32::MAX)
}

/// The attributes of a row that have no place of their own, and what the row is charged with.
type Rest<'r> = (&'r mut Option<Arc<Vec<(u32, RestValue)>>>, &'r mut u32);

/// Folds a value that has no place of its own into the rest.
fn fold_rest(
    (rest, bulk): Rest<'_>,
    code: u32,
    value: Value<'_>,
    leave_out: LeaveOut,
    vocabulary: &mut Vocabulary,
) -> bool {
    let position = rest.as_ref().map_or(Err(0), |rest| rest.binary_search_by_key(&code, |(code, _)| *code));
    if let (Ok(position), Some(rest)) = (position, rest.as_ref()) {
        match (&rest[position].1, value) {
            (RestValue::Uint(old), Value::Uint(new)) if is_counter(code) && new < *old => {
                vocabulary.oddities.add(Oddity::CounterFell);
                return false;
            }
            (RestValue::Uint(old), Value::Uint(new)) if *old == new => return false,
            (RestValue::Text(old), Value::Text(new)) if vocabulary.texts.is(*old, new) => return false,
            _ => {}
        }
    }
    if !vocabulary.admits(value_octets(value), leave_out) {
        return false;
    }
    if position.is_err() {
        let many = rest.as_ref().map_or(0, |rest| rest.len());
        if many >= vocabulary.limits.attributes {
            vocabulary.oddities.add(Oddity::TooManyAttributes);
            return false;
        }
        if leave_out.bulk {
            vocabulary.oddities.add(Oddity::MemoryFull);
            return false;
        }
    }
    let Some(new) = vocabulary.rest_value(code, value) else { return false };
    let rest = Arc::make_mut(rest.get_or_insert_default());
    let added = u32::try_from(new.octets(vocabulary)).unwrap_or(u32::MAX);
    *bulk = bulk.saturating_add(added);
    match position {
        Ok(position) => {
            let old = std::mem::replace(&mut rest[position].1, new);
            let dropped = u32::try_from(old.octets(vocabulary)).unwrap_or(u32::MAX);
            *bulk = bulk.saturating_sub(dropped);
            vocabulary.release_value(&old);
            rest[position].1 != old
        }
        Err(position) => {
            rest.insert(position, (code, new));
            vocabulary.rest_values += 1;
            true
        }
    }
}

/// A value of the right type takes the place of one of the wrong type that was kept beside it. Whether there was one.
#[cold]
fn drop_misfit((rest, bulk): Rest<'_>, code: u32, value: Value<'_>, vocabulary: &mut Vocabulary) -> bool {
    if is_misfit(code, value) {
        return false;
    }
    if let Some(rest) = rest
        && let Ok(position) = rest.binary_search_by_key(&code, |(code, _)| *code)
    {
        let (_, value) = Arc::make_mut(rest).remove(position);
        let dropped = u32::try_from(value.octets(vocabulary)).unwrap_or(u32::MAX);
        *bulk = bulk.saturating_sub(dropped);
        vocabulary.release_value(&value);
        vocabulary.rest_values -= 1;
        return true;
    }
    false
}
