//! Information-driven bars: a bar ends when as much has happened as its parameter says.
//!
//! Source: M. López de Prado, *Advances in Financial Machine Learning* (Wiley, 2018),
//! chapter 2. Tick, volume and value ("dollar") bars are his standard bars; imbalance and
//! run bars are his information-driven ones with the expected threshold replaced by the
//! parameter, so that a bar depends on its own trades alone.
//!
//! Odd cases, settled:
//! - a bar takes accepted trades in the order of the log, and is never revised: a late or
//!   repaired trade enters the bar that is open, which is then `partial`; so is a bar that
//!   was open during a hole, and the one that the end of a recording closes;
//! - a trade is never split: a bar closes when its threshold is reached or passed, so one
//!   huge trade makes one bar of many times the threshold;
//! - an aggregate counts as many ticks as it has trades;
//! - a trade whose taker side is unknown counts to neither side: a recording without sides
//!   never closes an imbalance or run bar before its end;
//! - runs count all buys or all sells of the bar, not only uninterrupted ones (his definition);
//! - `open_time` is the first trade's time, raised by nanoseconds where needed to exceed the
//!   previous bar's; `close_time` is the latest trade's time plus one nanosecond.

use ethnum::U256;

use crate::analytics::candles::forming_candle;
use crate::analytics::desk::{Desk, bar_of, told_candle};
use crate::analytics::indicator_set::{IndicatorPlan, IndicatorSet};
use crate::analytics::rolling::state::State;
use crate::analytics::sums::{Print, Rank, Sums};
use crate::domain::candle::CandleState;
use crate::domain::decimal::{Decimal, QuoteVolume, Volume};
use crate::domain::interval::Interval;
use crate::domain::output::OutputSink;
use crate::domain::standing::StandingSeries;
use crate::domain::time::UnixNanos;

/// What closes a bar, with its parameter in the units of the sums.
#[derive(Clone, Copy, Debug)]
enum Threshold {
    Ticks(u64),
    Volume(Volume),
    Value(QuoteVolume),
    TickImbalance(u64),
    VolumeImbalance(Volume),
    TickRun(u64),
}

/// The bars of one information-driven interval.
pub struct InformationBars {
    interval: Interval,
    threshold: Threshold,
    open: Option<OpenBar>,
    previous_open_at: UnixNanos,
    set: IndicatorSet,
}

#[derive(Debug)]
struct OpenBar {
    sums: Sums,
    first_at: UnixNanos,
    buys: u64,
    sells: u64,
    /// A late or repaired trade is in it.
    disturbed: bool,
}

impl OpenBar {
    /// Something to restore into.
    fn blank() -> Self {
        Self { sums: Sums::blank(), first_at: UnixNanos(0), buys: 0, sells: 0, disturbed: false }
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.sums.state(state);
        state.i64(&mut self.first_at.0);
        state.word(&mut self.buys);
        state.word(&mut self.sells);
        state.bool(&mut self.disturbed);
    }
}

impl InformationBars {
    /// `None` for an interval of time.
    pub fn new(interval: Interval, plan: &IndicatorPlan) -> Option<Self> {
        let volume = |x: Decimal| Volume::from_units(U256::new(x.units()));
        let threshold = match interval {
            Interval::Time(_) => return None,
            Interval::Ticks(n) => Threshold::Ticks(n),
            Interval::Volume(x) => Threshold::Volume(volume(x)),
            // Units of 10^-15 become units of 10^-30.
            Interval::Value(x) => {
                Threshold::Value(QuoteVolume::from_units(U256::new(x.units()) * U256::new(10).pow(15)))
            }
            Interval::TickImbalance(n) => Threshold::TickImbalance(n),
            Interval::VolumeImbalance(x) => Threshold::VolumeImbalance(volume(x)),
            Interval::TickRun(n) => Threshold::TickRun(n),
        };
        let previous_open_at = UnixNanos(i64::MIN);
        Some(Self { interval, threshold, open: None, previous_open_at, set: IndicatorSet::new(plan) })
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        let mut some = self.open.is_some();
        state.bool(&mut some);
        if some {
            self.open.get_or_insert_with(OpenBar::blank).state(state);
        } else {
            self.open = None;
        }
        state.i64(&mut self.previous_open_at.0);
        self.set.state(state);
    }

    /// Whether a trade of this rank comes after all that the open bar holds.
    pub fn is_last(&self, rank: Rank) -> bool {
        self.open.as_ref().is_none_or(|bar| bar.sums.last <= rank)
    }

    /// Takes the next trade of the log. `LAST`: it is known to come after all others by rank. `true`: the bar is full and
    /// is to be closed. Always inlined, as `Series::add`.
    #[inline(always)]
    pub fn add<const LAST: bool>(&mut self, print: &Print, disturbing: bool, with_sizes: bool) -> bool {
        let bar = match &mut self.open {
            Some(bar) => {
                if LAST {
                    bar.sums.add_last(print);
                } else {
                    bar.sums.append(print);
                }
                bar
            }
            None => self.open.insert(OpenBar {
                sums: Sums::new(*print, with_sizes),
                first_at: print.rank.at,
                buys: 0,
                sells: 0,
                disturbed: false,
            }),
        };
        bar.disturbed |= disturbing;
        let sums = &bar.sums;
        // Sides are counted where they are asked for.
        if let Threshold::Ticks(n) = self.threshold {
            return sums.trade_count() >= n;
        }
        bar.buys += print.trade_count * print.bought;
        bar.sells += print.trade_count * print.sold;
        match self.threshold {
            Threshold::Ticks(n) => sums.trade_count() >= n,
            Threshold::Volume(x) => sums.volume() >= x,
            Threshold::Value(x) => sums.quote_volume() >= x,
            Threshold::TickImbalance(n) => bar.buys.abs_diff(bar.sells) >= n,
            Threshold::VolumeImbalance(x) => {
                let (bought, sold) = (sums.taker_buy_volume(), sums.taker_sell_volume());
                let imbalance = bought.checked_sub(sold).or_else(|| sold.checked_sub(bought));
                imbalance.is_some_and(|imbalance| imbalance >= x)
            }
            Threshold::TickRun(n) => bar.buys.max(bar.sells) >= n,
        }
    }

    /// The bar that is open.
    pub fn forming(&self) -> StandingSeries {
        let forming = self.open.as_ref().map(|bar| {
            let close_at = UnixNanos(bar.sums.last.at.max(bar.first_at).0.saturating_add(1));
            forming_candle(self.interval, (bar.first_at, close_at), &bar.sums)
        });
        let closed_until = UnixNanos(i64::MIN);
        StandingSeries { interval: self.interval, closed_until, forming: forming.into_iter().collect() }
    }

    /// Closes the open bar, if there is one.
    pub fn close<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) {
        let Some(bar) = self.open.take() else { return };
        let open_at = bar.first_at.max(UnixNanos(self.previous_open_at.0.saturating_add(1)));
        let close_at = UnixNanos(bar.sums.last.at.max(open_at).0 + 1);
        self.previous_open_at = open_at;
        let in_a_hole = desk.gaps.touches(bar.first_at.min(bar.sums.first.at), close_at);
        let partial = bar.disturbed || desk.ending || in_a_hole;
        let state = if partial { CandleState::Partial } else { CandleState::Traded };
        let times = (open_at, close_at);
        let candle = told_candle(self.interval, times, &bar.sums, state, 0, desk.origin);
        *desk.candles_told += 1;
        desk.out.accept(desk.cause_seq, crate::domain::output::Output::Candle(&candle));
        let bar = bar_of((open_at, close_at), &bar.sums, desk.plan.needs_amounts);
        desk.advance(&mut self.set, self.interval, &bar, partial);
    }
}
