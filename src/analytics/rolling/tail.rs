//! How seldom a value is: the share of what came before that was smaller, with old values forgotten.
//!
//! Sizes are counted in a fixed number of buckets whose width grows with the size, so that the
//! tail of any distribution finds room; what counted long ago counts less.

use crate::analytics::rolling::state::State;

const BUCKETS: usize = 96;
/// Buckets for each doubling of `1 + size`.
const PER_DOUBLING: f64 = 12.0;

/// A decaying histogram of sizes at or above zero.
#[derive(Clone, Debug)]
pub struct TailShare {
    /// What remains of a value's weight at the next one.
    keep: f64,
    weights: [f64; BUCKETS],
    total: f64,
}

impl TailShare {
    /// A value weighs half after `half_life` further ones, above zero.
    pub fn new(half_life: f64) -> Self {
        Self { keep: libm::exp2(-1.0 / half_life), weights: [0.0; BUCKETS], total: 0.0 }
    }

    /// Takes a size, and gives back the share of the weight before it that was smaller, 0 to just below 1:
    /// one of as many as there were counts as the size itself, so that the first is never certain.
    pub fn rank(&mut self, size: f64) -> f64 {
        let place = libm::log2(1.0 + size.max(0.0)) * PER_DOUBLING;
        let bucket = (place as usize).min(BUCKETS - 1);
        let below: f64 = self.weights[..bucket].iter().sum();
        // Within its bucket, sizes are taken to be spread evenly.
        let within = self.weights[bucket] * (place - bucket as f64).clamp(0.0, 1.0);
        let share = (below + within) / (self.total + 1.0);
        for weight in &mut self.weights {
            *weight *= self.keep;
        }
        self.weights[bucket] += 1.0;
        self.total = self.total * self.keep + 1.0;
        share
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.weights.iter_mut().for_each(|weight| state.f64(weight));
        state.f64(&mut self.total);
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
}
