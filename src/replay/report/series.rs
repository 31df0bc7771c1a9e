//! The bars of one instrument and interval: its candles, or several candles each.
//!
//! Candles come one by one, and are not counted before: as soon as there are too many bars,
//! twice as many candles go into each. Time bars stay aligned to multiples of their interval.

use crate::domain::candle::{CandleState, Ohlc};
use crate::domain::decimal::{Amount, QuoteVolume, Volume};
use crate::domain::interval::Interval;

/// One candle, or several that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartBar {
    /// Nanoseconds since 1970; the end is exclusive.
    pub open_at: i64,
    pub close_at: i64,
    pub prices: Option<Ohlc>,
    pub volume: Volume,
    pub quote_volume: Option<QuoteVolume>,
    pub trade_count: Option<u64>,
    pub taker_buy_volume: Option<Volume>,
    pub state: CandleState,
    /// The highest of its candles.
    pub revision: u32,
    pub candles: u64,
}

/// Bars, few enough to draw.
pub struct Series {
    interval: Interval,
    bars_max: usize,
    bars: Vec<Placed>,
    /// The last candle, which a later revision of it may replace.
    last: Option<Placed>,
    /// A bar holds up to 2^shift candles.
    shift: u32,
    candles: u64,
}

/// A bar and its first and last place in the row of all possible candles.
#[derive(Clone)]
struct Placed {
    bar: ChartBar,
    places: (u64, u64),
}

impl Series {
    pub fn new(interval: Interval, bars_max: usize) -> Self {
        Self { interval, bars_max: bars_max.max(2), bars: Vec::new(), last: None, shift: 0, candles: 0 }
    }

    /// The next candle in order of open time; one of the same open time replaces the last.
    pub fn push(&mut self, bar: ChartBar) {
        if self.last.as_ref().is_some_and(|last| last.bar.open_at == bar.open_at) {
            self.last = self.last.take().map(|last| Placed { bar, places: last.places });
            return;
        }
        let places = match self.interval.time() {
            Some(time) => {
                let place = |nanos: i64| nanos.max(0).unsigned_abs() / time.nanos().unsigned_abs();
                (place(bar.open_at), place((bar.close_at - 1).max(bar.open_at)))
            }
            None => (self.candles, self.candles),
        };
        self.candles += 1;
        if let Some(last) = self.last.replace(Placed { bar, places }) {
            self.append(last);
        }
    }

    /// All bars; how many candles a full one holds.
    pub fn finish(mut self) -> (Vec<ChartBar>, u64) {
        if let Some(last) = self.last.take() {
            self.append(last);
        }
        (self.bars.into_iter().map(|placed| placed.bar).collect(), 1 << self.shift)
    }

    fn append(&mut self, next: Placed) {
        merge_or_push(&mut self.bars, next, self.shift);
        while self.bars.len() > self.bars_max {
            self.shift += 1;
            let fine = std::mem::take(&mut self.bars);
            for bar in fine {
                merge_or_push(&mut self.bars, bar, self.shift);
            }
        }
    }
}

fn merge_or_push(bars: &mut Vec<Placed>, next: Placed, shift: u32) {
    match bars.last_mut() {
        // A stretch that reaches over the end of a bar stays on its own.
        Some(last) if last.places.0 >> shift == next.places.1 >> shift => {
            last.places.1 = next.places.1;
            last.bar.merge(next.bar);
        }
        _ => bars.push(next),
    }
}

impl ChartBar {
    /// Takes in the bar that follows.
    fn merge(&mut self, next: Self) {
        self.close_at = next.close_at;
        self.prices = match (self.prices, next.prices) {
            (Some(a), Some(b)) => {
                Some(Ohlc { open: a.open, high: a.high.max(b.high), low: a.low.min(b.low), close: b.close })
            }
            (a, b) => a.or(b),
        };
        self.volume.add(next.volume);
        // What one candle does not say is unknown of both.
        self.taker_buy_volume = sum(self.taker_buy_volume, next.taker_buy_volume);
        self.quote_volume = sum(self.quote_volume, next.quote_volume);
        self.trade_count = self.trade_count.zip(next.trade_count).map(|(a, b)| a.saturating_add(b));
        let sure = |state| matches!(state, CandleState::Traded | CandleState::Empty);
        self.state = match (self.prices.is_some(), sure(self.state) && sure(next.state)) {
            (true, true) => CandleState::Traded,
            (true, false) => CandleState::Partial,
            (false, true) => CandleState::Empty,
            (false, false) => CandleState::Unknown,
        };
        self.revision = self.revision.max(next.revision);
        self.candles += next.candles;
    }
}

fn sum<const SCALE: u32>(a: Option<Amount<SCALE>>, b: Option<Amount<SCALE>>) -> Option<Amount<SCALE>> {
    a.zip(b).map(|(mut a, b)| {
        a.add(b);
        a
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decimal::{Decimal, Price};

    const SECOND: i64 = 1_000_000_000;

    /// From second to second; a letter for the state; a price where it traded.
    fn bar(from: i64, to: i64, state: char, price: u64) -> ChartBar {
        let price = Decimal::new(price, 0).and_then(Price::new).ok();
        ChartBar {
            open_at: from * SECOND,
            close_at: to * SECOND,
            prices: price.map(|p| Ohlc { open: p, high: p, low: p, close: p }),
            volume: Volume::parse(b"0.5").unwrap(),
            quote_volume: None,
            trade_count: Some(1),
            taker_buy_volume: Some(Volume::ZERO),
            state: match state {
                't' => CandleState::Traded,
                'e' => CandleState::Empty,
                'p' => CandleState::Partial,
                _ => CandleState::Unknown,
            },
            revision: 0,
            candles: 1,
        }
    }

    /// `from-to state open/high/low/close volume`, seconds.
    fn check(interval: &str, bars_max: usize, bars: &[ChartBar], expected: &[&str], each: u64) {
        let mut series = Series::new(interval.parse().unwrap(), bars_max);
        bars.iter().for_each(|bar| series.push(bar.clone()));
        let (merged, held) = series.finish();
        let texts: Vec<String> = merged
            .iter()
            .map(|b| {
                let prices = b.prices.map_or("-".to_owned(), |p| {
                    [p.open, p.high, p.low, p.close].map(|p| p.decimal().to_string()).join("/")
                });
                format!("{}-{} {} {prices} {}", b.open_at / SECOND, b.close_at / SECOND, b.state, b.volume)
            })
            .collect();
        assert_eq!((texts.iter().map(String::as_str).collect::<Vec<_>>(), held), (expected.to_vec(), each));
        assert_eq!(merged.iter().map(|b| b.candles).sum::<u64>(), bars.len() as u64);
    }

    #[test]
    fn few_candles_stay_as_they_are() {
        let bars = [bar(0, 1, 't', 5), bar(1, 2, 'e', 0), bar(2, 9, 'u', 0)];
        check("1s", 3, &bars, &["0-1 traded 5/5/5/5 0.5", "1-2 empty - 0.5", "2-9 unknown - 0.5"], 1);
        check("1s", 3, &[], &[], 1);
    }

    #[test]
    fn many_candles_are_merged_at_multiples_of_their_interval() {
        let bars: Vec<_> = (3..9).map(|i| bar(i, i + 1, 't', (i as u64 * 7) % 5 + 1)).collect();
        let expected = ["3-4 traded 2/2/2/2 0.5", "4-8 traded 4/5/1/5 2", "8-9 traded 2/2/2/2 0.5"];
        check("1s", 3, &bars, &expected, 4);
        let expected = ["3-5 traded 2/4/2/4 1", "5-7 traded 1/3/1/3 1", "7-9 traded 5/5/2/2 1"];
        check("ticks:10", 3, &bars, &expected, 2);
    }

    #[test]
    fn merged_bars_say_how_sure_they_are() {
        let merged = |a: ChartBar, b: ChartBar, expected: &str| {
            check(
                "1s",
                2,
                &[a, b, bar(4, 5, 't', 9), bar(6, 7, 't', 9)],
                &[expected, "4-7 traded 9/9/9/9 1"],
                4,
            );
        };
        merged(bar(0, 1, 't', 5), bar(1, 2, 'e', 0), "0-2 traded 5/5/5/5 1");
        merged(bar(0, 1, 'u', 0), bar(1, 2, 't', 5), "0-2 partial 5/5/5/5 1");
        merged(bar(0, 1, 'p', 5), bar(1, 2, 't', 6), "0-2 partial 5/6/5/6 1");
        merged(bar(0, 1, 'u', 0), bar(1, 2, 'e', 0), "0-2 unknown - 1");
        merged(bar(0, 1, 'e', 0), bar(1, 2, 'e', 0), "0-2 empty - 1");
    }

    #[test]
    fn stretches_over_the_end_of_a_bar_stay_on_their_own() {
        let bars = [bar(0, 1, 't', 5), bar(1, 7, 'u', 0), bar(7, 8, 't', 6), bar(8, 9, 't', 6)];
        let expected = ["0-1 traded 5/5/5/5 0.5", "1-7 unknown - 0.5", "7-8 traded 6/6/6/6 0.5"];
        check("1s", 3, &bars[..3], &expected, 1);
        check("1s", 2, &bars, &["0-8 partial 5/6/5/6 1.5", "8-9 traded 6/6/6/6 0.5"], 8);
    }

    #[test]
    fn a_later_revision_replaces_its_candle() {
        let bars = [bar(0, 1, 't', 5), bar(0, 1, 't', 6), bar(1, 2, 't', 7)];
        let mut series = Series::new("1s".parse().unwrap(), 10);
        bars.iter().for_each(|bar| series.push(bar.clone()));
        let (merged, _) = series.finish();
        assert_eq!(merged, bars[1..]);
    }
}
