//! The local linear trend of the logarithm of the price, by Kalman's filter: a level that the price bounces
//! about, and a slope that wanders slowly.
//!
//! The gains follow from the ratios of the three variances, which are fixed: nearly all that moves a price
//! stays, so that the noise of the level is far above that of the price about it.

use crate::analytics::estimators::kalman_trend::{KalmanTrend, TrendVariances};
use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "kalman_trend",
    version: 1,
    summary: "level and slope of the price, by Kalman's filter",
    target: Target::Price,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |_| Box::new(Trend { filter: filter(), path: 0.0, seen: 0 }),
};

const WARM_UP: usize = 120;
/// Ratios: of one candle's squared return, taken as 1.
const VARIANCES: TrendVariances = TrendVariances { observation: 0.02, level: 1.0, slope: 1e-7 };
/// Basis points: numbers of ordinary size.
const UNIT: f64 = 1e4;

struct Trend {
    filter: KalmanTrend,
    /// Sum of returns since the last hole.
    path: f64,
    seen: u64,
}

fn filter() -> KalmanTrend {
    KalmanTrend::beginning_at(VARIANCES, 0.0)
}

impl Forecaster for Trend {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        self.path += UNIT * ground.log_return();
        self.filter.step(Some(self.path));
        self.seen += 1;
        if self.seen >= WARM_UP as u64 {
            for (said, &horizon) in said.iter_mut().zip(ground.horizons()) {
                *said = (self.filter.forecast(horizon).0 - self.path) / UNIT;
            }
        }
    }

    fn interrupt(&mut self) {
        *self = Self { filter: filter(), path: 0.0, seen: 0 };
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.filter.state(state);
        state.f64(&mut self.path);
        state.word(&mut self.seen);
    }
}
