//! The writing side of the embedded store: rows in, each by its identity, the newest revision stays.
//!
//! Everything of one call is one transaction: all of it is there afterwards, or nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql, params};

use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::Position;
use crate::domain::shape::Label;
use crate::domain::time::UnixNanos;
use crate::domain::told::{Roster, Watch};
use crate::runtime::sink::Batch;
use crate::storage::embedded::row::{Row, Table, Value};
use crate::storage::embedded::schema;
use crate::storage::error::StorageError;

const CANDLE: &str = "
INSERT INTO candles (open_time, interval, instrument, origin, close_time, open, high, low, close, volume, quote_volume,
  trade_count, taker_buy_volume, taker_buy_quote_volume, state, revision)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
ON CONFLICT DO UPDATE SET close_time = excluded.close_time, open = excluded.open, high = excluded.high,
  low = excluded.low, close = excluded.close, volume = excluded.volume, quote_volume = excluded.quote_volume,
  trade_count = excluded.trade_count, taker_buy_volume = excluded.taker_buy_volume,
  taker_buy_quote_volume = excluded.taker_buy_quote_volume, state = excluded.state, revision = excluded.revision
WHERE excluded.revision >= revision";

const INDICATOR: &str = "
INSERT INTO indicators (open_time, interval, instrument, indicator, revision, data_state, value)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT DO UPDATE SET revision = excluded.revision, data_state = excluded.data_state, value = excluded.value
WHERE excluded.revision >= revision";

// `at` stays what it was when the gap was first told: pages are ordered by it, and a gap that shrinks
// must not wander between them.
const GAP: &str = "
INSERT INTO gaps (at, instrument, id, cause_seq, kind, first_missing_id, last_missing_id, \"from\", \"to\", state,
  reason)
VALUES (?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT DO UPDATE SET cause_seq = excluded.cause_seq, first_missing_id = excluded.first_missing_id,
  last_missing_id = excluded.last_missing_id, \"from\" = excluded.\"from\", \"to\" = excluded.\"to\",
  state = excluded.state, reason = excluded.reason
WHERE excluded.cause_seq >= cause_seq";

// Never amended: the first telling is the one.
const ANOMALY: &str = "
INSERT INTO anomalies (at, interval, instrument, id, kind, severity, fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT DO NOTHING";
const FORECAST: &str = "
INSERT INTO forecasts (at, interval, instrument, id, kind, severity, fields, actual)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT actual FROM outcomes WHERE at = ?1 AND id = ?4))
ON CONFLICT DO NOTHING";
const OUTCOME: &str = "UPDATE forecasts SET actual = ?5 WHERE at = ?1 AND id = ?4 AND instrument = ?3";
const SIGNAL: &str = "
INSERT INTO signals (at, interval, instrument, id, kind, severity, fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT DO NOTHING";

// Of a forecast that comes later, because older rows are told again beside newer ones.
const EARLY: &str = "INSERT INTO outcomes (at, id, actual) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

const STOP: &str = "INSERT OR IGNORE INTO stops (interval, instrument, at) VALUES (?1, ?2, ?3)";

/// Rows that one call wrote, by [`Table`].
pub type Counts = [u64; Table::ALL.len()];

/// Rows that one step of [`Store::sweep`] deletes at most, about.
const SWEEP_ROWS: i64 = 4_096;
/// Names of marks: up to where a partition is kept, and until when rows were swept.
const KEPT: &str = "kept:";
const SWEPT: &str = "swept_until";
/// Of as many sweeps one looks for stretches without rows.
const STOPS_SWEEP_EVERY: u32 = 256;

/// The one writer.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    roster: Roster,
    labels: Vec<Label>,
    names: Names,
    row: Row,
    newest_at: i64,
    /// Up to where it had kept each partition when it was opened.
    kept: BTreeMap<u32, Position>,
    /// Likewise what each symbol told, by watch.
    reached: Vec<Position>,
    /// Sweeps that came to their end.
    sweeps: u32,
}

/// Numbers that stand for names. Bounded by what is configured.
#[derive(Debug, Default)]
struct Names {
    /// By position in the roster.
    watches: Vec<Option<i64>>,
    intervals: BTreeMap<Interval, i64>,
    indicators: BTreeMap<Arc<str>, i64>,
    /// The stretch last noted, by interval and instrument.
    stops: BTreeMap<(i64, i64), i64>,
}

impl Store {
    /// Opens the store in the data directory; makes it where there is none.
    pub fn open(data_dir: &Path, roster: &Roster) -> Result<Self, StorageError> {
        let path = data_dir.join(schema::FILE);
        let connection = schema::open_to_write(&path)?;
        connection.set_prepared_statement_cache_capacity(32);
        let newest_at = connection
            .query_row("SELECT coalesce(max(open_time), 0) FROM candles", [], |row| row.get(0))
            .map_err(StorageError::sqlite(&path, "read"))?;
        let kept = kept(&connection).map_err(StorageError::sqlite(&path, "read"))?;
        let reached = take_progress(&connection, roster).map_err(StorageError::sqlite(&path, "read"))?;
        let instrument = roster
            .iter()
            .next()
            .map_or_else(|| "none:A-B".parse().expect("a sound name"), |(_, instrument)| instrument.clone());
        let labels = roster.iter().map(|(_, instrument)| Label::new(instrument)).collect();
        let names = Names { watches: vec![None; roster.len()], ..Names::default() };
        let roster = roster.clone();
        let row = Row::new(instrument);
        Ok(Self { path, connection, roster, labels, names, row, newest_at, kept, reached, sweeps: 0 })
    }

    /// Up to where it had kept each partition when it was opened.
    pub fn kept(&self) -> &BTreeMap<u32, Position> {
        &self.kept
    }

    /// Up to where it had what each symbol told, by watch; zero: that is not known.
    pub fn reached(&self) -> &[Position] {
        &self.reached
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what batches tell. `durably`: it survives a loss of power too.
    pub fn write<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a Batch>,
        durably: bool,
    ) -> Result<Counts, StorageError> {
        self.write_up_to(batches, &BTreeMap::new(), durably)
    }

    /// Likewise, and notes that each partition is kept up to `covered` with it.
    pub fn write_up_to<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a Batch>,
        covered: &BTreeMap<u32, Position>,
        durably: bool,
    ) -> Result<Counts, StorageError> {
        self.write_noting(batches, covered, &[], durably)
    }

    /// Likewise, and notes up to where it has what these symbols told.
    pub fn write_noting<'a>(
        &mut self,
        batches: impl Iterator<Item = &'a Batch>,
        covered: &BTreeMap<u32, Position>,
        reached: &[(Watch, Position)],
        durably: bool,
    ) -> Result<Counts, StorageError> {
        self.transact(durably, |statements, names, row, newest_at, counts, context| {
            for telling in batches.flat_map(|batch| &batch.tellings) {
                let watch = telling.watch;
                let instrument = context.roster.instrument(watch);
                if row.fill(telling, instrument, &context.labels[watch.0 as usize]) {
                    put(statements, names, row, newest_at)?;
                    counts[row.table as usize] += 1;
                }
            }
            for (partition, at) in covered {
                set_mark(statements.connection, &format!("{KEPT}{partition}"), at.0 as i64)?;
            }
            for (watch, at) in reached {
                let number =
                    names.number(statements.connection, *watch, context.roster.instrument(*watch))?;
                set_progress(statements.connection, number, *at)?;
            }
            Ok(())
        })
    }

    /// Writes rows that waited as bytes ([`Row::write_to`]); what is behind the last whole row is left out.
    pub fn write_rows(&mut self, mut bytes: &[u8], durably: bool) -> Result<Counts, StorageError> {
        self.transact(durably, |statements, names, row, newest_at, counts, _| {
            while row.read(&mut bytes).is_some() {
                put(statements, names, row, newest_at)?;
                counts[row.table as usize] += 1;
            }
            Ok(())
        })
    }

    /// The rows of batches as bytes, for the time in which they cannot be written.
    pub fn encode<'a>(&mut self, batches: impl Iterator<Item = &'a Batch>, out: &mut Vec<u8>) {
        for telling in batches.flat_map(|batch| &batch.tellings) {
            let watch = telling.watch;
            let label = &self.labels[watch.0 as usize];
            if self.row.fill(telling, self.roster.instrument(watch), label) {
                self.row.write_to(out);
            }
        }
    }

    fn transact(
        &mut self,
        durably: bool,
        work: impl FnOnce(
            &mut Statements<'_>,
            &mut Names,
            &mut Row,
            &mut i64,
            &mut Counts,
            Context<'_>,
        ) -> rusqlite::Result<()>,
    ) -> Result<Counts, StorageError> {
        let Self { path, connection, roster, labels, names, row, newest_at, .. } = self;
        let connection = &*connection;
        let mut counts = Counts::default();
        let attempt = || -> rusqlite::Result<()> {
            if durably {
                connection.pragma_update(None, "synchronous", "full")?;
            }
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let mut statements = Statements::new(connection)?;
            work(&mut statements, names, row, newest_at, &mut counts, Context { roster, labels })?;
            if durably {
                // So that there is a commit, which waits for the disk and with it for all before it.
                let mark =
                    "INSERT INTO marks VALUES ('barriers', 1) ON CONFLICT DO UPDATE SET value = value + 1";
                connection.prepare_cached(mark)?.execute([])?;
            }
            connection.execute_batch("COMMIT")
        };
        let done = attempt();
        if durably {
            // A failure shows at the next transaction too.
            let _ = connection.pragma_update(None, "synchronous", "normal");
        }
        if let Err(source) = done {
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            // Names that were given in the transaction are gone with it.
            *names = Names { watches: vec![None; roster.len()], ..Names::default() };
            return Err(StorageError::sqlite(path.as_path(), "write")(source));
        }
        Ok(counts)
    }

    /// The time of the newest row that was ever written; 0: none was.
    pub fn newest_at(&self) -> UnixNanos {
        UnixNanos(self.newest_at)
    }

    /// Deletes some of the rows from before `until`; `true`: there may be more.
    pub fn sweep(&mut self, until: UnixNanos) -> Result<bool, StorageError> {
        let mut more = false;
        let mut sweep = || -> rusqlite::Result<()> {
            // First, so that a kill in between leaves nothing missing without a word.
            set_mark(&self.connection, SWEPT, until.0)?;
            for (table, time) in [
                ("candles", "open_time"),
                ("indicators", "open_time"),
                ("gaps", "at"),
                ("anomalies", "at"),
                ("forecasts", "at"),
                ("outcomes", "at"),
                ("signals", "at"),
            ] {
                // A small delete each time: the writer's next batch waits for it.
                let step: Option<i64> = self
                    .connection
                    .prepare_cached(&format!(
                        "SELECT {time} FROM {table} WHERE {time} < ?1 ORDER BY {time} LIMIT 1 OFFSET {SWEEP_ROWS}"
                    ))?
                    .query_row([until.0], |row| row.get(0))
                    .map(Some)
                    .or_else(|error| match error {
                        rusqlite::Error::QueryReturnedNoRows => Ok(None),
                        other => Err(other),
                    })?;
                // Rows of one moment go together.
                let bound = step.map_or(until.0, |step| (step + 1).min(until.0));
                self.connection
                    .prepare_cached(&format!("DELETE FROM {table} WHERE {time} < ?1"))?
                    .execute([bound])?;
                more |= step.is_some();
            }
            // A stretch may reach over the bound: it goes once the next one begins before it. One that is left
            // where nothing is costs a reader some look-ups; finding them reads the whole table, so seldom.
            if !more && self.sweeps.is_multiple_of(STOPS_SWEEP_EVERY) {
                self.connection
                    .prepare_cached(
                        "DELETE FROM stops WHERE at < ?1 AND EXISTS (SELECT 1 FROM stops s WHERE s.interval = stops.interval \
                         AND s.instrument = stops.instrument AND s.at > stops.at AND s.at < ?1)",
                    )?
                    .execute([until.0])?;
            }
            Ok(())
        };
        sweep().map_err(StorageError::sqlite(&self.path, "sweep"))?;
        self.sweeps = self.sweeps.wrapping_add(u32::from(!more));
        Ok(more)
    }
}

#[derive(Clone, Copy)]
struct Context<'a> {
    roster: &'a Roster,
    labels: &'a [Label],
}

struct Statements<'a> {
    connection: &'a Connection,
    tables: [CachedStatement<'a>; Table::ALL.len()],
    stop: CachedStatement<'a>,
}

impl<'a> Statements<'a> {
    fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            tables: [
                connection.prepare_cached(CANDLE)?,
                connection.prepare_cached(INDICATOR)?,
                connection.prepare_cached(GAP)?,
                connection.prepare_cached(ANOMALY)?,
                connection.prepare_cached(FORECAST)?,
                connection.prepare_cached(SIGNAL)?,
                connection.prepare_cached(OUTCOME)?,
            ],
            stop: connection.prepare_cached(STOP)?,
        })
    }
}

fn put(
    statements: &mut Statements<'_>,
    names: &mut Names,
    row: &Row,
    newest_at: &mut i64,
) -> rusqlite::Result<()> {
    let instrument = names.instrument(statements.connection, row)?;
    let interval =
        row.interval.map(|interval| names.interval(statements.connection, interval)).transpose()?;
    let statement = &mut statements.tables[row.table as usize];
    statement.raw_bind_parameter(1, row.at)?;
    statement.raw_bind_parameter(3, instrument)?;
    let mut at = 4;
    if row.table != Table::Gaps {
        statement.raw_bind_parameter(2, interval)?;
    }
    if let Some((name, outputs)) = &row.indicator {
        let indicator = names.indicator(statements.connection, name, outputs)?;
        statement.raw_bind_parameter(at, indicator)?;
        at += 1;
    }
    for value in row.cells() {
        statement.raw_bind_parameter(at, value)?;
        at += 1;
    }
    let changed = statement.raw_execute()?;
    if row.table == Table::Outcomes && changed == 0 {
        let mut cells = row.cells();
        if let (Some(id), Some(actual)) = (cells.next(), cells.next()) {
            statements.connection.prepare_cached(EARLY)?.execute(params![row.at, id, actual])?;
        }
    }
    if let (Some(number), Some(interval)) = (interval, row.interval)
        && matches!(row.table, Table::Candles | Table::Indicators)
    {
        *newest_at = (*newest_at).max(row.at);
        let stop = schema::stop_of(interval, UnixNanos(row.at));
        if names.stops.get(&(number, instrument)) != Some(&stop) {
            statements.stop.execute(params![number, instrument, stop])?;
            names.stops.insert((number, instrument), stop);
        }
    }
    Ok(())
}

impl Names {
    fn instrument(&mut self, connection: &Connection, row: &Row) -> rusqlite::Result<i64> {
        match row.watch {
            Some(watch) => self.number(connection, watch, &row.instrument),
            None => numbered(connection, "instruments", &row.instrument.to_string()),
        }
    }

    fn number(
        &mut self,
        connection: &Connection,
        watch: Watch,
        instrument: &Instrument,
    ) -> rusqlite::Result<i64> {
        let slot = &mut self.watches[watch.0 as usize];
        if let Some(number) = slot {
            return Ok(*number);
        }
        let number = numbered(connection, "instruments", &instrument.to_string())?;
        *slot = Some(number);
        Ok(number)
    }

    fn interval(&mut self, connection: &Connection, interval: Interval) -> rusqlite::Result<i64> {
        if let Some(number) = self.intervals.get(&interval) {
            return Ok(*number);
        }
        let number = numbered(connection, "intervals", &interval.to_string())?;
        self.intervals.insert(interval, number);
        Ok(number)
    }

    fn indicator(
        &mut self,
        connection: &Connection,
        name: &Arc<str>,
        outputs: &str,
    ) -> rusqlite::Result<i64> {
        if let Some(number) = self.indicators.get(name) {
            return Ok(*number);
        }
        connection
            .prepare_cached(
                "INSERT INTO indicator_names (name, outputs) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET outputs = excluded.outputs",
            )?
            .execute(params![name, outputs])?;
        let number = connection
            .prepare_cached("SELECT id FROM indicator_names WHERE name = ?1")?
            .query_row([name], |row| row.get(0))?;
        self.indicators.insert(name.clone(), number);
        Ok(number)
    }
}

/// Notes a number under a name, unless a higher one stands there.
fn set_mark(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO marks VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
    connection.prepare_cached(sql)?.execute(params![name, value]).map(drop)
}

fn set_progress(connection: &Connection, instrument: i64, at: Position) -> rusqlite::Result<()> {
    let sql = "INSERT INTO progress VALUES (?1, ?2) ON CONFLICT DO UPDATE SET at = excluded.at";
    connection.prepare_cached(sql)?.execute(params![instrument, at.0 as i64]).map(drop)
}

/// Up to where the store has what each symbol told, by watch. What is read is gone: after a loss of power the journal
/// may end before it, and its places are given to other events.
fn take_progress(connection: &Connection, roster: &Roster) -> rusqlite::Result<Vec<Position>> {
    let sql = "SELECT name, at FROM progress JOIN instruments ON instruments.id = instrument";
    let mut reached = vec![Position(0); roster.len()];
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, at): (String, i64) = (row.get(0)?, row.get(1)?);
        if let Some(watch) = name.parse().ok().and_then(|instrument| roster.find(&instrument)) {
            reached[watch.0 as usize] = Position(at as u64);
        }
    }
    // Where another program holds a lock nothing is known.
    let is_gone = connection.execute("DELETE FROM progress", []).is_ok();
    Ok(if is_gone { reached } else { vec![Position(0); roster.len()] })
}

/// Up to where the store has kept what each partition told.
pub fn kept(connection: &Connection) -> rusqlite::Result<BTreeMap<u32, Position>> {
    let mut statement = connection.prepare("SELECT name, value FROM marks")?;
    let mut rows = statement.query([])?;
    let mut kept = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (name, value): (String, i64) = (row.get(0)?, row.get(1)?);
        if let Some(partition) = name.strip_prefix(KEPT).and_then(|text| text.parse().ok()) {
            kept.insert(partition, Position(value as u64));
        }
    }
    Ok(kept)
}

/// Rows from before this moment may have been deleted for their age.
pub fn swept_until(connection: &Connection) -> rusqlite::Result<UnixNanos> {
    let sql = "SELECT coalesce(max(value), ?2) FROM marks WHERE name = ?1";
    connection.query_row(sql, params![SWEPT, i64::MIN], |row| Ok(UnixNanos(row.get(0)?)))
}

fn numbered(connection: &Connection, table: &str, name: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(&format!("INSERT OR IGNORE INTO {table} (name) VALUES (?1)"))?
        .execute([name])?;
    connection
        .prepare_cached(&format!("SELECT id FROM {table} WHERE name = ?1"))?
        .query_row([name], |row| row.get(0))
}

/// As the dictionary of the store numbers it.
pub fn instrument_number(connection: &Connection, instrument: &Instrument) -> rusqlite::Result<Option<i64>> {
    number_of(connection, "SELECT id FROM instruments WHERE name = ?1", &instrument.to_string())
}

/// As the dictionary of the store numbers it.
pub fn interval_number(connection: &Connection, interval: Interval) -> rusqlite::Result<Option<i64>> {
    number_of(connection, "SELECT id FROM intervals WHERE name = ?1", &interval.to_string())
}

fn number_of(connection: &Connection, sql: &str, name: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([name])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text),
        }))
    }
}
