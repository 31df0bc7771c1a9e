//! Runs recordings through the pipelines for one listener, who hears everything as it is told.
//!
//! What [`driver`](crate::replay::driver) does without its results: nothing is kept, sorted or written, and one
//! thread does it all, so that what is heard of several instruments comes in the order of the input.

use std::path::Path;

use crate::analytics::pipeline::{Counts, Settings, SymbolPipeline};
use crate::domain::instrument::Instrument;
use crate::domain::output::{Output, OutputSink, Position, Refusal};
use crate::replay::archive::SpoolArchive;
use crate::replay::driver::DriverError;
use crate::replay::merge::Inputs;
use crate::replay::roster::InstrumentIndex;
use crate::runtime::progress::Progress;

/// What the listener's closure is to a pipeline.
struct Ear<'a, F> {
    instrument: &'a Instrument,
    hear: &'a mut F,
    refused: &'a mut Vec<(Position, Refusal)>,
}

impl<F: FnMut(&Instrument, Output<'_>)> OutputSink for Ear<'_, F> {
    #[inline]
    fn accept(&mut self, _: u64, output: Output<'_>) {
        if let Output::Refused { at, reason } = output {
            self.refused.push((at, reason));
        }
        (self.hear)(self.instrument, output);
    }
}

/// Runs all of `inputs` through the pipelines; `spool_dir` is where closed candles are spilled. Gives back the
/// counts summed over all instruments.
pub fn listen(
    inputs: &mut Inputs,
    settings: &Settings,
    spool_dir: &Path,
    progress: &Progress,
    hear: &mut impl FnMut(&Instrument, Output<'_>),
) -> Result<Counts, DriverError> {
    let mut pipelines: Vec<Option<(Instrument, Box<SymbolPipeline<'_>>)>> = Vec::new();
    let mut archive = SpoolArchive::new(spool_dir, settings.intervals.len())?;
    let (mut batch, mut refused, mut done) = (Vec::new(), Vec::new(), 0);
    while inputs.next_batch(&mut batch)? {
        for entry in &batch {
            let at = entry.instrument.0 as usize;
            if at >= pipelines.len() {
                pipelines.resize_with(at + 1, || None);
            }
            let (instrument, pipeline) = pipelines[at].get_or_insert_with(|| {
                let (instrument, rule) = inputs.roster().get(entry.instrument).clone();
                let pipeline = Box::new(SymbolPipeline::new(instrument.clone(), rule, settings));
                (instrument, pipeline)
            });
            let mut ear = Ear { instrument, hear, refused: &mut refused };
            pipeline.on_event(entry.position, &entry.event, &mut archive.of(entry.instrument), &mut ear);
        }
        archive.check()?;
        quarantine(inputs, &mut refused)?;
        let read = inputs.bytes_read();
        progress.advance(read.saturating_sub(done));
        done = read;
    }
    let mut counts = Counts::default();
    for (at, pipeline) in pipelines.iter_mut().enumerate() {
        let Some((instrument, pipeline)) = pipeline else { continue };
        let mut ear = Ear { instrument, hear, refused: &mut refused };
        pipeline.finish(&mut archive.of(InstrumentIndex(at as u32)), &mut ear);
        counts.add(pipeline.counts());
    }
    archive.check()?;
    quarantine(inputs, &mut refused)?;
    Ok(counts)
}

fn quarantine(inputs: &mut Inputs, refused: &mut Vec<(Position, Refusal)>) -> Result<(), DriverError> {
    for (at, reason) in refused.drain(..) {
        inputs.quarantine(at, &reason.to_string())?;
    }
    Ok(())
}
