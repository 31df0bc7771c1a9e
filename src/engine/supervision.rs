//! How often a symbol may panic: at once again a few times, then after longer and longer waits, then no more.

use std::collections::VecDeque;
use std::time::Duration;

use crate::runtime::clock::Mono;

/// Panics further apart than this have nothing to do with each other.
const WINDOW: Duration = Duration::from_secs(600);
/// Panics within the window after which it goes on at once.
const AT_ONCE: usize = 5;
/// Panics within the window after which it goes on at all.
const AT_ALL: usize = 10;
/// The first wait; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    GoOnAfter(Duration),
    /// Until the next start.
    Park,
}

/// The panics of one symbol.
#[derive(Clone, Debug, Default)]
pub struct Supervision {
    panics: VecDeque<Mono>,
}

impl Supervision {
    /// It panicked.
    pub fn panicked(&mut self, now: Mono) -> Verdict {
        while self.panics.front().is_some_and(|&at| now.nanos_since(at) > WINDOW.as_nanos() as u64) {
            self.panics.pop_front();
        }
        self.panics.push_back(now);
        match self.panics.len() {
            count if count <= AT_ONCE => Verdict::GoOn,
            count if count <= AT_ALL => Verdict::GoOnAfter(FIRST_WAIT * (1 << (count - AT_ONCE - 1))),
            _ => Verdict::Park,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_runs_out_and_comes_back() {
        let mut supervision = Supervision::default();
        let now = Mono::now();
        let verdicts: Vec<_> = (0..11).map(|_| supervision.panicked(now)).collect();
        assert!(verdicts[..5].iter().all(|verdict| *verdict == Verdict::GoOn));
        let waits = [1, 2, 4, 8, 16].map(|seconds| Verdict::GoOnAfter(Duration::from_secs(seconds)));
        assert_eq!(verdicts[5..10], waits);
        assert_eq!(verdicts[10], Verdict::Park);
        let later = now.after(WINDOW + Duration::from_secs(1));
        assert_eq!(supervision.panicked(later), Verdict::GoOn);
    }
}
