//! Random numbers that are the same for the same seed, on every machine and in every version of any crate.

use std::time::Duration;

/// SplitMix64: small, and good enough to choose with.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that show the numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice for one place of a run, the same wherever else anything changes.
    pub fn at<'a>(seed: u64, place: impl IntoIterator<Item = &'a [u8]>) -> Self {
        // FNV-1a, with the end of each part marked.
        let mut hash = seed ^ 0xCBF2_9CE4_8422_2325;
        for part in place {
            for byte in part.iter().copied().chain([0xFF]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
            }
        }
        let mut dice = Self(hash);
        // The first number of close hashes is close before it is mixed.
        dice.0 = dice.next();
        dice
    }

    /// Other dice, whose numbers have nothing to do with these.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not zero.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A number from zero to one.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub fn hits(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// One of several, none of which is preferred.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.below(of.len() as u64) as usize;
        &of[index]
    }

    /// A time up to `most`, in milliseconds.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.below(most.as_millis() as u64 + 1))
    }

    /// A time from one to another, in milliseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + self.up_to(most.saturating_sub(least))
    }
}
