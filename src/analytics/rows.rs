//! The way of a series' candles to the archive and back, and into a saved state.
//!
//! Rows move from checkpoint to checkpoint, so that the first closed one in memory always has one.

use crate::analytics::archive::Archive;
use crate::analytics::before::Before;
use crate::analytics::desk::Desk;
use crate::analytics::quiet::{Quiet, Told};
use crate::analytics::ring::Ring;
use crate::analytics::rolling::state::State;
use crate::analytics::row::{Checkpoint, Row};
use crate::analytics::series::{CHECKPOINT_EVERY, CHUNKS_MAX, OPEN_ROOM, Series};
use crate::domain::output::OutputSink;
use crate::domain::time::UnixNanos;

impl Series {
    /// Takes chunks back from the archive until `open_at` is in memory.
    pub fn fetch_back(&mut self, open_at: UnixNanos, archive: &mut dyn Archive) {
        let mut words = Vec::new();
        while self.put_aside && self.rows.front().is_some_and(|row| open_at < row.open_at) {
            if self.chunks == 0 || !archive.pop(self.stream, &mut words) {
                return;
            }
            self.chunks -= 1;
            let mut state = State::load(&words);
            let (mut whole, mut rows, mut runs) = (false, 0, 0);
            state.bool(&mut whole);
            state.len(&mut rows);
            state.len(&mut runs);
            let mut checkpoint = Checkpoint::default();
            checkpoint.state(&mut state);
            let rows: Vec<_> = (0..rows).map(|_| restored_row(&mut state)).collect();
            let runs: Vec<_> = (0..runs).map(|_| restored_run(&mut state)).collect();
            assert!(state.finish() == Ok(()), "an archive gives back what was put aside");
            self.closed += rows.len();
            self.checkpoints.iter_mut().for_each(|checkpoint| checkpoint.row += rows.len());
            self.checkpoints.push_front(checkpoint);
            self.rows.extend_front(rows);
            self.quiet.extend_front(runs);
            self.may_grow = true;
            self.count_quiet();
            self.put_aside = !whole;
        }
    }

    /// Moves the oldest rows, from checkpoint to checkpoint, to the archive.
    pub fn put_aside<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) {
        self.stay /= 2;
        loop {
            let next = self.checkpoints.get(1).map(|checkpoint| (checkpoint.row, checkpoint.quiet));
            let next = next.filter(|(row, _)| self.closed - row >= desk.window + self.stay);
            let Some((group, runs)) = next else { return };
            let mut checkpoint = self.checkpoints.pop_front().expect("the second one has one before it");
            if desk.archive.keeps() {
                let mut chunk = Vec::new();
                let state = &mut State::Save(&mut chunk);
                let (mut whole, mut rows, mut runs_count) = (!self.put_aside, group, runs);
                state.bool(&mut whole);
                state.len(&mut rows);
                state.len(&mut runs_count);
                checkpoint.state(state);
                (0..group).for_each(|at| self.rows[at].state(state));
                (0..runs).for_each(|at| self.quiet[at].state(state));
                desk.archive.push(self.stream, &chunk);
                if self.chunks == CHUNKS_MAX {
                    desk.archive.forget_oldest(self.stream);
                } else {
                    self.chunks += 1;
                }
            }
            self.spare_words = checkpoint.words;
            self.rows.give_up_front(group);
            for checkpoint in &mut self.checkpoints {
                checkpoint.row -= group;
                checkpoint.quiet -= runs;
            }
            self.closed -= group;
            self.quiet.give_up_front(runs);
            self.put_aside = true;
        }
    }

    /// Counts the runs of quiet before each checkpoint, after runs were put in or taken out between others.
    pub(super) fn count_quiet(&mut self) {
        for checkpoint in &mut self.checkpoints {
            let Some(row) = self.rows.get(checkpoint.row) else { continue };
            checkpoint.quiet = self.quiet.partition_point(|run| run.first_open < row.open_at);
        }
    }
}

impl Series {
    /// Visits all that the series keeps; `window` as the settings say it. Holds before the first event
    /// and between any two.
    pub fn state(&mut self, window: usize, state: &mut State<'_>) {
        let (mut rows, mut runs) = (self.rows.len(), self.quiet.len());
        let mut checkpoints = self.checkpoints.len();
        state.len(&mut rows);
        state.len(&mut runs);
        state.len(&mut checkpoints);
        state.index(&mut self.closed, rows);
        if state.is_load() {
            // As `close_first` makes room: doubling would leave half of a ring unused.
            let full = window + CHECKPOINT_EVERY + OPEN_ROOM;
            self.rows = Ring::default();
            self.rows.reserve_exact(if self.closed > window / 2 { rows.max(full) } else { rows });
            (0..rows).for_each(|_| self.rows.push_back(restored_row(state)));
            self.quiet = Ring::default();
            (0..runs).for_each(|_| self.quiet.push_back(restored_run(state)));
            self.may_grow = true;
            self.checkpoints = (0..checkpoints).map(|_| Checkpoint::default()).collect();
            self.checkpoints.iter_mut().for_each(|checkpoint| checkpoint.state(state));
            self.check_restored(state);
            self.count_quiet();
        } else {
            (0..rows).for_each(|at| self.rows[at].state(state));
            (0..runs).for_each(|at| self.quiet[at].state(state));
            self.checkpoints.iter_mut().for_each(|checkpoint| checkpoint.state(state));
        }
        for moment in [&mut self.closed_until, &mut self.begins] {
            state.i64(&mut moment.0);
        }
        state.bool(&mut self.told_any);
        state.bool(&mut self.put_aside);
        state.index(&mut self.chunks, CHUNKS_MAX);
        state.usize(&mut self.stay);
        state.index(&mut self.rows_since_checkpoint, CHECKPOINT_EVERY);
        let mut before = self.before.len();
        state.len(&mut before);
        if state.is_load() {
            self.before =
                (0..before).map(|_| Before { open_at: UnixNanos(0), sums: None, partial: false }).collect();
        }
        self.before.iter_mut().for_each(|before| before.state(state));
        self.set.state(state);
    }

    /// What the rows promise each other; the set of indicators is restored after this.
    fn check_restored(&mut self, state: &mut State<'_>) {
        let nanos = self.interval.nanos();
        let aligned = |open_at: UnixNanos| self.interval.open_of(open_at) == open_at;
        let ascending = self.rows.range(0).is_sorted_by(|a, b| a.open_at < b.open_at)
            && self.rows.range(0).all(|row| aligned(row.open_at));
        let quiet = self.quiet.range(0).all(|run| {
            aligned(run.first_open)
                && run.count > 0
                && run.count.checked_mul(nanos).and_then(|long| run.first_open.0.checked_add(long)).is_some()
        });
        let quiet = quiet
            && self
                .quiet
                .range(0)
                .zip(self.quiet.range(1))
                .all(|(a, b)| a.end(self.interval) <= b.first_open);
        state.check(ascending && quiet, "candles out of order");
        let first = self.checkpoints.front().map(|checkpoint| checkpoint.row);
        state.check(first == (self.closed > 0).then_some(0), "first candle without a checkpoint");
        let placed = self.checkpoints.iter().is_sorted_by(|a, b| a.row < b.row)
            && self.checkpoints.iter().all(|checkpoint| checkpoint.row < self.closed);
        state.check(placed, "checkpoint without a candle");
        for Checkpoint { words, .. } in &self.checkpoints {
            let mut checkpoint = State::load(words);
            self.set.state(&mut checkpoint);
            if let Err(fault) = checkpoint.finish() {
                state.fault(fault);
            }
        }
    }
}

fn restored_row(state: &mut State<'_>) -> Row {
    let mut row = Row::blank();
    row.state(state);
    row
}

fn restored_run(state: &mut State<'_>) -> Quiet {
    let told = Told::Singly;
    let mut run = Quiet { first_open: UnixNanos(0), count: 0, unknown: false, revision: 0, told };
    run.state(state);
    run
}
