//! Generated markets: recordings with everything in them that real ones have, and labels that
//! say what it was and when.
//!
//! The same seed and parameters give the same bytes on every machine: integers wherever a value
//! is written, floats only by exact operations and `libm`. `docs/generator.md` has the formulas
//! and their sources. [`market::Market`] is the market itself; here it is written to files.

pub mod conditions;
pub mod delivery;
pub mod hawkes;
pub mod label;
pub mod market;
pub mod parameters;
pub mod price;
pub mod random;
pub mod rows;
pub mod symbol;
pub mod tape;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use crate::replay::generate::label::LabelKind;
use crate::replay::generate::market::Market;
use crate::replay::generate::parameters::{Parameters, Problem};
use crate::replay::generate::rows::Rows;

/// Why nothing, or not everything, was generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("parameters cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Parameters(Vec<Problem>),
    #[error("layout {layout} holds one symbol a file and {symbols} are asked for: give a directory")]
    OneSymbolOnly { layout: &'static str, symbols: usize },
    #[error("cannot write {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// What was generated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Rows written, copies included.
    pub rows: u64,
    /// Distinct trades written.
    pub trades: u64,
    /// Trades that the gaps swallowed.
    pub lost: u64,
    /// Labels of each kind.
    pub labels: BTreeMap<LabelKind, u64>,
}

impl Summary {
    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.trades += other.trades;
        self.lost += other.lost;
        for (kind, count) in &other.labels {
            *self.labels.entry(*kind).or_default() += count;
        }
    }
}

/// Writes the market's rows in order of arrival, and beside them its labels. A layout whose rows
/// do not tell their instrument takes one symbol.
pub fn generate(
    parameters: &Parameters,
    rows: &mut impl Write,
    labels: &mut impl Write,
) -> Result<Summary, GenerateError> {
    const BUFFER: usize = 1 << 16;
    let mut market = Market::labelled(parameters)?;
    let symbols = market.instruments().len();
    if symbols > 1 && !parameters.layout.names_instruments() {
        return Err(GenerateError::OneSymbolOnly { layout: parameters.layout.name(), symbols });
    }
    let names: Vec<String> = market.instruments().iter().map(ToString::to_string).collect();
    let writer = Rows::new(parameters.layout, market.instruments());
    let mut summary = Summary::default();
    let mut buffer = Vec::with_capacity(BUFFER + 1_024);
    let mut label_buffer = Vec::new();
    buffer.extend_from_slice(writer.header());
    loop {
        let next = market.next();
        for label in market.take_labels() {
            *summary.labels.entry(label.kind).or_default() += 1;
            if label.kind == LabelKind::Gap {
                summary.lost += label.ids.map_or(0, |(first, last)| last - first + 1);
            }
            label.write_to(&names[label.symbol], &mut label_buffer);
        }
        let Some((index, trade)) = next else { break };
        summary.rows += 1;
        writer.write(index, &trade, &mut buffer);
        if buffer.len() >= BUFFER {
            rows.write_all(&buffer)?;
            buffer.clear();
        }
        if label_buffer.len() >= BUFFER {
            labels.write_all(&label_buffer)?;
            label_buffer.clear();
        }
    }
    rows.write_all(&buffer)?;
    rows.flush()?;
    labels.write_all(&label_buffer)?;
    labels.flush()?;
    let count = |kind| summary.labels.get(&kind).copied().unwrap_or(0);
    summary.trades = summary.rows - count(LabelKind::Duplicate) - count(LabelKind::Conflicting);
    Ok(summary)
}

/// Writes to `to`, and the labels to `to` with `.labels.jsonl` appended. A layout whose rows do
/// not tell their instrument, asked for several symbols, makes `to` a directory with one file
/// for each (`BTC-USDT.csv`) and one file of labels beside it. A name that ends in `.gz` is packed.
pub fn generate_to(parameters: &Parameters, to: &Path) -> Result<Summary, GenerateError> {
    // Everything is checked before a file is touched.
    let instruments = Market::new(parameters)?.instruments().to_vec();
    let mut label_path = to.as_os_str().to_owned();
    label_path.push(".labels.jsonl");
    let label_path = PathBuf::from(label_path);
    if instruments.len() == 1 || parameters.layout.names_instruments() {
        let (mut rows, mut labels) = (Sink::create(to)?, Sink::create(&label_path)?);
        let summary = generate(parameters, &mut rows, &mut labels).map_err(|error| at(to, error))?;
        rows.finish(to)?;
        labels.finish(&label_path)?;
        return Ok(summary);
    }
    std::fs::create_dir_all(to).map_err(|error| GenerateError::File { path: to.to_owned(), error })?;
    let mut labels = Sink::create(&label_path)?;
    let mut total = Summary::default();
    for (instrument, symbol) in instruments.iter().zip(&parameters.symbols) {
        let one = Parameters { symbols: vec![symbol.clone()], ..parameters.clone() };
        let path = to.join(format!("{}.{}", instrument.symbol(), parameters.layout.extension()));
        let mut rows = Sink::create(&path)?;
        total.add(&generate(&one, &mut rows, &mut labels).map_err(|error| at(&path, error))?);
        rows.finish(&path)?;
    }
    labels.finish(&label_path)?;
    Ok(total)
}

fn at(path: &Path, error: GenerateError) -> GenerateError {
    match error {
        GenerateError::Write(error) => GenerateError::File { path: path.to_owned(), error },
        other => other,
    }
}

/// A file, packed where its name says so.
enum Sink {
    Plain(BufWriter<File>),
    Packed(Box<GzEncoder<BufWriter<File>>>),
}

impl Sink {
    fn create(path: &Path) -> Result<Self, GenerateError> {
        let file =
            File::create(path).map_err(|error| GenerateError::File { path: path.to_owned(), error })?;
        let file = BufWriter::new(file);
        Ok(if path.extension().is_some_and(|e| e == "gz") {
            Self::Packed(Box::new(GzEncoder::new(file, Compression::best())))
        } else {
            Self::Plain(file)
        })
    }

    fn finish(self, path: &Path) -> Result<(), GenerateError> {
        let finished = match self {
            Self::Plain(mut file) => file.flush(),
            Self::Packed(encoder) => encoder.finish().and_then(|mut file| file.flush()),
        };
        finished.map_err(|error| GenerateError::File { path: path.to_owned(), error })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Packed(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            // A flush in the middle would end a block and cost space; `finish` writes the rest.
            Self::Packed(_) => Ok(()),
        }
    }
}
