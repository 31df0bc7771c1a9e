//! VPIN: the probability of informed trading, in volume time.
//!
//! Traded volume is cut into buckets of `bucket_volume` (base currency); VPIN is the mean of
//! |bought - sold| / `bucket_volume` over the last `buckets` full ones, in [0, 1]. D. Easley, M. López
//! de Prado and M. O'Hara, "Flow toxicity and liquidity in a high-frequency world", Review of
//! Financial Studies 25 (2012); they use 50 buckets, each a fiftieth of an average day's volume.
//!
//! Two differences. They infer who bought from price changes (bulk volume classification); our
//! venues say it, so nothing is inferred, and volume whose taker is unknown fills no bucket. And
//! the buckets are filled from closed candles: a candle's bought and sold volume is spread
//! evenly over the buckets that it reaches. That way VPIN is a function of the candles, which
//! late trades correct one by one, and not of the order in which trades came; with candles
//! small against a bucket it is that of the trades, and within a candle larger than a bucket the
//! imbalances of its buckets are all equal, which lowers it.
//!
//! The first value comes with the candle that fills the last of the first `buckets` buckets;
//! the warm-up of the catalogue takes a candle for a bucket. Amortised O(1) while candles are
//! not larger than buckets, O(`buckets`) at most.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::fold::{Fold, Sums};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "vpin",
    summary: "volume-synchronised probability of informed trading",
    parameters: &[Parameter::real("bucket_volume", 100.0, 1e-15, 1e18), Parameter::period("buckets", 50, 1)],
    outputs: &["value"],
    warm_up: |arguments| arguments.period(1),
    check: any,
    build: |arguments| keeping(Vpin::new(arguments), Vpin::state, Vpin::advance),
    needs: Needs::Amounts,
};

#[derive(Debug)]
pub struct Vpin {
    bucket_volume: f64,
    buckets: f64,
    /// Of the open bucket: how much is in it, and bought less sold.
    filled: f64,
    net: f64,
    /// Of each full bucket, 0 to 1.
    imbalances: Fold<Sums<1>>,
}

impl Vpin {
    fn new(arguments: &Arguments) -> Self {
        Self::with_buckets(arguments.real(0), arguments.period(1))
    }

    /// `bucket_volume` above zero, `buckets` at least 1.
    pub fn with_buckets(bucket_volume: f64, buckets: usize) -> Self {
        Self { bucket_volume, buckets: buckets as f64, filled: 0.0, net: 0.0, imbalances: Fold::new(buckets) }
    }

    /// From now on a bucket holds `bucket_volume`, above zero. An open one that holds more is full as it is.
    pub fn resize(&mut self, bucket_volume: f64) {
        if self.filled >= bucket_volume {
            self.imbalances.push(Sums([self.net.abs() / self.filled]));
            (self.filled, self.net) = (0.0, 0.0);
        }
        self.bucket_volume = bucket_volume;
    }

    /// The mean imbalance of the full buckets; `None` until there are as many as asked for.
    pub fn value(&self) -> Option<f64> {
        self.imbalances.is_full().then(|| self.imbalances.total().0[0] / self.buckets)
    }

    /// Pours in volume of which bought less sold is the `skew`th part.
    pub fn pour(&mut self, volume: f64, skew: f64) {
        let room = self.bucket_volume - self.filled;
        if volume < room {
            self.filled += volume;
            self.net += volume * skew;
            return;
        }
        self.imbalances.push(Sums([(self.net + room * skew).abs() / self.bucket_volume]));
        let left = volume - room;
        // The remainder is exact, so what is without it is whole buckets but for rounding.
        let rest = libm::fmod(left, self.bucket_volume);
        let whole = ((left - rest) / self.bucket_volume + 0.5).floor();
        // Those before the last `buckets` would be pushed out again.
        for _ in 0..whole.min(self.buckets) as u64 {
            self.imbalances.push(Sums([skew.abs()]));
        }
        self.filled = rest;
        self.net = rest * skew;
    }

    /// Visits every word of mutable state, but for the size of a bucket.
    pub fn state(&mut self, state: &mut State<'_>) {
        state.f64(&mut self.filled);
        state.f64(&mut self.net);
        self.imbalances.state(state);
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 1]> {
        let (buy, sell) = (bar.taker_buy_volume?, bar.taker_sell_volume?);
        let volume = buy + sell;
        if volume > 0.0 {
            self.pour(volume, (buy - sell) / volume);
        }
        Some([self.value()?])
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::orderflow::bars::{self, Truth};

    /// Pours drop by drop.
    fn naive(flows: &[(f64, f64)], bucket_volume: f64, buckets: usize) -> Option<f64> {
        let (mut full, mut filled, mut net) = (Vec::new(), 0.0, 0.0);
        for &(buy, sell) in flows {
            let (mut left, skew) = (buy + sell, (buy - sell) / (buy + sell));
            while left > 0.0 {
                let drop = left.min(bucket_volume - filled);
                (left, filled, net) = (left - drop, filled + drop, net + drop * skew);
                if filled == bucket_volume {
                    full.push(f64::abs(net) / bucket_volume);
                    (filled, net) = (0.0, 0.0);
                }
            }
        }
        let newest = &full[full.len().checked_sub(buckets)?..];
        Some(newest.iter().sum::<f64>() / buckets as f64)
    }

    #[test]
    fn incremental_equals_naive() {
        // Volumes are sums of eighths there, so that the naive loop is exact in its filling.
        for (bucket_volume, buckets) in [(64.0, 3), (1024.0, 2), (0.5, 7)] {
            bars::check_eighths(&format!("vpin({bucket_volume},{buckets})"), |bars| {
                bars.last()?.taker()?;
                let flows: Vec<_> = bars.iter().filter_map(|bar| bar.taker()).collect();
                naive(&flows, bucket_volume, buckets).map(|value| vec![Truth { value, scale: 1.0 }])
            });
        }
    }

    #[test]
    fn a_candle_is_spread_over_the_buckets_that_it_reaches() {
        let bars = bars::flows(&[(3.0, 1.0), (0.0, 0.0), (0.0, 10.0), (1e17, 1e17), (6.0, 0.0)]);
        let values = bars::run("vpin(8,2)", &bars);
        assert_eq!(values[..3], [None, None, None]);
        assert_eq!(values[3], Some(vec![0.0]));
        let values = bars::run("vpin(7,2)", &bars);
        assert_eq!(values[2], Some(vec![(1.0 / 7.0 + 1.0) / 2.0]));
    }

    #[test]
    fn the_smallest_bucket_and_the_largest_candle_end() {
        let mut bars = bars::flows(&[(1.0, 1.0), (0.1, 0.2)]);
        bars[0].taker = Some((1e44, 3e43));
        for value in bars::run("vpin(0.000000000000001,10000)", &bars) {
            assert!((0.0..=1.0 + 1e-9).contains(&value.unwrap()[0]));
        }
    }
}
