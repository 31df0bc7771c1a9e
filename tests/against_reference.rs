//! The pipeline against a slow and independent computation, on random recordings.

mod reference;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use reference::{Hole, Recording, Row, Tally, as_set};
use tapewatch::analytics::archive::MemoryArchive;
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline};
use tapewatch::domain::candle::Candle;
use tapewatch::domain::decimal::{Decimal, Price, Quantity};
use tapewatch::domain::event::{Side, Trade, TradeId};
use tapewatch::domain::interval::Interval;
use tapewatch::domain::output::{Gap, GapId, GapKind, GapState, Output, OutputSink, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::venue::IdRule;
use tapewatch::replay::generate::market::Market;
use tapewatch::replay::generate::parameters::Parameters;

const SECOND: i64 = 1_000_000_000;

/// Keeps what was told last. A row that is wider than the intervals takes the place of all that
/// was told inside of it.
#[derive(Default)]
struct Last {
    rows: BTreeMap<(Interval, i64), Row>,
    /// Also of rows that a stretch has covered: they may come back.
    revisions: BTreeMap<(Interval, i64), u32>,
    gaps: BTreeMap<GapId, Gap>,
}

impl OutputSink for Last {
    fn accept(&mut self, _cause_seq: u64, output: Output<'_>) {
        match output {
            Output::Candle(candle) => {
                let key = (candle.interval, candle.open_at.0);
                match self.revisions.insert(key, candle.revision) {
                    Some(before) => assert!(candle.revision > before, "not after {before}: {candle:?}"),
                    None => assert_eq!(candle.revision, 0, "a first row is no revision: {candle:?}"),
                }
                let inside: Vec<_> = self
                    .rows
                    .range((candle.interval, candle.open_at.0 + 1)..(candle.interval, candle.close_at.0))
                    .map(|(key, _)| *key)
                    .collect();
                for key in inside {
                    self.rows.remove(&key);
                }
                self.rows.insert(key, as_row(candle));
            }
            Output::Gap(gap) => {
                self.gaps.insert(gap.id, gap.clone());
            }
            _ => {}
        }
    }
}

fn as_row(candle: &Candle) -> Row {
    Row {
        interval: candle.interval.to_string(),
        open_at: candle.open_at.0,
        close_at: candle.close_at.0,
        state: candle.state.to_string(),
        prices: candle.prices.map(|p| [p.open, p.high, p.low, p.close].map(|p| p.decimal().to_string())),
        volume: candle.volume.to_string(),
        quote_volume: candle.quote_volume.expect("trades say it").to_string(),
        trade_count: candle.trade_count.expect("trades say it"),
        taker_buy_volume: candle.taker_buy_volume.expect("trades say it").to_string(),
        taker_buy_quote_volume: candle.taker_buy_quote_volume.expect("trades say it").to_string(),
        vwap: candle.vwap().map(|vwap| vwap.to_string()),
    }
}

/// One comparison.
struct Case<'a> {
    rule: IdRule,
    intervals: &'a [&'a str],
    grace: i64,
    /// Candles kept for quick revisions.
    window: usize,
}

/// `Err` tells the first difference.
fn compare(case: &Case<'_>, trades: &[Trade]) -> Result<(), String> {
    let intervals: Vec<Interval> = case.intervals.iter().map(|text| text.parse().unwrap()).collect();
    let settings = Settings { window: case.window, ..Settings::new(&intervals, &[], case.grace) };
    let mut pipeline = SymbolPipeline::new("x:A-B".parse().unwrap(), case.rule, &settings);
    let (mut last, mut archive) = (Last::default(), MemoryArchive::default());
    for (i, trade) in trades.iter().enumerate() {
        pipeline.on_trade(Position(i as u64), trade, &mut archive, &mut last);
    }
    pipeline.finish(&mut archive, &mut last);

    let recording = Recording::read(trades, case.rule, case.grace);
    for (text, interval) in case.intervals.iter().zip(&intervals) {
        let expected = recording.rows(text);
        let told: Vec<&Row> =
            last.rows.range((*interval, i64::MIN)..=(*interval, i64::MAX)).map(|(_, row)| row).collect();
        for (expected, told) in expected.iter().zip(&told) {
            if expected != *told {
                return Err(format!("expected {expected:?}\n    told {told:?}"));
            }
        }
        if expected.len() != told.len() {
            let at = expected.len().min(told.len());
            return Err(format!(
                "{text}: {} rows expected, {} told; the first too many: {:?} {:?}",
                expected.len(),
                told.len(),
                expected.get(at),
                told.get(at)
            ));
        }
    }

    let open: BTreeSet<Hole> = last
        .gaps
        .values()
        .filter(|gap| gap.state == GapState::Open)
        .map(|gap| {
            assert_eq!(gap.kind, GapKind::Ids);
            Hole {
                first_missing: gap.first_missing_id.expect("of ids"),
                last_missing: gap.last_missing_id.expect("of ids"),
                from: gap.from.0,
                to: gap.to.0,
            }
        })
        .collect();
    let holes = as_set(recording.holes());
    if open != holes {
        return Err(format!("holes {holes:?}\ntold {open:?}"));
    }

    let counts = pipeline.counts();
    let tally = Tally {
        trades: counts.trades,
        duplicates: counts.duplicates,
        conflicting: counts.conflicting,
        late: counts.late,
        refused: counts.refused,
    };
    if tally != recording.tally {
        return Err(format!("counted {:?}\n   told {tally:?}", recording.tally));
    }
    Ok(())
}

/// A generated market of one symbol, under every rule of ids.
fn check_market(parameters: &Parameters, intervals: &[&str], grace: i64) {
    for (rule, window) in
        [(IdRule::Contiguous, 128), (IdRule::Contiguous, 3), (IdRule::Sparse, 128), (IdRule::Absent, 16)]
    {
        let trades: Vec<Trade> = Market::new(parameters)
            .unwrap()
            .map(|(_, trade)| {
                let id = if rule == IdRule::Absent { TradeId::Absent } else { trade.id.clone() };
                Trade { id, ..trade }
            })
            .collect();
        let case = Case { rule, intervals, grace, window };
        if let Err(difference) = compare(&case, &trades) {
            panic!(
                "seed {}, {:?}, ids {}, window {window}, {} trades:\n{difference}",
                parameters.seed,
                parameters.symbols,
                rule.name(),
                trades.len()
            );
        }
    }
}

fn faulty(seed: u64, symbol: &str) -> Parameters {
    Parameters {
        seed,
        symbols: vec![symbol.to_owned()],
        gap_rate: 0.004,
        duplicate_rate: 0.02,
        conflicting_share: 0.3,
        late_rate: 0.02,
        ..Parameters::default()
    }
}

#[test]
fn busy_markets_are_exact() {
    for (seed, symbol) in [(1, "BTC-USDT"), (2, "PEPE-USDT"), (3, "BTC-IDR"), (4, "DUST-BTC@0.00000000001")] {
        let parameters = Parameters { duration_seconds: 1_800, ..faulty(seed, symbol) };
        check_market(&parameters, &["1s", "5s", "15s", "1m", "3m", "5m", "15m", "30m", "1h"], 2 * SECOND);
    }
}

#[test]
fn sparse_markets_are_exact() {
    for seed in 10..14 {
        let parameters = Parameters {
            rate: 0.002,
            duration_seconds: 200_000,
            late_rate: 0.1,
            late_seconds_max: 20_000.0,
            silence_seconds: 10_000.0,
            ..faulty(seed, "ETH-USDT")
        };
        let intervals = ["1s", "1m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w"];
        check_market(&parameters, &intervals, 5 * SECOND);
    }
}

#[test]
fn without_grace_nothing_else_changes() {
    for seed in 20..24 {
        let parameters = Parameters { duration_seconds: 900, late_rate: 0.2, ..faulty(seed, "SOL-USDT") };
        check_market(&parameters, &["1s", "1m", "5m"], 0);
        check_market(&parameters, &["1s", "1m", "5m"], 60 * SECOND);
    }
}

/// One trade of a small recording: time since the one before, price, quantity, side, and what
/// happens to it on the way.
#[derive(Clone, Debug)]
struct Made {
    step: i64,
    price: u64,
    quantity: u64,
    side: Option<Side>,
    lost: bool,
    /// Places by which it is late.
    late: usize,
    copied: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let step = prop_oneof![
        4 => Just(0i64),
        2 => Just(1),
        4 => 1..2 * SECOND,
        2 => Just(SECOND),
        2 => Just(SECOND / 2),
        1 => Just(60 * SECOND - 1),
        1 => 1..400 * SECOND,
        1 => Just(3_601 * SECOND),
        1 => Just(3_600 * SECOND),
        1 => 3_000 * SECOND..9_000 * SECOND,
    ];
    let side = prop_oneof![Just(None), Just(Some(Side::Buy)), Just(Some(Side::Sell))];
    let late = prop_oneof![5 => Just(0usize), 1 => 1usize..20];
    (
        step,
        1u64..1_000_000,
        1u64..1_000_000,
        side,
        prop::bool::weighted(0.15),
        late,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(step, price, quantity, side, lost, late, copied)| Made {
            step,
            price,
            quantity,
            side,
            lost,
            late,
            copied,
        })
}

/// In order of arrival.
fn arrivals(made: &[Made], with_ids: bool) -> Vec<Trade> {
    let mut at = 1_714_521_599 * SECOND + SECOND / 2;
    let mut arrivals: Vec<(usize, Trade)> = Vec::new();
    for (place, made) in made.iter().enumerate() {
        at += made.step;
        if made.lost {
            continue;
        }
        let trade = Trade {
            price: Price::new(Decimal::new(made.price, 8).unwrap()).unwrap(),
            quantity: Quantity::new(Decimal::new(made.quantity, 3).unwrap()).unwrap(),
            exchange_at: UnixNanos(at),
            received_at: None,
            id: if with_ids { TradeId::Number(place as u64 + 7) } else { TradeId::Absent },
            taker_side: made.side,
            trade_count: 1,
        };
        if made.copied {
            arrivals.push((place + made.late + 3, trade.clone()));
        }
        arrivals.push((place + made.late, trade));
    }
    arrivals.sort_by_key(|(place, _)| *place);
    arrivals.into_iter().map(|(_, trade)| trade).collect()
}

/// A recording of (seconds, places late), ids from 7 on, under several windows and graces.
fn check_small(made: &[(i64, usize)]) {
    let made: Vec<Made> = made
        .iter()
        .map(|&(seconds, late)| Made {
            step: seconds * SECOND,
            price: 1,
            quantity: 1,
            side: None,
            lost: false,
            late,
            copied: false,
        })
        .collect();
    let trades = arrivals(&made, true);
    for window in [1, 2, 128] {
        for grace in [0, 2 * SECOND] {
            let case = Case { rule: IdRule::Contiguous, intervals: &["1s", "1m", "1h", "1w"], grace, window };
            compare(&case, &trades).unwrap_or_else(|difference| panic!("window {window}: {difference}"));
        }
    }
}

#[test]
fn a_trade_older_than_the_first_opens_all_that_lies_between() {
    check_small(&[(0, 3), (3_601, 0), (60, 0)]);
    check_small(&[(0, 3), (7_200, 0), (60, 0), (60, 0)]);
    check_small(&[(0, 1), (1, 0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_recordings_are_exact(
        made in prop::collection::vec(made(), 0..40),
        rule in prop_oneof![Just(IdRule::Contiguous), Just(IdRule::Sparse), Just(IdRule::Absent)],
        grace in prop_oneof![Just(0), Just(2 * SECOND), Just(90 * SECOND)],
        window in prop_oneof![Just(1usize), Just(2), Just(5), Just(128)],
    ) {
        let trades = arrivals(&made, rule != IdRule::Absent);
        let case = Case { rule, intervals: &["1s", "1m", "1h", "1w"], grace, window };
        if let Err(difference) = compare(&case, &trades) {
            return Err(TestCaseError::fail(difference));
        }
    }
}
