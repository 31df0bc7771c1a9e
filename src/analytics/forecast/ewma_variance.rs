//! The variance of a few hours on the mean: exponentially weighted squared returns with a decay of .99.
//!
//! Slower than RiskMetrics, and so ahead of it over an hour and more.

use crate::analytics::estimators::elementary::ln;
use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{Ground, VARIANCE_FLOOR};
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ewma_variance",
    version: 2,
    summary: "a slow exponentially weighted mean of squared returns, the decay .99",
    target: Target::RealizedVariance,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |_| Box::new(EwmaVariance { variance: 0.0 }),
};

const WARM_UP: usize = 30;
/// Of the newest squared return.
const WEIGHT: f64 = 0.01;

struct EwmaVariance {
    variance: f64,
}

impl Forecaster for EwmaVariance {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        let square = ground.log_return() * ground.log_return();
        // A plain mean at first.
        self.variance += WEIGHT.max(1.0 / ground.seen() as f64) * (square - self.variance);
        if ground.seen() < WARM_UP as u64 {
            return;
        }
        let variance = ln(self.variance.max(VARIANCE_FLOOR));
        for (k, said) in said.iter_mut().enumerate() {
            *said = variance + ground.log_horizon(k);
        }
    }

    fn interrupt(&mut self) {}

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.variance);
    }
}
