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

use crate::analytics::ahead::want_near;
use crate::analytics::pipeline::{Counts, Settings, SymbolPipeline, WANT_STEPS};
use crate::domain::event::Event;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::{Output, OutputSink, Position, Refusal};
use crate::domain::time::UnixNanos;
use crate::domain::venue::IdRule;
use crate::replay::across::{Across, Closing, Closings, Given};
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
    beginning: Option<Arc<Beginning>>,
    /// What symbols that went on had seen before.
    before: Counts,
    /// Candles that are compared with other venues'; `None`: nobody asks for them.
    closings: Option<Closings>,
}

/// A collector that also notes what was refused, and what is to be compared.
struct Tap<'a> {
    collector: CollectorSink<'a>,
    refused: &'a mut Vec<(Position, Refusal)>,
    closings: Option<(InstrumentIndex, &'a mut Closings)>,
}

impl OutputSink for Tap<'_> {
    #[inline]
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        match output {
            Output::Trade(_) | Output::Outcome(_) | Output::Score(_) => {}
            Output::Refused { at, reason } => self.refused.push((at, reason)),
            output => {
                if let (Some((index, closings)), Output::Candle(candle)) = (&mut self.closings, output) {
                    closings.note(*index, cause_seq, candle);
                }
                self.collector.accept(cause_seq, output);
            }
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
            beginning: plan.beginning.clone(),
            before: Counts::default(),
            closings: None,
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
        let mut tap = Tap {
            collector: self.collector.sink(entry.instrument),
            refused: &mut self.refused,
            closings: self.closings.as_mut().map(|closings| (entry.instrument, closings)),
        };
        pipeline.on_event(entry.position, &entry.event, &mut archive, &mut tap);
    }

    /// Notes closed candles from now on.
    fn note_closings(&mut self, interval: Interval) {
        self.closings.get_or_insert_with(|| Closings::new(interval));
    }

    /// Takes the event that stands at that place of its batch.
    #[inline]
    fn take_placed(&mut self, entry: &Entry, place: u32) {
        if let Some(closings) = &mut self.closings {
            closings.order = place;
        }
        self.take(entry);
    }

    fn noted(&mut self) -> Vec<Closing> {
        self.closings.as_mut().map(|closings| std::mem::take(&mut closings.noted)).unwrap_or_default()
    }

    /// What a comparison found enters the logs.
    fn take_given(&mut self, given: Vec<Given>) {
        for (instrument, event) in given {
            self.take(&Entry { instrument, event, position: Position::default() });
        }
    }

    /// Works off a batch, instrument by instrument. `places`: those of its entries, where they are asked for.
    fn take_all(&mut self, entries: &[Entry], places: impl Fn(u32) -> u32) {
        let mut grouping = std::mem::take(&mut self.grouping);
        grouping.group(entries.iter().map(|entry| entry.instrument.0));
        for ((_, group), coming) in grouping.groups_ahead::<WANT_STEPS>() {
            for (step, coming) in (1..=WANT_STEPS).rev().zip(coming) {
                let Some((instrument, group)) = coming else { continue };
                if let Some(pipeline) = &self.pipelines[instrument as usize] {
                    pipeline.want(step, group.len());
                }
            }
            // The events of an instrument lie scattered over the batch.
            let next = coming[WANT_STEPS - 1].map_or(&[][..], |(_, next)| next);
            for (turn, &at) in group.iter().enumerate() {
                if let Some(&next) = next.get(turn) {
                    want_near(&entries[next as usize]);
                }
                self.take_placed(&entries[at as usize], places(at));
            }
            next.iter().skip(group.len()).for_each(|&next| want_near(&entries[next as usize]));
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
            let (collector, refused) = (self.collector.sink(index), &mut self.refused);
            let mut tap = Tap { collector, refused, closings: None };
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
        Event::Divergence(_) => None,
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
    let mut across = Across::new(settings);
    let (mut batch, mut done) = (Vec::new(), 0);
    while inputs.next_batch(&mut batch)? {
        if let Some(across) = &mut across {
            begin_here(across, &mut shard, inputs)?;
        }
        for (place, entry) in (0..).zip(&batch) {
            if !shard.knows(entry.instrument) {
                let (instrument, rule) = inputs.roster().get(entry.instrument).clone();
                shard.enlist(entry.instrument, instrument, rule);
            }
            if let Some(pace) = &mut pace {
                if let Some(at) = event_at(&entry.event) {
                    pace.wait_for(at);
                }
                shard.take_placed(entry, place);
            }
        }
        if pace.is_none() {
            shard.take_all(&batch, |at| at);
        }
        if let Some(across) = &mut across {
            across.done_last(shard.noted());
        }
        shard.check()?;
        quarantine(inputs, &mut shard.refused)?;
        done = report(inputs, done, progress);
    }
    if let Some(across) = &mut across {
        while across.is_whole().is_some() {
            shard.take_given(across.compare(inputs.roster()));
        }
        shard.take_given(across.finish(inputs.roster()));
    }
    let mut finished = shard.finish()?;
    quarantine(inputs, &mut finished.refused)?;
    Ok(Outcome { collectors: vec![finished.collector], counts: finished.counts })
}

/// Before a batch: what an earlier one led to enters the logs, and the next one's candles are asked for.
fn begin_here(across: &mut Across, shard: &mut Shard<'_>, inputs: &mut Inputs) -> Result<(), InputError> {
    if across.is_due() {
        shard.take_given(across.compare(inputs.roster()));
    }
    if across.meet(inputs)? {
        shard.note_closings(across.interval());
        across.begin();
        across.sent();
    }
    Ok(())
}

/// What the reader hands to a shard.
#[derive(Default)]
struct Delivery {
    /// Instruments whose first event is in it.
    new: Vec<(InstrumentIndex, Instrument, IdRule)>,
    /// What was found of earlier batches: before the entries.
    given: Vec<Given>,
    entries: Vec<Entry>,
    /// The number of their batch, and the place of each in it, where candles are compared.
    batch: Option<u64>,
    places: Vec<u32>,
}

/// What a shard hands back: what it refused, and the batch to be used again.
#[derive(Default)]
struct Receipt {
    refused: Vec<(Position, Refusal)>,
    entries: Vec<Entry>,
    batch: Option<u64>,
    closings: Vec<Closing>,
    /// There will be no others.
    is_last: bool,
}

/// Tells, however a shard ends, that it hands back nothing more.
struct Farewell<'a>(&'a Sender<Receipt>);

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        let _ = self.0.try_send(Receipt { is_last: true, ..Receipt::default() });
    }
}

fn serve(
    mut shard: Shard<'_>,
    deliveries: &Receiver<Delivery>,
    receipts: &Sender<Receipt>,
    compared: Option<Interval>,
) -> Result<Finished, DriverError> {
    let _farewell = Farewell(receipts);
    for mut delivery in deliveries {
        for (index, instrument, rule) in delivery.new.drain(..) {
            shard.enlist(index, instrument, rule);
        }
        shard.take_given(std::mem::take(&mut delivery.given));
        if let (Some(interval), Some(_)) = (compared, delivery.batch) {
            shard.note_closings(interval);
        }
        let places = &delivery.places;
        shard.take_all(&delivery.entries, |at| places.get(at as usize).copied().unwrap_or(at));
        delivery.entries.clear();
        shard.check()?;
        let receipt = Receipt {
            refused: std::mem::take(&mut shard.refused),
            entries: delivery.entries,
            batch: delivery.batch,
            closings: shard.noted(),
            is_last: false,
        };
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
        // A receipt for each delivery in flight, and a farewell: sending one never waits.
        let (receipts_in, receipts) = bounded(plan.shards * (QUEUE_BATCHES + 3));
        let across = Across::new(settings);
        let compared = across.as_ref().map(Across::interval);
        let mut queues = Vec::new();
        let mut workers = Vec::new();
        for shard in shards {
            let (queue, deliveries) = bounded(QUEUE_BATCHES);
            let receipts = receipts_in.clone();
            queues.push(queue);
            workers.push(scope.spawn(move || serve(shard, &deliveries, &receipts, compared)));
        }
        drop(receipts_in);
        let read = deal(inputs, plan, &queues, &receipts, across, progress);
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
    across: Option<Across>,
    /// Number of the batch that is dealt, where it is compared.
    batch: Option<u64>,
    /// By instrument.
    shard_of: Vec<Option<usize>>,
    /// A shard has ended before its time.
    is_broken: bool,
}

impl Dealer<'_> {
    /// Sends what waits; `false`: a shard is gone.
    fn send(&mut self) -> bool {
        // Taken first, so that no shard waits for room while the reader waits for a shard.
        while let Ok(receipt) = self.receipts.try_recv() {
            self.take_back(receipt);
        }
        for (delivery, queue) in self.waiting.iter_mut().zip(self.queues) {
            if delivery.entries.is_empty() && delivery.given.is_empty() {
                continue;
            }
            if let (Some(across), Some(_)) = (&mut self.across, self.batch) {
                across.sent();
            }
            let entries = self.spare.pop().unwrap_or_default();
            let next = Delivery { entries, batch: self.batch, ..Delivery::default() };
            if queue.send(std::mem::replace(delivery, next)).is_err() {
                return false;
            }
        }
        true
    }

    fn take_back(&mut self, mut receipt: Receipt) {
        self.refused.append(&mut receipt.refused);
        self.spare.push(receipt.entries);
        self.is_broken |= receipt.is_last;
        if let (Some(across), Some(batch)) = (&mut self.across, receipt.batch) {
            across.done(batch, receipt.closings);
        }
    }

    /// Before a batch, once the last is sent: what an earlier one led to is given to its shards, and the next one's
    /// candles are asked for. `false`: a shard is gone.
    fn begin(&mut self, inputs: &mut Inputs) -> Result<bool, InputError> {
        if self.across.as_ref().is_some_and(Across::is_due) && !self.compare(inputs) {
            return Ok(false);
        }
        let Some(across) = &mut self.across else { return Ok(true) };
        if across.meet(inputs)? {
            self.batch = Some(across.begin());
            self.waiting.iter_mut().for_each(|delivery| delivery.batch = self.batch);
        }
        Ok(true)
    }

    /// Waits until the oldest batch is worked off, and compares it; `false`: a shard is gone.
    fn compare(&mut self, inputs: &Inputs) -> bool {
        while self.across.as_ref().and_then(Across::is_whole) == Some(false) {
            let Ok(receipt) = self.receipts.recv() else { return false };
            self.take_back(receipt);
            if self.is_broken {
                return false;
            }
        }
        let Some(across) = &mut self.across else { return true };
        let given = across.compare(inputs.roster());
        self.give(given);
        true
    }

    fn give(&mut self, given: Vec<Given>) {
        for (index, event) in given {
            let shard = self.shard_of[index.0 as usize].expect("who was compared was dealt");
            self.waiting[shard].given.push((index, event));
        }
    }

    /// Nothing more is read: what waits is compared; `false`: a shard is gone.
    fn finish(&mut self, inputs: &Inputs) -> bool {
        while self.across.as_ref().and_then(Across::is_whole).is_some() {
            if !self.compare(inputs) {
                return false;
            }
        }
        let Some(across) = &mut self.across else { return true };
        let given = across.finish(inputs.roster());
        self.batch = None;
        self.waiting.iter_mut().for_each(|delivery| delivery.batch = None);
        self.give(given);
        self.send()
    }
}

/// Reads, and deals each event to its instrument's shard. Ends early without an error where a
/// shard is gone: joining it says why.
fn deal(
    inputs: &mut Inputs,
    plan: &Plan,
    queues: &[Sender<Delivery>],
    receipts: &Receiver<Receipt>,
    across: Option<Across>,
    progress: &Progress,
) -> Result<(), DriverError> {
    let waiting = queues.iter().map(|_| Delivery::default()).collect();
    let (spare, refused, shard_of) = (Vec::new(), Vec::new(), Vec::new());
    let (batch, is_broken) = (None, false);
    let mut dealer = Dealer { queues, receipts, waiting, spare, refused, across, batch, shard_of, is_broken };
    let mut pace = plan.speed.map(Pace::new);
    let mut paced_to = UnixNanos(i64::MIN);
    let (mut batch, mut done) = (Vec::new(), 0);
    while inputs.next_batch(&mut batch)? {
        if !dealer.begin(inputs)? {
            return Ok(());
        }
        for (place, entry) in (0..).zip(batch.drain(..)) {
            let at = event_at(&entry.event).filter(|at| at.0 >= paced_to.0.saturating_add(PACE_NANOS));
            if let (Some(pace), Some(at)) = (&mut pace, at) {
                paced_to = at;
                if !dealer.send() {
                    return Ok(());
                }
                pace.wait_for(at);
            }
            let index = entry.instrument.0 as usize;
            if index >= dealer.shard_of.len() {
                dealer.shard_of.resize(index + 1, None);
            }
            let shard = *dealer.shard_of[index].get_or_insert_with(|| {
                let (instrument, rule) = inputs.roster().get(entry.instrument).clone();
                let shard = instrument.partition(PARTITIONS) as usize % queues.len();
                dealer.waiting[shard].new.push((entry.instrument, instrument, rule));
                shard
            });
            let delivery = &mut dealer.waiting[shard];
            if delivery.batch.is_some() {
                delivery.places.push(place);
            }
            delivery.entries.push(entry);
        }
        if !dealer.send() {
            return Ok(());
        }
        quarantine(inputs, &mut dealer.refused)?;
        done = report(inputs, done, progress);
    }
    if dealer.finish(inputs) {
        quarantine(inputs, &mut dealer.refused)?;
    }
    Ok(())
}
