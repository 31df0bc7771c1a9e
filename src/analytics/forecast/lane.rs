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
use crate::domain::time::UnixNanos;

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

/// What the mixture says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixed {
    pub saying: Saying,
    /// What the baseline says.
    pub naive: f64,
    /// Candles that all it leans on needed.
    pub warm_up: usize,
}

/// What became of forecasts that were told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Came {
    pub made_at: UnixNanos,
    pub actual: f64,
    /// Two bits each: see [`Came::roles`].
    roles: u64,
}

impl Came {
    /// Whose forecasts they were, and in which role; the mixture stands behind the members.
    #[inline]
    pub fn roles(self) -> impl Iterator<Item = (usize, Role)> {
        let mut left = self.roles;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let shift = left.trailing_zeros() & !1;
            let role = match left >> shift & 3 {
                1 => Role::Champion,
                2 => Role::Challenger,
                _ => Role::Online,
            };
            left &= !(3 << shift);
            Some((shift as usize / 2, role))
        })
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

/// A member of a lane.
#[derive(Clone, Debug)]
struct Member {
    /// What it said at the last candle at which targets begin.
    open: f64,
    bounds: Bounds,
    record: Record,
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
    /// The baseline first.
    members: Box<[Member]>,
    /// What was told at the last candle at which targets begin, and what the blend said there.
    opened: Option<Pending>,
    open_blend: f64,
    /// The last outcome scored, as a value.
    before: Option<f64>,
    /// Of the mixture.
    record: Record,
    contest: Contest,
    experts: Weights,
    /// Of what the members say of the last candle; heard each time anew.
    blend: Blend,
    /// Scratch.
    losses: Box<[f64]>,
    spoke: Box<[bool]>,
}

/// What the members say together, and what it rests on.
#[derive(Clone, Copy, Debug)]
struct Blend {
    said: f64,
    /// Candles that those it leans on needed, the baseline apart; 0 where it leans on none of them.
    warm_up: usize,
}

impl Lane {
    /// `members`: the baseline first.
    pub fn new(target: Target, horizon: usize, members: usize, manner: Manner) -> Self {
        assert!(members < MODELS_MAX, "a panel has at most {} members", MODELS_MAX - 1);
        let terms = Terms::of(target);
        let member = |place: usize| Member {
            open: f64::NAN,
            bounds: Bounds::new(manner.bounds, 1, terms.reach(horizon), terms.stretch),
            record: Record::new(terms, place == BASELINE, 1),
        };
        Self {
            terms,
            horizon,
            bounds: Bounds::new(manner.bounds, horizon, terms.reach(horizon), terms.stretch),
            pending: vec![BLANK; horizon].into(),
            next: 0,
            len: 0,
            members: (0..members).map(member).collect(),
            opened: None,
            open_blend: f64::NAN,
            before: None,
            record: Record::new(terms, false, horizon),
            contest: Contest::default(),
            experts: manner.mixing.among(members),
            blend: Blend { said: f64::NAN, warm_up: 0 },
            losses: vec![0.0; members].into(),
            spoke: vec![false; members].into(),
        }
    }

    /// Learns what the candle made known, of horizon `k`; gives back what became of what was told so long ago.
    pub fn learn(&mut self, ground: &Ground, k: usize) -> Option<Came> {
        if self.len < self.horizon {
            return None;
        }
        let terms = self.terms;
        let then = &self.pending[self.next];
        let (actual, outcome) = terms.came(ground, k, then.close)?;
        let came = (then.roles != 0).then_some(Came { made_at: then.made_at, actual, roles: then.roles });
        if let Some(outcome) = outcome
            && then.said.is_finite()
            && terms.target != Target::Direction
        {
            self.bounds.learn(Place::of(actual, then.interval), (outcome - then.said) / then.scale);
            self.record.learn_interval(actual, then.interval, ground.day());
        }
        if ground.begins(k) {
            if let (Some(outcome), Some(opened)) = (outcome, self.opened.take()) {
                self.score(ground, outcome, actual, &opened);
            }
            self.before = Some(actual);
        }
        came
    }

    /// What was said at the last beginning came to an end.
    fn score(&mut self, ground: &Ground, outcome: f64, actual: f64, opened: &Pending) {
        let (terms, close, scale, before) = (self.terms, opened.close, opened.scale, self.before);
        let loss_of = |said: f64, forecast: f64| terms.loss(outcome, said, scale, actual / forecast);
        let is_interval_scored = terms.target != Target::Direction && self.scores_intervals(ground);
        // The baseline is the first one, and what is told the last.
        let (mut baseline_loss, mut told) = (f64::NAN, None);
        // What they said as values, in place of which their losses come.
        terms.values(self.members.iter().map(|member| member.open), close, &mut self.losses);
        let scratch = self.losses.iter_mut().zip(&mut self.spoke);
        for (place, (member, (lost, spoke))) in self.members.iter_mut().zip(scratch).enumerate() {
            let said = member.open;
            let forecast = *lost;
            let loss = loss_of(said, forecast);
            if place == BASELINE {
                baseline_loss = loss;
            }
            if said == opened.said {
                told = Some((forecast, loss));
            }
            *spoke = loss.is_finite();
            let share = loss / terms.loss_max;
            *lost = if share < 1.0 { share } else { 1.0 };
            if !loss.is_finite() {
                continue;
            }
            let case = Case { actual, before, forecast, loss, baseline_loss };
            member.record.learn(&case, close);
            if is_interval_scored {
                let [lower, upper] = member.bounds.interval();
                let interval = terms.bounds(ground, [said + lower * scale, said + upper * scale], close);
                member.record.learn_interval(actual, interval, ground.day());
                member.bounds.learn(Place::of(actual, interval), (outcome - said) / scale);
            }
        }
        let (forecast, told_loss) = told.unwrap_or_else(|| {
            let forecast = terms.value(opened.said, close);
            (forecast, loss_of(opened.said, forecast))
        });
        if told_loss.is_finite() {
            self.record.learn(&Case { actual, before, forecast, loss: told_loss, baseline_loss }, close);
        }
        let blend = self.open_blend;
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

    /// Whether the intervals of members are scored at the candle, at which targets begin: at one in so many, a multiple
    /// of the horizon.
    fn scores_intervals(&self, ground: &Ground) -> bool {
        let times = INTERVALS_EVERY.div_ceil(self.horizon);
        times == 1 || ground.is_one_in((self.horizon * times) as i64)
    }

    /// Whether the blend is told, and not the baseline.
    fn blend_is_in_charge(&self) -> bool {
        self.contest.count < JUDGED_FROM || self.contest.loss < self.contest.baseline_loss
    }

    /// The role that a model has now. The mixture is in charge at all times: where its members do not beat the
    /// baseline, it is the baseline that it tells.
    fn role(&self, model: usize) -> Role {
        match self.members.get(model) {
            None => Role::Champion,
            Some(member) if model == BASELINE || member.record.is_leaned_on() => Role::Online,
            Some(_) => Role::Challenger,
        }
    }

    /// Hears the members, in the measure; `warm_ups`: what each needed.
    pub fn hear(&mut self, said: &[f64], warm_ups: &[usize]) {
        self.blend = self.mean_of(said, warm_ups);
    }

    /// What they say together.
    pub fn expects(&self) -> f64 {
        self.blend.said
    }

    /// The mean of those that are leaned on; the baseline where there are none.
    ///
    /// The baselines of doubtful targets are hard to beat, and part of the mean; those of the others are naive.
    #[inline]
    fn mean_of(&self, said: &[f64], warm_ups: &[usize]) -> Blend {
        let (mut sum, mut weight, mut even, mut count, mut longest) = (0.0, 0.0, 0.0, 0.0, 0);
        let each = self.members.iter().zip(said).zip(self.experts.of_members()).zip(warm_ups).enumerate();
        for (place, (((member, &said), expert), &warm_up)) in each {
            let is_leaned_on =
                if place == BASELINE { self.terms.is_doubtful } else { member.record.is_leaned_on() };
            if is_leaned_on && said.is_finite() {
                sum += expert * said;
                weight += expert;
                even += said;
                count += 1.0;
                if place != BASELINE {
                    longest = longest.max(warm_up);
                }
            }
        }
        // The word of one alone is its own: a last bit beside the baseline would be better or worse than that by chance.
        let said = if weight > 1e-9 && count > 1.0 {
            sum / weight
        } else if count > 0.0 {
            even / count
        } else {
            said[BASELINE]
        };
        Blend { said, warm_up: longest }
    }

    /// Says what is expected over the next candles; `None` where not even the baseline knows, or nobody hears it.
    /// `said`: by member, in the measure, as it was heard, and what each needed to warm up. `is_told`: somebody hears it; `all`:
    /// of the members as well.
    #[inline]
    pub fn say(
        &mut self,
        ground: &Ground,
        k: usize,
        (said, warm_ups): (&[f64], &[usize]),
        is_told: bool,
        all: bool,
    ) -> Option<Mixed> {
        let terms = self.terms;
        let (close, made_at) = (ground.bar().close, ground.bar().close_at);
        let baseline = said[BASELINE];
        let mut pending = Pending { made_at, close, ..BLANK };
        let mut mixed = None;
        let blend = self.blend;
        if baseline.is_finite() {
            let leads = self.blend_is_in_charge();
            let told = if leads { blend.said } else { baseline };
            let scale = terms.scale(ground, k);
            let interval = match terms.target {
                Target::Direction => chance_interval(&self.record, told),
                _ => {
                    let [lower, upper] = self.bounds.interval();
                    terms.bounds(ground, [told + lower * scale, told + upper * scale], close)
                }
            };
            pending = Pending { made_at, close, said: told, scale, interval, roles: 0 };
            if is_told {
                let (members, role) = (self.members.len(), Role::Champion);
                pending.roles = word_of(role) << (2 * members);
                if all {
                    for member in (0..members).filter(|&member| said[member].is_finite()) {
                        pending.roles |= word_of(self.role(member)) << (2 * member);
                    }
                }
                let naive = self.naive(ground, k, baseline);
                let forecast = if told == baseline { naive } else { terms.value(told, close) };
                let [lower, upper] = interval;
                let lower = if lower < forecast { lower } else { forecast };
                let upper = if upper > forecast { upper } else { forecast };
                let saying = Saying { forecast, lower, upper, skill: self.record.skill(), role };
                let leaned = if leads { blend.warm_up } else { 0 };
                let warm_up = if leaned > 0 { leaned } else { warm_ups[BASELINE] };
                mixed = Some(Mixed { saying, naive, warm_up });
            }
        }
        if ground.begins(k) {
            self.opened = baseline.is_finite().then_some(pending);
            self.members.iter_mut().zip(said).for_each(|(member, &said)| member.open = said);
            self.open_blend = blend.said;
        }
        self.pending[self.next] = pending;
        self.next = wrapped(self.next + 1, self.horizon);
        self.len = (self.len + 1).min(self.horizon);
        mixed
    }

    /// What a member says, in values: as the mixture's saying, of its own.
    #[cold]
    pub fn saying_of(&self, ground: &Ground, k: usize, place: usize, said: f64) -> Saying {
        let (terms, close, member) = (self.terms, ground.bar().close, &self.members[place]);
        let scale = terms.scale(ground, k);
        let [lower, upper] = match terms.target {
            Target::Direction => chance_interval(&member.record, said),
            _ => {
                let interval = member.bounds.interval();
                terms.bounds(ground, interval.map(|error| said + error * scale), close)
            }
        };
        let forecast = if place == BASELINE { self.naive(ground, k, said) } else { terms.value(said, close) };
        // By a last bit it might lie outside of what was made from its logarithm.
        let (lower, upper) = (lower.min(forecast), upper.max(forecast));
        Saying { forecast, lower, upper, skill: member.record.skill(), role: self.role(place) }
    }

    /// The baseline's word as a value: what came last, where the baseline says it again.
    fn naive(&self, ground: &Ground, k: usize, said: f64) -> f64 {
        let last = match self.terms.target {
            Target::RealizedVariance => ground.realized(k),
            Target::Volume | Target::TradeCount => {
                let (amount, _) = self.terms.came(ground, k, 0.0).unzip();
                amount.filter(|&amount| amount > self.terms.least(ground))
            }
            Target::Price | Target::Direction => None,
        };
        last.unwrap_or_else(|| self.terms.value(said, ground.bar().close))
    }

    /// Of a member, or of the mixture behind them.
    pub fn record(&self, model: usize) -> (&Record, Role) {
        (self.members.get(model).map_or(&self.record, |member| &member.record), self.role(model))
    }

    /// Whether the baseline is told in the mixture's place.
    pub fn mixture_is_demoted(&self) -> bool {
        !self.blend_is_in_charge()
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
        self.members.iter_mut().for_each(|member| state.f64(&mut member.open));
        state.f64(&mut self.open_blend);
        let mut some = self.opened.is_some();
        state.bool(&mut some);
        let mut opened = self.opened.unwrap_or(BLANK);
        opened.state(state);
        self.opened = some.then_some(opened);
        state.option_f64(&mut self.before);
        self.members.iter_mut().for_each(|member| member.bounds.state(state));
        self.members.iter_mut().for_each(|member| member.record.state(state));
        self.record.state(state);
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

/// Of a chance: Wilson's, as if it had been counted in as many outcomes as were scored.
fn chance_interval(record: &Record, chance: f64) -> [f64; 2] {
    let count = record.directions().max(JUDGED_FROM);
    wilson(rounded(chance * count as f64), count, Z_90).unwrap_or([0.0, 1.0])
}

/// To the nearest whole number, up from the middle: of a number at or above 0, and without a call.
fn rounded(number: f64) -> u64 {
    let whole = number as i64;
    (whole + i64::from(number - whole as f64 >= 0.5)).cast_unsigned()
}
