//! The directory of `--out`: its files appear under their names together, at the end.
//!
//! Until then each has `.tmp` behind its name; a run that fails removes those, and leaves
//! the results of an earlier run as they were. summary.json is taken away before the first
//! file gets its name and put back after the last: where it stands, all others belong to it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::replay::sorter::SorterError;

pub const CANDLES: &str = "candles.csv";
pub const INDICATORS: &str = "indicators.csv";
pub const ANOMALIES: &str = "anomalies.jsonl";
pub const FORECASTS: &str = "forecasts.jsonl";
pub const SIGNALS: &str = "signals.jsonl";
pub const GAPS: &str = "gaps.jsonl";
pub const QUARANTINE: &str = "quarantine.jsonl";
pub const DIGESTS: &str = "digests.csv";
pub const SUMMARY: &str = "summary.json";

const OURS: [&str; 9] =
    [CANDLES, INDICATORS, ANOMALIES, FORECASTS, SIGNALS, GAPS, QUARANTINE, DIGESTS, SUMMARY];

const TEMPORARY: &str = ".tmp";

#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    #[error(
        "output directory {dir:?} holds {name:?}, which is no result of a replay: name a new or an empty one"
    )]
    Foreign { dir: PathBuf, name: String },
    #[error("output directory {dir:?} is no directory: name a new or an empty one")]
    NoDirectory { dir: PathBuf },
    #[error("failed to {action} {path:?}: {source}")]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Sorter(#[from] SorterError),
    #[error("rows that waited in a temporary file in {dir:?} came back damaged")]
    Damaged { dir: PathBuf },
}

/// An output directory, from the check before a run to the naming of its files.
#[derive(Debug)]
pub struct OutDir {
    path: PathBuf,
    /// Files that wait for their names.
    waiting: Vec<&'static str>,
}

impl OutDir {
    /// Makes the directory where it is missing, refuses it where it holds what we would not write
    /// (pages of `--report` and dotfiles excepted), and clears what a killed run has left.
    pub fn open(path: &Path) -> Result<Self, ResultsError> {
        fs::create_dir_all(path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                ResultsError::NoDirectory { dir: path.to_owned() }
            }
            _ => failed("create directory", path, e),
        })?;
        let entries = fs::read_dir(path).map_err(|e| failed("list directory", path, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| failed("list directory", path, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_file = entry.file_type().map_err(|e| failed("inspect", &entry.path(), e))?.is_file();
            let ours = |name: &str| OURS.contains(&name);
            if is_file && name.strip_suffix(TEMPORARY).is_some_and(ours) {
                fs::remove_file(entry.path()).map_err(|e| failed("remove", &entry.path(), e))?;
            } else if !(is_file && (ours(&name) || name.ends_with(".html")) || name.starts_with('.')) {
                return Err(ResultsError::Foreign { dir: path.to_owned(), name });
            }
        }
        Ok(Self { path: path.to_owned(), waiting: Vec::new() })
    }

    /// Also where sorters may spill: results need the room there anyway.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new file that gets its name, one of the constants above, in [`OutDir::publish`].
    pub fn create(&mut self, name: &'static str) -> Result<OutFile, ResultsError> {
        let path = self.temporary(name);
        let file = File::create(&path).map_err(|e| failed("create", &path, e))?;
        if !self.waiting.contains(&name) {
            self.waiting.push(name);
        }
        Ok(OutFile { file, path })
    }

    /// Gives all files their names, summary.json last.
    pub fn publish(mut self) -> Result<(), ResultsError> {
        let summary = self.path.join(SUMMARY);
        match fs::remove_file(&summary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &summary, e)),
            _ => {}
        }
        self.waiting.sort_by_key(|&name| name == SUMMARY);
        while let Some(&name) = self.waiting.first() {
            let path = self.path.join(name);
            fs::rename(self.temporary(name), &path).map_err(|e| failed("rename to", &path, e))?;
            self.waiting.remove(0);
        }
        Ok(())
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{TEMPORARY}"))
    }
}

impl Drop for OutDir {
    fn drop(&mut self) {
        for name in &self.waiting {
            // The run has failed already, and says why; the next one clears what stays behind.
            let _ = fs::remove_file(self.temporary(name));
        }
    }
}

/// A file of the directory, unbuffered.
#[derive(Debug)]
pub struct OutFile {
    file: File,
    path: PathBuf,
}

impl OutFile {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ResultsError> {
        self.file.write_all(bytes).map_err(|e| failed("write", &self.path, e))
    }
}

/// For those who write lines through a `BufWriter`.
impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ResultsError {
    ResultsError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_together() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let mut out = OutDir::open(&path).unwrap();
        out.create(SUMMARY).unwrap().write(b"{}").unwrap();
        out.create(GAPS).unwrap().write(b"new").unwrap();
        assert_eq!(names(&path), ["gaps.jsonl.tmp", "summary.json.tmp"]);
        out.publish().unwrap();
        assert_eq!(names(&path), [GAPS, SUMMARY]);

        // A failed run: its own files go, the others stay.
        let mut out = OutDir::open(&path).unwrap();
        out.create(GAPS).unwrap().write(b"half").unwrap();
        drop(out);
        assert_eq!(names(&path), [GAPS, SUMMARY]);
        assert_eq!(fs::read(path.join(GAPS)).unwrap(), b"new");
    }

    #[test]
    fn a_directory_of_other_things_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for allowed in [CANDLES, "report.html", ".gitignore", "candles.csv.tmp"] {
            fs::write(dir.path().join(allowed), b"").unwrap();
        }
        OutDir::open(dir.path()).unwrap();
        assert!(!dir.path().join("candles.csv.tmp").exists());
        fs::write(dir.path().join("thesis.tex"), b"").unwrap();
        let message = OutDir::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("thesis.tex") && message.contains("a new or an empty one"), "{message}");
        fs::remove_file(dir.path().join("thesis.tex")).unwrap();
        fs::create_dir(dir.path().join(GAPS)).unwrap();
        assert!(OutDir::open(dir.path()).is_err());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        fs::write(&path, b"").unwrap();
        let message = OutDir::open(&path).unwrap_err().to_string();
        assert!(message.contains("out") && message.contains("is no directory"), "{message}");
    }
}
