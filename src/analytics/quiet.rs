//! The quiet between candles: runs of intervals without a trade.
//!
//! A run of more than [`STRETCH_MIN`] is told as one row, once its end is known; a shorter one
//! is told interval by interval.

use crate::analytics::rolling::state::State;
use crate::domain::candle::{Candle, CandleState, Origin};
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::time::UnixNanos;

/// A longer run of quiet intervals is one row.
pub const STRETCH_MIN: i64 = 3_600;

/// A run of intervals without a trade, all of one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    pub first_open: UnixNanos,
    pub count: i64,
    pub unknown: bool,
    /// Of each row told singly, or of the one row.
    pub revision: u32,
    pub told: Told,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A row for each interval.
    Singly,
    /// One row for all; what had been told inside of it before.
    Together(Box<[Piece]>),
    /// As `Together`, once its end is known. Boxed, for nearly all runs are told singly.
    Growing(Box<Growth>),
}

/// A run that is too long to be told singly and whose end is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// What had been told inside of it before.
    pub inside: Vec<Piece>,
    /// The row for all that stands there already, from when its end seemed known.
    pub told: Option<Stretch>,
}

/// The row of a stretch, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub count: i64,
    pub unknown: bool,
    pub revision: u32,
}

/// Rows that were told singly before they became part of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub first_open: UnixNanos,
    pub end: UnixNanos,
    pub revision: u32,
}

impl Quiet {
    pub fn end(&self, interval: TimeInterval) -> UnixNanos {
        UnixNanos(self.first_open.0 + self.count * interval.nanos())
    }

    /// All rows told so far, as far as they begin in `[from, until)`.
    pub fn pieces(&self, interval: TimeInterval, from: UnixNanos, until: UnixNanos) -> Vec<Piece> {
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
            Told::Growing(growth) => growth.inside.clone(),
        };
        let cut = pieces.into_iter().map(|piece| Piece {
            first_open: piece.first_open.max(from),
            end: piece.end.min(until),
            ..piece
        });
        cut.filter(|piece| piece.first_open < piece.end).collect()
    }

    /// The row for all that stands at the first open time.
    pub fn stretch(&self) -> Option<Stretch> {
        match &self.told {
            Told::Singly => None,
            Told::Together(_) => {
                Some(Stretch { count: self.count, unknown: self.unknown, revision: self.revision })
            }
            Told::Growing(growth) => growth.told,
        }
    }

    /// The revision of the next row told at an open time of the run.
    pub fn next_revision(&self, interval: TimeInterval, open_at: UnixNanos) -> u32 {
        let told = self.pieces(interval, open_at, interval.close_of(open_at));
        told.first().map_or(0, |piece| piece.revision + 1)
    }
}

impl Quiet {
    pub fn state(&mut self, state: &mut State<'_>) {
        state.i64(&mut self.first_open.0);
        state.i64(&mut self.count);
        state.bool(&mut self.unknown);
        state.u32(&mut self.revision);
        let mut kind = match &self.told {
            Told::Singly => 0,
            Told::Together(_) => 1,
            Told::Growing(growth) => 2 + u64::from(growth.told.is_some()),
        };
        state.word(&mut kind);
        let (mut inside, told) = match std::mem::replace(&mut self.told, Told::Singly) {
            Told::Singly => (Vec::new(), None),
            Told::Together(inside) => (inside.into_vec(), None),
            Told::Growing(growth) => (growth.inside, growth.told),
        };
        let mut told = told.unwrap_or(Stretch { count: 0, unknown: false, revision: 0 });
        if kind == 3 {
            state.i64(&mut told.count);
            state.bool(&mut told.unknown);
            let mut revision = u64::from(told.revision);
            state.word(&mut revision);
            told.revision = revision as u32;
        }
        let mut len = inside.len();
        state.len(&mut len);
        inside.resize(len, Piece { first_open: UnixNanos(0), end: UnixNanos(0), revision: 0 });
        for piece in &mut inside {
            state.i64(&mut piece.first_open.0);
            state.i64(&mut piece.end.0);
            state.u32(&mut piece.revision);
        }
        self.told = match kind {
            0 => Told::Singly,
            1 => Told::Together(inside.into()),
            2 => Told::Growing(Box::new(Growth { inside, told: None })),
            _ => Told::Growing(Box::new(Growth { inside, told: Some(told) })),
        };
    }
}

pub fn together(interval: TimeInterval, run: &Quiet, origin: Origin) -> Candle {
    quiet_candle(interval, run.first_open, run.count, run.unknown, run.revision, origin)
}

#[inline(always)]
pub fn quiet_candle(
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
