//! The embedded store as a sink: a bounded queue, and the one thread that writes.
//!
//! What waits is committed when there is enough of it or it has waited long enough; until then readers find
//! it in the queue. Where the store cannot take it (another program holds a lock, the disk is full) or
//! does not keep up, the thread lays rows down in a spool on disk, and writes them from there, in order, when
//! it can. Nothing is lost: a barrier is reached when everything before it is committed or synced in the
//! spool, and what neither queue nor spool can hold is told again from the journal, while the engine runs or by the next
//! start. What a start computes again and finds committed is not written twice.

use std::collections::BTreeMap;
use std::iter;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::domain::output::Position;
use crate::domain::time::UnixNanos;
use crate::domain::told::{Roster, Watch};
use crate::runtime::backoff::Backoff;
use crate::runtime::clock::{self, Mono, Stopwatch};
use crate::runtime::health::{Condition, Health};
use crate::runtime::latency::{Recorder, Stage};
use crate::runtime::metrics::Metrics;
use crate::runtime::sink::{Barrier, Batch, Heard, Refill, Sink, Telling};
use crate::storage::config::EmbeddedConfig;
use crate::storage::embedded::row::{Row, Table};
use crate::storage::embedded::store::{Counts, Store};
use crate::storage::error::StorageError;
use crate::storage::history::History;
use crate::storage::pending::{Entry, Pending};
use crate::storage::progress::Progress;
use crate::storage::spool::Spool;

/// Of the sink, its queue, its metrics and its part of health.
pub const NAME: &str = "store";
const PART: &str = "sink:store";

/// Tellings that the queue holds; those of trades count, although they are not stored.
const TELLINGS_MAX: usize = 1 << 18;
/// Tellings of one transaction, about.
const BATCH_TELLINGS: usize = 1 << 14;
/// How long rows wait for others.
const BATCH_AGE: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Between two notes of how far each symbol is kept: a start writes again what came after the last.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// Rows of the spool in one transaction, as bytes, about.
const SPOOL_RECORD_BYTES: usize = 1 << 20;
const SPOOL_BYTES_MAX: u64 = 1 << 30;

/// The embedded store while it runs; dropped, it writes what waits and ends.
#[derive(Debug)]
pub struct Embedded {
    pending: Pending,
    kept: Kept,
    /// Up to where the store had what each symbol told when it was opened.
    reached: Arc<[Position]>,
    history: Arc<History>,
    writer: Option<JoinHandle<()>>,
}

/// Up to where the store has kept each partition.
type Kept = Arc<Mutex<BTreeMap<u32, Position>>>;

#[derive(Debug)]
struct StoreSink {
    pending: Pending,
    kept: Kept,
    reached: Arc<[Position]>,
}

impl Embedded {
    /// Opens the store in the data directory, makes it where there is none, and starts its writer. `recorder`: of the
    /// time until a row is committed, where no other store is timed.
    pub fn start(
        data_dir: &Path,
        roster: &Roster,
        config: EmbeddedConfig,
        metrics: &Metrics,
        health: &Health,
        recorder: Option<Recorder>,
    ) -> Result<Self, StorageError> {
        let store = Store::open(data_dir, roster)?;
        let spool = Spool::open(&data_dir.join("spool").join(NAME), SPOOL_BYTES_MAX)?;
        let pending = Pending::new(TELLINGS_MAX, metrics.queue(NAME));
        pending.set_spooled(!spool.is_empty());
        let history = Arc::new(History::new(data_dir, roster, pending.clone()));
        health.set(PART, Condition::Up, "");
        for table in Table::ALL {
            metrics.sink_rows.with_label_values(&[NAME, table.name()]);
        }
        metrics.sink_backlog_bytes.with_label_values(&[NAME]).set(spool.bytes() as i64);
        let kept = Kept::new(store.kept().clone().into());
        let reached = store.reached().into();
        let writer = Writer {
            store,
            spool,
            pending: pending.clone(),
            kept: kept.clone(),
            progress: Progress::new(roster.len()),
            noted: Stopwatch::start(),
            laid_down: BTreeMap::new(),
            keep: config.keep,
            metrics: metrics.clone(),
            health: health.clone(),
            recorder,
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(2), 1),
        };
        let writer = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .map_err(StorageError::io(data_dir, "start the writer of"))?;
        Ok(Self { pending, kept, reached, history, writer: Some(writer) })
    }

    pub fn sink(&self) -> Arc<dyn Sink> {
        let (kept, reached) = (self.kept.clone(), self.reached.clone());
        Arc::new(StoreSink { pending: self.pending.clone(), kept, reached })
    }

    pub fn history(&self) -> Arc<History> {
        self.history.clone()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.pending.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            error!("the writer of the embedded store panicked; the journal holds what it did not write");
        }
    }
}

impl Sink for StoreSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offer(&self, batch: &Arc<Batch>) {
        let is_row = |telling: &&Telling| Row::table_of(&telling.told).is_some();
        let rows = batch.tellings.iter().filter(is_row).count();
        if rows == 0 {
            return;
        }
        if !batch.recovered {
            self.pending.offer(batch);
            return;
        }
        let is_new = |telling: &&Telling| telling.at > self.reached[telling.watch.0 as usize];
        let tellings: Vec<_> = batch.tellings.iter().filter(is_row).filter(is_new).cloned().collect();
        if tellings.len() == rows {
            self.pending.offer(batch);
        } else if !tellings.is_empty() {
            self.pending.offer(&Arc::new(Batch { tellings, ..**batch }));
        }
    }

    fn heard(&self, watch: Watch) -> Heard {
        Heard { indicators: self.reached[watch.0 as usize], ..Heard::ALL }
    }

    fn mark(&self, barrier: Barrier) {
        self.pending.mark(barrier);
    }

    fn is_crowded(&self) -> bool {
        self.pending.is_filling()
    }

    fn kept(&self) -> Option<BTreeMap<u32, Position>> {
        Some(self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn is_lacking(&self) -> bool {
        self.pending.is_lacking()
    }

    /// A row that is newer than what comes late stays: rows know their revision.
    fn refill(&self, step: Refill<'_>) -> bool {
        match step {
            Refill::Begins => self.pending.begin_refill(),
            Refill::Batch(batch) => return self.pending.offer_later(batch),
            Refill::Ends => self.pending.end_refill(),
        }
        true
    }
}

struct Writer {
    store: Store,
    spool: Spool,
    pending: Pending,
    kept: Kept,
    /// Of what stands in the store, or before what is written next.
    progress: Progress,
    /// When that was last written down.
    noted: Stopwatch,
    /// What will be kept of each partition once the spool is written: what barriers that were laid down cover.
    laid_down: BTreeMap<u32, Position>,
    keep: Duration,
    metrics: Metrics,
    health: Health,
    recorder: Option<Recorder>,
    backoff: Backoff,
}

impl Writer {
    fn run(mut self) {
        let mut swept = Stopwatch::start();
        let mut said_dropped = false;
        loop {
            self.gather();
            let closing = self.pending.is_closed();
            if let Err(problem) = self.step() {
                self.troubled(&problem);
                if closing {
                    error!(error = %problem, "rows are left unwritten: the next start tells them again");
                    return;
                }
                continue;
            }
            if closing && self.pending.is_empty() && self.spool.is_empty() {
                return;
            }
            let has_dropped = self.pending.has_dropped();
            if has_dropped && !said_dropped {
                warn!("rows were dropped before the embedded store: they are told again from the journal");
                self.health.set(
                    PART,
                    Condition::Degraded,
                    "rows were dropped, queue and spool were full: they are told again from the journal",
                );
            } else if said_dropped && !has_dropped {
                info!("the embedded store has the rows that were dropped");
                self.health.set(PART, Condition::Up, "");
            }
            said_dropped = has_dropped;
            if swept.elapsed() >= SWEEP_EVERY {
                self.sweep(&mut swept);
            }
        }
    }

    /// Waits until there is something worth a transaction.
    fn gather(&self) {
        let waited = Stopwatch::start();
        while self.spool.is_empty()
            && self.pending.len() < BATCH_TELLINGS / 4
            && !self.pending.is_closed()
            && (self.pending.is_empty() || waited.elapsed() < BATCH_AGE)
            && !self.pending.has_barrier()
        {
            if waited.elapsed() > SWEEP_EVERY {
                return;
            }
            clock::sleep(LOOK_EVERY);
        }
    }

    /// One transaction: from the spool where something waits there, from the queue otherwise.
    fn step(&mut self) -> Result<(), StorageError> {
        if self.pending.is_crowded() {
            self.lay_down()?;
        }
        if let Some(bytes) = self.spool.front()? {
            let counts = self.store.write_rows(&bytes, false)?;
            self.spool.pop(bytes.len())?;
            self.wrote(&counts);
            if !self.spool.is_empty() {
                return Ok(());
            }
        }
        if !self.laid_down.is_empty() {
            self.store.write_up_to(iter::empty(), &self.laid_down, false)?;
            let covered = std::mem::take(&mut self.laid_down);
            self.keep(covered);
        }
        // What follows stands in the queue: readers find it there again.
        self.pending.set_spooled(false);
        let entries = self.pending.peek(BATCH_TELLINGS);
        if entries.is_empty() {
            return Ok(());
        }
        let durably = entries.iter().any(|entry| matches!(entry, Entry::Barrier(_)));
        let covered = self.pending.covered(&entries);
        self.note(&entries);
        let is_due = (durably || self.noted.elapsed() >= NOTE_EVERY) && self.pending.is_whole();
        let reached: Vec<_> = self.progress.changed().filter(|_| is_due).collect();
        let batches = entries.iter().filter_map(batch_of);
        let counts = self.store.write_noting(batches, &covered, &reached, durably)?;
        if is_due {
            self.progress.written();
            self.noted = Stopwatch::start();
        }
        self.keep(covered);
        self.time(&entries);
        self.wrote(&counts);
        self.pending.done(entries.len(), NAME);
        Ok(())
    }

    /// These are in the store before anything that follows them; what is told again says nothing of what came between.
    fn note(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Entry::Batch(batch) = entry {
                self.progress.note(batch);
            }
        }
    }

    fn keep(&self, covered: BTreeMap<u32, Position>) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend(covered);
    }

    /// How long the rows that trades caused took to be committed.
    fn time(&self, entries: &[Entry]) {
        let Some(recorder) = &self.recorder else { return };
        let now = Mono::now();
        recorder.batch(|stages| {
            for batch in entries.iter().filter_map(batch_of).filter(|batch| !batch.recovered) {
                let is_timed =
                    |telling: &&Telling| telling.received.is_some() && Row::table_of(&telling.told).is_some();
                let rows = batch.tellings.iter().filter(is_timed).count() as u64;
                if rows > 0 {
                    stages.record(Stage::Store, now.nanos_since(batch.published), rows);
                }
            }
        });
    }

    fn wrote(&mut self, counts: &Counts) {
        for (table, count) in Table::ALL.into_iter().zip(counts) {
            self.metrics.sink_rows.with_label_values(&[NAME, table.name()]).inc_by(*count);
        }
        self.metrics.sink_backlog_bytes.with_label_values(&[NAME]).set(self.spool.bytes() as i64);
        if self.backoff.failures() > 0 {
            self.backoff.reset();
            info!("the embedded store takes rows again");
            if !self.pending.has_dropped() {
                self.health.set(PART, Condition::Up, "");
            }
        }
    }

    /// The store took nothing: what waits in memory is laid down, and tried again later.
    fn troubled(&mut self, problem: &StorageError) {
        if self.backoff.failures() == 0 {
            warn!(error = %problem, "the embedded store takes no rows, they wait on disk");
        }
        self.health.set(PART, Condition::Degraded, problem.to_string());
        let wait = Stopwatch::start();
        let delay = self.backoff.failed();
        while wait.elapsed() < delay && !self.pending.is_closed() {
            if (self.pending.is_crowded() || self.pending.has_barrier())
                && let Err(problem) = self.lay_down()
            {
                self.health.set(PART, Condition::Degraded, format!("{problem}; rows wait in memory"));
                clock::sleep(LOOK_EVERY);
            }
            clock::sleep(LOOK_EVERY);
        }
        if self.pending.is_closed()
            && let Err(problem) = self.lay_down()
        {
            error!(error = %problem, "rows could not be laid down: the next start tells them again");
        }
    }

    /// Moves what waits in memory to the spool, as far as that has room.
    fn lay_down(&mut self) -> Result<(), StorageError> {
        let mut bytes = Vec::with_capacity(SPOOL_RECORD_BYTES);
        loop {
            let entries = self.pending.peek(1_024);
            if entries.is_empty() {
                return Ok(());
            }
            self.note(&entries);
            bytes.clear();
            self.store.encode(entries.iter().filter_map(batch_of), &mut bytes);
            if !bytes.is_empty() {
                // Before the entries go: a reader must not find them in neither place.
                self.pending.set_spooled(true);
                if !self.spool.append(&bytes)? {
                    return Ok(());
                }
            }
            if entries.iter().any(|entry| matches!(entry, Entry::Barrier(_))) {
                self.spool.sync()?;
                self.laid_down.extend(self.pending.covered(&entries));
            }
            // Before a barrier is told as reached: whoever waited for it finds the backlog counted.
            self.metrics.sink_backlog_bytes.with_label_values(&[NAME]).set(self.spool.bytes() as i64);
            self.pending.done(entries.len(), NAME);
        }
    }

    /// Deletes what is too old, a little at a time.
    fn sweep(&mut self, swept: &mut Stopwatch) {
        let newest = self.store.newest_at();
        // A market that plays the past is kept by its own time.
        let now = clock::now().min(newest);
        let keep = i64::try_from(self.keep.as_nanos()).unwrap_or(i64::MAX);
        match self.store.sweep(UnixNanos(now.0.saturating_sub(keep))) {
            Ok(true) => {}
            Ok(false) => *swept = Stopwatch::start(),
            Err(problem) => {
                warn!(error = %problem, "old rows could not be deleted");
                *swept = Stopwatch::start();
            }
        }
    }
}

fn batch_of(entry: &Entry) -> Option<&Batch> {
    match entry {
        Entry::Batch(batch) | Entry::Older(batch) => Some(batch),
        Entry::Barrier(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::domain::candle::Origin;
    use crate::runtime::latency::Latency;
    use crate::storage::embedded::schema;
    use crate::storage::history::trial::{batch, roster, telling, told_candle};
    use crate::storage::history::{SeriesQuery, Span};

    const DEADLINE: Duration = Duration::from_secs(120);

    fn start(folder: &Path) -> (Embedded, Metrics, Health) {
        let (metrics, health) = (Metrics::new(), Health::default());
        let embedded =
            Embedded::start(folder, &roster(), EmbeddedConfig::default(), &metrics, &health, None).unwrap();
        (embedded, metrics, health)
    }

    fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
        let waited = Stopwatch::start();
        while !reached() {
            assert!(waited.elapsed() < DEADLINE, "{what} did not happen");
            clock::sleep(Duration::from_millis(2));
        }
    }

    fn minutes(history: &History) -> usize {
        let instrument = "binance:BTC-USDT".parse().unwrap();
        let span = Span { from: None, to: None, after: None, limit: 100_000 };
        let query = SeriesQuery { instrument: &instrument, interval: "1m".parse().unwrap(), span };
        history.candles(&query, Origin::Trades).unwrap().rows.len()
    }

    #[test]
    fn what_is_offered_is_readable_at_once_and_kept_when_the_barrier_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let (embedded, metrics, health) = start(folder.path());
        let (sink, history) = (embedded.sink(), embedded.history());
        for minute in 0..1_000 {
            sink.offer(&batch(vec![telling(0, minute as u64, told_candle(minute, 0))]));
            assert_eq!(minutes(&history), minute as usize + 1);
        }
        let (barrier, reached) = Barrier::new(1);
        sink.mark(barrier);
        assert_eq!(reached.recv_timeout(DEADLINE), Ok(NAME));
        assert_eq!(minutes(&History::offline(folder.path())), 1_000);
        assert_eq!(metrics.sink_rows.with_label_values(&[NAME, "candles"]).get(), 1_000);
        assert!(health.is_ready());
        // The last rows, without a barrier.
        sink.offer(&batch(vec![telling(0, 9, told_candle(1_000, 0))]));
        drop(embedded);
        assert_eq!(minutes(&History::offline(folder.path())), 1_001);
    }

    #[test]
    fn what_a_start_finds_committed_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let (embedded, ..) = start(folder.path());
        let rows = |minutes: std::ops::Range<i64>| {
            batch(minutes.map(|minute| telling(0, minute as u64 + 1, told_candle(minute, 0))).collect())
        };
        assert_eq!(embedded.sink().heard(Watch(0)), Heard { trades: Heard::ALL.trades, ..Heard::default() });
        embedded.sink().offer(&rows(0..10));
        let (barrier, reached) = Barrier::new(1);
        embedded.sink().mark(barrier);
        assert_eq!(reached.recv_timeout(DEADLINE), Ok(NAME));
        drop(embedded);
        let (embedded, metrics, _) = start(folder.path());
        let sink = embedded.sink();
        assert_eq!(sink.heard(Watch(0)).indicators, Position(10));
        assert_eq!(sink.heard(Watch(1)).indicators, Position(0));
        let recovered = |batch: Arc<Batch>| Arc::new(Batch { recovered: true, ..(*batch).clone() });
        sink.offer(&recovered(rows(0..10)));
        assert!(embedded.pending.is_empty());
        sink.offer(&recovered(rows(5..12)));
        sink.offer(&recovered(batch(vec![telling(1, 3, told_candle(3, 0))])));
        drop(embedded);
        assert_eq!(metrics.sink_rows.with_label_values(&[NAME, "candles"]).get(), 3);
        assert_eq!(minutes(&History::offline(folder.path())), 12);
        // What was noted counts for one start: the journal may have lost its end with the power.
        let (embedded, ..) = start(folder.path());
        assert_eq!(embedded.sink().heard(Watch(0)).indicators, Position(0));
    }

    #[test]
    fn what_was_dropped_can_be_told_again_while_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (embedded, metrics, health) = start(folder.path());
        let sink = embedded.sink();
        let covering = |at: u64| Barrier::covering(1, [(0, Position(at))].into());
        let other = Connection::open(folder.path().join(schema::FILE)).unwrap();
        // Neither the store nor its spool takes anything.
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let spool = folder.path().join("spool").join(NAME);
        std::fs::remove_dir_all(&spool).unwrap();
        std::fs::write(&spool, "").unwrap();
        let mut told = 0;
        while !sink.is_lacking() {
            let rows = (0..8_192).map(|_| telling(0, told, told_candle(told as i64, 0))).collect();
            sink.offer(&batch(rows));
            told += 1;
            assert!(told < 1_000, "the queue has no end");
        }
        assert!(metrics.queue(NAME).dropped.get() > 0);
        other.execute_batch("ROLLBACK").unwrap();
        std::fs::remove_file(&spool).unwrap();
        std::fs::create_dir(&spool).unwrap();
        let (barrier, reached) = covering(1);
        sink.mark(barrier);
        wait_for("the queue is worked off", || {
            embedded.pending.is_empty() && embedded.pending.batches().is_some()
        });
        assert!(reached.try_recv().is_err() && sink.kept().unwrap().is_empty());
        assert_eq!(health.parts()[PART].condition, Condition::Degraded);
        assert!((minutes(&embedded.history()) as u64) < told);
        sink.refill(Refill::Begins);
        let all = (0..told).map(|at| telling(0, at, told_candle(at as i64, 0))).collect();
        assert!(sink.refill(Refill::Batch(&batch(all))));
        sink.refill(Refill::Ends);
        wait_for("it was told again", || embedded.pending.is_whole());
        let (barrier, reached) = covering(told);
        sink.mark(barrier);
        assert_eq!(reached.recv_timeout(DEADLINE), Ok(NAME));
        assert_eq!(sink.kept().unwrap(), BTreeMap::from([(0, Position(told))]));
        assert_eq!(minutes(&embedded.history()) as u64, told);
        wait_for("it is well again", || health.parts()[PART].condition == Condition::Up);
    }

    #[test]
    fn rows_that_trades_caused_are_timed_until_they_are_committed() {
        let folder = tempfile::tempdir().unwrap();
        let (metrics, health, latency) = (Metrics::new(), Health::default(), Latency::default());
        let (config, recorder) = (EmbeddedConfig::default(), Some(latency.recorder()));
        let embedded =
            Embedded::start(folder.path(), &roster(), config, &metrics, &health, recorder).unwrap();
        let of_trade = |told| Telling { received: Some(Mono::now()), ..telling(0, 1, told) };
        let by_tick = telling(0, 1, told_candle(2, 0));
        embedded.sink().offer(&batch(vec![
            of_trade(told_candle(0, 0)),
            of_trade(told_candle(1, 0)),
            by_tick,
        ]));
        let recovered = batch(vec![of_trade(told_candle(3, 0))]);
        embedded.sink().offer(&Arc::new(Batch { recovered: true, ..(*recovered).clone() }));
        drop(embedded);
        let (stage, times) = &latency.report().stages[Stage::Store as usize];
        assert_eq!((*stage, times.len()), (Stage::Store, 2));
        assert_eq!(minutes(&History::offline(folder.path())), 4);
    }

    #[test]
    fn rows_wait_on_disk_while_another_program_locks_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let (embedded, metrics, health) = start(folder.path());
        let (sink, history) = (embedded.sink(), embedded.history());
        let other = Connection::open(folder.path().join(schema::FILE)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        for minute in 0..100 {
            sink.offer(&batch(vec![telling(0, minute as u64, told_candle(minute, 0))]));
        }
        let (barrier, reached) = Barrier::new(1);
        sink.mark(barrier);
        // Synced in the spool.
        assert_eq!(reached.recv_timeout(DEADLINE), Ok(NAME));
        assert!(health.parts()[PART].reason.contains("another program"), "{:?}", health.parts());
        assert!(metrics.sink_backlog_bytes.with_label_values(&[NAME]).get() > 0);
        // A process that ends now leaves them there, and the next one finds them.
        let copy = tempfile::tempdir().unwrap();
        let spool = folder.path().join("spool").join(NAME);
        std::fs::create_dir_all(copy.path().join("spool").join(NAME)).unwrap();
        for entry in std::fs::read_dir(&spool).unwrap() {
            let entry = entry.unwrap();
            let to = copy.path().join("spool").join(NAME).join(entry.file_name());
            std::fs::copy(entry.path(), to).unwrap();
        }
        let (second, ..) = start(copy.path());
        wait_for("the spool was read", || second.pending.batches().is_some());
        assert_eq!(minutes(&second.history()), 100);

        for minute in 100..200 {
            sink.offer(&batch(vec![telling(0, minute as u64, told_candle(minute, 0))]));
        }
        other.execute_batch("ROLLBACK").unwrap();
        wait_for("the store took the rows", || embedded.pending.batches().is_some());
        assert_eq!(minutes(&history), 200);
        wait_for("it is well again", || health.parts()[PART].condition == Condition::Up);
        drop(embedded);
        assert_eq!(minutes(&History::offline(folder.path())), 200);
        assert_eq!(std::fs::read_dir(spool).unwrap().count(), 0);
    }

    #[test]
    fn a_store_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(schema::FILE);
        let check = |part: &str| {
            let error = Store::open(folder.path(), &roster()).unwrap_err().to_string();
            assert!(error.contains("store.sqlite") && error.contains(part), "{error}");
        };
        std::fs::write(&file, "no database at all, and long enough for a header".repeat(20)).unwrap();
        check("move it away and start again");
        std::fs::remove_file(&file).unwrap();
        drop(Store::open(folder.path(), &roster()).unwrap());
        let other = Connection::open(&file).unwrap();
        other.pragma_update(None, "user_version", 99).unwrap();
        check("store version 99 is not known");
        drop(other);
        let missing = History::offline(&folder.path().join("none"));
        let instrument = "binance:BTC-USDT".parse().unwrap();
        let span = Span { from: None, to: None, after: None, limit: 1 };
        let query = SeriesQuery { instrument: &instrument, interval: "1m".parse().unwrap(), span };
        assert!(missing.candles(&query, Origin::Trades).is_err());
    }

    #[test]
    fn old_rows_go_a_little_at_a_time() {
        use crate::storage::history::trial::{MINUTE, START};
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), &roster()).unwrap();
        let rows = (0..10_000).map(|minute| telling(0, 1, told_candle(minute, 0))).collect();
        store.write([&*batch(rows)].into_iter(), false).unwrap();
        assert_eq!(store.newest_at(), UnixNanos(START + 9_999 * MINUTE));
        let until = UnixNanos(START + 9_000 * MINUTE);
        let mut steps = 1;
        while store.sweep(until).unwrap() {
            steps += 1;
        }
        assert_eq!(steps, 3);
        assert_eq!(minutes(&History::offline(folder.path())), 1_000);
    }
}
