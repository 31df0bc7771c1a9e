//! Rows of line protocol, encoded: what one request carries, in memory or on disk.

use crate::runtime::clock::Mono;
use crate::storage::questdb::schema::TABLES;

/// Rows of each table, in the order of [`TABLES`].
pub type Counts = [u64; TABLES.len()];

/// Some rows, in order.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<u32>,
    /// When trades in it were published, and how many; not kept on disk: a wait there is no latency.
    pub stamps: Vec<(Mono, u64)>,
}

impl Chunk {
    /// `ends` rise, and the last is the length of `bytes`.
    pub fn new(bytes: Vec<u8>, ends: Vec<u32>, stamps: Vec<(Mono, u64)>) -> Self {
        assert_eq!(ends.last().map_or(0, |&end| end as usize), bytes.len(), "rows end where the bytes end");
        Self { bytes, ends, stamps }
    }

    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of rows `from..to`.
    pub fn part(&self, from: usize, to: usize) -> &[u8] {
        let begin = if from == 0 { 0 } else { self.ends[from - 1] as usize };
        let end = if to == 0 { 0 } else { self.ends[to - 1] as usize };
        &self.bytes[begin..end]
    }

    /// How many rows of each table.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in 0..self.rows() {
            let line = self.part(row, row + 1);
            let name = line.split(|&byte| byte == b',' || byte == b' ').next().unwrap_or_default();
            if let Some(table) = TABLES.iter().position(|table| table.name.as_bytes() == name) {
                counts[table] += 1;
            }
        }
        counts
    }

    /// Without one row.
    pub fn remove(&mut self, row: usize) {
        let begin = if row == 0 { 0 } else { self.ends[row - 1] };
        let end = self.ends.remove(row);
        self.bytes.drain(begin as usize..end as usize);
        for later in &mut self.ends[row..] {
            *later -= end - begin;
        }
    }

    /// For the spool.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 4 * self.ends.len() + self.bytes.len());
        out.extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        for end in &self.ends {
            out.extend_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.bytes);
        out
    }

    /// What [`Chunk::to_bytes`] made; `None` of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let rows = word(0)? as usize;
        let head = rows.checked_mul(4)?.checked_add(4)?;
        let body = bytes.get(head..)?;
        let ends: Option<Vec<u32>> = (0..rows).map(|row| word(4 + 4 * row)).collect();
        let ends = ends?;
        let is_sound = ends.is_sorted() && ends.last().map_or(0, |&end| end as usize) == body.len();
        is_sound.then(|| Self { bytes: body.to_vec(), ends, stamps: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_taken_out_and_laid_down() {
        let bytes = b"trades,venue=a x=1 1\ncandles,venue=b y=\n2 2\ntrades,venue=c 3\n".to_vec();
        let mut chunk = Chunk::new(bytes.clone(), vec![21, 44, 61], Vec::new());
        assert_eq!(chunk.part(1, 2), b"candles,venue=b y=\n2 2\n");
        assert_eq!(chunk.counts()[..2], [2, 1]);
        let same = Chunk::from_bytes(&chunk.to_bytes()).unwrap();
        assert_eq!((same.part(0, 3), same.rows()), (&bytes[..], 3));
        chunk.remove(1);
        assert_eq!(chunk.part(0, 2), b"trades,venue=a x=1 1\ntrades,venue=c 3\n");
        chunk.remove(0);
        chunk.remove(0);
        assert!(chunk.is_empty() && chunk.part(0, 0).is_empty());
        for cut in [0, 3, 10, 30] {
            assert!(Chunk::from_bytes(&same.to_bytes()[..cut]).is_none(), "{cut}");
        }
    }
}
