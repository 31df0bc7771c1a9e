//! Recordings that are evaluated: which, and how they are heard.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::analytics::pipeline::Counts;
use crate::app::config::FlagSetting;
use crate::app::inputs::{self, InputArguments};
use crate::app::outcome::Failure;
use crate::app::replay;
use crate::domain::instrument::Instrument;
use crate::domain::output::Output;
use crate::domain::time::UnixNanos;
use crate::replay::listening;
use crate::replay::merge::{Inputs, Options};
use crate::runtime::progress::Progress;

/// What is read, and under which configuration.
#[derive(Debug, clap::Args)]
pub struct RecordingArguments {
    #[command(flatten)]
    input: InputArguments,
    /// Only what happened at or after this time
    #[arg(long, value_name = "TIME", value_parser = inputs::read_time)]
    from: Option<UnixNanos>,
    /// Only what happened before this time
    #[arg(long, value_name = "TIME", value_parser = inputs::read_time)]
    to: Option<UnixNanos>,
    /// What to make candles of: 1m,5m; for `ohlcv` the first is the files' own
    #[arg(long, value_name = "LIST")]
    intervals: Option<String>,
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl RecordingArguments {
    /// All of the recordings, under the default configuration or that of their journal.
    pub fn new(input: InputArguments, intervals: String) -> Self {
        Self { input, from: None, to: None, intervals: Some(intervals), config: None }
    }

    /// Replays all of it through the ordinary pipelines; `flags` are settings that the command makes.
    pub fn listen(
        &self,
        flags: &[FlagSetting],
        hear: &mut impl FnMut(&Instrument, Output<'_>),
    ) -> Result<Counts, Failure> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(Failure::refused(format!("--from {from} must be before --to {to}")));
        }
        let mut settings = flags.to_vec();
        if let Some(intervals) = &self.intervals {
            settings.push(("engine.intervals", "--intervals", intervals.clone()));
        }
        let config = replay::configuration(&self.input.paths, self.config.as_deref(), &settings)?;
        let settings = config.engine.settings();
        let interval = self.intervals.as_deref().and_then(inputs::first_interval);
        let options = Options { from: self.from, to: self.to, ..self.input.options(interval, None) };
        let mut inputs = Inputs::open(&self.input.paths, options)?;
        replay::refuse_unmakable(&inputs, &settings, interval)?;
        let progress = Progress::new("evaluate", Some(inputs.bytes_total()));
        let counts = listening::listen(&mut inputs, &settings, &std::env::temp_dir(), &progress, hear)?;
        inputs.finish()?;
        progress.finish();
        inputs::tell_notes(inputs.notes());
        if let Some(first) = inputs.first_quarantined() {
            let count = inputs.quarantined();
            // A closed standard error is no reason to fail.
            let _ =
                writeln!(io::stderr().lock(), "tapewatch: {count} lines were skipped; the first: {first}");
        }
        Ok(counts)
    }
}

/// Makes the directory of `--out`, before anything is read.
pub fn make_directory(path: &Path) -> Result<(), Failure> {
    match fs::create_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if path.exists() => {
            Err(Failure::refused(format!("--out {} is no directory: {error}", path.display())))
        }
        Err(error) => Err(Failure::failed(format!("failed to make {}: {error}", path.display()))),
    }
}

/// A text file that gets its name once it is whole.
pub struct WholeFile {
    to: PathBuf,
    temporary: PathBuf,
    out: io::BufWriter<fs::File>,
}

impl WholeFile {
    pub fn create(to: PathBuf) -> Result<Self, Failure> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = to.with_file_name(name);
        let file = fs::File::create(&temporary)
            .map_err(|error| Failure::failed(format!("failed to create {}: {error}", temporary.display())))?;
        Ok(Self { to, temporary, out: io::BufWriter::new(file) })
    }

    pub fn write(&mut self, text: &[u8]) -> Result<(), Failure> {
        let temporary = &self.temporary;
        self.out
            .write_all(text)
            .map_err(|error| Failure::failed(format!("failed to write {}: {error}", temporary.display())))
    }

    pub fn finish(mut self) -> Result<(), Failure> {
        self.out
            .flush()
            .and_then(|()| fs::rename(&self.temporary, &self.to))
            .map_err(|error| Failure::failed(format!("failed to write {}: {error}", self.to.display())))
    }
}

/// A number in its shortest form that reads back the same; nothing for one that is none.
pub fn number(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
}

/// Rows in aligned columns: the first `left` to the left, the others to the right.
pub fn aligned(rows: &[Vec<String>], left: usize) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(column, cell)| {
                let width = widths[column];
                if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// For a table: four figures that count, a dash for none.
pub fn shown(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if value.abs() >= 1e5 || value.abs() < 1e-3 => format!("{value:.2e}"),
        Some(value) => {
            let digits = 3 - libm::floor(libm::log10(value.abs())) as i32;
            format!("{value:.*}", digits.clamp(0, 6) as usize)
        }
    }
}

/// A share as per cent.
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.2} %", 100.0 * value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_by_what_counts() {
        let shown_of = |value| shown(Some(value));
        assert_eq!(
            [0.0, 0.87123, -12.3456, 60_123.4, 1e-7].map(shown_of),
            ["0", "0.8712", "-12.35", "60123", "1.00e-7"]
        );
        assert_eq!((shown(None), percent(Some(0.89991))), ("-".to_owned(), "89.99 %".to_owned()));
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["bcd".to_owned(), "22".to_owned()]];
        assert_eq!(aligned(&rows, 1), "a     1\nbcd  22\n");
    }
}
