//! The volume of as many candles before: what every forecast of a volume is held against. So for trades.

use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{FlowKind, Ground};
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "last_volume",
    version: 1,
    summary: "the volume of as many candles before; the baseline of volumes",
    target: Target::Volume,
    is_baseline: true,
    warm_up: 1,
    build: |_| Box::new(LastFlow(FlowKind::Volume)),
};

/// Of either kind.
pub struct LastFlow(pub FlowKind);

impl Forecaster for LastFlow {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        for (k, said) in said.iter_mut().enumerate() {
            if let Some(sum) = self.0.log_sum(ground, k) {
                *said = sum;
            }
        }
    }

    fn interrupt(&mut self) {}

    fn state(&mut self, _: &mut State<'_>) {}
}
