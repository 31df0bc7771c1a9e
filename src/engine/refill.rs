//! Telling a sink again what it lacks: its store was deleted, is an older copy, was switched off for a while, or its
//! queue was too full to take what it was offered.
//!
//! A start computes what the journal holds behind the snapshots, and tells that to all. A sink says how far it has
//! kept each partition ([`Sink::kept`]); where that lies before the snapshot, the stretch between them is
//! computed again from an older one, or from the beginning, and told to this sink alone. Likewise while the engine
//! runs, up to the journal's end, where a sink says that it lost something ([`Sink::is_lacking`]). That is done beside
//! the running engine, by a thread that rests as long as it works, so that nobody waits for it.
//!
//! The symbols stand in memory a second time while they are computed again: some partitions at a time, in up to
//! [`PASSES`] passes through the journal, so that it takes a share of the memory that the engine takes.
//!
//! What the journal no longer holds cannot be told: then it begins where that does, and says so. A refill that is cut
//! short begins anew at the next start. What a parked symbol told last stands in no journal, and is not told again.

use std::collections::BTreeMap;
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
use crate::journal::error::JournalError;
use crate::journal::snapshots::{ARCHIVE, PartitionState, Snapshots};
use crate::runtime::clock::{self, Mono, Stopwatch};
use crate::runtime::sink::{Batch, Refill, Sink};

/// Outputs of one batch.
const TELLINGS: usize = 4_096;
/// So many passes through the journal at most, and so many symbols in each where there are as many: reading costs little
/// beside computing, and little is not nothing.
const PASSES: usize = 8;
const SYMBOLS_MIN: usize = 64;
/// Between two looks whether a sink has room.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(5);
/// Between two looks whether a sink lost something; longer and longer while refills do not help.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(300);
/// So long a stop waits for one who looks.
const STOP_WITHIN: Duration = Duration::from_millis(50);
/// Below the data directory: what a refill puts aside while it runs.
const DIR: &str = "refill";
/// Below that: what the symbols of one pass put aside.
const OWN: &str = "own";

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
    fingerprint: u64,
    names: Arc<IndicatorNames>,
    roster: Roster,
    partitions: u32,
    /// By what is computed at a time: of the partitions that it lacks something of.
    passes: Vec<BTreeMap<u32, Wanted>>,
}

/// What a sink lacks of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    /// What it has, and what it is to have.
    known: Position,
    until: Position,
    /// It is computed from a snapshot; otherwise from the beginning.
    from_state: bool,
    symbols: usize,
}

impl Lack {
    /// `until`: up to where it is to have each partition. `None`: the sink has all of that.
    pub fn of(
        sink: &Arc<dyn Sink>,
        source: &Source,
        until: &BTreeMap<u32, Position>,
    ) -> Result<Option<Self>, EngineError> {
        let Some(kept) = sink.kept() else { return Ok(None) };
        let kept_of = |partition: u32| kept.get(&partition).copied().unwrap_or_default();
        if until.iter().all(|(&partition, &until)| kept_of(partition) >= until) {
            return Ok(None);
        }
        let from_the_beginning = begins_at_the_beginning(&source.journal)?;
        // Snapshots of before, and what they speak of, stay there when the engine lets them go.
        let dir = source.data_dir.join(DIR).join(sink.name());
        let (archive, snapshots) = (source.snapshots_dir.join(ARCHIVE), &source.snapshots_dir);
        let made = fresh(&dir).and_then(|()| link(&archive, &dir.join(ARCHIVE)));
        made.and_then(|()| link(snapshots, &dir)).map_err(EngineError::io(&dir, "make"))?;
        let snapshots = Snapshots::at(&dir, &dir)?;
        let mut wanted = BTreeMap::new();
        for (&partition, &until) in until {
            let known = kept_of(partition);
            if known >= until {
                continue;
            }
            let watched =
                source.roster.iter().filter(|(_, own)| own.partition(source.partitions) == partition);
            let symbols = watched.count();
            let oldest = snapshots.oldest_of(partition, source.fingerprint)?;
            let wants = match oldest.filter(|state| state.position < until) {
                Some(state) if state.position <= known || !from_the_beginning => {
                    if state.position > known {
                        warn!(
                            sink = sink.name(),
                            partition, "the journal no longer holds all that the sink lacks"
                        );
                    }
                    Wanted { known, until, from_state: true, symbols: symbols.max(state.symbols.len()) }
                }
                _ if from_the_beginning => Wanted { known, until, from_state: false, symbols },
                _ => {
                    warn!(sink = sink.name(), partition, "the journal no longer holds what the sink lacks");
                    continue;
                }
            };
            wanted.insert(partition, wants);
        }
        Ok(Some(Self {
            sink: sink.clone(),
            journal: source.journal.clone(),
            dir,
            settings: source.settings,
            fingerprint: source.fingerprint,
            names: source.names.clone(),
            roster: source.roster.clone(),
            partitions: source.partitions,
            passes: passes(wanted),
        }))
    }

    /// Tells all of it; `false`: it was to stop before.
    fn tell(&self, stopping: &AtomicBool) -> Result<bool, EngineError> {
        for wanted in &self.passes {
            if !self.pass(wanted, stopping)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where each partition begins; of those that are not wanted nothing is computed.
    fn begin(
        &self,
        wanted: &BTreeMap<u32, Wanted>,
        snapshots: &Snapshots,
    ) -> Result<BTreeMap<u32, PartitionState>, JournalError> {
        let from_the_beginning = begins_at_the_beginning(&self.journal)?;
        let mut begin = BTreeMap::new();
        for partition in 0..self.partitions {
            let state = match wanted.get(&partition) {
                None => Some(PartitionState {
                    partition,
                    position: Position(u64::MAX),
                    ..PartitionState::default()
                }),
                Some(Wanted { from_state: true, .. }) => snapshots.oldest_of(partition, self.fingerprint)?,
                Some(_) => None,
            };
            match state {
                Some(state) => _ = begin.insert(partition, state),
                None if from_the_beginning => {}
                // Let go while others were told.
                None => return Err(JournalError::Gone { dir: self.journal.clone(), partition }),
            }
        }
        Ok(begin)
    }

    /// Tells what is lacking of these partitions; `false`: it was to stop before.
    fn pass(&self, wanted: &BTreeMap<u32, Wanted>, stopping: &AtomicBool) -> Result<bool, EngineError> {
        let own = self.dir.join(OWN);
        fresh(&own).map_err(EngineError::io(&own, "make"))?;
        let snapshots = Snapshots::at(&self.dir, &own)?;
        let begin = self.begin(wanted, &snapshots)?;
        let mut rerun = Rerun::open(&self.journal, snapshots.chunks(), self.settings, &begin)?;
        drop(begin);
        let mut tellings = Vec::new();
        let mut coming = wanted.clone();
        loop {
            let worked = Stopwatch::start();
            let more = rerun.next_block(|player, step| {
                let Step::Take(at, event) = step else { return };
                let Some(&Wanted { known, until, .. }) = wanted.get(&player.partition) else { return };
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
            partitions = self.passes.iter().map(BTreeMap::len).sum::<usize>(),
            passes = self.passes.len(),
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

/// Divides what is wanted, so that no pass computes more symbols than its share, or those of one partition.
fn passes(wanted: BTreeMap<u32, Wanted>) -> Vec<BTreeMap<u32, Wanted>> {
    let symbols: usize = wanted.values().map(|wanted| wanted.symbols).sum();
    let share = symbols.div_ceil(PASSES).max(SYMBOLS_MIN);
    let mut passes: Vec<BTreeMap<u32, Wanted>> = Vec::new();
    let mut taken = usize::MAX;
    for (partition, wants) in wanted {
        if taken.saturating_add(wants.symbols) > share {
            passes.push(BTreeMap::new());
            taken = 0;
        }
        taken += wants.symbols;
        passes.last_mut().expect("pushed above").insert(partition, wants);
    }
    passes
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
        if entry.file_type()?.is_dir() {
            continue;
        }
        match fs::hard_link(entry.path(), to.join(entry.file_name())) {
            // Let go meanwhile: no snapshot speaks of it any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => linked?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_passes(symbols: &[usize], expected: &[&[u32]]) {
        let wants = |symbols| Wanted { known: Position(0), until: Position(1), from_state: false, symbols };
        let wanted = (0..).zip(symbols.iter().map(|symbols| wants(*symbols))).collect();
        let passes: Vec<Vec<u32>> =
            passes(wanted).iter().map(|pass| pass.keys().copied().collect()).collect();
        assert_eq!(passes, expected, "{symbols:?}");
    }

    #[test]
    fn a_pass_computes_its_share_of_the_symbols() {
        check_passes(&[], &[]);
        check_passes(&[1, 0, 2], &[&[0, 1, 2]]);
        check_passes(&[40, 24, 1], &[&[0, 1], &[2]]);
        check_passes(&[200, 1, 1, 1], &[&[0], &[1, 2, 3]]);
        let many = [16; 64];
        let eighths: Vec<Vec<u32>> = (0..8).map(|pass| (pass * 8..pass * 8 + 8).collect()).collect();
        check_passes(&many, &eighths.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}
