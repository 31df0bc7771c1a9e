//! A table as CSV: a header, then a line a row, quoted as RFC 4180 says where it must be.

use std::io::Write;

use crate::replay::table::{Column, TableError, TableSink};

pub struct CsvTable<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> CsvTable<W> {
    /// Writes the header; `out` should be buffered.
    pub fn new(mut out: W, columns: &[Column]) -> Result<Self, TableError> {
        let names: Vec<_> = columns.iter().map(|column| column.name).collect();
        writeln!(out, "{}", names.join(","))?;
        Ok(Self { out, line: Vec::new() })
    }
}

impl<W: Write> TableSink for CsvTable<W> {
    fn row(&mut self, cells: &[&str]) -> Result<(), TableError> {
        self.line.clear();
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                self.line.push(b',');
            }
            if cell.contains([',', '"', '\n', '\r']) {
                self.line.push(b'"');
                self.line.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
                self.line.push(b'"');
            } else {
                self.line.extend_from_slice(cell.as_bytes());
            }
        }
        self.line.push(b'\n');
        Ok(self.out.write_all(&self.line)?)
    }

    fn finish(mut self: Box<Self>) -> Result<(), TableError> {
        Ok(self.out.flush()?)
    }
}

/// The fields of a line that one of our own tables has, without its end; `None` where quotes do
/// not close, or text stands behind them.
pub fn fields<'a>(line: &'a str, out: &mut Vec<std::borrow::Cow<'a, str>>) -> Option<()> {
    out.clear();
    let mut rest = line;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut end = 0;
            loop {
                end += quoted[end..].find('"')?;
                if !quoted[end + 1..].starts_with('"') {
                    break;
                }
                end += 2;
            }
            out.push(quoted[..end].replace("\"\"", "\"").into());
            rest = &quoted[end + 1..];
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            out.push(rest[..end].into());
            rest = &rest[end..];
        }
        if rest.is_empty() {
            return Some(());
        }
        rest = rest.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::table::Kind;

    #[test]
    fn lines_read_as_they_are_written() {
        let columns = ["a", "b", "c"].map(|name| Column::new(name, Kind::Text));
        let rows = [["1", "", "x"], ["macd(12,26,9)", "say \"no\"", ""], ["", "", "\""]];
        let mut text = Vec::new();
        let mut table = Box::new(CsvTable::new(&mut text, &columns).unwrap());
        rows.iter().for_each(|row| table.row(row).unwrap());
        table.finish().unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("a,b,c"));
        let mut read = Vec::new();
        for row in rows {
            fields(lines.next().unwrap(), &mut read).unwrap();
            assert_eq!(read, row);
        }
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn torn_quotes_are_noticed() {
        let mut read = Vec::new();
        for line in ["\"a", "\"a\"b", "x,\"", "\"\"\"", "\"a\" ,b"] {
            assert_eq!(fields(line, &mut read), None, "{line}");
        }
        fields("", &mut read).unwrap();
        assert_eq!(read, [""]);
        fields("a,", &mut read).unwrap();
        assert_eq!(read, ["a", ""]);
    }
}
