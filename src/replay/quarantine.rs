//! Skipped lines: counted, written down, and limited.
//!
//! `quarantine.jsonl` holds one object a line, `{file,line,reason,text}`, in the order in which
//! lines were skipped. Nothing is held in memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::replay::recording::InputError;

/// Lines that may always be skipped, where the user says nothing.
const FREE: u64 = 1_000;
/// Beyond these, one line in so many.
const SHARE: u64 = 10;

/// Where skipped lines go.
pub struct Quarantine {
    out: Option<(PathBuf, BufWriter<File>)>,
    count: u64,
    /// File, line and reason.
    first: Option<String>,
    max: Option<u64>,
}

#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    line: u64,
    reason: &'a str,
    text: &'a str,
}

impl Quarantine {
    /// Without a path, lines are only counted. `max` replaces the limit of 1,000 or a tenth of the lines read.
    pub fn new(path: Option<&Path>, max: Option<u64>) -> Result<Self, InputError> {
        let out = match path {
            None => None,
            Some(path) => {
                let file = File::create(path)
                    .map_err(|e| InputError::Failed(format!("failed to create {}: {e}", path.display())))?;
                Some((path.to_owned(), BufWriter::new(file)))
            }
        };
        Ok(Self { out, count: 0, first: None, max })
    }

    /// Lines skipped so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// File, line and reason of the first line taken.
    pub fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// Takes one line; an error, once there are too many for `lines_read`.
    pub fn take(
        &mut self,
        file: &str,
        line: u64,
        reason: &str,
        text: &str,
        lines_read: u64,
    ) -> Result<(), InputError> {
        self.count += 1;
        self.first.get_or_insert_with(|| format!("{file}, line {line}: {reason}"));
        if let Some((path, out)) = &mut self.out {
            let row = Row { file, line, reason, text };
            let written = serde_json::to_writer(&mut *out, &row).map_err(std::io::Error::from);
            written
                .and_then(|()| out.write_all(b"\n"))
                .map_err(|e| InputError::Failed(format!("failed to write {}: {e}", path.display())))?;
        }
        let max = self.max.unwrap_or(FREE.max(lines_read / SHARE));
        if self.count <= max {
            return Ok(());
        }
        self.finish()?;
        let rule = match self.max {
            Some(max) => format!("--max-quarantined allows {max}"),
            None => format!(
                "{max} are allowed, {FREE} or a tenth of the lines read (--max-quarantined N to change)"
            ),
        };
        Err(InputError::Failed(format!(
            "{} lines of {lines_read} read were skipped, more than may be: {rule}; the last was {file}, line {line}: {reason}",
            self.count
        )))
    }

    pub fn finish(&mut self) -> Result<(), InputError> {
        match &mut self.out {
            None => Ok(()),
            Some((path, out)) => out
                .flush()
                .map_err(|e| InputError::Failed(format!("failed to write {}: {e}", path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_until_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarantine.jsonl");
        let mut quarantine = Quarantine::new(Some(&path), Some(1)).unwrap();
        quarantine.take("a.csv", 3, "price \"x\" is no number", "x,\"y\"", 10).unwrap();
        let error = quarantine.take("a.csv", 4, "worse", "", 10).unwrap_err();
        assert!(
            matches!(&error, InputError::Failed(m) if m.contains("allows 1") && m.contains("a.csv, line 4: worse"))
        );
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"file\":\"a.csv\",\"line\":3,\"reason\":\"price \\\"x\\\" is no number\",\"text\":\"x,\\\"y\\\"\"}\n\
             {\"file\":\"a.csv\",\"line\":4,\"reason\":\"worse\",\"text\":\"\"}\n"
        );
    }

    fn check_default(lines_read: u64, allowed: u64) {
        let mut quarantine = Quarantine::new(None, None).unwrap();
        for _ in 0..allowed {
            quarantine.take("a", 1, "r", "t", lines_read).unwrap();
        }
        assert!(quarantine.take("a", 1, "r", "t", lines_read).is_err(), "{lines_read}");
    }

    #[test]
    fn a_thousand_or_a_tenth_may_be_skipped() {
        check_default(1, 1_000);
        check_default(10_009, 1_000);
        check_default(20_000, 2_000);
    }
}
