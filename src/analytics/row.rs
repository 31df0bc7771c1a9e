//! A candle with trades, as a series remembers it, and the indicators before one.

use crate::analytics::desk::told_candle;
use crate::analytics::rolling::state::State;
use crate::analytics::sums::{Print, Sums};
use crate::domain::candle::{Candle, CandleState, Origin};
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::time::UnixNanos;

/// A candle with trades, open or closed.
#[derive(Debug)]
pub struct Row {
    pub open_at: UnixNanos,
    pub sums: Sums,
    /// Of its last telling; the other states have no row.
    pub partial: bool,
    pub revision: u32,
    pub extra: Option<Box<RowExtra>>,
}

/// What few rows have.
#[derive(Debug)]
pub struct RowExtra {
    /// One for each indicator, one of them above zero.
    pub indicator_revisions: Box<[u32]>,
}

/// The indicators as they were before a candle.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// The candle's place among the rows.
    pub row: usize,
    /// How many runs of quiet in memory begin before it. Not saved: made again.
    pub quiet: usize,
    pub words: Vec<u64>,
}

impl Row {
    pub fn new(open_at: UnixNanos, sums: Sums) -> Self {
        Self { open_at, sums, partial: false, revision: 0, extra: None }
    }

    pub fn blank() -> Self {
        Self::new(UnixNanos(0), Sums::blank())
    }

    /// Becomes one that holds nothing but a trade.
    #[inline]
    pub fn begin(&mut self, open_at: UnixNanos, print: &Print, with_sizes: bool) {
        (self.open_at, self.partial, self.revision, self.extra) = (open_at, false, 0, None);
        self.sums.begin(print, with_sizes);
    }

    pub fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.open_at.0);
        self.sums.state(state);
        state.bool(&mut self.partial);
        state.u32(&mut self.revision);
        let mut revisions = self.extra.take().map(|extra| extra.indicator_revisions);
        state.option_slice(&mut revisions, 0, State::u32);
        self.extra = revisions.map(|indicator_revisions| Box::new(RowExtra { indicator_revisions }));
    }
}

impl RowExtra {
    pub fn blank(members: usize) -> Self {
        Self { indicator_revisions: vec![0; members].into() }
    }
}

impl Checkpoint {
    pub fn state(&mut self, state: &mut State<'_>) {
        state.usize(&mut self.row);
        let mut len = self.words.len();
        state.len(&mut len);
        if state.is_load() {
            self.words = vec![0; len];
        }
        self.words.iter_mut().for_each(|word| state.word(word));
    }
}

#[inline(always)]
pub fn candle_of(interval: TimeInterval, row: &Row, origin: Origin) -> Candle {
    let state = if row.partial { CandleState::Partial } else { CandleState::Traded };
    let close_at = interval.close_of(row.open_at);
    told_candle(Interval::Time(interval), (row.open_at, close_at), &row.sums, state, row.revision, origin)
}
