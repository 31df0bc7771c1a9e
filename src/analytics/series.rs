//! The candles of one time interval of one symbol: open ones, and how they close.
//!
//! A candle is told once, when it closes; whatever changes it later (a late trade, a hole
//! found or filled) is told as a higher revision (`revision.rs`), and its indicators are
//! recomputed from the nearest checkpoint before it. Closed candles beyond the window go to
//! the archive and come back when something older is touched (`rows.rs`). Quiet intervals are
//! kept as runs (`quiet.rs`, `quiet_close.rs`).

use std::collections::VecDeque;

use crate::analytics::ahead::want_items;
use crate::analytics::before::Before;
use crate::analytics::desk::{Desk, bar_of};
use crate::analytics::indicator_set::{IndicatorPlan, IndicatorSet};
use crate::analytics::quiet::Quiet;
use crate::analytics::ring::Ring;
use crate::analytics::row::{Checkpoint, Row, candle_of};
use crate::analytics::sums::{Print, Sums};
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::output::OutputSink;
use crate::domain::time::UnixNanos;

/// Closed candles between two checkpoints of the indicators.
pub const CHECKPOINT_EVERY: usize = 32;

/// Chunks of an interval that are kept in the archive, each as long as from one checkpoint to the next. A
/// trade that lies before all of them revises nothing: part of what is computed, so that it depends
/// on no disk.
pub const CHUNKS_MAX: usize = 1_024;

/// Open candles for which a full ring has room; more make it grow.
pub(super) const OPEN_ROOM: usize = 8;

/// The candles of one time interval.
pub struct Series {
    pub(super) interval: TimeInterval,
    /// Its number among the symbol's series.
    pub(super) stream: u32,
    /// Closed candles, then open ones, sorted by open time.
    pub(super) rows: Ring<Row>,
    /// In order; the first closed row has one.
    pub(super) checkpoints: VecDeque<Checkpoint>,
    /// Room for the next checkpoint, left by one that went.
    pub(super) spare_words: Vec<u64>,
    /// How many of the rows are closed.
    pub(super) closed: usize,
    /// Sorted by open time.
    pub(super) quiet: Ring<Quiet>,
    /// Whether the last run of quiet may be [`Told::Growing`]: then it is looked at before a candle closes.
    /// Not saved: looked up.
    ///
    /// [`Told::Growing`]: crate::analytics::quiet::Told::Growing
    pub(super) may_grow: bool,
    /// All intervals up to here are closed.
    pub(super) closed_until: UnixNanos,
    /// The first interval that was ever told.
    pub(super) begins: UnixNanos,
    pub(super) told_any: bool,
    /// Rows before the first one in memory were put aside.
    pub(super) put_aside: bool,
    /// Chunks of them that the archive still holds, at most [`CHUNKS_MAX`].
    pub(super) chunks: usize,
    /// Rows needed by recent late trades beyond the window, decaying.
    pub(super) stay: usize,
    pub(super) set: IndicatorSet,
    pub(super) rows_since_checkpoint: usize,
    /// Candles that the current event changed.
    pub(super) before: Vec<Before>,
}

impl Series {
    pub fn new(interval: TimeInterval, stream: u32, plan: &IndicatorPlan) -> Self {
        Self {
            interval,
            stream,
            rows: Ring::default(),
            checkpoints: VecDeque::new(),
            spare_words: Vec::new(),
            closed: 0,
            quiet: Ring::default(),
            may_grow: false,
            closed_until: UnixNanos(i64::MIN),
            begins: UnixNanos(i64::MIN),
            told_any: false,
            put_aside: false,
            chunks: 0,
            stay: 0,
            set: IndicatorSet::new(plan),
            rows_since_checkpoint: 0,
            before: Vec::new(),
        }
    }

    pub fn interval(&self) -> TimeInterval {
        self.interval
    }

    /// All intervals up to here are closed; none before the first trade.
    #[inline]
    pub fn closed_until(&self) -> UnixNanos {
        self.closed_until
    }

    /// Where the next interval to be closed ends.
    #[inline]
    pub fn next_close(&self) -> UnixNanos {
        UnixNanos(self.closed_until.0.saturating_add(self.interval.nanos()))
    }

    /// Up to where intervals are to be closed once all before `limit` is known; `None`: nothing is due.
    #[inline]
    pub fn due(&self, limit: UnixNanos) -> Option<UnixNanos> {
        let next = self.next_close();
        if limit < next || self.closed_until.0 == i64::MIN {
            return None;
        }
        // Seldom more than one interval: a division is dear.
        let one = limit.0 - next.0 < self.interval.nanos();
        Some(if one { next } else { self.interval.open_of(limit) })
    }

    /// Asks for the candles that the next trades will change and close, so many of them new ones.
    pub fn want_rows(&self, new: usize, window: usize) {
        self.rows.want_back(self.rows.len() - self.closed, new);
        if new == 0 {
            return;
        }
        self.quiet.want_back(1, new.div_ceil(4));
        if self.closed + new >= window + self.stay + CHECKPOINT_EVERY {
            let (front, back) = self.checkpoints.as_slices();
            want_items(front);
            want_items(back);
        }
    }

    /// Asks for where the next checkpoint goes, if it comes soon.
    pub fn want_checkpoint(&self, new: usize) {
        if self.rows_since_checkpoint + new >= CHECKPOINT_EVERY
            && let Some(oldest) = self.checkpoints.front()
        {
            // Its words are the next ones' room.
            want_items(&oldest.words);
        }
    }

    pub fn set(&self) -> &IndicatorSet {
        &self.set
    }

    /// As long as nothing was told, an earlier trade moves the beginning.
    pub fn begin(&mut self, at: UnixNanos) {
        let open_at = self.interval.open_of(at);
        if !self.told_any && (self.closed_until.0 == i64::MIN || open_at < self.closed_until) {
            self.closed_until = open_at;
            self.begins = open_at;
        }
    }

    /// Adds a trade to its candle, which is not closed. `LAST`: it is known to come after all others by rank. Always
    /// inlined: so that the print stays in registers.
    #[inline(always)]
    pub fn add<const LAST: bool>(&mut self, print: &Print, with_sizes: bool) {
        let (at, nanos) = (print.rank.at, self.interval.nanos());
        // What reaches behind the closed intervals is open.
        let open_at = match self.rows.back_mut() {
            None => self.interval.open_of(at),
            Some(last) if at < last.open_at => return self.add_between(*print, with_sizes),
            Some(last) if at.0 - last.open_at.0 < nanos => {
                return if LAST { last.sums.add_last(print) } else { last.sums.add(print) };
            }
            // From the last candle on: the division of a short stretch is quick, and whether the next interval is
            // the one is a coin that no processor foresees.
            Some(last) => UnixNanos(last.open_at.0 + (at.0 - last.open_at.0) / nanos * nanos),
        };
        self.rows.push_back_slot(Row::blank).begin(open_at, print, with_sizes);
    }

    #[cold]
    #[inline(never)]
    fn add_between(&mut self, print: Print, with_sizes: bool) {
        let open_at = self.interval.open_of(print.rank.at);
        match self.rows.binary_search_by_key(&open_at, |row| row.open_at) {
            Ok(at) => self.rows[at].sums.add(&print),
            Err(at) => self.rows.insert(at, Row::new(open_at, Sums::new(print, with_sizes))),
        }
    }

    /// Adds the candle of a shorter interval to its own, which is not closed.
    #[inline]
    pub fn add_sums(&mut self, at: UnixNanos, sums: &Sums) {
        if let Some(last) = self.rows.back_mut()
            && at >= last.open_at
            && at.0 < last.open_at.0 + self.interval.nanos()
        {
            last.sums.merge(sums);
        } else {
            self.add_sums_elsewhere(at, sums);
        }
    }

    #[cold]
    #[inline(never)]
    fn add_sums_elsewhere(&mut self, at: UnixNanos, sums: &Sums) {
        let open_at = self.interval.open_of(at);
        if self.rows.back().is_none_or(|last| last.open_at < open_at) {
            let row = self.rows.push_back_slot(Row::blank);
            *row = Row::new(open_at, sums.clone());
            return;
        }
        match self.rows.binary_search_by_key(&open_at, |row| row.open_at) {
            Ok(at) => self.rows[at].sums.merge(sums),
            Err(at) => self.rows.insert(at, Row::new(open_at, sums.clone())),
        }
    }

    /// The open candles, as far as they were fed, ascending.
    pub fn open_rows(&self) -> impl Iterator<Item = (UnixNanos, &Sums)> {
        self.rows.range(self.closed).map(|row| (row.open_at, &row.sums))
    }

    /// The last candle that is remembered, open or closed.
    pub fn last_row(&self) -> Option<&Sums> {
        self.rows.back().map(|row| &row.sums)
    }

    /// The open time of the earliest open candle.
    #[inline]
    pub fn first_open(&self) -> Option<UnixNanos> {
        self.rows.get(self.closed).map(|row| row.open_at)
    }

    /// Closes the earliest open candle, which is the next interval; gives back its sums. Inlined into its one caller.
    #[inline(always)]
    pub fn close_first<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) -> Option<&Sums> {
        self.finish_stretch(desk);
        if self.closed >= desk.window + self.stay + CHECKPOINT_EVERY {
            self.put_aside(desk);
        } else if self.closed == desk.window / 2 {
            // Doubling would leave almost half of the ring unused, for every series of every symbol.
            let full = desk.window + CHECKPOINT_EVERY + OPEN_ROOM;
            self.rows.reserve_exact(full);
        }
        let row = self.rows.get_mut(self.closed)?;
        assert!(row.open_at == self.closed_until, "candles close in order, without a hole");
        let close_at = self.interval.close_of(row.open_at);
        row.partial = desk.touched(row.open_at, close_at);
        if self.rows_since_checkpoint == 0 {
            let mut words = std::mem::take(&mut self.spare_words);
            self.set.save(&mut words);
            let quiet = self.quiet.len();
            self.checkpoints.push_back(Checkpoint { row: self.closed, quiet, words });
        }
        self.rows_since_checkpoint = (self.rows_since_checkpoint + 1) % CHECKPOINT_EVERY;
        self.closed += 1;
        self.told_any = true;
        self.closed_until = close_at;
        desk.tell(&candle_of(self.interval, row, desk.origin));
        let bar = bar_of((row.open_at, close_at), &row.sums, desk.plan.needs_amounts);
        desk.advance(&mut self.set, Interval::Time(self.interval), &bar, row.partial);
        Some(&row.sums)
    }
}
