//! Which recordings a command reads, as the command line says it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::app::outcome::Failure;
use crate::domain::instrument::Instrument;
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::time::UnixNanos;
use crate::domain::venue::Venue;
use crate::replay::merge::Options;
use crate::replay::recording::InputError;
use crate::venues;

/// What recordings do not say of themselves, and what of them is wanted; for every command that reads them.
#[derive(Debug, clap::Args)]
pub struct InputArguments {
    /// Recordings, in any order: files (.gz and .zip too), or the directory of a journal
    #[arg(required = true, value_name = "INPUT")]
    pub paths: Vec<PathBuf>,
    /// What the files are; `tapewatch check` lists the formats
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub format: String,
    /// The venue, where the files do not tell
    #[arg(long, value_name = "VENUE", value_parser = Venue::new)]
    pub venue: Option<Venue>,
    /// The market, where the files do not tell
    #[arg(long, value_name = "BASE-QUOTE", value_parser = read_symbol)]
    pub symbol: Option<String>,
    /// Lines that may be skipped before it stops [default: 1000 or a tenth of the lines, whichever is more]
    #[arg(long, value_name = "N", value_parser = read_count, allow_negative_numbers = true)]
    pub max_quarantined: Option<u64>,
}

impl InputArguments {
    /// `interval`: the length of ready candles. `quarantine`: where skipped lines go.
    pub fn options(&self, interval: Option<TimeInterval>, quarantine: Option<PathBuf>) -> Options {
        Options {
            format: Some(self.format.clone()),
            venue: self.venue.clone(),
            symbol: self.symbol.clone(),
            from: None,
            to: None,
            interval,
            frame_parsers: venues::PARSERS,
            max_quarantined: self.max_quarantined,
            quarantine,
            beginning: None,
        }
    }
}

/// For a flag that takes a moment.
pub fn read_time(text: &str) -> Result<UnixNanos, String> {
    UnixNanos::parse_iso(text.as_bytes())
        .map_err(|error| format!("{error}: a time looks like 2024-05-01T00:00:00Z"))
}

fn read_count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("must be a whole number from 0 to {}", u64::MAX))
}

/// For a flag that takes intervals: the first, where it is a stretch of time.
pub fn first_interval(intervals: &str) -> Option<TimeInterval> {
    intervals.split(',').next()?.trim().parse::<Interval>().ok()?.time()
}

/// Says on standard error what somebody should know of the recordings.
pub fn tell_notes(notes: &[String]) {
    for note in notes {
        // A closed standard error is no reason to fail.
        let _ = writeln!(io::stderr().lock(), "tapewatch: {note}");
    }
}

/// Says on standard error that lines were skipped, which was the first and why, and where all stand.
pub fn tell_skipped(count: u64, first: &str, quarantine: &Path) {
    let lines = if count == 1 { "line was" } else { "lines were" };
    let place = quarantine.display();
    // A closed standard error is no reason to fail.
    let _ =
        writeln!(io::stderr().lock(), "tapewatch: {count} {lines} skipped, see {place}; the first: {first}");
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        match error {
            InputError::Refused(message) => Self::Refused(message),
            InputError::Failed(message) => Self::Failed(message),
        }
    }
}

fn read_symbol(text: &str) -> Result<String, String> {
    // Any venue will do: the form of a symbol is the same at all of them.
    let venue = Venue::new("any").map_err(|error| error.to_string())?;
    let instrument = Instrument::new(venue, text).map_err(|error| error.to_string())?;
    Ok(instrument.symbol().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        inputs: InputArguments,
    }

    #[test]
    fn flags_become_options() {
        let words =
            ["x", "a.csv", "b.csv", "--venue", "okx", "--symbol", "BTC-USDT", "--max-quarantined", "5"];
        let inputs = Command::try_parse_from(words).ok().unwrap().inputs;
        let options = inputs.options(None, None);
        assert_eq!(inputs.paths.len(), 2);
        assert_eq!(options.format.as_deref(), Some("auto"));
        assert_eq!(options.venue.unwrap().name(), "okx");
        assert_eq!((options.symbol.as_deref(), options.max_quarantined), (Some("BTC-USDT"), Some(5)));
    }

    #[test]
    fn wrong_words_are_refused() {
        for words in [
            &["x"][..],
            &["x", "a", "--venue", "OKX"],
            &["x", "a", "--symbol", "btc"],
            &["x", "a", "--max-quarantined", "-1"],
        ] {
            assert!(Command::try_parse_from(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn flags_are_read() {
        assert_eq!(first_interval("1m,5m").map(TimeInterval::nanos), Some(60_000_000_000));
        assert_eq!(first_interval("ticks:5"), None);
        assert_eq!(first_interval("7m"), None);
        assert_eq!(read_time("2024-05-01T00:00:00Z"), Ok(UnixNanos(1_714_521_600_000_000_000)));
        assert!(read_time("yesterday").unwrap_err().contains("a time looks like"));
    }
}
