//! The chance of a rise by ridge regression of the direction, up as 1 and down as -1, on ten numbers.
//!
//! What it learns from is described at [`Ground::leanings`]. Half of what is expected of the direction, added to one
//! half, is the chance: for edges as small as those of markets a line is as good as any curve.

use crate::analytics::forecast::direct::Direct;
use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{Ground, LEANINGS};
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ridge",
    version: 1,
    summary: "the chance of a rise from ten numbers, by ridge regression",
    target: Target::Direction,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |course| Box::new(Ridge::new(course)),
};

const WARM_UP: usize = 240;
/// Examples that say "no edge", before the first.
const RIDGE: f64 = 500.0;
/// Nobody knows more than this of a direction.
const CHANCE_RANGE: (f64, f64) = (0.1, 0.9);

struct Ridge {
    model: Direct<LEANINGS>,
}

impl Ridge {
    fn new(course: &Course<'_>) -> Self {
        Self { model: Direct::new(course.horizons, 1.0, 1.0 / RIDGE, WARM_UP as u64) }
    }
}

impl Forecaster for Ridge {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        for k in 0..said.len() {
            if let Some(change) = ground.change(k).filter(|&change| change != 0.0) {
                self.model.learn(k, |_| change.signum());
            }
        }
        self.model.take(ground.leanings(), 0.0);
        for (k, said) in said.iter_mut().enumerate() {
            if let Some(expected) = self.model.say(k) {
                *said = (0.5 + 0.5 * expected).clamp(CHANCE_RANGE.0, CHANCE_RANGE.1);
            }
        }
    }

    fn interrupt(&mut self) {
        self.model.interrupt();
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.model.state(state);
    }
}
