//! A CSV file of results, row by row.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Longer lines are no results of ours.
const LINE_BYTES_MAX: usize = 64 << 10;
const READ_BYTES: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("failed to {action} {path:?}: {source}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path:?} line {line}: {problem}")]
    Line { path: PathBuf, line: u64, problem: String },
}

/// Stands before a row.
pub struct Table {
    path: PathBuf,
    reader: BufReader<File>,
    /// Of the row, from 1.
    line: u64,
    text: String,
    /// Of each column asked for, within `text`.
    fields: Vec<Range<usize>>,
    /// Where each column asked for stands in the file.
    columns: Vec<usize>,
    /// Scratch: of all columns.
    all: Vec<Range<usize>>,
}

impl Table {
    /// Opens a file whose header has these columns; [`Table::field`] counts them as given here.
    pub fn open(path: &Path, columns: &[&str]) -> Result<Self, ReportError> {
        let file = File::open(path).map_err(|e| failed("open", path, e))?;
        let mut table = Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(READ_BYTES, file),
            line: 0,
            text: String::new(),
            fields: Vec::new(),
            columns: Vec::new(),
            all: Vec::new(),
        };
        if !table.read_line()? {
            return Err(table.problem("the header is missing"));
        }
        for column in columns {
            let at = table.all.iter().position(|field| &table.text[field.clone()] == *column);
            let at = at.ok_or_else(|| table.problem(&format!("column {column} is missing")))?;
            table.columns.push(at);
        }
        Ok(table)
    }

    /// Steps to the next row; `false` at the end.
    pub fn advance(&mut self) -> Result<bool, ReportError> {
        if !self.read_line()? {
            self.fields.clear();
            return Ok(false);
        }
        self.fields.clear();
        for &at in &self.columns {
            let Some(field) = self.all.get(at) else {
                return Err(self.problem("the row is too short"));
            };
            self.fields.push(field.clone());
        }
        Ok(true)
    }

    /// Whether it stands at a row.
    pub fn at_row(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Of the row stepped to.
    pub fn field(&self, column: usize) -> &str {
        &self.text[self.fields[column].clone()]
    }

    /// What is wrong with the line stepped to.
    pub fn problem(&self, problem: &str) -> ReportError {
        ReportError::Line { path: self.path.clone(), line: self.line, problem: problem.to_owned() }
    }

    fn read_line(&mut self) -> Result<bool, ReportError> {
        self.line += 1;
        if !read_line(&mut self.reader, &mut self.text, &self.path, self.line)? {
            return Ok(false);
        }
        split(&self.text, &mut self.all).ok_or_else(|| self.problem("a quoted field does not end"))?;
        Ok(true)
    }
}

/// The next line, without its end; `false` at the end of the file.
pub fn read_line(
    reader: &mut impl BufRead,
    text: &mut String,
    path: &Path,
    line: u64,
) -> Result<bool, ReportError> {
    text.clear();
    let mut limited = io::Read::take(reader, LINE_BYTES_MAX as u64);
    let bytes = limited.read_line(text).map_err(|e| failed("read", path, e))?;
    if bytes == LINE_BYTES_MAX {
        let problem = format!("the line is longer than {LINE_BYTES_MAX} bytes");
        return Err(ReportError::Line { path: path.to_owned(), line, problem });
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(bytes > 0)
}

/// Fields of a line, quotes taken off; a quote inside of a quoted field stays doubled (no name has one).
fn split(text: &str, fields: &mut Vec<Range<usize>>) -> Option<()> {
    fields.clear();
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            let length = memchr::memchr(b'"', &bytes[at + 1..])?;
            fields.push(at + 1..at + 1 + length);
            at += length + 2;
        } else {
            let length = memchr::memchr(b',', &bytes[at..]).unwrap_or(bytes.len() - at);
            fields.push(at..at + length);
            at += length;
        }
        match bytes.get(at) {
            Some(b',') => at += 1,
            None => return Some(()),
            Some(_) => return None,
        }
    }
}

pub fn failed(action: &'static str, path: &Path, source: io::Error) -> ReportError {
    ReportError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_split(text: &str, expected: Option<&[&str]>) {
        let mut fields = Vec::new();
        let split = split(text, &mut fields);
        let read: Vec<&str> = fields.iter().map(|field| &text[field.clone()]).collect();
        assert_eq!(split.map(|()| &read[..]), expected, "{text}");
    }

    #[test]
    fn lines_split_at_commas_outside_of_quotes() {
        check_split("a,b", Some(&["a", "b"]));
        check_split("a,\"macd(12,26,9)\",c", Some(&["a", "macd(12,26,9)", "c"]));
        check_split("a,,", Some(&["a", "", ""]));
        check_split("", Some(&[""]));
        check_split("\"\"", Some(&[""]));
        check_split("a,\"b", None);
        check_split("\"a\"b", None);
    }

    fn open(text: &[u8], columns: &[&str]) -> (tempfile::TempDir, Result<Table, ReportError>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let table = Table::open(&path, columns);
        (dir, table)
    }

    #[test]
    fn columns_are_found_by_name() {
        let (_dir, table) = open(b"x,y,z\n1,2,3\r\n4,\"5,5\",6", &["z", "y"]);
        let mut table = table.unwrap();
        assert!(!table.at_row());
        assert!(table.advance().unwrap());
        assert_eq!((table.field(0), table.field(1)), ("3", "2"));
        assert!(table.advance().unwrap());
        assert_eq!((table.field(0), table.field(1)), ("6", "5,5"));
        assert!(!table.advance().unwrap());
        assert!(!table.at_row());
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let check = |text: &[u8], expected: &str| {
            let (_dir, table) = open(text, &["y"]);
            let error = table.and_then(|mut t| while_rows(&mut t)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(b"", "header is missing");
        check(b"x,z\n", "column y is missing");
        check(b"x,y\n1,2\n3\n", "line 3: the row is too short");
        check(b"x,y\n1,\"2\n", "line 2: a quoted field does not end");
        check(b"x,y\n1,\xff\n", "read");
        check(&[b"x,y\n".as_slice(), &[b'1'; LINE_BYTES_MAX + 1]].concat(), "line 2: the line is longer");
    }

    fn while_rows(table: &mut Table) -> Result<(), ReportError> {
        while table.advance()? {}
        Ok(())
    }
}
