//! History: what was told, read back by instrument and time, page by page, the newest revision of each row.
//!
//! **Seamless.** A row that was offered to the store before a read began is in what it reads: first the
//! batches that are not committed yet are taken from the writer's queue, then the store is read as it stands, and
//! where both have a row the higher revision counts. A batch leaves the queue after its commit, so that it
//! is in one of the two, or in both.
//!
//! Reads block: call them where that is allowed. Each has a connection of its own, and a consistent view of the
//! store; the writer never waits for them.

pub mod listing;
pub mod series;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod trial;
pub mod walk;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::shape::Label;
use crate::domain::time::UnixNanos;
use crate::domain::told::Roster;
use crate::runtime::clock::{self, Stopwatch};
use crate::runtime::metrics::Metrics;
use crate::runtime::sink::Batch;
use crate::storage::embedded::schema;
use crate::storage::error::StorageError;
use crate::storage::pending::Pending;

/// Connections that are kept open between reads.
const IDLE_MAX: usize = 8;

/// How long a read waits for rows that left memory for the disk and are not in the store.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Reads of the embedded store, and of what is on its way there.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    roster: Roster,
    /// By watch.
    labels: Vec<Label>,
    pending: Pending,
    idle: Mutex<Vec<Connection>>,
}

/// Which part of a listing.
///
/// Ascending in time. With `from` or `after` the oldest rows first, without either the newest `limit`.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Inclusive.
    pub from: Option<UnixNanos>,
    /// Exclusive.
    pub to: Option<UnixNanos>,
    /// [`Page::next`] of the page before.
    pub after: Option<&'a str>,
    /// At least 1.
    pub limit: usize,
}

/// One instrument's candles or indicators of one interval.
#[derive(Clone, Copy, Debug)]
pub struct SeriesQuery<'a> {
    pub instrument: &'a Instrument,
    pub interval: Interval,
    pub span: Span<'a>,
}

/// Gaps, anomalies, forecasts, signals; what is `None` does not filter.
#[derive(Clone, Copy, Debug)]
pub struct ListingQuery<'a> {
    pub instrument: Option<&'a Instrument>,
    /// Of a signal or gap its kind; of an anomaly its channel; of a forecast its target.
    pub kind: Option<&'a str>,
    /// Of signals: this one.
    pub severity: Option<&'a str>,
    /// Of anomalies and forecasts.
    pub interval: Option<Interval>,
    pub span: Span<'a>,
}

/// Rows, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// For [`Span::after`], where more rows follow. `None` too where the newest rows were asked for.
    pub next: Option<String>,
}

impl History {
    /// Reads the store in the data directory, which [`crate::storage::embedded::store::Store::open`] has
    /// made, and what waits in `pending` to be written there.
    pub fn new(data_dir: &Path, roster: &Roster, pending: Pending) -> Self {
        Self {
            path: data_dir.join(schema::FILE),
            labels: roster.iter().map(|(_, instrument)| Label::new(instrument)).collect(),
            roster: roster.clone(),
            pending,
            idle: Mutex::default(),
        }
    }

    /// Reads a store that another process may write: what that holds in memory is not seen.
    pub fn offline(data_dir: &Path) -> Self {
        Self::new(data_dir, &Roster::new([]), Pending::new(0, Metrics::new().queue("store")))
    }

    /// Every instrument and interval that the store has rows of, in order.
    pub fn all_series(&self) -> Result<Vec<(Instrument, Interval)>, StorageError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT n.name, i.name FROM (SELECT DISTINCT interval, instrument FROM stops) s \
                 JOIN instruments n ON n.id = s.instrument JOIN intervals i ON i.id = s.interval",
            )?;
            let mut rows = statement.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let (instrument, interval): (String, String) = (row.get(0)?, row.get(1)?);
                let instrument = instrument.parse().map_err(|_| ReadError::Row("name of an instrument"))?;
                all.push((instrument, interval.parse().map_err(|_| ReadError::Row("interval"))?));
            }
            all.sort_unstable();
            Ok(all)
        })
    }

    /// What is not committed yet. Taken before the store is read.
    fn overlay(&self) -> Result<Vec<Arc<Batch>>, StorageError> {
        let waited = Stopwatch::start();
        loop {
            if let Some(batches) = self.pending.batches() {
                return Ok(batches);
            }
            if waited.elapsed() >= PATIENCE {
                return Err(StorageError::Behind);
            }
            clock::sleep(LOOK_EVERY);
        }
    }

    /// Reads in one consistent view of the store.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, ReadError>) -> Result<T, StorageError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_to_read(&self.path)?,
        };
        let done = connection.unchecked_transaction().map_err(ReadError::Sqlite).and_then(|transaction| {
            let done = read(&connection)?;
            transaction.commit()?;
            Ok(done)
        });
        match done {
            Ok(done) => {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < IDLE_MAX {
                    idle.push(connection);
                }
                Ok(done)
            }
            // The connection goes with the error.
            Err(ReadError::Sqlite(source)) => Err(StorageError::sqlite(&self.path, "read")(source)),
            Err(ReadError::Row(what)) => Err(StorageError::Row { path: self.path.clone(), what }),
        }
    }
}

/// Why a read failed, before it knows the file's name.
#[derive(Debug)]
pub enum ReadError {
    Sqlite(rusqlite::Error),
    /// A value that no writer of ours makes.
    Row(&'static str),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Span<'_> {
    /// `[from, to)` in nanoseconds.
    fn bounds(&self) -> (i64, i64) {
        (self.from.map_or(i64::MIN, |from| from.0), self.to.map_or(i64::MAX, |to| to.0))
    }

    /// Whether the newest rows are asked for.
    fn is_newest(&self) -> bool {
        self.from.is_none() && self.after.is_none()
    }
}

/// Of the merged rows, in order, those of the page; `place` prints the cursor of a row.
fn page<K, T>(
    rows: impl DoubleEndedIterator<Item = (K, T)>,
    span: &Span<'_>,
    place: impl Fn(&K) -> String,
) -> Page<T> {
    if span.is_newest() {
        let mut newest: Vec<T> = rows.rev().take(span.limit).map(|(_, row)| row).collect();
        newest.reverse();
        return Page { rows: newest, next: None };
    }
    let mut rows = rows.peekable();
    let (mut taken, mut last) = (Vec::new(), None);
    while taken.len() < span.limit
        && let Some((key, row)) = rows.next()
    {
        taken.push(row);
        last = Some(key);
    }
    let next = rows.peek().and(last).map(|key| place(&key));
    Page { rows: taken, next }
}
