//! What one simulated market has traded: the truth, and what REST tells of it.

use std::collections::VecDeque;

use crate::domain::decimal::{Price, Quantity, QuoteVolume, Volume};
use crate::domain::event::Side;
use crate::domain::time::UnixNanos;

/// One trade that was made. Its id is its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    pub price: Price,
    pub quantity: Quantity,
    /// The simulated venue's clock; never falls within a market.
    pub at: UnixNanos,
    pub taker_side: Side,
    /// Made, but neither told nor given over REST.
    pub is_missing: bool,
}

/// Trades of one market, their ids rising by one. Keeps a bounded number: the oldest go first, and are counted.
#[derive(Debug)]
pub struct History {
    deals: VecDeque<Deal>,
    first_id: u64,
    next_id: u64,
    keep: usize,
}

/// A candle as a venue computes it, of the trades that REST gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub open_at: UnixNanos,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    pub volume: Volume,
    pub quote_volume: QuoteVolume,
    pub taker_buy_volume: Volume,
    pub taker_buy_quote_volume: QuoteVolume,
    /// 0: nothing traded, the prices are the last close before.
    pub trade_count: u64,
}

impl History {
    /// `keep` is at least 1.
    pub fn new(first_id: u64, keep: usize) -> Self {
        Self { deals: VecDeque::new(), first_id, next_id: first_id, keep: keep.max(1) }
    }

    /// The id of the new trade.
    pub fn push(&mut self, deal: Deal) -> u64 {
        if self.deals.len() == self.keep {
            self.deals.pop_front();
        }
        self.deals.push_back(deal);
        self.next_id += 1;
        self.next_id - 1
    }

    /// A trade goes missing: it was made, and nobody will ever tell it.
    pub fn lose(&mut self, id: u64) {
        let at = id.checked_sub(self.oldest_id()).and_then(|at| usize::try_from(at).ok());
        if let Some(deal) = at.and_then(|at| self.deals.get_mut(at)) {
            deal.is_missing = true;
        }
    }

    /// Id of the first trade ever made here.
    pub fn first_id(&self) -> u64 {
        self.first_id
    }

    /// Id of the trade to come.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Id of the oldest trade that is kept, or of the one to come.
    pub fn oldest_id(&self) -> u64 {
        self.next_id - self.deals.len() as u64
    }

    pub fn last_at(&self) -> Option<UnixNanos> {
        self.deals.back().map(|deal| deal.at)
    }

    pub fn get(&self, id: u64) -> Option<&Deal> {
        self.deals.get(usize::try_from(id.checked_sub(self.oldest_id())?).ok()?)
    }

    /// Trades from an id on, in order, the missing ones too.
    pub fn from(&self, id: u64) -> impl DoubleEndedIterator<Item = (u64, &Deal)> {
        let oldest = self.oldest_id();
        let skipped = usize::try_from(id.saturating_sub(oldest)).unwrap_or(usize::MAX).min(self.deals.len());
        self.deals.range(skipped..).enumerate().map(move |(at, deal)| (oldest + (skipped + at) as u64, deal))
    }

    /// Id of the first trade at or after a moment.
    pub fn id_at(&self, at: UnixNanos) -> u64 {
        self.oldest_id() + self.deals.partition_point(|deal| deal.at < at) as u64
    }

    /// Candles whose open time lies in `[from, to)`, made of trades before `until`; where nothing traded, an empty
    /// one stands if `with_empty`. At most `limit`, the newest ones if `newest`.
    pub fn buckets(&self, span: Span) -> Vec<Bucket> {
        let mut buckets: Vec<Bucket> = Vec::new();
        // An empty candle repeats the close before it, wherever that is.
        let start = if span.with_empty { self.oldest_id() } else { self.id_at(span.from) };
        for (_, deal) in self.from(start).filter(|(_, deal)| !deal.is_missing) {
            if deal.at >= span.until {
                break;
            }
            let open_at = span.open_of(deal.at);
            if open_at >= span.to {
                break;
            }
            if let Some(last) = buckets.last_mut().filter(|last| last.open_at == open_at) {
                last.add(deal);
                continue;
            }
            if span.with_empty {
                span.fill(&mut buckets, open_at);
            }
            let mut bucket = Bucket::empty(open_at, deal.price);
            bucket.add(deal);
            buckets.push(bucket);
            span.trim(&mut buckets);
        }
        if span.with_empty {
            let end = span.to.min(UnixNanos(span.open_of(span.until).0.saturating_add(span.interval)));
            span.fill(&mut buckets, end);
        }
        buckets.retain(|bucket| bucket.open_at >= span.from);
        let surplus = buckets.len().saturating_sub(span.limit);
        if span.newest {
            buckets.drain(..surplus);
        } else {
            buckets.truncate(span.limit);
        }
        buckets
    }
}

/// Which candles are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Nanoseconds.
    pub interval: i64,
    pub from: UnixNanos,
    pub to: UnixNanos,
    pub until: UnixNanos,
    pub limit: usize,
    pub newest: bool,
    pub with_empty: bool,
}

impl Span {
    fn open_of(&self, at: UnixNanos) -> UnixNanos {
        /// 1970-01-01 was a Thursday; weeks begin on Mondays.
        const WEEK: i64 = 604_800_000_000_000;
        let offset = if self.interval == WEEK { WEEK / 7 * 3 } else { 0 };
        UnixNanos(at.0 - (at.0 + offset).rem_euclid(self.interval))
    }

    /// Empty candles between the last one and `until`.
    fn fill(&self, buckets: &mut Vec<Bucket>, until: UnixNanos) {
        while let Some(last) = buckets.last() {
            let next = UnixNanos(last.open_at.0 + self.interval);
            if next >= until {
                return;
            }
            let empty = Bucket::empty(next, last.close);
            buckets.push(empty);
            self.trim(buckets);
            if !self.newest
                && buckets.iter().filter(|bucket| bucket.open_at >= self.from).count() > self.limit
            {
                return;
            }
        }
    }

    /// Forgets what cannot be asked for, so that a long history costs no memory; one stays for its close.
    fn trim(&self, buckets: &mut Vec<Bucket>) {
        let is_old = |bucket: &Bucket| bucket.open_at < self.from;
        if buckets.len() > 4_096 && buckets.iter().rev().skip(1).any(is_old) {
            let old = buckets.iter().take_while(|bucket| is_old(bucket)).count();
            buckets.drain(..old.min(buckets.len() - 1));
        }
    }
}

impl Bucket {
    fn empty(open_at: UnixNanos, close: Price) -> Self {
        Self {
            open_at,
            open: close,
            high: close,
            low: close,
            close,
            volume: Volume::ZERO,
            quote_volume: QuoteVolume::ZERO,
            taker_buy_volume: Volume::ZERO,
            taker_buy_quote_volume: QuoteVolume::ZERO,
            trade_count: 0,
        }
    }

    fn add(&mut self, deal: &Deal) {
        let (volume, value) = (Volume::of(deal.quantity), QuoteVolume::of(deal.price, deal.quantity));
        self.high = self.high.max(deal.price);
        self.low = self.low.min(deal.price);
        self.close = deal.price;
        self.volume.add(volume);
        self.quote_volume.add(value);
        if deal.taker_side == Side::Buy {
            self.taker_buy_volume.add(volume);
            self.taker_buy_quote_volume.add(value);
        }
        self.trade_count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deal(seconds: i64, price: &str) -> Deal {
        Deal {
            price: Price::parse(price.as_bytes()).unwrap(),
            quantity: Quantity::parse(b"0.5").unwrap(),
            at: UnixNanos(seconds * 1_000_000_000),
            taker_side: Side::Buy,
            is_missing: false,
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut history = History::new(10, 3);
        assert_eq!((history.oldest_id(), history.next_id()), (10, 10));
        for second in 0..5 {
            assert_eq!(history.push(deal(second, "1")), 10 + second as u64);
        }
        assert_eq!((history.first_id(), history.oldest_id(), history.next_id()), (10, 12, 15));
        assert_eq!(history.get(11), None);
        assert_eq!(history.get(12).unwrap().at.0, 2_000_000_000);
        assert_eq!(history.from(13).map(|(id, _)| id).collect::<Vec<_>>(), [13, 14]);
        assert_eq!(history.from(0).map(|(id, _)| id).collect::<Vec<_>>(), [12, 13, 14]);
        assert_eq!(history.from(99).count(), 0);
        assert_eq!(history.id_at(UnixNanos(3_500_000_000)), 14);
    }

    fn check_buckets(span: Span, expected: &[(i64, &str, &str, u64)]) {
        let mut history = History::new(1, 100);
        for (second, price) in [(60, "1"), (61, "3"), (119, "2"), (240, "5"), (301, "4")] {
            history.push(deal(second, price));
        }
        history.push(Deal { is_missing: true, ..deal(302, "9") });
        let found: Vec<_> = history
            .buckets(span)
            .iter()
            .map(|b| {
                let (high, close) = (b.high.decimal().to_string(), b.close.decimal().to_string());
                (b.open_at.0 / 1_000_000_000, high, close, b.trade_count)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(at, high, close, n)| (*at, (*high).to_owned(), (*close).to_owned(), *n))
            .collect();
        assert_eq!(found, expected, "{span:?}");
    }

    #[test]
    fn candles_are_made_of_what_rest_gives() {
        let all = Span {
            interval: 60_000_000_000,
            from: UnixNanos(0),
            to: UnixNanos(i64::MAX),
            until: UnixNanos(400_000_000_000),
            limit: 100,
            newest: true,
            with_empty: false,
        };
        check_buckets(all, &[(60, "3", "2", 3), (240, "5", "5", 1), (300, "4", "4", 1)]);
        check_buckets(Span { limit: 2, ..all }, &[(240, "5", "5", 1), (300, "4", "4", 1)]);
        check_buckets(Span { limit: 1, newest: false, ..all }, &[(60, "3", "2", 3)]);
        check_buckets(
            Span { with_empty: true, from: UnixNanos(120_000_000_000), ..all },
            &[
                (120, "2", "2", 0),
                (180, "2", "2", 0),
                (240, "5", "5", 1),
                (300, "4", "4", 1),
                (360, "4", "4", 0),
            ],
        );
        check_buckets(
            Span { until: UnixNanos(61_000_000_000), with_empty: true, ..all },
            &[(60, "1", "1", 1)],
        );
    }
}
