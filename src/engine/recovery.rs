//! What a start finds: the newest snapshot of each partition, and the journal since, computed again.
//!
//! Each shard recovers its own partitions on its own thread, in one pass over the journal. What is told on
//! the way was perhaps told before: batches say so ([`Batch::recovered`](crate::runtime::sink::Batch)), and every
//! so often the shard waits until all sinks have kept what they were offered, so that none is flooded.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracing::{error, warn};

use crate::analytics::pipeline::Settings;
use crate::domain::event::Event;
use crate::domain::output::Position;
use crate::domain::time::UnixNanos;
use crate::engine::bus::Bus;
use crate::engine::seat::Seat;
use crate::engine::shard::Shard;
use crate::engine::symbol::Symbol;
use crate::engine::symbol_actor::{Mishap, Voice, attempt};
use crate::journal::catch_up::CatchUp;
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::journal::snapshots::{PartitionState, Snapshots};
use crate::runtime::clock::{self, Mono, Stopwatch};
use crate::runtime::sink::{Barrier, Sink};

/// Outputs of one batch.
const TELLINGS: usize = 4_096;
/// Batches after which all sinks are waited for, however little they say that waits.
const BATCHES: usize = 64;
/// Between two looks whether a sink has room.
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(1);
/// Threads that read snapshots at most.
const THREADS_MAX: usize = 8;
/// A sink that keeps nothing for so long is not waited for any more: its own full-rule holds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The newest snapshot of each partition that has a usable one.
pub fn newest_snapshots(
    snapshots: &Snapshots,
    partitions: u32,
    fingerprint: u64,
) -> Result<BTreeMap<u32, PartitionState>, JournalError> {
    // Side by side: unpacking the states of a thousand symbols takes longer than all the rest of a start.
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let of_thread = |own: usize| -> Result<Vec<_>, JournalError> {
        let own = (0..partitions).filter(|partition| *partition as usize % threads == own);
        own.map(|partition| Ok((partition, snapshots.newest(partition, fingerprint)?))).collect()
    };
    let found: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|own| scope.spawn(move || of_thread(own))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("reading snapshots never panics"));
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    let mut states = BTreeMap::new();
    for (partition, found) in found.into_iter().flatten() {
        for fault in found.refused {
            warn!(%fault, "snapshot refused");
        }
        states.extend(found.newest.map(|state| (partition, state)));
    }
    Ok(states)
}

/// A symbol as the start found it.
pub struct Recovered {
    pub seat: Rc<Seat>,
    /// It panicked on the way: its actor goes on from there.
    pub mishap: Option<Mishap>,
}

/// Opens the journal behind the snapshots of `partitions`; from the oldest entry on where it no longer
/// reaches back to them.
pub fn catch_up(
    journal: &std::path::Path,
    all: u32,
    partitions: &[u32],
    states: &BTreeMap<u32, PartitionState>,
) -> Result<CatchUp, JournalError> {
    let mut after = BTreeMap::new();
    for partition in 0..all {
        if !partitions.contains(&partition) {
            after.insert(partition, Position(u64::MAX)); // another shard's
        } else if let Some(state) = states.get(&partition) {
            after.insert(partition, state.position);
        }
    }
    CatchUp::open(journal, after)
}

/// Computes the shard's symbols up to the end of the journal.
pub fn recover(
    shard: &Shard,
    all: u32,
    owned: &[u32],
    states: &BTreeMap<u32, PartitionState>,
    sinks: &[Arc<dyn Sink>],
) -> Result<Vec<Recovered>, JournalError> {
    let settings: &'static Settings = shard.common.settings;
    let chunks = shard.common.snapshots.chunks();
    let mut symbols: Vec<Recovered> = Vec::new();
    let mut of_watch: BTreeMap<u32, usize> = BTreeMap::new();
    let mut of_partition: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for seat in shard.own() {
        let state = states.get(&seat.partition);
        let own = state.and_then(|state| state.symbols.iter().find(|own| own.instrument == seat.instrument));
        // The seat's own, which has taken nothing yet.
        let mut symbol = seat.symbol.borrow_mut();
        if let (Some(state), Some(own)) = (state, own) {
            if own.rule != seat.rule {
                error!(instrument = %seat.instrument, "rule of trade ids has changed: its state begins anew");
            } else if let Err(fault) = symbol.load(own, state.position, chunks) {
                error!(instrument = %seat.instrument, %fault, "state cannot be restored: it begins anew");
                *symbol = Symbol::new(seat.instrument.clone(), seat.rule, settings, chunks);
            } else {
                seat.begun.set(true);
                let standing = symbol.pipeline.standing();
                sinks.iter().for_each(|sink| sink.stand(seat.watch, &standing));
            }
        }
        if let Some(state) = state {
            symbol.done_at = state.position;
        }
        drop(symbol);
        of_watch.insert(seat.watch.0, symbols.len());
        of_partition.entry(seat.partition).or_default().push(symbols.len());
        symbols.push(Recovered { seat: seat.clone(), mishap: None });
    }
    let mut reading = catch_up(&shard.common.journal, all, owned, states)?;
    let skips = reading.skips();
    let mut of_number: Vec<Option<usize>> = Vec::new();
    let mut ticked_at = UnixNanos(i64::MIN);
    let mut bus = shard.bus.borrow_mut();
    let mut batches = 0;
    loop {
        let more = reading.next_block(|instruments, entry| {
            for listed in &instruments[of_number.len()..] {
                let found = shard.own().find(|seat| seat.instrument == listed.instrument);
                if let Some(seat) = found {
                    seat.begun.set(true);
                }
                of_number.push(found.map(|seat| of_watch[&seat.watch.0]));
            }
            match entry {
                Entry::Event { instrument, at, event } => {
                    if let Some(at_symbol) = of_number[instrument.0 as usize] {
                        take(shard, &mut symbols[at_symbol], at, &event, &mut bus);
                    }
                }
                Entry::Tick { venue_at, partitions } => {
                    ticked_at = ticked_at.max(venue_at);
                    let event = Event::Tick { venue_at };
                    for (partition, at) in partitions {
                        for &at_symbol in of_partition.get(&partition).into_iter().flatten() {
                            let seat = &symbols[at_symbol].seat;
                            if seat.begun.get() && !skips.has_tick(&seat.instrument, at) {
                                take(shard, &mut symbols[at_symbol], at, &event, &mut bus);
                            }
                        }
                    }
                }
                Entry::Config { .. }
                | Entry::Version { .. }
                | Entry::Skipped { .. }
                | Entry::SkippedTick { .. }
                | Entry::Closed { .. }
                | Entry::Outputs { .. } => {}
            }
        })?;
        if bus.depth() >= TELLINGS || !more {
            bus.publish(Mono::now(), true);
            batches += 1;
            wait_for_room(sinks);
            if batches % BATCHES == 0 {
                wait_for(sinks);
            }
        }
        if !more {
            break;
        }
    }
    shard.ticked_at.set(ticked_at);
    for recovered in &symbols {
        let Recovered { seat, mishap } = recovered;
        seat.last_id.set(seat.symbol.borrow().pipeline.last_id());
        if mishap.is_some() {
            seat.inbox.borrow_mut().fall_behind(seat.last_at.get());
        }
    }
    Ok(symbols)
}

fn take(shard: &Shard, recovered: &mut Recovered, at: Position, event: &Event, bus: &mut Bus) {
    let Recovered { seat, mishap } = recovered;
    seat.last_at.set(at);
    if mishap.is_some() {
        return; // its actor reads on from there
    }
    let told = bus.tellings().len();
    let (names, watch) = (&shard.common.names, seat.watch);
    let mut voice = Voice::new(bus.tellings(), names, watch, at, None);
    let fault = shard.common.fault.as_ref();
    let symbol = &mut *seat.symbol.borrow_mut();
    if let Err(panicked) = attempt(symbol, seat, fault, (at, event), &mut voice) {
        bus.tellings().truncate(told);
        *mishap = Some(panicked);
    }
}

/// Waits while a sink has much to do. Cheaper than a barrier, which makes stores wait for the disk: a short tail
/// of the journal is computed without either.
fn wait_for_room(sinks: &[Arc<dyn Sink>]) {
    let waited = Stopwatch::start();
    while sinks.iter().any(|sink| sink.is_crowded()) && waited.elapsed() < PATIENCE {
        clock::sleep(ROOM_LOOK_EVERY);
    }
}

/// Waits until all sinks have kept what they were offered.
fn wait_for(sinks: &[Arc<dyn Sink>]) {
    let (barrier, arrivals) = Barrier::new(sinks.len());
    sinks.iter().for_each(|sink| sink.mark(barrier.clone()));
    drop(barrier);
    for _ in sinks {
        if arrivals.recv_timeout(PATIENCE).is_err() {
            warn!("a sink does not keep up with the recovery");
            return;
        }
    }
}
