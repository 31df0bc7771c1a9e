//! A symbol's candles that are too old for memory, as chunks in the archive beside the snapshots.
//!
//! The chunks themselves never change; which of them form the symbol's stacks is kept here and is part of
//! its snapshot, so that going back to a snapshot takes the stacks back with it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::analytics::archive::Archive;
use crate::journal::chunks::{Address, Chunks};
use crate::journal::error::JournalError;

/// Chunks that are moved out of sparse files each time a symbol is saved.
const MOVES: usize = 8;

/// The stacks of one symbol.
pub struct ChunkArchive {
    chunks: Arc<Chunks>,
    /// By stream, from the oldest to the newest.
    stacks: Vec<VecDeque<Address>>,
    fault: Option<JournalError>,
}

impl ChunkArchive {
    pub fn new(chunks: &Arc<Chunks>) -> Self {
        Self { chunks: chunks.clone(), stacks: Vec::new(), fault: None }
    }

    /// As a snapshot knew it.
    pub fn restore(chunks: &Arc<Chunks>, stacks: &[Vec<Address>]) -> Self {
        let stacks = stacks.iter().map(|stack| stack.iter().copied().collect()).collect();
        Self { chunks: chunks.clone(), stacks, fault: None }
    }

    /// For a snapshot. Moves some of what keeps files alive that are waste for the most part.
    pub fn save(&mut self) -> Vec<Vec<Address>> {
        self.tidy();
        self.stacks.iter().map(|stack| stack.iter().copied().collect()).collect()
    }

    /// What went wrong, if anything did: a pipeline cannot say it. Candles that could not be put aside or
    /// taken back are not revised by later trades.
    pub fn take_fault(&mut self) -> Option<JournalError> {
        self.fault.take()
    }

    fn tidy(&mut self) {
        let (mut words, mut moves) = (Vec::new(), 0);
        for (stream, stack) in self.stacks.iter_mut().enumerate() {
            // Only the oldest lie in old files.
            for address in stack.iter_mut().take(MOVES) {
                if moves == MOVES || !self.chunks.is_sparse(*address) {
                    break;
                }
                moves += 1;
                let moved = self.chunks.get(*address, &mut words);
                match moved.and_then(|()| self.chunks.put(stream as u32, &words)) {
                    Ok(moved) => *address = moved,
                    Err(fault) => {
                        self.fault.get_or_insert(fault);
                        return;
                    }
                }
            }
        }
    }
}

impl Archive for ChunkArchive {
    fn push(&mut self, stream: u32, words: &[u64]) {
        let at = stream as usize;
        if at >= self.stacks.len() {
            self.stacks.resize_with(at + 1, VecDeque::new);
        }
        match self.chunks.put(stream, words) {
            Ok(address) => self.stacks[at].push_back(address),
            Err(fault) => {
                // What lies below cannot be reached over the hole.
                self.stacks[at].clear();
                self.fault.get_or_insert(fault);
            }
        }
    }

    fn pop(&mut self, stream: u32, words: &mut Vec<u64>) -> bool {
        words.clear();
        let Some(stack) = self.stacks.get_mut(stream as usize) else { return false };
        let Some(address) = stack.pop_back() else { return false };
        match self.chunks.get(address, words) {
            Ok(()) => true,
            Err(fault) => {
                stack.clear();
                self.fault.get_or_insert(fault);
                false
            }
        }
    }

    fn forget_oldest(&mut self, stream: u32) {
        self.stacks.get_mut(stream as usize).and_then(VecDeque::pop_front);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_go_back_with_their_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let chunks = Arc::new(Chunks::open(dir.path(), []).unwrap());
        let mut archive = ChunkArchive::new(&chunks);
        for i in 0..10 {
            archive.push(0, &[i]);
            archive.push(2, &[i, i]);
        }
        let saved = archive.save();
        let mut words = Vec::new();
        assert!(archive.pop(2, &mut words) && words == [9, 9]);
        archive.push(2, &[77]);
        archive.forget_oldest(0);
        let mut again = ChunkArchive::restore(&chunks, &saved);
        for i in (0..10).rev() {
            assert!(again.pop(2, &mut words) && words == [i, i]);
            assert!(again.pop(0, &mut words) && words == [i]);
        }
        assert!(!again.pop(0, &mut words) && !again.pop(1, &mut words) && !again.pop(5, &mut words));
        for i in (1..10).rev() {
            assert!(archive.pop(0, &mut words) && words == [i]);
        }
        assert!(!archive.pop(0, &mut words));
        assert!(archive.take_fault().is_none() && again.take_fault().is_none());
    }
}
