//! What has been decided and what has been sent, on disk: an alert is in it before it is tried, and out of it
//! once it has arrived or was given up.
//!
//! Lines of JSON behind a checksum. A line that is cut or damaged is left out, and counted. Rewritten when it is
//! opened and when it has grown; what is kept then are open alerts, and the keys that are not to be told twice.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::alerts::error::AlertError;
use crate::alerts::notification::Notification;
use crate::alerts::policy::KEYS_MAX;

/// Rewritten when it is larger.
const BYTES_MAX: u64 = 64 << 20;
/// Cool-downs that a restart takes over.
const ALERTED_MAX: usize = 4_096;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Decided: never again.
    Decided { signal: u64, channel: String },
    /// For the cool-down.
    Alerted(Alerted),
    /// To be sent.
    Queued { notification: Notification },
    /// Arrived.
    Sent { id: String },
    /// Given up.
    Dead { id: String, why: String },
}

/// When an alert of that name was told last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alerted {
    pub channel: String,
    pub instrument: String,
    pub name: String,
    pub severity: String,
    pub at: i64,
}

pub struct Outbox {
    path: PathBuf,
    file: File,
    bytes: u64,
    keys: VecDeque<(u64, String)>,
    alerted: VecDeque<Alerted>,
    /// In order of decision; what has arrived is taken out.
    open: BTreeMap<u64, Notification>,
    next: u64,
    /// A write failed: its last line may be cut.
    is_torn: bool,
    pub damaged_lines: u64,
}

impl Outbox {
    pub fn open(dir: &Path) -> Result<Self, AlertError> {
        fs::create_dir_all(dir).map_err(AlertError::io("create", dir))?;
        let path = dir.join("outbox.jsonl");
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(AlertError::io("read", &path)(error)),
        };
        // Appended to by nobody until it has been rewritten below.
        let file = File::open(dir).map_err(AlertError::io("open", dir))?;
        let mut outbox = Self {
            path,
            file,
            bytes: 0,
            keys: VecDeque::new(),
            alerted: VecDeque::new(),
            open: BTreeMap::new(),
            next: 0,
            is_torn: false,
            damaged_lines: 0,
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            match parse(line) {
                Some(line) => outbox.take(line),
                None => outbox.damaged_lines += 1,
            }
        }
        outbox.rewrite()?;
        Ok(outbox)
    }

    /// What was decided before, as far as it is remembered: signal and channel.
    pub fn keys(&self) -> impl Iterator<Item = &(u64, String)> {
        self.keys.iter()
    }

    pub fn alerted(&self) -> impl Iterator<Item = &Alerted> {
        self.alerted.iter()
    }

    /// What is still to be sent, in order.
    pub fn unsent(&self) -> impl Iterator<Item = &Notification> {
        self.open.values()
    }

    /// On disk when it returns: signals of which it was decided, and what is to be sent of them.
    pub fn decide(
        &mut self,
        keys: &[(u64, String)],
        alerted: Vec<Alerted>,
        notification: Option<Notification>,
    ) -> Result<(), AlertError> {
        // The alert first: a line that is lost with the end of the file leaves it to be told again.
        let queued = notification.into_iter().map(|notification| Line::Queued { notification });
        let decided =
            keys.iter().map(|(signal, channel)| Line::Decided { signal: *signal, channel: channel.clone() });
        self.append(queued.chain(alerted.into_iter().map(Line::Alerted)).chain(decided).collect())
    }

    pub fn sent(&mut self, id: &str) -> Result<(), AlertError> {
        self.append(vec![Line::Sent { id: id.to_owned() }])
    }

    pub fn give_up(&mut self, id: &str, why: &str) -> Result<(), AlertError> {
        self.append(vec![Line::Dead { id: id.to_owned(), why: why.to_owned() }])
    }

    fn append(&mut self, lines: Vec<Line>) -> Result<(), AlertError> {
        let mut text: String = lines.iter().map(print).collect();
        if self.is_torn {
            text.insert(0, '\n');
        }
        self.is_torn = true;
        self.file.write_all(text.as_bytes()).map_err(AlertError::io("write", &self.path))?;
        self.file.sync_data().map_err(AlertError::io("sync", &self.path))?;
        self.is_torn = false;
        self.bytes += text.len() as u64;
        lines.into_iter().for_each(|line| self.take(line));
        if self.bytes > BYTES_MAX { self.rewrite() } else { Ok(()) }
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Decided { signal, channel } => {
                self.keys.push_back((signal, channel));
                if self.keys.len() > KEYS_MAX {
                    self.keys.pop_front();
                }
            }
            Line::Alerted(alerted) => {
                self.alerted.push_back(alerted);
                if self.alerted.len() > ALERTED_MAX {
                    self.alerted.pop_front();
                }
            }
            Line::Queued { notification } => {
                self.open.insert(self.next, notification);
                self.next += 1;
            }
            Line::Sent { id } | Line::Dead { id, .. } => self.open.retain(|_, open| open.id != id),
        }
    }

    fn rewrite(&mut self) -> Result<(), AlertError> {
        let mut text = String::new();
        for (signal, channel) in &self.keys {
            text.push_str(&print(&Line::Decided { signal: *signal, channel: channel.clone() }));
        }
        for alerted in &self.alerted {
            text.push_str(&print(&Line::Alerted(alerted.clone())));
        }
        for notification in self.open.values() {
            text.push_str(&print(&Line::Queued { notification: notification.clone() }));
        }
        let unfinished = self.path.with_extension("unfinished");
        let mut file = File::create(&unfinished).map_err(AlertError::io("create", &unfinished))?;
        file.write_all(text.as_bytes()).map_err(AlertError::io("write", &unfinished))?;
        file.sync_all().map_err(AlertError::io("sync", &unfinished))?;
        fs::rename(&unfinished, &self.path).map_err(AlertError::io("rename", &unfinished))?;
        if let Some(dir) = self.path.parent() {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(AlertError::io("sync", dir))?;
        }
        self.file =
            OpenOptions::new().append(true).open(&self.path).map_err(AlertError::io("open", &self.path))?;
        self.bytes = text.len() as u64;
        Ok(())
    }
}

/// `crc32 json`, with the end of the line.
fn print(line: &Line) -> String {
    let json = serde_json::to_string(line).expect("lines are JSON");
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
}

fn parse(line: &str) -> Option<Line> {
    let (crc, json) = line.split_once(' ')?;
    let is_whole = u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(json.as_bytes());
    is_whole.then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::alerts::notification::Shown;

    fn notification(id: &str) -> Notification {
        let shown = Shown {
            severity: "info".to_owned(),
            name: "n".to_owned(),
            message: "line\nbreak".to_owned(),
            signal: RawValue::from_string("{\"id\":\"1\"}".to_owned()).unwrap(),
        };
        Notification {
            id: id.to_owned(),
            channel: "a".to_owned(),
            instrument: "k:A-B".to_owned(),
            severity: "info".to_owned(),
            decided_at: 1,
            signals: vec![shown],
            more: 0,
        }
    }

    fn unsent(outbox: &Outbox) -> Vec<String> {
        outbox.unsent().map(|notification| notification.id.clone()).collect()
    }

    #[test]
    fn what_was_decided_and_not_sent_is_there_after_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(dir.path()).unwrap();
        for (signal, id) in [(1, "x"), (2, "y"), (3, "z")] {
            outbox.decide(&[(signal, "a".to_owned())], Vec::new(), Some(notification(id))).unwrap();
        }
        outbox.sent("x").unwrap();
        outbox.give_up("z", "answered 404").unwrap();
        drop(outbox);
        for _ in 0..3 {
            let outbox = Outbox::open(dir.path()).unwrap();
            assert_eq!(unsent(&outbox), ["y"]);
            assert_eq!(outbox.unsent().next().unwrap().signals[0].signal.get(), "{\"id\":\"1\"}");
            assert_eq!(outbox.keys().map(|(signal, _)| *signal).collect::<Vec<_>>(), [1, 2, 3]);
            assert_eq!(outbox.damaged_lines, 0);
        }
    }

    #[test]
    fn a_cut_end_loses_nothing_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("outbox.jsonl");
        let mut outbox = Outbox::open(dir.path()).unwrap();
        outbox.decide(&[(1, "a".to_owned())], Vec::new(), Some(notification("x"))).unwrap();
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let outbox = Outbox::open(dir.path()).unwrap();
            // Never the key without the alert: it would not be told.
            assert!(outbox.keys().count() <= unsent(&outbox).len(), "{end}");
        }
        fs::write(&path, [&whole[..], b"zz\n", &whole[..]].concat()).unwrap();
        assert_eq!(Outbox::open(dir.path()).unwrap().damaged_lines, 1);
    }
}
