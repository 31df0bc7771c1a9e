//! Rows of comma-separated text: fields, headers, and the column of times.
//!
//! Fields are slices of the line; quotes around a field are taken off, line breaks inside of
//! quotes are not supported (no exchange prints them).

use crate::domain::fields::{FieldError, iso_time, shown, time};
use crate::domain::time::{TimeUnit, UnixNanos, parse_integer};

/// Fields of a row that are looked at; a row with more has a wrong number of fields anyway.
pub const FIELDS_MAX: usize = 24;

/// The fields of one row.
pub struct Row<'a> {
    fields: [&'a [u8]; FIELDS_MAX],
    /// May be more than [`FIELDS_MAX`].
    count: usize,
}

impl<'a> Row<'a> {
    #[inline]
    pub fn split(line: &'a [u8]) -> Self {
        let mut row = Self { fields: [&[]; FIELDS_MAX], count: 0 };
        let mut start = 0;
        // Fields are short: a plain loop beats a vectorised search.
        for (at, &byte) in line.iter().enumerate() {
            if byte == b',' {
                row.push(&line[start..at]);
                start = at + 1;
            } else if byte == b'"' {
                return Self::split_quoted(line);
            }
        }
        row.push(&line[start..]);
        row
    }

    #[inline]
    fn push(&mut self, field: &'a [u8]) {
        if let Some(slot) = self.fields.get_mut(self.count) {
            *slot = field;
        }
        self.count += 1;
    }

    #[cold]
    fn split_quoted(line: &'a [u8]) -> Self {
        let mut row = Self { fields: [&[]; FIELDS_MAX], count: 0 };
        let mut rest = line;
        loop {
            let end = match rest.first() {
                Some(b'"') => match memchr::memchr(b'"', &rest[1..]) {
                    Some(close) => {
                        let after = &rest[close + 2..];
                        row.push(&rest[1..=close]);
                        match memchr::memchr(b',', after) {
                            Some(comma) => {
                                rest = &after[comma + 1..];
                                continue;
                            }
                            None => return row,
                        }
                    }
                    None => None,
                },
                _ => memchr::memchr(b',', rest),
            };
            let Some(end) = end else {
                row.push(rest);
                return row;
            };
            row.push(&rest[..end]);
            rest = &rest[end + 1..];
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The field, empty where the row has none.
    #[inline]
    pub fn get(&self, column: usize) -> &'a [u8] {
        self.fields.get(column).copied().unwrap_or(b"").trim_ascii()
    }

    /// The field, empty where there is no such column.
    #[inline]
    pub fn get_optional(&self, column: Option<usize>) -> &'a [u8] {
        column.map_or(b"", |column| self.get(column))
    }

    pub fn check_len(&self, expected: usize) -> Result<(), FieldError> {
        if self.count == expected {
            return Ok(());
        }
        Err(FieldError::plain(format!("the row has {} fields, {expected} are expected", self.count)))
    }
}

/// A header row: names in lower case, blanks and hyphens as `_`, what follows a `/` cut off
/// (OKX repeats each name in Chinese there).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    names: Vec<String>,
}

impl Header {
    pub fn read(line: &[u8]) -> Self {
        let row = Row::split(line);
        let names = (0..row.len().min(FIELDS_MAX))
            .map(|column| {
                let field = row.get(column);
                let own = field.split(|&b| b == b'/').next().unwrap_or(field);
                shown(own, 64).trim().to_lowercase().replace([' ', '-'], "_")
            })
            .collect();
        Self { names }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The first column that bears one of the names, names tried in order.
    pub fn find(&self, wanted: &[&str]) -> Option<usize> {
        wanted.iter().find_map(|&name| self.names.iter().position(|own| own == name))
    }

    /// As [`Header::find`]; the error says what header is allowed.
    pub fn need(&self, wanted: &[&str], allowed: &str) -> Result<usize, String> {
        self.find(wanted).ok_or_else(|| {
            format!(
                "line 1: the header {:?} has no column {:?}: allowed is {allowed}",
                self.names.join(","),
                wanted[0]
            )
        })
    }

    /// The first name that stands twice.
    pub fn repeated(&self) -> Option<&str> {
        (1..self.names.len())
            .find(|&i| !self.names[i].is_empty() && self.names[..i].contains(&self.names[i]))
            .map(|i| self.names[i].as_str())
    }
}

/// Whether a row is one of names: no field of it begins as a number does.
pub fn is_header(line: &[u8]) -> bool {
    let row = Row::split(line);
    let mut named = false;
    for column in 0..row.len().min(FIELDS_MAX) {
        match row.get(column).first() {
            None => {}
            Some(byte) if byte.is_ascii_alphabetic() || !byte.is_ascii() || *byte == b'_' => named = true,
            Some(_) => return false,
        }
    }
    named && row.len() > 1
}

/// How a column writes its times; one form a file, held against every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    Iso,
    Count(TimeUnit),
}

impl TimeForm {
    /// The form of one text, if it is a time.
    pub fn of(text: &[u8]) -> Option<Self> {
        let whole = text.split(|&b| b == b'.').next().unwrap_or(text);
        if let Ok(count) = parse_integer(whole) {
            let unit = TimeUnit::detect(count)?;
            return UnixNanos::parse_unit(text, unit).is_ok().then_some(Self::Count(unit));
        }
        UnixNanos::parse_iso(text).is_ok().then_some(Self::Iso)
    }

    /// The form that most of the texts have, the earlier one where as many have another.
    pub fn detect<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut votes: Vec<(Self, u32)> = Vec::new();
        for form in texts.filter_map(Self::of) {
            match votes.iter_mut().find(|(known, _)| *known == form) {
                Some((_, count)) => *count += 1,
                None => votes.push((form, 1)),
            }
        }
        // The last of equals is the one that `max_by_key` takes.
        votes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(form, _)| form)
    }

    #[inline]
    pub fn read(self, text: &[u8]) -> Result<UnixNanos, FieldError> {
        match self {
            Self::Count(unit) => time(text, unit),
            Self::Iso => iso_time(text),
        }
    }
}

/// A venue's word for yes or no, as dumps print it.
#[inline]
pub fn flag(name: &str, text: &[u8]) -> Result<bool, FieldError> {
    match text {
        b"true" | b"True" | b"TRUE" | b"1" => Ok(true),
        b"false" | b"False" | b"FALSE" | b"0" => Ok(false),
        _ => Err(FieldError::new(name, text, "is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_row(line: &str, expected: &[&str]) {
        let row = Row::split(line.as_bytes());
        let fields: Vec<_> =
            (0..row.len()).map(|i| String::from_utf8_lossy(row.get(i)).into_owned()).collect();
        assert_eq!(fields, expected, "{line}");
    }

    #[test]
    fn rows_are_split_at_commas() {
        check_row("a,b,c", &["a", "b", "c"]);
        check_row("", &[""]);
        check_row(",", &["", ""]);
        check_row(" a , b", &["a", "b"]);
        check_row(r#""a,b",c"#, &["a,b", "c"]);
        check_row(r#"x,"a","b""#, &["x", "a", "b"]);
        check_row(r#"x,"a"#, &["x", "\"a"]);
        check_row(r#""a"b,c"#, &["a", "c"]);
        assert_eq!(Row::split(&[b','; 100]).len(), 101);
        assert_eq!(Row::split(&[b','; 100]).get(99), b"");
    }

    #[test]
    fn headers_are_compared_by_name_alone() {
        let header = Header::read("Date Time,\"Open\",trade_id/撮合id,Taker-Side".as_bytes());
        assert_eq!(header.names(), ["date_time", "open", "trade_id", "taker_side"]);
        assert_eq!(header.find(&["nothing", "open"]), Some(1));
        assert!(header.need(&["price"], "time,price").unwrap_err().contains("allowed is time,price"));
        assert_eq!(Header::read(b"a,b,a").repeated(), Some("a"));
        for (line, expected) in [("id,price", true), ("1,2", false), (",Open,High", true), ("x", false)] {
            assert_eq!(is_header(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn the_unit_is_what_most_rows_say() {
        let detect = |texts: &[&str]| TimeForm::detect(texts.iter().map(|t| t.as_bytes()));
        assert_eq!(detect(&["1714521600123"]), Some(TimeForm::Count(TimeUnit::Millis)));
        let mixed = ["x", "1714521600", "1714521600123456", "1714521600123457"];
        assert_eq!(detect(&mixed), Some(TimeForm::Count(TimeUnit::Micros)));
        assert_eq!(detect(&["1672531436.5"]), Some(TimeForm::Count(TimeUnit::Seconds)));
        assert_eq!(detect(&["2024-05-01T00:00:00Z", "1714521600"]), Some(TimeForm::Iso));
        assert_eq!(detect(&["12", ""]), None);
    }
}
