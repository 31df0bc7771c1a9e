//! The candles of one interval with trades, and their way to the archive and back.
//!
//! Rows move from checkpoint to checkpoint, so that the first one in memory always has one.

use crate::analytics::archive::Archive;
use crate::analytics::desk::{Desk, told_candle};
use crate::analytics::quiet::{Quiet, Told};
use crate::analytics::rolling::state::State;
use crate::analytics::series::Series;
use crate::analytics::sums::Sums;
use crate::domain::candle::{Candle, CandleState, Origin};
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::output::OutputSink;
use crate::domain::time::UnixNanos;

/// A candle with trades, open or closed.
#[derive(Debug)]
pub struct Row {
    pub open_at: UnixNanos,
    pub sums: Sums,
    /// Of its last telling; the other states have no row.
    pub partial: bool,
    pub revision: u32,
    /// What few rows have.
    pub extra: Option<Box<RowExtra>>,
}

#[derive(Debug, Default)]
pub struct RowExtra {
    /// One for each indicator, where any is above zero.
    pub indicator_revisions: Option<Box<[u32]>>,
    /// The indicators before this candle.
    pub checkpoint: Option<Box<[u64]>>,
}

impl Row {
    pub fn new(open_at: UnixNanos, sums: Sums) -> Self {
        Self { open_at, sums, partial: false, revision: 0, extra: None }
    }

    pub fn state(&mut self, state: &mut State<'_>) {
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

    pub fn checkpoint(&self) -> Option<&[u64]> {
        self.extra.as_ref()?.checkpoint.as_deref()
    }

    pub fn indicator_revisions(&self) -> Option<&[u32]> {
        self.extra.as_ref()?.indicator_revisions.as_deref()
    }

    pub fn take_checkpoint(&mut self) -> Option<Box<[u64]>> {
        self.extra.as_mut()?.checkpoint.take()
    }
}

impl RowExtra {
    pub fn with_checkpoint(words: &[u64]) -> Option<Box<Self>> {
        Some(Box::new(Self { indicator_revisions: None, checkpoint: Some(words.into()) }))
    }
}

pub fn candle_of(interval: TimeInterval, row: &Row, origin: Origin) -> Candle {
    let state = if row.partial { CandleState::Partial } else { CandleState::Traded };
    let close_at = interval.close_of(row.open_at);
    told_candle(Interval::Time(interval), (row.open_at, close_at), &row.sums, state, row.revision, origin)
}

impl Series {
    /// Takes chunks back from the archive until `open_at` is in memory.
    pub fn fetch_back(&mut self, open_at: UnixNanos, archive: &mut dyn Archive) {
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
            self.closed += rows.len();
            rows.into_iter().rev().for_each(|row| self.rows.push_front(row));
            runs.into_iter().rev().for_each(|run| self.quiet.push_front(run));
            self.put_aside = !whole;
        }
    }

    /// Moves the oldest rows, from checkpoint to checkpoint, to the archive.
    pub fn put_aside<S: OutputSink>(&mut self, desk: &mut Desk<'_, S>) {
        self.stay /= 2;
        loop {
            let next = (1..self.closed).find(|&at| self.rows[at].checkpoint().is_some());
            let Some(group) = next.filter(|at| self.closed - at >= desk.window + self.stay) else {
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
            self.closed -= group;
            self.quiet.drain(..runs);
            self.put_aside = true;
        }
    }
}

fn visit_words(words: &mut Vec<u64>, state: &mut State<'_>) {
    let mut len = words.len();
    state.usize(&mut len);
    words.resize(len, 0);
    words.iter_mut().for_each(|word| state.word(word));
}
