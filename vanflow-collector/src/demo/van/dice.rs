//! The one source of chance in the emulated VAN.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws what is left to chance. The same seed gives the same draws.
#[derive(Clone, Debug)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number between the two, which are possible too.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0.random_range(least..=most.max(least))
    }

    /// A number between the two, mostly a small one.
    pub(super) fn skewed(&mut self, (least, most): (u64, u64)) -> u64 {
        let share = self.0.random::<f64>().powi(3);
        least + scale(most.saturating_sub(least), share)
    }

    /// A duration that is `typical` on average, never less than half of it, and now and then much more.
    pub(super) fn around(&mut self, typical: u64) -> u64 {
        let half = typical / 2;
        half + self.pause(half)
    }

    /// A pause before the next of events that happen by chance, `mean` on average.
    pub(super) fn pause(&mut self, mean: u64) -> u64 {
        scale(mean, -(1.0 - self.0.random::<f64>()).ln())
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(super) fn per_mille(&mut self, times: u32) -> bool {
        self.0.random_range(0..1000) < times
    }

    /// One of them. There has to be one.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }

    /// So many characters of that alphabet.
    pub(super) fn text(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(self.pick(alphabet))).collect()
    }

    /// A random UUID.
    pub(super) fn uuid(&mut self) -> String {
        let bits = self.0.random::<u128>() & !(0xf << 76 | 0x3 << 62) | (0x4 << 76 | 0x2 << 62);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            (bits >> 80) & 0xffff,
            (bits >> 64) & 0xffff,
            (bits >> 48) & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a duration or size is an approximation, and casts from floating point saturate"
)]
fn scale(amount: u64, share: f64) -> u64 {
    (amount as f64 * share) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_random_ones_by_version_and_variant() {
        let uuid = Dice::new(1).uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    }

    #[test]
    fn draws_stay_in_their_bounds_and_averages_near_their_means() {
        let mut dice = Dice::new(2);
        let mut sum = 0;
        for _ in 0..10_000 {
            assert!((10..=20).contains(&dice.between(10, 20)));
            assert!((10..=20).contains(&dice.skewed((10, 20))));
            assert!(dice.around(1000) >= 500);
            sum += dice.pause(1000);
        }
        assert!((9_500_000..10_500_000).contains(&sum), "{sum}");
        assert_eq!(dice.between(7, 7), 7);
        assert_eq!(dice.skewed((7, 7)), 7);
    }
}
