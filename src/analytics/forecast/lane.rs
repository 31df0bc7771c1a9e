//! One target at one horizon: what its models said, what came, and what follows from both.
//!
//! Members are weighed by fixed share: exponentials of their losses, and at each step a little of all weight
//! given out evenly, so that another may take over within some hundred outcomes; or by AdaNormalHedge ([`Mixing`]).
//! The mixture is the weighted mean in the measure, of a variance or a volume that of logarithms. It leans on members
//! in good standing alone; where their mean does not beat the baseline, the baseline's forecast is told in its place.
//!
//! Members are scored, and weights moved, at every `horizon`-th candle, at which targets do not overlap;
//! the interval of what is told learns at every candle.

use crate::analytics::estimators::experts::fill_silent;
use crate::analytics::estimators::moments::weight_of_newest;
use crate::analytics::estimators::scores::direction::wilson;
use crate::analytics::forecast::bounds::{Bounds, BoundsMethod, Place};
use crate::analytics::forecast::ground::Ground;
use crate::analytics::forecast::measure::Terms;
use crate::analytics::forecast::mixing::{Mixing, Weights};
use crate::analytics::forecast::path::wrapped;
use crate::analytics::forecast::record::{Case, JUDGED_FROM, Record};
use crate::analytics::rolling::state::State;
use crate::domain::insight::{Role, Target};
use crate::domain::time::{NANOS_PER_DAY, UnixNanos};

/// Weight of the newest loss of the blend.
const BLEND_WEIGHT: f64 = 0.002;
/// The intervals of members are scored at one candle in so many at least, and only where targets begin.
const INTERVALS_EVERY: usize = 5;
/// The bell curve's quantile of an interval of nine in ten.
const Z_90: f64 = 1.644_853_626_951_472_2;
/// The baseline's place among the members.
pub const BASELINE: usize = 0;

/// How a panel goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// How intervals are made.
    pub bounds: BoundsMethod,
    /// How members are weighed.
    pub mixing: Mixing,
}

/// A forecast in values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saying {
    pub forecast: f64,
    pub lower: f64,
    pub upper: f64,
    pub skill: Option<f64>,
    pub role: Role,
}

/// What became of forecasts that were told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Came {
    pub made_at: UnixNanos,
    pub actual: f64,
    /// Two bits each: see [`Came::role`].
    roles: u64,
}

impl Came {
    /// As that model's forecast said it; `None`: it said nothing. The mixture stands behind the members.
    pub fn role(&self, model: usize) -> Option<Role> {
        match self.roles >> (2 * model) & 3 {
            1 => Some(Role::Champion),
            2 => Some(Role::Challenger),
            3 => Some(Role::Online),
            _ => None,
        }
    }
}

/// Models on a lane, the mixture among them: as many as two bits each fit into a word.
pub const MODELS_MAX: usize = 32;

/// What was told at a candle.
#[derive(Clone, Copy, Debug)]
struct Pending {
    made_at: UnixNanos,
    /// The price then.
    close: f64,
    /// What was told in the measure, and the unit of its error.
    said: f64,
    scale: f64,
    interval: [f64; 2],
    /// 0: it was told to nobody.
    roles: u64,
}

const BLANK: Pending =
    Pending { made_at: UnixNanos(0), close: 1.0, said: f64::NAN, scale: 1.0, interval: [0.0; 2], roles: 0 };

/// The blend against the baseline, whatever was told.
#[derive(Clone, Copy, Debug, Default)]
struct Contest {
    count: u64,
    loss: f64,
    baseline_loss: f64,
}

/// The models of one target at one horizon.
#[derive(Clone, Debug)]
pub struct Lane {
    terms: Terms,
    horizon: usize,
    /// Of what is told.
    bounds: Bounds,
    /// Of the last candles, as many as the horizon, in a ring.
    pending: Box<[Pending]>,
    next: usize,
    len: usize,
    /// What the members said at the last candle at which targets begin, and the blend behind them.
    open: Box<[f64]>,
    opened: Option<Pending>,
    /// The last outcome scored, as a value.
    before: Option<f64>,
    member_bounds: Vec<Bounds>,
    /// Of the members, and of the mixture behind them.
    records: Vec<Record>,
    contest: Contest,
    experts: Weights,
    /// What the members say together of the last candle; heard each time anew.
    blend: f64,
    /// Scratch.
    losses: Box<[f64]>,
    spoke: Box<[bool]>,
}

impl Lane {
    /// `members`: the baseline first.
    pub fn new(target: Target, horizon: usize, members: usize, manner: Manner) -> Self {
        assert!(members < MODELS_MAX, "a panel has at most {} members", MODELS_MAX - 1);
        let terms = Terms::of(target);
        Self {
            terms,
            horizon,
            bounds: Bounds::new(manner.bounds, horizon, terms.reach(horizon), terms.stretch),
            pending: vec![BLANK; horizon].into(),
            next: 0,
            len: 0,
            open: vec![f64::NAN; members + 1].into(),
            opened: None,
            before: None,
            member_bounds: (0..members)
                .map(|_| Bounds::new(manner.bounds, 1, terms.reach(horizon), terms.stretch))
                .collect(),
            records: (0..=members)
                .map(|model| {
                    Record::new(terms, model == BASELINE, if model == members { horizon } else { 1 })
                })
                .collect(),
            contest: Contest::default(),
            experts: manner.mixing.among(members),
            blend: f64::NAN,
            losses: vec![0.0; members].into(),
            spoke: vec![false; members].into(),
        }
    }

    fn members(&self) -> usize {
        self.member_bounds.len()
    }

    /// Learns what the candle made known, of horizon `k`; gives back what became of what was told so long ago.
    pub fn learn(&mut self, ground: &Ground, k: usize) -> Option<Came> {
        if self.len < self.horizon {
            return None;
        }
        let then = self.pending[self.next];
        let actual = self.terms.actual(ground, k, then.close)?;
        let outcome = self.terms.outcome(ground, k, then.close);
        if let Some(outcome) = outcome
            && then.said.is_finite()
            && self.terms.target != Target::Direction
        {
            self.bounds.learn(Place::of(actual, then.interval), (outcome - then.said) / then.scale);
            let mixture = self.members();
            self.records[mixture].learn_interval(actual, then.interval, day(ground));
        }
        if ground.begins(k) {
            if let (Some(outcome), Some(opened)) = (outcome, self.opened.take()) {
                self.score(ground, outcome, actual, &opened);
            }
            self.before = Some(actual);
        }
        (then.roles != 0).then_some(Came { made_at: then.made_at, actual, roles: then.roles })
    }

    /// What was said at the last beginning came to an end.
    fn score(&mut self, ground: &Ground, outcome: f64, actual: f64, opened: &Pending) {
        let (members, terms, close) = (self.members(), self.terms, opened.close);
        let loss_of = |said: f64, forecast: f64| terms.loss(outcome, said, opened.scale, actual / forecast);
        // The baseline is the first one, and what is told the last.
        let (mut baseline_loss, mut told_loss) = (f64::NAN, f64::NAN);
        let is_interval_scored =
            terms.target != Target::Direction && ground.is_one_in(self.interval_stride());
        for model in 0..=members {
            let said = if model == members { opened.said } else { self.open[model] };
            let forecast = terms.value(said, close);
            let loss = loss_of(said, forecast);
            if model == BASELINE {
                baseline_loss = loss;
            }
            told_loss = loss;
            if model < members {
                self.spoke[model] = loss.is_finite();
                self.losses[model] = (loss / terms.loss_max).min(1.0);
            }
            if !loss.is_finite() {
                continue;
            }
            let record = &mut self.records[model];
            record.learn(&Case { actual, before: self.before, forecast, loss, baseline_loss });
            if terms.target == Target::Price && forecast != close && actual != close {
                record.learn_way(actual > close, forecast > close);
            }
            if model < members && is_interval_scored {
                let interval = self.member_bounds[model].interval();
                let interval = terms.bounds(ground, interval.map(|error| said + error * opened.scale), close);
                record.learn_interval(actual, interval, day(ground));
                self.member_bounds[model].learn(Place::of(actual, interval), (outcome - said) / opened.scale);
            }
        }
        let blend = self.open[members];
        let blend_loss =
            if blend == opened.said { told_loss } else { loss_of(blend, terms.value(blend, close)) };
        if blend_loss.is_finite() && baseline_loss.is_finite() {
            let contest = &mut self.contest;
            contest.count += 1;
            let weight = weight_of_newest(BLEND_WEIGHT, contest.count);
            contest.loss += weight * (blend_loss - contest.loss);
            contest.baseline_loss += weight * (baseline_loss - contest.baseline_loss);
        }
        if fill_silent(&mut self.losses, &self.spoke, self.experts.of_members()) {
            self.experts.learn(&self.losses);
        }
    }

    /// Candles between two at which the intervals of members are scored: a multiple of the horizon.
    fn interval_stride(&self) -> i64 {
        (self.horizon * INTERVALS_EVERY.div_ceil(self.horizon)) as i64
    }

    /// Whether the blend is told, and not the baseline.
    fn blend_is_in_charge(&self) -> bool {
        self.contest.count < JUDGED_FROM || self.contest.loss < self.contest.baseline_loss
    }

    /// The role that a model has now. The mixture is in charge at all times: where its members do not beat the
    /// baseline, it is the baseline that it tells.
    fn role(&self, model: usize) -> Role {
        if model == self.members() {
            Role::Champion
        } else if model == BASELINE || self.records[model].is_leaned_on() {
            Role::Online
        } else {
            Role::Challenger
        }
    }

    /// Hears the members, by member, in the measure.
    pub fn hear(&mut self, said: impl Fn(usize) -> f64) {
        self.blend = self.mean_of(said);
    }

    /// What they say together.
    pub fn expects(&self) -> f64 {
        self.blend
    }

    /// The mean of those that are leaned on; the baseline where there are none.
    ///
    /// The baselines of doubtful targets are hard to beat, and part of the mean; those of the others are naive.
    fn mean_of(&self, said: impl Fn(usize) -> f64) -> f64 {
        let (mut sum, mut weight, mut even, mut count) = (0.0, 0.0, 0.0, 0.0);
        for (member, expert) in self.experts.of_members().iter().enumerate() {
            let said = said(member);
            let is_leaned_on = match member {
                BASELINE => self.terms.is_doubtful,
                _ => self.records[member].is_leaned_on(),
            };
            if is_leaned_on && said.is_finite() {
                sum += expert * said;
                weight += expert;
                even += said;
                count += 1.0;
            }
        }
        if weight > 1e-9 {
            sum / weight
        } else if count > 0.0 {
            even / count
        } else {
            said(BASELINE)
        }
    }

    /// Says what is expected over the next candles; `None` where not even the baseline knows. `said`: by member, in
    /// the measure, as it was heard. `is_told`: somebody hears it; `all`: of the members as well.
    pub fn say(
        &mut self,
        ground: &Ground,
        k: usize,
        said: impl Fn(usize) -> f64,
        is_told: bool,
        all: bool,
    ) -> Option<Saying> {
        let (terms, close, members) = (self.terms, ground.bar().close, self.members());
        let baseline = said(BASELINE);
        let mut pending = Pending { made_at: ground.bar().close_at, close, ..BLANK };
        let mut saying = None;
        let blend = self.blend;
        if baseline.is_finite() {
            let told = if self.blend_is_in_charge() { blend } else { baseline };
            let scale = terms.scale(ground, k);
            let interval = match terms.target {
                Target::Direction => self.chance_interval(members, told),
                _ => terms.bounds(ground, self.bounds.interval().map(|error| told + error * scale), close),
            };
            pending = Pending { said: told, scale, interval, ..pending };
            if is_told {
                let role = self.role(members);
                pending.roles = word_of(role) << (2 * members);
                if all {
                    for member in (0..members).filter(|&member| said(member).is_finite()) {
                        pending.roles |= word_of(self.role(member)) << (2 * member);
                    }
                }
                let [lower, upper] = interval;
                let skill = self.records[members].skill();
                let naive = self.naive(ground, k, baseline);
                let forecast = if told == baseline { naive } else { terms.value(told, close) };
                let [lower, upper] = [lower.min(forecast), upper.max(forecast)];
                saying = Some(Saying { forecast, lower, upper, skill, role });
            }
        }
        if ground.begins(k) {
            self.opened = baseline.is_finite().then_some(pending);
            (0..members).for_each(|member| self.open[member] = said(member));
            self.open[members] = blend;
        }
        self.pending[self.next] = pending;
        self.next = wrapped(self.next + 1, self.horizon);
        self.len = (self.len + 1).min(self.horizon);
        saying
    }

    /// What a member says, in values: as the mixture's saying, of its own.
    pub fn saying_of(&self, ground: &Ground, k: usize, member: usize, said: f64) -> Saying {
        let (terms, close) = (self.terms, ground.bar().close);
        let scale = terms.scale(ground, k);
        let [lower, upper] = match terms.target {
            Target::Direction => self.chance_interval(member, said),
            _ => {
                let interval = self.member_bounds[member].interval();
                terms.bounds(ground, interval.map(|error| said + error * scale), close)
            }
        };
        let (skill, role) = (self.records[member].skill(), self.role(member));
        let forecast =
            if member == BASELINE { self.naive(ground, k, said) } else { terms.value(said, close) };
        // By a last bit it might lie outside of what was made from its logarithm.
        Saying { forecast, lower: lower.min(forecast), upper: upper.max(forecast), skill, role }
    }

    /// Of a chance: Wilson's, as if it had been counted in as many outcomes as were scored.
    fn chance_interval(&self, model: usize, chance: f64) -> [f64; 2] {
        let count = self.records[model].directions().max(JUDGED_FROM);
        wilson((chance * count as f64).round() as u64, count, Z_90).unwrap_or([0.0, 1.0])
    }

    /// The baseline's word as a value: what came last, where the baseline says it again.
    pub fn naive(&self, ground: &Ground, k: usize, said: f64) -> f64 {
        let last = match self.terms.target {
            Target::RealizedVariance => ground.realized(k),
            Target::Volume | Target::TradeCount => {
                self.terms.actual(ground, k, 0.0).filter(|&amount| amount > self.terms.least(ground))
            }
            Target::Price | Target::Direction => None,
        };
        last.unwrap_or_else(|| self.terms.value(said, ground.bar().close))
    }

    /// Of a member, or of the mixture behind them.
    pub fn record(&self, model: usize) -> (&Record, Role) {
        (&self.records[model], self.role(model))
    }

    /// Whether the baseline is told in the mixture's place.
    pub fn mixture_is_demoted(&self) -> bool {
        !self.blend_is_in_charge()
    }

    /// Whether the mixture leans on the member.
    pub fn leans_on(&self, member: usize) -> bool {
        member != BASELINE && self.blend_is_in_charge() && self.records[member].is_leaned_on()
    }

    /// A hole: what was said before it has no outcome.
    pub fn interrupt(&mut self) {
        self.len = 0;
        self.opened = None;
        self.before = None;
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        self.bounds.state(state);
        state.index(&mut self.next, self.horizon - 1);
        state.index(&mut self.len, self.horizon);
        for back in (1..=self.len).rev() {
            self.pending[wrapped(self.next + self.horizon - back, self.horizon)].state(state);
        }
        self.open.iter_mut().for_each(|said| state.f64(said));
        let mut some = self.opened.is_some();
        state.bool(&mut some);
        let mut opened = self.opened.unwrap_or(BLANK);
        opened.state(state);
        self.opened = some.then_some(opened);
        state.option_f64(&mut self.before);
        self.member_bounds.iter_mut().for_each(|bounds| bounds.state(state));
        self.records.iter_mut().for_each(|record| record.state(state));
        state.word(&mut self.contest.count);
        state.f64(&mut self.contest.loss);
        state.f64(&mut self.contest.baseline_loss);
        self.experts.state(state);
    }
}

impl Pending {
    fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.made_at.0);
        let [lower, upper] = &mut self.interval;
        for number in [&mut self.close, &mut self.said, &mut self.scale, lower, upper] {
            state.f64(number);
        }
        state.word(&mut self.roles);
    }
}

fn word_of(role: Role) -> u64 {
    match role {
        Role::Champion => 1,
        Role::Challenger => 2,
        Role::Online => 3,
    }
}

/// The day that the candle taken last belongs to.
fn day(ground: &Ground) -> i64 {
    (ground.bar().close_at.0 - 1).div_euclid(NANOS_PER_DAY)
}
