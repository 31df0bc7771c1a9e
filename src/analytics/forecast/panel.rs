//! A target's models at one table: members, their mixture, and all that was said, of every horizon.

use std::sync::Arc;

use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::forecast::lane::{Came, Lane, Manner, Saying};
use crate::analytics::rolling::state::State;
use crate::domain::insight::{ModelScore, Target};

/// The mixture's name and version, whatever its target.
pub const MIXTURE: &str = "mixture@1";

/// The models of one target, in the order in which they are told: members, the baseline first, then the
/// mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelPlan {
    pub target: Target,
    pub members: Vec<Seat>,
}

/// A member, with its name and version as it is told.
#[derive(Clone)]
pub struct Seat {
    pub entry: &'static ForecasterEntry,
    pub name: Arc<str>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Seat {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The panel of one interval of one instrument.
pub struct Panel {
    target: Target,
    members: Vec<Box<dyn Forecaster>>,
    warm_ups: Vec<usize>,
    /// By horizon.
    lanes: Vec<Lane>,
    /// What members said of the last candle, by horizon, then by member; and one of them, by horizon.
    said: Box<[f64]>,
    row: Box<[f64]>,
}

/// What a panel tells of one horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// The place of the model: of a member, or that of the mixture behind them.
    pub model: usize,
    /// The place of the horizon.
    pub k: usize,
    pub saying: Saying,
    /// What the baseline says.
    pub naive: f64,
    /// Candles that all it leans on needed.
    pub warm_up: usize,
}

impl Panel {
    pub fn new(plan: &PanelPlan, course: &Course<'_>, manner: Manner) -> Self {
        let count = plan.members.len();
        let lane = |&horizon: &usize| Lane::new(plan.target, horizon, count, manner);
        Self {
            target: plan.target,
            members: plan.members.iter().map(|seat| (seat.entry.build)(course)).collect(),
            warm_ups: plan.members.iter().map(|seat| seat.entry.warm_up).collect(),
            lanes: course.horizons.iter().map(lane).collect(),
            said: vec![f64::NAN; count * course.horizons.len()].into(),
            row: vec![f64::NAN; course.horizons.len()].into(),
        }
    }

    /// Whether the candle says what it needs.
    fn is_told_of(&self, ground: &Ground) -> bool {
        self.target != Target::TradeCount || ground.bar().trades.is_some()
    }

    /// Takes the candle that the ground took last: tells what became of earlier forecasts, by place of the horizon,
    /// and hears the members.
    pub fn learn(&mut self, ground: &Ground, mut came: impl FnMut(usize, Came)) {
        if !self.is_told_of(ground) {
            return self.interrupt();
        }
        for (k, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(of) = lane.learn(ground, k) {
                came(k, of);
            }
        }
        let count = self.members.len();
        for (place, member) in self.members.iter_mut().enumerate() {
            self.row.fill(f64::NAN);
            member.step(ground, &mut self.row);
            for (k, said) in self.row.iter().enumerate() {
                self.said[k * count + place] = *said;
            }
        }
        for (k, lane) in self.lanes.iter_mut().enumerate() {
            lane.hear(&self.said[k * count..][..count], &self.warm_ups);
        }
    }

    /// What the members say together of horizon `k`, in the measure; not a number where nobody knows.
    pub fn expects(&self, k: usize) -> f64 {
        self.lanes[k].expects()
    }

    /// Says what is expected after that candle: the mixture of each horizon, with `all` the members as well. With
    /// `is_told` false nobody hears it, and it is scored all the same.
    #[inline]
    pub fn say(&mut self, ground: &Ground, is_told: bool, all: bool, mut tell: impl FnMut(Told)) {
        if !self.is_told_of(ground) {
            return;
        }
        let count = self.members.len();
        for (k, lane) in self.lanes.iter_mut().enumerate() {
            let said = &self.said[k * count..][..count];
            let Some(mixed) = lane.say(ground, k, (said, &self.warm_ups), is_told, all) else { continue };
            for model in if all { 0 } else { count }..=count {
                let (saying, warm_up) = match said.get(model) {
                    None => (mixed.saying, mixed.warm_up),
                    Some(said) if !said.is_finite() => continue,
                    Some(&said) => (lane.saying_of(ground, k, model, said), self.warm_ups[model]),
                };
                tell(Told { model, k, saying, naive: mixed.naive, warm_up });
            }
        }
    }

    /// How the models fare: the place of the model and of the horizon, and what there is to put into a score.
    pub fn scores(&self, mut tell: impl FnMut(usize, usize, &dyn Fn(&mut ModelScore))) {
        for (k, lane) in self.lanes.iter().enumerate() {
            for model in 0..=self.members.len() {
                let (record, role) = lane.record(model);
                if record.scored() == 0 {
                    continue;
                }
                let is_mixture = model == self.members.len();
                tell(model, k, &|score| {
                    record.tell(score);
                    score.role = role;
                    if is_mixture {
                        score.demoted = lane.mixture_is_demoted();
                    }
                });
            }
        }
    }

    /// A hole lies before the next candle.
    pub fn interrupt(&mut self) {
        self.members.iter_mut().for_each(|member| member.interrupt());
        self.lanes.iter_mut().for_each(Lane::interrupt);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.members.iter_mut().for_each(|member| member.state(state));
        self.lanes.iter_mut().for_each(|lane| lane.state(state));
    }
}
