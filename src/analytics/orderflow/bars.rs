//! Candles for the tests of this family: random ones with every oddity, and plain ones by hand.
//!
//! [`check`] holds an entry of the catalogue to its naive recomputation, and to all that each of
//! them promises: values are finite, and saving and restoring anywhere changes no bit.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::analytics::catalogue::Spec;
use crate::analytics::indicator::{Bar, Indicator, OUTPUTS_MAX};
use crate::analytics::rolling::sizes::SizeHistogram;
use crate::analytics::rolling::state::State;
use crate::domain::decimal::{Decimal, Quantity};
use crate::domain::time::{NANOS_PER_DAY, NANOS_PER_SECOND, UnixNanos};

/// How far a value may be from the naive one, as a part of [`Truth::scale`].
pub const TOLERANCE: f64 = 1e-9;

/// What a value should be, and the size of the terms that it is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    pub value: f64,
    pub scale: f64,
}

/// One trade, as far as order flow looks at it.
#[derive(Clone, Copy, Debug)]
pub struct TestTrade {
    pub at: UnixNanos,
    pub quantity: Quantity,
}

impl TestTrade {
    pub fn size(&self) -> f64 {
        self.quantity.decimal().to_f64()
    }
}

/// A candle that owns its sizes and remembers its trades.
#[derive(Clone, Debug)]
pub struct TestBar {
    pub open_at: UnixNanos,
    pub close_at: UnixNanos,
    pub close: f64,
    pub quote_volume: Option<f64>,
    pub taker: Option<(f64, f64)>,
    pub trades: Vec<TestTrade>,
    /// A ready candle says nothing of its trades but their number, or not even that.
    pub is_ready: bool,
    pub says_count: bool,
    sizes: SizeHistogram,
}

impl TestBar {
    pub fn bar(&self) -> Bar<'_> {
        let times = || Some((self.trades.first()?.at, self.trades.last()?.at));
        Bar {
            open_at: self.open_at,
            close_at: self.close_at,
            open: self.close,
            high: self.close,
            low: self.close,
            close: self.close,
            volume: self.trades.iter().map(|trade| trade.size()).sum(),
            quote_volume: self.quote_volume,
            trade_count: self.says_count.then_some(self.trades.len() as u64),
            taker_buy_volume: self.taker.map(|(buy, _)| buy),
            taker_sell_volume: self.taker.map(|(_, sell)| sell),
            trade_times: if self.is_ready { None } else { times() },
            sizes: (!self.is_ready).then_some(&self.sizes),
        }
    }

    /// Bought and sold volume, where known.
    pub fn taker(&self) -> Option<(f64, f64)> {
        self.taker
    }
}

/// Days since 1970 of the open.
pub fn day_of(bar: &TestBar) -> i64 {
    bar.open_at.0.div_euclid(NANOS_PER_DAY)
}

/// What the newest `count` candles say that say something; `None` where the last does not, or they are fewer.
pub fn newest<'a, T>(
    bars: &'a [TestBar],
    count: usize,
    said: impl Fn(&'a TestBar) -> Option<T>,
) -> Option<Vec<T>> {
    said(bars.last()?)?;
    let mut all: Vec<T> = bars.iter().filter_map(said).collect();
    Some(all.split_off(all.len().checked_sub(count)?))
}

/// Seconds from 2024-05-01, in each a buy and a sell (left out where zero) at its very beginning.
pub fn flows(flows: &[(f64, f64)]) -> Vec<TestBar> {
    let first = UnixNanos::parse_iso(b"2024-05-01").unwrap().0;
    let bar = |(i, &(buy, sell)): (usize, &(f64, f64))| {
        let open_at = UnixNanos(first + i as i64 * NANOS_PER_SECOND);
        let trade = |size: f64| {
            let quantity = Quantity::parse(size.to_string().as_bytes()).unwrap();
            TestTrade { at: open_at, quantity }
        };
        let trades: Vec<_> = [buy, sell].into_iter().filter(|&size| size > 0.0).map(trade).collect();
        finish(open_at, 1, 100.0, Some((buy, sell)), trades)
    };
    flows.iter().enumerate().map(bar).collect()
}

fn finish(
    open_at: UnixNanos,
    seconds: i64,
    close: f64,
    taker: Option<(f64, f64)>,
    trades: Vec<TestTrade>,
) -> TestBar {
    let mut sizes = SizeHistogram::default();
    trades.iter().for_each(|trade| sizes.add(trade.quantity));
    let volume: f64 = trades.iter().map(|trade| trade.size()).sum();
    TestBar {
        open_at,
        close_at: UnixNanos(open_at.0 + seconds * NANOS_PER_SECOND),
        close,
        quote_volume: Some(volume * close),
        taker,
        trades,
        is_ready: false,
        says_count: true,
        sizes,
    }
}

/// What one candle says; the rest is derived.
type Draw = (Vec<(Quantity, u8, u32)>, i64, i64, u32, u8);

fn draws(quantities: impl Strategy<Value = Quantity> + 'static) -> impl Strategy<Value = Vec<Draw>> {
    // Side: bought, sold or unknown. Distance to the next trade: often none.
    let trade = (quantities, 0u8..3, prop_oneof![Just(0u32), 0u32..500_000_000]);
    let silence = prop_oneof![5 => Just(0i64), 1 => 1i64..50_000];
    let bar = (prop::collection::vec(trade, 1..8), 1i64..4_000, silence, 1u32..100_000, 0u8..20);
    prop::collection::vec(bar, 1..40)
}

fn bars_of(draws: &[Draw]) -> Vec<TestBar> {
    // Late in a day, so that most runs cross midnight.
    let mut open_at = UnixNanos::parse_iso(b"2024-04-30T20:00:00Z").unwrap();
    let mut bars = Vec::new();
    for (drawn, seconds, silence, cents, oddity) in draws {
        let (mut at, mut buy, mut sell, mut trades) = (open_at, 0.0, 0.0, Vec::new());
        let last = UnixNanos(open_at.0 + seconds * NANOS_PER_SECOND - 1);
        for &(quantity, side, distance) in drawn {
            match (side, oddity) {
                (1, 0) | (0, _) => buy += quantity.decimal().to_f64(),
                (1, _) => sell += quantity.decimal().to_f64(),
                _ => {}
            }
            trades.push(TestTrade { at, quantity });
            at = UnixNanos(at.0 + i64::from(distance)).min(last);
        }
        let mut bar = finish(open_at, *seconds, f64::from(*cents) / 100.0, Some((buy, sell)), trades);
        match oddity {
            1 => bar.taker = None,
            2 => bar.quote_volume = None,
            3 => bar.quote_volume = Some(0.0),
            4 => {
                (bar.taker, bar.quote_volume) = (None, None);
                (bar.is_ready, bar.says_count) = (true, false);
            }
            5 => bar.is_ready = true,
            6 => bar.taker = Some((0.0, 0.0)),
            _ => {}
        }
        bars.push(bar);
        open_at = UnixNanos(open_at.0 + (seconds + silence) * NANOS_PER_SECOND);
    }
    bars
}

/// The outputs after each candle.
pub fn run(text: &str, bars: &[TestBar]) -> Vec<Option<Vec<f64>>> {
    let spec = Spec::parse(text).unwrap();
    let mut indicator = spec.build();
    bars.iter().map(|bar| advance(&mut *indicator, spec.entry.outputs.len(), bar)).collect()
}

/// Quantities of many magnitudes.
pub fn check(text: &str, naive: impl Fn(&[TestBar]) -> Option<Vec<Truth>>) {
    let quantity = (1u64..1_000_000, 0u32..8)
        .prop_map(|(mantissa, scale)| Quantity::new(Decimal::new(mantissa, scale).unwrap()).unwrap());
    check_with(text, quantity, naive);
}

/// Quantities from 1/8 to 16, whose sums are exact and which no histogram mistakes for one another.
pub fn check_eighths(text: &str, naive: impl Fn(&[TestBar]) -> Option<Vec<Truth>>) {
    let quantity =
        (1u64..=128).prop_map(|eighths| Quantity::new(Decimal::new(eighths * 125, 3).unwrap()).unwrap());
    check_with(text, quantity, naive);
}

fn check_with(
    text: &str,
    quantity: impl Strategy<Value = Quantity> + 'static,
    naive: impl Fn(&[TestBar]) -> Option<Vec<Truth>>,
) {
    let config = Config { failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(&draws(quantity), |draws| {
        let bars = bars_of(&draws);
        let outputs = run(text, &bars);
        for (i, output) in outputs.iter().enumerate() {
            let truths = naive(&bars[..=i]);
            prop_assert_eq!(output.is_some(), truths.is_some(), "{} at {}: {:?}", text, i, truths);
            let (Some(values), Some(truths)) = (output, truths) else { continue };
            prop_assert_eq!(values.len(), truths.len());
            for (value, truth) in values.iter().zip(&truths) {
                let error = (value - truth.value).abs();
                prop_assert!(
                    error <= TOLERANCE * truth.scale,
                    "{} at {}: {:?}, {:?}",
                    text,
                    i,
                    values,
                    truths
                );
            }
        }
        check_restored(text, &bars, &outputs)
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

/// At each candle the state moves into an indicator that has seen something else.
fn check_restored(text: &str, bars: &[TestBar], outputs: &[Option<Vec<f64>>]) -> Result<(), TestCaseError> {
    let spec = Spec::parse(text).unwrap();
    let mut indicator = spec.build();
    for (i, bar) in bars.iter().enumerate() {
        let mut words = Vec::new();
        indicator.state(&mut State::Save(&mut words));
        let mut other = spec.build();
        for junk in &bars[i / 2..] {
            advance(&mut *other, spec.entry.outputs.len(), junk);
        }
        other.state(&mut State::load(&words));
        let mut again = Vec::new();
        other.state(&mut State::Save(&mut again));
        prop_assert_eq!(&again, &words, "{} restored at {}", text, i);
        let bits = |output: &Option<Vec<f64>>| {
            output.as_ref().map(|values| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
        };
        let output = advance(&mut *other, spec.entry.outputs.len(), bar);
        prop_assert_eq!(bits(&output), bits(&outputs[i]), "{} restored at {}", text, i);
        indicator = other;
    }
    Ok(())
}

fn advance(indicator: &mut dyn Indicator, outputs: usize, bar: &TestBar) -> Option<Vec<f64>> {
    // What stands in the slots before must not show through.
    let mut out = [f64::NAN; OUTPUTS_MAX];
    let told = indicator.advance(&bar.bar(), &mut out);
    told.then(|| {
        assert!(out[..outputs].iter().all(|value| value.is_finite()), "{out:?} after {bar:?}");
        out[..outputs].to_vec()
    })
}

mod tests {
    use super::*;
    use crate::analytics::orderflow::ENTRIES;

    #[test]
    fn the_first_value_comes_when_the_warm_up_says() {
        let flows: Vec<_> =
            (0..120).map(|i| (f64::from(i * i % 7) * 10.0, f64::from(i % 5) * 10.0)).collect();
        let mut bars = super::flows(&flows[1..]);
        for (i, bar) in bars.iter_mut().enumerate() {
            bar.close += (i % 11) as f64;
        }
        for entry in ENTRIES {
            let spec = Spec::parse(entry.name).unwrap();
            let first = run(entry.name, &bars).iter().position(Option::is_some);
            match entry.name {
                // Volume decides; candles of less than a bucket take longer.
                "vpin" => assert!(first.is_none_or(|first| first + 1 >= spec.warm_up())),
                name => assert_eq!(first.map(|first| first + 1), Some(spec.warm_up()), "{name}"),
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let mut bars = flows(&[(1.0, 0.5); 40]);
        for (i, bar) in bars.iter_mut().enumerate() {
            let huge = [1e18, 1e-15, 1e62, 0.0][i % 4];
            bar.taker = Some((huge, [1e-15, 1e62, 1e62, 3.0][i / 4 % 4]));
            bar.close = [1e18, 1e-15, 1.0][i % 3];
            bar.quote_volume = Some([1e-30, 1e80, 1.0][i % 3]);
        }
        for text in ["amihud(2)", "cvd", "delta(3)", "flow_autocorrelation(4,2)", "kyle_lambda(3)"] {
            run(text, &bars);
        }
        for text in ["taker_split(3)", "vpin(1e-15,3)", "vpin(1e18,3)", "trade_size(3)", "trade_rate(2)"] {
            run(text, &bars);
        }
    }
}
