//! The tables of the embedded store.
//!
//! Times are nanoseconds since 1970, prices and sums exact decimal text, statistics the shortest text
//! that reads back as the same float. Every key says which row it is, and no row twice.
//!
//! Series are keyed by time first: what is told next goes to the end of the tree, whatever the
//! number of instruments (benches/storage.rs holds the ratio). One instrument is then read by the
//! intervals that there are, one look-up each; `stops` says in which stretches of [`STRETCH`] intervals there is anything,
//! or, where intervals are no stretches of time, names every open time.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;
use crate::storage::error::StorageError;

/// Of this layout; those before are made into it by the writer, another one is refused.
pub const VERSION: i64 = STEPS.len() as i64;

/// The file in the data directory.
pub const FILE: &str = "store.sqlite";

/// Intervals in a stretch of `stops`.
const STRETCH: i64 = 1_024;

/// How long a statement waits for another program that holds a lock.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// From nothing to the first layout, and from each to the next.
const STEPS: [&str; 3] = [FIRST, FROM_1, FROM_2];

const FIRST: &str = "
CREATE TABLE instruments (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE intervals (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE indicator_names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, outputs TEXT NOT NULL) STRICT;
CREATE TABLE candles (
  open_time INTEGER NOT NULL, interval INTEGER NOT NULL, instrument INTEGER NOT NULL, origin TEXT NOT NULL,
  close_time INTEGER NOT NULL, open TEXT, high TEXT, low TEXT, close TEXT, volume TEXT NOT NULL, quote_volume TEXT,
  trade_count INTEGER, taker_buy_volume TEXT, taker_buy_quote_volume TEXT, state TEXT NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (open_time, interval, instrument, origin)) WITHOUT ROWID, STRICT;
CREATE TABLE indicators (
  open_time INTEGER NOT NULL, interval INTEGER NOT NULL, instrument INTEGER NOT NULL, indicator INTEGER NOT NULL,
  revision INTEGER NOT NULL, data_state TEXT NOT NULL, value TEXT,
  PRIMARY KEY (open_time, interval, instrument, indicator)) WITHOUT ROWID, STRICT;
CREATE TABLE stops (
  interval INTEGER NOT NULL, instrument INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (interval, instrument, at)) WITHOUT ROWID, STRICT;
CREATE TABLE gaps (
  at INTEGER NOT NULL, id INTEGER NOT NULL, instrument INTEGER NOT NULL, cause_seq INTEGER NOT NULL,
  kind TEXT NOT NULL, first_missing_id TEXT, last_missing_id TEXT, \"from\" INTEGER NOT NULL, \"to\" INTEGER NOT NULL,
  state TEXT NOT NULL, reason TEXT, PRIMARY KEY (instrument, id)) WITHOUT ROWID, STRICT;
CREATE INDEX gaps_by_time ON gaps (at, id);
CREATE TABLE anomalies (
  at INTEGER NOT NULL, id INTEGER NOT NULL, instrument INTEGER NOT NULL, interval INTEGER, kind TEXT NOT NULL,
  severity TEXT, fields TEXT NOT NULL, PRIMARY KEY (at, id)) WITHOUT ROWID, STRICT;
CREATE INDEX anomalies_by_instrument ON anomalies (instrument, at, id);
CREATE TABLE forecasts (
  at INTEGER NOT NULL, id INTEGER NOT NULL, instrument INTEGER NOT NULL, interval INTEGER, kind TEXT NOT NULL,
  severity TEXT, fields TEXT NOT NULL, PRIMARY KEY (at, id)) WITHOUT ROWID, STRICT;
CREATE INDEX forecasts_by_instrument ON forecasts (instrument, at, id);
CREATE TABLE signals (
  at INTEGER NOT NULL, id INTEGER NOT NULL, instrument INTEGER NOT NULL, interval INTEGER, kind TEXT NOT NULL,
  severity TEXT, fields TEXT NOT NULL, PRIMARY KEY (at, id)) WITHOUT ROWID, STRICT;
CREATE INDEX signals_by_instrument ON signals (instrument, at, id);
CREATE INDEX signals_by_severity ON signals (severity, at, id);
CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;
";

/// What the first layout lacks.
const FROM_1: &str = "
ALTER TABLE forecasts ADD COLUMN actual TEXT;
CREATE TABLE outcomes (
  at INTEGER NOT NULL, id INTEGER NOT NULL, actual TEXT NOT NULL, PRIMARY KEY (at, id)) WITHOUT ROWID, STRICT;
";

/// What the second lacks.
const FROM_2: &str = "CREATE TABLE progress (instrument INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT;";

/// Opens the store for its one writer; makes it where there is none.
pub fn open_to_write(path: &Path) -> Result<Connection, StorageError> {
    let error = |action| StorageError::sqlite(path, action);
    let mut connection = Connection::open(path).map_err(error("open"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(error("open"))?;
    // Write-ahead: readers never wait, and a commit is one append. `normal`: what is committed survives
    // a kill of the process; barriers ask for more.
    connection
        .pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .and_then(|()| connection.pragma_update(None, "synchronous", "normal"))
        .and_then(|()| connection.pragma_update(None, "cache_size", -16_384))
        .and_then(|()| connection.pragma_update(None, "temp_store", "memory"))
        .map_err(error("open"))?;
    let found = version(&connection).map_err(error("read"))?;
    let steps = usize::try_from(found).ok().and_then(|found| STEPS.get(found..)).unwrap_or_default();
    if steps.is_empty() {
        return check_version(path, found).map(|()| connection);
    }
    let make = |connection: &mut Connection| -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        steps.iter().try_for_each(|step| transaction.execute_batch(step))?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    };
    make(&mut connection).map_err(error("make"))?;
    Ok(connection)
}

/// Opens a store that another connection, perhaps of another process, writes.
pub fn open_to_read(path: &Path) -> Result<Connection, StorageError> {
    let error = |action| StorageError::sqlite(path, action);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(error("open"))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(error("open"))?;
    connection.pragma_update(None, "query_only", true).map_err(error("open"))?;
    check(path, &connection)?;
    Ok(connection)
}

/// Refuses a store of another layout.
pub fn check(path: &Path, connection: &Connection) -> Result<(), StorageError> {
    let found = version(connection).map_err(StorageError::sqlite(path, "read"))?;
    check_version(path, found)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn check_version(path: &Path, found: i64) -> Result<(), StorageError> {
    if found == VERSION {
        return Ok(());
    }
    Err(StorageError::Version { path: path.to_owned(), found, known: VERSION })
}

/// Where the stretch begins that a row belongs to.
pub fn stop_of(interval: Interval, open_at: UnixNanos) -> i64 {
    match stretch_nanos(interval) {
        Some(nanos) => open_at.0.div_euclid(nanos).saturating_mul(nanos),
        None => open_at.0,
    }
}

/// How long a stretch is; `None`: each is one open time.
pub fn stretch_nanos(interval: Interval) -> Option<i64> {
    interval.time().map(|time| time.nanos() * STRETCH)
}
