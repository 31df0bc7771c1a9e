//! The share of rises until now: what every chance of a rise is held against.

use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "base_rate",
    version: 1,
    summary: "rises as often as until now; the baseline of directions",
    target: Target::Direction,
    is_baseline: true,
    warm_up: 1,
    build: |course| Box::new(BaseRate::new(course)),
};

/// Rises and falls that do not overlap, seen before the first, half of each: the first outcomes say little.
const PRIOR: f64 = 20.0;
/// Weight of the newest outcome once many were seen.
const WEIGHT: f64 = 1e-4;

struct BaseRate {
    /// By horizon: the share, and how many outcomes there were.
    shares: Vec<(f64, u64)>,
}

impl BaseRate {
    fn new(course: &Course<'_>) -> Self {
        Self { shares: vec![(0.5, 0); course.horizons.len()] }
    }
}

impl Forecaster for BaseRate {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        for (k, (said, (share, count))) in said.iter_mut().zip(&mut self.shares).enumerate() {
            if let Some(change) = ground.change(k).filter(|&change| change != 0.0) {
                *count += 1;
                let weight = WEIGHT.max(1.0 / (PRIOR * ground.horizons()[k] as f64 + *count as f64));
                *share += weight * (f64::from(u8::from(change > 0.0)) - *share);
            }
            *said = *share;
        }
    }

    fn interrupt(&mut self) {}

    fn state(&mut self, state: &mut State<'_>) {
        for (share, count) in &mut self.shares {
            state.f64(share);
            state.word(count);
        }
    }
}
