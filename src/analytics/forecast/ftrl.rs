//! The chance of a rise by logistic regression on ten numbers, learnt by following the regularised leader.
//!
//! What it learns from is described at [`Ground::leanings`]; each horizon has weights of its own, and learns
//! more slowly the longer it is, for its outcomes overlap. Candles that end where they began teach nothing.

use crate::analytics::estimators::ftrl::{Ftrl, FtrlSettings};
use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{Ground, LEANINGS};
use crate::analytics::forecast::path::wrapped;
use crate::analytics::rolling::state::State;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ftrl",
    version: 1,
    summary: "the chance of a rise from ten numbers, by logistic regression with FTRL-proximal",
    target: Target::Direction,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |course| Box::new(Leader::new(course)),
};

const WARM_UP: usize = 240;
const SETTINGS: FtrlSettings = FtrlSettings { alpha: 0.05, beta: 1.0, l1: 1.0, l2: 1.0 };

struct Leader {
    lanes: Vec<Lane>,
    /// Of the last candles, as many as the longest horizon, in a ring.
    inputs: Box<[[f64; LEANINGS]]>,
    next: usize,
    len: usize,
}

struct Lane {
    model: Ftrl<LEANINGS>,
    learnt: u64,
}

impl Leader {
    fn new(course: &Course<'_>) -> Self {
        let longest = course.horizons.iter().copied().max().unwrap_or(1);
        let lane = |&horizon: &usize| {
            let alpha = SETTINGS.alpha / (horizon as f64).sqrt();
            Lane { model: Ftrl::new(FtrlSettings { alpha, ..SETTINGS }), learnt: 0 }
        };
        Self {
            lanes: course.horizons.iter().map(lane).collect(),
            inputs: vec![[0.0; LEANINGS]; longest].into(),
            next: 0,
            len: 0,
        }
    }
}

impl Forecaster for Leader {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        let room = self.inputs.len();
        for (k, (lane, &horizon)) in self.lanes.iter_mut().zip(ground.horizons()).enumerate() {
            if self.len >= horizon
                && let Some(change) = ground.change(k).filter(|&change| change != 0.0)
            {
                let then = &self.inputs[wrapped(self.next + room - horizon, room)];
                lane.model.learn(then, change > 0.0);
                lane.learnt += 1;
            }
        }
        let inputs = ground.leanings();
        self.inputs[self.next] = *inputs;
        self.next = wrapped(self.next + 1, room);
        self.len = (self.len + 1).min(room);
        for (said, lane) in said.iter_mut().zip(&self.lanes) {
            if lane.learnt >= WARM_UP as u64 {
                *said = lane.model.predict(inputs);
            }
        }
    }

    fn interrupt(&mut self) {
        self.len = 0;
    }

    fn state(&mut self, state: &mut State<'_>) {
        for lane in &mut self.lanes {
            lane.model.state(state);
            state.word(&mut lane.learnt);
        }
        let room = self.inputs.len();
        state.index(&mut self.next, room - 1);
        state.index(&mut self.len, room);
        for back in (1..=self.len).rev() {
            self.inputs[wrapped(self.next + room - back, room)].iter_mut().for_each(|input| state.f64(input));
        }
    }
}
