//! The price moves as it did a day ago, over the same hours of the day.
//!
//! For intervals of which a day holds a whole number, at most 5,760; silent for others, and for horizons of more than a
//! day.

use crate::analytics::estimators::elementary::ln;
use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;
use crate::domain::time::NANOS_PER_DAY;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "seasonal_naive",
    version: 1,
    summary: "the price moves as it did 24 hours ago",
    target: Target::Price,
    is_baseline: false,
    warm_up: 1_440,
    build: |course| Box::new(SeasonalNaive::new(course)),
};

/// Candles that are kept at most: those of a day, of fifteen seconds each.
const SEASON_MAX: usize = 5_760;

/// Candles in a day; `None` where a day is no whole number of them, or far too many.
pub fn season_of(course: &Course<'_>) -> Option<usize> {
    let nanos = course.interval.nanos();
    let season = usize::try_from(NANOS_PER_DAY / nanos).unwrap_or(usize::MAX);
    (NANOS_PER_DAY % nanos == 0 && season <= SEASON_MAX).then_some(season)
}

struct SeasonalNaive {
    /// Logarithms of the last closes in a ring: the one a day before the newest, and those since.
    closes: Box<[f64]>,
    next: usize,
    len: usize,
}

impl SeasonalNaive {
    fn new(course: &Course<'_>) -> Self {
        let room = season_of(course).map_or(0, |season| season + 1);
        Self { closes: vec![0.0; room].into(), next: 0, len: 0 }
    }
}

impl Forecaster for SeasonalNaive {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        let room = self.closes.len();
        if room == 0 {
            return;
        }
        self.closes[self.next] = ln(ground.bar().close);
        self.next = (self.next + 1) % room;
        self.len = (self.len + 1).min(room);
        if self.len < room {
            return;
        }
        // The oldest is the close a day ago.
        let then = self.closes[self.next];
        for (said, &horizon) in said.iter_mut().zip(ground.horizons()) {
            if horizon < room {
                *said = self.closes[(self.next + horizon) % room] - then;
            }
        }
    }

    fn interrupt(&mut self) {
        self.len = 0;
    }

    fn state(&mut self, state: &mut State<'_>) {
        let room = self.closes.len();
        state.index(&mut self.next, room.saturating_sub(1));
        state.index(&mut self.len, room);
        for back in (1..=self.len).rev() {
            state.f64(&mut self.closes[(self.next + room - back) % room]);
        }
    }
}
