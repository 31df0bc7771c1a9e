//! The desk: where candles and what indicators say of them are told.
//!
//! A desk is set up for the time of one event; it borrows what all series of a symbol share.

use crate::analytics::archive::Archive;
use crate::analytics::gaps::Gaps;
use crate::analytics::indicator::Bar;
use crate::analytics::indicator_set::{IndicatorPlan, IndicatorSet};
use crate::analytics::sums::Sums;
use crate::domain::candle::{Candle, CandleState, Origin};
use crate::domain::data_state::DataState;
use crate::domain::interval::Interval;
use crate::domain::output::{IndicatorSnapshot, Output, OutputSink};
use crate::domain::time::UnixNanos;

/// What telling needs: the same for all series of a symbol.
pub struct Desk<'a, S> {
    pub plan: &'a IndicatorPlan,
    pub gaps: &'a Gaps,
    /// The first trade known: the interval that holds it began unwatched.
    pub began_at: UnixNanos,
    /// Nothing more will come: what closes now was still open.
    pub ending: bool,
    pub origin: Origin,
    pub cause_seq: u64,
    pub window: usize,
    pub candles_told: &'a mut u64,
    pub archive: &'a mut dyn Archive,
    pub out: &'a mut S,
}

impl<S: OutputSink> Desk<'_, S> {
    /// Whether something of `[open, close)` may be unknown.
    #[inline]
    pub fn touched(&self, open: UnixNanos, close: UnixNanos) -> bool {
        // A ready candle begins at its open time, and nothing of its interval is missing then.
        let began_inside = self.began_at < close
            && (self.began_at > open || (self.began_at == open && self.origin == Origin::Trades));
        began_inside || self.ending || self.gaps.touches(open, close)
    }

    #[inline]
    pub fn tell(&mut self, candle: &Candle) {
        *self.candles_told += u64::from(candle.revision == 0);
        self.out.accept(self.cause_seq, Output::Candle(candle));
    }

    /// Advances the indicators over a candle told for the first time, and tells what they say.
    #[inline]
    pub fn advance(&mut self, set: &mut IndicatorSet, interval: Interval, bar: &Bar<'_>, partial: bool) {
        set.advance_and(self.plan, bar, partial, |shape, values, data_state| {
            let snapshot = IndicatorSnapshot {
                interval,
                open_at: bar.open_at,
                position: shape.position,
                indicator: &shape.name,
                outputs: shape.outputs,
                values,
                revision: 0,
                data_state,
            };
            self.out.accept(self.cause_seq, Output::Indicator(&snapshot));
        });
    }

    /// `values` may be none at all: a revision took away what the indicator said there (two deltas
    /// became equal, and there is no slope any more).
    #[inline]
    pub fn tell_values(
        &mut self,
        interval: Interval,
        open_at: UnixNanos,
        position: usize,
        values: &[f64],
        data_state: DataState,
        revision: u32,
    ) {
        let snapshot = IndicatorSnapshot {
            interval,
            open_at,
            position,
            indicator: &self.plan.names[position],
            outputs: self.plan.outputs[position],
            values,
            revision,
            data_state,
        };
        self.out.accept(self.cause_seq, Output::Indicator(&snapshot));
    }
}

/// The candle that sums make. Always inlined: then only what a sink looks at is worked out.
#[inline(always)]
pub fn told_candle(
    interval: Interval,
    (open_at, close_at): (UnixNanos, UnixNanos),
    sums: &Sums,
    state: CandleState,
    revision: u32,
    origin: Origin,
) -> Candle {
    let unsaid = sums.unsaid();
    Candle {
        interval,
        open_at,
        close_at,
        prices: Some(sums.prices),
        volume: sums.volume(),
        quote_volume: (!unsaid.quote_volume).then(|| sums.quote_volume()),
        trade_count: (!unsaid.trade_count).then(|| sums.trade_count()),
        taker_buy_volume: (!unsaid.taker_volume).then(|| sums.taker_buy_volume()),
        taker_buy_quote_volume: (!unsaid.trade_times).then(|| sums.taker_buy_quote_volume()),
        state,
        revision,
        origin,
    }
}

/// The candle that sums make, as statistics see it. Always inlined: it is large, and would be copied.
#[inline(always)]
pub fn bar_of((open_at, close_at): (UnixNanos, UnixNanos), sums: &Sums, with_amounts: bool) -> Bar<'_> {
    let prices = &sums.prices;
    let [volume, quote_volume, bought, sold] = if with_amounts { sums.amounts_f64() } else { [f64::NAN; 4] };
    let unsaid = sums.unsaid();
    // First: divisions wait for each other, and most indicators for this one.
    let close = prices.close.decimal().to_f64();
    // Built where it stays: what is changed afterwards would be copied.
    Bar {
        open_at,
        close_at,
        open: prices.open.decimal().to_f64(),
        high: prices.high.decimal().to_f64(),
        low: prices.low.decimal().to_f64(),
        close,
        volume,
        quote_volume: (!unsaid.quote_volume).then_some(quote_volume),
        trade_count: (!unsaid.trade_count).then(|| sums.trade_count()),
        taker_buy_volume: (!unsaid.taker_volume).then_some(bought),
        taker_sell_volume: (!unsaid.taker_volume).then_some(sold),
        trade_times: (!unsaid.trade_times).then_some((sums.first.at, sums.last.at)),
        sizes: sums.sizes(),
    }
}
