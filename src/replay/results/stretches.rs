//! Which trade-less rows a stretch has replaced.
//!
//! A long time without a trade is first told interval by interval, or as several stretches,
//! and later as one row that covers them. What a stretch covers, and was told before it, is
//! superseded by it; what was told after it (it was cut, for trades had been found) stands.

use crate::domain::time::UnixNanos;

/// The stretches that reach beyond the row at hand, of one instrument, interval and origin.
#[derive(Default)]
pub struct Stretches {
    /// Exclusive end, and when it was told.
    reaching: Vec<(UnixNanos, u64)>,
}

impl Stretches {
    /// Forgets all: another instrument, interval or origin begins.
    pub fn clear(&mut self) {
        self.reaching.clear();
    }

    /// A trade-less row, any revision of it, in order of `open_at`; `told` rises with each telling.
    pub fn observe(&mut self, open_at: UnixNanos, close_at: UnixNanos, told: u64) {
        self.reaching.retain(|&(end, _)| end > open_at);
        // What ends no later and was told no later supersedes nothing that the other does not.
        if self.reaching.iter().any(|&(end, at)| end >= close_at && at >= told) {
            return;
        }
        self.reaching.retain(|&(end, at)| end > close_at || at > told);
        self.reaching.push((close_at, told));
    }

    /// Whether a stretch that began no later than this trade-less row covers it and was told after it.
    pub fn supersede(&self, close_at: UnixNanos, told: u64) -> bool {
        self.reaching.iter().any(|&(end, at)| end >= close_at && at > told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are `(open, close, told)`, in order of open, only last revisions; those at `superseded` go.
    fn check(rows: &[(i64, i64, u64)], superseded: &[usize]) {
        let mut stretches = Stretches::default();
        let mut gone = Vec::new();
        for (i, &(open, close, told)) in rows.iter().enumerate() {
            if stretches.supersede(UnixNanos(close), told) {
                gone.push(i);
            }
            stretches.observe(UnixNanos(open), UnixNanos(close), told);
        }
        assert_eq!(gone, superseded, "{rows:?}");
    }

    #[test]
    fn later_stretches_replace_what_lies_inside() {
        // Three intervals, told one by one, then together.
        check(&[(0, 3, 9), (1, 2, 2), (2, 3, 3)], &[1, 2]);
        // The stretch grew twice; its earlier tellings are other revisions of its own row.
        check(&[(0, 30, 9), (10, 20, 5), (20, 30, 6), (30, 40, 7)], &[1, 2]);
        // Told after the stretch: they stand.
        check(&[(0, 3, 1), (1, 2, 2), (2, 3, 3)], &[]);
        // Only what lies inside as a whole.
        check(&[(0, 15, 9), (10, 20, 5)], &[]);
        // A covered stretch covers nothing more than the one over it.
        check(&[(0, 100, 9), (10, 50, 5), (20, 30, 4), (60, 70, 3), (100, 110, 1)], &[1, 2, 3]);
        // A later one inside replaces what is inside itself, at another time.
        check(&[(0, 100, 4), (10, 50, 8), (20, 30, 6), (60, 70, 5)], &[2]);
    }
}
