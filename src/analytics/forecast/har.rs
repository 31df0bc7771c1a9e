//! Realised variance from what it was over a minute, an hour, a day: the heterogeneous autoregression, with ranges
//! in place of squared returns, and the volume.
//!
//! A linear model in logarithms. Six means of Parkinson's variance, exponentially weighted over 1 to 1,440
//! candles, and the volume against its mean say what the logarithm of the realised variance will be, each
//! horizon directly. What is lost on the way back from logarithms is made up for by the mean ratio of
//! outcome to forecast until then. A little of the long mean is added before any logarithm is taken: that of
//! a candle that did not move would drown all others.
//! Sources: Corsi, A simple approximate long-memory model of realized volatility (2009); Parkinson (1980).

use crate::analytics::estimators::elementary::{exp, ln_each};
use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::forecast::direct::Direct;
use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{FlowKind, Ground, LOG_VARIANCE_FLOOR, VARIANCE_FLOOR};
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "har",
    version: 1,
    summary: "variance from ranges over 1 to 1,440 candles and the volume, by recursive least squares in logarithms",
    target: Target::RealizedVariance,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |course| Box::new(Har::new(course)),
};

const WARM_UP: usize = 120;
/// Candles of the means.
const SPANS: [f64; 6] = [1.0, 5.0, 15.0, 60.0, 240.0, 1_440.0];
const FORGETTING: f64 = 0.9998;
const PRIOR: f64 = 10.0;
/// Share of the long mean that is added before a logarithm is taken.
const LIFT: f64 = 0.02;
/// A usual logarithm of a minute's variance, taken off: inputs about zero are learnt from better.
const CENTRE: f64 = -16.0;
/// Weight of the newest ratio of outcome to forecast, and the largest that counts.
const RATIO_WEIGHT: f64 = 0.0005;
const RATIO_MAX: f64 = 50.0;
const RATIO_RANGE: (f64, f64) = (0.25, 4.0);
const VOLUME_MAX: f64 = 5.0;

struct Har {
    model: Direct<8>,
    means: [f64; SPANS.len()],
    /// By horizon: mean ratio of outcome to forecast, and how many there were.
    ratios: Vec<(f64, u64)>,
}

impl Har {
    fn new(course: &Course<'_>) -> Self {
        Self {
            model: Direct::new(course.horizons, FORGETTING, PRIOR, WARM_UP as u64),
            means: [0.0; SPANS.len()],
            ratios: vec![(1.0, 0); course.horizons.len()],
        }
    }
}

impl Forecaster for Har {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        let lift = LIFT * ground.level() + VARIANCE_FLOOR;
        let fresh = 1.0 / ground.seen() as f64;
        for (mean, span) in self.means.iter_mut().zip(SPANS) {
            *mean += (2.0 / (span + 1.0)).max(fresh) * (ground.range_variance() - *mean);
        }
        let a_candle = |k: usize| Some(ground.realized(k)? / ground.horizons()[k] as f64);
        for (k, said) in said.iter_mut().enumerate() {
            *said = a_candle(k).map_or(f64::NAN, |a_candle| a_candle + lift);
        }
        ln_each(said);
        for (k, said) in said.iter().enumerate() {
            let Some(a_candle) = a_candle(k) else { continue };
            let outcome = said - CENTRE;
            let Some(before) = self.model.learn(k, |_| outcome) else { continue };
            let ratio = (a_candle / exp(before + CENTRE)).min(RATIO_MAX);
            let (mean, count) = &mut self.ratios[k];
            *count += 1;
            *mean += weight_of_newest(RATIO_WEIGHT, *count) * (ratio - *mean);
        }
        let mut logs = self.means.map(|mean| mean + lift);
        ln_each(&mut logs);
        let mut inputs = [1.0; 8];
        inputs[1..7].copy_from_slice(&logs.map(|mean| mean - CENTRE));
        let volume = FlowKind::Volume.log_value(ground) - FlowKind::Volume.log_mean(ground);
        inputs[7] = volume.clamp(-VOLUME_MAX, VOLUME_MAX);
        self.model.take(&inputs, 0.0);
        for (said, (ratio, _)) in said.iter_mut().zip(&self.ratios) {
            *said = ratio.clamp(RATIO_RANGE.0, RATIO_RANGE.1);
        }
        ln_each(said);
        for (k, said) in said.iter_mut().enumerate() {
            *said = self.model.say(k).map_or(f64::NAN, |expected| {
                (expected + CENTRE + *said).max(LOG_VARIANCE_FLOOR) + ground.log_horizon(k)
            });
        }
    }

    fn interrupt(&mut self) {
        self.model.interrupt();
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.model.state(state);
        self.means.iter_mut().for_each(|mean| state.f64(mean));
        for (mean, count) in &mut self.ratios {
            state.f64(mean);
            state.word(count);
        }
    }
}
