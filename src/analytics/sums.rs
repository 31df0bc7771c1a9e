//! What traded in an interval, summed exactly, whatever the order in which it arrived.
//!
//! Adding is order-free: first and last trade are found by (time, tie), not by arrival, so
//! a late trade needs no other trade to be remembered.

use ethnum::U256;

use crate::analytics::rolling::sizes::SizeHistogram;
use crate::analytics::rolling::state::State;
use crate::domain::candle::Ohlc;
use crate::domain::decimal::{Decimal, Price, Quantity, QuoteVolume, Volume};
use crate::domain::event::{ReadyCandle, Side, Trade, TradeId};
use crate::domain::time::UnixNanos;

/// Where a trade stands among those of its instrument: exchange time, then numeric id, then arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    pub at: UnixNanos,
    pub tie: u64,
}

/// One accepted trade, worked out once for all the sums that it enters.
#[derive(Clone, Copy, Debug)]
pub struct Print {
    pub rank: Rank,
    pub price: Price,
    pub quantity: Quantity,
    pub volume: U256,
    pub quote_volume: U256,
    pub taker_side: Option<Side>,
    pub trade_count: u64,
}

impl Print {
    /// `arrival` orders trades of one time whose ids are no numbers.
    #[inline]
    pub fn new(trade: &Trade, arrival: u64) -> Self {
        let tie = if let TradeId::Number(id) = trade.id { id } else { arrival };
        Self {
            rank: Rank { at: trade.exchange_at, tie },
            price: trade.price,
            quantity: trade.quantity,
            volume: Volume::of(trade.quantity).units(),
            quote_volume: QuoteVolume::of(trade.price, trade.quantity).units(),
            taker_side: trade.taker_side,
            trade_count: u64::from(trade.trade_count),
        }
    }
}

/// The sums of an interval with at least one trade.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    pub prices: Ohlc,
    pub volume: Volume,
    pub quote_volume: QuoteVolume,
    pub taker_buy_volume: Volume,
    pub taker_buy_quote_volume: QuoteVolume,
    /// Volume whose taker side is not known.
    pub unsided_volume: Volume,
    pub trade_count: u64,
    pub first: Rank,
    pub last: Rank,
    /// What a ready candle did not say.
    pub unsaid: Unsaid,
    /// Only where an indicator asks for it.
    pub sizes: Option<Box<SizeHistogram>>,
}

/// Fields that a ready candle left out; nothing is unsaid of trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsaid {
    pub quote_volume: bool,
    pub trade_count: bool,
    pub taker_volume: bool,
    /// Ready candles never tell it.
    pub trade_times: bool,
}

impl Sums {
    #[inline]
    pub fn new(print: &Print, with_sizes: bool) -> Self {
        let price = print.price;
        let mut sums = Self {
            prices: Ohlc { open: price, high: price, low: price, close: price },
            volume: Volume::ZERO,
            quote_volume: QuoteVolume::ZERO,
            taker_buy_volume: Volume::ZERO,
            taker_buy_quote_volume: QuoteVolume::ZERO,
            unsided_volume: Volume::ZERO,
            trade_count: 0,
            first: print.rank,
            last: print.rank,
            unsaid: Unsaid::default(),
            sizes: with_sizes.then(Box::default),
        };
        sums.add_amounts(print);
        sums
    }

    pub fn of_ready(candle: &ReadyCandle, prices: Ohlc) -> Self {
        let rank = Rank { at: candle.open_at, tie: 0 };
        Self {
            prices,
            volume: candle.volume,
            quote_volume: candle.quote_volume.unwrap_or_default(),
            taker_buy_volume: candle.taker_buy_volume.unwrap_or_default(),
            taker_buy_quote_volume: QuoteVolume::ZERO,
            unsided_volume: Volume::ZERO,
            trade_count: candle.trade_count.unwrap_or(0),
            first: rank,
            last: rank,
            unsaid: Unsaid {
                quote_volume: candle.quote_volume.is_none(),
                trade_count: candle.trade_count.is_none(),
                taker_volume: candle.taker_buy_volume.is_none(),
                trade_times: true,
            },
            sizes: None,
        }
    }

    /// Adds a trade in its place by rank.
    #[inline]
    pub fn add(&mut self, print: &Print) {
        if print.rank >= self.last {
            self.last = print.rank;
            self.prices.close = print.price;
        } else if print.rank < self.first {
            self.first = print.rank;
            self.prices.open = print.price;
        }
        self.stretch(print.price);
        self.add_amounts(print);
    }

    /// Adds a trade as the last one, whatever its time: information-driven bars take trades as they come.
    #[inline]
    pub fn append(&mut self, print: &Print) {
        self.prices.close = print.price;
        self.last = self.last.max(print.rank);
        self.stretch(print.price);
        self.add_amounts(print);
    }

    #[inline]
    fn stretch(&mut self, price: Price) {
        if price > self.prices.high {
            self.prices.high = price;
        } else if price < self.prices.low {
            self.prices.low = price;
        }
    }

    #[inline]
    fn add_amounts(&mut self, print: &Print) {
        self.volume.add(Volume::from_units(print.volume));
        self.quote_volume.add(QuoteVolume::from_units(print.quote_volume));
        // Buys and sells alternate unpredictably: a mask costs less than a branch that fails half of the time.
        let bought = u128::from(print.taker_side == Some(Side::Buy)).wrapping_neg();
        self.taker_buy_volume.add(Volume::from_units(masked(print.volume, bought)));
        self.taker_buy_quote_volume.add(QuoteVolume::from_units(masked(print.quote_volume, bought)));
        if print.taker_side.is_none() {
            self.unsided_volume.add(Volume::from_units(print.volume));
        }
        self.trade_count += print.trade_count;
        if let Some(sizes) = &mut self.sizes {
            sizes.add(print.quantity);
        }
    }

    /// Adds the sums of a neighbouring or enclosed stretch.
    pub fn merge(&mut self, other: &Self) {
        if other.last >= self.last {
            self.last = other.last;
            self.prices.close = other.prices.close;
        }
        if other.first < self.first {
            self.first = other.first;
            self.prices.open = other.prices.open;
        }
        self.prices.high = self.prices.high.max(other.prices.high);
        self.prices.low = self.prices.low.min(other.prices.low);
        self.volume.add(other.volume);
        self.quote_volume.add(other.quote_volume);
        self.taker_buy_volume.add(other.taker_buy_volume);
        self.taker_buy_quote_volume.add(other.taker_buy_quote_volume);
        self.unsided_volume.add(other.unsided_volume);
        self.trade_count += other.trade_count;
        self.unsaid.quote_volume |= other.unsaid.quote_volume;
        self.unsaid.trade_count |= other.unsaid.trade_count;
        self.unsaid.taker_volume |= other.unsaid.taker_volume;
        self.unsaid.trade_times |= other.unsaid.trade_times;
        if let (Some(mine), Some(theirs)) = (&mut self.sizes, &other.sizes) {
            mine.merge(theirs);
        }
    }

    /// What takers sold.
    pub fn taker_sell_volume(&self) -> Volume {
        self.volume
            .checked_sub(self.taker_buy_volume)
            .and_then(|rest| rest.checked_sub(self.unsided_volume))
            .unwrap_or_default()
    }

    /// Visits all that a closed candle needs to be put aside and taken back.
    pub fn state(&mut self, state: &mut State<'_>) {
        for price in
            [&mut self.prices.open, &mut self.prices.high, &mut self.prices.low, &mut self.prices.close]
        {
            let mut bits = price.decimal().to_bits();
            state.word(&mut bits);
            *price = Decimal::from_bits(bits)
                .and_then(|value| Price::new(value).ok())
                .expect("a price that was put aside is a price");
        }
        visit_volume(&mut self.volume, state);
        visit_quote(&mut self.quote_volume, state);
        visit_volume(&mut self.taker_buy_volume, state);
        visit_quote(&mut self.taker_buy_quote_volume, state);
        visit_volume(&mut self.unsided_volume, state);
        state.word(&mut self.trade_count);
        for rank in [&mut self.first, &mut self.last] {
            state.i64(&mut rank.at.0);
            state.word(&mut rank.tie);
        }
        let unsaid = &mut self.unsaid;
        for flag in [
            &mut unsaid.quote_volume,
            &mut unsaid.trade_count,
            &mut unsaid.taker_volume,
            &mut unsaid.trade_times,
        ] {
            state.bool(flag);
        }
        let mut with_sizes = self.sizes.is_some();
        state.bool(&mut with_sizes);
        if with_sizes {
            self.sizes.get_or_insert_default().state(state);
        } else {
            self.sizes = None;
        }
    }

    /// Something to restore into.
    pub fn blank() -> Self {
        let one = Price::new(Decimal::new(1, 0).expect("one is a decimal")).expect("one is a price");
        let rank = Rank { at: UnixNanos(0), tie: 0 };
        Self {
            prices: Ohlc { open: one, high: one, low: one, close: one },
            volume: Volume::ZERO,
            quote_volume: QuoteVolume::ZERO,
            taker_buy_volume: Volume::ZERO,
            taker_buy_quote_volume: QuoteVolume::ZERO,
            unsided_volume: Volume::ZERO,
            trade_count: 0,
            first: rank,
            last: rank,
            unsaid: Unsaid::default(),
            sizes: None,
        }
    }
}

#[inline]
fn masked(value: U256, mask: u128) -> U256 {
    let (high, low) = value.into_words();
    U256::from_words(high & mask, low & mask)
}

fn visit_units(units: U256, state: &mut State<'_>) -> U256 {
    let (high, low) = units.into_words();
    let mut words = [low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64];
    for word in &mut words {
        state.word(word);
    }
    let wide = words.map(u128::from);
    U256::from_words(wide[2] | (wide[3] << 64), wide[0] | (wide[1] << 64))
}

fn visit_volume(volume: &mut Volume, state: &mut State<'_>) {
    *volume = Volume::from_units(visit_units(volume.units(), state));
}

fn visit_quote(volume: &mut QuoteVolume, state: &mut State<'_>) {
    *volume = QuoteVolume::from_units(visit_units(volume.units(), state));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trade(at: i64, price: u64, quantity: u64, side: u8, id: u64) -> Trade {
        Trade {
            price: Price::new(Decimal::new(price, 2).unwrap()).unwrap(),
            quantity: Quantity::new(Decimal::new(quantity, 5).unwrap()).unwrap(),
            exchange_at: UnixNanos(at),
            received_at: None,
            id: TradeId::Number(id),
            taker_side: [None, Some(Side::Buy), Some(Side::Sell)][usize::from(side)],
            trade_count: 1,
        }
    }

    fn sums_of(prints: &[Print]) -> Sums {
        let mut sums = Sums::new(&prints[0], true);
        prints[1..].iter().for_each(|print| sums.add(print));
        sums
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_changes_nothing(
            rows in prop::collection::vec((0i64..50, 1u64..1_000, 1u64..10_000, 0u8..3), 1..60),
            turn in 0usize..60,
            cut in 1usize..60,
        ) {
            let prints: Vec<_> = rows
                .iter()
                .enumerate()
                .map(|(i, &(at, price, quantity, side))| Print::new(&trade(at, price, quantity, side, i as u64), 0))
                .collect();
            let mut sorted = prints.clone();
            sorted.sort_by_key(|print| print.rank);
            let expected = sums_of(&sorted);
            prop_assert_eq!(expected.prices.open, sorted[0].price);
            prop_assert_eq!(expected.prices.close, sorted[sorted.len() - 1].price);
            let mut turned = prints;
            turned.rotate_left(turn % rows.len());
            prop_assert_eq!(&sums_of(&turned), &expected);
            if turned.len() > 1 {
                let (a, b) = turned.split_at(1 + (cut - 1) % (turned.len() - 1));
                let mut merged = sums_of(a);
                merged.merge(&sums_of(b));
                prop_assert_eq!(&merged, &expected);
            }
            let mut words = Vec::new();
            let mut saved = expected.clone();
            saved.state(&mut State::Save(&mut words));
            let mut restored = Sums::blank();
            restored.state(&mut State::load(&words));
            prop_assert_eq!(restored, expected);
        }
    }
}
