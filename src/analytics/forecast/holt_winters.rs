//! Holt and Winters' smoothing of returns: their level is the trend of the price, their season the hour of the
//! day's.
//!
//! On returns, not on prices, so that a price level of yesterday is not mistaken for a level to return to.
//! The season is a day of candles where that is a whole number, at most 1,440; without season otherwise.

use crate::analytics::estimators::holt_winters::{FirstSeason, HoltWinters, SeasonForm, Smoothing};
use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::forecast::seasonal_naive::season_of;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "holt_winters",
    version: 1,
    summary: "trend and time of day of the price, by Holt and Winters on returns",
    target: Target::Price,
    is_baseline: false,
    warm_up: 1_440,
    build: |course| Box::new(DailyReturns::new(course)),
};

const SMOOTHING: Smoothing = Smoothing { level: 0.001, trend: 0.0, season: 0.01, damping: 1.0 };
const SEASON_MAX: usize = 1_440;

struct DailyReturns {
    model: HoltWinters,
    season: usize,
}

fn model(season: usize) -> HoltWinters {
    HoltWinters::gathering(SMOOTHING, SeasonForm::Additive, season, false, FirstSeason::FromLevel)
}

impl DailyReturns {
    fn new(course: &Course<'_>) -> Self {
        let season = season_of(course).filter(|season| (2..=SEASON_MAX).contains(season)).unwrap_or(0);
        Self { model: model(season), season }
    }
}

impl Forecaster for DailyReturns {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        self.model.learn(ground.log_return());
        let (mut sum, mut ahead) = (0.0, 0);
        for (said, &horizon) in said.iter_mut().zip(ground.horizons()) {
            let Some(expected) = self.model.sum_ahead(ahead, horizon) else { return };
            sum += expected;
            ahead = horizon;
            *said = sum;
        }
    }

    /// The season would be out of step with the day: it is learnt anew.
    fn interrupt(&mut self) {
        self.model = model(self.season);
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.model.state(state);
    }
}
