//! Online ARIMA of prices: their returns by a sum of the last five, whose weights the online Newton step moves.
//!
//! Steps further ahead than eight are expected to add nothing: weights of returns are small, and so fade
//! within a few steps.

use crate::analytics::estimators::online_arima::{ArimaSettings, OnlineArima};
use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "online_arima",
    version: 1,
    summary: "the next returns from the last five, by ARIMA with the online Newton step",
    target: Target::Price,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |_| Box::new(Arima { model: OnlineArima::new(SETTINGS), learnt: 0 }),
};

const LAGS: usize = 5;
const WARM_UP: usize = 120;
const AHEAD_MAX: usize = 8;
/// Of returns by volatility, which are of size 1. The start of the Newton steps weighs as much as some hundred returns.
const SETTINGS: ArimaSettings = ArimaSettings { differences: 0, rate: 0.5, start: 400.0, weight_max: 0.5 };
/// Scaled returns beyond it are taken as that large.
const SCALED_MAX: f64 = 6.0;

struct Arima {
    model: OnlineArima<LAGS>,
    learnt: u64,
}

impl Forecaster for Arima {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        let scaled = ground.log_return() / ground.volatility_before();
        self.learnt += u64::from(self.model.learn(scaled.clamp(-SCALED_MAX, SCALED_MAX)).is_some());
        if self.learnt < WARM_UP as u64 {
            return;
        }
        let Some(mut expected) = self.model.ahead() else { return };
        let mut sums = [0.0; AHEAD_MAX + 1];
        for ahead in 0..AHEAD_MAX {
            sums[ahead + 1] = sums[ahead] + expected.step();
        }
        for (said, &horizon) in said.iter_mut().zip(ground.horizons()) {
            let sum = sums[horizon.min(AHEAD_MAX)];
            if !sum.is_finite() {
                return;
            }
            *said = sum * ground.volatility();
        }
    }

    fn interrupt(&mut self) {
        self.model.interrupt();
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.model.state(state);
        state.word(&mut self.learnt);
    }
}
