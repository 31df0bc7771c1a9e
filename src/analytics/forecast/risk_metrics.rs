//! RiskMetrics: each of the next candles has the exponentially weighted mean of squared returns, the decay .94.
//!
//! J.P. Morgan and Reuters, RiskMetrics technical document, 4th edition (1996).

use crate::analytics::estimators::elementary::ln;
use crate::analytics::estimators::risk_metrics::{DAILY_DECAY, RiskMetrics};
use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{Ground, VARIANCE_FLOOR};
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "risk_metrics",
    version: 1,
    summary: "the exponentially weighted mean of squared returns with RiskMetrics' decay of .94",
    target: Target::RealizedVariance,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |_| Box::new(Decayed { filter: RiskMetrics::new(DAILY_DECAY) }),
};

const WARM_UP: usize = 30;

struct Decayed {
    filter: RiskMetrics,
}

impl Forecaster for Decayed {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        self.filter.learn(ground.log_return());
        if ground.seen() < WARM_UP as u64 {
            return;
        }
        let Some(variance) = self.filter.variance() else { return };
        let variance = ln(variance.max(VARIANCE_FLOOR));
        for (k, said) in said.iter_mut().enumerate() {
            *said = variance + ground.log_horizon(k);
        }
    }

    fn interrupt(&mut self) {}

    fn state(&mut self, state: &mut State<'_>) {
        self.filter.state(state);
    }
}
