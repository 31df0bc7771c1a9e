//! GARCH(1,1), whose parameters are found as it goes: from returns that lie behind, and from nothing else.
//!
//! The mean variance by targeting, the two others by a recursive step on the likelihood, over a memory of
//! some thousand candles; see [`AdaptiveGarch`].

use crate::analytics::estimators::elementary::ln_each;
use crate::analytics::estimators::garch::AdaptiveGarch;
use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{Ground, VARIANCE_FLOOR};
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "garch",
    version: 1,
    summary: "GARCH(1,1) that learns its parameters as it goes",
    target: Target::RealizedVariance,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |_| Box::new(Garch { model: AdaptiveGarch::new(MEMORY, VARIANCE_FLOOR) }),
};

const WARM_UP: usize = 120;
const MEMORY: f64 = 5_000.0;

struct Garch {
    model: AdaptiveGarch,
}

impl Forecaster for Garch {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        self.model.learn(ground.log_return());
        if ground.seen() < WARM_UP as u64 {
            return;
        }
        for (said, &horizon) in said.iter_mut().zip(ground.horizons()) {
            let Some(variance) = self.model.sum_ahead(horizon) else { return };
            *said = variance.max(VARIANCE_FLOOR * horizon as f64);
        }
        ln_each(said);
    }

    fn interrupt(&mut self) {}

    fn state(&mut self, state: &mut State<'_>) {
        self.model.state(state);
    }
}
