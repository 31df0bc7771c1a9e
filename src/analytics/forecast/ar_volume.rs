//! Volume by autoregression in logarithms: the last three candles, three exponentially weighted means and the
//! range say what the next candles sum to; the same of trades.
//!
//! Against the long mean, each horizon directly. What is forecast is the median: half of the outcomes lie on
//! either side, as far as the logarithms are symmetric.

use crate::analytics::estimators::elementary::ln;
use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::forecast::direct::Direct;
use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{FlowKind, Ground};
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ar_volume",
    version: 1,
    summary: "volume from the last candles, their means and the range, by recursive least squares in logarithms",
    target: Target::Volume,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |course| Box::new(ArFlow::new(FlowKind::Volume, course)),
};

pub const WARM_UP: usize = 120;
const LAGS: usize = 3;
/// Of the newest candle in the means.
const WEIGHTS: [f64; 3] = [0.3, 0.05, 0.005];
const FORGETTING: f64 = 0.9998;
const PRIOR: f64 = 10.0;
/// Logarithms further from the mean's are taken as that far.
const FAR: f64 = 8.0;

/// Of either kind.
pub struct ArFlow {
    kind: FlowKind,
    model: Direct<8>,
    /// Logarithms, the newest first.
    lags: [f64; LAGS],
    /// Candles since the last hole, counted up to the lags.
    whole: usize,
    means: [f64; WEIGHTS.len()],
    seen: u64,
}

impl ArFlow {
    pub fn new(kind: FlowKind, course: &Course<'_>) -> Self {
        Self {
            kind,
            model: Direct::new(course.horizons, FORGETTING, PRIOR, WARM_UP as u64),
            lags: [0.0; LAGS],
            whole: 0,
            means: [0.0; WEIGHTS.len()],
            seen: 0,
        }
    }
}

impl Forecaster for ArFlow {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        let value = self.kind.log_value(ground);
        self.seen += 1;
        let [newest, second, _] = self.lags;
        self.lags = [value, newest, second];
        self.whole = (self.whole + 1).min(LAGS);
        for (mean, weight) in self.means.iter_mut().zip(WEIGHTS) {
            *mean += weight_of_newest(weight, self.seen) * (value - *mean);
        }
        if self.whole < LAGS {
            return;
        }
        for k in 0..ground.horizons().len() {
            if let Some(sum) = self.kind.log_sum(ground, k) {
                self.model.learn(k, |centre| sum - centre);
            }
        }
        let centre = self.kind.log_mean(ground);
        let range = 0.5 * ln((ground.range_variance() + 0.01 * ground.level()) / ground.level().max(1e-12));
        let [a, b, c] = self.lags;
        let [fast, middle, slow] = self.means;
        let logs = [a, b, c, fast, middle, slow].map(|lag| (lag - centre).clamp(-FAR, FAR));
        let inputs = [1.0, logs[0], logs[1], logs[2], logs[3], logs[4], logs[5], range.clamp(-FAR, FAR)];
        self.model.take(&inputs, centre);
        for (k, said) in said.iter_mut().enumerate() {
            if let Some(expected) = self.model.say(k) {
                *said = expected + centre;
            }
        }
    }

    fn interrupt(&mut self) {
        self.model.interrupt();
        self.whole = 0;
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.model.state(state);
        self.lags.iter_mut().chain(&mut self.means).for_each(|number| state.f64(number));
        state.index(&mut self.whole, LAGS);
        state.word(&mut self.seen);
    }
}
