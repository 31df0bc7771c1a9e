//! Autoregression of returns by recursive least squares: five returns say what the next ones sum to.
//!
//! In units of the volatility, so that wild days do not drown the others; each horizon directly.

use crate::analytics::forecast::direct::Direct;
use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "rls_ar",
    version: 1,
    summary: "the next returns from the last five, by recursive least squares",
    target: Target::Price,
    is_baseline: false,
    warm_up: WARM_UP + LAGS,
    build: |course| Box::new(RlsAr::new(course)),
};

const LAGS: usize = 5;
const WARM_UP: usize = 120;
const FORGETTING: f64 = 0.9999;
/// Weights are expected to be of a few hundredths.
const PRIOR: f64 = 0.01;
/// Scaled returns beyond it are taken as that large.
const SCALED_MAX: f64 = 6.0;

struct RlsAr {
    model: Direct<{ LAGS + 1 }>,
    /// A constant, and the last returns by volatility, the newest first.
    inputs: [f64; LAGS + 1],
    /// Returns since the last hole, counted up to the lags.
    whole: usize,
}

impl RlsAr {
    fn new(course: &Course<'_>) -> Self {
        let mut inputs = [0.0; LAGS + 1];
        inputs[0] = 1.0;
        Self { model: Direct::new(course.horizons, FORGETTING, PRIOR, WARM_UP as u64), inputs, whole: 0 }
    }
}

impl Forecaster for RlsAr {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        let scaled = (ground.log_return() / ground.volatility_before()).clamp(-SCALED_MAX, SCALED_MAX);
        self.inputs.copy_within(1..LAGS, 2);
        self.inputs[1] = scaled;
        self.whole = (self.whole + 1).min(LAGS);
        if self.whole < LAGS {
            return;
        }
        for k in 0..said.len() {
            if let Some(change) = ground.change(k) {
                self.model.learn(k, |volatility| change / volatility);
            }
        }
        let volatility = ground.volatility();
        self.model.take(&self.inputs, volatility);
        for (k, said) in said.iter_mut().enumerate() {
            if let Some(expected) = self.model.say(k) {
                *said = expected * volatility;
            }
        }
    }

    fn interrupt(&mut self) {
        self.model.interrupt();
        self.inputs[1..].fill(0.0);
        self.whole = 0;
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.model.state(state);
        self.inputs[1..].iter_mut().for_each(|input| state.f64(input));
        state.index(&mut self.whole, LAGS);
    }
}
