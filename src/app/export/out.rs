//! Where the rows go: a file that appears once it is whole, or standard output.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::app::outcome::Failure;
use crate::domain::candle::Ohlc;
use crate::replay::table::csv::CsvTable;
use crate::replay::table::jsonl::JsonTable;
use crate::replay::table::parquet::ParquetTable;
use crate::replay::table::{Column, TableError, TableSink};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Csv,
    Jsonl,
    Parquet,
}

/// A table that is written. Opened by its first row: what is refused before leaves nothing.
pub struct Out<'a> {
    to: Option<&'a Path>,
    format: Format,
    columns: &'a [Column],
    table: Option<Box<dyn TableSink>>,
    /// The name that the file has until it is whole.
    waiting: Option<PathBuf>,
    rows: u64,
}

impl<'a> Out<'a> {
    pub fn new(to: Option<&'a Path>, format: Format, columns: &'a [Column]) -> Self {
        Self { to, format, columns, table: None, waiting: None, rows: 0 }
    }

    fn table(&mut self) -> Result<&mut dyn TableSink, Failure> {
        if self.table.is_none() {
            self.table = Some(self.open()?);
        }
        Ok(self.table.as_deref_mut().expect("opened above"))
    }

    fn open(&mut self) -> Result<Box<dyn TableSink>, Failure> {
        let target: Box<dyn Write + Send> = match self.to {
            None => Box::new(io::stdout()),
            Some(path) => {
                let mut waiting = path.as_os_str().to_owned();
                waiting.push(".tmp");
                let waiting = PathBuf::from(waiting);
                let file = File::create(&waiting).map_err(|error| {
                    Failure::failed(format!("failed to create {}: {error}", waiting.display()))
                })?;
                self.waiting = Some(waiting);
                Box::new(file)
            }
        };
        let target = BufWriter::new(target);
        let table: Result<Box<dyn TableSink>, TableError> = match self.format {
            Format::Csv => CsvTable::new(target, self.columns).map(|table| Box::new(table) as _),
            Format::Jsonl => Ok(Box::new(JsonTable::new(target, self.columns))),
            Format::Parquet => ParquetTable::new(target, self.columns).map(|table| Box::new(table) as _),
        };
        table.map_err(Failure::failed)
    }

    /// `Ok(false)`: the reader at the other end of standard output has seen enough.
    pub fn row(&mut self, cells: &[&str]) -> Result<bool, Failure> {
        self.rows += 1;
        match self.table()?.row(cells) {
            Ok(()) => Ok(true),
            Err(TableError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::failed(format!("row {}: {error}", self.rows))),
        }
    }

    /// No rows are a table too.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.table()?;
        match self.table.take().map(TableSink::finish) {
            Some(Err(TableError::Io(error))) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Some(Err(error)) => return Err(Failure::failed(error)),
            _ => {}
        }
        if let (Some(waiting), Some(path)) = (self.waiting.take(), self.to) {
            fs::rename(&waiting, path)
                .map_err(|error| Failure::failed(format!("failed to name {}: {error}", path.display())))?;
            let _ = writeln!(io::stderr().lock(), "{}: {} rows", path.display(), self.rows);
        }
        Ok(())
    }
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            let _ = fs::remove_file(waiting);
        }
    }
}

/// The cells of open, high, low and close; empty where nothing traded.
pub fn price_texts(prices: Option<&Ohlc>) -> [String; 4] {
    let each = |prices: &Ohlc| [prices.open, prices.high, prices.low, prices.close];
    prices.map(each).map_or_else(Default::default, |each| each.map(|price| price.decimal().to_string()))
}

/// A cell; empty where there is no value.
pub fn text_of(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}
