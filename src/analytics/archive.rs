//! Where closed candles go that are too old for the window of quick revisions.
//!
//! A trade that is later than the window is long takes them back, newest first, and they are
//! put aside again afterwards. What stores them is handed in from above.

/// A stack of chunks for each stream of one instrument.
pub trait Archive {
    /// Puts a chunk on top of the stream's stack.
    fn push(&mut self, stream: u32, words: &[u64]);

    /// Takes the top chunk of the stream's stack into `words` (cleared first); `false`: there is none.
    fn pop(&mut self, stream: u32, words: &mut Vec<u64>) -> bool;

    /// The bottom chunk of the stream's stack will not be asked for again.
    fn forget_oldest(&mut self, _stream: u32) {}

    /// Whether anything is kept; `false` spares the making of chunks.
    fn keeps(&self) -> bool {
        true
    }
}

/// Keeps nothing: what is later than the window is not revised, and counted.
#[derive(Debug, Default)]
pub struct NoArchive;

impl Archive for NoArchive {
    fn push(&mut self, _stream: u32, _words: &[u64]) {}

    fn pop(&mut self, _stream: u32, _words: &mut Vec<u64>) -> bool {
        false
    }

    fn keeps(&self) -> bool {
        false
    }
}

/// Keeps all in memory: for tests, and for what is known to be small.
#[derive(Debug, Default)]
pub struct MemoryArchive {
    stacks: std::collections::BTreeMap<u32, std::collections::VecDeque<Vec<u64>>>,
}

impl Archive for MemoryArchive {
    fn push(&mut self, stream: u32, words: &[u64]) {
        self.stacks.entry(stream).or_default().push_back(words.to_vec());
    }

    fn pop(&mut self, stream: u32, words: &mut Vec<u64>) -> bool {
        words.clear();
        match self.stacks.get_mut(&stream).and_then(std::collections::VecDeque::pop_back) {
            Some(chunk) => {
                words.extend_from_slice(&chunk);
                true
            }
            None => false,
        }
    }

    fn forget_oldest(&mut self, stream: u32) {
        self.stacks.get_mut(&stream).and_then(std::collections::VecDeque::pop_front);
    }
}
