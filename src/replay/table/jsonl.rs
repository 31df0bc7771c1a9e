//! A table as JSON lines: one object a row, missing values `null`.
//!
//! Counts and statistics are numbers, prices and quantities text: a reader that turns them into
//! floats does so knowingly.

use std::io::Write;

use crate::replay::table::{Column, Kind, TableError, TableSink};

pub struct JsonTable<W> {
    out: W,
    columns: Vec<Column>,
    line: Vec<u8>,
}

impl<W: Write> JsonTable<W> {
    /// `out` should be buffered.
    pub fn new(out: W, columns: &[Column]) -> Self {
        Self { out, columns: columns.to_vec(), line: Vec::new() }
    }
}

impl<W: Write> TableSink for JsonTable<W> {
    fn row(&mut self, cells: &[&str]) -> Result<(), TableError> {
        self.line.clear();
        for (i, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            write!(self.line, "{}\"{}\":", if i == 0 { '{' } else { ',' }, column.name)?;
            match column.kind {
                _ if cell.is_empty() => self.line.extend_from_slice(b"null"),
                Kind::Text | Kind::Time | Kind::Decimal => {
                    serde_json::to_writer(&mut self.line, cell).map_err(std::io::Error::from)?;
                }
                Kind::Whole => write!(self.line, "{}", column.whole(cell)?)?,
                Kind::Statistic => {
                    let number = column.statistic(cell)?;
                    serde_json::to_writer(&mut self.line, &number).map_err(std::io::Error::from)?;
                }
            }
        }
        self.line.extend_from_slice(b"}\n");
        Ok(self.out.write_all(&self.line)?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), TableError> {
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("symbol", Kind::Text),
        Column::new("price", Kind::Decimal),
        Column::new("count", Kind::Whole),
        Column::new("value", Kind::Statistic),
    ];

    #[test]
    fn rows_become_objects() {
        let mut text = Vec::new();
        let mut table = Box::new(JsonTable::new(&mut text, &COLUMNS));
        table.row(&["A\"B", "0.10", "7", "1e-9"]).unwrap();
        table.row(&["", "", "", ""]).unwrap();
        table.finish().unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"symbol\":\"A\\\"B\",\"price\":\"0.10\",\"count\":7,\"value\":1e-9}\n\
             {\"symbol\":null,\"price\":null,\"count\":null,\"value\":null}\n"
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut table = JsonTable::new(Vec::new(), &COLUMNS);
        for row in [["", "", "-1", ""], ["", "", "x", ""], ["", "", "", "NaN"], ["", "", "", "inf"]] {
            assert!(table.row(&row).is_err(), "{row:?}");
        }
    }
}
