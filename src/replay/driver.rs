//! Runs recordings through the pipelines: at full speed or paced, on one thread or several.
//!
//! An instrument belongs to one of [`PARTITIONS`] partitions and a partition to one shard, so
//! its events stay in order whatever the number of shards; no output depends on that number.
//! Queues between threads are bounded: a full one makes the reader wait.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::analytics::ahead::Wanted;
use crate::analytics::pipeline::{Counts, Settings, SymbolPipeline, WANT_STEPS};
use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::output::{Output, OutputSink, Position, Refusal};
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;
use crate::replay::archive::SpoolArchive;
use crate::replay::beginning::Beginning;
use crate::replay::grouping::Grouping;
use crate::replay::merge::Inputs;
use crate::replay::recording::{Entry, InputError};
use crate::replay::results::collector::{Collector, CollectorSink};
use crate::replay::roster::InstrumentIndex;
use crate::replay::sorter::SorterError;
use crate::runtime::clock::Pace;
use crate::runtime::progress::Progress;

/// Fixed, so that an instrument's place never depends on the machine.
pub const PARTITIONS: u32 = 64;
/// Batches that wait for a shard; when they are that many the reader waits.
const QUEUE_BATCHES: usize = 8;
/// Paced events closer together than this go out together.
const PACE_NANOS: i64 = 1_000_000;

/// How a replay runs; what it computes stands in [`Settings`].
#[derive(Clone, Debug)]
pub struct Plan {
    /// At least 1.
    pub shards: usize,
    /// Times real time; `None`: as fast as it goes.
    pub speed: Option<f64>,
    /// Where closed candles and rows are spilled.
    pub spool_dir: PathBuf,
    /// Rows held in memory, over all shards.
    pub budget_bytes: usize,
    /// Where symbols go on, if not from nothing.
    pub beginning: Option<Arc<Beginning>>,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("failed to spool candles: {0}")]
    Archive(#[from] io::Error),
    #[error(transparent)]
    Spool(#[from] SorterError),
    #[error("a shard broke its own promise: {0}")]
    Panicked(String),
}

/// What a replay leaves behind.
pub struct Outcome {
    /// One for each shard.
    pub collectors: Vec<Collector>,
    /// Summed over all instruments.
    pub counts: Counts,
}

/// Runs all of `inputs` through the pipelines.
pub fn run(
    inputs: &mut Inputs,
    settings: &Settings,
    plan: &Plan,
    progress: &Progress,
) -> Result<Outcome, DriverError> {
    if plan.shards <= 1 {
        run_here(inputs, settings, plan, progress)
    } else {
        run_sharded(inputs, settings, plan, progress)
    }
}

/// The pipelines of some instruments, with all they write to.
struct Shard<'s> {
    settings: &'s Settings,
    /// By instrument; `None`: another shard's, or not met yet.
    pipelines: Vec<Option<Box<SymbolPipeline<'s>>>>,
    archive: SpoolArchive,
    collector: Collector,
    refused: Vec<(Position, Refusal)>,
    grouping: Grouping,
    wanted: Wanted,
    beginning: Option<Arc<Beginning>>,
    /// What symbols that went on had seen before.
    before: Counts,
}

/// A collector that also notes what was refused.
struct Tap<'a> {
    collector: CollectorSink<'a>,
    refused: &'a mut Vec<(Position, Refusal)>,
}

impl OutputSink for Tap<'_> {
    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        match output {
            Output::Trade(_) | Output::Outcome(_) | Output::Score(_) => {}
            Output::Refused { at, reason } => self.refused.push((at, reason)),
            output => self.collector.accept(cause_seq, output),
        }
    }
}

impl<'s> Shard<'s> {
    fn new(settings: &'s Settings, plan: &Plan) -> Result<Self, DriverError> {
        Ok(Self {
            settings,
            pipelines: Vec::new(),
            archive: SpoolArchive::new(&plan.spool_dir, settings.intervals.len())?,
            collector: Collector::new(settings, &plan.spool_dir, plan.budget_bytes / plan.shards.max(1)),
            refused: Vec::new(),
            grouping: Grouping::default(),
            wanted: Wanted::default(),
            beginning: plan.beginning.clone(),
            before: Counts::default(),
        })
    }

    fn knows(&self, index: InstrumentIndex) -> bool {
        self.pipelines.get(index.0 as usize).is_some_and(Option::is_some)
    }

    fn enlist(&mut self, index: InstrumentIndex, instrument: Instrument, rule: IdRule) {
        let at = index.0 as usize;
        if at >= self.pipelines.len() {
            self.pipelines.resize_with(at + 1, || None);
        }
        if !self.settings.intelligence.is_empty() {
            self.collector.name(index, &instrument);
        }
        let restored = self.beginning.as_ref().and_then(|beginning| {
            beginning.pipeline(&instrument, rule, self.settings, &mut self.archive.of(index))
        });
        if let Some(pipeline) = &restored {
            self.before.add(pipeline.counts());
        }
        let pipeline = restored.unwrap_or_else(|| SymbolPipeline::new(instrument, rule, self.settings));
        self.pipelines[at] = Some(Box::new(pipeline));
    }

    #[inline]
    fn take(&mut self, entry: &Entry) {
        let pipeline = self.pipelines[entry.instrument.0 as usize].as_mut();
        let pipeline = pipeline.expect("an instrument is enlisted before its first event");
        let mut archive = self.archive.of(entry.instrument);
        let mut tap = Tap { collector: self.collector.sink(entry.instrument), refused: &mut self.refused };
        pipeline.on_event(entry.position, &entry.event, &mut archive, &mut tap);
    }

    /// Works off a batch, instrument by instrument.
    fn take_all(&mut self, entries: &[Entry]) {
        let mut grouping = std::mem::take(&mut self.grouping);
        grouping.group(entries.iter().map(|entry| entry.instrument.0));
        for ((_, group), coming) in grouping.groups_ahead::<WANT_STEPS>() {
            for (step, coming) in (1..=WANT_STEPS).rev().zip(coming) {
                let Some((instrument, group)) = coming else { continue };
                if let Some(pipeline) = &self.pipelines[instrument as usize] {
                    pipeline.want(step, group.len(), &mut self.wanted);
                }
            }
            // The events of an instrument lie scattered over the batch.
            if let Some((_, next)) = coming[WANT_STEPS - 1] {
                next.iter().for_each(|&at| self.wanted.value(&entries[at as usize]));
            }
            let share = self.wanted.share(group.len());
            for &at in group {
                self.wanted.ask(share);
                self.take(&entries[at as usize]);
            }
            self.wanted.ask_all();
        }
        self.grouping = grouping;
    }

    /// Full disks are noticed here.
    fn check(&mut self) -> Result<(), DriverError> {
        self.archive.check()?;
        self.collector.check()?;
        Ok(())
    }

    fn finish(mut self) -> Result<Finished, DriverError> {
        let mut counts = Counts::default();
        for (at, pipeline) in self.pipelines.iter_mut().enumerate() {
            let Some(pipeline) = pipeline else { continue };
            let index = InstrumentIndex(at as u32);
            let mut archive = self.archive.of(index);
            let mut tap = Tap { collector: self.collector.sink(index), refused: &mut self.refused };
            pipeline.finish(&mut archive, &mut tap);
            counts.add(pipeline.counts());
        }
        self.check()?;
        let counts = counts.since(self.before);
        Ok(Finished { collector: self.collector, counts, refused: self.refused })
    }
}

struct Finished {
    collector: Collector,
    counts: Counts,
    refused: Vec<(Position, Refusal)>,
}

fn quarantine(inputs: &mut Inputs, refused: &mut Vec<(Position, Refusal)>) -> Result<(), InputError> {
    for (at, reason) in refused.drain(..) {
        inputs.quarantine(at, &reason.to_string())?;
    }
    Ok(())
}

/// Tells how far the reader is; gives back how far that is.
fn report(inputs: &Inputs, done: u64, progress: &Progress) -> u64 {
    let read = inputs.bytes_read();
    progress.advance(read.saturating_sub(done));
    read
}

/// The moment at which an event is played.
fn event_at(event: &Event) -> Option<UnixNanos> {
    match event {
        Event::Trade(trade) => Some(trade.exchange_at),
        Event::Backfill(page) => page.last().map(|trade| trade.exchange_at),
        Event::Candle(candle) => Some(candle.open_at),
        Event::Tick { venue_at } => Some(*venue_at),
        Event::Unwatched { to, .. } => Some(*to),
        Event::Status { venue_at, .. } => Some(*venue_at),
        Event::Unfillable { .. } => None,
    }
}

fn run_here(
    inputs: &mut Inputs,
    settings: &Settings,
    plan: &Plan,
    progress: &Progress,
) -> Result<Outcome, DriverError> {
    let mut shard = Shard::new(settings, plan)?;
    let mut pace = plan.speed.map(Pace::new);
    let (mut batch, mut done) = (Vec::new(), 0);
    while inputs.next_batch(&mut batch)? {
        for entry in &batch {
            if !shard.knows(entry.instrument) {
                let (instrument, rule) = inputs.roster().get(entry.instrument).clone();
                shard.enlist(entry.instrument, instrument, rule);
            }
            if let Some(pace) = &mut pace {
                if let Some(at) = event_at(&entry.event) {
                    pace.wait_for(at);
                }
                shard.take(entry);
            }
        }
        if pace.is_none() {
            shard.take_all(&batch);
        }
        shard.check()?;
        quarantine(inputs, &mut shard.refused)?;
        done = report(inputs, done, progress);
    }
    let mut finished = shard.finish()?;
    quarantine(inputs, &mut finished.refused)?;
    Ok(Outcome { collectors: vec![finished.collector], counts: finished.counts })
}

/// What the reader hands to a shard.
#[derive(Default)]
struct Delivery {
    /// Instruments whose first event is in it.
    new: Vec<(InstrumentIndex, Instrument, IdRule)>,
    entries: Vec<Entry>,
}

/// What a shard hands back: what it refused, and the batch to be used again.
struct Receipt {
    refused: Vec<(Position, Refusal)>,
    entries: Vec<Entry>,
}

fn serve(
    mut shard: Shard<'_>,
    deliveries: &Receiver<Delivery>,
    receipts: &Sender<Receipt>,
) -> Result<Finished, DriverError> {
    for mut delivery in deliveries {
        for (index, instrument, rule) in delivery.new.drain(..) {
            shard.enlist(index, instrument, rule);
        }
        shard.take_all(&delivery.entries);
        delivery.entries.clear();
        shard.check()?;
        let receipt = Receipt { refused: std::mem::take(&mut shard.refused), entries: delivery.entries };
        if receipts.send(receipt).is_err() {
            break; // the reader has given up, and says why
        }
    }
    shard.finish()
}

fn run_sharded(
    inputs: &mut Inputs,
    settings: &Settings,
    plan: &Plan,
    progress: &Progress,
) -> Result<Outcome, DriverError> {
    let shards: Vec<_> = (0..plan.shards).map(|_| Shard::new(settings, plan)).collect::<Result<_, _>>()?;
    thread::scope(|scope| {
        // A receipt for each delivery in flight: sending one never waits.
        let (receipts_in, receipts) = bounded(plan.shards * (QUEUE_BATCHES + 2));
        let mut queues = Vec::new();
        let mut workers = Vec::new();
        for shard in shards {
            let (queue, deliveries) = bounded(QUEUE_BATCHES);
            let receipts = receipts_in.clone();
            queues.push(queue);
            workers.push(scope.spawn(move || serve(shard, &deliveries, &receipts)));
        }
        drop(receipts_in);
        let read = deal(inputs, plan, &queues, &receipts, progress);
        drop(queues);
        let mut outcome = Outcome { collectors: Vec::new(), counts: Counts::default() };
        // Drained before joining, so that no shard waits for room.
        let mut rest: Vec<Receipt> = receipts.iter().collect();
        let mut failed = None;
        let mut late_refusals = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(Ok(finished)) => {
                    outcome.collectors.push(finished.collector);
                    outcome.counts.add(finished.counts);
                    late_refusals.push(finished.refused);
                }
                Ok(Err(error)) => failed = failed.or(Some(error)),
                Err(panic) => failed = failed.or_else(|| Some(DriverError::Panicked(message_of(&*panic)))),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        read?;
        for receipt in &mut rest {
            quarantine(inputs, &mut receipt.refused)?;
        }
        for mut refused in late_refusals {
            quarantine(inputs, &mut refused)?;
        }
        Ok(outcome)
    })
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// The reader's end of the queues.
struct Dealer<'a> {
    queues: &'a [Sender<Delivery>],
    receipts: &'a Receiver<Receipt>,
    waiting: Vec<Delivery>,
    spare: Vec<Vec<Entry>>,
    refused: Vec<(Position, Refusal)>,
}

impl Dealer<'_> {
    /// Sends what waits; `false`: a shard is gone.
    fn send(&mut self) -> bool {
        // Taken first, so that no shard waits for room while the reader waits for a shard.
        for mut receipt in self.receipts.try_iter() {
            self.refused.append(&mut receipt.refused);
            self.spare.push(receipt.entries);
        }
        for (delivery, queue) in self.waiting.iter_mut().zip(self.queues) {
            if delivery.entries.is_empty() {
                continue;
            }
            let next = Delivery { new: Vec::new(), entries: self.spare.pop().unwrap_or_default() };
            if queue.send(std::mem::replace(delivery, next)).is_err() {
                return false;
            }
        }
        true
    }
}

/// Reads, and deals each event to its instrument's shard. Ends early without an error where a
/// shard is gone: joining it says why.
fn deal(
    inputs: &mut Inputs,
    plan: &Plan,
    queues: &[Sender<Delivery>],
    receipts: &Receiver<Receipt>,
    progress: &Progress,
) -> Result<(), DriverError> {
    let waiting = queues.iter().map(|_| Delivery::default()).collect();
    let mut dealer = Dealer { queues, receipts, waiting, spare: Vec::new(), refused: Vec::new() };
    let mut shard_of: Vec<Option<usize>> = Vec::new();
    let mut pace = plan.speed.map(Pace::new);
    let mut paced_to = UnixNanos(i64::MIN);
    let (mut batch, mut done) = (Vec::new(), 0);
    while inputs.next_batch(&mut batch)? {
        for entry in batch.drain(..) {
            let at = event_at(&entry.event).filter(|at| at.0 >= paced_to.0.saturating_add(PACE_NANOS));
            if let (Some(pace), Some(at)) = (&mut pace, at) {
                paced_to = at;
                if !dealer.send() {
                    return Ok(());
                }
                pace.wait_for(at);
            }
            let index = entry.instrument.0 as usize;
            if index >= shard_of.len() {
                shard_of.resize(index + 1, None);
            }
            let shard = *shard_of[index].get_or_insert_with(|| {
                let (instrument, rule) = inputs.roster().get(entry.instrument).clone();
                let shard = instrument.partition(PARTITIONS) as usize % queues.len();
                dealer.waiting[shard].new.push((entry.instrument, instrument, rule));
                shard
            });
            dealer.waiting[shard].entries.push(entry);
        }
        if !dealer.send() {
            return Ok(());
        }
        quarantine(inputs, &mut dealer.refused)?;
        done = report(inputs, done, progress);
    }
    Ok(())
}
