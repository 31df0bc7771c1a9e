//! ADWIN: a window of a stream that grows while its mean holds, and drops its old end when it moved.
//!
//! The window is kept as buckets of 1, 2, 4, ... values, at most five of a size, so that it costs O(log n)
//! words; at every `clock`th value all cuts between buckets are tried, and while the means on both sides
//! differ by more than chance allows, the oldest bucket goes. The bound is made for independent values of
//! bounded spread: give it standardised errors; values that depend on each other make false alarms.
//! Source: A. Bifet and R. Gavalda, Learning from time-changing data with adaptive windowing, SDM 2007; the
//! bound with the variance in it, and the least lengths of both sides, as river 0.26 has them.

use crate::analytics::rolling::state::{State, StateFault};

/// Buckets of one size; one more, and the two oldest become one of the next size.
const BUCKETS_MAX: usize = 5;
/// No more sizes than a count of values has bits.
const SIZES_MAX: usize = 64;
/// Values on each side of a cut.
const SIDE_MIN: f64 = 5.0;
/// A window up to this long is not looked at.
const GRACE: u64 = 10;

/// What becomes of the window when a mean has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDrift {
    /// What came since stays, as in the paper.
    Keep,
    /// All is forgotten at the next value, as in river.
    Reset,
}

/// What does not change while it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdwinParameters {
    /// How often a drift may be told where there is none, 0 to 1.
    pub delta: f64,
    /// Cuts are tried at every so many values, at least 1.
    pub clock: u64,
    pub after_drift: AfterDrift,
}

/// The mean has moved: the window on both sides of the cut at which that was clearest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    pub count_before: u64,
    pub mean_before: f64,
    pub count_since: u64,
    pub mean_since: f64,
    /// How many times further the means are apart than chance allows, above 1.
    pub excess: f64,
}

/// So many values as one: their sum, and the sum of their squared deviations from their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bucket {
    sum: f64,
    squares: f64,
}

/// The buckets of one size, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    buckets: [Bucket; BUCKETS_MAX + 1],
    len: usize,
}

impl Row {
    fn push(&mut self, bucket: Bucket) {
        self.buckets[self.len] = bucket;
        self.len += 1;
    }

    fn take_oldest(&mut self) -> Bucket {
        let oldest = self.buckets[0];
        self.buckets.copy_within(1..self.len, 0);
        self.len -= 1;
        oldest
    }
}

/// The window.
#[derive(Clone, Debug, PartialEq)]
pub struct Adwin {
    parameters: AdwinParameters,
    /// Row `i` has buckets of 2^i values.
    rows: Vec<Row>,
    width: u64,
    total: f64,
    squares: f64,
    /// Values since the beginning, or the last reset.
    ticks: u64,
    has_drifted: bool,
}

impl Adwin {
    pub fn new(parameters: AdwinParameters) -> Self {
        assert!(parameters.clock > 0, "cuts are tried now and then");
        Self {
            parameters,
            rows: vec![Row::default()],
            width: 0,
            total: 0.0,
            squares: 0.0,
            ticks: 0,
            has_drifted: false,
        }
    }

    /// Takes a finite value; says whether the mean has moved.
    pub fn push(&mut self, value: f64) -> Option<Cut> {
        if self.has_drifted && self.parameters.after_drift == AfterDrift::Reset {
            *self = Self::new(self.parameters);
        }
        self.insert(value);
        self.ticks += 1;
        if !self.ticks.is_multiple_of(self.parameters.clock) || self.width <= GRACE {
            self.has_drifted = false;
            return None;
        }
        self.has_drifted = self.find_cut(true).is_some();
        if !self.has_drifted {
            return None;
        }
        let clearest = self.find_cut(false);
        while self.find_cut(true).is_some() {
            self.drop_oldest();
        }
        clearest
    }

    fn insert(&mut self, value: f64) {
        self.rows[0].push(Bucket { sum: value, squares: 0.0 });
        self.width += 1;
        if self.width > 1 {
            let before = (self.width - 1) as f64;
            let off = value - self.total / before;
            self.squares += before * (off * off) / self.width as f64;
        }
        self.total += value;
        let mut size = 0;
        while size < self.rows.len() && self.rows[size].len > BUCKETS_MAX {
            let (one, two) = (self.rows[size].take_oldest(), self.rows[size].take_oldest());
            if size + 1 == self.rows.len() {
                self.rows.push(Row::default());
            }
            let values = values_of(size);
            let off = one.sum / values - two.sum / values;
            let apart = values * values * (off * off) / (values + values);
            let merged = Bucket { sum: one.sum + two.sum, squares: one.squares + two.squares + apart };
            self.rows[size + 1].push(merged);
            size += 1;
        }
    }

    /// The oldest cut, or else the clearest one, whose sides differ by more than chance allows.
    fn find_cut(&self, any: bool) -> Option<Cut> {
        let width = self.width as f64;
        let confidence = libm::log(2.0 * libm::log(width) / self.parameters.delta);
        let variance = self.squares / width;
        let (mut old, mut new) = ((0.0, 0.0), (width, self.total));
        let mut found: Option<Cut> = None;
        for (size, row) in self.rows.iter().enumerate().rev() {
            // The newest value is on the new side of every cut.
            let buckets = if size == 0 { row.len.saturating_sub(1) } else { row.len };
            for bucket in &row.buckets[..buckets] {
                old = (old.0 + values_of(size), old.1 + bucket.sum);
                new = (new.0 - values_of(size), new.1 - bucket.sum);
                if old.0 < SIDE_MIN || new.0 < SIDE_MIN {
                    continue;
                }
                // Nearly all cuts fall short of the larger part of the bound alone: seen by products, both sides of it
                // squared and without a fraction. What is left out is far more than they round.
                let (before, since) = (old.0 - SIDE_MIN + 1.0, new.0 - SIDE_MIN + 1.0);
                let (crossed, both) = (old.1 * new.0 - new.1 * old.0, old.0 * new.0);
                let reach = 2.0 * (before + since) * variance * confidence;
                if crossed * crossed * (before * since) <= reach * (both * both) {
                    continue;
                }
                let share = 1.0 / before + 1.0 / since;
                let bound = (2.0 * share * variance * confidence).sqrt() + 2.0 / 3.0 * confidence * share;
                let (mean_before, mean_since) = (old.1 / old.0, new.1 / new.0);
                let apart = (mean_before - mean_since).abs();
                if apart > bound && found.is_none_or(|cut| apart / bound > cut.excess) {
                    let (count_before, count_since) = (old.0 as u64, new.0 as u64);
                    let excess = apart / bound;
                    found = Some(Cut { count_before, mean_before, count_since, mean_since, excess });
                    if any {
                        return found;
                    }
                }
            }
        }
        found
    }

    fn drop_oldest(&mut self) {
        let size = self.rows.len() - 1;
        let oldest = self.rows[size].take_oldest();
        let values = values_of(size);
        self.width -= 1 << size;
        self.total -= oldest.sum;
        let left = self.width as f64;
        let off = oldest.sum / values - self.total / left;
        self.squares -= oldest.squares + values * left * (off * off) / (values + left);
        while self.rows.len() > 1 && self.rows[self.rows.len() - 1].len == 0 {
            self.rows.pop();
        }
    }

    /// Values in the window.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// Sum of the values in the window.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Sum of their squared deviations from their mean; the variance is this by [`Self::width`].
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// `None` before the first value.
    pub fn mean(&self) -> Option<f64> {
        (self.width > 0).then(|| self.total / self.width as f64)
    }

    /// Visits every word of mutable state.
    pub fn state(&mut self, state: &mut State<'_>) {
        let mut rows = self.rows.len();
        state.index(&mut rows, SIZES_MAX);
        if rows == 0 {
            state.fault(StateFault::Impossible("window without a row"));
            rows = 1;
        }
        self.rows.resize(rows, Row::default());
        let mut width = 0_u64;
        for (size, row) in self.rows.iter_mut().enumerate() {
            state.index(&mut row.len, BUCKETS_MAX);
            for bucket in &mut row.buckets[..row.len] {
                state.f64(&mut bucket.sum);
                state.f64(&mut bucket.squares);
                width = width.saturating_add(1 << size);
            }
            // What lies behind the last bucket is never read; equal windows are equal all the same.
            row.buckets[row.len..].fill(Bucket::default());
        }
        state.word(&mut self.width);
        state.check(self.width == width, "window is as wide as its buckets");
        state.check(rows == 1 || self.rows[rows - 1].len > 0, "the last row of a window has a bucket");
        state.f64(&mut self.total);
        state.f64(&mut self.squares);
        state.word(&mut self.ticks);
        state.bool(&mut self.has_drifted);
    }
}

/// How many values a bucket of that size stands for.
fn values_of(size: usize) -> f64 {
    (1_u64 << size) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analytics::estimators::split_mix::SplitMix;

    const PARAMETERS: AdwinParameters =
        AdwinParameters { delta: 0.002, clock: 8, after_drift: AfterDrift::Keep };

    #[test]
    fn a_mean_that_moves_shortens_the_window() {
        let (mut window, mut random) = (Adwin::new(PARAMETERS), SplitMix::new(1));
        let cuts = |window: &mut Adwin, random: &mut SplitMix, level: f64| -> Vec<Cut> {
            (0..1_000).filter_map(|_| window.push(level + random.unit())).collect()
        };
        assert_eq!(cuts(&mut window, &mut random, 0.0), []);
        assert_eq!(window.width(), 1_000);
        let cuts = cuts(&mut window, &mut random, 0.5);
        let first = cuts.first().expect("half the spread is seen");
        assert!(first.mean_since > first.mean_before + 0.3 && first.excess > 1.0, "{first:?}");
        assert!((900..1_100).contains(&first.count_before), "{first:?}");
        assert!((900..1_100).contains(&window.width()), "{}", window.width());
        assert!((window.mean().unwrap() - 1.0).abs() < 0.05, "{:?}", window.mean());
    }

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_newest_values(
            steps in prop::collection::vec((0u8..4, 0u16..1000), 1..400),
        ) {
            let mut window = Adwin::new(PARAMETERS);
            let mut level = 0.0;
            let mut values = Vec::new();
            for (kind, salt) in steps {
                level += if kind == 0 { f64::from(salt) / 100.0 } else { 0.0 };
                values.push(level + f64::from(salt) / 1_000.0);
                window.push(values[values.len() - 1]);
                let newest = &values[values.len() - window.width() as usize..];
                let sum: f64 = newest.iter().sum();
                let mean = sum / newest.len() as f64;
                let squares: f64 = newest.iter().map(|value| (value - mean) * (value - mean)).sum();
                prop_assert!((window.total() - sum).abs() <= 1e-9 * (1.0 + sum));
                prop_assert!((window.squares() - squares).abs() <= 1e-6 * (1.0 + squares));
                prop_assert!(window.rows.len() <= 10 && window.rows.iter().all(|row| row.len <= BUCKETS_MAX));
            }
        }
    }

    #[test]
    fn words_of_no_window_are_refused() {
        let mut window = Adwin::new(PARAMETERS);
        (0..100).for_each(|i| _ = window.push(f64::from(i % 7)));
        let mut words = Vec::new();
        window.state(&mut State::Save(&mut words));
        for at in 0..words.len() {
            let mut other = words.clone();
            other[at] ^= 1;
            let mut state = State::load(&other);
            let mut restored = Adwin::new(PARAMETERS);
            restored.state(&mut state);
            // Whatever was refused or not, it goes on without a panic.
            let refused = state.finish().is_err();
            if !refused {
                (0..100).for_each(|i| _ = restored.push(f64::from(i)));
            }
        }
        words[0] = 0;
        let mut state = State::load(&words);
        Adwin::new(PARAMETERS).state(&mut state);
        assert!(state.finish().is_err());
    }
}
