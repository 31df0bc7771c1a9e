//! QuestDB as a sink: a bounded queue, and the one thread that encodes and sends.
//!
//! While the database answers, what waits is sent when there is enough of it or it has waited long enough. While
//! it does not (away, login refused, a table suspended, other tables than ours), rows are laid down in a
//! spool on disk; once it answers, they are sent from there, in order, and what comes meanwhile queues up behind
//! them. A barrier is reached when everything before it is acknowledged, or synced in the spool.
//!
//! **When the spool is full** rows wait in the queue; when that is full too, batches are dropped and counted, and
//! no barrier is reached any more until they were told again from the journal: while the engine runs, or by the next
//! start. So it goes when tables are gone.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::domain::output::Position;
use crate::domain::told::{Roster, Told, Watch};
use crate::runtime::backoff::Backoff;
use crate::runtime::clock::{self, Mono, Stopwatch};
use crate::runtime::health::{Condition, Health};
use crate::runtime::latency::{Latency, Recorder, Stage};
use crate::runtime::metrics::Metrics;
use crate::runtime::quarantine::{Quarantine, Quarantined, TEXT_CHARS_MAX};
use crate::runtime::sink::{Barrier, Batch, Heard, Refill, Sink, Telling};
use crate::storage::config::QuestDbConfig;
use crate::storage::error::StorageError;
use crate::storage::pending::{Entry, Pending};
use crate::storage::questdb::chunk::Chunk;
use crate::storage::questdb::client::{Client, ClientError};
use crate::storage::questdb::delivery::{RefusedRow, deliver};
use crate::storage::questdb::encoder::Encoder;
use crate::storage::questdb::gap_places::GapPlaces;
use crate::storage::questdb::kept::{Kept, Positions};
use crate::storage::questdb::newer::Newer;
use crate::storage::questdb::open_forecasts::OpenForecasts;
use crate::storage::questdb::schema::{self, SchemaError, TABLES};
use crate::storage::questdb::visibility::{Visibility, logs};
use crate::storage::spool::Spool;

/// Of the sink, its queue, its metrics and its part of health.
pub const NAME: &str = "questdb";
const PART: &str = "sink:questdb";

/// Tellings that the queue holds.
const TELLINGS_MAX: usize = 1 << 18;
/// Tellings that are encoded together; as many at hand are not kept waiting.
const BATCH_TELLINGS: usize = 40_000;
const BATCH_AGE: Duration = Duration::from_millis(100);
const ENOUGH_TELLINGS: usize = 10_000;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Between two looks at what can be read.
const VISIBLE_EVERY: Duration = Duration::from_millis(10);
const LATENCY_EVERY: Duration = Duration::from_secs(10);
/// How long a stop waits for the spool to be sent; the next start sends the rest.
const CLOSING: Duration = Duration::from_secs(3);

/// The sink while it runs; dropped, it sends or lays down what waits, and ends.
#[derive(Debug)]
pub struct QuestDb {
    pending: Pending,
    kept: Positions,
    /// Up to where it had what each symbol told at the start.
    reached: Arc<[Position]>,
    writer: Option<JoinHandle<()>>,
}

/// What the sink tells others with.
#[derive(Clone)]
pub struct Voices {
    pub metrics: Metrics,
    pub health: Health,
    pub latency: Latency,
    pub quarantine: Arc<dyn Quarantine>,
}

impl QuestDb {
    /// Makes and checks the tables where the database answers, and starts the writer. A database that is away
    /// is waited for; one whose tables are other than ours is refused.
    pub fn start(
        data_dir: &Path,
        roster: &Roster,
        config: &QuestDbConfig,
        voices: Voices,
    ) -> Result<Self, StorageError> {
        let dir = data_dir.join("spool").join(NAME);
        let spool = Spool::open(&dir, config.spool_bytes)?;
        let gaps = GapPlaces::open(&dir.join("gaps"))?;
        let forecasts = OpenForecasts::open(&dir.join("forecasts"))?;
        let kept = Kept::open(&dir.join("kept"), &config.http_address, roster);
        let pending = Pending::new(TELLINGS_MAX, voices.metrics.queue(NAME));
        for table in &TABLES {
            voices.metrics.sink_rows.with_label_values(&[NAME, table.name]);
        }
        voices.metrics.sink_backlog_bytes.with_label_values(&[NAME]).set(spool.bytes() as i64);
        // A database that is away holds nothing back.
        voices.health.set(PART, Condition::Up, "");
        let mut writer = Writer {
            client: Client::new(config),
            config: config.clone(),
            encoder: Encoder::new(roster, gaps, forecasts),
            spool,
            pending: pending.clone(),
            in_hand: VecDeque::new(),
            in_hand_entries: 0,
            visibility: Visibility::default(),
            unlooked: false,
            recorder: voices.latency.recorder(),
            voices,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(5), 2),
            kept,
            is_up: false,
            away: None,
            is_well: true,
            has_dropped: false,
        };
        if let Err(problem) = writer.connect() {
            if let Trouble::Schema(problem) = &problem {
                let address = config.http_address.clone();
                return Err(StorageError::Schema { address, problem: problem.clone() });
            }
            writer.lost(&problem);
        }
        writer.is_up = true;
        let (kept, reached) = (writer.kept.positions(), writer.kept.reached().into());
        let writer = thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || writer.run())
            .map_err(StorageError::io(data_dir, "start the writer of QuestDB for"))?;
        Ok(Self { pending, kept, reached, writer: Some(writer) })
    }

    pub fn sink(&self) -> Arc<dyn Sink> {
        Arc::new(QuestDbSink {
            pending: self.pending.clone(),
            kept: self.kept.clone(),
            reached: self.reached.clone(),
            refilling: AtomicBool::new(false),
            newer: Mutex::default(),
        })
    }
}

impl Drop for QuestDb {
    fn drop(&mut self) {
        self.pending.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            error!("the writer of QuestDB panicked; the journal holds what it did not write");
        }
    }
}

#[derive(Debug)]
struct QuestDbSink {
    pending: Pending,
    kept: Positions,
    reached: Arc<[Position]>,
    /// Older rows are told again.
    refilling: AtomicBool,
    /// Held while something is offered, as long as they are.
    newer: Mutex<Newer>,
}

impl Sink for QuestDbSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn offer(&self, batch: &Arc<Batch>) {
        if batch.tellings.iter().all(|telling| matches!(telling.told, Told::Refused { .. } | Told::Score(_)))
        {
            return;
        }
        let batch = &self.unknown(batch);
        if batch.tellings.is_empty() {
            return;
        }
        if self.refilling.load(Ordering::Acquire) {
            let mut newer = self.newer.lock().unwrap_or_else(PoisonError::into_inner);
            newer.note(batch);
            self.pending.offer(batch);
        } else {
            self.pending.offer(batch);
        }
    }

    fn heard(&self, watch: Watch) -> Heard {
        let at = self.reached[watch.0 as usize];
        Heard { trades: at, indicators: at }
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

    fn refill(&self, step: Refill<'_>) -> bool {
        let mut newer = self.newer.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Refill::Begins => {
                self.pending.begin_refill();
                self.refilling.store(true, Ordering::Release);
            }
            // It is not told apart any more what is newer: the next start begins anew.
            Refill::Batch(_) | Refill::Ends if newer.is_full() => {}
            Refill::Batch(batch) => return self.pending.offer_later(&newer.without(batch)),
            Refill::Ends => {
                self.refilling.store(false, Ordering::Release);
                *newer = Newer::default();
                self.pending.end_refill();
            }
        }
        true
    }
}

impl QuestDbSink {
    /// Of what a start computes again, what was not taken before it.
    fn unknown(&self, batch: &Arc<Batch>) -> Arc<Batch> {
        let is_new = |telling: &&Telling| telling.at > self.reached[telling.watch.0 as usize];
        if !batch.recovered || batch.tellings.iter().all(|telling| is_new(&telling)) {
            return batch.clone();
        }
        let tellings = batch.tellings.iter().filter(is_new).cloned().collect();
        Arc::new(Batch { tellings, ..**batch })
    }
}

/// Why rows wait on disk.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Schema(String),
    #[error("suspended: {0}; ALTER TABLE ... RESUME WAL once the reason is gone")]
    Suspended(String),
    #[error(transparent)]
    Spool(#[from] StorageError),
    #[error("the spool is full")]
    Full,
}

struct Writer {
    client: Client,
    config: QuestDbConfig,
    encoder: Encoder,
    spool: Spool,
    pending: Pending,
    /// The first entries of the queue, encoded, as far as they are neither sent nor laid down.
    in_hand: VecDeque<Chunk>,
    in_hand_entries: usize,
    visibility: Visibility,
    /// Whether something was acknowledged since the last look.
    unlooked: bool,
    recorder: Recorder,
    voices: Voices,
    backoff: Backoff,
    kept: Kept,
    /// The start has asked what is kept.
    is_up: bool,
    /// Since when the database is left alone, and how long.
    away: Option<(Stopwatch, Duration)>,
    /// What health says of the sink.
    is_well: bool,
    has_dropped: bool,
}

impl Writer {
    fn run(mut self) {
        let (mut looked, mut told_latency) = (Stopwatch::start(), Stopwatch::start());
        let mut waiting: Option<Stopwatch> = None;
        let mut closing: Option<Stopwatch> = None;
        loop {
            if self.pending.is_closed() && closing.is_none() {
                closing = Some(Stopwatch::start());
            }
            if self.away.as_ref().is_some_and(|(since, patience)| since.elapsed() >= *patience)
                && let Err(trouble) = self.connect()
            {
                self.lost(&trouble);
            }
            if self.pending.is_empty() {
                waiting = None;
            } else {
                waiting.get_or_insert_with(Stopwatch::start);
            }
            let is_due = self.in_hand_entries > 0
                || closing.is_some()
                || self.pending.len() >= ENOUGH_TELLINGS
                || self.pending.has_barrier()
                || waiting.is_some_and(|since| since.elapsed() >= BATCH_AGE);
            let mut worked = false;
            if is_due && !self.pending.is_empty() {
                worked = self.work_off();
                waiting = None;
            }
            if self.away.is_none() && !self.spool.is_empty() {
                worked = true;
                if let Err(trouble) = self.send_spooled() {
                    self.lost(&trouble);
                }
            }
            if self.away.is_none()
                && (self.unlooked || !self.visibility.is_idle())
                && looked.elapsed() >= VISIBLE_EVERY
            {
                looked = Stopwatch::start();
                if let Err(trouble) = self.look() {
                    self.lost(&trouble);
                }
            }
            if self.away.is_none() && told_latency.elapsed() >= LATENCY_EVERY {
                told_latency = Stopwatch::start();
                self.tell_latency();
            }
            self.say_dropped();
            if let Some(since) = &closing
                && self.pending.is_empty()
                && (self.spool.is_empty() || self.away.is_some() || since.elapsed() >= CLOSING)
            {
                return;
            }
            // Neither queue nor spool takes anything, and the process ends.
            if !worked && closing.as_ref().is_some_and(|since| since.elapsed() >= CLOSING) {
                error!("rows are left unwritten: the next start tells them again");
                return;
            }
            if !worked {
                clock::sleep(LOOK_EVERY);
            }
        }
    }

    /// The first entries of the queue: sent, or laid down behind what waits already. `false`: neither was possible.
    fn work_off(&mut self) -> bool {
        let entries = self.pending.peek(BATCH_TELLINGS);
        if self.in_hand_entries == 0 {
            let batches = entries.iter().filter_map(|entry| match entry {
                Entry::Batch(batch) => Some((&**batch, false)),
                Entry::Older(batch) => Some((&**batch, true)),
                Entry::Barrier(_) => None,
            });
            self.in_hand = self.encoder.encode(batches).into();
            self.in_hand_entries = entries.len();
            self.quarantine_unencoded();
        }
        if self.away.is_none()
            && self.spool.is_empty()
            && let Err(trouble) = self.send_in_hand()
        {
            self.lost(&trouble);
        }
        match self.lay_down() {
            Ok(()) => {}
            Err(trouble) => {
                self.is_well = false;
                self.voices.health.set(PART, Condition::Degraded, format!("{trouble}; rows wait in memory"));
                return false;
            }
        }
        let entries = &entries[..self.in_hand_entries];
        let (covered, is_whole) = (self.pending.covered(entries), self.pending.is_whole());
        for entry in entries {
            // What is told again says nothing of what came between.
            if let Entry::Batch(batch) = entry {
                self.kept.progress().note(batch);
            }
        }
        self.pending.done(self.in_hand_entries, NAME);
        self.in_hand_entries = 0;
        self.kept.advance(covered, is_whole);
        true
    }

    fn send_in_hand(&mut self) -> Result<(), Trouble> {
        while let Some(chunk) = self.in_hand.front_mut() {
            let mut refused = Vec::new();
            let done = deliver(&self.client, chunk, &mut refused);
            self.quarantine(refused);
            done?;
            if let Some(chunk) = self.in_hand.pop_front() {
                self.acknowledged(&chunk);
            }
        }
        Ok(())
    }

    /// What is still in hand goes to the spool, safe from a loss of power where somebody waits for that.
    fn lay_down(&mut self) -> Result<(), Trouble> {
        while let Some(chunk) = self.in_hand.front() {
            if !self.spool.append(&chunk.to_bytes())? {
                return Err(Trouble::Full);
            }
            self.in_hand.pop_front();
        }
        if self.pending.has_barrier() {
            self.spool.sync()?;
        }
        self.tell_backlog();
        Ok(())
    }

    /// The oldest chunk of the spool.
    fn send_spooled(&mut self) -> Result<(), Trouble> {
        let Some(bytes) = self.spool.front()? else { return Ok(()) };
        if let Some(mut chunk) = Chunk::from_bytes(&bytes) {
            let mut refused = Vec::new();
            let done = deliver(&self.client, &mut chunk, &mut refused);
            self.quarantine(refused);
            done?;
            self.acknowledged(&chunk);
        } else {
            error!("a record of the spool holds no rows and is passed over");
        }
        self.spool.pop(bytes.len())?;
        self.tell_backlog();
        if self.spool.is_empty() {
            self.recovered();
        }
        Ok(())
    }

    fn acknowledged(&mut self, chunk: &Chunk) {
        let now = Mono::now();
        for (table, count) in TABLES.iter().zip(chunk.counts()) {
            self.voices.metrics.sink_rows.with_label_values(&[NAME, table.name]).inc_by(count);
        }
        self.recorder.batch(|stages| {
            for (published, trades) in &chunk.stamps {
                stages.record(Stage::Store, now.nanos_since(*published), *trades);
            }
        });
        self.visibility.acknowledged(&chunk.stamps);
        self.unlooked = true;
        if self.spool.is_empty() {
            self.recovered();
        }
    }

    /// What has become readable, and whether a table keeps everything to itself.
    fn look(&mut self) -> Result<(), Trouble> {
        self.unlooked = false;
        let (logs, suspended) = logs(&self.client)?;
        if !suspended.is_empty() {
            return Err(Trouble::Suspended(suspended.join(", ")));
        }
        let visible = self.visibility.look(&logs);
        let now = Mono::now();
        self.recorder.batch(|stages| {
            for (published, trades) in visible {
                stages.record(Stage::Visible, now.nanos_since(published), trades);
            }
        });
        Ok(())
    }

    fn tell_latency(&mut self) {
        if let Some(mut chunk) = self.encoder.encode_latency(&self.voices.latency, clock::now()) {
            let mut refused = Vec::new();
            // Figures of the past: the next ones say more.
            if let Err(problem) = deliver(&self.client, &mut chunk, &mut refused) {
                self.lost(&problem.into());
            }
            self.quarantine(refused);
        }
    }

    /// Makes and checks the tables, and looks whether they take rows.
    fn connect(&mut self) -> Result<(), Trouble> {
        let all_there = schema::ensure(&self.client, &self.config).map_err(|error| match error {
            SchemaError::Client(error) => Trouble::Client(error),
            differs @ SchemaError::Differs { .. } => Trouble::Schema(differs.to_string()),
        })?;
        if !all_there {
            self.kept.forget();
            // The start asks for itself what is kept.
            if self.is_up {
                warn!("tables of QuestDB were gone: what they held is told again from the journal");
                self.pending.forget();
            }
        }
        let (_, suspended) = logs(&self.client)?;
        if !suspended.is_empty() {
            return Err(Trouble::Suspended(suspended.join(", ")));
        }
        self.away = None;
        if self.spool.is_empty() && self.in_hand.is_empty() {
            self.recovered();
        }
        Ok(())
    }

    /// The database is left alone for a while.
    fn lost(&mut self, trouble: &Trouble) {
        if self.backoff.failures() == 0 {
            let address = self.client.address();
            match trouble {
                Trouble::Client(ClientError::Away { .. } | ClientError::Internal(_)) => {
                    warn!(address, error = %trouble, "QuestDB is away, rows wait on disk");
                }
                _ => {
                    error!(address, error = %trouble, "QuestDB takes no rows until somebody looks, they wait on disk")
                }
            }
        }
        self.is_well = false;
        self.voices.health.set(PART, Condition::Degraded, trouble.to_string());
        self.away = Some((Stopwatch::start(), self.backoff.failed()));
    }

    /// Rows are taken again, and none waits on disk.
    fn recovered(&mut self) {
        if self.is_well {
            return;
        }
        self.is_well = true;
        self.backoff.reset();
        info!(address = self.client.address(), "QuestDB takes rows, none waits on disk");
        if !self.pending.has_dropped() {
            self.voices.health.set(PART, Condition::Up, "");
        }
    }

    fn say_dropped(&mut self) {
        let has_dropped = self.pending.has_dropped() && !self.pending.is_closed();
        if has_dropped && !self.has_dropped {
            warn!("rows were dropped before QuestDB: they are told again from the journal");
            let reason = "rows were dropped, queue and spool were full: they are told again from the journal";
            self.voices.health.set(PART, Condition::Degraded, reason);
        } else if self.has_dropped && !has_dropped {
            info!("QuestDB has the rows that were dropped");
            if self.is_well {
                self.voices.health.set(PART, Condition::Up, "");
            }
        }
        self.has_dropped = has_dropped;
    }

    fn tell_backlog(&self) {
        let backlog = self.voices.metrics.sink_backlog_bytes.with_label_values(&[NAME]);
        backlog.set(i64::try_from(self.spool.bytes()).unwrap_or(i64::MAX));
    }

    fn quarantine_unencoded(&mut self) {
        for (instrument, reason) in std::mem::take(&mut self.encoder.refused) {
            self.set_aside(instrument.venue().name().to_owned(), reason, instrument.to_string());
        }
    }

    fn quarantine(&self, refused: Vec<RefusedRow>) {
        for row in refused {
            // `table,venue=name,...`
            let venue = row.text.split(',').find_map(|part| part.strip_prefix("venue=")).unwrap_or("unknown");
            self.set_aside(venue.to_owned(), row.reason, row.text.clone());
        }
    }

    fn set_aside(&self, venue: String, reason: String, text: String) {
        error!(venue, reason, "a row is refused by QuestDB and set aside");
        self.voices.metrics.quarantined.with_label_values(&[&*venue, NAME]).inc();
        let text = text.chars().take(TEXT_CHARS_MAX).collect();
        let reason = format!("QuestDB: {reason}");
        self.voices.quarantine.put(Quarantined { received_at: clock::now(), venue, reason, text });
    }
}
