//! The time candles of one symbol: every interval, the longer ones made of the shorter.
//!
//! An interval is fed by the longest shorter one that divides it, so that higher intervals
//! agree with lower ones and a trade touches one candle. Those that nothing divides take
//! the trades themselves.

use std::collections::BTreeMap;

use crate::analytics::ahead::want_items;
use crate::analytics::archive::Archive;
use crate::analytics::desk::{Desk, told_candle};
use crate::analytics::gaps::Dirty;
use crate::analytics::indicator_set::IndicatorPlan;
use crate::analytics::rolling::state::State;
use crate::analytics::series::Series;
use crate::analytics::sums::{Print, Rank, Sums};
use crate::domain::candle::{CandleState, Origin};
use crate::domain::decimal::Price;
use crate::domain::event::ReadyCandle;
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::output::OutputSink;
use crate::domain::standing::{FormingCandle, StandingSeries};
use crate::domain::time::UnixNanos;

/// A set of series by number: there are sixteen time intervals.
#[derive(Clone, Copy, Default)]
struct Members(u16);

impl Members {
    fn insert(&mut self, i: usize) {
        self.0 |= 1 << i;
    }

    /// The only one, if it is that.
    fn single(self) -> Option<usize> {
        self.0.is_power_of_two().then_some(self.0.trailing_zeros() as usize)
    }
}

impl Iterator for Members {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let next = (self.0 != 0).then_some(self.0.trailing_zeros() as usize);
        self.0 &= self.0.wrapping_sub(1);
        next
    }
}

/// A series and its place among the others.
struct Link {
    series: Series,
    /// The one that feeds it.
    feeder: Option<u8>,
    /// Those that it feeds: 1 is the next longer one.
    fed: Members,
    /// Before it is closed up to here, none of them has a candle to close.
    fed_due: UnixNanos,
}

/// Closes all candles of the first of `links` that are due at `limit`.
#[inline]
fn close_until<S: OutputSink>(links: &mut [Link], limit: UnixNanos, desk: &mut Desk<'_, S>) {
    if let Some(until) = links[0].series.due(limit) {
        close(links, until, desk);
    }
}

/// Closes all candles of the first of `links` that end at or before `until`, with what that closes of those
/// that it feeds.
fn close<S: OutputSink>(links: &mut [Link], until: UnixNanos, desk: &mut Desk<'_, S>) {
    let Some((link, longer)) = links.split_first_mut() else { return };
    while let Some(open_at) = link.series.first_open().filter(|&open_at| open_at < until) {
        if open_at > link.series.closed_until() {
            link.series.close_quiet(open_at, desk);
            close_those_fed(link, longer, desk);
        }
        if let Some(sums) = link.series.close_first(desk) {
            for fed in link.fed {
                longer[fed - 1].series.add_sums(open_at, sums);
            }
        }
        close_those_fed(link, longer, desk);
    }
    if until > link.series.closed_until() {
        link.series.close_quiet(until, desk);
        close_those_fed(link, longer, desk);
    }
}

/// Closes what those that the first of `links` feeds can close.
fn close_fed<S: OutputSink>(links: &mut [Link], desk: &mut Desk<'_, S>) {
    if let Some((link, longer)) = links.split_first_mut() {
        link.fed_due = UnixNanos(i64::MIN);
        close_those_fed(link, longer, desk);
    }
}

#[inline]
fn close_those_fed<S: OutputSink>(link: &mut Link, longer: &mut [Link], desk: &mut Desk<'_, S>) {
    let closed = link.series.closed_until();
    if closed < link.fed_due {
        return;
    }
    link.fed_due = UnixNanos(i64::MAX);
    for fed in link.fed {
        if let Some(until) = longer[fed - 1].series.due(closed) {
            close(&mut longer[fed - 1..], until, desk);
        }
        link.fed_due = link.fed_due.min(longer[fed - 1].series.next_close());
    }
}

/// A candle that still takes trades.
pub fn forming_candle(interval: Interval, times: (UnixNanos, UnixNanos), sums: &Sums) -> FormingCandle {
    let candle = told_candle(interval, times, sums, CandleState::Traded, 0, Origin::Trades);
    let rank = |rank: Rank| (rank.at, rank.tie);
    FormingCandle { candle, first: rank(sums.first), last: rank(sums.last) }
}

/// All series of one symbol, shortest first.
pub struct Candles {
    links: Vec<Link>,
    /// Those that nothing feeds.
    roots: Members,
    /// The only one of them, as there nearly always is.
    single_root: Option<usize>,
    /// The earliest moment at which some candle is to be closed.
    next_close: UnixNanos,
}

impl Candles {
    /// `intervals` ascending, no repeats.
    pub fn new(intervals: &[TimeInterval], plan: &IndicatorPlan) -> Self {
        let mut roots = Members::default();
        let mut links: Vec<Link> = Vec::with_capacity(intervals.len());
        for (i, &interval) in intervals.iter().enumerate() {
            let feeder = (0..i).rev().find(|&shorter| interval.is_multiple_of(intervals[shorter]));
            match feeder {
                Some(feeder) => links[feeder].fed.insert(i - feeder),
                None => roots.insert(i),
            }
            let series = Series::new(interval, i as u32, plan);
            let (fed, fed_due) = (Members::default(), UnixNanos(i64::MIN));
            links.push(Link { series, feeder: feeder.map(|i| i as u8), fed, fed_due });
        }
        Self { links, roots, single_root: roots.single(), next_close: UnixNanos(i64::MAX) }
    }

    /// Asks for all series.
    pub fn want_series(&self) {
        want_items(&self.links);
    }

    /// Asks for what the series will use for so many trades, of which the rows of at most `rows_max`.
    pub fn want_rows(&self, trades: usize, rows_max: usize, window: usize) {
        for link in &self.links {
            // Nothing is added to it before its feeder closes a candle.
            let fed = link.feeder.is_none_or(|feeder| self.is_soon(&self.links[usize::from(feeder)], trades));
            if fed {
                let new = if link.feeder.is_none() { trades.min(rows_max) } else { 0 };
                link.series.want_rows(new, window);
            }
            if self.is_soon(link, trades) {
                link.series.set().want_places();
            }
        }
    }

    /// Asks for the indicators of those series that close a candle soon.
    pub fn want_sets(&self, trades: usize) {
        for link in self.links.iter().filter(|link| self.is_soon(link, trades)) {
            link.series.set().want_state();
            if link.feeder.is_none() {
                link.series.want_checkpoint(trades);
            }
        }
    }

    /// Whether a series will close a candle if as many candles of its feeder close as there are trades.
    fn is_soon(&self, link: &Link, trades: usize) -> bool {
        let Some(feeder) = link.feeder else { return true };
        let feeder = &self.links[usize::from(feeder)].series;
        let within = feeder.interval().nanos().saturating_mul(trades as i64);
        feeder.closed_until().0.saturating_add(within) >= link.series.next_close().0
    }

    /// Visits all that the series keep; `window` as the settings say it.
    pub fn state(&mut self, window: usize, state: &mut State<'_>) {
        for link in &mut self.links {
            link.series.state(window, state);
            link.fed_due = UnixNanos(i64::MIN);
        }
        state.i64(&mut self.next_close.0);
    }

    /// What is open of each interval, with all trades that it holds by now: a longer candle is fed by shorter ones
    /// only as these close.
    pub fn forming(&self) -> Vec<StandingSeries> {
        let mut open: Vec<BTreeMap<UnixNanos, Sums>> = Vec::with_capacity(self.links.len());
        for link in &self.links {
            let interval = link.series.interval();
            let mut rows: BTreeMap<UnixNanos, Sums> =
                link.series.open_rows().map(|(at, sums)| (at, sums.clone())).collect();
            for (at, sums) in link.feeder.iter().flat_map(|feeder| &open[usize::from(*feeder)]) {
                rows.entry(interval.open_of(*at))
                    .and_modify(|known| known.merge(sums))
                    .or_insert_with(|| sums.clone());
            }
            open.push(rows);
        }
        let standing = |(link, rows): (&Link, BTreeMap<UnixNanos, Sums>)| {
            let interval = link.series.interval();
            let forming = rows.into_iter().map(|(open_at, sums)| {
                let times = (open_at, interval.close_of(open_at));
                forming_candle(Interval::Time(interval), times, &sums)
            });
            StandingSeries {
                interval: Interval::Time(interval),
                closed_until: link.series.closed_until(),
                forming: forming.collect(),
            }
        };
        self.links.iter().zip(open).map(standing).collect()
    }

    /// Price and time of the latest trade that is remembered.
    pub fn last_price(&self) -> Option<(Price, UnixNanos)> {
        let last = self.roots.filter_map(|root| self.links[root].series.last_row());
        last.max_by_key(|sums| sums.last).map(|sums| (sums.prices.close, sums.last.at))
    }

    /// Whether [`Self::add_last`] may be used.
    pub fn takes_plain(&self) -> bool {
        self.single_root.is_some_and(|root| self.links[root].series.closed_until().0 != i64::MIN)
    }

    /// Whether a trade of this rank comes after all that open candles hold.
    pub fn is_last(&self, rank: Rank) -> bool {
        self.links.iter().all(|link| link.series.last_row().is_none_or(|sums| sums.last <= rank))
    }

    /// Adds a trade that comes after all others by rank, and is not in a closed candle.
    #[inline]
    pub fn add_last(&mut self, print: &Print, with_sizes: bool) {
        if let Some(root) = self.single_root {
            self.links[root].series.add::<true>(print, with_sizes);
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
        if let Some(root) = self.single_root {
            let series = &mut self.links[root].series;
            if print.rank.at >= series.closed_until() && series.closed_until().0 != i64::MIN {
                series.add::<false>(print, with_sizes);
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
        for i in 0..self.links.len() {
            let reaches = match self.links[i].feeder {
                None => true,
                // What the feeder has not closed yet comes from there.
                Some(feeder) => at < self.links[usize::from(feeder)].series.closed_until(),
            };
            self.links[i].fed_due = UnixNanos(i64::MIN);
            let series = &mut self.links[i].series;
            series.begin(at);
            if !reaches {
                continue;
            }
            if at >= series.closed_until() {
                series.add::<false>(print, with_sizes);
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

    #[inline]
    fn plan_next_close(&mut self) {
        if let Some(root) = self.single_root {
            self.next_close = self.links[root].series.next_close();
            return;
        }
        let next = self.roots.map(|root| self.links[root].series.next_close()).min();
        self.next_close = next.unwrap_or(UnixNanos(i64::MAX));
    }

    /// Closes every candle that ends at or before `limit`.
    pub fn close_due<S: OutputSink>(&mut self, limit: UnixNanos, desk: &mut Desk<'_, S>) {
        match self.single_root {
            Some(root) => close_until(&mut self.links[root..], limit, desk),
            None => self.roots.for_each(|root| close_until(&mut self.links[root..], limit, desk)),
        }
        self.plan_next_close();
    }

    /// Tells anew what has changed of closed candles.
    #[cold]
    pub fn revise<S: OutputSink>(&mut self, dirty: Dirty, desk: &mut Desk<'_, S>) {
        for i in 0..self.links.len() {
            self.links[i].series.revise(dirty, desk);
            // A trade older than the first one moved the beginning of those that had told nothing:
            // what their feeder has closed long ago won't be announced again.
            close_fed(&mut self.links[i..], desk);
        }
    }

    /// Closes all up to the interval that holds `last`, as they are. `desk.ending` is set.
    pub fn finish<S: OutputSink>(&mut self, last: UnixNanos, desk: &mut Desk<'_, S>) {
        for i in 0..self.links.len() {
            if self.links[i].series.closed_until().0 == i64::MIN {
                continue;
            }
            let interval = self.links[i].series.interval();
            let until = interval.close_of(interval.open_of(last));
            if until > self.links[i].series.closed_until() {
                close(&mut self.links[i..], until, desk);
            }
            self.links[i].series.finish_stretch(desk);
        }
        self.plan_next_close();
    }

    /// Takes a ready candle of the shortest interval, which is whole. `false`: it is older than what is closed.
    pub fn take_ready<S: OutputSink>(&mut self, candle: &ReadyCandle, desk: &mut Desk<'_, S>) -> bool {
        for link in &mut self.links {
            link.series.begin(candle.open_at);
            link.fed_due = UnixNanos(i64::MIN);
        }
        if candle.open_at < self.links[0].series.closed_until() {
            return false;
        }
        close(&mut self.links, candle.open_at, desk);
        if let Some(prices) = candle.prices {
            self.links[0].series.add_sums(candle.open_at, &Sums::of_ready(candle, prices));
        }
        let until = self.links[0].series.interval().close_of(candle.open_at);
        close(&mut self.links, until, desk);
        true
    }

    /// The shortest interval.
    pub fn shortest(&self) -> Option<TimeInterval> {
        self.links.first().map(|link| link.series.interval())
    }

    /// All intervals of the shortest series up to here are closed.
    pub fn closed_until(&self) -> UnixNanos {
        self.links.first().map_or(UnixNanos(i64::MIN), |link| link.series.closed_until())
    }

    /// Whether every interval can be made of the shortest.
    pub fn has_one_root(&self) -> bool {
        self.single_root.is_some()
    }
}
