//! What traded in an interval, summed exactly, whatever the order in which it arrived.
//!
//! Adding is order-free: first and last trade are found by (time, tie), not by arrival, so
//! a late trade needs no other trade to be remembered.

use ethnum::U256;

use crate::analytics::rolling::sizes::SizeHistogram;
use crate::analytics::rolling::state::{State, StateFault};
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
    /// As [`Decimal::units`] gives it.
    price_units: u128,
    pub quantity: Quantity,
    /// What it adds to the lower halves of volume and quote volume.
    low: [u128; 2],
    /// The upper half of its quote volume; that of its volume is always zero.
    high: u128,
    /// 1 if the taker bought, else 0: buys and sells alternate unpredictably, and a multiplication
    /// costs less than a branch that fails half of the time.
    pub bought: u64,
    /// 1 if the taker sold, else 0.
    pub sold: u64,
    pub trade_count: u64,
}

impl Print {
    /// `arrival` orders trades of one time whose ids are no numbers.
    #[inline]
    pub fn new(trade: &Trade, arrival: u64) -> Self {
        let tie = if let TradeId::Number(id) = trade.id { id } else { arrival };
        let volume = trade.quantity.decimal().units();
        let (high, quote_volume) = QuoteVolume::of(trade.price, trade.quantity).units().into_words();
        Self {
            rank: Rank { at: trade.exchange_at, tie },
            price: trade.price,
            price_units: trade.price.decimal().units(),
            quantity: trade.quantity,
            low: [volume, quote_volume],
            high,
            bought: u64::from(matches!(trade.taker_side, Some(Side::Buy))),
            sold: u64::from(matches!(trade.taker_side, Some(Side::Sell))),
            trade_count: u64::from(trade.trade_count),
        }
    }

    /// Whether the lower halves of the sums do not say all of it.
    #[inline]
    fn is_seldom(&self) -> bool {
        (self.high != 0) | (self.bought | self.sold == 0)
    }

    /// What it adds to the lower halves of what takers bought.
    #[inline]
    fn bought_low(&self) -> [u128; 2] {
        let mask = u128::from(self.bought).wrapping_neg();
        self.low.map(|low| low & mask)
    }
}

/// The sums of an interval with at least one trade.
///
/// Thousands of these are in memory, so what is seldom needed stands apart: the sums are
/// kept in 128 bits here, which real candles fill as good as never, and overflow into `Rest`.
#[derive(Clone, Debug)]
pub struct Sums {
    pub prices: Ohlc,
    pub first: Rank,
    pub last: Rank,
    /// The lower halves of volume, quote volume, and what takers bought of both.
    low: [u128; 4],
    pub trade_count: u64,
    rest: Option<Box<Rest>>,
}

/// What few candles have.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rest {
    /// The upper halves of the sums.
    high: [u128; 4],
    /// Volume whose taker side is not known.
    unsided_volume: Volume,
    unsaid: Unsaid,
    /// Only where an indicator asks for it.
    sizes: Option<Box<SizeHistogram>>,
}

const VOLUME: usize = 0;
const QUOTE_VOLUME: usize = 1;
const TAKER_BUY_VOLUME: usize = 2;
const TAKER_BUY_QUOTE_VOLUME: usize = 3;

/// Fields that a ready candle left out; nothing is unsaid of trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsaid {
    pub quote_volume: bool,
    pub trade_count: bool,
    pub taker_volume: bool,
    /// Ready candles never tell it.
    pub trade_times: bool,
}

impl PartialEq for Sums {
    fn eq(&self, other: &Self) -> bool {
        let plain = |sums: &Self| (sums.prices, sums.first, sums.last, sums.low, sums.trade_count);
        let rest = |sums: &Self| sums.rest.as_deref().cloned().unwrap_or_default();
        plain(self) == plain(other) && rest(self) == rest(other)
    }
}

impl Sums {
    pub fn new(print: Print, with_sizes: bool) -> Self {
        let mut sums = Self::blank();
        sums.begin(&print, with_sizes);
        sums
    }

    /// Forgets what it holds, and begins with a trade.
    #[inline]
    pub fn begin(&mut self, print: &Print, with_sizes: bool) {
        let price = print.price;
        self.prices = Ohlc { open: price, high: price, low: price, close: price };
        (self.first, self.last) = (print.rank, print.rank);
        let ([volume, quote_volume], [bought, bought_quote]) = (print.low, print.bought_low());
        self.low = [volume, quote_volume, bought, bought_quote];
        self.trade_count = print.trade_count;
        self.rest = None;
        if with_sizes | print.is_seldom() {
            self.begin_rest(*print, with_sizes);
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_rest(&mut self, print: Print, with_sizes: bool) {
        self.rest = Some(if with_sizes { Rest::with_sizes() } else { Box::default() });
        self.add_rest(print);
    }

    pub fn of_ready(candle: &ReadyCandle, prices: Ohlc) -> Self {
        let rank = Rank { at: candle.open_at, tie: 0 };
        let mut sums = Self {
            prices,
            first: rank,
            last: rank,
            low: [0; 4],
            trade_count: candle.trade_count.unwrap_or(0),
            rest: None,
        };
        sums.rest.get_or_insert_default().unsaid = Unsaid {
            quote_volume: candle.quote_volume.is_none(),
            trade_count: candle.trade_count.is_none(),
            taker_volume: candle.taker_buy_volume.is_none(),
            trade_times: true,
        };
        sums.add_to(VOLUME, candle.volume.units());
        sums.add_to(QUOTE_VOLUME, candle.quote_volume.unwrap_or_default().units());
        sums.add_to(TAKER_BUY_VOLUME, candle.taker_buy_volume.unwrap_or_default().units());
        sums
    }

    #[inline]
    fn amount(&self, which: usize) -> U256 {
        let high = self.rest.as_ref().map_or(0, |rest| rest.high[which]);
        U256::from_words(high, self.low[which])
    }

    #[inline]
    pub fn volume(&self) -> Volume {
        Volume::from_units(self.amount(VOLUME))
    }

    #[inline]
    pub fn quote_volume(&self) -> QuoteVolume {
        QuoteVolume::from_units(self.amount(QUOTE_VOLUME))
    }

    #[inline]
    pub fn taker_buy_volume(&self) -> Volume {
        Volume::from_units(self.amount(TAKER_BUY_VOLUME))
    }

    #[inline]
    pub fn taker_buy_quote_volume(&self) -> QuoteVolume {
        QuoteVolume::from_units(self.amount(TAKER_BUY_QUOTE_VOLUME))
    }

    /// What takers sold: trades of unknown side are neither bought nor sold.
    #[inline]
    pub fn taker_sell_volume(&self) -> Volume {
        let mut bought = self.taker_buy_volume();
        if let Some(rest) = &self.rest {
            bought.add(rest.unsided_volume);
        }
        self.volume().checked_sub(bought).expect("a part is not more than the whole")
    }

    /// Volume, quote volume, and what takers bought and sold of the first, as statistics see them: each as
    /// [`crate::domain::decimal::Amount::to_f64`] gives it.
    #[inline]
    pub fn amounts_f64(&self) -> [f64; 4] {
        let bought = self.low[TAKER_BUY_VOLUME];
        if self.rest.is_none() {
            return [
                Volume::low_to_f64(self.low[VOLUME]),
                QuoteVolume::low_to_f64(self.low[QUOTE_VOLUME]),
                Volume::low_to_f64(bought),
                Volume::low_to_f64(self.low[VOLUME] - bought),
            ];
        }
        [
            self.volume().to_f64(),
            self.quote_volume().to_f64(),
            self.taker_buy_volume().to_f64(),
            self.taker_sell_volume().to_f64(),
        ]
    }

    /// Whether there is anything unsaid, or sizes.
    #[inline]
    pub fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    #[inline]
    pub fn unsaid(&self) -> Unsaid {
        self.rest.as_ref().map_or(Unsaid::default(), |rest| rest.unsaid)
    }

    pub fn sizes(&self) -> Option<&SizeHistogram> {
        self.rest.as_ref()?.sizes.as_deref()
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
        self.stretch(print);
        self.add_amounts(print);
    }

    /// Adds a trade as the last one, whatever its time: information-driven bars take trades as they come.
    #[inline]
    pub fn append(&mut self, print: &Print) {
        self.prices.close = print.price;
        self.last = self.last.max(print.rank);
        self.stretch(print);
        self.add_amounts(print);
    }

    #[inline]
    fn stretch(&mut self, print: &Print) {
        // Always by units: whether two prices have as many digits after the point is a coin that
        // no processor foresees.
        if print.price_units > self.prices.high.decimal().units() {
            self.prices.high = print.price;
        } else if print.price_units < self.prices.low.decimal().units() {
            self.prices.low = print.price;
        }
    }

    #[inline]
    fn add_amounts(&mut self, print: &Print) {
        let [volume, quote_volume, bought_volume, bought_quote_volume] = &mut self.low;
        let (volume_carries, quote_volume_carries);
        (*volume, volume_carries) = volume.overflowing_add(print.low[VOLUME]);
        (*quote_volume, quote_volume_carries) = quote_volume.overflowing_add(print.low[QUOTE_VOLUME]);
        // A part of what did not carry does not either; otherwise it is found out behind the branch.
        let [bought, bought_quote] = print.bought_low();
        *bought_volume = bought_volume.wrapping_add(bought);
        *bought_quote_volume = bought_quote_volume.wrapping_add(bought_quote);
        self.trade_count += print.trade_count;
        let seldom = volume_carries | quote_volume_carries | print.is_seldom() | self.rest.is_some();
        if seldom {
            self.add_rest(*print);
        }
    }

    // By value, so that a print need not lie in memory for it.
    #[cold]
    #[inline(never)]
    fn add_rest(&mut self, print: Print) {
        // A sum below what was added to it has gone round.
        let ([volume, quote_volume], [bought, bought_quote]) = (print.low, print.bought_low());
        let lows = [volume, quote_volume, bought, bought_quote];
        let carries: [bool; 4] = std::array::from_fn(|which| self.low[which] < lows[which]);
        let rest = self.rest.get_or_insert_default();
        let highs = [0, print.high, 0, print.high * u128::from(print.bought)];
        for ((slot, high), carry) in rest.high.iter_mut().zip(highs).zip(carries) {
            *slot = slot.checked_add(high + u128::from(carry)).expect("an exact sum never overflows");
        }
        if print.bought | print.sold == 0 {
            rest.unsided_volume.add(Volume::of(print.quantity));
        }
        if let Some(sizes) = &mut rest.sizes {
            sizes.add(print.quantity);
        }
    }

    #[inline]
    fn add_to(&mut self, which: usize, units: U256) {
        let (high, low) = units.into_words();
        let (sum, carry) = self.low[which].overflowing_add(low);
        self.low[which] = sum;
        if carry || high != 0 {
            self.overflow(which, high + u128::from(carry));
        }
    }

    #[cold]
    fn overflow(&mut self, which: usize, high: u128) {
        let slot = &mut self.rest.get_or_insert_default().high[which];
        *slot = slot.checked_add(high).expect("an exact sum never overflows");
    }

    /// Adds the sums of a neighbouring or enclosed stretch.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        if other.last >= self.last {
            self.last = other.last;
            self.prices.close = other.prices.close;
        }
        if other.first < self.first {
            self.first = other.first;
            self.prices.open = other.prices.open;
        }
        // By units, as in `stretch`.
        if other.prices.high.decimal().units() > self.prices.high.decimal().units() {
            self.prices.high = other.prices.high;
        }
        if other.prices.low.decimal().units() < self.prices.low.decimal().units() {
            self.prices.low = other.prices.low;
        }
        self.trade_count += other.trade_count;
        let mut carries = [false; 4];
        for ((mine, theirs), carry) in self.low.iter_mut().zip(other.low).zip(&mut carries) {
            (*mine, *carry) = mine.overflowing_add(theirs);
        }
        let [a, b, c, d] = carries;
        if a | b | c | d | other.rest.is_some() {
            self.merge_rest(carries, other);
        }
    }

    #[cold]
    #[inline(never)]
    fn merge_rest(&mut self, carries: [bool; 4], other: &Self) {
        for (which, carry) in carries.into_iter().enumerate() {
            self.overflow(which, u128::from(carry));
        }
        let Some(theirs) = &other.rest else { return };
        let mine = self.rest.get_or_insert_default();
        for (mine, theirs) in mine.high.iter_mut().zip(theirs.high) {
            *mine = mine.checked_add(theirs).expect("an exact sum never overflows");
        }
        mine.unsided_volume.add(theirs.unsided_volume);
        mine.unsaid.quote_volume |= theirs.unsaid.quote_volume;
        mine.unsaid.trade_count |= theirs.unsaid.trade_count;
        mine.unsaid.taker_volume |= theirs.unsaid.taker_volume;
        mine.unsaid.trade_times |= theirs.unsaid.trade_times;
        if let (Some(mine), Some(theirs)) = (&mut mine.sizes, &theirs.sizes) {
            mine.merge(theirs);
        }
    }

    /// Visits all that a closed candle needs to be put aside and taken back.
    pub fn state(&mut self, state: &mut State<'_>) {
        let prices = &mut self.prices;
        for price in [&mut prices.open, &mut prices.high, &mut prices.low, &mut prices.close] {
            let mut bits = price.decimal().to_bits();
            state.word(&mut bits);
            match Decimal::from_bits(bits).and_then(|value| Price::new(value).ok()) {
                Some(restored) => *price = restored,
                None => state.fault(StateFault::Impossible("price is no decimal above zero")),
            }
        }
        self.low.iter_mut().for_each(|half| visit_half(half, state));
        state.word(&mut self.trade_count);
        for rank in [&mut self.first, &mut self.last] {
            state.i64(&mut rank.at.0);
            state.word(&mut rank.tie);
        }
        let mut some = self.rest.is_some();
        state.bool(&mut some);
        if some {
            self.rest.get_or_insert_default().state(state);
        } else {
            self.rest = None;
        }
        if state.is_load() {
            let bought = self.taker_buy_volume().units();
            let unsided = self.rest.as_ref().map_or(U256::ZERO, |rest| rest.unsided_volume.units());
            let parts = bought.checked_add(unsided);
            let fits = parts.is_some_and(|parts| parts <= self.volume().units());
            state.check(fits, "a part of a volume is more than the whole");
        }
    }

    /// Something to restore into.
    pub fn blank() -> Self {
        let one = Price::new(Decimal::new(1, 0).expect("one is a decimal")).expect("one is a price");
        let rank = Rank { at: UnixNanos(0), tie: 0 };
        Self {
            prices: Ohlc { open: one, high: one, low: one, close: one },
            first: rank,
            last: rank,
            low: [0; 4],
            trade_count: 0,
            rest: None,
        }
    }
}

impl Rest {
    #[cold]
    fn with_sizes() -> Box<Self> {
        Box::new(Self { sizes: Some(Box::default()), ..Self::default() })
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.high.iter_mut().for_each(|half| visit_half(half, state));
        let (mut high, mut low) = self.unsided_volume.units().into_words();
        visit_half(&mut high, state);
        visit_half(&mut low, state);
        self.unsided_volume = Volume::from_units(U256::from_words(high, low));
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
}

fn visit_half(half: &mut u128, state: &mut State<'_>) {
    let (mut low, mut high) = (*half as u64, (*half >> 64) as u64);
    state.word(&mut low);
    state.word(&mut high);
    *half = u128::from(low) | (u128::from(high) << 64);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trade(at: i64, price: u64, quantity: u64, side: u8, id: u64, whole: bool) -> Trade {
        // Whole numbers of the largest size overflow 128 bits of quote volume.
        let scales = if whole { (0, 0) } else { (2, 5) };
        Trade {
            price: Price::new(Decimal::new(price, scales.0).unwrap()).unwrap(),
            quantity: Quantity::new(Decimal::new(quantity, scales.1).unwrap()).unwrap(),
            exchange_at: UnixNanos(at),
            received_at: None,
            id: TradeId::Number(id),
            taker_side: [None, Some(Side::Buy), Some(Side::Sell)][usize::from(side)],
            trade_count: 1,
        }
    }

    fn sums_of(prints: &[Print]) -> Sums {
        let mut sums = Sums::new(prints[0], true);
        prints[1..].iter().for_each(|print| sums.add(print));
        sums
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_changes_nothing(
            rows in prop::collection::vec((0i64..50, 1u64..1_000, prop_oneof![1u64..10_000, Just(999_999_999_999_999_999)], 0u8..3), 1..60),
            whole in any::<bool>(),
            turn in 0usize..60,
            cut in 1usize..60,
        ) {
            let prints: Vec<_> = rows
                .iter()
                .enumerate()
                .map(|(i, &(at, price, quantity, side))| Print::new(&trade(at, price, quantity, side, i as u64, whole), 0))
                .collect();
            let mut sorted = prints.clone();
            sorted.sort_by_key(|print| print.rank);
            let expected = sums_of(&sorted);
            prop_assert_eq!(expected.prices.open, sorted[0].price);
            prop_assert_eq!(expected.prices.close, sorted[sorted.len() - 1].price);
            let sum = |of: fn(&Print) -> U256, side: Option<Side>| {
                let is = |print: &Print| match side {
                    None => true,
                    Some(Side::Buy) => print.bought == 1,
                    Some(Side::Sell) => print.sold == 1,
                };
                let wanted = prints.iter().filter(|print| is(print));
                wanted.fold(U256::ZERO, |sum, print| sum + of(print))
            };
            prop_assert_eq!(expected.volume().units(), sum(|p| U256::new(p.low[VOLUME]), None));
            prop_assert_eq!(expected.quote_volume().units(), sum(|p| U256::from_words(p.high, p.low[QUOTE_VOLUME]), None));
            prop_assert_eq!(expected.taker_buy_volume().units(), sum(|p| U256::new(p.low[VOLUME]), Some(Side::Buy)));
            prop_assert_eq!(expected.taker_buy_quote_volume().units(), sum(|p| U256::from_words(p.high, p.low[QUOTE_VOLUME]), Some(Side::Buy)));
            prop_assert_eq!(expected.taker_sell_volume().units(), sum(|p| U256::new(p.low[VOLUME]), Some(Side::Sell)));
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
