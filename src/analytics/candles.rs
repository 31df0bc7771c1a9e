//! The time candles of one symbol: every interval, the longer ones made of the shorter.
//!
//! An interval is fed by the longest shorter one that divides it, so that higher intervals
//! agree with lower ones and a trade touches one candle. Those that nothing divides take
//! the trades themselves.

use crate::analytics::archive::Archive;
use crate::analytics::desk::Desk;
use crate::analytics::gaps::Dirty;
use crate::analytics::indicator_set::IndicatorPlan;
use crate::analytics::series::Series;
use crate::analytics::sums::{Print, Sums};
use crate::domain::event::ReadyCandle;
use crate::domain::interval::TimeInterval;
use crate::domain::output::OutputSink;
use crate::domain::time::UnixNanos;

/// All series of one symbol, shortest first.
pub struct Candles {
    series: Vec<Series>,
    /// For each series the one that feeds it.
    feeders: Vec<Option<usize>>,
    /// For each series those that it feeds.
    fed: Vec<Vec<usize>>,
    roots: Vec<usize>,
    /// The earliest moment at which some candle is to be closed.
    next_close: UnixNanos,
}

impl Candles {
    /// `intervals` ascending, no repeats.
    pub fn new(intervals: &[TimeInterval], plan: &IndicatorPlan) -> Self {
        let feeders: Vec<Option<usize>> = intervals
            .iter()
            .enumerate()
            .map(|(i, interval)| (0..i).rev().find(|&shorter| interval.is_multiple_of(intervals[shorter])))
            .collect();
        let fed = (0..intervals.len())
            .map(|i| (0..intervals.len()).filter(|&j| feeders[j] == Some(i)).collect())
            .collect();
        let series = intervals.iter().enumerate().map(|(i, &interval)| Series::new(interval, i as u32, plan));
        Self {
            series: series.collect(),
            roots: (0..intervals.len()).filter(|&i| feeders[i].is_none()).collect(),
            feeders,
            fed,
            next_close: UnixNanos(i64::MAX),
        }
    }

    /// Adds a trade where it belongs. `true`: a closed candle has changed and is to be revised.
    #[inline]
    pub fn add(
        &mut self,
        print: &Print,
        with_sizes: bool,
        archive: &mut dyn Archive,
        unrevised: &mut u64,
    ) -> bool {
        if let [root] = self.roots[..] {
            let series = &mut self.series[root];
            if print.rank.at >= series.closed_until() && series.closed_until().0 != i64::MIN {
                series.add(print, with_sizes);
                return false;
            }
        }
        self.add_anywhere(print, with_sizes, archive, unrevised)
    }

    #[cold]
    fn add_anywhere(
        &mut self,
        print: &Print,
        with_sizes: bool,
        archive: &mut dyn Archive,
        unrevised: &mut u64,
    ) -> bool {
        let at = print.rank.at;
        let (mut late, mut lost) = (false, false);
        for i in 0..self.series.len() {
            let reaches = match self.feeders[i] {
                None => true,
                // What the feeder has not closed yet comes from there.
                Some(feeder) => at < self.series[feeder].closed_until(),
            };
            let series = &mut self.series[i];
            series.begin(at);
            if !reaches {
                continue;
            }
            if at >= series.closed_until() {
                series.add(print, with_sizes);
            } else if series.amend(print, with_sizes, archive) {
                late = true;
            } else {
                lost = true;
            }
        }
        *unrevised += u64::from(lost);
        self.plan_next_close();
        late
    }

    /// When the next candle is due.
    #[inline]
    pub fn next_close(&self) -> UnixNanos {
        self.next_close
    }

    fn plan_next_close(&mut self) {
        let next = self.roots.iter().map(|&root| self.series[root].next_close()).min();
        self.next_close = next.unwrap_or(UnixNanos(i64::MAX));
    }

    /// Closes every candle that ends at or before `limit`.
    pub fn close_due<S: OutputSink>(&mut self, limit: UnixNanos, desk: &mut Desk<'_, S>) {
        for at in 0..self.roots.len() {
            let root = self.roots[at];
            if limit >= self.series[root].next_close() && self.series[root].closed_until().0 != i64::MIN {
                let until = self.series[root].interval().open_of(limit);
                self.close(root, until, desk);
            }
        }
        self.plan_next_close();
    }

    fn close<S: OutputSink>(&mut self, i: usize, until: UnixNanos, desk: &mut Desk<'_, S>) {
        while let Some(open_at) = self.series[i].first_open().filter(|&open_at| open_at < until) {
            if open_at > self.series[i].closed_until() {
                self.series[i].close_quiet(open_at, desk);
                self.close_fed(i, open_at, desk);
            }
            let (shorter, longer) = self.series.split_at_mut(i + 1);
            let series = &mut shorter[i];
            if let Some(sums) = series.close_first(desk) {
                for &fed in &self.fed[i] {
                    longer[fed - i - 1].add_sums(open_at, sums);
                }
            }
            let closed = series.closed_until();
            self.close_fed(i, closed, desk);
        }
        if until > self.series[i].closed_until() {
            self.series[i].close_quiet(until, desk);
            self.close_fed(i, until, desk);
        }
    }

    #[inline]
    fn close_fed<S: OutputSink>(&mut self, i: usize, closed: UnixNanos, desk: &mut Desk<'_, S>) {
        for at in 0..self.fed[i].len() {
            let fed = self.fed[i][at];
            let series = &self.series[fed];
            if closed >= series.next_close() && series.closed_until().0 != i64::MIN {
                let until = series.interval().open_of(closed);
                self.close(fed, until, desk);
            }
        }
    }

    /// Tells anew what has changed of closed candles.
    #[cold]
    pub fn revise<S: OutputSink>(&mut self, dirty: Dirty, desk: &mut Desk<'_, S>) {
        for i in 0..self.series.len() {
            self.series[i].revise(dirty, desk);
            // A trade older than the first one moved the beginning of those that had told nothing:
            // what their feeder has closed long ago won't be announced again.
            self.close_fed(i, self.series[i].closed_until(), desk);
        }
    }

    /// Closes all up to the interval that holds `last`, as they are. `desk.ending` is set.
    pub fn finish<S: OutputSink>(&mut self, last: UnixNanos, desk: &mut Desk<'_, S>) {
        for i in 0..self.series.len() {
            if self.series[i].closed_until().0 == i64::MIN {
                continue;
            }
            let interval = self.series[i].interval();
            let until = interval.close_of(interval.open_of(last));
            if until > self.series[i].closed_until() {
                self.close(i, until, desk);
            }
            self.series[i].finish_stretch(desk);
        }
        self.plan_next_close();
    }

    /// Takes a ready candle of the shortest interval, which is whole. `false`: it is older than what is closed.
    pub fn take_ready<S: OutputSink>(&mut self, candle: &ReadyCandle, desk: &mut Desk<'_, S>) -> bool {
        self.series.iter_mut().for_each(|series| series.begin(candle.open_at));
        if candle.open_at < self.series[0].closed_until() {
            return false;
        }
        self.close(0, candle.open_at, desk);
        if let Some(prices) = candle.prices {
            self.series[0].add_sums(candle.open_at, &Sums::of_ready(candle, prices));
        }
        self.close(0, self.series[0].interval().close_of(candle.open_at), desk);
        true
    }

    /// The shortest interval.
    pub fn shortest(&self) -> Option<TimeInterval> {
        self.series.first().map(Series::interval)
    }

    /// All intervals of the shortest series up to here are closed.
    pub fn closed_until(&self) -> UnixNanos {
        self.series.first().map_or(UnixNanos(i64::MIN), Series::closed_until)
    }

    /// Whether every interval can be made of the shortest.
    pub fn has_one_root(&self) -> bool {
        self.roots.len() == 1
    }
}
