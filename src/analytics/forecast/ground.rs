//! What all forecasters of an interval share: the candle that just closed, and what it made known.
//!
//! Takes one candle after another, each exactly one interval after the one before; a candle that nothing
//! traded in stands for a price that stayed and for no volume. After a hole it begins anew, but for the slow
//! means: what lies in a hole is not known, and no sum goes over it.

use crate::analytics::estimators::elementary::{exp_each, ln, ln_both, ln_each};
use crate::analytics::forecast::path::Path;
use crate::analytics::rolling::state::State;
use crate::analytics::rolling::sum::Sum;
use crate::domain::candle::Candle;
use crate::domain::insight::Target;
use crate::domain::interval::TimeInterval;
use crate::domain::time::{NANOS_PER_DAY, UnixNanos};

/// A candle that did not move has a variance all the same: that of a hundredth of a basis point.
pub const VARIANCE_FLOOR: f64 = 1e-12;
/// Weight of the newest squared return in the volatility (J.P. Morgan, RiskMetrics, 1996).
const VOLATILITY_WEIGHT: f64 = 0.06;
/// Weight of the newest candle in the slow means.
const SLOW_WEIGHT: f64 = 0.001;
/// The least volume that a logarithm is taken of, as a share of the mean.
const VOLUME_FLOOR: f64 = 0.01;
/// The fewest trades that a logarithm is taken of.
const TRADES_FLOOR: f64 = 0.5;
/// Returns beyond so many volatilities are taken as that large where direction is learnt.
const LEAN_MAX: f64 = 4.0;
/// Candles of the means of returns that direction is learnt from.
const LEAN_SPANS: [f64; 3] = [5.0, 15.0, 60.0];
/// Numbers that direction is learnt from.
pub const LEANINGS: usize = 10;
/// The logarithm of [`VARIANCE_FLOOR`].
pub const LOG_VARIANCE_FLOOR: f64 = -27.631_021_115_928_547;
/// 4 ln 2, Parkinson's divisor of squared ranges.
const PARKINSON: f64 = 4.0 * std::f64::consts::LN_2;

/// One closed candle, as plain numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    pub close_at: UnixNanos,
    /// Quote currency per unit of base, above 0.
    pub close: f64,
    /// ln(high / low).
    pub range: f64,
    /// Base currency.
    pub volume: f64,
    /// `None` where a ready candle does not say.
    pub trades: Option<f64>,
    /// Bought less sold by takers, as a share of the volume, -1 to 1.
    pub taker_imbalance: Option<f64>,
}

impl Bar {
    /// `None`: nothing traded.
    pub fn of(candle: &Candle) -> Option<Self> {
        let prices = candle.prices?;
        let volume = candle.volume.to_f64();
        Some(Self {
            close_at: candle.close_at,
            close: prices.close.decimal().to_f64(),
            range: ln(prices.high.decimal().to_f64() / prices.low.decimal().to_f64()),
            volume,
            trades: candle.trade_count.map(|count| count as f64),
            taker_imbalance: candle.taker_buy_volume.map(|bought| 2.0 * bought.to_f64() / volume - 1.0),
        })
    }
}

/// An amount that flows: what a candle had of it, and what the last candles of each horizon had.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Of the candle.
    pub value: f64,
    /// Slow mean, above 0 from the first traded candle on.
    pub mean: f64,
    sums: Vec<Sum>,
    /// The sums and their logarithms, made once for all who look; not a number where a sum is not whole. Follow from
    /// the rest, as do the logarithms of value and mean.
    totals: Box<[f64]>,
    logarithms: Box<[f64]>,
    log_value: f64,
    log_mean: f64,
    /// What is next to nothing, where somebody looks: the least amount that a logarithm is taken of.
    nothing: f64,
    /// Nothing was taken since the last hole.
    is_clear: bool,
}

/// What somebody looks at.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    variance: bool,
    /// The sums' logarithms of either flow; and whether at the volume's at all.
    volume: bool,
    trades: bool,
    any_volume: bool,
    direction: bool,
}

/// The ground of one interval of one instrument.
#[derive(Clone, Debug)]
pub struct Ground {
    interval: TimeInterval,
    horizons: Box<[usize]>,
    log_horizons: Box<[f64]>,
    root_horizons: Box<[f64]>,
    looked: Looked,
    /// By horizon, of the candle: whether targets that do not overlap begin after it, the return over the last
    /// candles, the realised variance and its logarithm. Follow from the rest, as do the leanings.
    begins: Box<[bool]>,
    changes: Box<[f64]>,
    realized: Box<[f64]>,
    log_realized: Box<[f64]>,
    leanings: [f64; LEANINGS],
    /// By horizon, the standard deviation that is expected of the return after the candle: said by those who forecast the
    /// variance, each time anew; not a number where nobody does.
    expected: Box<[f64]>,
    /// Intervals since 1970 until the candle's close, and the day that the candle belongs to.
    place: i64,
    day: i64,
    /// The candle that was taken last; `None` at the beginning and after a hole.
    last: Option<Bar>,
    /// Candles taken with a candle before them, holes forgotten.
    seen: u64,
    log_return: f64,
    path: Path,
    /// Exponentially weighted means of squared returns: the one before the candle, and with it.
    variance_before: f64,
    variance: f64,
    /// Follows from it.
    volatility: f64,
    range_variance: f64,
    /// Slow mean of squared returns and of Parkinson's variances, both.
    level: f64,
    squares: Vec<Sum>,
    volume: Flow,
    trades: Flow,
    /// Means of the last returns by volatility, for [`Ground::leanings`].
    leans: [f64; LEAN_SPANS.len()],
    /// Scaled returns, the newest first.
    scaled: [f64; 3],
}

impl Flow {
    fn new(horizons: &[usize]) -> Self {
        Self {
            value: 0.0,
            mean: 0.0,
            sums: sums(horizons),
            totals: vec![f64::NAN; horizons.len()].into(),
            logarithms: vec![f64::NAN; horizons.len()].into(),
            log_value: 0.0,
            log_mean: 0.0,
            nothing: 0.0,
            is_clear: true,
        }
    }

    fn take(&mut self, value: f64, weight: f64) {
        self.value = value;
        self.is_clear = false;
        self.mean += weight * (value - self.mean);
        for (total, sum) in self.totals.iter_mut().zip(&mut self.sums) {
            sum.push(value);
            *total = whole(sum).unwrap_or(f64::NAN);
        }
    }

    fn interrupt(&mut self, horizons: &[usize]) {
        if !self.is_clear {
            self.totals.fill(f64::NAN);
            (self.sums, self.is_clear) = (sums(horizons), true);
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.value);
        state.f64(&mut self.mean);
        state.bool(&mut self.is_clear);
        self.sums.iter_mut().for_each(|sum| sum.state(state));
    }
}

fn sums(horizons: &[usize]) -> Vec<Sum> {
    horizons.iter().map(|&horizon| Sum::new(horizon)).collect()
}

#[inline]
fn known(number: f64) -> Option<f64> {
    (!number.is_nan()).then_some(number)
}

fn whole(sum: &Sum) -> Option<f64> {
    sum.is_full().then(|| sum.sum())
}

impl Ground {
    /// `horizons`: candles ahead, ascending.
    pub fn new(interval: TimeInterval, horizons: &[u32]) -> Self {
        let horizons: Box<[usize]> = horizons.iter().map(|&horizon| horizon as usize).collect();
        Self {
            interval,
            log_horizons: horizons.iter().map(|&horizon| ln(horizon as f64)).collect(),
            root_horizons: horizons.iter().map(|&horizon| (horizon as f64).sqrt()).collect(),
            looked: Looked::default(),
            begins: vec![false; horizons.len()].into(),
            changes: vec![f64::NAN; horizons.len()].into(),
            realized: vec![f64::NAN; horizons.len()].into(),
            log_realized: vec![f64::NAN; horizons.len()].into(),
            leanings: [0.0; LEANINGS],
            expected: vec![f64::NAN; horizons.len()].into(),
            place: 0,
            day: 0,
            last: None,
            seen: 0,
            log_return: 0.0,
            path: Path::new(&horizons),
            variance_before: 0.0,
            variance: 0.0,
            volatility: VARIANCE_FLOOR.sqrt(),
            range_variance: 0.0,
            level: 0.0,
            squares: sums(&horizons),
            volume: Flow::new(&horizons),
            trades: Flow::new(&horizons),
            leans: [0.0; LEAN_SPANS.len()],
            scaled: [0.0; 3],
            horizons,
        }
    }

    /// Somebody forecasts that target.
    pub fn look_at(&mut self, target: Target) {
        let looked = &mut self.looked;
        match target {
            Target::RealizedVariance => looked.variance = true,
            Target::Volume => looked.volume = true,
            Target::TradeCount => looked.trades = true,
            Target::Direction => looked.direction = true,
            Target::Price => {}
        }
        looked.any_volume = looked.variance || looked.volume || looked.direction;
    }

    /// Whether a candle that closes then is the next one, or the first one after a hole.
    pub fn is_next(&self, close_at: UnixNanos) -> bool {
        self.last.is_none_or(|last| close_at.0.saturating_sub(last.close_at.0) == self.interval.nanos())
    }

    /// Takes the next candle; `false`: there is none before it to compare it with.
    pub fn take(&mut self, bar: &Bar) -> bool {
        assert!(self.is_next(bar.close_at), "candles come one after the other, or a hole lies between");
        let Some(before) = self.last.replace(*bar) else { return false };
        self.seen += 1;
        let fresh = 1.0 / self.seen as f64;
        let slow = SLOW_WEIGHT.max(fresh);
        self.log_return = if bar.close == before.close { 0.0 } else { ln(bar.close / before.close) };
        self.path.take(self.log_return);
        let square = self.log_return * self.log_return;
        self.variance_before = if self.seen == 1 { square } else { self.variance };
        self.variance += VOLATILITY_WEIGHT.max(fresh) * (square - self.variance);
        self.range_variance = bar.range * bar.range / PARKINSON;
        self.level += slow * (0.5 * (square + self.range_variance) - self.level);
        for (k, sum) in self.squares.iter_mut().enumerate() {
            sum.push(square);
            let floor = self.horizons[k] as f64 * VARIANCE_FLOOR;
            self.realized[k] = whole(sum).map_or(f64::NAN, |sum| sum.max(floor));
        }
        self.volume.take(bar.volume, slow);
        match bar.trades {
            Some(trades) => self.trades.take(trades, slow),
            None => self.trades.interrupt(&self.horizons),
        }
        let scaled = (self.log_return / self.volatility_before()).clamp(-LEAN_MAX, LEAN_MAX);
        let [newest, second, _] = self.scaled;
        self.scaled = [scaled, newest, second];
        for (lean, span) in self.leans.iter_mut().zip(LEAN_SPANS) {
            *lean += 2.0 / (span + 1.0) * (scaled - *lean);
        }
        self.work_out();
        true
    }

    /// What many look at and what follows from the rest.
    fn work_out(&mut self) {
        self.volatility = self.variance.max(VARIANCE_FLOOR).sqrt();
        let close_at = self.bar().close_at.0;
        self.place = close_at.div_euclid(self.interval.nanos());
        self.day = (close_at - 1).div_euclid(NANOS_PER_DAY);
        for (begins, &horizon) in self.begins.iter_mut().zip(&self.horizons) {
            *begins = horizon == 1 || self.place.rem_euclid(horizon as i64) == 0;
        }
        for (change, &horizon) in self.changes.iter_mut().zip(&self.horizons) {
            *change = self.path.change(horizon).unwrap_or(f64::NAN);
        }
        if self.looked.variance {
            self.log_realized.copy_from_slice(&self.realized);
            ln_each(&mut self.log_realized);
        }
        if self.looked.any_volume {
            self.take_logarithms(FlowKind::Volume, self.looked.volume);
        }
        if self.looked.trades {
            self.take_logarithms(FlowKind::Trades, true);
        }
        if self.looked.direction {
            self.leanings = self.lean();
        }
    }

    /// `and_sums`: not of value and mean alone.
    fn take_logarithms(&mut self, kind: FlowKind, and_sums: bool) {
        let flow = match kind {
            FlowKind::Volume => &mut self.volume,
            FlowKind::Trades => &mut self.trades,
        };
        flow.nothing = match kind {
            FlowKind::Volume => (VOLUME_FLOOR * flow.mean).max(f64::MIN_POSITIVE),
            FlowKind::Trades => TRADES_FLOOR,
        };
        let amount = |amount: f64| if amount > flow.nothing { amount } else { flow.nothing };
        (flow.log_value, flow.log_mean) = ln_both(amount(flow.value), amount(flow.mean));
        if !and_sums {
            return;
        }
        for (logarithm, &sum) in flow.logarithms.iter_mut().zip(&flow.totals) {
            *logarithm = if sum < flow.nothing { flow.nothing } else { sum };
        }
        // A sum of one is known already.
        let first = usize::from(self.horizons[0] == 1);
        ln_each(&mut flow.logarithms[first..]);
        if first == 1 {
            flow.logarithms[0] = if flow.totals[0].is_nan() { f64::NAN } else { flow.log_value };
        }
    }

    /// A hole lies before the next candle.
    pub fn interrupt(&mut self) {
        self.last = None;
        self.path.interrupt();
        self.squares = sums(&self.horizons);
        self.realized.fill(f64::NAN);
        self.volume.interrupt(&self.horizons);
        self.trades.interrupt(&self.horizons);
        self.leans = [0.0; LEAN_SPANS.len()];
        self.scaled = [0.0; 3];
    }

    pub fn interval(&self) -> TimeInterval {
        self.interval
    }

    /// Candles ahead, ascending.
    pub fn horizons(&self) -> &[usize] {
        &self.horizons
    }

    /// The candle that was taken last.
    ///
    /// # Panics
    ///
    /// Before the first candle and after a hole: nobody is asked then.
    #[inline]
    pub fn bar(&self) -> &Bar {
        self.last.as_ref().expect("forecasters are asked once a candle was taken")
    }

    /// The candle that was taken last; `None` at the beginning and after a hole.
    pub fn last(&self) -> Option<&Bar> {
        self.last.as_ref()
    }

    /// Candles taken with one before them.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Logarithm of the horizon `k`.
    #[inline]
    pub fn log_horizon(&self, k: usize) -> f64 {
        self.log_horizons[k]
    }

    /// Whether targets of horizon `k` that do not overlap begin after the candle: at multiples of the horizon since
    /// 1970.
    #[inline]
    pub fn begins(&self, k: usize) -> bool {
        self.begins[k]
    }

    /// Whether this is one candle in so many.
    #[inline]
    pub fn is_one_in(&self, many: i64) -> bool {
        self.place.rem_euclid(many) == 0
    }

    /// The day, since 1970, that the candle taken last belongs to.
    #[inline]
    pub fn day(&self) -> i64 {
        self.day
    }

    /// ln(close / close before).
    pub fn log_return(&self) -> f64 {
        self.log_return
    }

    /// ln(close / close before) over the last candles of horizon `k`; `None` until there are as many.
    #[inline]
    pub fn change(&self, k: usize) -> Option<f64> {
        known(self.changes[k])
    }

    /// Expected of the next candle: the root of the exponentially weighted mean of squared returns.
    #[inline]
    pub fn volatility(&self) -> f64 {
        self.volatility
    }

    /// Expected of the return over horizon `k`, as far as nobody forecasts it.
    #[inline]
    pub fn usual_deviation(&self, k: usize) -> f64 {
        self.volatility * self.root_horizons[k]
    }

    /// The same, as it was before the candle.
    #[inline]
    pub fn volatility_before(&self) -> f64 {
        self.variance_before.max(VARIANCE_FLOOR).sqrt()
    }

    /// The candle's variance by its range (M. Parkinson, Journal of Business 53, 1980).
    pub fn range_variance(&self) -> f64 {
        self.range_variance
    }

    /// Mean variance of a candle in the long run.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Sum of squared returns of the last candles of horizon `k`; `None` until there are as many.
    #[inline]
    pub fn realized(&self, k: usize) -> Option<f64> {
        known(self.realized[k])
    }

    /// Its logarithm, where a variance is looked at.
    #[inline]
    pub fn log_realized(&self, k: usize) -> Option<f64> {
        known(self.log_realized[k])
    }

    /// Those who forecast the variance say what they expect, by the number of the horizon, as a logarithm.
    #[inline]
    pub fn expect(&mut self, log_variance: impl Fn(usize) -> f64) {
        for (k, expected) in self.expected.iter_mut().enumerate() {
            *expected = 0.5 * log_variance(k);
        }
        exp_each(&mut self.expected);
    }

    /// The standard deviation that is expected of the return over horizon `k`; `None`: nobody said.
    #[inline]
    pub fn expected_deviation(&self, k: usize) -> Option<f64> {
        known(self.expected[k])
    }

    /// Base currency traded.
    pub fn volume(&self) -> &Flow {
        &self.volume
    }

    /// Trades.
    pub fn trades(&self) -> &Flow {
        &self.trades
    }

    /// What direction may be learnt from, where one is forecast: a constant, the last three returns and three means of
    /// returns by volatility, taker imbalance, log volume against its mean, range against what the volatility
    /// explains.
    pub fn leanings(&self) -> &[f64; LEANINGS] {
        &self.leanings
    }

    fn lean(&self) -> [f64; LEANINGS] {
        let [a, b, c] = self.scaled;
        let [short, middle, long] = std::array::from_fn(|i| self.leans[i] * LEAN_SPANS[i].sqrt());
        let volume = self.volume.log_value - self.volume.log_mean;
        let range = (self.range_variance.sqrt() / self.volatility_before()).min(LEAN_MAX) - 1.0;
        let imbalance = self.bar().taker_imbalance.unwrap_or(0.0);
        [1.0, a, b, c, short, middle, long, imbalance, volume.clamp(-LEAN_MAX, LEAN_MAX), range]
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let mut some = self.last.is_some();
        state.bool(&mut some);
        let blank = Bar {
            close_at: UnixNanos(0),
            close: 1.0,
            range: 0.0,
            volume: 0.0,
            trades: None,
            taker_imbalance: None,
        };
        let mut bar = self.last.unwrap_or(blank);
        state.i64(&mut bar.close_at.0);
        for value in [&mut bar.close, &mut bar.range, &mut bar.volume] {
            state.f64(value);
        }
        state.option_f64(&mut bar.trades);
        state.option_f64(&mut bar.taker_imbalance);
        if state.is_load() {
            self.last = some.then_some(bar);
        }
        state.word(&mut self.seen);
        let numbers = [
            &mut self.log_return,
            &mut self.variance_before,
            &mut self.variance,
            &mut self.range_variance,
            &mut self.level,
        ];
        for number in numbers {
            state.f64(number);
        }
        self.path.state(state);
        self.squares.iter_mut().for_each(|sum| sum.state(state));
        self.volume.state(state);
        self.trades.state(state);
        self.leans.iter_mut().chain(&mut self.scaled).for_each(|number| state.f64(number));
    }
}

impl Flow {
    /// Of the last candles of horizon `k`; `None` until there are as many.
    #[inline]
    pub fn sum(&self, k: usize) -> Option<f64> {
        known(self.totals[k])
    }
}

/// A flow that is forecast in logarithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    Volume,
    Trades,
}

impl FlowKind {
    pub fn of(self, ground: &Ground) -> &Flow {
        match self {
            Self::Volume => &ground.volume,
            Self::Trades => &ground.trades,
        }
    }

    /// ln of what the candle had, and of the slow mean, where somebody looks at the flow.
    #[inline]
    pub fn log_value(self, ground: &Ground) -> f64 {
        self.of(ground).log_value
    }

    #[inline]
    pub fn log_mean(self, ground: &Ground) -> f64 {
        self.of(ground).log_mean
    }

    /// The amount next to nothing, of which the logarithm of nothing is taken: a hundredth of the mean candle's volume,
    /// half a trade.
    #[inline]
    pub fn least(self, ground: &Ground) -> f64 {
        self.of(ground).nothing * (1.0 + 1e-9)
    }

    /// ln of the sum over the last candles of horizon `k`, where the target is looked at; `None` until there are as
    /// many.
    #[inline]
    pub fn log_sum(self, ground: &Ground, k: usize) -> Option<f64> {
        known(self.of(ground).logarithms[k])
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn bar(minute: i64, close: f64) -> Bar {
        Bar {
            close_at: UnixNanos(minute * 60_000_000_000),
            close,
            range: 1e-3,
            volume: 2.0,
            trades: Some(3.0),
            taker_imbalance: None,
        }
    }

    fn ground() -> Ground {
        let interval: crate::domain::interval::Interval = "1m".parse().unwrap();
        let mut ground = Ground::new(interval.time().unwrap(), &[1, 3]);
        Target::ALL.into_iter().for_each(|target| ground.look_at(target));
        ground
    }

    #[test]
    fn sums_wait_until_they_are_whole_and_begin_anew_after_a_hole() {
        let mut ground = ground();
        assert!(!ground.take(&bar(0, 100.0)), "nothing to compare with");
        for minute in 1..=3 {
            assert!(ground.take(&bar(minute, 100.0 + minute as f64)));
            assert_eq!(ground.volume().sum(1), (minute == 3).then_some(6.0), "{minute}");
        }
        let square = |a: f64, b: f64| libm::log(a / b) * libm::log(a / b);
        let expected = square(101.0, 100.0) + square(102.0, 101.0) + square(103.0, 102.0);
        assert!((ground.realized(1).unwrap() - expected).abs() < 1e-18);
        assert_eq!(FlowKind::Trades.log_sum(&ground, 0), Some(ln(3.0)));
        assert!(!ground.is_next(bar(9, 100.0).close_at), "five candles were never told");
        ground.interrupt();
        assert!(!ground.take(&bar(9, 100.0)));
        assert!(ground.take(&bar(10, 100.0)));
        assert_eq!((ground.realized(1), ground.realized(0)), (None, Some(VARIANCE_FLOOR)));
        assert_eq!((ground.begins(0), ground.begins(1), ground.is_one_in(5)), (true, false, true));
    }

    #[test]
    fn a_market_that_stands_still_has_finite_numbers() {
        let mut ground = ground();
        let quiet = |minute| Bar { range: 0.0, volume: 0.0, trades: Some(0.0), ..bar(minute, 5.0) };
        (0..50).for_each(|minute| _ = ground.take(&quiet(minute)));
        assert!(ground.leanings().iter().all(|number| number.is_finite()), "{:?}", ground.leanings());
        assert!(FlowKind::Volume.log_sum(&ground, 1).unwrap().is_finite());
        assert_eq!(FlowKind::Trades.log_sum(&ground, 1), Some(ln(0.5)));
        assert!(ground.volatility() > 0.0);
    }

    #[test]
    fn saving_in_the_middle_changes_nothing() {
        let (mut one, mut other) = (ground(), ground());
        let walk = |minute: i64| bar(minute, 100.0 + (minute * minute % 17) as f64);
        (0..40).for_each(|minute| _ = one.take(&walk(minute)));
        let mut words = Vec::new();
        one.state(&mut State::Save(&mut words));
        let mut state = State::load(&words);
        other.state(&mut state);
        assert_eq!(state.finish(), Ok(()));
        for minute in 40..80 {
            one.take(&walk(minute));
            other.take(&walk(minute));
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
    }
}
