//! What was acknowledged and cannot be read yet.
//!
//! QuestDB acknowledges into a log of each table and applies that later. Once every transaction that the log had
//! when we looked is applied, what was acknowledged before is readable.

use std::collections::VecDeque;

use crate::runtime::clock::Mono;
use crate::storage::questdb::client::{Client, ClientError};
use crate::storage::questdb::schema::TABLES;

/// How far the log of a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    pub applied: i64,
    pub written: i64,
}

/// Of each table, in the order of [`TABLES`].
type Logs = [Log; TABLES.len()];

/// When trades were published, and how many.
type Stamps = Vec<(Mono, u64)>;

/// Groups of trades that wait to be readable. Bounded: the oldest is forgotten, uncounted, when there are
/// more.
#[derive(Debug, Default)]
pub struct Visibility {
    /// Acknowledged since the last look.
    acknowledged: Stamps,
    waiting: VecDeque<([i64; TABLES.len()], Stamps)>,
}

const GROUPS_MAX: usize = 1_024;

impl Visibility {
    pub fn acknowledged(&mut self, stamps: &[(Mono, u64)]) {
        self.acknowledged.extend_from_slice(stamps);
    }

    pub fn is_idle(&self) -> bool {
        self.acknowledged.is_empty() && self.waiting.is_empty()
    }

    /// What has become readable, as of a look that began after the last acknowledgement.
    pub fn look(&mut self, logs: &Logs) -> Stamps {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        if !acknowledged.is_empty() {
            self.waiting.push_back((logs.map(|log| log.written), acknowledged));
            if self.waiting.len() > GROUPS_MAX {
                self.waiting.pop_front();
            }
        }
        let mut visible = Vec::new();
        while let Some((target, _)) = self.waiting.front()
            && target.iter().zip(logs).all(|(target, log)| log.applied >= *target)
        {
            visible.extend(self.waiting.pop_front().into_iter().flat_map(|(_, stamps)| stamps));
        }
        visible
    }
}

/// How far each table is; names of those that are suspended.
pub fn logs(client: &Client) -> Result<(Logs, Vec<String>), ClientError> {
    let rows =
        client.query("SELECT name, suspended, writerTxn, sequencerTxn, errorMessage FROM wal_tables()")?;
    let (mut logs, mut suspended) = (Logs::default(), Vec::new());
    for row in &rows.dataset {
        let [name, is_suspended, applied, written, message] = row.as_slice() else { continue };
        let name = name.as_str().unwrap_or_default();
        let Some(table) = TABLES.iter().position(|table| table.name == name) else { continue };
        let number = |value: &serde_json::Value| {
            value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
        };
        logs[table] = Log { applied: number(applied), written: number(written) };
        if is_suspended.as_bool().unwrap_or_default() {
            let message = message.as_str().unwrap_or_default();
            suspended.push(if message.is_empty() { name.to_owned() } else { format!("{name} ({message})") });
        }
    }
    Ok((logs, suspended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_visible() {
        let mut visibility = Visibility::default();
        let logs = |applied, written| [Log { applied, written }; TABLES.len()];
        assert!(visibility.look(&logs(0, 5)).is_empty() && visibility.is_idle());
        visibility.acknowledged(&[(Mono::default(), 3)]);
        assert!(visibility.look(&logs(5, 6)).is_empty());
        visibility.acknowledged(&[(Mono::default(), 4)]);
        // The next group waits for the transactions that came with it.
        assert_eq!(visibility.look(&logs(6, 7)), [(Mono::default(), 3)]);
        assert!(!visibility.is_idle());
        assert_eq!(visibility.look(&logs(7, 9)), [(Mono::default(), 4)]);
        assert!(visibility.is_idle());
    }
}
