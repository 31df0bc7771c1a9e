//! A generated market: the trades of all its symbols, in order of arrival.
//!
//! An iterator that needs the same memory however long the market lasts. Symbols do not
//! influence each other (but share the venue's silences): one more leaves the others as they were.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::domain::event::Trade;
use crate::domain::instrument::Instrument;
use crate::domain::venue::Venue;
use crate::replay::generate::delivery::Delivery;
use crate::replay::generate::error::GenerateError;
use crate::replay::generate::label::{Label, LabelLog};
use crate::replay::generate::parameters::{Parameters, Problem};
use crate::replay::generate::symbol::Symbol;

/// Yields the position of the instrument in [`Market::instruments`] and its trade.
pub struct Market {
    instruments: Vec<Instrument>,
    deliveries: Vec<Delivery>,
    /// Next arrival of each symbol; at one time the first symbol is first.
    queue: BinaryHeap<Reverse<(i64, usize)>>,
    log: LabelLog,
}

impl Market {
    /// Trades alone. Refuses parameters with all that is wrong with them.
    pub fn new(parameters: &Parameters) -> Result<Self, GenerateError> {
        Self::with_log(parameters, LabelLog::dropping())
    }

    /// Trades, and labels that are to be fetched from time to time with [`Market::take_labels`].
    pub fn labelled(parameters: &Parameters) -> Result<Self, GenerateError> {
        Self::with_log(parameters, LabelLog::keeping())
    }

    /// One symbol with a mean gap of 20 ms between trades, a quarter of them in bursts at one time;
    /// without faults, and without end.
    pub fn bench_one(seed: u64) -> Self {
        let parameters =
            Parameters { seed, rate: 50.0, symbols: vec!["BTC-USDT".to_owned()], ..Self::endless() };
        Self::new(&parameters).expect("the parameters are right")
    }

    /// So many interleaved symbols of all magnitudes of price, each with a mean gap of one second
    /// and without bursts; without faults, and without end.
    pub fn bench_many(seed: u64, symbols: usize) -> Self {
        const PRICES: [&str; 6] = ["0.00001234", "0.01234", "1.234", "123.4", "61234", "971234000"];
        let parameters = Parameters {
            seed,
            rate: 1.0,
            burst_share: 0.0,
            symbols: (0..symbols.max(1))
                .map(|i| format!("S{i:05}-USDT@{}", PRICES[i % PRICES.len()]))
                .collect(),
            ..Self::endless()
        };
        Self::new(&parameters).expect("the parameters are right")
    }

    fn endless() -> Parameters {
        Parameters { branching: 0.0, duration_seconds: 0, trades_per_symbol: u64::MAX, ..Parameters::clean() }
    }

    /// In the order of the parameters' symbols.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The labels since the last time. A label comes as soon as it is certain: no later than the
    /// trade that shows it.
    pub fn take_labels(&mut self) -> Vec<Label> {
        self.log.take()
    }

    fn with_log(parameters: &Parameters, mut log: LabelLog) -> Result<Self, GenerateError> {
        let symbols = check(parameters)?;
        let mut deliveries = Vec::with_capacity(symbols.len());
        let mut queue = BinaryHeap::with_capacity(symbols.len());
        for (index, symbol) in symbols.iter().enumerate() {
            let delivery = Delivery::new(parameters, index, symbol, &mut log);
            queue.extend(delivery.next_at().map(|at| Reverse((at, index))));
            deliveries.push(delivery);
        }
        let instruments = symbols.into_iter().map(|symbol| symbol.instrument).collect();
        Ok(Self { instruments, deliveries, queue, log })
    }
}

impl Iterator for Market {
    type Item = (usize, Trade);

    fn next(&mut self) -> Option<Self::Item> {
        let mut first = self.queue.peek_mut()?;
        let Reverse((_, index)) = *first;
        let delivery = &mut self.deliveries[index];
        let trade = delivery.next(&mut self.log).expect("what is queued has a next one");
        match delivery.next_at() {
            Some(at) => *first = Reverse((at, index)),
            None => {
                std::collections::binary_heap::PeekMut::pop(first);
            }
        }
        Some((index, trade))
    }
}

/// The symbols, or everything that is wrong.
fn check(parameters: &Parameters) -> Result<Vec<Symbol>, GenerateError> {
    let mut problems = parameters.problems();
    let mut symbols = Vec::new();
    match Venue::new(&parameters.venue) {
        Err(_) => problems.push(Problem {
            key: "venue",
            value: format!("{:?}", parameters.venue),
            allowed: "a name of lower-case letters, digits and hyphens (at most 32)".to_owned(),
        }),
        Ok(venue) => {
            let mut names = BTreeSet::new();
            for text in &parameters.symbols {
                match Symbol::parse(text, &venue) {
                    Ok(symbol) if names.insert(symbol.instrument.symbol().to_owned()) => symbols.push(symbol),
                    Ok(_) => problems.push(bad_symbol(text, "each symbol once")),
                    Err(why) => {
                        problems.push(bad_symbol(text, &format!("BASE-QUOTE or BASE-QUOTE@PRICE: {why}")))
                    }
                }
            }
        }
    }
    if problems.is_empty() { Ok(symbols) } else { Err(GenerateError::Parameters(problems)) }
}

fn bad_symbol(text: &str, allowed: &str) -> Problem {
    Problem { key: "symbols", value: format!("{text:?}"), allowed: allowed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::TradeId;
    use crate::domain::time::NANOS_PER_SECOND;
    use crate::replay::generate::label::LabelKind;

    fn number(trade: &Trade) -> u64 {
        match trade.id {
            TradeId::Number(number) => number,
            _ => panic!("generated ids are numbers"),
        }
    }

    fn faulty() -> Parameters {
        Parameters {
            duration_seconds: 3_600,
            rate: 5.0,
            gap_rate: 0.005,
            duplicate_rate: 0.02,
            conflicting_share: 0.3,
            late_rate: 0.02,
            ..Parameters::default()
        }
    }

    #[test]
    fn trades_come_in_order_of_arrival() {
        let arrivals: Vec<i64> =
            Market::new(&faulty()).unwrap().map(|(_, trade)| trade.received_at.unwrap().at().0).collect();
        assert!(arrivals.len() > 10_000 && arrivals.is_sorted());
    }

    #[test]
    fn one_more_symbol_leaves_the_others_as_they_were() {
        let alone = Parameters { symbols: vec!["PEPE-USDT".to_owned()], ..faulty() };
        let alone: Vec<Trade> = Market::new(&alone).unwrap().map(|(_, trade)| trade).collect();
        let among: Vec<Trade> =
            Market::new(&faulty()).unwrap().filter(|(index, _)| *index == 2).map(|(_, t)| t).collect();
        assert_eq!(alone, among);
    }

    /// Replays the ids of the market with faults against the one without.
    #[test]
    fn labels_tell_exactly_what_went_wrong() {
        let faulty = faulty();
        let clean = Parameters { gap_rate: 0.0, duplicate_rate: 0.0, late_rate: 0.0, ..faulty.clone() };
        let mut made = vec![Vec::new(); 4];
        for (index, trade) in Market::new(&clean).unwrap() {
            made[index].push(trade);
        }
        let mut market = Market::labelled(&faulty).unwrap();
        let delivered: Vec<(usize, Trade)> = market.by_ref().collect();
        let labels = market.take_labels();
        for (index, made) in made.iter().enumerate() {
            let mine: Vec<&Trade> = delivered.iter().filter(|(i, _)| *i == index).map(|(_, t)| t).collect();
            let labels: Vec<&Label> = labels.iter().filter(|l| l.symbol == index).collect();
            check_faults(made, &mine, &labels);
        }
        for kind in [LabelKind::Gap, LabelKind::Duplicate, LabelKind::Conflicting, LabelKind::Late] {
            assert!(labels.iter().filter(|l| l.kind == kind).count() > 50, "{kind:?}");
        }
    }

    fn check_faults(made: &[Trade], delivered: &[&Trade], labels: &[&Label]) {
        let of = |kind| labels.iter().filter(move |l| l.kind == kind);
        let first_id = number(&made[0]);
        let original = |id: u64| &made[(id - first_id) as usize];
        let same = |a: &Trade, b: &Trade| {
            (a.price, a.quantity, a.exchange_at, a.taker_side)
                == (b.price, b.quantity, b.exchange_at, b.taker_side)
        };

        let mut expected_gaps = BTreeSet::new();
        for label in of(LabelKind::Gap) {
            let (first, last) = label.ids.unwrap();
            expected_gaps.extend(first..=last);
            assert_eq!(label.magnitude.to_f64(), (last - first + 1) as f64);
            assert_eq!(label.from, original(first - 1).exchange_at);
            assert_eq!(label.to, original(last + 1).exchange_at);
        }
        let newest = delivered.iter().map(|t| number(t)).max().unwrap();
        let seen: BTreeSet<u64> = delivered.iter().map(|t| number(t)).collect();
        let missing: BTreeSet<u64> = (first_id..newest).filter(|id| !seen.contains(id)).collect();
        assert_eq!(missing, expected_gaps);

        let (mut firsts, mut newest_at) = (BTreeSet::new(), None);
        let (mut equal, mut unequal, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for trade in delivered {
            let id = number(trade);
            if firsts.insert(id) {
                assert!(same(trade, original(id)), "the first of an id is the trade as it was made");
                let behind = newest_at.map_or(0, |newest: i64| newest - trade.exchange_at.0);
                if behind > 0 {
                    late.push((id, behind as f64 / NANOS_PER_SECOND as f64));
                }
            } else if same(trade, original(id)) {
                equal.push(id);
            } else {
                unequal.push(id);
            }
            newest_at = newest_at.max(Some(trade.exchange_at.0));
        }
        let ids = |kind| of(kind).map(|l| l.ids.unwrap().0).collect::<Vec<u64>>();
        assert_eq!(equal, ids(LabelKind::Duplicate));
        assert_eq!(unequal, ids(LabelKind::Conflicting));
        let told: Vec<(u64, f64)> =
            of(LabelKind::Late).map(|l| (l.ids.unwrap().0, l.magnitude.to_f64())).collect();
        assert_eq!(late, told);
    }

    /// Mean gap in seconds of the whole stream, and the share of trades at the time of a neighbour.
    fn check_bench(market: Market, gap: f64, in_bursts: f64) {
        const TRADES: usize = 400_000;
        let times: Vec<i64> = market.take(TRADES).map(|(_, trade)| trade.exchange_at.0).collect();
        let mean = (times[TRADES - 1] - times[0]) as f64 / TRADES as f64 / 1e9;
        assert!((mean / gap - 1.0).abs() < 0.02, "mean gap {mean}");
        let share = times.windows(3).filter(|w| w[0] == w[1] || w[1] == w[2]).count() as f64 / TRADES as f64;
        assert!((share - in_bursts).abs() < 0.05, "share in bursts {share}");
    }

    #[test]
    fn the_streams_of_the_benches_are_as_promised() {
        // Orders that meet in one millisecond by chance add a little to the share.
        check_bench(Market::bench_one(1), 0.02, 0.27);
        let market = Market::bench_many(1, 50);
        assert_eq!(market.instruments().len(), 50);
        check_bench(market, 0.02, 0.06);
    }

    fn check_refused(parameters: Parameters, expected: &str) {
        let message = Market::new(&parameters).err().expect("refused").to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let symbols = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        check_refused(
            Parameters { symbols: symbols(&["BTCUSDT"]), ..Parameters::default() },
            "symbols is \"BTCUSDT\"",
        );
        check_refused(
            Parameters { symbols: symbols(&["A-B", "A-B@7"]), ..Parameters::default() },
            "each symbol once",
        );
        check_refused(Parameters { venue: "No Venue".to_owned(), ..Parameters::default() }, "venue is");
        check_refused(Parameters { rate: 0.0, ..Parameters::default() }, "rate is 0, allowed is 0.000001 to");
    }

    #[test]
    fn extremes_are_still_trades() {
        for symbol in ["DUST-BTC@0.00000000001", "BTC-IRR@1000000000000", "PEPE-USDT", "BTC-IDR"] {
            for (rate, volatility, branching) in [(1e6, 0.0, 0.98), (1e-3, 100.0, 0.0), (10.0, 100.0, 0.9)] {
                let parameters = Parameters {
                    symbols: vec![symbol.to_owned()],
                    duration_seconds: 0,
                    trades_per_symbol: 5_000,
                    rate,
                    volatility,
                    branching,
                    jump_size: 0.3,
                    anomalies_per_hour: 60.0,
                    size_tail: 1.1,
                    burst_share: 1.0,
                    burst_trades: 1_000.0,
                    gap_rate: 0.0,
                    duplicate_rate: if rate > 100.0 { 0.0 } else { 1.0 },
                    conflicting_share: 1.0,
                    late_rate: 1.0,
                    late_seconds_max: if rate > 100.0 { 1.0 } else { 86_400.0 },
                    ..Parameters::default()
                };
                // Prices and quantities above zero are what their types promise.
                let count = Market::new(&parameters).unwrap().count();
                let expected = if rate > 100.0 { 5_000 } else { 10_000 };
                assert!(count == expected, "{symbol} {rate}: {count}");
            }
        }
    }
}
