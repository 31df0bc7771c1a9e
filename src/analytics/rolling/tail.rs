//! How seldom a value is: the share of what came before that was smaller, with old values forgotten.
//!
//! Sizes are counted in a fixed number of buckets whose width grows with the size, so that the
//! tail of any distribution finds room; what counted long ago counts less.

use std::f64::consts::LN_2;

use crate::analytics::estimators::elementary::ln;
use crate::analytics::rolling::state::State;

const BUCKETS: usize = 96;
/// Buckets for each doubling of `1 + size`.
const PER_DOUBLING: f64 = 12.0;

/// The newest value's weight at which all weights are made small again: a power of two, so that nothing is rounded.
const HEAVY: f64 = (1_u64 << 60) as f64;

/// A decaying histogram of sizes at or above zero.
///
/// What came before does not get lighter with each value: the next value gets heavier, which is the same to any share.
#[derive(Clone, Debug)]
pub struct TailShare {
    /// How much more a value weighs than the one before.
    growth: f64,
    weights: [f64; BUCKETS],
    total: f64,
    /// Of the last value.
    weight: f64,
}

impl TailShare {
    /// A value weighs half after `half_life` further ones, above zero.
    pub fn new(half_life: f64) -> Self {
        Self { growth: libm::exp2(1.0 / half_life), weights: [0.0; BUCKETS], total: 0.0, weight: 1.0 }
    }

    /// Takes a size, and gives back the share of the weight before it that was smaller, 0 to just below 1:
    /// one of as many as there were counts as the size itself, so that the first is never certain.
    pub fn rank(&mut self, size: f64) -> f64 {
        let place = ln(1.0 + size.max(0.0)) * (PER_DOUBLING / LN_2);
        let bucket = (place as usize).min(BUCKETS - 1);
        let below: f64 = self.weights[..bucket].iter().sum();
        // Within its bucket, sizes are taken to be spread evenly.
        let within = self.weights[bucket] * (place - bucket as f64).clamp(0.0, 1.0);
        let share = (below + within) / (self.total + self.weight);
        self.weight *= self.growth;
        self.weights[bucket] += self.weight;
        self.total += self.weight;
        if self.weight >= HEAVY {
            self.lighten();
        }
        share
    }

    #[cold]
    fn lighten(&mut self) {
        let numbers = self.weights.iter_mut().chain([&mut self.total, &mut self.weight]);
        numbers.for_each(|number| *number /= HEAVY);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.weights.iter_mut().for_each(|weight| state.f64(weight));
        state.f64(&mut self.total);
        state.f64(&mut self.weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    #[test]
    fn a_rank_is_exceeded_as_often_as_it_says() {
        let mut tail = TailShare::new(5_000.0);
        let mut random = Random(7);
        let (mut above, mut all) = (0, 0);
        for i in 0..40_000 {
            // Sizes with a heavy tail: a Pareto distribution with exponent 2.
            let size = 1.0 / ((random.word() >> 11) as f64 / (1_u64 << 53) as f64).max(1e-12).sqrt() - 1.0;
            let rank = tail.rank(size);
            assert!((0.0..1.0).contains(&rank), "{rank}");
            if i >= 5_000 {
                above += u32::from(rank > 0.99);
                all += 1;
            }
        }
        let share = f64::from(above) / f64::from(all);
        assert!((0.007..0.013).contains(&share), "{share}");
    }

    #[test]
    fn what_came_long_ago_counts_less_however_long_it_runs() {
        let mut tail = TailShare::new(5.0);
        let mut random = Random(8);
        let mut before: Vec<f64> = Vec::new();
        for i in 0..2_000 {
            let size = 4.0 * random.unit();
            let rank = tail.rank(size);
            // Other sizes are known to the width of a bucket.
            let weights = before.iter().rev().take(300).enumerate();
            let weights: Vec<_> =
                weights.map(|(age, other)| (libm::exp2(-(age as f64) / 5.0), other)).collect();
            let all: f64 = weights.iter().map(|(weight, _)| weight).sum();
            let within = (1.0 + size) * (libm::exp2(1.0 / PER_DOUBLING) - 1.0);
            let below = |bound: f64| -> f64 {
                weights.iter().filter(|(_, other)| **other < bound).map(|(weight, _)| weight).sum()
            };
            let (low, high) = (below(size - within) / (all + 1.0), below(size + within) / (all + 1.0));
            assert!(low - 1e-9 <= rank && rank <= high + 1e-9, "{i}: {low} {rank} {high}");
            before.push(size);
        }
    }
}
