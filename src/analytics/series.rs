//! The candles of one time interval of one symbol: open ones, closed ones, and the quiet between.
//!
//! A candle is told once, when it closes; whatever changes it later (a late trade, a hole
//! found or filled) is told as a higher revision, and its indicators are recomputed from the
//! nearest checkpoint before it. Closed candles beyond the window go to the archive and come
//! back when something older is touched.
//!
//! Quiet intervals are kept as runs. A run of more than [`STRETCH_MIN`] is told as one row.

use std::collections::VecDeque;

use crate::analytics::archive::Archive;
use crate::analytics::gaps::{Dirty, Gaps};
use crate::analytics::indicator::Bar;
use crate::analytics::indicator_set::{IndicatorPlan, IndicatorSet, Reading};
use crate::analytics::rolling::state::State;
use crate::analytics::sums::{Print, Sums};
use crate::domain::candle::{Candle, CandleState, Origin};
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::output::{DataState, IndicatorSnapshot, Output, OutputSink};
use crate::domain::time::UnixNanos;

/// A longer run of quiet intervals is one row.
pub const STRETCH_MIN: i64 = 3_600;

/// Closed candles between two checkpoints of the indicators.
const CHECKPOINT_EVERY: usize = 32;

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
    pub readings: &'a mut Vec<Reading>,
    /// Room for a checkpoint in the making.
    pub words: &'a mut Vec<u64>,
    pub archive: &'a mut dyn Archive,
    pub out: &'a mut S,
}

impl<S: OutputSink> Desk<'_, S> {
    /// Whether something of `[open, close)` may be unknown.
    #[inline]
    fn touched(&self, open: UnixNanos, close: UnixNanos) -> bool {
        // A ready candle begins at its open time, and nothing of its interval is missing then.
        let began_inside = self.began_at < close
            && (self.began_at > open || (self.began_at == open && self.origin == Origin::Trades));
        began_inside || self.ending || self.gaps.touches(open, close)
    }

    fn tell(&mut self, candle: &Candle) {
        *self.candles_told += u64::from(candle.revision == 0);
        self.out.accept(self.cause_seq, Output::Candle(candle));
    }

    fn tell_reading(
        &mut self,
        interval: Interval,
        open_at: UnixNanos,
        position: usize,
        reading: &Reading,
        revision: u32,
    ) {
        let values = &reading.values[..self.plan.specs[position].entry.outputs.len()];
        self.tell_values(interval, open_at, position, values, reading.data_state, revision);
    }

    /// A revision took away what the indicator said there: two deltas became equal, and there is
    /// no slope any more.
    fn withdraw_reading(
        &mut self,
        interval: Interval,
        open_at: UnixNanos,
        position: usize,
        was: &Reading,
        revision: u32,
    ) {
        self.tell_values(interval, open_at, position, &[], was.data_state, revision);
    }

    fn tell_values(
        &mut self,
        interval: Interval,
        open_at: UnixNanos,
        position: usize,
        values: &[f64],
        data_state: Option<DataState>,
        revision: u32,
    ) {
        let Some(data_state) = data_state else { return };
        let snapshot = IndicatorSnapshot {
            interval,
            open_at,
            position,
            indicator: &self.plan.names[position],
            outputs: self.plan.specs[position].entry.outputs,
            values,
            revision,
            data_state,
        };
        self.out.accept(self.cause_seq, Output::Indicator(&snapshot));
    }

    /// Advances the indicators over a candle told for the first time, and tells what they say.
    pub fn advance(&mut self, set: &mut IndicatorSet, interval: Interval, bar: &Bar<'_>, partial: bool) {
        if set.is_empty() {
            return;
        }
        let mut readings = std::mem::take(self.readings);
        set.advance(self.plan, bar, partial, &mut readings);
        for (position, reading) in readings.iter().enumerate() {
            self.tell_reading(interval, bar.open_at, position, reading, 0);
        }
        *self.readings = readings;
    }
}

/// A candle with trades, open or closed.
#[derive(Debug)]
struct Row {
    open_at: UnixNanos,
    sums: Sums,
    /// Of its last telling; the other states have no row.
    partial: bool,
    revision: u32,
    /// What few rows have.
    extra: Option<Box<RowExtra>>,
}

#[derive(Debug, Default)]
struct RowExtra {
    /// One for each indicator, where any is above zero.
    indicator_revisions: Option<Box<[u32]>>,
    /// The indicators before this candle.
    checkpoint: Option<Box<[u64]>>,
}

/// A run of intervals without a trade, all of one state.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Quiet {
    first_open: UnixNanos,
    count: i64,
    unknown: bool,
    /// Of each row told singly, or of the one row.
    revision: u32,
    told: Told,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// A row for each interval.
    Singly,
    /// One row for all; what had been told inside of it before.
    Together(Vec<Piece>),
    /// As `Together`, once its end is known.
    Growing(Vec<Piece>),
}

/// Rows that were told singly before they became part of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    first_open: UnixNanos,
    end: UnixNanos,
    revision: u32,
}

impl Quiet {
    fn end(&self, interval: TimeInterval) -> UnixNanos {
        UnixNanos(self.first_open.0 + self.count * interval.nanos())
    }

    /// All rows told so far, as far as they begin in `[from, until)`.
    fn pieces(&self, interval: TimeInterval, from: UnixNanos, until: UnixNanos) -> Vec<Piece> {
        let end =
            if self.told == Told::Singly { self.end(interval) } else { interval.close_of(self.first_open) };
        let own = Piece { first_open: self.first_open, end, revision: self.revision };
        let pieces = match &self.told {
            Told::Singly => vec![own],
            Told::Together(inside) => {
                let inside = inside.iter().copied().filter(|piece| piece.end > end);
                let inside = inside.map(|piece| Piece { first_open: piece.first_open.max(end), ..piece });
                std::iter::once(own).chain(inside).collect()
            }
            Told::Growing(inside) => inside.clone(),
        };
        let cut = pieces.into_iter().map(|piece| Piece {
            first_open: piece.first_open.max(from),
            end: piece.end.min(until),
            ..piece
        });
        cut.filter(|piece| piece.first_open < piece.end).collect()
    }

    /// The revision of the next row told at an open time of the run.
    fn next_revision(&self, interval: TimeInterval, open_at: UnixNanos) -> u32 {
        let told = self.pieces(interval, open_at, interval.close_of(open_at));
        told.first().map_or(0, |piece| piece.revision + 1)
    }
}

/// A candle that the current event changed, as it was before.
#[derive(Debug)]
struct Before {
    open_at: UnixNanos,
    /// `None`: there was no candle.
    sums: Option<Sums>,
    partial: bool,
}

/// The candles of one time interval.
pub struct Series {
    interval: TimeInterval,
    /// Its number among the symbol's series.
    stream: u32,
    /// Sorted by open time.
    open: VecDeque<Row>,
    /// Sorted by open time; the first has a checkpoint.
    rows: VecDeque<Row>,
    /// Sorted by open time.
    quiet: VecDeque<Quiet>,
    /// All intervals up to here are closed.
    closed_until: UnixNanos,
    /// The first interval that was ever told.
    begins: UnixNanos,
    told_any: bool,
    /// Rows before the first one in memory were put aside.
    put_aside: bool,
    /// Rows needed by recent late trades beyond the window, decaying.
    stay: usize,
    set: IndicatorSet,
    rows_since_checkpoint: usize,
    /// Candles that the current event changed.
    before: Vec<Before>,
}

impl Series {
    pub fn new(interval: TimeInterval, stream: u32, plan: &IndicatorPlan) -> Self {
        Self {
            interval,
            stream,
            open: VecDeque::new(),
            rows: VecDeque::new(),
            quiet: VecDeque::new(),
            closed_until: UnixNanos(i64::MIN),
            begins: UnixNanos(i64::MIN),
            told_any: false,
            put_aside: false,
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

    /// As long as nothing was told, an earlier trade moves the beginning.
    pub fn begin(&mut self, at: UnixNanos) {
        let open_at = self.interval.open_of(at);
        if !self.told_any && (self.closed_until.0 == i64::MIN || open_at < self.closed_until) {
            self.closed_until = open_at;
            self.begins = open_at;
        }
    }

    /// Adds a trade to its candle, which is not closed.
    #[inline]
    pub fn add(&mut self, print: &Print, with_sizes: bool) {
        if let Some(last) = self.open.back_mut()
            && print.rank.at >= last.open_at
            && print.rank.at.0 < last.open_at.0 + self.interval.nanos()
        {
            last.sums.add(print);
            return;
        }
        self.add_elsewhere(print, with_sizes);
    }

    fn add_elsewhere(&mut self, print: &Print, with_sizes: bool) {
        let open_at = self.interval.open_of(print.rank.at);
        if self.open.back().is_none_or(|last| last.open_at < open_at) {
            self.open.push_back(Row::new(open_at, Sums::new(print, with_sizes)));
            return;
        }
        match self.open.binary_search_by_key(&open_at, |candle| candle.open_at) {
            Ok(at) => self.open[at].sums.add(print),
            Err(at) => self.open.insert(at, Row::new(open_at, Sums::new(print, with_sizes))),
        }
    }

    /// Adds the candle of a shorter interval to its own, which is not closed.
    pub fn add_sums(&mut self, at: UnixNanos, sums: &Sums) {
        if let Some(last) = self.open.back_mut()
            && at >= last.open_at
            && at.0 < last.open_at.0 + self.interval.nanos()
        {
            last.sums.merge(sums);
            return;
        }
        let open_at = self.interval.open_of(at);
        match self.open.binary_search_by_key(&open_at, |candle| candle.open_at) {
            Ok(at) => self.open[at].sums.merge(sums),
            Err(at) => self.open.insert(at, Row::new(open_at, sums.clone())),
        }
    }

    /// The open time of the earliest open candle.
    #[inline]
    pub fn first_open(&self) -> Option<UnixNanos> {
        self.open.front().map(|candle| candle.open_at)
    }

    /// Closes the earliest open candle, which is the next interval; gives back its sums.
    pub fn close_first<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) -> Option<&Sums> {
        let mut row = self.open.pop_front()?;
        assert!(row.open_at == self.closed_until, "candles close in order, without a hole");
        self.finish_stretch(desk);
        let close_at = self.interval.close_of(row.open_at);
        row.partial = desk.touched(row.open_at, close_at);
        if self.rows_since_checkpoint == 0 {
            self.set.save(desk.words);
            row.extra = RowExtra::with_checkpoint(desk.words);
        }
        self.rows_since_checkpoint = (self.rows_since_checkpoint + 1) % CHECKPOINT_EVERY;
        if self.rows.len() >= desk.window + self.stay + 2 * CHECKPOINT_EVERY {
            self.put_aside(desk);
        }
        self.rows.push_back(row);
        self.told_any = true;
        self.closed_until = close_at;
        let row = self.rows.back().expect("pushed above");
        desk.tell(&candle_of(self.interval, row, desk.origin));
        let bar = bar_of(row.open_at, close_at, &row.sums);
        desk.advance(&mut self.set, Interval::Time(self.interval), &bar, row.partial);
        Some(&row.sums)
    }

    /// Closes the quiet intervals up to `until`, which is aligned.
    pub fn close_quiet<S: OutputSink>(&mut self, until: UnixNanos, desk: &mut Desk<'_, S>) {
        if until <= self.closed_until {
            return;
        }
        self.told_any = true;
        let from = self.closed_until;
        self.closed_until = until;
        if desk.ending || !desk.gaps.touches(from, until) {
            self.close_run(from, until, desk.ending, desk);
            return;
        }
        for (from, until, unknown) in self.shaded(from, until, desk) {
            self.close_run(from, until, unknown, desk);
        }
    }

    /// `[from, until)` as runs of intervals that holes touch or do not.
    fn shaded<S: OutputSink>(
        &self,
        from: UnixNanos,
        until: UnixNanos,
        desk: &Desk<'_, S>,
    ) -> Vec<(UnixNanos, UnixNanos, bool)> {
        let mut runs: Vec<(UnixNanos, UnixNanos, bool)> = Vec::new();
        let mut at = from;
        for (dark_from, dark_to) in desk.gaps.shadows(from, until) {
            let dark_open = self.interval.open_of(dark_from).max(at);
            let dark_close = self.interval.close_of(self.interval.open_of(dark_to)).min(until);
            if dark_close <= at {
                continue;
            }
            if dark_open > at {
                runs.push((at, dark_open, false));
            }
            match runs.last_mut() {
                Some(last) if last.2 && last.1 == dark_open => last.1 = dark_close,
                _ => runs.push((dark_open, dark_close, true)),
            }
            at = dark_close;
        }
        if at < until {
            runs.push((at, until, false));
        }
        runs
    }

    fn close_run<S: OutputSink>(
        &mut self,
        from: UnixNanos,
        until: UnixNanos,
        unknown: bool,
        desk: &mut Desk<'_, S>,
    ) {
        let count = (until.0 - from.0) / self.interval.nanos();
        // With the runs of the same state that it continues it may have become one row.
        let (mut total, mut start, mut joined) = (count, from, 0usize);
        for run in self.quiet.iter().rev() {
            if run.unknown != unknown || run.end(self.interval) != start {
                break;
            }
            (total, start, joined) = (total + run.count, run.first_open, joined + 1);
        }
        if joined == 0 {
            self.finish_stretch(desk);
        }
        if total > STRETCH_MIN {
            let old = self.quiet.split_off(self.quiet.len() - joined);
            let inside = old.iter().flat_map(|run| run.pieces(self.interval, start, until)).collect();
            let told = Told::Growing(inside);
            self.quiet.push_back(Quiet { first_open: start, count: total, unknown, revision: 0, told });
            return;
        }
        match self.quiet.back_mut() {
            Some(last) if joined > 0 && last.revision == 0 && last.told == Told::Singly => {
                last.count += count
            }
            _ => {
                let told = Told::Singly;
                self.quiet.push_back(Quiet { first_open: from, count, unknown, revision: 0, told });
            }
        }
        for i in 0..count {
            let open_at = UnixNanos(from.0 + i * self.interval.nanos());
            desk.tell(&quiet_candle(self.interval, open_at, 1, unknown, 0, desk.origin));
        }
    }

    /// Tells a long run of quiet whose end is now known.
    pub fn finish_stretch<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) {
        if let Some(last) = self.quiet.back_mut()
            && let Told::Growing(inside) = &mut last.told
        {
            let inside = std::mem::take(inside);
            last.revision = inside
                .first()
                .filter(|piece| piece.first_open == last.first_open)
                .map_or(0, |piece| piece.revision + 1);
            last.told = Told::Together(inside);
            let row = together(self.interval, last, desk.origin);
            desk.tell(&row);
        }
    }

    /// Adds a trade to a candle that is closed already; [`Series::revise`] tells it.
    /// `false`: it lies before all that is kept.
    pub fn amend(&mut self, print: &Print, with_sizes: bool, archive: &mut dyn Archive) -> bool {
        let open_at = self.interval.open_of(print.rank.at);
        self.fetch_back(open_at, archive);
        if self.put_aside && self.rows.front().is_some_and(|row| open_at < row.open_at) {
            return false;
        }
        match self.rows.binary_search_by_key(&open_at, |row| row.open_at) {
            Ok(at) => {
                let row = &mut self.rows[at];
                if self.before.iter().all(|before| before.open_at != open_at) {
                    let (sums, partial) = (Some(row.sums.clone()), row.partial);
                    self.before.push(Before { open_at, sums, partial });
                }
                row.sums.add(print);
            }
            Err(at) => {
                self.before.push(Before { open_at, sums: None, partial: false });
                let revision = self.next_revision_of_quiet(open_at);
                // Before the first candle the indicators are what they are before the new one.
                let checkpoint = if at == 0 {
                    match self.rows.front_mut() {
                        Some(first) => first.take_checkpoint(),
                        None => {
                            let mut words = Vec::new();
                            self.set.save(&mut words);
                            self.rows_since_checkpoint = 1;
                            Some(words.into_boxed_slice())
                        }
                    }
                } else {
                    None
                };
                let sums = Sums::new(print, with_sizes);
                let mut row = Row { revision, ..Row::new(open_at, sums) };
                if checkpoint.is_some() {
                    row.extra.get_or_insert_default().checkpoint = checkpoint;
                }
                self.rows.insert(at, row);
                self.begins = self.begins.min(open_at);
            }
        }
        true
    }

    /// The revision of the next row told at that open time, where a quiet one may have been told.
    fn next_revision_of_quiet(&self, open_at: UnixNanos) -> u32 {
        let after = self.quiet.partition_point(|run| run.first_open <= open_at);
        let run = after.checked_sub(1).map(|at| &self.quiet[at]);
        run.filter(|run| open_at < run.end(self.interval))
            .map_or(0, |run| run.next_revision(self.interval, open_at))
    }

    /// Tells anew what an event has changed of the closed candles in `dirty`.
    pub fn revise<S: OutputSink>(&mut self, dirty: Dirty, desk: &mut Desk<'_, S>) {
        if !self.told_any && self.before.is_empty() {
            return;
        }
        let from = self.interval.open_of(UnixNanos(dirty.from.0.max(self.begins.0)));
        self.fetch_back(from, desk.archive);
        let from =
            if self.put_aside { self.rows.front().map_or(from, |row| from.max(row.open_at)) } else { from };
        let last_open = self.interval.open_of(UnixNanos(dirty.to.0.min(self.closed_until.0 - 1)));
        let until = self.interval.close_of(last_open);
        if from >= until {
            return;
        }
        self.told_any = true;
        let first_changed = self.revise_rows(from, until, desk);
        self.revise_quiet(from, until, desk);
        if let Some(first) = first_changed {
            self.recompute(first, desk);
        }
        self.before.clear();
        // Late trades seldom come alone: what one has needed the next will need.
        self.stay = self.stay.max(self.rows.len().saturating_sub(desk.window + 2 * CHECKPOINT_EVERY));
    }

    /// Gives back the index of the first candle whose sums or state changed.
    fn revise_rows<S: OutputSink>(
        &mut self,
        from: UnixNanos,
        until: UnixNanos,
        desk: &mut Desk<'_, S>,
    ) -> Option<usize> {
        let mut first_changed = None;
        let start = self.rows.partition_point(|row| row.open_at < from);
        for at in start..self.rows.len() {
            let row = &mut self.rows[at];
            if row.open_at >= until {
                break;
            }
            let partial = desk.touched(row.open_at, self.interval.close_of(row.open_at));
            let change = self.before.iter().find(|before| before.open_at == row.open_at);
            if change.is_none() && partial == row.partial {
                continue;
            }
            match change {
                Some(Before { sums: None, .. }) => {} // told for the first time as a candle with trades
                Some(_) => row.revision += 1,
                None => {
                    self.before.push(Before { open_at: row.open_at, sums: None, partial: row.partial });
                    let last = self.before.last_mut().expect("pushed above");
                    last.sums = Some(row.sums.clone());
                    row.revision += 1;
                }
            }
            row.partial = partial;
            first_changed = first_changed.or(Some(at));
            let candle = candle_of(self.interval, &self.rows[at], desk.origin);
            desk.tell(&candle);
        }
        first_changed
    }

    /// Derives the quiet runs around `[from, until)` anew and tells those that differ.
    fn revise_quiet<S: OutputSink>(&mut self, from: UnixNanos, until: UnixNanos, desk: &mut Desk<'_, S>) {
        let nanos = self.interval.nanos();
        // Take out every run that the range touches, and its neighbours on each side, with which
        // the new runs may have to be told together.
        let mut first = self.quiet.partition_point(|run| run.first_open.0 + run.count * nanos <= from.0);
        let mut last = self.quiet.partition_point(|run| run.first_open < until);
        let old_range = |quiet: &VecDeque<Quiet>, first: usize, last: usize| {
            let start =
                quiet.get(first).filter(|_| first < last).map_or(from, |run| run.first_open.min(from));
            let end = last.checked_sub(1).filter(|_| first < last);
            let end = end
                .map_or(until, |at| UnixNanos(quiet[at].first_open.0 + quiet[at].count * nanos).max(until));
            (start, end)
        };
        let (start, end) = old_range(&self.quiet, first, last);
        let mut edge = (start, None);
        while let Some(run) = first.checked_sub(1).map(|at| &self.quiet[at]) {
            if run.end(self.interval) != edge.0 || edge.1.is_some_and(|unknown| unknown != run.unknown) {
                break;
            }
            first -= 1;
            edge = (run.first_open, Some(run.unknown));
        }
        let mut edge = (end, None);
        while let Some(run) = self.quiet.get(last) {
            if run.first_open != edge.0 || edge.1.is_some_and(|unknown| unknown != run.unknown) {
                break;
            }
            last += 1;
            edge = (run.end(self.interval), Some(run.unknown));
        }
        let (start, end) = old_range(&self.quiet, first, last);
        let (start, end) = (start.max(self.begins), end.min(self.closed_until));
        let old: Vec<Quiet> = self.quiet.range(first..last).cloned().collect();
        // The quiet between the candles of the range, by holes.
        let mut runs = Vec::new();
        let mut at = start;
        let row = self.rows.partition_point(|row| row.open_at < start);
        for row in self.rows.range(row..).take_while(|row| row.open_at < end) {
            runs.extend(self.quiet_runs(at, row.open_at, desk));
            at = self.interval.close_of(row.open_at);
        }
        runs.extend(self.quiet_runs(at, end, desk));
        let mut new = Vec::new();
        for (from, until, unknown) in runs {
            self.tell_run(from, until, unknown, &old, &mut new, desk);
        }
        let tail = self.quiet.split_off(last);
        self.quiet.truncate(first);
        self.quiet.extend(new);
        self.quiet.extend(tail);
    }

    fn quiet_runs<S: OutputSink>(
        &self,
        from: UnixNanos,
        until: UnixNanos,
        desk: &Desk<'_, S>,
    ) -> Vec<(UnixNanos, UnixNanos, bool)> {
        if from >= until { Vec::new() } else { self.shaded(from, until, desk) }
    }

    /// Tells what differs of one derived run; appends it to `new`.
    fn tell_run<S: OutputSink>(
        &mut self,
        from: UnixNanos,
        until: UnixNanos,
        unknown: bool,
        old: &[Quiet],
        new: &mut Vec<Quiet>,
        desk: &mut Desk<'_, S>,
    ) {
        let nanos = self.interval.nanos();
        let count = (until.0 - from.0) / nanos;
        if count > STRETCH_MIN {
            let same = old.iter().find(|run| run.first_open == from && run.told != Told::Singly);
            if let Some(run) = same.filter(|run| run.count == count && run.unknown == unknown) {
                new.push(run.clone());
                return;
            }
            let inside = old.iter().flat_map(|run| run.pieces(self.interval, from, until)).collect();
            let revision = self.next_revision_of_quiet(from);
            let run = Quiet { first_open: from, count, unknown, revision, told: Told::Together(inside) };
            desk.tell(&together(self.interval, &run, desk.origin));
            new.push(run);
            return;
        }
        let mut at = from;
        while at < until {
            // As far as one old run reaches, all intervals have the same history.
            let covering = old.iter().find(|run| run.first_open <= at && at < run.end(self.interval));
            let next_old = old.iter().map(|run| run.first_open).find(|&first| first > at);
            let piece_end = match covering {
                Some(run) if run.told == Told::Singly => run.end(self.interval).min(until),
                // The row of a stretch stands at its first open time; the rest was never told singly.
                Some(_) => UnixNanos(at.0 + nanos),
                None => next_old.unwrap_or(until).min(until),
            };
            let pieces = (piece_end.0 - at.0) / nanos;
            let unchanged = covering.filter(|run| run.told == Told::Singly && run.unknown == unknown);
            let revision = match unchanged {
                Some(run) => run.revision,
                None => self.next_revision_of_quiet(at),
            };
            if unchanged.is_none() {
                for i in 0..pieces {
                    let open_at = UnixNanos(at.0 + i * nanos);
                    desk.tell(&quiet_candle(self.interval, open_at, 1, unknown, revision, desk.origin));
                }
            }
            match new.last_mut() {
                Some(last)
                    if last.end(self.interval) == at
                        && last.told == Told::Singly
                        && (last.unknown, last.revision) == (unknown, revision) =>
                {
                    last.count += pieces;
                }
                _ => new.push(Quiet { first_open: at, count: pieces, unknown, revision, told: Told::Singly }),
            }
            at = piece_end;
        }
    }

    /// Runs the indicators again from the checkpoint before row `first`, once over the candles as they
    /// were and once as they are, and tells what differs.
    fn recompute<S: OutputSink>(&mut self, first: usize, desk: &mut Desk<'_, S>) {
        if self.set.is_empty() {
            return;
        }
        let start = (0..=first)
            .rev()
            .find(|&at| self.rows[at].checkpoint().is_some())
            .expect("the first candle in memory has a checkpoint");
        let mut end_words = Vec::new();
        self.set.save(&mut end_words);
        let mut old_set = IndicatorSet::new(desk.plan);
        let words = self.rows[start].checkpoint().expect("found above").to_vec();
        old_set.load(&words);
        self.set.load(&words);
        let last_changed = self.before.iter().map(|before| before.open_at).max();
        let mut was = vec![Reading::SILENT; desk.plan.specs.len()];
        let mut is = was.clone();
        let (mut old_words, mut new_words) = (Vec::new(), Vec::new());
        for at in start..self.rows.len() {
            let row = &mut self.rows[at];
            if at > start && row.checkpoint().is_some() {
                self.set.save(&mut new_words);
                old_set.save(&mut old_words);
                if new_words == old_words && Some(row.open_at) > last_changed {
                    // From here on nothing differs any more.
                    self.set.load(&end_words);
                    return;
                }
                row.extra.get_or_insert_default().checkpoint = Some(new_words.clone().into_boxed_slice());
            }
            let close_at = self.interval.close_of(row.open_at);
            let bar = bar_of(row.open_at, close_at, &row.sums);
            self.set.advance(desk.plan, &bar, row.partial, &mut is);
            match self.before.iter().find(|before| before.open_at == row.open_at) {
                None => old_set.advance(desk.plan, &bar, row.partial, &mut was),
                Some(Before { sums: None, .. }) => was.fill(Reading::SILENT),
                Some(Before { sums: Some(sums), partial, .. }) => {
                    let bar = bar_of(row.open_at, close_at, sums);
                    old_set.advance(desk.plan, &bar, *partial, &mut was);
                }
            }
            for (position, (was, is)) in was.iter().zip(&is).enumerate() {
                let outputs = desk.plan.specs[position].entry.outputs.len();
                if is.same_as(was, outputs) {
                    continue;
                }
                // What was withdrawn and has a value again goes on from there.
                let known = was.data_state.is_some()
                    || row.indicator_revisions().is_some_and(|revisions| revisions[position] > 0);
                let mut revision = 0;
                if known {
                    let members = desk.plan.specs.len();
                    let revisions = row
                        .extra
                        .get_or_insert_default()
                        .indicator_revisions
                        .get_or_insert_with(|| vec![0; members].into_boxed_slice());
                    revisions[position] += 1;
                    revision = revisions[position];
                }
                let interval = Interval::Time(self.interval);
                match is.data_state {
                    Some(_) => desk.tell_reading(interval, row.open_at, position, is, revision),
                    None => desk.withdraw_reading(interval, row.open_at, position, was, revision),
                }
            }
        }
    }

    /// Takes chunks back from the archive until `open_at` is in memory.
    fn fetch_back(&mut self, open_at: UnixNanos, archive: &mut dyn Archive) {
        let mut words = Vec::new();
        while self.put_aside && self.rows.front().is_some_and(|row| open_at < row.open_at) {
            if !archive.pop(self.stream, &mut words) {
                return;
            }
            let mut state = State::load(&words);
            let (mut whole, mut rows, mut runs) = (false, 0, 0);
            state.bool(&mut whole);
            state.usize(&mut rows);
            state.usize(&mut runs);
            let rows: Vec<_> = (0..rows)
                .map(|_| {
                    let mut row = Row::new(UnixNanos(0), Sums::blank());
                    row.state(&mut state);
                    row
                })
                .collect();
            let runs: Vec<_> = (0..runs)
                .map(|_| {
                    let mut run = Quiet {
                        first_open: UnixNanos(0),
                        count: 0,
                        unknown: false,
                        revision: 0,
                        told: Told::Singly,
                    };
                    run.state(&mut state);
                    run
                })
                .collect();
            rows.into_iter().rev().for_each(|row| self.rows.push_front(row));
            runs.into_iter().rev().for_each(|run| self.quiet.push_front(run));
            self.put_aside = !whole;
        }
    }

    /// Moves the oldest rows, from checkpoint to checkpoint, to the archive.
    fn put_aside<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) {
        self.stay /= 2;
        loop {
            let next = (1..self.rows.len()).find(|&at| self.rows[at].checkpoint().is_some());
            let Some(group) = next.filter(|at| self.rows.len() - at >= desk.window + self.stay) else {
                return;
            };
            let boundary = self.rows[group].open_at;
            let runs = self.quiet.partition_point(|run| run.first_open < boundary);
            if desk.archive.keeps() {
                let mut words = Vec::new();
                let state = &mut State::Save(&mut words);
                let (mut whole, mut rows, mut runs_count) = (!self.put_aside, group, runs);
                state.bool(&mut whole);
                state.usize(&mut rows);
                state.usize(&mut runs_count);
                self.rows.iter_mut().take(group).for_each(|row| row.state(state));
                self.quiet.iter_mut().take(runs).for_each(|run| run.state(state));
                desk.archive.push(self.stream, &words);
            }
            self.rows.drain(..group);
            self.quiet.drain(..runs);
            self.put_aside = true;
        }
    }
}

impl Row {
    fn new(open_at: UnixNanos, sums: Sums) -> Self {
        Self { open_at, sums, partial: false, revision: 0, extra: None }
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.open_at.0);
        self.sums.state(state);
        state.bool(&mut self.partial);
        let mut revision = u64::from(self.revision);
        state.word(&mut revision);
        self.revision = revision as u32;
        let mut some = self.extra.is_some();
        state.bool(&mut some);
        if !some {
            self.extra = None;
            return;
        }
        let extra = self.extra.get_or_insert_default();
        let revisions = extra.indicator_revisions.take().unwrap_or_default();
        let mut revisions: Vec<u64> = revisions.iter().map(|&r| u64::from(r)).collect();
        visit_words(&mut revisions, state);
        let narrow: Box<[u32]> = revisions.iter().map(|&r| r as u32).collect();
        extra.indicator_revisions = (!narrow.is_empty()).then_some(narrow);
        let mut some = extra.checkpoint.is_some();
        state.bool(&mut some);
        let mut words = extra.checkpoint.take().unwrap_or_default().into_vec();
        visit_words(&mut words, state);
        extra.checkpoint = some.then(|| words.into_boxed_slice());
    }

    fn checkpoint(&self) -> Option<&[u64]> {
        self.extra.as_ref()?.checkpoint.as_deref()
    }

    fn indicator_revisions(&self) -> Option<&[u32]> {
        self.extra.as_ref()?.indicator_revisions.as_deref()
    }

    fn take_checkpoint(&mut self) -> Option<Box<[u64]>> {
        self.extra.as_mut()?.checkpoint.take()
    }
}

impl RowExtra {
    fn with_checkpoint(words: &[u64]) -> Option<Box<Self>> {
        Some(Box::new(Self { indicator_revisions: None, checkpoint: Some(words.into()) }))
    }
}

impl Quiet {
    fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.first_open.0);
        state.i64(&mut self.count);
        state.bool(&mut self.unknown);
        let mut revision = u64::from(self.revision);
        state.word(&mut revision);
        self.revision = revision as u32;
        let mut kind = match self.told {
            Told::Singly => 0,
            Told::Together(_) => 1,
            Told::Growing(_) => 2,
        };
        state.word(&mut kind);
        let mut inside = match std::mem::replace(&mut self.told, Told::Singly) {
            Told::Singly => Vec::new(),
            Told::Together(inside) | Told::Growing(inside) => inside,
        };
        let mut len = inside.len();
        state.usize(&mut len);
        inside.resize(len, Piece { first_open: UnixNanos(0), end: UnixNanos(0), revision: 0 });
        for piece in &mut inside {
            state.i64(&mut piece.first_open.0);
            state.i64(&mut piece.end.0);
            let mut revision = u64::from(piece.revision);
            state.word(&mut revision);
            piece.revision = revision as u32;
        }
        self.told = match kind {
            0 => Told::Singly,
            1 => Told::Together(inside),
            _ => Told::Growing(inside),
        };
    }
}

fn visit_words(words: &mut Vec<u64>, state: &mut State<'_>) {
    let mut len = words.len();
    state.usize(&mut len);
    words.resize(len, 0);
    words.iter_mut().for_each(|word| state.word(word));
}

fn candle_of(interval: TimeInterval, row: &Row, origin: Origin) -> Candle {
    let state = if row.partial { CandleState::Partial } else { CandleState::Traded };
    let close_at = interval.close_of(row.open_at);
    told_candle(Interval::Time(interval), (row.open_at, close_at), &row.sums, state, row.revision, origin)
}

/// The candle that sums make.
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
        trade_count: (!unsaid.trade_count).then_some(sums.trade_count),
        taker_buy_volume: (!unsaid.taker_volume).then(|| sums.taker_buy_volume()),
        taker_buy_quote_volume: (!unsaid.trade_times).then(|| sums.taker_buy_quote_volume()),
        state,
        revision,
        origin,
    }
}

fn together(interval: TimeInterval, run: &Quiet, origin: Origin) -> Candle {
    quiet_candle(interval, run.first_open, run.count, run.unknown, run.revision, origin)
}

fn quiet_candle(
    interval: TimeInterval,
    open_at: UnixNanos,
    count: i64,
    unknown: bool,
    revision: u32,
    origin: Origin,
) -> Candle {
    Candle {
        interval: Interval::Time(interval),
        open_at,
        close_at: UnixNanos(open_at.0 + count * interval.nanos()),
        prices: None,
        volume: Default::default(),
        quote_volume: Some(Default::default()),
        trade_count: Some(0),
        taker_buy_volume: Some(Default::default()),
        taker_buy_quote_volume: Some(Default::default()),
        state: if unknown { CandleState::Unknown } else { CandleState::Empty },
        revision,
        origin,
    }
}

/// The candle that sums make, as statistics see it.
#[inline]
pub fn bar_of(open_at: UnixNanos, close_at: UnixNanos, sums: &Sums) -> Bar<'_> {
    let (prices, unsaid) = (&sums.prices, sums.unsaid());
    let taken = !unsaid.taker_volume;
    Bar {
        open_at,
        close_at,
        open: prices.open.decimal().to_f64(),
        high: prices.high.decimal().to_f64(),
        low: prices.low.decimal().to_f64(),
        close: prices.close.decimal().to_f64(),
        volume: sums.volume().to_f64(),
        quote_volume: (!unsaid.quote_volume).then(|| sums.quote_volume().to_f64()),
        trade_count: (!unsaid.trade_count).then_some(sums.trade_count),
        taker_buy_volume: taken.then(|| sums.taker_buy_volume().to_f64()),
        taker_sell_volume: taken.then(|| sums.taker_sell_volume().to_f64()),
        trade_times: (!unsaid.trade_times).then_some((sums.first.at, sums.last.at)),
        sizes: sums.sizes(),
    }
}
