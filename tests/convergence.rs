//! Whatever the order in which trades arrive, candles and all indicators end as if they had
//! arrived in the order in which they were made.

use std::collections::BTreeMap;

use tapewatch::analytics::archive::MemoryArchive;
use tapewatch::analytics::catalogue::{Spec, entries};
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline};
use tapewatch::domain::candle::Candle;
use tapewatch::domain::data_state::DataState;
use tapewatch::domain::event::{Trade, TradeId};
use tapewatch::domain::interval::Interval;
use tapewatch::domain::output::{Output, OutputSink, Position};
use tapewatch::domain::venue::IdRule;
use tapewatch::replay::generate::market::Market;
use tapewatch::replay::generate::parameters::Parameters;

/// Values by their bits: the same means the same.
type Reading = (Vec<u64>, DataState);

/// What was told last.
#[derive(Default)]
struct Last {
    candles: BTreeMap<(Interval, i64), Candle>,
    readings: BTreeMap<(Interval, i64, String), Reading>,
}

impl OutputSink for Last {
    fn accept(&mut self, _cause_seq: u64, output: Output<'_>) {
        match output {
            Output::Candle(candle) => {
                let key = (candle.interval, candle.open_at.0);
                // A stretch takes the place of what was told singly inside of it.
                let inside: Vec<_> = self
                    .candles
                    .range((candle.interval, candle.open_at.0 + 1)..(candle.interval, candle.close_at.0))
                    .map(|(key, _)| *key)
                    .collect();
                for key in inside {
                    self.candles.remove(&key);
                }
                // How often a row was told may differ.
                self.candles.insert(key, Candle { revision: 0, ..candle.clone() });
            }
            Output::Indicator(snapshot) => {
                let key = (snapshot.interval, snapshot.open_at.0, snapshot.indicator.to_owned());
                let bits = snapshot.values.iter().map(|value| value.to_bits()).collect();
                self.readings.insert(key, (bits, snapshot.data_state));
            }
            _ => {}
        }
    }
}

fn run(settings: &Settings, rule: IdRule, trades: &[Trade]) -> Last {
    let mut pipeline = SymbolPipeline::new("x:A-B".parse().unwrap(), rule, settings);
    let (mut last, mut archive) = (Last::default(), MemoryArchive::default());
    for (i, trade) in trades.iter().enumerate() {
        pipeline.on_trade(Position(i as u64), trade, &mut archive, &mut last);
    }
    pipeline.finish(&mut archive, &mut last);
    last
}

fn check(parameters: &Parameters, rule: IdRule, intervals: &[&str], window: usize) {
    let arrived: Vec<Trade> = Market::new(parameters)
        .unwrap()
        .map(|(_, trade)| match rule {
            IdRule::Absent => Trade { id: TradeId::Absent, ..trade },
            _ => trade,
        })
        .collect();
    let mut made = arrived.clone();
    // The sort is stable: the first of an id stays the first.
    made.sort_by_key(|trade| {
        let id = if let TradeId::Number(number) = trade.id { number } else { 0 };
        (trade.exchange_at, id)
    });
    assert_ne!(made, arrived, "something must have come late");

    let intervals: Vec<Interval> = intervals.iter().map(|text| text.parse().unwrap()).collect();
    let indicators: Vec<Spec> = entries().map(|entry| Spec::parse(entry.name).unwrap()).collect();
    let settings = Settings { window, ..Settings::new(&intervals, &indicators, 2_000_000_000) };
    let (expected, told) = (run(&settings, rule, &made), run(&settings, rule, &arrived));
    let case = format!("seed {}, ids {}, window {window}", parameters.seed, rule.name());
    for (key, candle) in &expected.candles {
        assert_eq!(told.candles.get(key), Some(candle), "{case}");
    }
    assert_eq!(told.candles.len(), expected.candles.len(), "{case}");
    let mut readings = 0;
    for (key, reading) in &expected.readings {
        assert_eq!(told.readings.get(key), Some(reading), "{case}: {key:?}");
        readings += 1;
    }
    for key in told.readings.keys() {
        assert!(expected.readings.contains_key(key), "{case}: {key:?} is told and should not be");
    }
    assert!(readings > 1_000, "{case}: only {readings} readings");
}

fn market(seed: u64) -> Parameters {
    Parameters {
        seed,
        symbols: vec!["ETH-USDT".to_owned()],
        duration_seconds: 5_400,
        rate: 1.0,
        gap_rate: 0.002,
        duplicate_rate: 0.01,
        conflicting_share: 0.2,
        late_rate: 0.01,
        late_seconds_max: 900.0,
        ..Parameters::default()
    }
}

#[test]
fn within_the_window_everything_converges() {
    for seed in 1..4 {
        check(&market(seed), IdRule::Contiguous, &["1s", "15s", "1m"], 2_000);
        check(&market(seed), IdRule::Absent, &["5s", "1m"], 2_000);
    }
}

#[test]
fn beyond_the_window_everything_converges() {
    for seed in 4..7 {
        check(&market(seed), IdRule::Contiguous, &["1s", "15s", "1m"], 16);
        check(&market(seed), IdRule::Sparse, &["5s", "1m"], 16);
    }
}

#[test]
fn coarse_prices_converge() {
    for seed in 7..10 {
        let parameters = Parameters { symbols: vec!["PEPE-USDT".to_owned()], rate: 0.3, ..market(seed) };
        check(&parameters, IdRule::Contiguous, &["1s", "5s", "1m", "5m"], 64);
    }
}
