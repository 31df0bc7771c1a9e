//! Candles that still take trades, built exactly of the trades that were told.
//!
//! An interval of time is forming from its first trade until its candle is told; with a grace period several
//! are at once. A bar of another kind is forming from the trade behind the last told one.

use crate::domain::candle::{Candle, CandleState, Ohlc, Origin};
use crate::domain::decimal::{QuoteVolume, Volume};
use crate::domain::event::{Side, Trade, TradeId};
use crate::domain::interval::Interval;
use crate::domain::standing::{FormingCandle, Rank, StandingSeries};
use crate::domain::time::UnixNanos;

/// Forming candles of one interval that are kept; a longer grace period forgets the oldest.
const FORMING_MAX: usize = 64;

/// What is forming of one interval.
#[derive(Clone, Debug)]
pub struct Forming {
    interval: Interval,
    /// By open time.
    open: Vec<OpenCandle>,
    /// Candles up to here were told.
    closed_until: UnixNanos,
    /// Earlier ones were begun before the board looked.
    whole_from: UnixNanos,
}

#[derive(Clone, Debug)]
struct OpenCandle {
    open_at: UnixNanos,
    first: Rank,
    last: Rank,
    prices: Ohlc,
    volume: Volume,
    quote_volume: QuoteVolume,
    taker_buy_volume: Volume,
    taker_buy_quote_volume: QuoteVolume,
    trade_count: u64,
}

impl Forming {
    pub fn new(interval: Interval) -> Self {
        let never = UnixNanos(i64::MIN);
        Self { interval, open: Vec::new(), closed_until: never, whole_from: never }
    }

    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// What forms when a start goes on.
    pub fn stand(&mut self, series: &StandingSeries) {
        self.closed_until = series.closed_until;
        self.whole_from = UnixNanos(i64::MIN);
        self.open = series.forming.iter().filter_map(OpenCandle::of).collect();
        self.open.drain(..self.open.len().saturating_sub(FORMING_MAX));
    }

    /// What opens before that moment is not known whole.
    pub fn begin_at(&mut self, at: UnixNanos) {
        self.whole_from = self.whole_from.max(at);
    }

    /// Trades were missed: only what opens after the next trade will be whole.
    pub fn forget(&mut self, last_trade_at: Option<UnixNanos>) {
        self.open.clear();
        let from = match self.interval.time() {
            Some(interval) => {
                last_trade_at.map(|at| interval.close_of(interval.open_of(at))).unwrap_or(self.closed_until)
            }
            // Whole again once the bar that is open was told.
            None => UnixNanos(i64::MAX),
        };
        self.begin_at(from);
    }

    /// `arrival` orders trades of one time whose ids are no numbers.
    pub fn add(&mut self, trade: &Trade, arrival: u64) {
        let tie = if let TradeId::Number(id) = trade.id { id } else { arrival };
        let rank = (trade.exchange_at, tie);
        let Some(interval) = self.interval.time() else {
            // Other bars take trades as they come: the last one told is the last of the bar.
            match self.open.first_mut() {
                Some(bar) => bar.append(trade, rank),
                None => self.open.push(OpenCandle::new(trade.exchange_at, trade, rank)),
            }
            return;
        };
        let open_at = interval.open_of(trade.exchange_at);
        if open_at < self.closed_until {
            return;
        }
        match self.open.binary_search_by_key(&open_at, |candle| candle.open_at) {
            Ok(at) => self.open[at].add(trade, rank),
            Err(at) => {
                if self.open.len() == FORMING_MAX {
                    if at == 0 {
                        return;
                    }
                    let forgotten = self.open.remove(0);
                    self.begin_at(interval.close_of(forgotten.open_at));
                    self.open.insert(at - 1, OpenCandle::new(open_at, trade, rank));
                } else {
                    self.open.insert(at, OpenCandle::new(open_at, trade, rank));
                }
            }
        }
    }

    /// A candle of the interval was told.
    pub fn close(&mut self, candle: &Candle) {
        if self.interval.time().is_none() {
            self.open.clear();
            self.whole_from = UnixNanos(i64::MIN);
            return;
        }
        self.closed_until = self.closed_until.max(candle.close_at);
        let closed_until = self.closed_until;
        self.open.retain(|candle| candle.open_at >= closed_until);
    }

    /// Those known whole, ascending by open time.
    pub fn candles(&self) -> impl Iterator<Item = Candle> {
        self.open
            .iter()
            .filter(|candle| candle.open_at >= self.whole_from)
            .map(|candle| candle.told(self.interval))
    }
}

impl OpenCandle {
    fn new(open_at: UnixNanos, trade: &Trade, rank: Rank) -> Self {
        let price = trade.price;
        let mut candle = Self {
            open_at,
            first: rank,
            last: rank,
            prices: Ohlc { open: price, high: price, low: price, close: price },
            volume: Volume::ZERO,
            quote_volume: QuoteVolume::ZERO,
            taker_buy_volume: Volume::ZERO,
            taker_buy_quote_volume: QuoteVolume::ZERO,
            trade_count: 0,
        };
        candle.count(trade);
        candle
    }

    /// `None`: a candle without prices, which takes no trades.
    fn of(forming: &FormingCandle) -> Option<Self> {
        let candle = &forming.candle;
        Some(Self {
            open_at: candle.open_at,
            first: forming.first,
            last: forming.last,
            prices: candle.prices?,
            volume: candle.volume,
            quote_volume: candle.quote_volume?,
            taker_buy_volume: candle.taker_buy_volume?,
            taker_buy_quote_volume: candle.taker_buy_quote_volume?,
            trade_count: candle.trade_count?,
        })
    }

    fn add(&mut self, trade: &Trade, rank: Rank) {
        if rank >= self.last {
            self.last = rank;
            self.prices.close = trade.price;
        } else if rank < self.first {
            self.first = rank;
            self.prices.open = trade.price;
        }
        self.count(trade);
    }

    fn append(&mut self, trade: &Trade, rank: Rank) {
        self.last = self.last.max(rank);
        self.prices.close = trade.price;
        self.count(trade);
    }

    fn count(&mut self, trade: &Trade) {
        self.prices.high = self.prices.high.max(trade.price);
        self.prices.low = self.prices.low.min(trade.price);
        let (volume, quote) = (Volume::of(trade.quantity), QuoteVolume::of(trade.price, trade.quantity));
        self.volume.add(volume);
        self.quote_volume.add(quote);
        if trade.taker_side == Some(Side::Buy) {
            self.taker_buy_volume.add(volume);
            self.taker_buy_quote_volume.add(quote);
        }
        self.trade_count += u64::from(trade.trade_count);
    }

    fn told(&self, interval: Interval) -> Candle {
        let close_at = match interval.time() {
            Some(time) => time.close_of(self.open_at),
            None => UnixNanos(self.last.0.max(self.open_at).0.saturating_add(1)),
        };
        Candle {
            interval,
            open_at: self.open_at,
            close_at,
            prices: Some(self.prices),
            volume: self.volume,
            quote_volume: Some(self.quote_volume),
            trade_count: Some(self.trade_count),
            taker_buy_volume: Some(self.taker_buy_volume),
            taker_buy_quote_volume: Some(self.taker_buy_quote_volume),
            state: CandleState::Traded,
            revision: 0,
            origin: Origin::Trades,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decimal::{Price, Quantity};

    fn trade(second: i64, id: u64, price: &str, side: Option<Side>) -> Trade {
        Trade {
            price: Price::parse(price.as_bytes()).unwrap(),
            quantity: Quantity::parse(b"2").unwrap(),
            exchange_at: UnixNanos(second * 1_000_000_000),
            received_at: None,
            id: TradeId::Number(id),
            taker_side: side,
            trade_count: 1,
        }
    }

    fn closed(interval: &str, open: i64, close: i64) -> Candle {
        let mut forming = Forming::new(interval.parse().unwrap());
        forming.add(&trade(open, 1, "1", None), 0);
        let mut candle = forming.candles().next().unwrap();
        candle.close_at = UnixNanos(close * 1_000_000_000);
        candle
    }

    /// Open second, open, high, low, close, volume, bought volume, trades.
    type Row = (i64, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str, u64);

    fn check(forming: &Forming, expected: &[Row]) {
        let rows: Vec<_> = forming
            .candles()
            .map(|c| {
                let p = c.prices.unwrap();
                let texts = [p.open, p.high, p.low, p.close].map(|price| price.decimal().to_string());
                let sums = [c.volume.to_string(), c.taker_buy_volume.unwrap().to_string()];
                (c.open_at.0 / 1_000_000_000, texts, sums, c.trade_count.unwrap())
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(at, o, h, l, c, v, b, n)| {
                (at, [o, h, l, c].map(str::to_owned), [v, b].map(str::to_owned), n)
            })
            .collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn trades_take_their_place_by_time_and_id() {
        let mut forming = Forming::new("1m".parse().unwrap());
        forming.add(&trade(10, 5, "10", Some(Side::Buy)), 0);
        forming.add(&trade(5, 4, "12", Some(Side::Sell)), 1);
        forming.add(&trade(10, 6, "11", None), 2);
        forming.add(&trade(61, 7, "9", None), 3);
        check(&forming, &[(0, "12", "12", "10", "11", "6", "2", 3), (60, "9", "9", "9", "9", "2", "0", 1)]);
        forming.close(&closed("1m", 0, 60));
        forming.add(&trade(59, 3, "99", None), 4);
        check(&forming, &[(60, "9", "9", "9", "9", "2", "0", 1)]);
    }

    #[test]
    fn bars_of_other_kinds_begin_behind_the_last_told() {
        let mut forming = Forming::new("ticks:2".parse().unwrap());
        forming.add(&trade(10, 1, "10", None), 0);
        forming.add(&trade(9, 2, "11", None), 1);
        check(&forming, &[(10, "10", "11", "10", "11", "4", "0", 2)]);
        forming.close(&closed("ticks:2", 10, 11));
        check(&forming, &[]);
        forming.add(&trade(12, 3, "5", None), 2);
        check(&forming, &[(12, "5", "5", "5", "5", "2", "0", 1)]);
    }

    #[test]
    fn what_was_not_seen_whole_is_not_shown() {
        let mut forming = Forming::new("1m".parse().unwrap());
        forming.begin_at(UnixNanos(30_000_000_000));
        forming.add(&trade(31, 1, "1", None), 0);
        check(&forming, &[]);
        forming.add(&trade(61, 2, "2", None), 1);
        check(&forming, &[(60, "2", "2", "2", "2", "2", "0", 1)]);
        forming.forget(Some(UnixNanos(61_000_000_000)));
        forming.add(&trade(62, 3, "2", None), 2);
        check(&forming, &[]);
        forming.add(&trade(120, 4, "3", None), 3);
        check(&forming, &[(120, "3", "3", "3", "3", "2", "0", 1)]);
    }

    #[test]
    fn a_long_grace_period_forgets_the_oldest() {
        let mut forming = Forming::new("1s".parse().unwrap());
        for second in 0..1_000 {
            forming.add(&trade(second, second as u64, "1", None), 0);
        }
        assert_eq!(forming.candles().count(), FORMING_MAX);
        forming.add(&trade(3, 3, "1", None), 0);
        assert_eq!(forming.candles().count(), FORMING_MAX);
    }
}
