//! All forecasts of one interval of one instrument: the ground, a panel for each target, and what they tell.
//!
//! Takes every candle of the interval once, in order, with those that nothing traded in: horizons count
//! intervals of time. After a candle that traded each panel tells what it expects; at the close of its
//! target, what came of it, unless a hole lay between; and how its models fare after the first 60 and 120
//! candles and then after every 240.

use std::sync::Arc;

use crate::analytics::forecast::bounds::{BoundsMethod, LEVEL};
use crate::analytics::forecast::forecaster::{Course, ForecasterEntry};
use crate::analytics::forecast::ground::{Bar, Ground};
use crate::analytics::forecast::panel::{MIXTURE, Panel, PanelPlan, Seat};
use crate::analytics::rolling::state::State;
use crate::domain::candle::{Candle, CandleState};
use crate::domain::insight::{Forecast, InsightId, ModelScore, Outcome, Role, Target};
use crate::domain::interval::Interval;
use crate::domain::output::DataState;
use crate::domain::time::UnixNanos;

/// Candles before anything is said.
const SPEAKS_FROM: u64 = 30;
/// Candles between two tellings of the scores, and the first ones, sooner.
const SCORES_EVERY: u64 = 240;
const SCORES_FIRST: [u64; 2] = [60, 120];
/// A market that slept for more intervals than this begins anew.
const SLEEP_MAX: i64 = 1_440;

/// Which models run; the same for all symbols of a run.
#[derive(Clone, Debug, Default)]
pub struct ForecastPlan {
    /// In order of target.
    pub panels: Vec<PanelPlan>,
    /// Candles ahead, ascending.
    pub horizons: Vec<u32>,
    /// Members are told beside their mixture.
    pub all_models: bool,
    pub method: BoundsMethod,
    mixture: Option<Arc<str>>,
}

impl ForecastPlan {
    /// A panel for each target that one of `chosen` forecasts, with the target's baseline from `catalogue` first.
    pub fn new(
        chosen: &[&'static ForecasterEntry],
        catalogue: &'static [ForecasterEntry],
        horizons: &[u32],
    ) -> Self {
        let seat = |entry: &'static ForecasterEntry| Seat {
            entry,
            name: format!("{}@{}", entry.name, entry.version).into(),
        };
        let panel = |target: Target| {
            let of = |entry: &ForecasterEntry| entry.target == target;
            let baseline = catalogue.iter().find(|entry| of(entry) && entry.is_baseline)?;
            let members = chosen.iter().filter(|entry| of(entry) && !entry.is_baseline);
            let is_chosen = chosen.iter().any(|entry| of(entry));
            let members = std::iter::once(baseline).chain(members.copied()).map(seat).collect();
            is_chosen.then_some(PanelPlan { target, members })
        };
        Self {
            panels: Target::ALL.into_iter().filter_map(panel).collect(),
            horizons: horizons.to_vec(),
            all_models: false,
            method: BoundsMethod::default(),
            mixture: Some(MIXTURE.into()),
        }
    }

    /// The name of a model by its place: the mixture stands behind the members.
    fn name(&self, panel: &PanelPlan, model: usize) -> Arc<str> {
        match panel.members.get(model) {
            Some(seat) => seat.name.clone(),
            None => self.mixture.clone().unwrap_or_else(|| MIXTURE.into()),
        }
    }
}

/// What is told of one candle.
#[derive(Clone, Debug, Default)]
pub struct Tellings {
    pub outcomes: Vec<Outcome>,
    pub forecasts: Vec<Forecast>,
    pub scores: Vec<ModelScore>,
}

impl Tellings {
    pub fn clear(&mut self) {
        self.outcomes.clear();
        self.forecasts.clear();
        self.scores.clear();
    }
}

/// The forecasts of one interval.
pub struct Forecasts {
    interval: Interval,
    nanos: i64,
    ground: Ground,
    panels: Vec<Panel>,
    /// By panel, then by model, then by horizon: what ids are made from.
    seeds: Vec<Vec<u64>>,
    /// Whole candles since the last hole, those before any warm-up.
    whole: u64,
}

impl Forecasts {
    /// `None`: nothing is forecast, or the interval is none of time. `seed`: a hash of target, model and horizon, of
    /// this instrument and interval.
    pub fn new(
        plan: &ForecastPlan,
        interval: Interval,
        seed: impl Fn(Target, &str, u32) -> InsightId,
    ) -> Option<Self> {
        let time = interval.time()?;
        if plan.panels.is_empty() || plan.horizons.is_empty() {
            return None;
        }
        let ground = Ground::new(time, &plan.horizons);
        let course = Course { interval: time, horizons: ground.horizons() };
        let panels = plan.panels.iter().map(|panel| Panel::new(panel, &course, plan.method)).collect();
        let seeds = plan.panels.iter().map(|panel| {
            let models = 0..=panel.members.len();
            let of = |model: usize| {
                let name = plan.name(panel, model);
                let seed = &seed;
                plan.horizons.iter().map(move |&horizon| seed(panel.target, &name, horizon).0)
            };
            models.flat_map(of).collect()
        });
        Some(Self { interval, nanos: time.nanos(), seeds: seeds.collect(), panels, ground, whole: 0 })
    }

    /// Takes the next candle, and adds to `out` what follows from it.
    pub fn take(&mut self, plan: &ForecastPlan, candle: &Candle, out: &mut Tellings) {
        let first_close = UnixNanos(candle.open_at.0.saturating_add(self.nanos));
        if !self.ground.is_next(first_close) {
            // What lies between was never told.
            self.interrupt();
        }
        match (candle.state, Bar::of(candle)) {
            (CandleState::Partial | CandleState::Unknown, _) => self.interrupt(),
            (_, Some(bar)) => self.step(plan, &bar, Some(candle.revision), out),
            (_, None) => self.sleep(plan, candle, out),
        }
    }

    /// Nothing traded, for one interval or many.
    fn sleep(&mut self, plan: &ForecastPlan, candle: &Candle, out: &mut Tellings) {
        let count = (candle.close_at.0 - candle.open_at.0) / self.nanos;
        let Some(last) = self.ground.last().copied() else { return };
        if count > SLEEP_MAX {
            return self.interrupt();
        }
        let trades = last.trades.map(|_| 0.0);
        for place in 1..=count {
            let close_at = UnixNanos(candle.open_at.0 + place * self.nanos);
            let quiet = Bar { close_at, range: 0.0, volume: 0.0, trades, taker_imbalance: None, ..last };
            self.step(plan, &quiet, None, out);
        }
    }

    /// `revision`: of a candle that traded.
    fn step(&mut self, plan: &ForecastPlan, bar: &Bar, revision: Option<u32>, out: &mut Tellings) {
        if !self.ground.take(bar) {
            return;
        }
        self.whole = self.whole.saturating_add(1);
        let (whole, nanos, interval) = (self.whole, self.nanos, self.interval);
        let is_told = revision.is_some() && self.ground.seen() >= SPEAKS_FROM;
        let horizons = plan.horizons.len();
        let ahead = |from: UnixNanos, k: usize| {
            UnixNanos(from.0.saturating_add(nanos.saturating_mul(i64::from(plan.horizons[k]))))
        };
        for ((panel, seats), seeds) in self.panels.iter_mut().zip(&plan.panels).zip(&self.seeds) {
            let target = seats.target;
            panel.learn(&self.ground, |k, came| {
                for model in 0..=seats.members.len() {
                    let Some(role) = came.role(model) else { continue };
                    out.outcomes.push(Outcome {
                        id: id_of(seeds[model * horizons + k], came.made_at),
                        interval,
                        target,
                        model: plan.name(seats, model),
                        role,
                        horizon: plan.horizons[k],
                        made_at: came.made_at,
                        target_at: ahead(came.made_at, k),
                        actual: came.actual,
                    });
                }
            });
            panel.say(&self.ground, is_told, plan.all_models, |told| {
                let saying = told.saying;
                out.forecasts.push(Forecast {
                    id: id_of(seeds[told.model * horizons + told.k], bar.close_at),
                    interval,
                    target,
                    model: plan.name(seats, told.model),
                    role: saying.role,
                    horizon: plan.horizons[told.k],
                    made_at: bar.close_at,
                    target_at: ahead(bar.close_at, told.k),
                    forecast: saying.forecast,
                    lower: saying.lower,
                    upper: saying.upper,
                    level: LEVEL,
                    naive: told.naive,
                    skill: saying.skill,
                    revision: revision.unwrap_or(0),
                    data_state: rests_on(whole, told.warm_up),
                });
            });
        }
        let seen = self.ground.seen();
        if seen.is_multiple_of(SCORES_EVERY) || SCORES_FIRST.contains(&seen) {
            self.tell_scores(plan, bar.close_at, out);
        }
    }

    /// How all models fare until now.
    pub fn tell_scores(&self, plan: &ForecastPlan, at: UnixNanos, out: &mut Tellings) {
        for (panel, seats) in self.panels.iter().zip(&plan.panels) {
            panel.scores(|model, k, tell| {
                let mut score = ModelScore {
                    at,
                    interval: self.interval,
                    target: seats.target,
                    model: plan.name(seats, model),
                    role: Role::Online,
                    horizon: plan.horizons[k],
                    scored: 0,
                    baseline: seats.members[0].name.clone(),
                    skill: None,
                    mae: None,
                    rmse: None,
                    mape: None,
                    smape: None,
                    mase: None,
                    pinball: None,
                    coverage: None,
                    coverage_worst_day: None,
                    winkler: None,
                    qlike: None,
                    log_loss: None,
                    direction: None,
                    dm_statistic: None,
                    dm_p: None,
                    demoted: false,
                };
                tell(&mut score);
                out.scores.push(score);
            });
        }
    }

    fn interrupt(&mut self) {
        self.whole = 0;
        self.ground.interrupt();
        self.panels.iter_mut().for_each(Panel::interrupt);
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.ground.state(state);
        self.panels.iter_mut().for_each(|panel| panel.state(state));
        state.word(&mut self.whole);
    }
}

fn rests_on(whole: u64, warm_up: usize) -> DataState {
    if whole < warm_up as u64 { DataState::Partial } else { DataState::Complete }
}

/// Of a series of forecasts one for each moment: no two of a series are alike, and those of two series no more
/// often than hashes are. The mixing is that of Steele, Lea and Flood, Fast splittable pseudorandom number
/// generators (2014): a hash of all its words for every forecast would cost more than the forecast.
fn id_of(seed: u64, made_at: UnixNanos) -> InsightId {
    let mut word = seed.wrapping_add(made_at.0.cast_unsigned());
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    InsightId(word ^ word >> 31)
}
