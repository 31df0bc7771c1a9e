//! What models look at: stationary features of a closed candle, never a raw price.
//!
//! A row describes one candle that traded, with what came before it; it is silent where a hole lies
//! between the candle and the one before, for a return over a hole is a return over unknown time. What a
//! candle does not say, or what too few candles were seen for, is `None`. [`FEATURES`] names all of them.

use crate::analytics::estimators::elementary::{ln, ln_both};
use crate::analytics::orderflow::vpin::Vpin;
use crate::analytics::rolling::moments::Moments;
use crate::analytics::rolling::state::State;
use crate::domain::candle::{Candle, CandleState};
use crate::domain::time::{NANOS_PER_DAY, NANOS_PER_SECOND, UnixNanos};

/// Version of the definitions below: a state saved under another is not restored.
pub const FEATURES_VERSION: u32 = 2;

/// Weight of the newest squared return in the volatility, as J.P. Morgan's RiskMetrics (1996) weighs it.
const VOLATILITY_WEIGHT: f64 = 0.06;
/// A market that did not move has a volatility all the same: a tenth of a basis point.
const VOLATILITY_FLOOR: f64 = 1e-5;
/// Scaled returns that a row looks back on.
pub const LAGS: usize = 5;
/// Candles of the rolling statistics.
pub const RECENT: usize = 20;
/// Candles over which the spreads' two-candle estimates are averaged, and that they need.
const SPREAD_CANDLES: u32 = 60;
/// Full buckets in a VPIN, and candles until the size of a bucket is known: that of a candle, on the mean.
const VPIN_BUCKETS: usize = 50;
/// Candles whose mean volume the size of a bucket follows.
const VPIN_MEMORY: u32 = 1_440;
/// A range is taken for no less where its logarithm is needed: a twentieth of a basis point.
const RANGE_FLOOR: f64 = 5e-6;

/// The features of one candle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Features {
    /// When the candle began. No number for a model: it tells days and hours apart.
    pub open_at: UnixNanos,
    /// ln(close / close before).
    pub log_return: f64,
    /// The volatility expected before the candle: root of the mean of squared returns.
    pub volatility: f64,
    /// The return in units of the volatility expected before it.
    pub scaled_return: f64,
    /// ln of base currency traded.
    pub log_volume: f64,
    /// ln of trades; `None` where a ready candle does not say.
    pub log_trade_count: Option<f64>,
    /// ln of seconds a trade, counted from the close of the last candle that traded.
    pub log_inter_arrival: Option<f64>,
    /// ln(high / low).
    pub range: f64,
    /// The range in units of the volatility expected before it.
    pub scaled_range: f64,
    /// ln of how far the price went for what was traded: the range by the root of the volume. Where a price moves
    /// with the root of what is traded (B. Toth et al., "Anomalous price impact and the critical nature of
    /// liquidity in financial markets", Physical Review X 1, 2011), a move with its volume is nothing odd, and
    /// one without is.
    pub impact: f64,
    /// Bought less sold by takers, as a share of the volume, -1 to 1; `None` where it is not known.
    pub taker_imbalance: Option<f64>,
    /// Probability of informed trading in the last 50 buckets of a mean candle's volume, 0 to 1.
    pub vpin: Option<f64>,
    /// Spread that the bounce of successive returns tells, as a share of the price; 0 where they do not bounce.
    pub roll_spread: Option<f64>,
    /// Spread that highs and lows tell, as a share of the price, 0 or more.
    pub range_spread: Option<f64>,
    /// The scaled returns before this one, newest first.
    pub lagged_returns: Option<[f64; LAGS]>,
    /// Of the last candles, this one included.
    pub recent: Option<Recent>,
    /// Where in the day (UTC) the candle began: a point on a circle.
    pub day_phase: [f64; 2],
    /// Where in the week, which begins on Monday.
    pub week_phase: [f64; 2],
}

/// Mean and standard deviation of the last [`RECENT`] candles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recent {
    pub return_mean: f64,
    pub return_deviation: f64,
    pub volume_mean: f64,
    pub volume_deviation: f64,
}

/// A feature by name.
pub struct Feature {
    /// Lower-case: `scaled_return`.
    pub name: &'static str,
    pub read: fn(&Features) -> Option<f64>,
}

/// Every feature, in the order of the page that describes them.
pub static FEATURES: &[Feature] = &[
    Feature { name: "return", read: |row| Some(row.log_return) },
    Feature { name: "volatility", read: |row| Some(row.volatility) },
    Feature { name: "scaled_return", read: |row| Some(row.scaled_return) },
    Feature { name: "log_volume", read: |row| Some(row.log_volume) },
    Feature { name: "log_trade_count", read: |row| row.log_trade_count },
    Feature { name: "log_inter_arrival", read: |row| row.log_inter_arrival },
    Feature { name: "range", read: |row| Some(row.range) },
    Feature { name: "scaled_range", read: |row| Some(row.scaled_range) },
    Feature { name: "impact", read: |row| Some(row.impact) },
    Feature { name: "taker_imbalance", read: |row| row.taker_imbalance },
    Feature { name: "vpin", read: |row| row.vpin },
    Feature { name: "roll_spread", read: |row| row.roll_spread },
    Feature { name: "range_spread", read: |row| row.range_spread },
    Feature { name: "lagged_return_1", read: |row| Some(row.lagged_returns?[0]) },
    Feature { name: "lagged_return_2", read: |row| Some(row.lagged_returns?[1]) },
    Feature { name: "lagged_return_3", read: |row| Some(row.lagged_returns?[2]) },
    Feature { name: "lagged_return_4", read: |row| Some(row.lagged_returns?[3]) },
    Feature { name: "lagged_return_5", read: |row| Some(row.lagged_returns?[4]) },
    Feature { name: "return_mean", read: |row| Some(row.recent?.return_mean) },
    Feature { name: "return_deviation", read: |row| Some(row.recent?.return_deviation) },
    Feature { name: "volume_mean", read: |row| Some(row.recent?.volume_mean) },
    Feature { name: "volume_deviation", read: |row| Some(row.recent?.volume_deviation) },
    Feature { name: "day_phase_1", read: |row| Some(row.day_phase[0]) },
    Feature { name: "day_phase_2", read: |row| Some(row.day_phase[1]) },
    Feature { name: "week_phase_1", read: |row| Some(row.week_phase[0]) },
    Feature { name: "week_phase_2", read: |row| Some(row.week_phase[1]) },
];

/// A candle that traded, as plain numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    pub open_at: UnixNanos,
    pub close_at: UnixNanos,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// Above zero.
    pub volume: f64,
    /// Above zero.
    pub trade_count: Option<f64>,
    pub taker_buy_volume: Option<f64>,
}

impl Reading {
    /// `None` where nothing traded.
    pub fn of(candle: &Candle) -> Option<Self> {
        let prices = candle.prices?;
        Some(Self {
            open_at: candle.open_at,
            close_at: candle.close_at,
            high: prices.high.decimal().to_f64(),
            low: prices.low.decimal().to_f64(),
            close: prices.close.decimal().to_f64(),
            volume: candle.volume.to_f64(),
            trade_count: candle.trade_count.filter(|&n| n > 0).map(|n| n as f64),
            taker_buy_volume: candle.taker_buy_volume.map(|bought| bought.to_f64()),
        })
    }
}

/// Makes features of the candles of one interval, in order of open time.
#[derive(Debug)]
pub struct FeatureMaker {
    /// The candle before; `None` at the beginning and after a hole.
    last: Option<Last>,
    /// Exponentially weighted mean of squared returns; `None` until there was one.
    variance: Option<f64>,
    /// Of successive returns; and how many pairs there were.
    covariance: f64,
    pairs: u32,
    /// Mean of the two-candle estimates of the spread.
    spread: f64,
    spreads: u32,
    flow: Flow,
    /// Scaled returns, newest first, and how many since the last hole.
    lags: [f64; LAGS],
    whole: u32,
    returns: Moments<2>,
    volumes: Moments<2>,
}

/// What the next candle is compared with.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    close: f64,
    high: f64,
    low: f64,
    range: f64,
    close_at: UnixNanos,
    /// `None`: there was no candle to compare that one with.
    log_return: Option<f64>,
}

/// VPIN with buckets that fit the market.
#[derive(Debug)]
struct Flow {
    volume_mean: f64,
    candles: u32,
    /// The day (since 1970) for which the buckets were sized, and their size.
    day: i64,
    bucket_volume: f64,
    vpin: Vpin,
}

impl Default for FeatureMaker {
    fn default() -> Self {
        Self {
            last: None,
            variance: None,
            covariance: 0.0,
            pairs: 0,
            spread: 0.0,
            spreads: 0,
            flow: Flow {
                volume_mean: 0.0,
                candles: 0,
                day: 0,
                bucket_volume: 1.0,
                vpin: Vpin::with_buckets(1.0, VPIN_BUCKETS),
            },
            lags: [0.0; LAGS],
            whole: 0,
            returns: Moments::new(RECENT),
            volumes: Moments::new(RECENT),
        }
    }
}

impl FeatureMaker {
    /// Takes the next candle. `None`: there is nothing to compare it with, or it did not trade.
    pub fn next(&mut self, candle: &Candle) -> Option<Features> {
        let Some(reading) = Reading::of(candle) else {
            if candle.state == CandleState::Unknown {
                self.interrupt();
            }
            return None;
        };
        if candle.state == CandleState::Partial {
            // What is missing of it would look like a quiet market.
            self.interrupt();
            return None;
        }
        self.take(&reading)
    }

    /// A hole: what comes is compared with nothing before it. Slow averages stay as they are.
    pub fn interrupt(&mut self) {
        self.last = None;
        if self.whole > 0 {
            self.whole = 0;
            self.returns = Moments::new(RECENT);
            self.volumes = Moments::new(RECENT);
        }
    }

    /// Takes the next candle that traded, no hole before it.
    pub fn take(&mut self, reading: &Reading) -> Option<Features> {
        let (range, log_volume) = ln_both(reading.high / reading.low, reading.volume);
        let mut last = Last {
            close: reading.close,
            high: reading.high,
            low: reading.low,
            range,
            close_at: reading.close_at,
            log_return: None,
        };
        let Some(before) = self.last else {
            self.last = Some(last);
            return None;
        };
        let (log_return, both) = ln_both(
            reading.close / before.close,
            before.high.max(reading.high) / before.low.min(reading.low),
        );
        last.log_return = Some(log_return);
        self.last = Some(last);
        let volatility = self.variance.map(|variance| variance.sqrt().max(VOLATILITY_FLOOR));
        let square = log_return * log_return;
        let variance = self.variance.get_or_insert(square);
        *variance += VOLATILITY_WEIGHT * (square - *variance);
        self.learn_spreads(&before, &last, both);
        let imbalance = reading.taker_buy_volume.map(|bought| 2.0 * bought / reading.volume - 1.0);
        let vpin = self.flow.take(reading, imbalance);
        let volatility = volatility?;
        let scaled_return = log_return / volatility;
        self.returns.push(scaled_return);
        self.volumes.push(log_volume);
        let lagged_returns = (self.whole as usize >= LAGS).then_some(self.lags);
        self.lags.copy_within(..LAGS - 1, 1);
        self.lags[0] = scaled_return;
        self.whole = self.whole.saturating_add(1);
        let log_trade_count = reading.trade_count.map(ln);
        let seconds = (reading.close_at.0.saturating_sub(before.close_at.0)) as f64 / NANOS_PER_SECOND as f64;
        Some(Features {
            open_at: reading.open_at,
            log_return,
            volatility,
            scaled_return,
            log_volume,
            log_trade_count,
            log_inter_arrival: log_trade_count.map(|count| ln(seconds) - count),
            range,
            scaled_range: range / volatility,
            impact: ln(range + RANGE_FLOOR) - 0.5 * log_volume,
            taker_imbalance: imbalance,
            vpin,
            roll_spread: (self.pairs >= SPREAD_CANDLES).then(|| 2.0 * (-self.covariance).max(0.0).sqrt()),
            range_spread: (self.spreads >= SPREAD_CANDLES).then_some(self.spread),
            lagged_returns,
            recent: self.recent(),
            day_phase: circle(reading.open_at.0.rem_euclid(NANOS_PER_DAY), NANOS_PER_DAY),
            week_phase: circle((reading.open_at.0 + MONDAY).rem_euclid(7 * NANOS_PER_DAY), 7 * NANOS_PER_DAY),
        })
    }

    /// R. Roll, "A simple implicit measure of the effective bid-ask spread in an efficient market", Journal of
    /// Finance 39 (1984). S. Corwin and P. Schultz, "A simple way to estimate bid-ask spreads from daily high
    /// and low prices", Journal of Finance 67 (2012); negative estimates count as 0, as they advise.
    ///
    /// `both`: the range of the two candles together.
    fn learn_spreads(&mut self, before: &Last, last: &Last, both: f64) {
        if let (Some(first), Some(second)) = (before.log_return, last.log_return) {
            self.pairs = self.pairs.saturating_add(1);
            self.covariance += (first * second - self.covariance) / f64::from(self.pairs.min(SPREAD_CANDLES));
        }
        /// 3 - 2 sqrt(2).
        const K: f64 = 0.171_572_875_253_809_9;
        let beta = before.range * before.range + last.range * last.range;
        let alpha = ((2.0 * beta).sqrt() - beta.sqrt()) / K - both / K.sqrt();
        self.spreads = self.spreads.saturating_add(1);
        // 2 (e^alpha - 1) / (1 + e^alpha).
        let spread = 2.0 * tanh(0.5 * alpha.max(0.0));
        self.spread += (spread - self.spread) / f64::from(self.spreads.min(SPREAD_CANDLES));
    }

    fn recent(&self) -> Option<Recent> {
        self.returns.is_full().then(|| Recent {
            return_mean: self.returns.mean(),
            return_deviation: self.returns.variance().sqrt(),
            volume_mean: self.volumes.mean(),
            volume_deviation: self.volumes.variance().sqrt(),
        })
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let mut some = self.last.is_some();
        state.bool(&mut some);
        let mut last = self.last.unwrap_or_default();
        for number in [&mut last.close, &mut last.high, &mut last.low, &mut last.range] {
            state.f64(number);
        }
        state.i64(&mut last.close_at.0);
        state.option_f64(&mut last.log_return);
        self.last = some.then_some(last);
        state.option_f64(&mut self.variance);
        state.f64(&mut self.covariance);
        state.u32(&mut self.pairs);
        state.f64(&mut self.spread);
        state.u32(&mut self.spreads);
        self.flow.state(state);
        self.lags.iter_mut().for_each(|lag| state.f64(lag));
        state.u32(&mut self.whole);
        self.returns.state(state);
        self.volumes.state(state);
    }
}

impl Flow {
    fn take(&mut self, reading: &Reading, imbalance: Option<f64>) -> Option<f64> {
        self.candles = self.candles.saturating_add(1);
        self.volume_mean += (reading.volume - self.volume_mean) / f64::from(self.candles.min(VPIN_MEMORY));
        let day = reading.open_at.0.div_euclid(NANOS_PER_DAY);
        if self.candles == VPIN_BUCKETS as u32 || (self.candles > VPIN_BUCKETS as u32 && day != self.day) {
            self.day = day;
            self.bucket_volume = self.volume_mean;
            self.vpin.resize(self.bucket_volume);
        }
        let imbalance = imbalance?;
        if self.candles > VPIN_BUCKETS as u32 {
            self.vpin.pour(reading.volume, imbalance);
        }
        self.vpin.value()
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.volume_mean);
        state.u32(&mut self.candles);
        state.i64(&mut self.day);
        state.f64(&mut self.bucket_volume);
        state.check(self.bucket_volume > 0.0, "bucket without volume");
        self.vpin.state(state);
        if state.is_load() {
            // What is open holds less than a bucket, so this closes none.
            self.vpin.resize(self.bucket_volume);
        }
    }
}

/// The hyperbolic tangent, of a small number by its series: all but the last two bits of it.
fn tanh(x: f64) -> f64 {
    if x.abs() > 0.01 {
        return libm::tanh(x);
    }
    let square = x * x;
    x * (1.0
        - square * (1.0 / 3.0 - square * (2.0 / 15.0 - square * (17.0 / 315.0 - square * (62.0 / 2_835.0)))))
}

/// From the Thursday of 1970-01-01 back to its Monday.
const MONDAY: i64 = 3 * NANOS_PER_DAY;

/// Where on a circle `nanos` of `period` have brought us.
fn circle(nanos: i64, period: i64) -> [f64; 2] {
    let turn = nanos as f64 / period as f64;
    let quarter = if turn < 0.75 { turn + 0.25 } else { turn - 0.75 };
    [wave(turn), wave(quarter)]
}

/// Two parabolas in place of a sine, at most 0.06 away from it: the same on every machine, and quick.
fn wave(turn: f64) -> f64 {
    let (half, sign) = if turn < 0.5 { (2.0 * turn, 4.0) } else { (2.0 * turn - 1.0, -4.0) };
    sign * half * (1.0 - half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    const MINUTE: i64 = 60 * NANOS_PER_SECOND;

    /// The `index`-th minute of a made-up market.
    fn reading(random: &mut Random, index: i64, close: &mut f64) -> Reading {
        let before = *close;
        *close *= 1.0 + (random.unit() - 0.5) * 2e-3;
        let volume = 1.0 + 9.0 * random.unit();
        Reading {
            open_at: UnixNanos(1_700_000_040_000_000_000 + index * MINUTE),
            close_at: UnixNanos(1_700_000_040_000_000_000 + (index + 1) * MINUTE),
            high: close.max(before) * (1.0 + 1e-3 * random.unit()),
            low: close.min(before) * (1.0 - 1e-3 * random.unit()),
            close: *close,
            volume,
            trade_count: Some(1.0 + (random.word() % 50) as f64),
            taker_buy_volume: Some(volume * random.unit()),
        }
    }

    fn market(seed: u64, len: i64) -> Vec<Reading> {
        let (mut random, mut close) = (Random(seed), 100.0);
        (0..len).map(|index| reading(&mut random, index, &mut close)).collect()
    }

    fn assert_near(is: Option<f64>, expected: f64) {
        let near = is.is_some_and(|is| (is - expected).abs() <= 1e-9 * (1.0 + expected.abs()));
        assert!(near, "{is:?} is not {expected}");
    }

    #[test]
    fn rows_equal_a_naive_recomputation() {
        let market = market(5, 300);
        let mut maker = FeatureMaker::default();
        let rows: Vec<_> = market.iter().map(|reading| maker.take(reading)).collect();
        assert_eq!(rows[..2], [None, None], "a return, and a volatility to scale it with, take two candles");
        let log_return = |i: usize| libm::log(market[i].close / market[i - 1].close);
        let mut variance = log_return(1) * log_return(1);
        let scaled: Vec<f64> = (2..market.len())
            .map(|i| {
                let scaled = log_return(i) / variance.sqrt();
                variance += 0.06 * (log_return(i) * log_return(i) - variance);
                scaled
            })
            .collect();
        let row = rows[299].unwrap();
        assert_near(Some(row.scaled_return), scaled[297]);
        assert_near(Some(row.lagged_returns.unwrap()[4]), scaled[292]);
        let mean = scaled[278..298].iter().sum::<f64>() / 20.0;
        assert_near(row.recent.map(|recent| recent.return_mean), mean);
        let volumes: Vec<f64> = market[280..].iter().map(|reading| libm::log(reading.volume)).collect();
        let mean = volumes.iter().sum::<f64>() / 20.0;
        let deviation = (volumes.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 20.0).sqrt();
        assert_near(row.recent.map(|recent| recent.volume_deviation), deviation);
        assert_near(Some(row.scaled_range * row.volatility), row.range);
        assert_near(Some(row.impact), libm::log((row.range + 5e-6) / market[299].volume.sqrt()));
        assert_near(row.log_inter_arrival, libm::log(60.0 / market[299].trade_count.unwrap()));
        let imbalance = 2.0 * market[299].taker_buy_volume.unwrap() / market[299].volume - 1.0;
        assert_near(row.taker_imbalance, imbalance);
        assert!(row.vpin.is_some_and(|vpin| (0.2..0.7).contains(&vpin)), "{:?}", row.vpin);
        for (i, row) in rows.iter().enumerate() {
            let row = row.unwrap_or_default();
            assert_eq!(row.recent.is_some(), i >= 21, "{i}");
            assert_eq!(row.lagged_returns.is_some(), i >= 7, "{i}");
            assert_eq!(row.roll_spread.is_some(), i >= 61, "{i}");
            assert_eq!(row.range_spread.is_some(), i >= 60, "{i}");
        }
    }

    /// Prices that jump between bid and ask of a value that hardly moves.
    #[test]
    fn the_spreads_find_a_spread() {
        let mut random = Random(9);
        let (mut maker, mut last) = (FeatureMaker::default(), None);
        let (mut value, spread) = (100.0, 2e-3);
        for (i, mut reading) in market(1, 2_000).into_iter().enumerate() {
            let mut trades = Vec::new();
            for _ in 0..20 {
                value *= 1.0 + (random.unit() - 0.5) * 1e-4;
                let side = if random.word().is_multiple_of(2) { 0.5 } else { -0.5 };
                trades.push(value * (1.0 + side * spread));
            }
            reading.close = trades[19];
            reading.high = trades.iter().copied().fold(0.0, f64::max);
            reading.low = trades.iter().copied().fold(f64::INFINITY, f64::min);
            last = maker.take(&reading);
            assert_eq!(last.is_some(), i >= 2);
        }
        let row = last.unwrap();
        let check = |name: &str, found: Option<f64>| {
            let found = found.unwrap();
            assert!((0.6 * spread..1.4 * spread).contains(&found), "{name}: {found}");
        };
        check("Roll", row.roll_spread);
        check("Corwin and Schultz", row.range_spread);
    }

    #[test]
    fn a_hole_is_never_looked_over() {
        let market = market(3, 200);
        let mut maker = FeatureMaker::default();
        for reading in &market[..100] {
            maker.take(reading);
        }
        maker.interrupt();
        assert_eq!(maker.take(&market[100]), None);
        let row = maker.take(&market[101]).unwrap();
        assert_eq!((row.lagged_returns, row.recent), (None, None));
        assert_near(Some(row.log_return), libm::log(market[101].close / market[100].close));
    }

    #[test]
    fn saved_in_the_middle_it_goes_on_as_if_nothing_had_happened() {
        let market = market(11, 400);
        for cut in [0, 1, 2, 49, 50, 51, 130, 399] {
            let mut whole = FeatureMaker::default();
            market[..cut].iter().for_each(|reading| _ = whole.take(reading));
            let mut words = Vec::new();
            whole.state(&mut State::Save(&mut words));
            let mut restored = FeatureMaker::default();
            market[300..].iter().for_each(|reading| _ = restored.take(reading));
            let mut state = State::load(&words);
            restored.state(&mut state);
            assert_eq!(state.finish(), Ok(()), "{cut}");
            for reading in &market[cut..] {
                assert_eq!(format!("{:?}", restored.take(reading)), format!("{:?}", whole.take(reading)));
            }
        }
    }

    #[test]
    fn waves_are_nearly_sines() {
        for i in 0..1_000 {
            let turn = f64::from(i) / 1_000.0;
            let [sine, cosine] = circle(i64::from(i), 1_000);
            let angle = turn * std::f64::consts::TAU;
            assert!(
                (sine - libm::sin(angle)).abs() < 0.06 && (cosine - libm::cos(angle)).abs() < 0.06,
                "{turn}"
            );
        }
        // 2024-05-06 was a Monday.
        let monday = UnixNanos::parse_iso(b"2024-05-06").unwrap();
        assert_eq!(circle((monday.0 + MONDAY).rem_euclid(7 * NANOS_PER_DAY), 7 * NANOS_PER_DAY), [0.0, 1.0]);
    }
}
