//! Volume by an exponentially weighted mean of its logarithm; the same of trades.
//!
//! The longer the horizon, the slower the mean. The logarithm of a sum lies above the sum of logarithms: by
//! how much is followed as it goes, so that half of the outcomes lie on either side.

use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::{FlowKind, Ground};
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::window::Window;
use crate::domain::insight::Target;

pub const ENTRY: ForecasterEntry = ForecasterEntry {
    name: "ewma_volume",
    version: 1,
    summary: "the exponentially weighted mean of the volume's logarithm",
    target: Target::Volume,
    is_baseline: false,
    warm_up: WARM_UP,
    build: |course| Box::new(EwmaFlow::new(FlowKind::Volume, course)),
};

pub const WARM_UP: usize = 30;
/// Of the newest candle, at a horizon of one; smaller by the root of longer ones.
const WEIGHT: f64 = 0.3;
/// How far an outcome moves what is added.
const LIFT_STEP: f64 = 0.01;

/// Of either kind.
pub struct EwmaFlow {
    kind: FlowKind,
    lanes: Vec<Lane>,
    seen: u64,
}

struct Lane {
    weight: f64,
    mean: f64,
    /// Added to the mean, of the sum over the horizon.
    lift: f64,
    /// What the means of the last candles were, as many as the horizon.
    means: Window,
}

impl EwmaFlow {
    pub fn new(kind: FlowKind, course: &Course<'_>) -> Self {
        let lane = |&horizon: &usize| Lane {
            weight: WEIGHT / (horizon as f64).sqrt(),
            mean: 0.0,
            lift: libm::log(horizon as f64),
            means: Window::new(horizon),
        };
        Self { kind, lanes: course.horizons.iter().map(lane).collect(), seen: 0 }
    }
}

impl Forecaster for EwmaFlow {
    fn step(&mut self, ground: &Ground, said: &mut [f64]) {
        let value = self.kind.log_value(ground);
        self.seen += 1;
        for (k, (lane, said)) in self.lanes.iter_mut().zip(said).enumerate() {
            lane.mean += weight_of_newest(lane.weight, self.seen) * (value - lane.mean);
            let then = lane.means.push(lane.mean);
            if let (Some(then), Some(sum)) = (then, self.kind.log_sum(ground, k)) {
                lane.lift += LIFT_STEP * (sum - then - lane.lift).clamp(-2.0, 2.0);
            }
            if self.seen >= WARM_UP as u64 {
                *said = lane.mean + lane.lift;
            }
        }
    }

    fn interrupt(&mut self) {
        for lane in &mut self.lanes {
            lane.means = Window::new(lane.means.capacity());
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.word(&mut self.seen);
        for lane in &mut self.lanes {
            state.f64(&mut lane.mean);
            state.f64(&mut lane.lift);
            lane.means.state(state);
        }
    }
}
