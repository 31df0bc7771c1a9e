//! A target's models at one table: members, their mixture, and all that was said, of every horizon.

use std::sync::Arc;

use crate::analytics::forecast::forecaster::{Course, Forecaster, ForecasterEntry};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::forecast::lane::{BASELINE, Came, Lane, Manner, Saying};
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
    /// What members said of the last candle, by member, then by horizon.
    said: Vec<f64>,
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
            said: vec![f64::NAN; count * course.horizons.len()],
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
        self.said.fill(f64::NAN);
        let horizons = self.lanes.len();
        for (member, said) in self.members.iter_mut().zip(self.said.chunks_mut(horizons)) {
            member.step(ground, said);
        }
        for (k, lane) in self.lanes.iter_mut().enumerate() {
            lane.hear(|member| self.said[member * horizons + k]);
        }
    }

    /// What the members say together of horizon `k`, in the measure; not a number where nobody knows.
    pub fn expects(&self, k: usize) -> f64 {
        self.lanes[k].expects()
    }

    /// Says what is expected after that candle: the mixture of each horizon, with `all` the members as well. With
    /// `is_told` false nobody hears it, and it is scored all the same.
    pub fn say(&mut self, ground: &Ground, is_told: bool, all: bool, mut tell: impl FnMut(Told)) {
        if !self.is_told_of(ground) {
            return;
        }
        let (count, horizons) = (self.members.len(), self.lanes.len());
        for (k, lane) in self.lanes.iter_mut().enumerate() {
            let said = |member: usize| self.said[member * horizons + k];
            let used = (0..count).filter(|&member| lane.leans_on(member) && said(member).is_finite());
            let warm_up = used.map(|member| self.warm_ups[member]).max().unwrap_or(self.warm_ups[BASELINE]);
            let Some(saying) = lane.say(ground, k, said, is_told, all) else { continue };
            let naive = lane.naive(ground, k, said(BASELINE));
            if all {
                for model in (0..count).filter(|&member| said(member).is_finite()) {
                    let saying = lane.saying_of(ground, k, model, said(model));
                    tell(Told { model, k, saying, naive, warm_up: self.warm_ups[model] });
                }
            }
            tell(Told { model: count, k, saying, naive, warm_up });
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
