//! A pipeline that was saved and restored goes on as if nothing had happened: to the bit, at any moment.

use std::sync::Arc;

use proptest::prelude::*;
use tapewatch::analytics::anomaly::DETECTORS;
use tapewatch::analytics::archive::MemoryArchive;
use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::forecast::FORECASTERS;
use tapewatch::analytics::forecast::lane::Manner;
use tapewatch::analytics::intelligence::IntelligencePlan;
use tapewatch::analytics::pipeline::{Settings, SymbolPipeline};
use tapewatch::analytics::signals::RULES;
use tapewatch::domain::candle::{Ohlc, Origin};
use tapewatch::domain::decimal::{Amount, Decimal, Price, Quantity};
use tapewatch::domain::event::{Event, ReadyCandle, Side, Trade, TradeId, Unfillable, WatchStatus};
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::interval::Interval;
use tapewatch::domain::output::{Output, OutputSink, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::{IndicatorNames, Told};
use tapewatch::domain::venue::IdRule;
use tapewatch::engine::symbol::Symbol;
use tapewatch::journal::chunks::Chunks;
use tapewatch::journal::snapshots::SymbolState;

const SECOND: i64 = 1_000_000_000;
const BEGIN: i64 = 1_714_521_600 * SECOND;

struct Telling<'a> {
    names: &'a IndicatorNames,
    told: Vec<(u64, Told)>,
}

impl OutputSink for Telling<'_> {
    fn accept(&mut self, cause_seq: u64, output: Output<'_>) {
        self.told.push((cause_seq, Told::of(output, self.names)));
    }
}

fn settings(window: usize) -> Settings {
    let intervals = ["1s", "5s", "1m", "ticks:7", "volume:50", "tick-run:5"];
    let intervals: Vec<Interval> = intervals.iter().map(|text| text.parse().unwrap()).collect();
    let indicators = "ema(5),macd(3,6,3),bollinger(4,2),atr(3),vwap,trade_size(3),trade_rate(3),aroon(4)";
    let intelligence = IntelligencePlan::new(
        &intervals,
        &DETECTORS.iter().collect::<Vec<_>>(),
        &FORECASTERS.iter().collect::<Vec<_>>(),
        &RULES.iter().collect::<Vec<_>>(),
        &[1, 3],
    )
    .telling(true, Manner::default());
    Settings {
        window,
        intelligence,
        ..Settings::new(&intervals, &Spec::parse_list(indicators).unwrap(), 2 * SECOND)
    }
}

/// What one step of a random market does.
#[derive(Clone, Debug)]
enum Draw {
    /// The next trade so many milliseconds on, after a jump over so many ids.
    Next(i64, u64),
    /// A copy of a trade so many back; with another price.
    Copy(usize, bool),
    /// Ids skipped before, from the newest on, as one page or one by one.
    Repair(usize, bool),
    /// A trade that comes so many seconds late, under an id of its own below all.
    Late(i64),
    /// An id that nobody believes, then perhaps another beside it.
    Far(bool),
    Tick(i64),
    Unwatched(i64),
    Unfillable(usize),
    Status,
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let next = (prop_oneof![4 => 0i64..1_500, 1 => 0i64..90_000], prop_oneof![6 => Just(0u64), 1 => 1u64..4]);
    let draw = prop_oneof![
        24 => next.prop_map(|(millis, jump)| Draw::Next(millis, jump)),
        2 => (0usize..30, any::<bool>()).prop_map(|(back, other)| Draw::Copy(back, other)),
        3 => (1usize..5, any::<bool>()).prop_map(|(count, page)| Draw::Repair(count, page)),
        1 => (1i64..400).prop_map(Draw::Late),
        1 => any::<bool>().prop_map(Draw::Far),
        3 => (0i64..4_000).prop_map(Draw::Tick),
        1 => (0i64..10_000).prop_map(Draw::Unwatched),
        1 => (0usize..4).prop_map(Draw::Unfillable),
        1 => Just(Draw::Status),
    ];
    prop::collection::vec(draw, 1..250)
}

fn trade(id: TradeId, at: i64, salt: u64) -> Trade {
    Trade {
        price: Price::new(Decimal::new(10_000 + salt * 7 % 101, 2).unwrap()).unwrap(),
        quantity: Quantity::new(Decimal::new(1 + salt * 13 % 97, 1).unwrap()).unwrap(),
        exchange_at: UnixNanos(at),
        received_at: salt.is_multiple_of(2).then_some(UnixNanos(at + 5)).and_then(UnixNanos::stamp),
        id,
        taker_side: [None, Some(Side::Buy), Some(Side::Sell)][(salt % 7 % 3) as usize],
        trade_count: 1 + (salt % 3) as u32,
    }
}

fn name(rule: IdRule, id: u64) -> TradeId {
    match rule {
        IdRule::Contiguous => TradeId::Number(id),
        IdRule::Sparse => TradeId::Text(format!("t-{id}").into()),
        IdRule::Absent => TradeId::Absent,
    }
}

fn events(rule: IdRule, draws: &[Draw]) -> Vec<Event> {
    let (mut at, mut id, mut salt) = (BEGIN, 10_000_000u64, 0u64);
    let mut low = id;
    let (mut missing, mut sent): (Vec<(u64, i64)>, Vec<Trade>) = (Vec::new(), Vec::new());
    let mut events = Vec::new();
    for draw in draws {
        salt += 1;
        match *draw {
            Draw::Next(millis, jump) => {
                for _ in 0..jump {
                    id += 1;
                    missing.push((id, at + millis * 500_000));
                }
                id += 1;
                at += millis * 1_000_000;
                sent.push(trade(name(rule, id), at, salt));
                events.push(Event::Trade(sent[sent.len() - 1].clone()));
            }
            Draw::Copy(back, other) => {
                let Some(copied) = sent.len().checked_sub(1 + back).map(|i| sent[i].clone()) else {
                    continue;
                };
                let price = trade(TradeId::Absent, 0, salt).price;
                events.push(Event::Trade(if other { Trade { price, ..copied } } else { copied }));
            }
            Draw::Repair(count, page) => {
                let from = missing.len().saturating_sub(count);
                let found = missing.drain(from..);
                let found: Vec<_> = found.map(|(id, at)| trade(name(rule, id), at, id)).collect();
                if page {
                    events.push(Event::Backfill(found));
                } else {
                    events.extend(found.into_iter().map(Event::Trade));
                }
            }
            Draw::Late(seconds) => {
                low -= 1;
                events.push(Event::Trade(trade(name(rule, low), at - seconds * SECOND, salt)));
            }
            Draw::Far(confirmed) => {
                events.push(Event::Trade(trade(name(rule, id + 5_000_000), at, salt)));
                if confirmed {
                    id += 5_000_001;
                    low = id;
                    missing.clear();
                    events.push(Event::Trade(trade(name(rule, id), at, salt)));
                }
            }
            Draw::Tick(millis) => {
                at += millis * 1_000_000;
                events.push(Event::Tick { venue_at: UnixNanos(at) });
            }
            Draw::Unwatched(millis) => {
                let from = UnixNanos(at);
                at += millis * 1_000_000;
                events.push(Event::Unwatched { from, to: UnixNanos(at) });
            }
            Draw::Unfillable(back) => {
                let Some(&(id, _)) = missing.len().checked_sub(1 + back).map(|i| &missing[i]) else {
                    continue;
                };
                let reason = Unfillable::ALL[salt as usize % 3];
                events.push(Event::Unfillable { first_id: id - 1, last_id: id, reason });
            }
            Draw::Status => events
                .push(Event::Status { venue_at: UnixNanos(at), status: WatchStatus::ALL[salt as usize % 4] }),
        }
    }
    events
}

/// All that is told; before each of the events at `moves` the pipeline is saved and another goes on.
fn run(rule: IdRule, settings: &Settings, events: &[Event], moves: &[usize]) -> Vec<(u64, Told)> {
    let instrument = || "binance:BTC-USDT".parse().unwrap();
    let names = IndicatorNames::new(
        settings.indicators.names.iter().map(String::as_str).zip(settings.indicators.outputs.iter().copied()),
    );
    let mut telling = Telling { names: &names, told: Vec::new() };
    let mut archive = MemoryArchive::default();
    let mut pipeline = SymbolPipeline::new(instrument(), rule, settings);
    for (i, event) in events.iter().enumerate() {
        if moves.contains(&i) {
            let (mut words, mut again) = (Vec::new(), Vec::new());
            pipeline.save(&mut words);
            pipeline = SymbolPipeline::restore(instrument(), rule, settings, &words).unwrap();
            pipeline.save(&mut again);
            assert_eq!(again, words, "saved twice before event {i}");
        }
        pipeline.on_event(Position(i as u64 + 1), event, &mut archive, &mut telling);
    }
    pipeline.finish(&mut archive, &mut telling);
    telling.told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_pipeline_tells_the_same(
        draws in draws(),
        rule in prop::sample::select(vec![IdRule::Contiguous, IdRule::Contiguous, IdRule::Sparse, IdRule::Absent]),
        window in prop::sample::select(vec![2usize, 40, 128]),
        moves in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let settings = settings(window);
        let events = events(rule, &draws);
        let moves: Vec<_> = moves.iter().map(|index| index.index(events.len() + 1)).collect();
        let expected = run(rule, &settings, &events, &[]);
        let found = run(rule, &settings, &events, &moves);
        prop_assert_eq!(expected.len(), found.len());
        for (expected, found) in expected.iter().zip(&found) {
            prop_assert_eq!(expected, found);
        }
    }

    /// What the live engine does with ticks that change nothing: it keeps the last until the next event comes.
    #[test]
    fn of_ticks_in_a_still_time_the_last_stands_for_all(
        draws in draws(),
        rule in prop::sample::select(vec![IdRule::Contiguous, IdRule::Contiguous, IdRule::Sparse, IdRule::Absent]),
        steps in prop::collection::vec((0usize..12, 0i64..400), 250),
    ) {
        let settings = settings(40);
        let mut all = Vec::new();
        let mut at = BEGIN;
        for (i, event) in events(rule, &draws).into_iter().enumerate() {
            match &event {
                Event::Trade(trade) => at = at.max(trade.exchange_at.0),
                Event::Status { venue_at, .. } => at = at.max(venue_at.0),
                // Ticks never go backwards.
                Event::Tick { .. } => continue,
                _ => {}
            }
            all.push(event);
            let (ticks, millis) = steps[i % steps.len()];
            for _ in 0..ticks {
                at += millis * 1_000_000;
                all.push(Event::Tick { venue_at: UnixNanos(at) });
            }
        }
        let names = IndicatorNames::default();
        let taken = |puts_off: bool| {
            let instrument = "binance:BTC-USDT".parse().unwrap();
            let mut pipeline = SymbolPipeline::new(instrument, rule, &settings);
            let mut telling = Telling { names: &names, told: Vec::new() };
            let (mut archive, mut put_off, mut left_out) = (MemoryArchive::default(), None, 0);
            for (i, event) in all.iter().enumerate() {
                let at = Position(i as u64 + 1);
                if let Event::Tick { venue_at } = event
                    && puts_off
                {
                    left_out += usize::from(put_off.take().is_some());
                    if *venue_at < pipeline.still_until() {
                        put_off = Some((at, event));
                        continue;
                    }
                }
                for (at, event) in put_off.take().into_iter().chain([(at, event)]) {
                    pipeline.on_event(at, event, &mut archive, &mut telling);
                }
            }
            if let Some((at, event)) = put_off {
                pipeline.on_event(at, event, &mut archive, &mut telling);
            }
            let mut words = Vec::new();
            pipeline.save(&mut words);
            (telling.told, words, left_out)
        };
        let ((expected, words, _), (found, words_found, left_out)) = (taken(false), taken(true));
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(words_found, words);
        // Long enough a row of them has some in a still time.
        prop_assert!(left_out > 0 || all.len() < 200 || expected.is_empty());
    }

    /// Words of another pipeline, of another time or of nobody: an error, or a state, never a panic.
    #[test]
    fn what_was_never_saved_is_refused(
        draws in draws(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), 0u32..65), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let settings = settings(40);
        let mut archive = MemoryArchive::default();
        let instrument = || "binance:BTC-USDT".parse().unwrap();
        let mut pipeline = SymbolPipeline::new(instrument(), IdRule::Contiguous, &settings);
        for (i, event) in events(IdRule::Contiguous, &draws).iter().enumerate() {
            pipeline.on_event(Position(i as u64 + 1), event, &mut archive, &mut Nothing);
        }
        let mut words = Vec::new();
        pipeline.save(&mut words);
        let restore = |rule, settings, words: &[u64]| {
            SymbolPipeline::restore(instrument(), rule, settings, words).map(|_| ())
        };
        prop_assert!(restore(IdRule::Contiguous, &settings, &words).is_ok());
        prop_assert!(restore(IdRule::Sparse, &settings, &words).is_err());
        prop_assert!(restore(IdRule::Contiguous, &settings, &words[..cut.index(words.len())]).is_err());
        let longer = [words.as_slice(), &[0]].concat();
        prop_assert!(restore(IdRule::Contiguous, &settings, &longer).is_err());
        let fewer = Settings::new(&settings.intervals[..2], &[], 0);
        prop_assert!(restore(IdRule::Contiguous, &fewer, &words).is_err());
        for (at, word, bits) in damage {
            let at = at.index(words.len());
            words[at] = word.checked_shr(bits).unwrap_or(0);
        }
        let _may_be_harmless = restore(IdRule::Contiguous, &settings, &words);
    }
}

/// Trades later than the window take candles back from the archive, also behind a restart from a snapshot.
#[test]
fn archived_candles_survive_restarts() {
    let settings = settings(40);
    let dir = tempfile::tempdir().unwrap();
    let mut events = Vec::new();
    for i in 0..900u64 {
        events.push(Event::Trade(trade(TradeId::Number(20_000 + i), BEGIN + i as i64 * SECOND, i)));
        if i % 97 == 96 {
            let at = BEGIN + (i as i64 - 90) * SECOND + 5;
            events.push(Event::Trade(trade(TradeId::Number(19_000 - i), at, i)));
        }
    }
    let expected = run(IdRule::Contiguous, &settings, &events, &[]);
    let revised =
        expected.iter().filter(|(_, told)| matches!(told, Told::Candle(c) if c.revision > 0)).count();
    assert!(revised > 20, "{revised}");
    let names = IndicatorNames::new(
        settings.indicators.names.iter().map(String::as_str).zip(settings.indicators.outputs.iter().copied()),
    );
    let instrument: Instrument = "binance:BTC-USDT".parse().unwrap();
    let mut told = Vec::new();
    let mut kept: Option<SymbolState> = None;
    // Each life goes on from the snapshot of the one before, and is killed some time after its own.
    for (begin, snapshot, end) in [(0, 250, 333), (250, 480, 700), (480, 700, 928)] {
        let chunks = Arc::new(Chunks::open(dir.path(), []).unwrap());
        let mut symbol = match &kept {
            None => Symbol::new(instrument.clone(), IdRule::Contiguous, &settings, &chunks),
            Some(state) => Symbol::restore(state, Position(begin as u64), &settings, &chunks).unwrap(),
        };
        told.truncate(begin);
        for (i, event) in events.iter().enumerate().take(end.min(events.len())).skip(begin) {
            if i == snapshot {
                kept = Some(symbol.save(&instrument, IdRule::Contiguous));
                chunks.sync().unwrap();
            }
            let mut telling = Telling { names: &names, told: Vec::new() };
            symbol.take(Position(i as u64 + 1), event, &mut telling);
            told.push(telling.told);
        }
        assert!(symbol.archive.take_fault().is_none());
        told.truncate(if end >= events.len() { usize::MAX } else { snapshot });
    }
    assert_eq!(told.len(), events.len());
    let told: Vec<_> = told.into_iter().flatten().collect();
    // What the end of a recording tells is not live.
    assert_eq!(told, expected[..told.len()]);
}

struct Nothing;

impl OutputSink for Nothing {
    fn accept(&mut self, _cause_seq: u64, _output: Output<'_>) {}
}

#[test]
fn ready_candles_go_on_too() {
    let intervals: Vec<Interval> = ["1m", "5m"].iter().map(|text| text.parse().unwrap()).collect();
    let settings = Settings::new(&intervals, &Spec::parse_list("ema(3),obv").unwrap(), 0);
    let price = |x: u64| Price::new(Decimal::new(x, 2).unwrap()).unwrap();
    let candle = |i: i64| ReadyCandle {
        interval: intervals[0].time().unwrap(),
        open_at: UnixNanos(BEGIN + (i + i / 7) * 60 * SECOND),
        prices: (i % 5 != 0).then(|| Ohlc {
            open: price(1_000),
            high: price(1_100),
            low: price(900),
            close: price(950 + i as u64),
        }),
        volume: Amount::parse(if i % 5 == 0 { b"0" } else { b"12.5" }).unwrap(),
        quote_volume: (i % 2 == 0).then(|| Amount::parse(b"125").unwrap()),
        trade_count: (i % 3 == 0).then_some(7),
        taker_buy_volume: None,
        origin: Origin::File,
    };
    let twice = |i| [Event::Candle(Box::new(candle(i))), Event::Candle(Box::new(candle(i)))];
    let events: Vec<_> = (0..60).flat_map(twice).collect();
    let expected = run(IdRule::Absent, &settings, &events, &[]);
    assert!(expected.len() > 100);
    for at in 0..events.len() {
        assert_eq!(run(IdRule::Absent, &settings, &events, &[at]), expected, "moved before event {at}");
    }
}

#[test]
fn a_fingerprint_tells_settings_apart() {
    let base = settings(40).fingerprint();
    assert_eq!(base, settings(40).fingerprint());
    assert_ne!(base, settings(41).fingerprint());
    let mut other = settings(40);
    other.grace_nanos += 1;
    assert_ne!(base, other.fingerprint());
    other = settings(40);
    other.intervals.pop();
    assert_ne!(base, other.fingerprint());
}
