//! The variance of as many candles before: what every forecast of a variance is held against.

use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "last_variance",
    version: 1,
    summary: "the variance of as many candles before; the baseline of variances",
    target: Target::RealizedVariance,
    is_baseline: true,
    warm_up: 1,
    build: |_| Box::new(LastVariance),
};

struct LastVariance;

impl Forecaster for LastVariance {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        for (k, said) in said.iter_mut().enumerate() {
            if let Some(variance) = ground.log_realized(k) {
                *said = variance;
            }
        }
    }

    fn interrupt(&mut self) {}

    fn state(&mut self, _: &mut State<'_>) {}
}
