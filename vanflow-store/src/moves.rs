//! Which connections went from one lane to another with something else at their ends, for those who count by lanes.

use crate::{identity::Key, pages::Pages, row::RecordRef};

/// How many are remembered, in half a MB.
const MOST_MOVES: usize = 16_384;

/// The latest moves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moves {
    ring: Pages<Move>,
    count: u64,
}

/// A move, as it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    /// The row that stood for the connection, which may have been taken by another since.
    pub(crate) at: RecordRef,
    pub(crate) key: Key,
    /// The number of the lane that it left, and how many had that number before.
    pub(crate) from: (u32, u32),
    /// The revision of lanes that came of it.
    pub(crate) revision: u64,
}

impl Moves {
    pub(crate) fn add(&mut self, new: Move) {
        let position = usize::try_from(self.count % MOST_MOVES as u64).expect("it is small");
        if position < self.ring.len() {
            *self.ring.get_mut(position) = new;
        } else {
            self.ring.push(new);
        }
        self.count += 1;
    }

    /// Those that came of later revisions, the latest first.
    pub(crate) fn after(&self, revision: u64) -> impl Iterator<Item = &Move> {
        let oldest = self.count.saturating_sub(MOST_MOVES as u64);
        let numbers = (oldest..self.count).rev();
        numbers
            .filter_map(|number| self.ring.get(usize::try_from(number % MOST_MOVES as u64).ok()?))
            .take_while(move |each| each.revision > revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_moves_are_remembered() {
        let mut moves = Moves::default();
        let many = MOST_MOVES as u64 + 100;
        for number in 1..=many {
            moves.add(Move {
                at: RecordRef::NONE,
                key: Key::from_bits(number),
                from: (0, 0),
                revision: number / 2,
            });
        }
        let after = |revision| moves.after(revision).map(|each| each.key.to_bits()).collect::<Vec<_>>();
        assert!(after(many / 2).is_empty());
        assert_eq!(after(many / 2 - 1), [many]);
        assert_eq!(after(many / 2 - 2), [many, many - 1, many - 2]);
        assert_eq!(after(0), (101..=many).rev().collect::<Vec<_>>(), "as many as there is room for");
    }
}
