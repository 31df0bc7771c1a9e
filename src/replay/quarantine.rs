//! Skipped lines: counted, written down, and limited.
//!
//! `quarantine.jsonl` holds one object a line, `{file,line,reason,text}`, in the order in which
//! lines were skipped. Nothing is held in memory but where the first [`TEXTLESS_MAX`] lines stand that were refused
//! when their text had gone by: that is read again, and filled in, at the end of the run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::replay::recording::InputError;

/// Lines that may always be skipped, where the user says nothing.
const FREE: u64 = 1_000;
/// Beyond these, one line in so many.
const SHARE: u64 = 10;
/// Lines whose text is looked up afterwards; others stay without.
const TEXTLESS_MAX: usize = 10_000;

/// Where skipped lines go.
pub struct Quarantine {
    out: Option<(PathBuf, BufWriter<File>)>,
    count: u64,
    /// File, line and reason.
    first: Option<String>,
    max: Option<u64>,
    /// Rows that were written without their text: by number from 0, where each stands.
    textless: BTreeMap<u64, Place>,
}

/// A line of a run's inputs: the recording by its number, then the line's own.
pub type Place = (u16, u64);

#[derive(Serialize, Deserialize)]
struct Row<'a> {
    file: Cow<'a, str>,
    line: u64,
    reason: Cow<'a, str>,
    text: Cow<'a, str>,
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
        Ok(Self { out, count: 0, first: None, max, textless: BTreeMap::new() })
    }

    /// Lines skipped so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// File, line and reason of the first line taken.
    pub fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// Takes one line whose text is not at hand; otherwise as [`Self::take`].
    pub fn take_textless(
        &mut self,
        file: &str,
        place: Place,
        reason: &str,
        lines_read: u64,
    ) -> Result<(), InputError> {
        if self.out.is_some() && self.textless.len() < TEXTLESS_MAX {
            self.textless.insert(self.count, place);
        }
        self.take(file, place.1, reason, "", lines_read)
    }

    /// Lines that were written without their text.
    pub fn textless(&self) -> impl Iterator<Item = Place> + '_ {
        self.textless.values().copied()
    }

    /// Writes the file anew, with these texts.
    pub fn fill_in(&mut self, texts: &BTreeMap<Place, String>) -> Result<(), InputError> {
        self.finish()?;
        let Some((path, out)) = &mut self.out else { return Ok(()) };
        let filled = path.with_extension("jsonl.tmp");
        let write = || -> io::Result<BufWriter<File>> {
            let mut to = BufWriter::new(File::create(&filled)?);
            for (number, line) in (0..).zip(BufReader::new(File::open(&path)?).lines()) {
                let line = line?;
                match self.textless.get(&number).and_then(|place| texts.get(place)) {
                    None => to.write_all(line.as_bytes())?,
                    Some(text) => {
                        let row: Row<'_> = serde_json::from_str(&line)?;
                        serde_json::to_writer(&mut to, &Row { text: text.into(), ..row })?;
                    }
                }
                to.write_all(b"\n")?;
            }
            to.flush()?;
            fs::rename(&filled, &path)?;
            Ok(to)
        };
        *out = write().map_err(|e| InputError::Failed(format!("failed to write {}: {e}", path.display())))?;
        self.textless.clear();
        Ok(())
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
            let row = Row { file: file.into(), line, reason: reason.into(), text: text.into() };
            let written = serde_json::to_writer(&mut *out, &row).map_err(io::Error::from);
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
            fs::read_to_string(&path).unwrap(),
            "{\"file\":\"a.csv\",\"line\":3,\"reason\":\"price \\\"x\\\" is no number\",\"text\":\"x,\\\"y\\\"\"}\n\
             {\"file\":\"a.csv\",\"line\":4,\"reason\":\"worse\",\"text\":\"\"}\n"
        );
    }

    #[test]
    fn texts_are_filled_in_where_they_were_not_at_hand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarantine.jsonl");
        let mut quarantine = Quarantine::new(Some(&path), None).unwrap();
        quarantine.take_textless("b.csv", (1, 7), "refused", 10).unwrap();
        quarantine.take("a.csv", 3, "no number", "x", 10).unwrap();
        quarantine.take_textless("j", (0, 2), "refused too", 10).unwrap();
        assert_eq!(quarantine.textless().collect::<Vec<_>>(), [(1, 7), (0, 2)]);
        quarantine.fill_in(&BTreeMap::from([((1, 7), "1,\"2\"".to_owned())])).unwrap();
        quarantine.take("a.csv", 4, "later", "y", 10).unwrap();
        quarantine.finish().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"file\":\"b.csv\",\"line\":7,\"reason\":\"refused\",\"text\":\"1,\\\"2\\\"\"}\n\
             {\"file\":\"a.csv\",\"line\":3,\"reason\":\"no number\",\"text\":\"x\"}\n\
             {\"file\":\"j\",\"line\":2,\"reason\":\"refused too\",\"text\":\"\"}\n\
             {\"file\":\"a.csv\",\"line\":4,\"reason\":\"later\",\"text\":\"y\"}\n"
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
