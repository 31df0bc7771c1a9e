//! Simple exponential smoothing of the logarithm of the price: a trade that printed between bid and ask counts
//! for a part, the rest goes back to where the price was.
//!
//! Brown, Statistical Forecasting for Inventory Control (1959).

use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ewma",
    version: 1,
    summary: "the price goes back to its exponentially weighted mean",
    target: Target::Price,
    is_baseline: false,
    warm_up: 10,
    build: |_| Box::new(Ewma { above: 0.0, seen: 0 }),
};

/// Of the newest price.
const WEIGHT: f64 = 0.9;

struct Ewma {
    /// The logarithm of the price less its mean.
    above: f64,
    seen: u64,
}

impl Forecaster for Ewma {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        self.above = (1.0 - WEIGHT) * (self.above + ground.log_return());
        self.seen += 1;
        if self.seen >= ENTRY.warm_up as u64 {
            said.fill(-self.above);
        }
    }

    fn interrupt(&mut self) {
        (self.above, self.seen) = (0.0, 0);
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.above);
        state.word(&mut self.seen);
    }
}
