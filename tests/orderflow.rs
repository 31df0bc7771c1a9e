//! Order flow through the whole pipeline, from trades: late ones converge, and the values are those
//! that plain arithmetic over the trades of each candle gives.

use std::collections::BTreeMap;

use proptest::prelude::*;

use tapewatch::analytics::archive::MemoryArchive;
use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::orderflow::ENTRIES;
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline};
use tapewatch::domain::decimal::{Decimal, Price, Quantity};
use tapewatch::domain::event::{Side, Trade, TradeId};
use tapewatch::domain::interval::{Interval, TimeInterval};
use tapewatch::domain::output::{Output, OutputSink, Position};
use tapewatch::domain::time::{NANOS_PER_DAY, UnixNanos};
use tapewatch::domain::venue::IdRule;

/// Last revision of each value: by interval, open time and `name(parameters) output`.
#[derive(Default)]
struct LastValues(BTreeMap<(Interval, UnixNanos, String), f64>);

impl OutputSink for LastValues {
    fn accept(&mut self, _cause_seq: u64, output: Output<'_>) {
        let Output::Indicator(snapshot) = output else { return };
        for (i, name) in snapshot.outputs.iter().enumerate() {
            let key = (snapshot.interval, snapshot.open_at, format!("{} {name}", snapshot.indicator));
            match snapshot.values.get(i) {
                Some(value) => self.0.insert(key, *value),
                None => self.0.remove(&key),
            };
        }
    }
}

fn settings(intervals: &str, indicators: &str) -> Settings {
    let intervals: Vec<Interval> = intervals.split(' ').map(|text| text.parse().unwrap()).collect();
    Settings::new(&intervals, &Spec::parse_list(indicators).unwrap(), 2_000_000_000)
}

fn run(settings: &Settings, trades: &[Trade]) -> LastValues {
    let mut pipeline = SymbolPipeline::new("x:A-B".parse().unwrap(), IdRule::Contiguous, settings);
    let (mut last, mut archive) = (LastValues::default(), MemoryArchive::default());
    for (i, trade) in trades.iter().enumerate() {
        pipeline.on_trade(Position(i as u64), trade, &mut archive, &mut last);
    }
    pipeline.finish(&mut archive, &mut last);
    last
}

/// Trades in order of time, some seconds before midnight and after it, and how many places later
/// each arrives. Few sizes and prices, so that equal deltas and flat windows do occur.
fn stream() -> impl Strategy<Value = Vec<(Trade, usize)>> {
    let gap = prop_oneof![3 => Just(0i64), 6 => 0i64..3_000, 1 => 3_000i64..40_000];
    let delay = prop_oneof![4 => Just(0usize), 1 => 1usize..50];
    let trade = (gap, 1u64..4, 1u64..4, prop::option::weighted(0.9, prop::bool::ANY), delay);
    prop::collection::vec(trade, 2..100).prop_map(|drawn| {
        let mut at = UnixNanos::parse_iso(b"2024-04-30T23:58:50Z").unwrap();
        let last = drawn.len() - 1;
        let mut trades = Vec::new();
        for (id, (gap_millis, price, size, bought, delay)) in drawn.into_iter().enumerate() {
            at.0 += gap_millis * 1_000_000;
            let trade = Trade {
                price: Price::new(Decimal::new(price, 0).unwrap()).unwrap(),
                quantity: Quantity::new(Decimal::new(size, 1).unwrap()).unwrap(),
                exchange_at: at,
                received_at: None,
                id: TradeId::Number(id as u64),
                taker_side: bought.map(|bought| if bought { Side::Buy } else { Side::Sell }),
                trade_count: 1,
            };
            // What watching begins and ends with comes in its place.
            trades.push((trade, if id == 0 || id == last { 0 } else { delay }));
        }
        trades
    })
}

fn arriving(stream: &[(Trade, usize)]) -> Vec<Trade> {
    let mut order: Vec<usize> = (0..stream.len() - 1).collect();
    order.sort_by_key(|&i| i + stream[i].1);
    order.push(stream.len() - 1);
    order.into_iter().map(|i| stream[i].0.clone()).collect()
}

fn in_order(stream: &[(Trade, usize)]) -> Vec<Trade> {
    stream.iter().map(|(trade, _)| trade.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn late_trades_end_in_the_values_of_trades_in_time(stream in stream()) {
        let names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        let rolling = "delta(3),taker_split(2),trade_rate(3),inter_arrival(2),trade_size(3),amihud(2),\
                       large_trade_share(2,0.5),kyle_lambda(2),flow_autocorrelation(3,1),vpin(0.5,3)";
        let settings = settings("1s 5s 1m", &format!("{},{rolling}", names.join(",")));
        let (got, expected) = (run(&settings, &arriving(&stream)).0, run(&settings, &in_order(&stream)).0);
        let differs = got.iter().find(|(key, value)| expected.get(key).map(|v| v.to_bits()) != Some(value.to_bits()));
        prop_assert_eq!(differs, None);
        let missing = expected.keys().find(|key| !got.contains_key(key));
        prop_assert_eq!(missing, None);
    }

    #[test]
    fn values_are_those_of_the_trades(stream in stream()) {
        let five_seconds = "5s".parse::<Interval>().unwrap().time().unwrap();
        let settings = settings("5s", "cvd,delta,taker_split,trade_rate,inter_arrival,trade_size");
        let got = run(&settings, &arriving(&stream)).0;
        let expected = plainly(five_seconds, &in_order(&stream));
        prop_assert_eq!(got.len(), expected.len());
        for ((interval, open_at, name), value) in got {
            let plain = expected.get(&(open_at, name.clone())).copied();
            let error = plain.map(|plain| (value - plain).abs());
            prop_assert!(error.is_some_and(|error| error < 1e-9), "{interval} {open_at} {name}: {value} for {plain:?}");
        }
    }
}

/// The per-candle statistics from the trades alone.
fn plainly(interval: TimeInterval, trades: &[Trade]) -> BTreeMap<(UnixNanos, String), f64> {
    let mut candles: BTreeMap<UnixNanos, Vec<&Trade>> = BTreeMap::new();
    for trade in trades {
        candles.entry(interval.open_of(trade.exchange_at)).or_default().push(trade);
    }
    let size = |trade: &Trade| trade.quantity.decimal().to_f64();
    let mut values = BTreeMap::new();
    let mut cumulated: BTreeMap<i64, f64> = BTreeMap::new();
    for (open_at, trades) in candles {
        let mut put = |name: &str, value: f64| values.insert((open_at, name.to_owned()), value);
        let of_side = |side| -> f64 {
            trades.iter().filter(|trade| trade.taker_side == Some(side)).map(|trade| size(trade)).sum()
        };
        let (buy, sell) = (of_side(Side::Buy), of_side(Side::Sell));
        let cvd = cumulated.entry(open_at.0.div_euclid(NANOS_PER_DAY)).or_default();
        *cvd += buy - sell;
        put("cvd value", *cvd);
        put("delta(1) value", buy - sell);
        if buy + sell > 0.0 {
            put("taker_split(1) buy", buy);
            put("taker_split(1) sell", sell);
            put("taker_split(1) buy_share", buy / (buy + sell));
        }
        let count = trades.len() as f64;
        put("trade_rate(1) value", count / (interval.nanos() as f64 / 1e9));
        if trades.len() > 1 {
            let nanos = trades[trades.len() - 1].exchange_at.0 - trades[0].exchange_at.0;
            put("inter_arrival(1) value", nanos as f64 / 1e9 / (count - 1.0));
        }
        let mut sizes: Vec<f64> = trades.iter().map(|trade| size(trade)).collect();
        sizes.sort_by(f64::total_cmp);
        for (name, percent) in [("p10", 10), ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
            put(&format!("trade_size(1) {name}"), sizes[(sizes.len() * percent).div_ceil(100) - 1]);
        }
        put("trade_size(1) mean", sizes.iter().sum::<f64>() / count);
    }
    values
}
