//! Random numbers from a seed: SplitMix64.
//!
//! For models that draw: the same seed gives the same numbers on every machine, and where a generator
//! stands is one word of the model's state. Source: Steele, Lea and Flood, Fast splittable pseudorandom
//! number generators, OOPSLA 2014.

use crate::analytics::rolling::state::State;

/// A generator of 64 random bits at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitMix {
    at: u64,
}

impl SplitMix {
    pub fn new(seed: u64) -> Self {
        Self { at: seed }
    }

    pub fn word(&mut self) -> u64 {
        self.at = self.at.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.at;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0, below 1, in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0, below `bound`, which is above zero. Off from even by less than `bound` in 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "there is something to choose from");
        ((u128::from(self.word()) * bound as u128) >> 64) as usize
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_reference() {
        // The first of `java.util.SplittableRandom`'s algorithm from seed 1234567, as published with xoshiro.
        let mut random = SplitMix::new(1_234_567);
        let first = [(); 3].map(|()| random.word());
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn numbers_below_a_bound_are_even() {
        let mut random = SplitMix::new(5);
        let mut counts = [0_u32; 7];
        (0..70_000).for_each(|_| counts[random.below(7)] += 1);
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert!((0..1_000).map(|_| random.unit()).all(|unit| (0.0..1.0).contains(&unit)));
    }
}
