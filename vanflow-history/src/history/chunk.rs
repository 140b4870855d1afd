//! Samples of one series, packed.
//!
//! A sample is a scrape's ordinal and a value; times are kept once for all series. What is packed is a sequence of
//! tokens, each a variable-length integer whose two lowest bits say what the rest is:
//!
//! | bits | rest |
//! |---|---|
//! | `00` | what a whole number has grown by since the last whole number, zigzag |
//! | `01` | that many more samples like the last one, each one stride on |
//! | `10` | the stride from here on: how many scrapes there are between samples |
//! | `11` | 0: a number follows in 8 octets; 1: the series was not in that scrape |
//!
//! So a counter that rests costs nothing, and one that moves an octet or three a sample.

/// Whole numbers beyond this are not all representable, so they are kept as they are.
const WHOLE: f64 = 9_007_199_254_740_992.0;

const GROWTH: u64 = 0;
const RUN: u64 = 1;
const STRIDE: u64 = 2;
const OTHER: u64 = 3;

/// A value at a scrape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kept {
    /// Which scrape.
    pub(super) ordinal: u32,
    /// None where the series was not in it, though in the one before.
    pub(super) value: Option<f64>,
}

/// Samples that no more are added to.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    octets: Box<[u8]>,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) count: u16,
    /// How often its samples were thinned: an index into the steps of the history.
    pub(super) tier: u8,
}

impl Chunk {
    /// Packs samples, of which there is at least one.
    pub(super) fn pack(samples: &[Kept], tier: u8) -> Self {
        let mut packer = Packer::default();
        for sample in samples {
            packer.push(*sample);
        }
        packer.seal(tier)
    }

    /// One that was packed before.
    pub(super) fn of_packed(octets: &[u8], first: u32, last: u32, count: u16, tier: u8) -> Self {
        Self { octets: octets.into(), first, last, count, tier }
    }

    /// What is packed.
    pub(super) fn packed(&self) -> &[u8] {
        &self.octets
    }

    pub(super) fn iter(&self) -> Unpacker<'_> {
        Unpacker::new(&self.octets, self.first, 0)
    }

    /// What it takes on the heap.
    pub(super) fn octets(&self) -> usize {
        self.octets.len()
    }
}

/// The samples that more are added to.
#[derive(Clone, Debug, Default)]
pub(super) struct Packer {
    octets: Vec<u8>,
    state: State,
    first: u32,
    count: u16,
    /// How many samples like the last one are not yet written.
    run: u32,
}

impl Packer {
    /// Adds a sample of a later scrape than the last.
    pub(super) fn push(&mut self, sample: Kept) {
        if self.count == 0 {
            self.first = sample.ordinal;
        } else {
            let stride = sample.ordinal - self.state.ordinal;
            if stride != self.state.stride {
                self.flush();
                self.token(STRIDE, u64::from(stride));
                self.state.stride = stride;
            }
        }
        self.state.ordinal = sample.ordinal;
        let repeats = self.count > 0 && same(self.state.value, sample.value);
        self.count += 1;
        if repeats {
            self.run += 1;
            return;
        }
        self.flush();
        self.state.value = sample.value;
        match sample.value {
            Some(value) if is_whole(value) => {
                let whole = value as i64;
                let growth = whole - self.state.whole;
                self.token(GROWTH, ((growth << 1) ^ (growth >> 63)) as u64);
                self.state.whole = whole;
            }
            Some(value) => {
                self.token(OTHER, 0);
                self.octets.extend(value.to_le_bytes());
            }
            None => self.token(OTHER, 1),
        }
    }

    pub(super) fn count(&self) -> u16 {
        self.count
    }

    pub(super) fn first(&self) -> u32 {
        self.first
    }

    /// The last sample.
    pub(super) fn last(&self) -> Option<Kept> {
        (self.count > 0).then_some(Kept { ordinal: self.state.ordinal, value: self.state.value })
    }

    pub(super) fn iter(&self) -> Unpacker<'_> {
        let mut unpacker = Unpacker::new(&self.octets, self.first, self.run);
        if self.count == 0 {
            unpacker.trailing = 0;
        }
        unpacker
    }

    /// What it takes on the heap.
    pub(super) fn octets(&self) -> usize {
        self.octets.capacity()
    }

    /// Makes a chunk of all samples, and is empty then.
    pub(super) fn seal(&mut self, tier: u8) -> Chunk {
        self.flush();
        let chunk = Chunk {
            octets: self.octets.as_slice().into(),
            first: self.first,
            last: self.state.ordinal,
            count: self.count,
            tier,
        };
        self.octets.clear();
        self.state = State::default();
        self.count = 0;
        chunk
    }

    fn flush(&mut self) {
        if self.run > 0 {
            let run = u64::from(self.run);
            self.run = 0;
            self.token(RUN, run);
        }
    }

    fn token(&mut self, kind: u64, rest: u64) {
        // 2^53 twice, as a zigzag, takes 55 bits; there is room for two more.
        let mut left = rest << 2 | kind;
        while left >= 0x80 {
            self.octets.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.octets.push(left as u8);
    }
}

/// What a token is relative to.
#[derive(Clone, Debug)]
struct State {
    ordinal: u32,
    stride: u32,
    value: Option<f64>,
    /// The last whole number.
    whole: i64,
}

impl Default for State {
    fn default() -> Self {
        Self { ordinal: 0, stride: 1, value: None, whole: 0 }
    }
}

/// Samples, as they come out again.
#[derive(Clone, Debug)]
pub(super) struct Unpacker<'c> {
    octets: &'c [u8],
    state: State,
    is_first: bool,
    run: u64,
    trailing: u32,
}

impl<'c> Unpacker<'c> {
    fn new(octets: &'c [u8], first: u32, trailing: u32) -> Self {
        let state = State { ordinal: first, ..State::default() };
        Self { octets, state, is_first: true, run: 0, trailing }
    }

    fn token(&mut self) -> Option<(u64, u64)> {
        let mut token = 0_u64;
        let mut shift = 0;
        loop {
            let (&octet, rest) = self.octets.split_first()?;
            self.octets = rest;
            token |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Some((token & 3, token >> 2));
            }
            shift += 7;
        }
    }

    fn emit(&mut self) -> Kept {
        if self.is_first {
            self.is_first = false;
        } else {
            self.state.ordinal += self.state.stride;
        }
        Kept { ordinal: self.state.ordinal, value: self.state.value }
    }
}

impl Iterator for Unpacker<'_> {
    type Item = Kept;

    fn next(&mut self) -> Option<Kept> {
        loop {
            if self.run > 0 {
                self.run -= 1;
                return Some(self.emit());
            }
            let Some((kind, rest)) = self.token() else {
                self.run = u64::from(std::mem::take(&mut self.trailing));
                if self.run == 0 {
                    return None;
                }
                continue;
            };
            match kind {
                GROWTH => {
                    let growth = (rest >> 1) as i64 ^ -((rest & 1) as i64);
                    self.state.whole += growth;
                    self.state.value = Some(self.state.whole as f64);
                    return Some(self.emit());
                }
                RUN => self.run = rest,
                STRIDE => self.state.stride = rest as u32,
                _ if rest == 1 => {
                    self.state.value = None;
                    return Some(self.emit());
                }
                _ => {
                    let (number, rest) = self.octets.split_first_chunk::<8>()?;
                    self.octets = rest;
                    self.state.value = Some(f64::from_le_bytes(*number));
                    return Some(self.emit());
                }
            }
        }
    }
}

fn is_whole(value: f64) -> bool {
    value.trunc() == value && value.abs() <= WHOLE && !(value == 0.0 && value.is_sign_negative())
}

/// Whether two values are the same to the bit; a series that is not there is never the same, for it is reported once.
fn same(one: Option<f64>, other: Option<f64>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one.to_bits() == other.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ordinal: u32, value: f64) -> Kept {
        Kept { ordinal, value: Some(value) }
    }

    fn round_trip(samples: &[Kept]) -> usize {
        let mut packer = Packer::default();
        for (position, sample) in samples.iter().enumerate() {
            packer.push(*sample);
            let so_far: Vec<_> = packer.iter().collect();
            assert_eq!(so_far, samples[..=position], "while it is open");
        }
        assert_eq!(packer.last(), samples.last().copied());
        let chunk = packer.seal(0);
        assert_eq!(chunk.iter().collect::<Vec<_>>(), samples);
        assert_eq!((chunk.first, chunk.last), (samples[0].ordinal, samples[samples.len() - 1].ordinal));
        assert_eq!(usize::from(chunk.count), samples.len());
        assert_eq!(packer.iter().count(), 0, "sealed, it is empty");
        chunk.octets()
    }

    #[test]
    fn a_counter_that_rests_costs_nothing() {
        let samples: Vec<_> = (0..1000).map(|ordinal| kept(ordinal + 7, 12_345.0)).collect();
        assert_eq!(round_trip(&samples), 3 + 2);
    }

    #[test]
    fn a_counter_that_moves_costs_an_octet_or_three_a_sample() {
        let slow: Vec<_> = (0..100).map(|ordinal| kept(ordinal, f64::from(ordinal * 3))).collect();
        assert_eq!(round_trip(&slow), 100);
        let fast: Vec<_> = (0..100).map(|ordinal| kept(ordinal, f64::from(ordinal) * 90_000.0)).collect();
        assert_eq!(round_trip(&fast), 1 + 99 * 3);
    }

    #[test]
    fn any_number_comes_back_to_the_bit() {
        let values = [
            0.0,
            -0.0,
            1.5,
            1.5,
            f64::INFINITY,
            f64::NEG_INFINITY,
            WHOLE,
            -WHOLE,
            WHOLE,
            1e300,
            -1.0,
            f64::MIN_POSITIVE,
        ];
        let mut samples: Vec<_> =
            values.iter().zip(3..).map(|(value, ordinal)| kept(ordinal * ordinal, *value)).collect();
        round_trip(&samples);
        samples.push(Kept { ordinal: 1000, value: None });
        samples.push(kept(1001, 0.0));
        let back: Vec<_> = Chunk::pack(&samples, 0).iter().collect();
        for (sample, expected) in back.iter().zip(&samples) {
            assert_eq!(sample.value.map(f64::to_bits), expected.value.map(f64::to_bits));
        }
        let nan = Chunk::pack(&[kept(1, f64::NAN), kept(2, f64::NAN)], 0);
        assert!(nan.iter().all(|sample| sample.value.is_some_and(f64::is_nan)));
        assert_eq!(nan.iter().count(), 2);
    }
}
