//! The price goes on as it has on the mean since it is watched: the mean return, once a candle.

use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "drift",
    version: 1,
    summary: "the price goes on by its mean return until now",
    target: Target::Price,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |_| Box::new(Drift { mean: 0.0 }),
};

const WARM_UP: usize = 60;
/// Weight of the newest return once a hundred thousand were seen: nothing lasts for ever.
const WEIGHT: f64 = 1e-5;

struct Drift {
    mean: f64,
}

impl Forecaster for Drift {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        self.mean += WEIGHT.max(1.0 / ground.seen() as f64) * (ground.log_return() - self.mean);
        if ground.seen() >= WARM_UP as u64 {
            for (said, &horizon) in said.iter_mut().zip(ground.horizons()) {
                *said = self.mean * horizon as f64;
            }
        }
    }

    fn interrupt(&mut self) {}

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.mean);
    }
}
