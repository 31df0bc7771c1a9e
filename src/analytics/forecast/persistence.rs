//! The price stays where it is: what every forecast of a price is held against.

use crate::analytics::forecast::forecaster::{Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "persistence",
    version: 1,
    summary: "the price stays where it is; the baseline of prices",
    target: Target::Price,
    is_baseline: true,
    warm_up: 1,
    build: |_| Box::new(Persistence),
};

struct Persistence;

impl Forecaster for Persistence {
    fn step(&mut self, _: &Ground, said: &mut [f64]) {
        said.fill(0.0);
    }

    fn interrupt(&mut self) {}

    fn state(&mut self, _: &mut State<'_>) {}
}
