//! All forecasts of one interval of one instrument: the ground, a panel for each target, and what they tell.
//!
//! Takes every candle of the interval once, in order, with those that nothing traded in: horizons count
//! intervals of time. After a candle that traded each panel tells what it expects; at the close of its
//! target, what came of it, unless a hole lay between; and how its models fare after the first 60 and 120
//! candles and then after every 240.

use std::sync::Arc;

use crate::analytics::forecast::bounds::LEVEL;
use crate::analytics::forecast::forecaster::{Course, ForecasterEntry};
use crate::analytics::forecast::ground::{Bar, Ground};
use crate::analytics::forecast::lane::Manner;
use crate::analytics::forecast::panel::{MIXTURE, Panel, PanelPlan, Seat};
use crate::analytics::forecast::slots::{Slots, put};
use crate::analytics::rolling::state::State;
use crate::domain::candle::{Candle, CandleState};
use crate::domain::data_state::DataState;
use crate::domain::insight::{Forecast, InsightId, ModelScore, Outcome, Role, Target};
use crate::domain::interval::Interval;
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
    pub manner: Manner,
    mixture: Arc<str>,
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
            manner: Manner::default(),
            mixture: MIXTURE.into(),
        }
    }

    /// The name of a model by its place: the mixture stands behind the members.
    fn name<'a>(&'a self, panel: &'a PanelPlan, model: usize) -> &'a Arc<str> {
        panel.members.get(model).map_or(&self.mixture, |seat| &seat.name)
    }
}

/// What is told of one candle.
#[derive(Clone, Debug, Default)]
pub struct Tellings {
    pub outcomes: Slots<Outcome>,
    pub forecasts: Slots<Forecast>,
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
    /// By horizon, in nanoseconds.
    spans: Box<[i64]>,
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
        let mut ground = Ground::new(time, &plan.horizons);
        plan.panels.iter().for_each(|panel| ground.look_at(panel.target));
        let course = Course { interval: time, horizons: ground.horizons() };
        let panels = plan.panels.iter().map(|panel| Panel::new(panel, &course, plan.manner)).collect();
        let seeds = plan.panels.iter().map(|panel| {
            let models = 0..=panel.members.len();
            let of = |model: usize| {
                let name = plan.name(panel, model);
                let seed = &seed;
                plan.horizons.iter().map(move |&horizon| seed(panel.target, name, horizon).0)
            };
            models.flat_map(of).collect()
        });
        let nanos = time.nanos();
        let span = |&horizon: &u32| nanos.saturating_mul(i64::from(horizon));
        let spans = plan.horizons.iter().map(span).collect();
        Some(Self { interval, nanos, spans, seeds: seeds.collect(), panels, ground, whole: 0 })
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
        let (whole, interval) = (self.whole, self.interval);
        let is_told = revision.is_some() && self.ground.seen() >= SPEAKS_FROM;
        let horizons = plan.horizons.len();
        let spans = &*self.spans;
        let ahead = |from: UnixNanos, k: usize| UnixNanos(from.0.saturating_add(spans[k]));
        let Tellings { outcomes, forecasts, .. } = out;
        for ((panel, seats), seeds) in self.panels.iter_mut().zip(&plan.panels).zip(&self.seeds) {
            let target = seats.target;
            panel.learn(&self.ground, |k, came| {
                for (model, role) in came.roles() {
                    let slot = outcomes.next(|| blank_outcome(interval, target, plan.name(seats, model)));
                    slot.id = id_of(seeds[model * horizons + k], came.made_at);
                    slot.interval = interval;
                    slot.target = target;
                    put(&mut slot.model, plan.name(seats, model));
                    slot.role = role;
                    slot.horizon = plan.horizons[k];
                    slot.made_at = came.made_at;
                    slot.target_at = ahead(came.made_at, k);
                    slot.actual = came.actual;
                }
            });
            if target == Target::RealizedVariance {
                self.ground.expect(|k| panel.expects(k));
            }
        }
        for ((panel, seats), seeds) in self.panels.iter_mut().zip(&plan.panels).zip(&self.seeds) {
            let target = seats.target;
            panel.say(&self.ground, is_told, plan.all_models, |told| {
                let (saying, name) = (&told.saying, plan.name(seats, told.model));
                let slot = forecasts.next(|| blank_forecast(interval, target, name));
                slot.id = id_of(seeds[told.model * horizons + told.k], bar.close_at);
                slot.interval = interval;
                slot.target = target;
                put(&mut slot.model, name);
                slot.role = saying.role;
                slot.horizon = plan.horizons[told.k];
                slot.made_at = bar.close_at;
                slot.target_at = ahead(bar.close_at, told.k);
                slot.forecast = saying.forecast;
                slot.lower = saying.lower;
                slot.upper = saying.upper;
                slot.level = LEVEL;
                slot.naive = told.naive;
                slot.skill = saying.skill;
                slot.revision = revision.unwrap_or(0);
                slot.data_state = rests_on(whole, told.warm_up);
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
                    model: plan.name(seats, model).clone(),
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

/// What is written over, field by field.
#[cold]
fn blank_outcome(interval: Interval, target: Target, model: &Arc<str>) -> Outcome {
    Outcome {
        id: InsightId(0),
        interval,
        target,
        model: model.clone(),
        role: Role::Champion,
        horizon: 0,
        made_at: UnixNanos(0),
        target_at: UnixNanos(0),
        actual: 0.0,
    }
}

/// Likewise.
#[cold]
fn blank_forecast(interval: Interval, target: Target, model: &Arc<str>) -> Forecast {
    Forecast {
        id: InsightId(0),
        interval,
        target,
        model: model.clone(),
        role: Role::Champion,
        horizon: 0,
        made_at: UnixNanos(0),
        target_at: UnixNanos(0),
        forecast: 0.0,
        lower: 0.0,
        upper: 0.0,
        level: LEVEL,
        naive: 0.0,
        skill: None,
        revision: 0,
        data_state: DataState::Partial,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::forecast::FORECASTERS;
    use crate::analytics::forecast::bounds::BoundsMethod;
    use crate::analytics::forecast::mixing::Mixing;
    use crate::analytics::indicators::trial::Random;
    use crate::domain::candle::{Ohlc, Origin};
    use crate::domain::decimal::{Decimal, Price, Volume};

    const MINUTE: i64 = 60_000_000_000;

    fn plan(all_models: bool, manner: Manner, horizons: &[u32]) -> ForecastPlan {
        let chosen: Vec<_> = FORECASTERS.iter().collect();
        ForecastPlan { all_models, manner, ..ForecastPlan::new(&chosen, FORECASTERS, horizons) }
    }

    fn forecasts(plan: &ForecastPlan) -> Forecasts {
        let seed = |target: Target, model: &str, horizon: u32| {
            let words =
                model.bytes().fold(target as u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
            InsightId(words.wrapping_mul(1_000_003) ^ u64::from(horizon))
        };
        Forecasts::new(plan, "1m".parse().unwrap(), seed).unwrap()
    }

    fn candle(minute: i64, count: i64, state: CandleState, cents: i64, volume: i64) -> Candle {
        let price = |cents: i64| Price::new(Decimal::new(cents.cast_unsigned(), 2).unwrap()).unwrap();
        let is_traded = matches!(state, CandleState::Traded | CandleState::Partial);
        Candle {
            interval: "1m".parse().unwrap(),
            open_at: UnixNanos(minute * MINUTE),
            close_at: UnixNanos((minute + count) * MINUTE),
            prices: is_traded.then(|| Ohlc {
                open: price(cents),
                high: price(cents + volume),
                low: price(cents - volume),
                close: price(cents),
            }),
            volume: Volume::parse(if is_traded { volume.to_string() } else { "0".to_owned() }.as_bytes())
                .unwrap(),
            quote_volume: None,
            trade_count: Some(if is_traded { volume.cast_unsigned() } else { 0 }),
            taker_buy_volume: None,
            taker_buy_quote_volume: None,
            state,
            revision: 0,
            origin: Origin::Trades,
        }
    }

    /// A random walk with holes, trade-less minutes and trade-less hours.
    fn walk(minutes: i64) -> Vec<Candle> {
        let mut random = Random(21);
        let (mut candles, mut minute, mut cents) = (Vec::new(), 0, 1_000_000);
        while minute < minutes {
            let draw = random.word() % 400;
            let (count, state) = match draw {
                0 => (1, CandleState::Partial),
                1 => (1, CandleState::Unknown),
                2 => (90, CandleState::Empty),
                3..=12 => (1, CandleState::Empty),
                _ => (1, CandleState::Traded),
            };
            if state == CandleState::Traded {
                cents += (random.word() % 2_001) as i64 - 1_000;
            }
            candles.push(candle(minute, count, state, cents, 1 + (random.word() % 50) as i64));
            minute += count;
        }
        candles
    }

    fn take(forecasts: &mut Forecasts, plan: &ForecastPlan, candle: &Candle) -> Tellings {
        let mut out = Tellings::default();
        forecasts.take(plan, candle, &mut out);
        out
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        for (bounds, mixing) in BoundsMethod::ALL.into_iter().zip(Mixing::ALL) {
            let plan = plan(true, Manner { bounds, mixing }, &[1, 4]);
            let candles = walk(2_600);
            let mut one = forecasts(&plan);
            let mut others: Vec<Forecasts> = Vec::new();
            for (at, candle) in candles.iter().enumerate() {
                if [3, 31, 150, 1_700].contains(&at) {
                    let mut words = Vec::new();
                    one.state(&mut State::Save(&mut words));
                    let mut other = forecasts(&plan);
                    let mut state = State::load(&words);
                    other.state(&mut state);
                    assert_eq!(state.finish(), Ok(()));
                    let mut again = Vec::new();
                    other.state(&mut State::Save(&mut again));
                    assert_eq!(words, again, "candle {at}");
                    others.push(other);
                }
                let expected = format!("{:?}", take(&mut one, &plan, candle));
                for other in &mut others {
                    assert_eq!(format!("{:?}", take(other, &plan, candle)), expected, "candle {at}");
                }
            }
            assert_eq!(others.len(), 4);
        }
    }

    #[test]
    fn every_forecast_has_one_outcome_unless_a_hole_lies_between() {
        let plan = plan(false, Manner::default(), &[1, 7]);
        let mut forecasts = forecasts(&plan);
        let mut waiting: Vec<Forecast> = Vec::new();
        let (mut came, mut lost) = (0, 0);
        for candle in walk(4_000) {
            let out = take(&mut forecasts, &plan, &candle);
            for outcome in out.outcomes.iter() {
                let at = waiting.iter().position(|told| told.id == outcome.id).expect("it was told, once");
                let told = waiting.swap_remove(at);
                assert_eq!((told.target_at, told.horizon), (outcome.target_at, outcome.horizon));
                assert!(candle.open_at < outcome.target_at && outcome.target_at <= candle.close_at);
                came += 1;
            }
            if matches!(candle.state, CandleState::Partial | CandleState::Unknown) {
                assert!(out.outcomes.is_empty() && out.forecasts.is_empty());
                lost += waiting.len();
                waiting.clear();
            }
            assert!(waiting.iter().all(|told| told.target_at > candle.close_at), "all that is due came");
            assert!(candle.state == CandleState::Traded || out.forecasts.is_empty());
            waiting.extend_from_slice(&out.forecasts);
        }
        assert!(came > 20_000 && lost > 50, "{came} {lost}");
    }

    #[test]
    fn scores_are_told_now_and_then_and_say_who_is_demoted() {
        let plan = plan(false, Manner::default(), &[1]);
        let mut forecasts = forecasts(&plan);
        let mut told = Vec::new();
        for minute in 0..=1_000 {
            // A price that is drawn anew each minute goes back to its middle: persistence is beaten.
            let cents = 1_000_000 + (minute * 7_919 % 1_009);
            let candle = candle(minute, 1, CandleState::Traded, cents, 5);
            let out = take(&mut forecasts, &plan, &candle);
            if !out.scores.is_empty() {
                told.push(minute);
            }
        }
        assert_eq!(told, [60, 120, 240, 480, 720, 960]);
        let mut out = Tellings::default();
        forecasts.tell_scores(&plan, UnixNanos(0), &mut out);
        let price = |model: &str| {
            out.scores.iter().find(|score| score.target == Target::Price && &*score.model == model).unwrap()
        };
        assert!(price("rls_ar@1").skill.unwrap() < 0.9 && !price("rls_ar@1").demoted);
        assert!(price("mixture@1").skill.unwrap() < 0.95, "{:?}", price("mixture@1"));
        assert_eq!((price("rls_ar@1").role, price("mixture@1").role), (Role::Online, Role::Champion));
        assert!(!price("persistence@1").demoted);
    }

    #[test]
    fn a_market_that_stands_still_has_finite_forecasts() {
        let plan = plan(true, Manner::default(), &[1, 3]);
        let mut forecasts = forecasts(&plan);
        for minute in 0..600 {
            let out = take(&mut forecasts, &plan, &candle(minute, 1, CandleState::Traded, 100, 1));
            for told in out.forecasts.iter() {
                let numbers = [told.forecast, told.lower, told.upper, told.naive];
                assert!(numbers.iter().all(|number| number.is_finite()), "{told:?}");
                assert!(told.lower <= told.forecast && told.forecast <= told.upper, "{told:?}");
                assert!(told.skill.is_none_or(f64::is_finite), "{told:?}");
            }
        }
    }

    #[test]
    fn ids_of_a_series_are_never_alike() {
        let ids: std::collections::BTreeSet<_> =
            (0..10_000).map(|minute| id_of(7, UnixNanos(minute * MINUTE))).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
