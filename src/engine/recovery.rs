//! What a start finds: the newest snapshot of each partition, and the journal since, computed again.
//!
//! Each shard recovers its own partitions on its own thread, in one pass over the journal. What is told on
//! the way was perhaps told before: batches say so ([`Batch::recovered`](crate::runtime::sink::Batch)), trades and
//! indicators that no sink needs to hear again ([`Sink::heard`]) are left out, and every so often the shard waits until
//! all sinks have kept what they were offered, so that none is flooded.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracing::{error, warn};

use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::Position;
use crate::domain::standing::Standing;
use crate::domain::time::UnixNanos;
use crate::engine::returning::{Around, Returning, Ticks};
use crate::engine::seat::Seat;
use crate::engine::shard::Shard;
use crate::engine::symbol::Symbol;
use crate::journal::catch_up::CatchUp;
use crate::journal::entry::Entry;
use crate::journal::error::JournalError;
use crate::journal::snapshots::{PartitionState, Snapshots, SymbolState};
use crate::runtime::clock::{self, Mono, Stopwatch};
use crate::runtime::sink::{Barrier, Sink};

/// Outputs of one batch.
const TELLINGS: usize = 4_096;
/// Batches after which all sinks are waited for, however little they say that waits.
const BATCHES: usize = 64;
/// Events that are gathered, about, before the symbols take them.
const GATHERED: usize = 1 << 15;
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

/// Where the state of each partition stands; of those that are not in `partitions` nothing is wanted.
pub fn positions(
    all: u32,
    partitions: &[u32],
    states: &BTreeMap<u32, PartitionState>,
) -> BTreeMap<u32, Position> {
    let mut after = BTreeMap::new();
    for partition in 0..all {
        if !partitions.contains(&partition) {
            after.insert(partition, Position(u64::MAX)); // another shard's
        } else if let Some(state) = states.get(&partition) {
            after.insert(partition, state.position);
        }
    }
    after
}

/// Computes the shard's symbols up to the end of the journal, and tells the sinks what each then knows. `reading`: what
/// its partitions' states do not know.
pub fn recover(
    shard: &Shard,
    mut reading: CatchUp,
    states: &BTreeMap<u32, PartitionState>,
    sinks: &[Arc<dyn Sink>],
) -> Result<Vec<Returning>, JournalError> {
    let mut symbols: Vec<Returning> = Vec::new();
    let mut of_instrument: HashMap<Instrument, usize> = HashMap::new();
    let mut of_partition: BTreeMap<u32, (Ticks, Vec<usize>)> = BTreeMap::new();
    for seat in shard.own() {
        restore(shard, seat, states.get(&seat.partition));
        of_instrument.insert(seat.instrument.clone(), symbols.len());
        of_partition.entry(seat.partition).or_default().1.push(symbols.len());
        symbols.push(Returning::new(seat.clone(), sinks));
    }
    let skips = reading.skips();
    let mut of_number: Vec<Option<usize>> = Vec::new();
    let mut ticked_at = UnixNanos(i64::MIN);
    let bus = &mut *shard.bus.borrow_mut();
    let mut around = Around { shard, skips: &skips, bus };
    let (mut gathered, mut batches) = (0, 0);
    loop {
        let more = reading.next_block(|instruments, entry| {
            for listed in &instruments[of_number.len()..] {
                let found = of_instrument.get(&listed.instrument).copied();
                if let Some(symbol) = found {
                    symbols[symbol].begin(of_partition[&listed.partition].0.len());
                }
                of_number.push(found);
            }
            match entry {
                Entry::Event { instrument, at, event } => {
                    if let Some(symbol) = of_number[instrument.0 as usize] {
                        gathered += if let Event::Backfill(page) = &event { page.len() } else { 1 };
                        symbols[symbol].gather(at, event);
                    }
                }
                Entry::Tick { venue_at, partitions } => {
                    ticked_at = ticked_at.max(venue_at);
                    for (partition, at) in partitions {
                        if let Some((ticks, _)) = of_partition.get_mut(&partition) {
                            ticks.push((at, venue_at));
                            gathered += 1;
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
        if gathered < GATHERED && more {
            continue;
        }
        gathered = 0;
        for (ticks, own) in of_partition.values_mut() {
            for &symbol in &*own {
                symbols[symbol].work_off(ticks, &mut around);
                if around.bus.depth() >= TELLINGS {
                    around.bus.publish(Mono::now(), true);
                    batches += 1;
                    wait_for_room(sinks);
                    if batches % BATCHES == 0 {
                        wait_for(sinks);
                    }
                }
            }
            ticks.clear();
        }
        if !more {
            break;
        }
    }
    around.bus.publish(Mono::now(), true);
    shard.ticked_at.set(ticked_at);
    for symbol in &mut symbols {
        let seat = symbol.seat.clone();
        seat.last_id.set(seat.symbol.borrow().pipeline.last_id());
        if symbol.mishap.is_some() {
            seat.inbox.borrow_mut().fall_behind(seat.last_at.get());
        }
        if seat.begun.get() {
            let standing = symbol.standing(|| known(shard, &seat, states.get(&seat.partition)));
            sinks.iter().for_each(|sink| sink.stand(seat.watch, &standing));
        }
    }
    Ok(symbols)
}

/// Loads what a snapshot holds of the seat's symbol, which has taken nothing yet.
fn restore(shard: &Shard, seat: &Seat, state: Option<&PartitionState>) {
    let Some(state) = state else { return };
    let chunks = shard.common.snapshots.chunks();
    let mut symbol = seat.symbol.borrow_mut();
    if let Some(own) = own_of(state, seat) {
        if own.rule != seat.rule {
            error!(instrument = %seat.instrument, "rule of trade ids has changed: its state begins anew");
        } else if let Err(fault) = symbol.load(own, state.position, chunks) {
            error!(instrument = %seat.instrument, %fault, "state cannot be restored: it begins anew");
            *symbol = Symbol::new(seat.instrument.clone(), seat.rule, shard.common.settings, chunks);
        } else {
            seat.begun.set(true);
        }
    }
    symbol.done_at = state.position;
}

fn own_of<'a>(state: &'a PartitionState, seat: &Seat) -> Option<&'a SymbolState> {
    state.symbols.iter().find(|own| own.instrument == seat.instrument)
}

/// What the snapshot knew.
fn known(shard: &Shard, seat: &Seat, state: Option<&PartitionState>) -> Option<Standing> {
    let (state, chunks) = (state?, shard.common.snapshots.chunks());
    let own = own_of(state, seat).filter(|own| own.rule == seat.rule)?;
    let symbol = Symbol::restore(own, state.position, shard.common.settings, chunks).ok()?;
    Some(symbol.pipeline.standing())
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
