//! Generated markets: recordings with everything in them that real ones have, and labels that
//! say what it was and when.
//!
//! The same seed and parameters give the same bytes on every machine: integers wherever a value
//! is written, floats only by exact operations and `libm`. `docs/generator.md` has the formulas
//! and their sources. [`market::Market`] is the market itself; here it is written to files.

pub mod conditions;
pub mod delivery;
pub mod error;
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

use crate::replay::generate::error::GenerateError;
use crate::replay::generate::label::LabelKind;
use crate::replay::generate::market::Market;
use crate::replay::generate::parameters::Parameters;
use crate::replay::generate::rows::Rows;

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
    let start_at = parameters.start_at().expect("the market has checked it");
    let writer = Rows::new(parameters.layout, market.instruments(), start_at);
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
/// for each (`binance_BTC-USDT.csv`) and one file of labels beside it. A name that ends in `.gz` is packed.
pub fn generate_to(parameters: &Parameters, to: &Path) -> Result<Summary, GenerateError> {
    // Everything is checked before a file is touched.
    let instruments = Market::new(parameters)?.instruments().to_vec();
    let mut label_path = to.as_os_str().to_owned();
    label_path.push(".labels.jsonl");
    let label_path = PathBuf::from(label_path);
    if instruments.len() == 1 || parameters.layout.names_instruments() {
        return all_or_nothing(&[to, &label_path], || {
            let (mut rows, mut labels) = (Sink::create(to)?, Sink::create(&label_path)?);
            let summary = generate(parameters, &mut rows, &mut labels).map_err(|error| at(to, error))?;
            rows.finish(to)?;
            labels.finish(&label_path)?;
            Ok(summary)
        });
    }
    let start_at = parameters.start_at().expect("the market has checked it");
    std::fs::create_dir_all(to).map_err(|error| GenerateError::File { path: to.to_owned(), error })?;
    let mut labels = Sink::create(&label_path)?;
    let mut total = Summary::default();
    for (instrument, symbol) in instruments.iter().zip(&parameters.symbols) {
        let one = Parameters { symbols: vec![symbol.clone()], ..parameters.clone() };
        let path = to.join(Rows::file_name(parameters.layout, instrument, start_at));
        total.add(&all_or_nothing(&[&path, &label_path], || {
            let mut rows = Sink::create(&path)?;
            let summary = generate(&one, &mut rows, &mut labels).map_err(|error| at(&path, error))?;
            rows.finish(&path)?;
            Ok(summary)
        })?);
    }
    labels.finish(&label_path)?;
    Ok(total)
}

/// Removes the files where writing them fails: half a recording is of no use, and may fill the disk.
/// What is no file of its own (a link, a pipe, a device) stays.
fn all_or_nothing<T>(
    paths: &[&Path],
    write: impl FnOnce() -> Result<T, GenerateError>,
) -> Result<T, GenerateError> {
    write().inspect_err(|_| {
        for path in paths {
            if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
                // The reason for the failure is what the user must hear.
                let _ = std::fs::remove_file(path);
            }
        }
    })
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::replay::generate::parameters::Layout;

    fn small(layout: Layout, symbols: &[&str]) -> Parameters {
        Parameters {
            layout,
            symbols: symbols.iter().map(|symbol| (*symbol).to_owned()).collect(),
            duration_seconds: 900,
            gap_rate: 0.005,
            duplicate_rate: 0.01,
            late_rate: 0.01,
            anomalies_per_hour: 8.0,
            ..Parameters::default()
        }
    }

    fn bytes(parameters: &Parameters) -> (Vec<u8>, Vec<u8>, Summary) {
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        let summary = generate(parameters, &mut rows, &mut labels).unwrap();
        (rows, labels, summary)
    }

    /// The first bytes of the BLAKE3 hash of rows and labels: the same on every machine.
    fn check_digest(parameters: &Parameters, expected: &str) {
        let (rows, labels, _) = bytes(parameters);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&rows).update(&labels);
        assert_eq!(&hasher.finalize().to_hex()[..16], expected, "{:?}", parameters.layout);
    }

    #[test]
    fn the_same_parameters_give_the_same_bytes() {
        check_digest(&small(Layout::Jsonl, &["BTC-USDT", "PEPE-USDT", "BTC-IDR"]), "0797d30ceae2421e");
        check_digest(&small(Layout::Csv, &["ETH-USDT"]), "fee5188ec7490ff6");
        check_digest(&small(Layout::BinanceTrades, &["SHIB-USDT"]), "fa089e2db27a56d0");
        check_digest(&small(Layout::BinanceRaw, &["BTC-USDT", "WIF-USDT@2.85"]), "bc7a268a9db70e16");
        let other_seed = Parameters { seed: 2, ..small(Layout::Csv, &["ETH-USDT"]) };
        assert_ne!(bytes(&other_seed).0, bytes(&small(Layout::Csv, &["ETH-USDT"])).0);
    }

    #[test]
    fn the_summary_counts_the_lines() {
        let (rows, labels, summary) = bytes(&small(Layout::Csv, &["BTC-USDT"]));
        let lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        assert_eq!(lines(&rows), summary.rows + 1);
        assert_eq!(lines(&labels), summary.labels.values().sum::<u64>());
        let ids: std::collections::BTreeSet<&str> = std::str::from_utf8(&rows)
            .unwrap()
            .lines()
            .skip(1)
            .map(|l| l.split(',').nth(1).unwrap())
            .collect();
        assert_eq!(ids.len() as u64, summary.trades);
        assert!(summary.lost > 0 && summary.trades < summary.rows);
        for line in std::str::from_utf8(&labels).unwrap().lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value["magnitude"].is_number() && value["instrument"] == "binance:BTC-USDT");
        }
    }

    #[test]
    fn files_are_packed_or_in_a_directory_as_the_name_says() {
        let folder = tempfile::tempdir().unwrap();
        let parameters = small(Layout::Jsonl, &["BTC-USDT", "PEPE-USDT"]);
        let packed = folder.path().join("market.jsonl.gz");
        generate_to(&parameters, &packed).unwrap();
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(File::open(&packed).unwrap()).read_to_end(&mut text).unwrap();
        let (rows, labels, _) = bytes(&parameters);
        assert_eq!(text, rows);
        assert_eq!(std::fs::read(folder.path().join("market.jsonl.gz.labels.jsonl")).unwrap(), labels);

        let many = small(Layout::Csv, &["BTC-USDT", "PEPE-USDT"]);
        let to = folder.path().join("csv");
        let summary = generate_to(&many, &to).unwrap();
        let (alone, _, one) = bytes(&small(Layout::Csv, &["PEPE-USDT"]));
        assert_eq!(std::fs::read(to.join("binance_PEPE-USDT.csv")).unwrap(), alone);
        assert!(to.join("binance_BTC-USDT.csv").exists() && folder.path().join("csv.labels.jsonl").exists());
        assert!(summary.rows > one.rows);

        let dump = small(Layout::BinanceTrades, &["BTC-USDT", "PEPE-USDT"]);
        generate_to(&dump, &to).unwrap();
        assert!(to.join("PEPEUSDT-trades-2024-05-01.csv").exists());
        let refused = generate(&dump, &mut Vec::new(), &mut Vec::new()).unwrap_err().to_string();
        assert!(refused.contains("one symbol a file"), "{refused}");
        let refused =
            generate_to(&parameters, &folder.path().join("no/such/folder")).unwrap_err().to_string();
        assert!(refused.starts_with("cannot write ") && refused.contains("no/such/folder"), "{refused}");
    }
}
