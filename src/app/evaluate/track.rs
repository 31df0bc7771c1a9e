//! The price of an instrument over the last while: what became of it after a moment.
//!
//! Follows the closes of the shortest candles. A move is known where both ends are, and nothing that a hole
//! touches lies between.

use std::collections::VecDeque;

use crate::domain::candle::{Candle, CandleState};
use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;

/// What became of a price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Move {
    /// The later end is not there yet.
    Coming,
    /// ln(price after / price at).
    Known(f64),
    /// A hole lies between, or there was no price to begin with.
    Lost,
}

/// Closes of the last while.
#[derive(Debug)]
pub struct Track {
    kept_nanos: i64,
    interval: Option<Interval>,
    /// Moment and natural logarithm of the price, ascending.
    closes: VecDeque<(i64, f64)>,
    /// The end of the last candle that a hole touched.
    hole_at: i64,
    first_at: Option<i64>,
}

impl Track {
    /// `kept_nanos`: how far back moves are asked for.
    pub fn new(kept_nanos: i64) -> Self {
        Self { kept_nanos, interval: None, closes: VecDeque::new(), hole_at: i64::MIN, first_at: None }
    }

    /// Takes a candle as it is first told; `true`: it is one of those that are followed.
    pub fn take(&mut self, candle: &Candle) -> bool {
        if candle.revision > 0 || candle.interval.time().is_none() {
            return false;
        }
        // Candles that close together come shortest first; a shorter one that comes later takes over.
        if self.interval.is_none_or(|followed| candle.interval < followed) {
            self.interval = Some(candle.interval);
            self.closes.clear();
        }
        if self.interval != Some(candle.interval) {
            return false;
        }
        let at = candle.close_at.0;
        self.first_at.get_or_insert(candle.open_at.0);
        if matches!(candle.state, CandleState::Partial | CandleState::Unknown) {
            self.hole_at = at;
        }
        let close = match (&candle.prices, self.closes.back()) {
            (Some(prices), _) => libm::log(prices.close.decimal().to_f64()),
            (None, Some(&(_, last))) => last,
            (None, None) => return true,
        };
        if self.closes.back().is_none_or(|&(last, _)| last < at) {
            self.closes.push_back((at, close));
        }
        while self.closes.front().is_some_and(|&(first, _)| first < at.saturating_sub(self.kept_nanos)) {
            self.closes.pop_front();
        }
        true
    }

    /// The last close at or before a moment.
    fn price(&self, at: i64) -> Option<f64> {
        let before = self.closes.partition_point(|&(moment, _)| moment <= at).checked_sub(1)?;
        Some(self.closes[before].1)
    }

    /// What became of the price in so many nanoseconds after a moment.
    pub fn moved(&self, from: UnixNanos, nanos: i64) -> Move {
        let to = from.0.saturating_add(nanos);
        if self.closes.back().is_none_or(|&(last, _)| last < to) {
            return Move::Coming;
        }
        match (self.price(from.0), self.price(to)) {
            (Some(at), Some(after)) if self.hole_at <= from.0 => Move::Known(after - at),
            _ => Move::Lost,
        }
    }

    /// The last close's moment.
    pub fn now(&self) -> Option<UnixNanos> {
        self.closes.back().map(|&(at, _)| UnixNanos(at))
    }

    /// Days from the first candle to the last.
    pub fn days(&self) -> f64 {
        match (self.first_at, self.closes.back()) {
            (Some(first), Some(&(last, _))) => (last - first) as f64 / 86_400e9,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::candle::{Ohlc, Origin};
    use crate::domain::decimal::{Price, Volume};

    const MINUTE: i64 = 60_000_000_000;

    fn candle(minute: i64, close: Option<&str>, state: CandleState) -> Candle {
        let price = |text: &str| crate::domain::fields::price(text.as_bytes()).unwrap();
        let ohlc = |price: Price| Ohlc { open: price, high: price, low: price, close: price };
        Candle {
            interval: "1m".parse().unwrap(),
            open_at: UnixNanos((minute - 1) * MINUTE),
            close_at: UnixNanos(minute * MINUTE),
            prices: close.map(|text| ohlc(price(text))),
            volume: Volume::default(),
            quote_volume: None,
            trade_count: None,
            taker_buy_volume: None,
            taker_buy_quote_volume: None,
            state,
            revision: 0,
            origin: Origin::Trades,
        }
    }

    #[test]
    fn a_move_is_coming_then_known_and_lost_over_a_hole() {
        let mut track = Track::new(10 * MINUTE);
        assert!(track.take(&candle(1, Some("100"), CandleState::Traded)));
        assert_eq!(track.moved(UnixNanos(MINUTE), 2 * MINUTE), Move::Coming);
        track.take(&candle(2, None, CandleState::Empty));
        assert_eq!(track.moved(UnixNanos(MINUTE), MINUTE), Move::Known(0.0));
        track.take(&candle(3, Some("110"), CandleState::Traded));
        let Move::Known(moved) = track.moved(UnixNanos(MINUTE), 2 * MINUTE) else { panic!("known by now") };
        assert!((moved - libm::log(1.1)).abs() < 1e-12);
        track.take(&candle(4, Some("120"), CandleState::Partial));
        assert_eq!(track.moved(UnixNanos(3 * MINUTE), MINUTE), Move::Lost);
        track.take(&candle(5, Some("120"), CandleState::Traded));
        assert_eq!(track.moved(UnixNanos(4 * MINUTE), MINUTE), Move::Known(0.0));
        assert!((track.days() - 5.0 / 1_440.0).abs() < 1e-12);
        assert_eq!(track.moved(UnixNanos(0), MINUTE), Move::Lost, "no price to begin with");
    }
}
