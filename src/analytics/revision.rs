//! Revisions: closed candles that a late trade or a hole changed are told again.
//!
//! What differs is told with a higher revision: the candle, the quiet that it parted or joined,
//! and every later value of an indicator, recomputed from the nearest checkpoint before it.

use crate::analytics::archive::Archive;
use crate::analytics::before::Before;
use crate::analytics::desk::{Desk, bar_of};
use crate::analytics::gaps::Dirty;
use crate::analytics::indicator_set::{IndicatorSet, Reading};
use crate::analytics::quiet::{Quiet, STRETCH_MIN, Told, quiet_candle, together};
use crate::analytics::ring::Ring;
use crate::analytics::row::{Checkpoint, Row, RowExtra, candle_of};
use crate::analytics::series::{CHECKPOINT_EVERY, Series};
use crate::analytics::sums::{Print, Sums};
use crate::domain::interval::Interval;
use crate::domain::output::OutputSink;
use crate::domain::time::UnixNanos;

impl Series {
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
                if self.closed == 0 {
                    let mut words = Vec::new();
                    self.set.save(&mut words);
                    self.checkpoints.push_back(Checkpoint { row: 0, quiet: 0, words });
                    self.rows_since_checkpoint = 1;
                } else {
                    let behind = self.checkpoints.iter_mut().filter(|checkpoint| checkpoint.row >= at.max(1));
                    behind.for_each(|checkpoint| checkpoint.row += 1);
                }
                let sums = Sums::new(*print, with_sizes);
                self.rows.insert(at, Row { revision, ..Row::new(open_at, sums) });
                self.closed += 1;
                self.begins = self.begins.min(open_at);
                self.count_quiet();
            }
        }
        true
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
        self.stay = self.stay.max(self.closed.saturating_sub(desk.window + CHECKPOINT_EVERY));
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
        for at in start..self.closed {
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
        let old_range = |quiet: &Ring<Quiet>, first: usize, last: usize| {
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
        let old: Vec<Quiet> = self.quiet.range(first).take(last - first).cloned().collect();
        // The quiet between the candles of the range, by holes.
        let mut runs = Vec::new();
        let mut at = start;
        let row = self.rows.partition_point(|row| row.open_at < start);
        for row in self.rows.range(row).take_while(|row| row.open_at < end) {
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
        new.into_iter().chain(tail).for_each(|run| self.quiet.push_back(run));
        self.may_grow = true;
        self.count_quiet();
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
            let inside: Box<[_]> =
                old.iter().flat_map(|run| run.pieces(self.interval, from, until)).collect();
            // It may have grown since it was told, and not be told yet as what it had become.
            let told = old.iter().find(|run| run.first_open == from).and_then(Quiet::stretch);
            if let Some(told) = told.filter(|told| (told.count, told.unknown) == (count, unknown)) {
                let told_as = Told::Together(inside);
                new.push(Quiet { first_open: from, count, unknown, revision: told.revision, told: told_as });
                return;
            }
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
        let after = self.checkpoints.partition_point(|checkpoint| checkpoint.row <= first);
        let nearest = after.checked_sub(1).expect("the first closed candle in memory has a checkpoint");
        let mut end_words = Vec::new();
        self.set.save(&mut end_words);
        let mut old_set = IndicatorSet::new(desk.plan);
        let Checkpoint { row: start, words, .. } = &self.checkpoints[nearest];
        let start = *start;
        old_set.load(words);
        self.set.load(words);
        let mut later = self.checkpoints.range_mut(nearest + 1..).peekable();
        let last_changed = self.before.iter().map(|before| before.open_at).max();
        let mut was = vec![Reading::SILENT; desk.plan.specs.len()];
        let mut is = was.clone();
        let (mut old_words, mut new_words) = (Vec::new(), Vec::new());
        for at in start..self.closed {
            let row = &mut self.rows[at];
            if let Some(checkpoint) = later.next_if(|checkpoint| checkpoint.row == at) {
                self.set.save(&mut new_words);
                old_set.save(&mut old_words);
                if new_words == old_words && Some(row.open_at) > last_changed {
                    // From here on nothing differs any more.
                    self.set.load(&end_words);
                    return;
                }
                checkpoint.words.clone_from(&new_words);
            }
            let close_at = self.interval.close_of(row.open_at);
            let bar = bar_of((row.open_at, close_at), &row.sums, desk.plan.needs_amounts);
            self.set.advance(desk.plan, &bar, row.partial, &mut is);
            match self.before.iter().find(|before| before.open_at == row.open_at) {
                None => old_set.advance(desk.plan, &bar, row.partial, &mut was),
                Some(Before { sums: None, .. }) => was.fill(Reading::SILENT),
                Some(Before { sums: Some(sums), partial, .. }) => {
                    let bar = bar_of((row.open_at, close_at), sums, desk.plan.needs_amounts);
                    old_set.advance(desk.plan, &bar, *partial, &mut was);
                }
            }
            for (position, (was, is)) in was.iter().zip(&is).enumerate() {
                let outputs = desk.plan.outputs[position].len();
                if is.same_as(was, outputs) {
                    continue;
                }
                // What was withdrawn and has a value again goes on from there.
                let known = was.data_state.is_some()
                    || row.extra.as_ref().is_some_and(|extra| extra.indicator_revisions[position] > 0);
                let mut revision = 0;
                if known {
                    let members = desk.plan.specs.len();
                    let extra = row.extra.get_or_insert_with(|| Box::new(RowExtra::blank(members)));
                    extra.indicator_revisions[position] += 1;
                    revision = extra.indicator_revisions[position];
                }
                let interval = Interval::Time(self.interval);
                let (values, data_state) = match is.data_state {
                    Some(data_state) => (&is.values[..outputs], Some(data_state)),
                    None => (&[][..], was.data_state),
                };
                if let Some(data_state) = data_state {
                    desk.tell_values(interval, row.open_at, position, values, data_state, revision);
                }
            }
        }
    }
}
