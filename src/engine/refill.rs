//! Telling a sink again what it lacks: its store was deleted, is an older copy, was switched off for a while, or its
//! queue was too full to take what it was offered.
//!
//! A start computes what the journal holds behind the snapshots, and tells that to all. A sink says how far it has
//! kept each partition ([`Sink::kept`]); where that lies before the snapshot, the stretch between them is
//! computed again from an older one, or from the beginning, and told to this sink alone. Likewise while the engine
//! runs, up to the journal's end, where a sink says that it lost something ([`Sink::is_lacking`]). That is done beside
//! the running engine, by a thread that rests as long as it works, so that nobody waits for it.
//!
//! What the journal no longer holds cannot be told: then it begins where that does, and says so. A refill that is cut
//! short begins anew at the next start. What a parked symbol told last stands in no journal, and is not told again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::analytics::pipeline::Settings;
use crate::domain::output::Position;
use crate::domain::told::{IndicatorNames, Roster};
use crate::engine::error::EngineError;
use crate::engine::log::SharedLog;
use crate::engine::rerun::{Rerun, Step, begins_at_the_beginning};
use crate::engine::symbol::Silence;
use crate::engine::symbol_actor::Voice;
use crate::journal::chunks::Chunks;
use crate::journal::error::JournalError;
use crate::journal::snapshots::{ARCHIVE, PartitionState, Snapshots};
use crate::runtime::clock::{self, Mono, Stopwatch};
use crate::runtime::sink::{Batch, Refill, Sink};

/// Outputs of one batch.
const TELLINGS: usize = 4_096;
/// Between two looks whether a sink has room.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(5);
/// Between two looks whether a sink lost something; longer and longer while refills do not help.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(300);
/// So long a stop waits for one who looks.
const STOP_WITHIN: Duration = Duration::from_millis(50);
/// Below the data directory: what a refill puts aside while it runs.
const DIR: &str = "refill";

/// What refills of all sinks are made with.
#[derive(Clone)]
pub struct Source {
    pub data_dir: PathBuf,
    pub journal: PathBuf,
    pub snapshots_dir: PathBuf,
    pub snapshots: Snapshots,
    pub settings: &'static Settings,
    pub fingerprint: u64,
    pub names: Arc<IndicatorNames>,
    pub roster: Roster,
    pub partitions: u32,
}

/// What one sink lacks.
pub struct Lack {
    sink: Arc<dyn Sink>,
    journal: PathBuf,
    dir: PathBuf,
    settings: &'static Settings,
    names: Arc<IndicatorNames>,
    roster: Roster,
    /// Where each partition begins.
    begin: BTreeMap<u32, PartitionState>,
    /// Of the partitions that it lacks something of: what it has, and what it is to have.
    wanted: BTreeMap<u32, (Position, Position)>,
}

impl Lack {
    /// `until`: up to where it is to have each partition. `None`: the sink has all of that.
    pub fn of(
        sink: &Arc<dyn Sink>,
        source: &Source,
        until: &BTreeMap<u32, Position>,
    ) -> Result<Option<Self>, EngineError> {
        let Some(kept) = sink.kept() else { return Ok(None) };
        let mut wanted: BTreeMap<u32, (Position, Position)> = BTreeMap::new();
        for (&partition, &until) in until {
            let kept = kept.get(&partition).copied().unwrap_or_default();
            if kept < until {
                wanted.insert(partition, (kept, until));
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let from_the_beginning = begins_at_the_beginning(&source.journal)?;
        let mut oldest = source.snapshots.oldest(source.fingerprint)?;
        let mut begin = BTreeMap::new();
        for partition in 0..source.partitions {
            let nothing =
                PartitionState { partition, position: Position(u64::MAX), ..PartitionState::default() };
            let Some((known, until)) = wanted.get(&partition).copied() else {
                begin.insert(partition, nothing);
                continue;
            };
            match oldest.remove(&partition).filter(|state| state.position < until) {
                Some(state) if state.position <= known || !from_the_beginning => {
                    if state.position > known {
                        warn!(
                            sink = sink.name(),
                            partition, "the journal no longer holds all that the sink lacks"
                        );
                    }
                    begin.insert(partition, state);
                }
                // From the beginning.
                _ if from_the_beginning => {}
                _ => {
                    warn!(sink = sink.name(), partition, "the journal no longer holds what the sink lacks");
                    wanted.remove(&partition);
                    begin.insert(partition, nothing);
                }
            }
        }
        let dir = source.data_dir.join(DIR).join(sink.name());
        let made = fresh(&dir).and_then(|()| link(&source.snapshots_dir.join(ARCHIVE), &dir.join(ARCHIVE)));
        made.map_err(EngineError::io(&dir, "make"))?;
        Ok(Some(Self {
            sink: sink.clone(),
            journal: source.journal.clone(),
            dir,
            settings: source.settings,
            names: source.names.clone(),
            roster: source.roster.clone(),
            begin,
            wanted,
        }))
    }

    /// Tells all of it; `false`: it was to stop before.
    fn tell(&self, stopping: &AtomicBool) -> Result<bool, JournalError> {
        let chunks = Arc::new(Chunks::beside(&self.dir.join(ARCHIVE), &self.dir, [])?);
        let mut rerun = Rerun::open(&self.journal, &chunks, self.settings, &self.begin)?;
        let mut tellings = Vec::new();
        let mut coming: BTreeSet<u32> = self.wanted.keys().copied().collect();
        loop {
            let worked = Stopwatch::start();
            let more = rerun.next_block(|player, step| {
                let Step::Take(at, event) = step else { return };
                let Some(&(known, until)) = self.wanted.get(&player.partition) else { return };
                if at > until {
                    coming.remove(&player.partition);
                    return;
                }
                match self.roster.find(&player.instrument) {
                    Some(watch) if at > known => {
                        let (tellings, names) = (&mut tellings, &self.names);
                        player.symbol.take(at, event, &mut Voice::new(tellings, names, watch, at, None));
                    }
                    _ => player.symbol.take(at, event, &mut Silence),
                }
            })?;
            let more = more && !coming.is_empty();
            if tellings.len() >= TELLINGS || (!more && !tellings.is_empty()) {
                let tellings = std::mem::take(&mut tellings);
                let batch = Arc::new(Batch { tellings, published: Mono::now(), recovered: true });
                while !self.sink.refill(Refill::Batch(&batch)) && !stopping.load(Ordering::Relaxed) {
                    clock::sleep(ROOM_LOOK_EVERY);
                }
            }
            if stopping.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if !more {
                return Ok(true);
            }
            // Live symbols go first.
            clock::sleep(worked.elapsed());
        }
    }

    fn run(self, stopping: &AtomicBool) {
        let sink = self.sink.name();
        let clock = Stopwatch::start();
        info!(
            sink,
            partitions = self.wanted.len(),
            "sink is behind the journal and is told again what it lacks"
        );
        let told = catch_unwind(AssertUnwindSafe(|| self.tell(stopping)));
        match told {
            Ok(Ok(true)) => {
                self.sink.refill(Refill::Ends);
                info!(sink, seconds = clock.elapsed().as_secs(), "sink has all that the journal holds");
            }
            Ok(Ok(false)) => info!(sink, "sink is still behind the journal: the next start goes on"),
            Ok(Err(error)) => error!(sink, %error, "sink stays behind the journal until the next start"),
            Err(_) => {
                error!(sink, "computing what a sink lacks panicked: it stays behind until the next start")
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            warn!(dir = %self.dir.display(), %error, "directory cannot be removed");
        }
    }
}

/// A sink that keeps what it is told, and what it lacks at the start.
pub struct Keeper {
    sink: Arc<dyn Sink>,
    lack: Option<Lack>,
}

impl Keeper {
    /// Tells what the start found lacking, then whatever is lost, until it is to stop.
    fn run(self, source: &Source, log: &SharedLog, stopping: &AtomicBool) {
        if let Some(lack) = self.lack {
            lack.run(stopping);
        }
        let mut pause = LOOK_EVERY;
        let mut waited = Stopwatch::start();
        while !stopping.load(Ordering::Relaxed) {
            clock::sleep(STOP_WITHIN);
            if waited.elapsed() < pause {
                continue;
            }
            if self.sink.is_lacking() {
                refill_now(&self.sink, source, log, stopping);
                // Where rows are lost faster than they are told again, less and less is tried.
                pause = (pause * 2).min(LOOK_EVERY_MAX);
            } else {
                pause = LOOK_EVERY;
            }
            waited = Stopwatch::start();
        }
    }
}

/// Everything up to the journal's end that the sink has not surely kept.
fn refill_now(sink: &Arc<dyn Sink>, source: &Source, log: &SharedLog, stopping: &AtomicBool) {
    // First: what is lost from here on is lost anew.
    sink.refill(Refill::Begins);
    let mut until = BTreeMap::new();
    for (_, instrument) in source.roster.iter() {
        let partition = instrument.partition(source.partitions);
        until.entry(partition).or_insert_with(|| log.lock().position(partition));
    }
    // It is read from the disk. While that takes nothing nothing is computed either.
    while !log.flush() {
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        clock::sleep(STOP_WITHIN);
    }
    match Lack::of(sink, source, &until) {
        Ok(Some(lack)) => lack.run(stopping),
        Ok(None) => _ = sink.refill(Refill::Ends),
        Err(error) => {
            error!(sink = sink.name(), %error, "sink stays behind the journal until the next start")
        }
    }
}

/// The threads that tell sinks again what they lack; dropped, they end.
#[derive(Default)]
pub struct Refills {
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Refills {
    /// Before anything is offered to the sinks: those that lack something are to know that older rows follow. `until`:
    /// what the start goes on from.
    pub fn announce(
        sinks: &[Arc<dyn Sink>],
        source: &Source,
        until: &BTreeMap<u32, Position>,
    ) -> Result<Vec<Keeper>, EngineError> {
        let mut keepers = Vec::new();
        for sink in sinks.iter().filter(|sink| sink.kept().is_some()) {
            let lack = Lack::of(sink, source, until)?;
            if lack.is_some() {
                sink.refill(Refill::Begins);
            }
            keepers.push(Keeper { sink: sink.clone(), lack });
        }
        Ok(keepers)
    }

    pub fn start(keepers: Vec<Keeper>, source: &Source, log: &SharedLog) -> Result<Self, EngineError> {
        let mut refills = Self::default();
        for keeper in keepers {
            let (source, log, stopping) = (source.clone(), log.clone(), refills.stopping.clone());
            let thread = thread::Builder::new()
                .name("refill".to_owned())
                .spawn(move || keeper.run(&source, &log, &stopping))
                .map_err(EngineError::Thread)?;
            refills.threads.push(thread);
        }
        Ok(refills)
    }

    /// Asks them to end.
    pub fn end(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Waits until all of them have ended.
    pub fn stop(self) {}
}

impl Drop for Refills {
    fn drop(&mut self) {
        self.end();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Empty, whatever a kill has left there.
fn fresh(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(dir)
}

/// The files of a directory under their names in another one: they stay there when the first lets them go.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        match fs::hard_link(entry.path(), to.join(entry.file_name())) {
            // Let go meanwhile: no snapshot speaks of it any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => linked?,
        }
    }
    Ok(())
}
