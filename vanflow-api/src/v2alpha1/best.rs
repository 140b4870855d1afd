//! The first of many in some order, without putting the rest in order.

use std::cmp::Ordering;

/// Takes any number of items, and keeps those that come first: by a key, then by an identity, then by themselves.
#[derive(Debug)]
pub(crate) struct Best<K, I, T> {
    rows: Vec<(K, I, T)>,
    /// How many are asked for.
    most: usize,
    /// Whether the highest keys come first. Identities ascend all the same.
    is_descending: bool,
    total: usize,
    /// Whether the last of `rows` is the last that is worth keeping: nothing after it needs to be looked at.
    is_cut: bool,
}

/// Below this it is not worth the while to let go of any.
const FEW: usize = 256;

impl<K: Ord, I: Ord, T: Ord> Best<K, I, T> {
    pub(crate) fn new(most: usize, is_descending: bool) -> Self {
        Self { rows: Vec::new(), most, is_descending, total: 0, is_cut: false }
    }

    /// Takes an item. Its identity is asked for only where it makes a difference.
    pub(crate) fn add(&mut self, key: K, identity: impl FnOnce() -> I, item: T) {
        self.total += 1;
        if self.most == 0 {
            return;
        }
        let is_descending = self.is_descending;
        if self.is_cut && compare_keys(is_descending, &key, &self.rows[self.most - 1].0).is_gt() {
            return;
        }
        let row = (key, identity(), item);
        if self.is_cut && compare(is_descending, &row, &self.rows[self.most - 1]).is_gt() {
            return;
        }
        self.rows.push(row);
        if self.rows.len() >= self.most.saturating_mul(2).max(FEW) {
            self.cut();
        }
    }

    /// The key of the last that is kept, once there are as many as asked for: what comes after it need not be given.
    pub(crate) fn last(&mut self) -> Option<&K> {
        if self.most == 0 || self.rows.len() < self.most {
            return None;
        }
        if self.rows.len() > self.most || !self.is_cut {
            self.cut();
        }
        self.rows.last().map(|row| &row.0)
    }

    /// Lets go of what comes after those that are asked for.
    fn cut(&mut self) {
        let is_descending = self.is_descending;
        self.rows.select_nth_unstable_by(self.most - 1, |left, right| compare(is_descending, left, right));
        self.rows.truncate(self.most);
        self.is_cut = true;
    }

    /// How many there were.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// What comes first, in order, but for as many of it as are passed over.
    pub(crate) fn into_sorted(mut self, passed_over: usize) -> Vec<T> {
        let is_descending = self.is_descending;
        self.rows.sort_unstable_by(|left, right| compare(is_descending, left, right));
        self.rows.truncate(self.most);
        self.rows.into_iter().skip(passed_over).map(|(_, _, item)| item).collect()
    }
}

fn compare<K: Ord, I: Ord, T: Ord>(is_descending: bool, left: &(K, I, T), right: &(K, I, T)) -> Ordering {
    let keys = compare_keys(is_descending, &left.0, &right.0);
    keys.then_with(|| left.1.cmp(&right.1)).then_with(|| left.2.cmp(&right.2))
}

fn compare_keys<K: Ord>(is_descending: bool, left: &K, right: &K) -> Ordering {
    let keys = left.cmp(right);
    if is_descending { keys.reverse() } else { keys }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn what_comes_first_is_what_sorting_all_would_say(
            rows in vec((0_u8..9, 0_u16..2000), 0..1500),
            most in 0_usize..400,
            passed_over in 0_usize..300,
            is_descending: bool,
            asks_for_last: bool,
        ) {
            let mut best = Best::new(most, is_descending);
            let mut all: Vec<_> = rows.iter().enumerate().map(|(item, (key, id))| (*key, *id, item)).collect();
            let mut given = Vec::new();
            for (key, id, item) in &all {
                best.add(*key, || *id, *item);
                given.push(*key);
                if asks_for_last && item % 7 == 0 {
                    given.sort_unstable();
                    if is_descending {
                        given.reverse();
                    }
                    let last = most.checked_sub(1).and_then(|last| given.get(last));
                    prop_assert_eq!(best.last(), last);
                }
            }
            all.sort_by(|left, right| compare(is_descending, left, right));
            let expected: Vec<_> =
                all.iter().map(|row| row.2).take(most).skip(passed_over).collect();
            prop_assert_eq!(best.total(), rows.len());
            prop_assert_eq!(best.into_sorted(passed_over), expected);
        }
    }
}
