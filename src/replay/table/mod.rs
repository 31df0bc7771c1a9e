//! Tables for other programs: rows of text cells, written as CSV, JSON lines or Parquet.
//!
//! A cell is the text that our own files have; an empty one is a missing value. Each format
//! makes of it what its readers expect: CSV the text itself, JSON a number or a text, Parquet
//! a typed column. Nothing is rounded: decimals stay text everywhere but where a reader casts.

pub mod csv;
pub mod jsonl;
pub mod parquet;

use std::io;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or a word.
    Text,
    /// RFC 3339 in UTC.
    Time,
    /// Exact decimal text.
    Decimal,
    /// A whole number from zero to 2^63 - 1.
    Whole,
    /// A finite float.
    Statistic,
}

/// A column and what its cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
}

/// Why a row could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("failed to write: {0}")]
    Io(#[from] io::Error),
    #[error("failed to write Parquet: {0}")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    #[error("{column} {text:?} is not {allowed}")]
    Cell { column: &'static str, text: String, allowed: &'static str },
}

/// Takes the rows of a table.
pub trait TableSink {
    /// As many cells as there are columns.
    fn row(&mut self, cells: &[&str]) -> Result<(), TableError>;

    /// No more rows come.
    fn finish(self: Box<Self>) -> Result<(), TableError>;
}

impl Column {
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }

    /// The cell as a whole number.
    fn whole(self, text: &str) -> Result<i64, TableError> {
        let number = text.parse::<i64>().ok().filter(|&number| number >= 0);
        number.ok_or_else(|| self.wrong(text, "a whole number"))
    }

    /// The cell as a float.
    fn statistic(self, text: &str) -> Result<f64, TableError> {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong(text, "a finite number"))
    }

    fn wrong(self, text: &str, allowed: &'static str) -> TableError {
        TableError::Cell { column: self.name, text: text.to_owned(), allowed }
    }
}
