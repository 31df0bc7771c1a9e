//! Holding the store against what its journal replays to, as far as it reaches.
//!
//! The store is looked at as it stood when the audit began, before the journal is read: whatever it holds, the
//! journal holds the cause of. Then the audit hears what the replay tells, and puts it into a file of its own. A
//! row that the store had surely kept ([`kept`]) must be there, but for those that were deleted for their age, and must
//! be as it was told last until then, or as it was told later. A row that nobody told must not be there.
//!
//! Not compared: rows of moments that the replay does not reach back to, and the signal `symbol_parked`, which is
//! no matter of the journal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::domain::output::Position;
use crate::domain::shape::Label;
use crate::domain::time::UnixNanos;
use crate::domain::told::{Roster, Watch};
use crate::runtime::sink::Telling;
use crate::storage::embedded::row::{Row, Table, Value};
use crate::storage::embedded::schema;
use crate::storage::embedded::store::{kept, swept_until};
use crate::storage::error::StorageError;

const TELLINGS: &str = "
CREATE TABLE told (key BLOB PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE late (key BLOB NOT NULL, body BLOB NOT NULL);
CREATE INDEX late_keys ON late (key);
BEGIN";
/// Of a key that is told again the last counts.
const TOLD: &str = "INSERT INTO told VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = excluded.body";
/// An insight is never amended.
const TOLD_ONCE: &str = "INSERT INTO told VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
const LATE: &str = "INSERT INTO late VALUES (?1, ?2)";
/// Between two cells of a body, and instead of one that is null.
const BETWEEN: u8 = 0x1f;
const NULL: &[u8] = &[0];
/// A cell that is shown is cut after so many characters.
const SHOWN_CHARS: usize = 300;

/// Tables with rows of their own.
const SCANNED: [Table; 6] =
    [Table::Candles, Table::Indicators, Table::Gaps, Table::Anomalies, Table::Forecasts, Table::Signals];

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Rows of the store that were held against the replay.
    pub rows: u64,
    /// The first that differs, in words.
    pub difference: Option<String>,
}

/// A comparison under way.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    /// In a transaction, so that it stays as it is.
    store: Connection,
    kept: BTreeMap<u32, Position>,
    swept_until: UnixNanos,
    told: Connection,
    roster: Roster,
    labels: Vec<Label>,
    row: Row,
    key: Vec<u8>,
    body: Vec<u8>,
    /// By watch: what is told of later than that can be compared.
    known_until: BTreeMap<Watch, UnixNanos>,
}

impl Audit {
    /// Looks at the store of a data directory; `None`: it has none. `own`: an empty directory for what is heard.
    pub fn begin(data_dir: &Path, roster: &Roster, own: &Path) -> Result<Option<Self>, StorageError> {
        let path = data_dir.join(schema::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let store = open_quietly(&path)?;
        let error = |action| StorageError::sqlite(&path, action);
        store.execute_batch("BEGIN").map_err(error("read"))?;
        let (kept, swept_until) =
            kept(&store).and_then(|kept| Ok((kept, swept_until(&store)?))).map_err(error("read"))?;
        let file = own.join("told.sqlite");
        let told = Connection::open(&file)
            .and_then(|told| {
                // It lives as long as the comparison.
                told.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(()))?;
                told.pragma_update(None, "synchronous", "off")?;
                told.pragma_update(None, "cache_size", -65_536)?;
                told.execute_batch(TELLINGS)?;
                Ok(told)
            })
            .map_err(StorageError::sqlite(&file, "make"))?;
        let labels = roster.iter().map(|(_, instrument)| Label::new(instrument)).collect();
        let nobody = "none:A-B".parse().expect("a sound name");
        Ok(Some(Self {
            path,
            store,
            kept,
            swept_until,
            told,
            roster: roster.clone(),
            labels,
            row: Row::new(nobody),
            key: Vec::new(),
            body: Vec::new(),
            known_until: BTreeMap::new(),
        }))
    }

    /// All that is told of the instrument of moments after `known_until` is heard from now on.
    pub fn reach(&mut self, watch: Watch, known_until: UnixNanos) {
        self.known_until.insert(watch, known_until);
    }

    /// The replay tells this because of an event of that partition.
    pub fn hear(&mut self, partition: u32, telling: &Telling) -> Result<(), StorageError> {
        let instrument = self.roster.instrument(telling.watch);
        if !self.row.fill(telling, instrument, &self.labels[telling.watch.0 as usize]) {
            return Ok(());
        }
        let table = self.row.table;
        if table == Table::Outcomes {
            return self.hear_outcome(partition, telling);
        }
        let interval = self.row.interval.map_or_else(String::new, |interval| interval.to_string());
        let mut cells = self.row.cells();
        self.body.clear();
        let extra = match &self.row.indicator {
            Some((name, _)) => name.as_bytes().to_vec(),
            None => cells.next().map(|value| bytes_of(value)).unwrap_or_default(),
        };
        key(table, self.row.at, &instrument.to_string(), &interval, &extra, &mut self.key);
        for cell in cells {
            put(&bytes_of(cell), &mut self.body);
        }
        if table == Table::Forecasts {
            put(NULL, &mut self.body); // its outcome
        }
        let must = self.kept.get(&partition).is_some_and(|kept| telling.at <= *kept);
        let done = match (must, is_amended(table)) {
            (true, true) => self.told.prepare_cached(TOLD),
            (true, false) => self.told.prepare_cached(TOLD_ONCE),
            (false, _) => self.told.prepare_cached(LATE),
        };
        let done = done.and_then(|mut statement| match must {
            true => statement.execute(params![self.key, self.row.at, self.body]),
            false => statement.execute(params![self.key, self.body]),
        });
        done.map(drop).map_err(StorageError::sqlite(&self.path, "compare"))
    }

    /// What became of a forecast, whose row changes by it; nothing where that was told before the audit began.
    fn hear_outcome(&mut self, partition: u32, telling: &Telling) -> Result<(), StorageError> {
        let instrument = self.roster.instrument(telling.watch).to_string();
        let interval = self.row.interval.map_or_else(String::new, |interval| interval.to_string());
        let mut cells = self.row.cells().map(bytes_of);
        let (id, actual) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        key(Table::Forecasts, self.row.at, &instrument, &interval, &id, &mut self.key);
        let must = self.kept.get(&partition).is_some_and(|kept| telling.at <= *kept);
        let (told, row_key) = (&self.told, &self.key);
        let change = || -> rusqlite::Result<()> {
            let fixed = "SELECT body FROM told WHERE key = ?1";
            let late = "SELECT body FROM late WHERE key = ?1";
            for (sql, is_fixed) in [(fixed, true), (late, false)] {
                let body: Option<Vec<u8>> =
                    told.prepare_cached(sql)?.query_row([row_key], |row| row.get(0)).optional()?;
                let Some(mut body) = body else { continue };
                body.truncate(body.iter().rposition(|byte| *byte == BETWEEN).unwrap_or(body.len()));
                put(&actual, &mut body);
                if must && is_fixed {
                    let sql = "UPDATE told SET body = ?2 WHERE key = ?1";
                    return told.prepare_cached(sql)?.execute(params![row_key, body]).map(drop);
                }
                return told.prepare_cached(LATE)?.execute(params![row_key, body]).map(drop);
            }
            Ok(())
        };
        change().map_err(StorageError::sqlite(&self.path, "compare"))
    }

    /// Compares; all was heard. `whole`: what the replay does not know of, nobody told.
    pub fn finish(self, whole: bool) -> Result<Compared, StorageError> {
        let error = |source| StorageError::sqlite(&self.path, "compare")(source);
        self.told.execute_batch("COMMIT").map_err(error)?;
        self.compare(whole).map_err(error)
    }

    fn compare(&self, whole: bool) -> rusqlite::Result<Compared> {
        let mut compared = Compared::default();
        let mut found = 0;
        for table in SCANNED {
            let difference = self.scan(table, |row| {
                let known_until = row.watch.and_then(|watch| self.known_until.get(&watch));
                let is_reached = known_until.map_or(whole, |known_until| row.at > known_until.0);
                if !is_reached || row.is_parting() {
                    return Ok(None);
                }
                compared.rows += 1;
                let (difference, is_told) = self.check(table, row)?;
                found += u64::from(is_told && row.at >= self.swept_until.0);
                Ok(difference)
            })?;
            if difference.is_some() {
                return Ok(Compared { difference, ..compared });
            }
        }
        compared.difference = self.missing(found)?;
        Ok(compared)
    }

    /// What is wrong with a row of the store, and whether it is one of those that must be there.
    fn check(&self, table: Table, row: &Stored) -> rusqlite::Result<(Option<String>, bool)> {
        let told: Option<Vec<u8>> = self
            .told
            .prepare_cached("SELECT body FROM told WHERE key = ?1")?
            .query_row([&row.key], |found| found.get(0))
            .optional()?;
        let is_told = told.is_some();
        if told.as_ref().is_some_and(|told| *told == row.body) {
            return Ok((None, true));
        }
        let mut statement =
            self.told.prepare_cached("SELECT body FROM late WHERE key = ?1 ORDER BY rowid")?;
        let mut rows = statement.query([&row.key])?;
        let mut last = told;
        while let Some(found) = rows.next()? {
            let body: Vec<u8> = found.get(0)?;
            if body == row.body {
                return Ok((None, is_told));
            }
            last = last.or(Some(body));
        }
        let name = self.name_of(&row.key);
        let difference = match last {
            None => format!("{name}: is in the store, and the replay does not tell it"),
            Some(told) => {
                let (column, stored, told) = first_difference(table, &row.body, &told);
                format!("{name}: {column} is {stored} in the store, and {told} in the replay")
            }
        };
        Ok((Some(difference), is_told))
    }

    /// The first row that must be in the store and is not; `found` of them are there.
    fn missing(&self, found: u64) -> rusqlite::Result<Option<String>> {
        let until = self.swept_until.0;
        let sql = "SELECT count(*) FROM told WHERE at >= ?1";
        let wanted: i64 = self.told.query_row(sql, [until], |row| row.get(0))?;
        if wanted as u64 <= found {
            return Ok(None);
        }
        self.told.execute_batch("CREATE TABLE stored (key BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN")?;
        for table in SCANNED {
            self.scan(table, |row| {
                let sql = "INSERT OR IGNORE INTO stored VALUES (?1)";
                self.told.prepare_cached(sql)?.execute([&row.key]).map(|_| None)
            })?;
        }
        let sql = "SELECT key FROM told WHERE at >= ?1 AND key NOT IN (SELECT key FROM stored) ORDER BY at, key LIMIT 1";
        let key: Option<Vec<u8>> = self.told.query_row(sql, [until], |row| row.get(0)).optional()?;
        self.told.execute_batch("COMMIT")?;
        Ok(key.map(|key| format!("{}: is told by the replay, and not in the store", self.name_of(&key))))
    }

    /// Every row of a table of the store, until one makes `visit` say something.
    fn scan(
        &self,
        table: Table,
        mut visit: impl FnMut(&Stored) -> rusqlite::Result<Option<String>>,
    ) -> rusqlite::Result<Option<String>> {
        let mut statement = self.store.prepare(stored_sql(table))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut stored = Stored::default();
        let mut name = String::new();
        while let Some(row) = rows.next()? {
            let text = |at: usize| row.get_ref(at).map(|value| text_of(value));
            stored.at = row.get(0)?;
            let (instrument, interval, extra) = (text(1)?, text(2)?, text(3)?);
            let instrument = String::from_utf8_lossy(&instrument).into_owned();
            if instrument != name {
                stored.watch = instrument.parse().ok().and_then(|instrument| self.roster.find(&instrument));
                name.clone_from(&instrument);
            }
            let interval = if interval == NULL {
                String::new()
            } else {
                String::from_utf8_lossy(&interval).into_owned()
            };
            key(table, stored.at, &instrument, &interval, &extra, &mut stored.key);
            stored.body.clear();
            for at in 4..columns {
                put(&text(at)?, &mut stored.body);
            }
            if let Some(said) = visit(&stored)? {
                return Ok(Some(said));
            }
        }
        Ok(None)
    }

    /// Table, instrument, interval, moment and the rest of a key, for a person.
    fn name_of(&self, key: &[u8]) -> String {
        let file = self.path.display();
        let (Some(&table), Some(at)) = (key.first(), key.get(1..9)) else { return file.to_string() };
        let table = Table::ALL.into_iter().find(|known| *known as u8 == table).map_or("", Table::name);
        let at = u64::from_be_bytes(at.try_into().expect("eight bytes")) ^ (1 << 63);
        let mut parts =
            key[9..].split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned());
        let mut part = || parts.next().filter(|part| !part.is_empty()).map(|part| format!(" {part}"));
        let (instrument, interval) = (part().unwrap_or_default(), part().unwrap_or_default());
        let mut extra = part().unwrap_or_default();
        if matches!(table, "gaps" | "anomalies" | "forecasts" | "signals")
            && let Ok(id) = extra.trim().parse::<i64>()
        {
            extra = format!(" {id:016x}");
        }
        let at = if table == "gaps" { String::new() } else { format!(" {}", UnixNanos(at as i64)) };
        format!("{file}: {table}{instrument}{interval}{at}{extra}")
    }
}

/// A row of the store.
#[derive(Debug, Default)]
struct Stored {
    at: i64,
    watch: Option<Watch>,
    key: Vec<u8>,
    body: Vec<u8>,
}

impl Stored {
    /// What a symbol said when it was parked: of the engine, not of its log.
    fn is_parting(&self) -> bool {
        const NAME: &[u8] = b"\"name\":\"symbol_parked\"";
        self.key.first() == Some(&(Table::Signals as u8))
            && self.body.windows(NAME.len()).any(|part| part == NAME)
    }
}

/// Whether a row may be told again otherwise.
fn is_amended(table: Table) -> bool {
    matches!(table, Table::Candles | Table::Indicators | Table::Gaps)
}

/// The rows of a table: moment, instrument, interval, what else is part of their identity, the rest.
fn stored_sql(table: Table) -> &'static str {
    match table {
        Table::Candles => {
            "SELECT t.open_time, n.name, i.name, t.origin, t.close_time, t.open, t.high, t.low, t.close, t.volume, \
             t.quote_volume, t.trade_count, t.taker_buy_volume, t.taker_buy_quote_volume, t.state, t.revision \
             FROM candles t JOIN instruments n ON n.id = t.instrument JOIN intervals i ON i.id = t.interval"
        }
        Table::Indicators => {
            "SELECT t.open_time, n.name, i.name, d.name, t.revision, t.data_state, t.value \
             FROM indicators t JOIN instruments n ON n.id = t.instrument JOIN intervals i ON i.id = t.interval \
             JOIN indicator_names d ON d.id = t.indicator"
        }
        Table::Gaps => {
            "SELECT t.at, n.name, NULL, t.id, t.cause_seq, t.kind, t.first_missing_id, t.last_missing_id, t.\"from\", \
             t.\"to\", t.state, t.reason FROM gaps t JOIN instruments n ON n.id = t.instrument"
        }
        Table::Anomalies => {
            "SELECT t.at, n.name, i.name, t.id, t.kind, t.severity, t.fields FROM anomalies t \
             JOIN instruments n ON n.id = t.instrument LEFT JOIN intervals i ON i.id = t.interval"
        }
        Table::Forecasts => {
            "SELECT t.at, n.name, i.name, t.id, t.kind, t.severity, t.fields, t.actual FROM forecasts t \
             JOIN instruments n ON n.id = t.instrument LEFT JOIN intervals i ON i.id = t.interval"
        }
        Table::Signals | Table::Outcomes => {
            "SELECT t.at, n.name, i.name, t.id, t.kind, t.severity, t.fields FROM signals t \
             JOIN instruments n ON n.id = t.instrument LEFT JOIN intervals i ON i.id = t.interval"
        }
    }
}

/// Names of the cells of a body.
fn columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Candles => &[
            "close_time",
            "open",
            "high",
            "low",
            "close",
            "volume",
            "quote_volume",
            "trade_count",
            "taker_buy_volume",
            "taker_buy_quote_volume",
            "state",
            "revision",
        ],
        Table::Indicators => &["revision", "data_state", "value"],
        Table::Gaps => {
            &["cause_seq", "kind", "first_missing_id", "last_missing_id", "from", "to", "state", "reason"]
        }
        Table::Forecasts => &["kind", "severity", "fields", "actual"],
        Table::Anomalies | Table::Signals | Table::Outcomes => &["kind", "severity", "fields"],
    }
}

/// Orders by table, then time. A gap is the same wherever it begins.
fn key(table: Table, at: i64, instrument: &str, interval: &str, extra: &[u8], out: &mut Vec<u8>) {
    let at = if table == Table::Gaps { 0 } else { at };
    out.clear();
    out.push(table as u8);
    out.extend_from_slice(&((at as u64) ^ (1 << 63)).to_be_bytes());
    out.extend_from_slice(instrument.as_bytes());
    out.push(0);
    out.extend_from_slice(interval.as_bytes());
    out.push(0);
    out.extend_from_slice(extra);
}

fn put(cell: &[u8], body: &mut Vec<u8>) {
    if !body.is_empty() {
        body.push(BETWEEN);
    }
    body.extend_from_slice(cell);
}

fn bytes_of(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Null => NULL.to_vec(),
        Value::Int(number) => number.to_string().into_bytes(),
        Value::Text(text) => text.to_vec(),
    }
}

fn text_of(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Null => NULL.to_vec(),
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Real(number) => number.to_string().into_bytes(),
        ValueRef::Text(text) | ValueRef::Blob(text) => text.to_vec(),
    }
}

/// Name of the first cell that differs, and both.
fn first_difference(table: Table, stored: &[u8], told: &[u8]) -> (&'static str, String, String) {
    let shown = |cell: &[u8]| {
        if cell == NULL {
            return "null".to_owned();
        }
        String::from_utf8_lossy(cell).chars().take(SHOWN_CHARS).collect()
    };
    let cells = stored.split(|byte| *byte == BETWEEN).zip(told.split(|byte| *byte == BETWEEN));
    for (name, (stored, told)) in columns(table).iter().zip(cells) {
        if stored != told {
            return (name, shown(stored), shown(told));
        }
    }
    ("row", shown(stored), shown(told))
}

/// A store that nobody has open is read without leaving anything beside it.
fn open_quietly(path: &Path) -> Result<Connection, StorageError> {
    let log = path.with_extension("sqlite-wal");
    if log.metadata().is_ok_and(|file| file.len() > 0) {
        return schema::open_to_read(path);
    }
    let mut name = "file:".to_owned();
    for character in path.display().to_string().chars() {
        match character {
            '%' | '?' | '#' => name.push_str(&format!("%{:02x}", u32::from(character))),
            other => name.push(other),
        }
    }
    name.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(name, flags).map_err(StorageError::sqlite(path, "open"))?;
    schema::check(path, &connection)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::told::Told;
    use crate::storage::embedded::store::Store;
    use crate::storage::history::trial::{
        MINUTE, START, batch, roster, telling, told_candle, told_forecast, told_outcome,
    };

    /// Revision of the candle of each minute, by the position of its cause.
    type Tellings = [(u64, i64, u32)];

    fn tellings(rows: &Tellings) -> Vec<Telling> {
        rows.iter().map(|&(at, minute, revision)| telling(0, at, told_candle(minute, revision))).collect()
    }

    fn compared(stored: &Tellings, kept_at: u64, told: &Tellings, known_until: i64) -> Compared {
        let folder = tempfile::tempdir().unwrap();
        let own = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), &roster()).unwrap();
        let covered = BTreeMap::from([(0, Position(kept_at))]);
        store.write_up_to([&*batch(tellings(stored))].into_iter(), &covered, true).unwrap();
        let mut audit = Audit::begin(folder.path(), &roster(), own.path()).unwrap().unwrap();
        audit.reach(Watch(0), UnixNanos(known_until));
        for telling in tellings(told) {
            audit.hear(0, &telling).unwrap();
        }
        audit.finish(true).unwrap()
    }

    fn check(stored: &Tellings, kept_at: u64, told: &Tellings, rows: u64) {
        let compared = compared(stored, kept_at, told, i64::MIN);
        assert_eq!(compared, Compared { rows, difference: None });
    }

    fn check_differs(stored: &Tellings, kept_at: u64, told: &Tellings, words: &str) {
        let difference = compared(stored, kept_at, told, i64::MIN).difference.expect("a difference");
        assert!(difference.contains(words) && difference.contains("store.sqlite: candles"), "{difference}");
    }

    #[test]
    fn what_was_told_is_what_is_stored() {
        check(&[(1, 0, 0), (2, 1, 0), (3, 0, 1)], 3, &[(1, 0, 0), (2, 1, 0), (3, 0, 1)], 2);
        check(&[], 0, &[], 0);
    }

    #[test]
    fn behind_what_is_kept_a_row_may_be_missing_or_of_any_later_telling() {
        let told = [(1, 0, 0), (5, 0, 1), (6, 0, 2), (7, 1, 0)];
        check(&[(1, 0, 0)], 4, &told, 1);
        check(&[(5, 0, 1)], 4, &told, 1);
        check(&[(6, 0, 2), (7, 1, 0)], 4, &told, 2);
        check(&[(6, 0, 2), (7, 1, 0)], 0, &told, 2);
        check(&[], 0, &told, 0);
        check_differs(&[(1, 0, 0)], 5, &told, "revision is 0 in the store, and 1 in the replay");
        check_differs(&[(7, 1, 0)], 4, &told, "is told by the replay, and not in the store");
    }

    #[test]
    fn what_nobody_told_is_found() {
        check_differs(
            &[(1, 0, 0), (2, 1, 0)],
            2,
            &[(1, 0, 0)],
            "is in the store, and the replay does not tell it",
        );
        check_differs(&[(1, 0, 3)], 0, &[(1, 0, 0)], "revision is 3 in the store, and 0 in the replay");
    }

    #[test]
    fn a_forecast_is_held_against_what_became_of_it() {
        let compared = |stored: Vec<Telling>, kept_at: u64, told: Vec<Telling>| {
            let (folder, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let mut store = Store::open(folder.path(), &roster()).unwrap();
            let covered = BTreeMap::from([(0, Position(kept_at))]);
            store.write_up_to([&*batch(stored)].into_iter(), &covered, true).unwrap();
            let mut audit = Audit::begin(folder.path(), &roster(), own.path()).unwrap().unwrap();
            audit.reach(Watch(0), UnixNanos(i64::MIN));
            told.iter().for_each(|telling| audit.hear(0, telling).unwrap());
            audit.finish(true).unwrap().difference
        };
        let made = || telling(0, 1, told_forecast(7, 0));
        let ended = |actual: f64| telling(0, 5, told_outcome(7, 0, actual));
        assert_eq!(compared(vec![made(), ended(2.5)], 5, vec![made(), ended(2.5)]), None);
        for stored in [vec![], vec![made()], vec![made(), ended(2.5)]] {
            assert_eq!(compared(stored, 0, vec![made(), ended(2.5)]), None);
        }
        assert_eq!(compared(vec![made()], 4, vec![made(), ended(2.5)]), None, "the outcome was not kept yet");
        let check = |difference: Option<String>, words: &str| {
            assert!(difference.as_ref().is_some_and(|said| said.contains(words)), "{difference:?}");
        };
        check(compared(vec![made()], 5, vec![made(), ended(2.5)]), "actual is null in the store, and 2.5 in");
        check(compared(vec![made(), ended(3.5)], 0, vec![made(), ended(2.5)]), "actual is 3.5 in the store");
    }

    #[test]
    fn what_the_replay_does_not_reach_is_left_alone() {
        let until = START + MINUTE;
        let compared = compared(&[(1, 0, 7), (2, 1, 7), (3, 2, 0)], 3, &[(3, 2, 0)], until);
        assert_eq!(compared, Compared { rows: 1, difference: None });
    }

    #[test]
    fn rows_deleted_for_their_age_are_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let own = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), &roster()).unwrap();
        let rows = [(1, 0, 0), (2, 1, 0), (3, 2, 0)];
        let covered = BTreeMap::from([(0, Position(3))]);
        store.write_up_to([&*batch(tellings(&rows))].into_iter(), &covered, true).unwrap();
        store.sweep(UnixNanos(START + 2 * MINUTE)).unwrap();
        drop(store);
        let before: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let mut audit = Audit::begin(folder.path(), &roster(), own.path()).unwrap().unwrap();
        audit.reach(Watch(0), UnixNanos(i64::MIN));
        for telling in tellings(&rows) {
            audit.hear(0, &telling).unwrap();
        }
        assert_eq!(audit.finish(true).unwrap(), Compared { rows: 1, difference: None });
        let after: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(before, after, "nothing is left beside the store");
        assert!(matches!(told_candle(0, 0), Told::Candle(_)));
    }
}
