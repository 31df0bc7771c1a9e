//! How one symbol's trades reach us: most at once, some late, some twice, some never.
//!
//! What is delivered on time keeps the order of ids, as on a websocket. The faults draw from
//! a stream of their own: the market behind them is the same with and without them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::domain::decimal::{Price, Quantity};
use crate::domain::event::{Trade, TradeId};
use crate::domain::time::UnixNanos;
use crate::replay::generate::label::{Label, LabelKind, LabelLog, Magnitude};
use crate::replay::generate::parameters::{COPY_SECONDS_MAX, Parameters};
use crate::replay::generate::random::Random;
use crate::replay::generate::symbol::{Grid, Symbol};
use crate::replay::generate::tape::{Print, Tape};

/// Receive times are whole microseconds, as clocks of recorders are.
const RECEIVE_UNIT: i64 = 1_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    OnTime,
    Late,
    Copy,
    UnequalCopy(&'static str),
}

/// Something under way. Ordered by arrival, then by when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parcel {
    arrives_at: i64,
    sent: u64,
    manner: Manner,
    print: Print,
}

impl Ord for Parcel {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.arrives_at, self.sent).cmp(&(other.arrives_at, other.sent))
    }
}

impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// One symbol's trades in order of arrival.
pub struct Delivery {
    tape: Tape,
    index: usize,
    price_grid: Grid,
    quantity_grid: Grid,
    random: Random,
    latencies: Random,

    gap_rate: f64,
    gap_trades: f64,
    duplicate_rate: f64,
    conflicting_share: f64,
    late_rate: f64,
    late_seconds_max: f64,

    /// Late trades and copies under way; bounded by how much a market trades in the longest delay.
    pending: BinaryHeap<Reverse<Parcel>>,
    /// The next one on time.
    upcoming: Option<Parcel>,
    sent: u64,
    /// When the last one on time arrives.
    arrived_at: i64,
    /// Trades still to lose in this gap.
    losing: u64,
    lost: Option<(u64, u64)>,
    /// Exchange time of the last trade not lost.
    kept_at: Option<i64>,
    /// Newest exchange time that was delivered.
    newest_at: i64,
}

impl Delivery {
    pub fn new(parameters: &Parameters, index: usize, symbol: &Symbol, log: &mut LabelLog) -> Self {
        let stream = |name: &str| Random::new(parameters.seed, &format!("{}/{name}", symbol.instrument));
        let mut delivery = Self {
            tape: Tape::new(parameters, index, symbol),
            index,
            price_grid: symbol.price_grid,
            quantity_grid: symbol.quantity_grid,
            random: stream("faults"),
            latencies: stream("latencies"),
            gap_rate: parameters.gap_rate,
            gap_trades: parameters.gap_trades,
            duplicate_rate: parameters.duplicate_rate,
            conflicting_share: parameters.conflicting_share,
            late_rate: parameters.late_rate,
            late_seconds_max: parameters.late_seconds_max,
            pending: BinaryHeap::new(),
            upcoming: None,
            sent: 0,
            arrived_at: i64::MIN,
            losing: 0,
            lost: None,
            kept_at: None,
            newest_at: i64::MIN,
        };
        delivery.upcoming = delivery.send(log);
        delivery
    }

    /// When the next one arrives; `None` after the last.
    pub fn next_at(&self) -> Option<i64> {
        let pending = self.pending.peek().map(|Reverse(parcel)| parcel.arrives_at);
        let upcoming = self.upcoming.as_ref().map(|parcel| parcel.arrives_at);
        match (pending, upcoming) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The next to arrive.
    pub fn next(&mut self, log: &mut LabelLog) -> Option<Trade> {
        let pending_first = match (self.pending.peek(), &self.upcoming) {
            (Some(Reverse(pending)), Some(upcoming)) => pending < upcoming,
            (pending, _) => pending.is_some(),
        };
        let parcel = if pending_first {
            self.pending.pop().map(|Reverse(parcel)| parcel)?
        } else {
            let parcel = self.upcoming.take()?;
            self.upcoming = self.send(log);
            parcel
        };
        self.tell(&parcel, log);
        self.newest_at = self.newest_at.max(parcel.print.exchange_at);
        Some(self.trade(&parcel))
    }

    /// Trades leave the venue until one comes that will be on time.
    fn send(&mut self, log: &mut LabelLog) -> Option<Parcel> {
        loop {
            let print = self.tape.next(log)?;
            if self.loses(&print, log) {
                continue;
            }
            // Quick to draw, and two symbols seldom arrive together.
            let latency = NANOS_PER_MILLI + (self.latencies.word() >> 41) as i64;
            let on_time = print.exchange_at + latency;
            let late = self.random.chance(self.late_rate);
            let arrives_at = if late {
                let delay = self.random.log_uniform(1.0, self.late_seconds_max);
                on_time + (delay * 1e9) as i64
            } else {
                self.arrived_at = self.arrived_at.max(on_time);
                self.arrived_at
            };
            let arrives_at = arrives_at - arrives_at.rem_euclid(RECEIVE_UNIT);
            let manner = if late { Manner::Late } else { Manner::OnTime };
            let parcel = self.parcel(arrives_at, manner, print);
            if self.random.chance(self.duplicate_rate) {
                let copy = self.copy(&parcel);
                self.pending.push(Reverse(copy));
            }
            if late {
                self.pending.push(Reverse(parcel));
            } else {
                return Some(parcel);
            }
        }
    }

    /// Whether the trade is never delivered. Two gaps always have a trade between them, and none
    /// is at the beginning: what can't be noticed is not a gap.
    fn loses(&mut self, print: &Print, log: &mut LabelLog) -> bool {
        if self.losing == 0
            && self.lost.is_none()
            && self.kept_at.is_some()
            && self.random.chance(self.gap_rate)
        {
            self.losing = self.random.geometric(self.gap_trades);
        }
        if self.losing > 0 {
            self.losing -= 1;
            let first = self.lost.map_or(print.id, |(first, _)| first);
            self.lost = Some((first, print.id));
            return true;
        }
        if let (Some((first, last)), Some(kept_at)) = (self.lost.take(), self.kept_at) {
            log.tell(Label {
                kind: LabelKind::Gap,
                symbol: self.index,
                from: UnixNanos(kept_at),
                to: UnixNanos(print.exchange_at),
                ids: Some((first, last)),
                magnitude: Magnitude::count(last - first + 1),
                detail: None,
            });
        }
        self.kept_at = Some(print.exchange_at);
        false
    }

    /// A second copy, which always arrives after the first.
    fn copy(&mut self, first: &Parcel) -> Parcel {
        let delay = self.random.log_uniform(0.001, COPY_SECONDS_MAX);
        let arrives_at = first.arrives_at + (delay * 1e9) as i64 / RECEIVE_UNIT * RECEIVE_UNIT;
        let mut print = first.print;
        let manner = if !self.random.chance(self.conflicting_share) {
            Manner::Copy
        } else if self.random.chance(0.5) {
            print.price += 1;
            Manner::UnequalCopy("price")
        } else {
            print.quantity += 1;
            Manner::UnequalCopy("quantity")
        };
        self.parcel(arrives_at, manner, print)
    }

    fn parcel(&mut self, arrives_at: i64, manner: Manner, print: Print) -> Parcel {
        self.sent += 1;
        Parcel { arrives_at, sent: self.sent, manner, print }
    }

    fn tell(&self, parcel: &Parcel, log: &mut LabelLog) {
        let exchange_at = parcel.print.exchange_at;
        let (kind, magnitude, detail) = match parcel.manner {
            Manner::OnTime => return,
            Manner::Late => {
                let behind = self.newest_at.saturating_sub(exchange_at);
                if behind <= 0 || self.newest_at == i64::MIN {
                    // Nothing newer came in the meantime: it stands where it belongs.
                    return;
                }
                (LabelKind::Late, Magnitude::seconds(behind), None)
            }
            Manner::Copy => (LabelKind::Duplicate, Magnitude::count(1), None),
            Manner::UnequalCopy(field) => (LabelKind::Conflicting, Magnitude::count(1), Some(field)),
        };
        log.tell(Label {
            kind,
            symbol: self.index,
            from: UnixNanos(exchange_at),
            to: UnixNanos(parcel.arrives_at),
            ids: Some((parcel.print.id, parcel.print.id)),
            magnitude,
            detail,
        });
    }

    fn trade(&self, parcel: &Parcel) -> Trade {
        let print = &parcel.print;
        Trade {
            price: Price::new(self.price_grid.value(print.price)).expect("at least one step"),
            quantity: Quantity::new(self.quantity_grid.value(print.quantity)).expect("at least one step"),
            exchange_at: UnixNanos(print.exchange_at),
            received_at: UnixNanos(parcel.arrives_at).stamp(),
            id: TradeId::Number(print.id),
            taker_side: Some(print.side),
            trade_count: 1,
        }
    }
}
