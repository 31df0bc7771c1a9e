//! What traded in an interval, summed exactly, whatever the order in which it arrived.
//!
//! Adding is order-free: first and last trade are found by (time, tie), not by arrival, so
//! a late trade needs no other trade to be remembered.

use ethnum::U256;

use crate::analytics::rolling::sizes::SizeHistogram;
use crate::analytics::rolling::state::{State, StateFault};
use crate::domain::candle::Ohlc;
use crate::domain::decimal::{Decimal, Price, Quantity, QuoteVolume, SCALE_MAX, Volume};
use crate::domain::event::{ReadyCandle, Trade, TradeId};
use crate::domain::time::UnixNanos;

/// Where a trade stands among those of its instrument: exchange time, then numeric id, then arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    pub at: UnixNanos,
    pub tie: u64,
}

/// In what steps an instrument's amounts are counted: digits after the point of quantities and of their
/// products with prices, as fine as any trade of it needed so far.
///
/// Aligned so that two are compared at once.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(2))]
pub struct Steps {
    volume: u8,
    quote_volume: u8,
}

impl PartialEq for Steps {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let both = |steps: &Self| u16::from_le_bytes([steps.volume, steps.quote_volume]);
        both(self) == both(other)
    }
}

impl Steps {
    /// A trade that fills more than this does not make steps finer: sums of such would not fit for long.
    const ROOM: u128 = 1 << 54;

    #[inline]
    fn fit(self, of: Self) -> bool {
        (of.volume <= self.volume) & (of.quote_volume <= self.quote_volume)
    }

    #[inline]
    fn finer(self, other: Self) -> Self {
        Self {
            volume: self.volume.max(other.volume),
            quote_volume: self.quote_volume.max(other.quote_volume),
        }
    }

    /// Becomes fine enough for a trade, if steps as fine as that are of use.
    #[cold]
    #[inline(never)]
    fn refine(&mut self, of: Self, price: u64, quantity: u64) {
        let finer = self.finer(of);
        let (volume, quote) = in_steps(finer, of, price, quantity);
        if volume < Self::ROOM && quote.is_some_and(|quote| quote < Self::ROOM) {
            *self = finer;
        }
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        let mut digits = [usize::from(self.volume), usize::from(self.quote_volume)];
        state.index(&mut digits[0], SCALE_MAX as usize);
        state.index(&mut digits[1], 2 * SCALE_MAX as usize);
        let [volume, quote_volume] = digits.map(|digits| digits as u8);
        *self = Self { volume, quote_volume };
    }
}

/// Volume and quote volume of mantissas that have `of` digits after the point, in steps at least as fine;
/// `None`: beyond 128 bits.
#[inline]
fn in_steps(steps: Steps, of: Steps, price: u64, quantity: u64) -> (u128, Option<u128>) {
    let volume = u128::from(quantity) * pow10(steps.volume - of.volume);
    let product = u128::from(price) * u128::from(quantity);
    (volume, product.checked_mul(pow10(steps.quote_volume - of.quote_volume)))
}

#[inline]
fn pow10(digits: u8) -> u128 {
    const POW10: [u128; 32] = {
        let mut table = [1u128; 32];
        let mut i = 1;
        while i < table.len() {
            table[i] = table[i - 1] * 10;
            i += 1;
        }
        table
    };
    POW10[usize::from(digits) % POW10.len()]
}

/// One accepted trade, worked out once for all the sums that it enters.
#[derive(Clone, Copy, Debug)]
pub struct Print {
    pub rank: Rank,
    pub price: Price,
    /// As [`Decimal::units`] gives it.
    price_units: u128,
    pub quantity: Quantity,
    /// What it adds to volume, quote volume, and what takers bought of both, in steps; zero where they do
    /// not hold it.
    amounts: [u64; 4],
    steps: Steps,
    /// Its amounts are no numbers of steps, or its taker's side is not known.
    is_seldom: bool,
    /// 1 if the taker bought, else 0: buys and sells alternate unpredictably, and a multiplication
    /// costs less than a branch that fails half of the time.
    pub bought: u64,
    /// 1 if the taker sold, else 0.
    pub sold: u64,
    pub trade_count: u64,
}

impl Print {
    /// `arrival` orders trades of one time whose ids are no numbers. `steps` are those of the instrument;
    /// they become finer where the trade needs it.
    #[inline]
    pub fn new(trade: &Trade, arrival: u64, steps: &mut Steps) -> Self {
        let tie = if let TradeId::Number(id) = trade.id { id } else { arrival };
        let (price, quantity) = (trade.price.decimal(), trade.quantity.decimal());
        let (volume_digits, price_digits) = (quantity.scale() as u8, price.scale() as u8);
        let of = Steps { volume: volume_digits, quote_volume: price_digits + volume_digits };
        if !steps.fit(of) {
            steps.refine(of, price.mantissa(), quantity.mantissa());
        }
        let (bought, sold) = (trade.side_bits() & 1, trade.side_bits() >> 1);
        // Real amounts are short: one product that fits a word, times a power of ten that does.
        let product = u128::from(price.mantissa()) * u128::from(quantity.mantissa());
        let missing =
            [steps.volume.wrapping_sub(of.volume), steps.quote_volume.wrapping_sub(of.quote_volume)];
        let volume = u128::from(quantity.mantissa()) * u128::from(word_pow10(missing[0]));
        let quote_volume = u128::from(product as u64) * u128::from(word_pow10(missing[1]));
        let beyond = (volume | quote_volume | product) >> 64 != 0;
        // Digits beyond the table, or a difference below zero.
        let fits = !beyond & (missing[0] < 20) & (missing[1] < 20);
        let mask = u64::from(fits).wrapping_neg();
        let (volume, quote_volume) = (volume as u64 & mask, quote_volume as u64 & mask);
        let bought_mask = bought.wrapping_neg();
        Self {
            rank: Rank { at: trade.exchange_at, tie },
            price: trade.price,
            price_units: price.units(),
            quantity: trade.quantity,
            amounts: [volume, quote_volume, volume & bought_mask, quote_volume & bought_mask],
            steps: *steps,
            is_seldom: !fits | (bought | sold == 0),
            bought,
            sold,
            trade_count: u64::from(trade.trade_count),
        }
    }

    /// What it adds to the four sums, whatever the steps.
    #[cold]
    fn units(&self) -> [U256; 4] {
        let volume = Volume::of(self.quantity).units();
        let quote_volume = QuoteVolume::of(self.price, self.quantity).units();
        let bought = U256::from(self.bought);
        [volume, quote_volume, volume * bought, quote_volume * bought]
    }
}

/// Powers of ten that a word holds; 0 beyond.
#[inline]
fn word_pow10(digits: u8) -> u64 {
    const POW10: [u64; 32] = {
        let mut table = [0u64; 32];
        let mut i = 0;
        let mut power = 1u64;
        while i < 20 {
            table[i] = power;
            power = power.wrapping_mul(10);
            i += 1;
        }
        table
    };
    POW10[usize::from(digits) % POW10.len()]
}

/// The sums of an interval with at least one trade.
///
/// Thousands of these are in memory, so what is seldom needed stands apart: amounts are kept as whole
/// numbers of steps in 64 bits here, which real candles seldom fill, and overflow into `Rest`.
#[derive(Clone, Debug)]
pub struct Sums {
    pub prices: Ohlc,
    pub first: Rank,
    pub last: Rank,
    /// Volume, quote volume, and what takers bought of both, in steps; what is in `Rest` comes on top.
    amounts: [u64; 4],
    steps: Steps,
    /// What is in `Rest` comes on top.
    trade_count: u32,
    rest: Option<Box<Rest>>,
}

/// What few candles have.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rest {
    /// What the steps do not hold of the four sums, in the units of [`Volume`] and [`QuoteVolume`].
    units: [U256; 4],
    trade_count: u64,
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
    /// Whether they say the same: sums of other steps may.
    fn eq(&self, other: &Self) -> bool {
        let plain = |sums: &Self| (sums.prices, sums.first, sums.last, sums.trade_count());
        let amounts = |sums: &Self| [0, 1, 2, 3].map(|which| sums.amount(which));
        let rest = |sums: &Self| {
            let rest = sums.rest.as_deref();
            (rest.map_or(Volume::ZERO, |rest| rest.unsided_volume), sums.unsaid(), sums.sizes().cloned())
        };
        plain(self) == plain(other) && amounts(self) == amounts(other) && rest(self) == rest(other)
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
        self.amounts = print.amounts;
        self.steps = print.steps;
        self.trade_count = print.trade_count as u32;
        self.rest = None;
        if with_sizes | print.is_seldom {
            self.begin_rest(*print, with_sizes);
        }
    }

    #[cold]
    #[inline(never)]
    fn begin_rest(&mut self, print: Print, with_sizes: bool) {
        self.amounts = [0; 4];
        self.trade_count = 0;
        self.rest = Some(if with_sizes { Rest::with_sizes() } else { Box::default() });
        self.add_seldom(print, false);
    }

    pub fn of_ready(candle: &ReadyCandle, prices: Ohlc) -> Self {
        let rank = Rank { at: candle.open_at, tie: 0 };
        let mut sums = Self { prices, first: rank, last: rank, ..Self::blank() };
        let volume = candle.volume.units();
        let quote_volume = candle.quote_volume.unwrap_or_default().units();
        let bought = candle.taker_buy_volume.unwrap_or_default().units();
        sums.rest = Some(Box::new(Rest {
            units: [volume, quote_volume, bought, U256::ZERO],
            trade_count: candle.trade_count.unwrap_or(0),
            unsaid: Unsaid {
                quote_volume: candle.quote_volume.is_none(),
                trade_count: candle.trade_count.is_none(),
                taker_volume: candle.taker_buy_volume.is_none(),
                trade_times: true,
            },
            ..Rest::default()
        }));
        sums
    }

    /// What the steps hold of a sum, in its units.
    #[inline]
    fn stepped(&self, which: usize) -> U256 {
        let amount = self.amounts[which];
        if which == VOLUME || which == TAKER_BUY_VOLUME {
            return Volume::of_steps(amount, u32::from(self.steps.volume)).units();
        }
        QuoteVolume::of_steps(amount, u32::from(self.steps.quote_volume)).units()
    }

    #[inline]
    fn amount(&self, which: usize) -> U256 {
        let stepped = self.stepped(which);
        match &self.rest {
            None => stepped,
            // What was added up leaves room, so that this is pure, and done only where it is looked at.
            Some(rest) => stepped.wrapping_add(rest.units[which]),
        }
    }

    #[inline]
    pub fn trade_count(&self) -> u64 {
        u64::from(self.trade_count) + self.rest.as_ref().map_or(0, |rest| rest.trade_count)
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
        [
            self.volume().to_f64(),
            self.quote_volume().to_f64(),
            self.taker_buy_volume().to_f64(),
            self.taker_sell_volume().to_f64(),
        ]
    }

    #[inline]
    pub fn unsaid(&self) -> Unsaid {
        self.rest.as_ref().map_or(Unsaid::default(), |rest| rest.unsaid)
    }

    #[inline]
    pub fn sizes(&self) -> Option<&SizeHistogram> {
        self.rest.as_ref()?.sizes.as_deref()
    }

    /// Adds a trade in its place by rank.
    #[inline]
    pub fn add(&mut self, print: &Print) {
        if print.rank >= self.last {
            return self.add_last(print);
        }
        if print.rank < self.first {
            self.first = print.rank;
            self.prices.open = print.price;
        }
        self.stretch(print);
        self.add_amounts(print);
    }

    /// Adds a trade that is known to come after all others by rank.
    #[inline]
    pub fn add_last(&mut self, print: &Print) {
        self.last = print.rank;
        self.prices.close = print.price;
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
        let added = self.add_steps(print.amounts, print.steps, print.trade_count as u32);
        if !added | print.is_seldom | self.rest.is_some() {
            self.add_seldom(*print, added);
        }
    }

    /// Adds numbers of steps. `false`: they are other steps, or do not fit, and nothing has changed.
    #[inline]
    fn add_steps(&mut self, amounts: [u64; 4], steps: Steps, trade_count: u32) -> bool {
        let (volume, volume_carries) = self.amounts[VOLUME].overflowing_add(amounts[VOLUME]);
        let (quote_volume, quote_volume_carries) =
            self.amounts[QUOTE_VOLUME].overflowing_add(amounts[QUOTE_VOLUME]);
        let (count, count_carries) = self.trade_count.overflowing_add(trade_count);
        if volume_carries | quote_volume_carries | count_carries | (steps != self.steps) {
            return false;
        }
        // Parts of what did not carry do not either.
        let bought = self.amounts[TAKER_BUY_VOLUME].wrapping_add(amounts[TAKER_BUY_VOLUME]);
        let bought_quote = self.amounts[TAKER_BUY_QUOTE_VOLUME].wrapping_add(amounts[TAKER_BUY_QUOTE_VOLUME]);
        self.amounts = [volume, quote_volume, bought, bought_quote];
        self.trade_count = count;
        true
    }

    // By value, so that a print need not lie in memory for it.
    #[cold]
    #[inline(never)]
    fn add_seldom(&mut self, print: Print, added: bool) {
        let trade_count = print.trade_count as u32;
        let added = added || self.add_with_room(print.amounts, print.steps, trade_count);
        if !added {
            self.add_units(print.units(), print.trade_count);
        } else if print.amounts[VOLUME] == 0 {
            self.add_units(print.units(), 0);
        }
        if print.bought | print.sold == 0 {
            self.rest.get_or_insert_default().unsided_volume.add(Volume::of(print.quantity));
        }
        if let Some(Rest { sizes: Some(sizes), .. }) = self.rest.as_deref_mut() {
            sizes.add(print.quantity);
        }
    }

    /// As [`Self::add_steps`], once the steps are as fine as those and there is room for them.
    fn add_with_room(&mut self, amounts: [u64; 4], steps: Steps, trade_count: u32) -> bool {
        let finer = self.steps.finer(steps);
        if self.steps == steps {
            self.make_room();
        } else if self.steps != finer {
            let more = [finer.volume - self.steps.volume, finer.quote_volume - self.steps.quote_volume];
            let scaled = |which: usize| {
                u64::try_from(u128::from(self.amounts[which]).checked_mul(pow10(more[which % 2]))?).ok()
            };
            match (scaled(0), scaled(1), scaled(2), scaled(3)) {
                (Some(a), Some(b), Some(c), Some(d)) => self.amounts = [a, b, c, d],
                _ => self.make_room(),
            }
            self.steps = finer;
        }
        self.add_steps(amounts, steps, trade_count)
    }

    /// Moves what the steps hold to where there is room for all.
    fn make_room(&mut self) {
        let units = [0, 1, 2, 3].map(|which| self.stepped(which));
        let trade_count = u64::from(self.trade_count);
        (self.amounts, self.trade_count) = ([0; 4], 0);
        self.add_units(units, trade_count);
    }

    fn add_units(&mut self, units: [U256; 4], trade_count: u64) {
        let rest = self.rest.get_or_insert_default();
        for (mine, theirs) in rest.units.iter_mut().zip(units) {
            *mine = exact_sum(*mine, theirs);
        }
        rest.trade_count = rest.trade_count.saturating_add(trade_count);
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
        let added = self.add_steps(other.amounts, other.steps, other.trade_count);
        if !added | other.rest.is_some() {
            self.merge_seldom(other, added);
        }
    }

    #[cold]
    #[inline(never)]
    fn merge_seldom(&mut self, other: &Self, added: bool) {
        if !added && !self.add_with_room(other.amounts, other.steps, other.trade_count) {
            self.add_units([0, 1, 2, 3].map(|which| other.stepped(which)), u64::from(other.trade_count));
        }
        let Some(theirs) = &other.rest else { return };
        self.add_units(theirs.units, theirs.trade_count);
        let mine = self.rest.get_or_insert_default();
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
        self.amounts.iter_mut().for_each(|amount| state.word(amount));
        self.steps.state(state);
        state.u32(&mut self.trade_count);
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
            amounts: [0; 4],
            steps: Steps::default(),
            trade_count: 0,
            rest: None,
        }
    }
}

fn exact_sum(a: U256, b: U256) -> U256 {
    let sum = a.checked_add(b).filter(|sum| sum.into_words().0 >> 127 == 0);
    sum.expect("an exact sum never overflows")
}

impl Rest {
    #[cold]
    fn with_sizes() -> Box<Self> {
        Box::new(Self { sizes: Some(Box::default()), ..Self::default() })
    }

    fn state(&mut self, state: &mut State<'_>) {
        let mut unsided_volume = self.unsided_volume.units();
        for units in self.units.iter_mut().chain([&mut unsided_volume]) {
            let (mut high, mut low) = units.into_words();
            visit_half(&mut high, state);
            visit_half(&mut low, state);
            // What was summed leaves room for more.
            let fits = high >> 126 == 0;
            state.check(fits, "a sum beyond all trades");
            *units = U256::from_words(if fits { high } else { 0 }, low);
        }
        self.unsided_volume = Volume::from_units(unsided_volume);
        state.word(&mut self.trade_count);
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
    use crate::domain::event::Side;

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
            coarse in 0usize..5,
            turn in 0usize..60,
            cut in 1usize..60,
        ) {
            let mut steps = Steps::default();
            let prints: Vec<_> = rows
                .iter()
                .enumerate()
                .map(|(i, &(at, price, quantity, side))| {
                    let whole = whole || coarse > 0 && i % coarse == 0;
                    Print::new(&trade(at, price, quantity, side, i as u64, whole), 0, &mut steps)
                })
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
            prop_assert_eq!(expected.volume().units(), sum(|p| p.units()[0], None));
            prop_assert_eq!(expected.quote_volume().units(), sum(|p| p.units()[1], None));
            prop_assert_eq!(expected.taker_buy_volume().units(), sum(|p| p.units()[0], Some(Side::Buy)));
            prop_assert_eq!(expected.taker_buy_quote_volume().units(), sum(|p| p.units()[1], Some(Side::Buy)));
            prop_assert_eq!(expected.taker_sell_volume().units(), sum(|p| p.units()[0], Some(Side::Sell)));
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
