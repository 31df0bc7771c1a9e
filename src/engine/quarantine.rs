//! The quarantine of the live engine: a file with one JSON object a line for each thing refused.
//!
//! Two files at most: when [`FILE`](crate::engine::data_dir) has reached [`FILE_BYTES_MAX`] it becomes
//! `quarantine.1.jsonl`, in place of the one before. **When its queue is full** the item is dropped and
//! counted (`queue="quarantine"`); its reason has been counted by whoever refused it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};
use serde_json::json;
use tracing::error;

use crate::engine::error::EngineError;
use crate::runtime::metrics::QueueMeter;
use crate::runtime::quarantine::{Quarantine, Quarantined, TEXT_CHARS_MAX};

/// Items that wait to be written.
const QUEUE: usize = 1_024;
const FILE_BYTES_MAX: u64 = 16 << 20;

enum Letter {
    Item(Quarantined),
    /// Answered once everything before it is in the kernel.
    Flush(Sender<()>),
}

/// Writes on a thread of its own, which ends when this is dropped.
pub struct QuarantineFile {
    letters: Option<Sender<Letter>>,
    meter: QueueMeter,
    thread: Option<JoinHandle<()>>,
}

impl QuarantineFile {
    /// Goes on with the file at `path`.
    pub fn open(path: &Path, meter: QueueMeter) -> Result<Self, EngineError> {
        let mut file = Rotating::open(path)?;
        let (letters, received) = bounded(QUEUE);
        let depth = meter.depth.clone();
        let thread = thread::Builder::new()
            .name("quarantine".to_owned())
            .spawn(move || write_all(&mut file, &received, &depth))
            .map_err(EngineError::Thread)?;
        Ok(Self { letters: Some(letters), meter, thread: Some(thread) })
    }
}

impl Quarantine for QuarantineFile {
    fn put(&self, mut item: Quarantined) {
        if let Some((cut, _)) = item.text.char_indices().nth(TEXT_CHARS_MAX) {
            item.text.truncate(cut);
        }
        let Some(letters) = &self.letters else { return };
        match letters.try_send(Letter::Item(item)) {
            Ok(()) => self.meter.depth.set(letters.len() as i64),
            Err(_) => self.meter.dropped.inc(),
        }
    }
}

impl QuarantineFile {
    /// Waits until everything put before is in the kernel.
    pub fn flush(&self) {
        let (done, flushed) = bounded(1);
        if let Some(letters) = &self.letters
            && letters.send(Letter::Flush(done)).is_ok()
        {
            let _ = flushed.recv();
        }
    }
}

impl Drop for QuarantineFile {
    fn drop(&mut self) {
        self.letters = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_all(file: &mut Rotating, letters: &Receiver<Letter>, depth: &prometheus::IntGauge) {
    let mut failed = false;
    while let Ok(letter) = letters.recv() {
        let written = match letter {
            Letter::Item(item) => file.write(&item),
            Letter::Flush(done) => {
                let flushed = file.file.flush();
                let _ = done.send(());
                flushed
            }
        };
        let written = if letters.is_empty() { written.and_then(|()| file.file.flush()) } else { written };
        depth.set(letters.len() as i64);
        match written {
            Ok(()) => failed = false,
            Err(error) if !failed => {
                failed = true;
                error!(%error, path = %file.path.display(), "quarantine cannot be written");
            }
            Err(_) => {}
        }
    }
}

struct Rotating {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Rotating {
    fn open(path: &Path) -> Result<Self, EngineError> {
        let file = append_to(path).map_err(EngineError::io(path, "open"))?;
        let bytes = file.metadata().map_err(EngineError::io(path, "look at"))?.len();
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), bytes })
    }

    fn write(&mut self, item: &Quarantined) -> io::Result<()> {
        if self.bytes >= FILE_BYTES_MAX {
            self.file.flush()?;
            fs::rename(&self.path, self.path.with_extension("1.jsonl"))?;
            self.file = BufWriter::new(append_to(&self.path)?);
            self.bytes = 0;
        }
        let mut line = json!({
            "received_at": item.received_at.to_string(),
            "venue": item.venue,
            "reason": item.reason,
            "text": item.text,
        })
        .to_string();
        line.push('\n');
        self.bytes += line.len() as u64;
        self.file.write_all(line.as_bytes())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::UnixNanos;
    use crate::runtime::metrics::Metrics;

    fn item(reason: &str, text: &str) -> Quarantined {
        Quarantined {
            received_at: UnixNanos(0),
            venue: "binance".to_owned(),
            reason: reason.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn lines_are_whole_and_the_file_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        for round in 0..2 {
            let meter = Metrics::new().queue("quarantine");
            let quarantine = QuarantineFile::open(&path, meter).unwrap();
            quarantine.put(item("price: \"-1\"\nis not above zero", &"é".repeat(10_000)));
            quarantine.flush();
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), round + 1);
            let line: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
            assert_eq!(line["venue"], "binance");
            assert_eq!(line["text"].as_str().unwrap().chars().count(), TEXT_CHARS_MAX);
        }
    }

    #[test]
    fn a_file_that_is_full_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quarantine.jsonl");
        let mut file = Rotating::open(&path).unwrap();
        file.write(&item("a", "")).unwrap();
        file.bytes = FILE_BYTES_MAX;
        file.write(&item("b", "")).unwrap();
        file.file.flush().unwrap();
        let aside = folder.path().join("quarantine.1.jsonl");
        assert!(fs::read_to_string(&aside).unwrap().contains("\"a\""));
        assert!(fs::read_to_string(&path).unwrap().contains("\"b\""));
    }
}
