//! QuestDB, the real one: rows are what was told, whatever happens to the server meanwhile.

#[path = "common/questdb.rs"]
mod questdb;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapewatch::domain::candle::{Candle, CandleState, Ohlc, Origin};
use tapewatch::domain::data_state::DataState;
use tapewatch::domain::decimal::{Price, Quantity, QuoteVolume, Volume};
use tapewatch::domain::event::{Side, Trade, TradeId};
use tapewatch::domain::insight::{
    Anomaly, Evidence, Fact, Forecast, InsightId, Outcome, Role, Severity, Signal, SignalKind, Target,
};
use tapewatch::domain::output::{Gap, GapId, GapKind, GapState, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::{IndicatorValues, Roster, Told, Watch};
use tapewatch::runtime::clock::{self, Mono, Stopwatch};
use tapewatch::runtime::health::{Condition, Health};
use tapewatch::runtime::latency::{Latency, Stage};
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::quarantine::{Quarantine, Quarantined};
use tapewatch::runtime::sink::{Barrier, Batch, Refill, Sink, Telling};
use tapewatch::storage::questdb::sink::{QuestDb, Voices};

const START: i64 = 1_714_521_600_000_000_000;
const DEADLINE: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Quarantined>>);

impl Quarantine for Kept {
    fn put(&self, item: Quarantined) {
        self.0.lock().unwrap().push(item);
    }
}

struct Rig {
    folder: tempfile::TempDir,
    voices: Voices,
    kept: Arc<Kept>,
}

impl Rig {
    fn new() -> Self {
        let kept = Arc::new(Kept::default());
        let voices = Voices {
            metrics: Metrics::new(),
            health: Health::default(),
            latency: Latency::default(),
            quarantine: kept.clone(),
        };
        Self { folder: tempfile::tempdir().unwrap(), voices, kept }
    }

    fn start(&self, server: &questdb::Server) -> QuestDb {
        QuestDb::start(self.folder.path(), &roster(), &server.config(), self.voices.clone()).unwrap()
    }

    fn health(&self) -> (Condition, String) {
        let part = self.voices.health.parts()["sink:questdb"].clone();
        (part.condition, part.reason)
    }
}

fn roster() -> Roster {
    Roster::new(["binance:BTC-USDT", "coinbase:ETH-USD"].map(|name| name.parse().unwrap()))
}

fn wait_for(what: &str, mut reached: impl FnMut() -> bool) {
    let waited = Stopwatch::start();
    while !reached() {
        assert!(waited.elapsed() < DEADLINE, "{what} did not happen");
        clock::sleep(Duration::from_millis(20));
    }
}

fn offer(sink: &QuestDb, told: Vec<(u32, Told)>) {
    let telling = |(watch, told)| Telling {
        watch: Watch(watch),
        cause_seq: 7,
        at: Position(1),
        received: Some(Mono::now()),
        told,
    };
    let tellings = told.into_iter().map(telling).collect();
    sink.sink().offer(&Arc::new(Batch { tellings, published: Mono::now(), recovered: false }));
}

/// Everything offered until now is the database's, or lies in the spool.
fn reach_barrier(sink: &QuestDb) {
    let (barrier, reached) = Barrier::new(1);
    sink.sink().mark(barrier);
    assert_eq!(reached.recv_timeout(DEADLINE), Ok("questdb"));
}

fn trade(number: u64) -> Told {
    Told::Trade(Trade {
        price: Price::parse(b"123456.123456789").unwrap(),
        quantity: Quantity::parse(b"0.000000000000001").unwrap(),
        exchange_at: UnixNanos(START + number as i64),
        received_at: UnixNanos(START + number as i64 + 5).stamp(),
        id: TradeId::Number(number),
        taker_side: Some(Side::Buy),
        trade_count: 1,
    })
}

fn candle(revision: u32, close: &str) -> Told {
    let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
    Told::Candle(Box::new(Candle {
        interval: "1m".parse().unwrap(),
        open_at: UnixNanos(START),
        close_at: UnixNanos(START + 60_000_000_000),
        prices: Some(Ohlc { open: price("1.1"), high: price("99"), low: price("0.1"), close: price(close) }),
        volume: Volume::parse(b"3.3").unwrap(),
        quote_volume: Some(QuoteVolume::parse(b"10.1234567890123456789").unwrap()),
        trade_count: Some(2),
        taker_buy_volume: None,
        taker_buy_quote_volume: None,
        state: CandleState::Partial,
        revision,
        origin: Origin::Trades,
    }))
}

fn indicator(revision: u32, values: &[f64]) -> Told {
    Told::Indicator(Box::new(IndicatorValues {
        interval: "1m".parse().unwrap(),
        open_at: UnixNanos(START),
        indicator: "macd(12,26,9)".into(),
        outputs: ["macd", "signal", "histogram"].into(),
        values: values.to_vec(),
        revision,
        data_state: DataState::Complete,
    }))
}

fn gap(from: i64, state: GapState) -> Told {
    Told::Gap(Box::new(Gap {
        id: GapId(0xab),
        kind: GapKind::Ids,
        first_missing_id: Some(u64::MAX),
        last_missing_id: Some(u64::MAX),
        from: UnixNanos(START + from),
        to: UnixNanos(START + 100),
        state,
        reason: None,
    }))
}

fn anomaly() -> Told {
    Told::Anomaly(Box::new(Anomaly {
        id: InsightId(1),
        detector: "robust_z@1".into(),
        interval: "1m".parse().unwrap(),
        exchange_at: UnixNanos(START),
        channel: "volume",
        score: 0.1 + 0.2,
        threshold: 0.99,
        evidence: Evidence::default().with("why, \"so\"", Fact::Text("line\nend".into())),
        revision: 0,
        data_state: DataState::Partial,
    }))
}

fn forecast() -> Told {
    Told::Forecast(Box::new(Forecast {
        id: InsightId(2),
        interval: "1m".parse().unwrap(),
        target: Target::Price,
        model: "ewma@1".into(),
        role: Role::Online,
        horizon: 3,
        made_at: UnixNanos(START),
        target_at: UnixNanos(START + 1),
        forecast: 1.0,
        lower: 0.5,
        upper: 2.0,
        level: 0.9,
        naive: 1.5,
        skill: None,
        revision: 0,
        data_state: DataState::Complete,
    }))
}

fn signal(id: u64) -> Told {
    Told::Signal(Box::new(Signal {
        id: InsightId(id),
        kind: SignalKind::Anomaly,
        name: "volume_burst",
        severity: Severity::Warning,
        action: None,
        exchange_at: UnixNanos(START),
        score: 1.0,
        message: "Ten times the usual volume, \u{20ac}.".to_owned(),
        evidence: Evidence::default(),
        models: vec!["robust_z@1".into()],
        data_state: DataState::Complete,
    }))
}

#[test]
fn rows_are_what_was_told() {
    let Some(server) = questdb::start() else { return };
    let rig = Rig::new();
    let sink = rig.start(&server);
    offer(
        &sink,
        vec![(0, trade(1)), (1, trade(1)), (0, candle(0, "2")), (0, indicator(0, &[0.5, -1e300, 3.0]))],
    );
    offer(&sink, vec![(0, gap(0, GapState::Open)), (0, anomaly()), (0, forecast()), (0, signal(3))]);
    // Told again, as a restart does; and revised.
    offer(
        &sink,
        vec![(0, trade(1)), (0, candle(0, "2")), (0, candle(1, "2.5")), (0, gap(50, GapState::Filled))],
    );
    offer(&sink, vec![(1, indicator(0, &[1.0, 2.0, 3.0])), (1, indicator(1, &[])), (0, signal(3))]);
    reach_barrier(&sink);
    let is_counted = |stage: Stage, count: u64| {
        let report = rig.voices.latency.report().stages;
        report.iter().any(|(found, histogram)| *found == stage && histogram.len() == count)
    };
    wait_for("all trades were readable", || is_counted(Stage::Visible, 3));
    assert!(is_counted(Stage::Store, 3));
    wait_for("signals were readable", || server.rows("SELECT count() FROM signals") == ["1"]);

    let check = |sql: &str, expected: &[&str]| {
        let (mut found, waited) = (server.rows(sql), Stopwatch::start());
        while found != expected {
            assert!(waited.elapsed() < DEADLINE, "{sql}: {found:?} instead of {expected:?}");
            // Tables are applied one by one.
            clock::sleep(Duration::from_millis(20));
            found = server.rows(sql);
        }
    };
    check(
        "SELECT exchange_at, venue, symbol, trade_id, taker_side, price, quantity, trade_count, received_at FROM trades ORDER BY venue",
        &[
            "2024-05-01T00:00:00.000000001Z binance BTC-USDT 1 buy 123456.123456789 1e-15 1 2024-05-01T00:00:00.000000006Z",
            "2024-05-01T00:00:00.000000001Z coinbase ETH-USD 1 buy 123456.123456789 1e-15 1 2024-05-01T00:00:00.000000006Z",
        ],
    );
    check(
        "SELECT open_time, interval, origin, state, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume, vwap, revision FROM candles",
        &[
            "2024-05-01T00:00:00.000000000Z 1m trades partial 1.1 99.0 0.1 2.5 3.3 10.123456789012346 2 null 3.067714178489 1",
        ],
    );
    check(
        "SELECT venue, indicator, output, value, revision, data_state FROM indicators ORDER BY venue, output",
        &[
            "binance macd(12,26,9) histogram 3.0 0 complete",
            "binance macd(12,26,9) macd 0.5 0 complete",
            "binance macd(12,26,9) signal -1e+300 0 complete",
            "coinbase macd(12,26,9) histogram null 1 complete",
            "coinbase macd(12,26,9) macd null 1 complete",
            "coinbase macd(12,26,9) signal null 1 complete",
        ]
        .map(|row| row),
    );
    check(
        "SELECT id, kind, state, reason, first_missing_id, opened_from::long, \"from\"::long FROM gaps",
        &[&format!("00000000000000ab ids filled null {} {START} {}", u64::MAX, START + 50)],
    );
    check(
        "SELECT detector, channel, score, evidence, data_state, cause_seq FROM anomalies",
        &["robust_z@1 volume 0.30000000000000004 {\"why, \\\"so\\\"\":\"line\\nend\"} partial 7"],
    );
    check(
        "SELECT model, target, horizon, role, forecast, lower, upper, level, naive, skill, actual FROM forecasts",
        &["ewma@1 price 3 online 1.0 0.5 2.0 0.9 1.5 null null"],
    );
    check(
        "SELECT id, name, severity, action, message, evidence, models FROM signals",
        &[
            "0000000000000003 volume_burst warning null Ten times the usual volume, \u{20ac}. {} [\"robust_z@1\"]",
        ],
    );
    let rows = &rig.voices.metrics.sink_rows;
    assert_eq!(rows.with_label_values(&["questdb", "trades"]).get(), 3);
    assert_eq!(rig.health(), (Condition::Up, String::new()));

    check_suspended(&rig, &sink, &server);
    drop(sink);
    check_bad_rows(&rig, &server);
    check_schema(&rig, &server);
}

fn check_suspended(rig: &Rig, sink: &QuestDb, server: &questdb::Server) {
    server.rows("ALTER TABLE trades SUSPEND WAL");
    offer(sink, vec![(0, trade(2))]);
    wait_for("the suspension was seen", || rig.health().1.contains("suspended: trades"));
    offer(sink, vec![(0, trade(3)), (0, trade(4))]);
    reach_barrier(sink);
    server.rows("ALTER TABLE trades RESUME WAL");
    wait_for("every row was readable", || server.rows("SELECT count() FROM trades") == ["5"]);
    wait_for("all is well", || rig.health().0 == Condition::Up);
}

/// A table that somebody changed takes some rows no more; the others are stored all the same.
fn check_bad_rows(rig: &Rig, server: &questdb::Server) {
    // A connection that has written to a table goes on as if it were unchanged: this one has not.
    let sink = rig.start(server);
    server.rows("ALTER TABLE signals DROP COLUMN message");
    server.rows("ALTER TABLE signals ADD COLUMN message LONG");
    offer(&sink, vec![(0, trade(5)), (0, signal(8)), (0, trade(6)), (0, signal(9)), (0, trade(7))]);
    reach_barrier(&sink);
    wait_for("the trades were readable", || server.rows("SELECT count() FROM trades") == ["8"]);
    let kept = rig.kept.0.lock().unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[0].venue == "binance" && kept[0].reason.contains("cast error"), "{kept:?}");
    assert!(kept[0].text.starts_with("signals,") && kept[0].text.contains("0000000000000008"), "{kept:?}");
    assert_eq!(rig.voices.metrics.quarantined.with_label_values(&["binance", "questdb"]).get(), 2);
    server.rows("ALTER TABLE signals DROP COLUMN message");
}

fn check_schema(rig: &Rig, server: &questdb::Server) {
    // Such statements are applied a little later than they are answered.
    let columns = |table: &str| server.rows(&format!("SHOW COLUMNS FROM {table}"));
    let has = |table: &str, column: &str| columns(table).iter().any(|row| row.starts_with(column));
    server.rows("ALTER TABLE trades DROP COLUMN received_at");
    wait_for("the columns were dropped", || !has("trades", "received_at") && !has("signals", "message"));
    drop(rig.start(server));
    wait_for("the columns were made again", || {
        has("trades", "received_at TIMESTAMP_NS") && has("signals", "message VARCHAR")
    });
    let refused = |part: &str| {
        let error = QuestDb::start(rig.folder.path(), &roster(), &server.config(), rig.voices.clone())
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    };
    server.rows("ALTER TABLE trades DEDUP DISABLE");
    wait_for("deduplication was switched off", || {
        !has("trades", "trade_id VARCHAR false 0 false 0 0 false true")
    });
    refused("table trades: the deduplication keys are not exchange_at, venue, symbol, trade_id");
    server.rows("DROP TABLE trades");
    server.rows("CREATE TABLE trades (exchange_at TIMESTAMP, venue SYMBOL) TIMESTAMP(exchange_at) PARTITION BY DAY WAL");
    refused("table trades: column exchange_at is TIMESTAMP, not TIMESTAMP_NS");
}

#[test]
fn a_server_killed_under_load_loses_nothing_and_doubles_nothing() {
    const TRADES: u64 = 60_000;
    let Some(mut server) = questdb::start() else { return };
    let rig = Rig::new();
    let mut sink = rig.start(&server);
    let mut number = 0;
    let mut offer_some = |sink: &QuestDb, count: u64| {
        for _ in 0..count / 50 {
            let trades = (0..50).map(|_| {
                number += 1;
                ((number % 2) as u32, trade(number))
            });
            offer(sink, trades.collect());
            clock::sleep(Duration::from_millis(1));
        }
    };
    offer_some(&sink, TRADES / 6);
    server.kill();
    offer_some(&sink, TRADES / 6);
    reach_barrier(&sink);
    assert_eq!(rig.health().0, Condition::Degraded);
    assert!(rig.voices.metrics.sink_backlog_bytes.with_label_values(&["questdb"]).get() > 0);
    server.start_again();
    offer_some(&sink, TRADES / 6);
    server.wait();
    wait_for("the spool was sent", || rig.health().0 == Condition::Up);
    offer_some(&sink, TRADES / 6);
    // Now the writer goes too while the server is away; the next one finds the spool.
    server.kill();
    offer_some(&sink, TRADES / 6);
    drop(sink);
    sink = rig.start(&server);
    assert_eq!(rig.health().0, Condition::Degraded);
    offer_some(&sink, TRADES / 6);
    server.start_again();
    server.wait();
    wait_for("the spool was sent", || rig.health().0 == Condition::Up);
    reach_barrier(&sink);
    let sum = TRADES * (TRADES + 1) / 2;
    let expected = format!("{TRADES} {sum}");
    wait_for("every trade was readable, once", || {
        server.rows("SELECT count(), sum(trade_id::long) FROM trades") == [expected.clone()]
    });
    assert!(rig.kept.0.lock().unwrap().is_empty());
}

/// What is told again because the database lacked it comes beside what is told now, and never instead of it.
#[test]
fn a_database_that_lags_says_so_and_takes_older_rows_beside_newer_ones() {
    let Some(server) = questdb::start() else { return };
    let rig = Rig::new();
    let batch = |told: Vec<Told>| {
        let telling = |told| Telling { watch: Watch(0), cause_seq: 7, at: Position(1), received: None, told };
        let tellings = told.into_iter().map(telling).collect();
        Arc::new(Batch { tellings, published: Mono::now(), recovered: true })
    };
    let cover = |sink: &Arc<dyn Sink>, at: u64| {
        let (barrier, reached) = Barrier::covering(1, [(5, Position(at))].into());
        sink.mark(barrier);
        assert_eq!(reached.recv_timeout(DEADLINE), Ok("questdb"));
    };
    let questdb = rig.start(&server);
    let sink = questdb.sink();
    assert_eq!(sink.kept(), Some(BTreeMap::new()));
    assert!(sink.refill(Refill::Begins));
    sink.offer(&batch(vec![candle(2, "3")]));
    assert!(sink.refill(Refill::Batch(&batch(vec![candle(0, "1"), candle(1, "2"), trade(1)]))));
    cover(&sink, 3);
    assert!(sink.refill(Refill::Ends));
    wait_for("the rows were readable", || server.rows("SELECT count() FROM trades") == ["1"]);
    wait_for("the newest row stayed", || server.rows("SELECT close, revision FROM candles") == ["3.0 2"]);
    drop((sink, questdb));
    // While older rows were still to come nothing was kept for sure.
    let questdb = rig.start(&server);
    assert_eq!(questdb.sink().kept(), Some(BTreeMap::new()));
    cover(&questdb.sink(), 8);
    drop(questdb);
    let questdb = rig.start(&server);
    assert_eq!(questdb.sink().kept(), Some(BTreeMap::from([(5, Position(8))])));
    drop(questdb);
    server.rows("DROP TABLE signals");
    let questdb = rig.start(&server);
    assert_eq!(questdb.sink().kept(), Some(BTreeMap::new()), "a table was gone, and all is told again");
    drop(questdb);
}

/// A row is replaced as a whole: the outcome of a forecast must not cost its other columns, after a restart neither.
#[test]
fn an_outcome_completes_the_row_of_its_forecast() {
    let Some(server) = questdb::start() else { return };
    let rig = Rig::new();
    let Told::Forecast(made) = forecast() else { unreachable!("it is one") };
    let outcome = |actual: f64| {
        Told::Outcome(Box::new(Outcome {
            id: made.id,
            interval: made.interval,
            target: made.target,
            model: made.model.clone(),
            role: made.role,
            horizon: made.horizon,
            made_at: made.made_at,
            target_at: made.target_at,
            actual,
        }))
    };
    let columns =
        "SELECT id, forecast, lower, upper, naive, skill, revision, cause_seq, actual FROM forecasts";
    let questdb = rig.start(&server);
    offer(&questdb, vec![(0, forecast())]);
    wait_for("the forecast was readable", || server.rows(columns).len() == 1);
    let before = server.rows(columns);
    assert!(before[0].ends_with(" null"), "{before:?}");
    drop(questdb);
    let questdb = rig.start(&server);
    offer(&questdb, vec![(0, outcome(4.25))]);
    wait_for("the outcome was readable", || server.rows(columns)[0].ends_with(" 4.25"));
    let after = server.rows(columns);
    assert_eq!(after, [before[0].strip_suffix("null").unwrap().to_owned() + "4.25"]);
    // What a start tells again changes nothing.
    offer(&questdb, vec![(0, forecast()), (0, outcome(4.25)), (1, trade(1))]);
    wait_for("all was readable", || server.rows("SELECT count() FROM trades") == ["1"]);
    wait_for("the row is whole", || server.rows(columns) == after);
}
