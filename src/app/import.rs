//! `tapewatch import`: foreign recordings into a journal.
//!
//! The events go in as they would enter a replay: merged by event time, each instrument in its
//! own order. The journal appears under its name once it is whole, or not at all.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::app::inputs::{self, InputArguments};
use crate::app::outcome::{self, Failure};
use crate::domain::event::Event;
use crate::domain::interval::Interval;
use crate::journal::entry::InstrumentNumber;
use crate::journal::error::JournalError;
use crate::journal::options::WriterOptions;
use crate::journal::seal::seal;
use crate::journal::segment::SegmentFile;
use crate::journal::writer::Writer;
use crate::replay::merge::Inputs;
use crate::replay::results::directory::QUARANTINE;
use crate::runtime::progress::Progress;

#[derive(Debug, clap::Args)]
pub struct ImportArguments {
    #[command(flatten)]
    inputs: InputArguments,
    /// The directory of the journal: new, or empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Length of ready candles (--format ohlcv)
    #[arg(long, value_name = "INTERVAL")]
    interval: Option<Interval>,
    /// Seal it: compressed, for keeping; read as it is
    #[arg(long)]
    sealed: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What was imported.
#[derive(Debug, Default, Serialize)]
struct Imported {
    instruments: usize,
    /// As recorded: copies are still among them.
    trades: u64,
    candles: u64,
    quarantined: u64,
}

pub fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    let waiting = waiting_place(&arguments.to)?;
    let imported = fill(arguments, &waiting).inspect_err(|_| {
        // What is there is ours, and of no use.
        let _ = fs::remove_dir_all(&waiting);
    })?;
    fs::rename(&waiting, &arguments.to).map_err(|error| {
        Failure::failed(format!("failed to give {} its name: {error}", arguments.to.display()))
    })?;
    if arguments.json {
        let object = serde_json::to_string(&imported).map_err(Failure::failed)?;
        return outcome::print(&format!("{object}\n"));
    }
    let Imported { instruments, trades, candles, quarantined } = imported;
    let place = arguments.to.display();
    outcome::print(&format!(
        "{place}: {trades} trades and {candles} ready candles of {instruments} instruments; {quarantined} lines refused\n"
    ))
}

/// Where the journal grows until it is whole: beside its place, which must be free.
fn waiting_place(to: &Path) -> Result<PathBuf, Failure> {
    let is_free = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    let Some(name) = to.file_name().filter(|_| is_free) else {
        let message = format!("--to {}: is not a new or an empty directory", to.display());
        return Err(Failure::Refused(message));
    };
    let mut waiting = OsString::from(name);
    waiting.push(".tmp");
    let waiting = to.with_file_name(waiting);
    if waiting.exists() {
        let place = waiting.display();
        let message =
            format!("{place}: is left of an import that was killed, or still runs; remove it to go on");
        return Err(Failure::Refused(message));
    }
    Ok(waiting)
}

fn fill(arguments: &ImportArguments, dir: &Path) -> Result<Imported, Failure> {
    let interval = arguments.interval.and_then(Interval::time);
    let options = arguments.inputs.options(interval, Some(dir.join(QUARANTINE)));
    fs::create_dir_all(dir)
        .map_err(|error| Failure::failed(format!("failed to make {}: {error}", dir.display())))?;
    let mut inputs = Inputs::open(&arguments.inputs.paths, options)?;

    // An import can be made again: nothing is lost with the power but time.
    let mut writer = Writer::create(dir, WriterOptions { sync_segments: false, ..WriterOptions::default() })?;
    let progress = Progress::new("import", Some(inputs.bytes_total()));
    let mut imported = Imported::default();
    let mut numbers: Vec<InstrumentNumber> = Vec::new();
    let (mut batch, mut bytes_read) = (Vec::new(), 0);
    while inputs.next_batch(&mut batch)? {
        // A rule may have become weaker since the last batch.
        numbers.clear();
        numbers.extend(inputs.roster().iter().map(|(_, instrument, rule)| writer.define(instrument, rule)));
        for entry in &batch {
            let number = numbers[entry.instrument.0 as usize];
            match &entry.event {
                Event::Trade(trade) => {
                    writer.append_trade(number, trade)?;
                    imported.trades += 1;
                }
                event => {
                    writer.append(number, event)?;
                    match event {
                        Event::Backfill(trades) => imported.trades += trades.len() as u64,
                        Event::Candle(_) => imported.candles += 1,
                        _ => {}
                    }
                }
            }
        }
        progress.advance(inputs.bytes_read().saturating_sub(bytes_read));
        bytes_read = inputs.bytes_read();
    }
    writer.close()?;
    inputs.finish()?;
    inputs::tell_notes(inputs.notes());
    if arguments.sealed {
        for segment in SegmentFile::list(dir)? {
            seal(&segment.path)?;
        }
    }
    progress.finish();
    imported.instruments = inputs.roster().len();
    imported.quarantined = inputs.quarantined();
    if let Some(first) = inputs.first_quarantined() {
        inputs::tell_skipped(imported.quarantined, first, &arguments.to.join(QUARANTINE));
    }
    Ok(imported)
}

impl From<JournalError> for Failure {
    /// What is no journal, or one of another version, is refused; one that is damaged fails.
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::NotAFile(_)
            | JournalError::NoSegments(_)
            | JournalError::NotASegment(_)
            | JournalError::FormatVersion { .. }
            | JournalError::UnknownKind { .. }
            | JournalError::Schema { .. }
            | JournalError::NotEmpty(_) => Self::refused(error),
            _ => Self::failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_free_place_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("journal");
        assert_eq!(waiting_place(&place).unwrap(), folder.path().join("journal.tmp"));
        fs::create_dir(&place).unwrap();
        waiting_place(&place).unwrap();
        fs::write(place.join("x"), "").unwrap();
        assert!(matches!(waiting_place(&place), Err(Failure::Refused(_))));
        assert!(matches!(waiting_place(&place.join("x")), Err(Failure::Refused(_))));
        fs::create_dir(folder.path().join("b.tmp")).unwrap();
        assert!(matches!(waiting_place(&folder.path().join("b")), Err(Failure::Refused(_))));
    }
}
