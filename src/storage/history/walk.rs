//! The open times at which a series may have a row, one way or the other.
//!
//! Rows lie in order of time, those of all instruments beside each other; one instrument's are found by
//! asking for each open time that its stretches of time can have.

use rusqlite::{Connection, params};

use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;
use crate::storage::embedded::schema;
use crate::storage::embedded::store::{instrument_number, interval_number};
use crate::storage::history::{ReadError, SeriesQuery};

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// A series, as the store numbers it.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    pub interval: Interval,
    pub interval_number: i64,
    pub instrument_number: i64,
}

impl Series {
    /// `None`: the store has never heard of it.
    pub fn find(connection: &Connection, query: &SeriesQuery<'_>) -> Result<Option<Self>, ReadError> {
        let interval = query.interval;
        let numbers =
            (interval_number(connection, interval)?, instrument_number(connection, query.instrument)?);
        let (Some(interval_number), Some(instrument_number)) = numbers else { return Ok(None) };
        Ok(Some(Self { interval, interval_number, instrument_number }))
    }

    /// Visits the open times in `[from, to)` until `visit` says `false`.
    pub fn walk(
        self,
        connection: &Connection,
        (from, to): (i64, i64),
        way: Way,
        mut visit: impl FnMut(UnixNanos) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        let sql = match way {
            Way::Up => {
                "SELECT at FROM stops WHERE interval = ?1 AND instrument = ?2 AND at >= ?3 AND at < ?4 ORDER BY at"
            }
            Way::Down => {
                "SELECT at FROM stops WHERE interval = ?1 AND instrument = ?2 AND at >= ?3 AND at < ?4 ORDER BY at DESC"
            }
        };
        let first = schema::stop_of(self.interval, UnixNanos(from));
        let mut statement = connection.prepare_cached(sql)?;
        let mut stops = statement.query(params![self.interval_number, self.instrument_number, first, to])?;
        while let Some(row) = stops.next()? {
            let stop: i64 = row.get(0)?;
            if !self.stretch(stop, (from, to), way, &mut visit)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The open times of one stretch.
    fn stretch(
        self,
        stop: i64,
        (from, to): (i64, i64),
        way: Way,
        visit: &mut impl FnMut(UnixNanos) -> Result<bool, ReadError>,
    ) -> Result<bool, ReadError> {
        let (Some(time), Some(stretch)) = (self.interval.time(), schema::stretch_nanos(self.interval)) else {
            return if stop >= from { visit(UnixNanos(stop)) } else { Ok(true) };
        };
        let (begin, end) = (stop.max(from), stop.saturating_add(stretch).min(to));
        if begin >= end {
            return Ok(true);
        }
        let nanos = time.nanos();
        // The first open time from `begin` on, and how many there are before `end`.
        let open = time.open_of(UnixNanos(begin)).0;
        let first = if open < begin { open + nanos } else { open };
        let count = if first < end { (end - 1 - first) / nanos + 1 } else { 0 };
        for step in 0..count {
            let step = if way == Way::Up { step } else { count - 1 - step };
            if !visit(UnixNanos(first + step * nanos))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
