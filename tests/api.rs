//! The API as a client sees it: a board that was told this and that, behind a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tapewatch::api::board::Board;
use tapewatch::api::bucket::Rate;
use tapewatch::api::config::ApiConfig;
use tapewatch::api::keys::{self, Scope};
use tapewatch::api::server::{self, Server};
use tapewatch::api::state::Api;
use tapewatch::domain::candle::{Candle, CandleState, Ohlc, Origin};
use tapewatch::domain::data_state::DataState;
use tapewatch::domain::decimal::{Price, Quantity, QuoteVolume, Volume};
use tapewatch::domain::event::{Side, Trade, TradeId};
use tapewatch::domain::insight::{
    Evidence, Fact, Forecast, InsightId, ModelScore, Role, Severity, Share, Signal, SignalKind, Target,
};
use tapewatch::domain::output::{Gap, GapId, GapKind, GapState, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::{Roster, Told, Watch};
use tapewatch::runtime::clock::Mono;
use tapewatch::runtime::health::{Condition, Health};
use tapewatch::runtime::latency::{Latency, Stage};
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::sink::{Batch, Telling};

/// 2024-05-01T00:00:00Z.
const BEGIN: i64 = 1_714_521_600_000_000_000;
const SECOND: i64 = 1_000_000_000;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct House {
    server: Server,
    health: Health,
    keys_file: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

/// A server over a board that was told of BTC-USDT; ETH-USDT is watched and silent.
fn house(edit: impl FnOnce(&mut ApiConfig)) -> House {
    let dir = tempfile::tempdir().unwrap();
    let keys_file = dir.path().join("keys.json");
    let mut config = ApiConfig::on_loopback(keys_file.clone());
    edit(&mut config);
    let names = ["binance:BTC-USDT", "binance:ETH-USDT"].map(|name| name.parse().unwrap());
    let (metrics, latency, health) = (Metrics::new(), Latency::default(), Health::default());
    let intervals = ["1s", "1m"].map(|name| name.parse().unwrap());
    let board = Arc::new(Board::new(Roster::new(names), &intervals));
    let tellings = told().into_iter().enumerate().map(|(at, told)| Telling {
        watch: Watch(0),
        cause_seq: 1 + at as u64,
        at: Position(at as u64),
        received: None,
        told,
    });
    board.enter(&Batch { tellings: tellings.collect(), published: Mono::now(), recovered: false });
    latency.recorder().record(Stage::Parse, 900, 3);
    health.set("journal", Condition::Up, "");
    let api = Api::new(config, board, None, metrics, latency, health.clone()).unwrap();
    House { server: server::start(api, None).unwrap(), health, keys_file, _dir: dir }
}

/// How `mixture@1` fared on BTC-USDT.
fn score(target: Target, horizon: u32, scored: u64, skill: f64) -> Told {
    Told::Score(Box::new(ModelScore {
        at: UnixNanos(BEGIN + 60 * SECOND),
        interval: "1m".parse().unwrap(),
        target,
        model: "mixture@1".into(),
        role: Role::Champion,
        horizon,
        scored,
        baseline: "persistence@1".into(),
        skill: Some(skill),
        mae: (target != Target::Direction).then_some(12.0 * f64::from(horizon)),
        rmse: (target != Target::Direction).then_some(3.0),
        mape: None,
        smape: None,
        mase: None,
        pinball: None,
        coverage: Some(0.9),
        coverage_worst_day: None,
        winkler: None,
        qlike: None,
        log_loss: None,
        direction: (target == Target::Direction).then_some(Share {
            share: 0.51,
            lower: 0.49,
            upper: 0.53,
            majority: 0.505,
        }),
        dm_statistic: None,
        dm_p: None,
        demoted: target == Target::Direction,
    }))
}

fn told() -> Vec<Told> {
    let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
    let trade = |second: i64, id: u64, text: &str| {
        Told::Trade(Trade {
            price: price(text),
            quantity: Quantity::parse(b"0.5").unwrap(),
            exchange_at: UnixNanos(BEGIN + second * SECOND),
            received_at: None,
            id: TradeId::Number(id),
            taker_side: Some(Side::Buy),
            trade_count: 1,
        })
    };
    let candle = Candle {
        interval: "1m".parse().unwrap(),
        open_at: UnixNanos(BEGIN),
        close_at: UnixNanos(BEGIN + 60 * SECOND),
        prices: Some(Ohlc {
            open: price("60000"),
            high: price("60001"),
            low: price("60000"),
            close: price("60001"),
        }),
        volume: Volume::parse(b"1").unwrap(),
        quote_volume: Some(QuoteVolume::parse(b"60000.5").unwrap()),
        trade_count: Some(2),
        taker_buy_volume: Some(Volume::parse(b"1").unwrap()),
        taker_buy_quote_volume: Some(QuoteVolume::parse(b"60000.5").unwrap()),
        state: CandleState::Traded,
        revision: 0,
        origin: Origin::Trades,
    };
    let gap = Gap {
        id: GapId(7),
        kind: GapKind::Ids,
        first_missing_id: Some(3),
        last_missing_id: Some(4),
        from: UnixNanos(BEGIN + 61 * SECOND),
        to: UnixNanos(BEGIN + 62 * SECOND),
        state: GapState::Open,
        reason: None,
    };
    let signal = Signal {
        id: InsightId(1),
        kind: SignalKind::Anomaly,
        name: "volume_burst",
        severity: Severity::Warning,
        action: None,
        exchange_at: UnixNanos(BEGIN + 60 * SECOND),
        score: 0.997,
        message: "Ten times the usual \"volume\".".to_owned(),
        evidence: Evidence::default().with("z", Fact::Number(9.5)).with("candles", Fact::Count(128)),
        models: vec!["robust_z@1".into()],
        data_state: DataState::Complete,
    };
    let forecast = Forecast {
        id: InsightId(2),
        interval: "1m".parse().unwrap(),
        target: Target::RealizedVariance,
        model: "ewma_variance@1".into(),
        role: Role::Online,
        horizon: 2,
        made_at: UnixNanos(BEGIN + 60 * SECOND),
        target_at: UnixNanos(BEGIN + 180 * SECOND),
        forecast: 1e-6,
        lower: 5e-7,
        upper: 2e-6,
        level: 0.9,
        naive: 1.1e-6,
        skill: Some(0.9),
        revision: 0,
        data_state: DataState::Complete,
    };
    vec![
        trade(1, 1, "60000"),
        trade(2, 2, "60001"),
        trade(62, 5, "60002.5"),
        Told::Candle(Box::new(candle)),
        Told::Forecast(Box::new(forecast)),
        Told::Signal(Box::new(signal)),
        Told::Gap(Box::new(gap)),
        score(Target::Price, 1, 300, 1.0),
        score(Target::Price, 5, 100, 0.8),
        score(Target::Direction, 1, 100, 1.1),
    ]
}

/// Status, head, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends bytes as they are; whatever comes back until the server closes or falls silent.
fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may have answered and closed before all was sent.
    let _ = stream.write_all(bytes);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

fn ask(house: &House, method: &str, path: &str, headers: &str) -> Answer {
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    send(house.server.address(), request.as_bytes())
}

fn get(house: &House, path: &str) -> Value {
    let answer = ask(house, "GET", path, "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

fn check_problem(answer: &Answer, status: u16, field: Option<&str>, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    assert!(answer.head.contains("content-type: application/problem+json"), "{what}: {}", answer.head);
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{what}");
    assert_eq!(problem["field"].as_str(), field, "{what}: {problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}");
}

#[test]
fn what_was_told_is_answered() {
    let house = house(|_| {});
    let all = get(&house, "/api/v1/instruments");
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(all[0]["instrument"], "binance:BTC-USDT");
    assert_eq!(all[0]["last_trade"]["price"], "60002.5");
    assert_eq!((&all[0]["gaps_open"], &all[0]["gap"]["state"]), (&json!(1), &json!("open")));
    assert_eq!((&all[1]["state"], &all[1]["last_trade"]), (&json!("waiting"), &Value::Null));

    let price = json!({
        "instrument": "binance:BTC-USDT", "price": "60002.5", "exchange_at": "2024-05-01T00:01:02Z",
    });
    assert_eq!(get(&house, "/api/v1/price/binance:BTC-USDT"), price);
    assert_eq!(get(&house, "/api/v1/price/binance%3aBTC%2DUSDT"), price);
    let trades = get(&house, "/api/v1/trades/binance:BTC-USDT?limit=2");
    let ids: Vec<_> =
        trades["trades"].as_array().unwrap().iter().map(|trade| trade["trade_id"].clone()).collect();
    assert_eq!(ids, ["2", "5"]);

    let candles = get(&house, "/api/v1/candles/binance:BTC-USDT?interval=1m&open=true");
    let states: Vec<_> = candles["candles"].as_array().unwrap().iter().map(|c| c["state"].clone()).collect();
    assert_eq!(states, ["traded", "open"]);
    assert_eq!(candles["candles"][0]["vwap"], "60000.5");
    assert_eq!(candles["candles"][1]["open"], "60002.5");
    let closed =
        get(&house, "/api/v1/candles/binance:BTC-USDT?from=2024-05-01T00:00:00Z&to=2024-05-01T00:01:00Z");
    assert_eq!(closed["candles"].as_array().unwrap().len(), 1);
    assert!(closed["next"].is_null());

    let gaps = get(&house, "/api/v1/gaps?instrument=binance:BTC-USDT&state=open");
    assert_eq!(gaps["gaps"][0]["first_missing_id"], "3");
    assert_eq!(get(&house, "/api/v1/gaps?state=filled")["gaps"], json!([]));
    let signals = get(&house, "/api/v1/signals?severity=warning&kind=anomaly");
    assert_eq!(signals["signals"][0]["evidence"], json!({"z": 9.5, "candles": 128}));
    assert_eq!(get(&house, "/api/v1/signals?severity=critical")["signals"], json!([]));
    assert_eq!(get(&house, "/api/v1/anomalies")["anomalies"], json!([]));

    assert_eq!(get(&house, "/api/v1/forecasts/binance:BTC-USDT")["forecasts"][0]["model"], "ewma_variance@1");
    let prediction = get(&house, "/api/v1/predict/binance:BTC-USDT?steps=2");
    assert_eq!(prediction["forecasts"][0]["horizon"], 2);
    check_problem(&ask(&house, "GET", "/api/v1/predict/binance:BTC-USDT", ""), 503, None, "one step");
    check_problem(&ask(&house, "GET", "/predict", ""), 400, Some("instrument"), "which of two");
    assert_eq!(get(&house, "/model/info")[0]["scores"]["against_naive"], 0.9);
    assert_eq!(get(&house, "/api/v1/models/ewma_variance@1")["horizons"], json!([2]));
    let mixture = get(&house, "/api/v1/models/mixture@1");
    let expected = json!({
        "target": "price", "mae": 24.0, "rmse": 3.0, "mape": null, "directional_accuracy": 0.51,
        "interval_coverage": 0.9, "against_naive": 0.98,
    });
    assert_eq!(mixture["scores"], expected, "means weighted by what was scored");
    assert_eq!((&mixture["scored"], &mixture["demoted"]), (&json!(500), &json!(1)));
    assert_eq!(mixture["horizons"], json!([1, 5]));
    let details = mixture["details"].as_array().unwrap();
    assert_eq!((details.len(), &mixture["details_left_out"]), (3, &json!(0)));
    assert_eq!(details[2]["directional_lower"], 0.49);
    assert_eq!(get(&house, "/api/v1/models").as_array().unwrap().len(), 2);
    assert_eq!(get(&house, "/api/v1/models?instrument=binance:ETH-USDT"), json!([]));
    let scores = get(&house, "/api/v1/scores/binance:BTC-USDT?kind=price");
    assert_eq!(scores["scores"].as_array().unwrap().len(), 2);
    assert_eq!(get(&house, "/data/latest")[0]["price"], "60002.5");
    assert_eq!(get(&house, "/api/v1/quality")["instruments"][0]["gaps_open"], 1);
    assert_eq!(get(&house, "/api/v1/status")["intervals"], json!(["1s", "1m"]));
}

#[test]
fn health_says_whether_it_is_ready() {
    let house = house(|_| {});
    assert_eq!(ask(&house, "GET", "/health/live", "").status, 200);
    assert_eq!(get(&house, "/health/ready")["status"], "ready");
    house.health.set("venue:binance", Condition::Starting, "connecting");
    for path in ["/health", "/health/ready"] {
        let answer = ask(&house, "GET", path, "");
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["parts"]["venue:binance"]["reason"], "connecting");
    }
    house.health.set("venue:binance", Condition::Up, "");
    house.health.set("venue:binance", Condition::Down, "lost");
    assert_eq!(get(&house, "/health/ready")["parts"]["venue:binance"]["condition"], "down");
    assert_eq!(get(&house, "/api/v1/instruments")[0]["state"], "down");
}

#[test]
fn metrics_hold_every_promised_name_and_the_counts_of_latency() {
    let house = house(|_| {});
    let text = ask(&house, "GET", "/metrics", "").body;
    for name in [
        "trades_total",
        "stage_latency_seconds",
        "queue_depth",
        "queue_dropped_total",
        "gaps_open",
        "duplicates_total",
        "quarantined_total",
        "reconnects_total",
        "last_trade_age_seconds",
        "actor_restarts_total",
        "sink_rows_total",
        "sink_backlog_bytes",
        "feed_clients",
        "feed_messages_total",
        "signals_total",
        "forecast_skill_ratio",
        "clock_skew_seconds",
        "last_price",
        "anomalies_total",
        "anomalies_suppressed_total",
        "comparisons_total",
        "predictions_total",
        "prediction_duration_seconds",
        "http_requests_total",
        "http_request_duration_seconds",
        "venue_requests_total",
        "venue_request_duration_seconds",
    ] {
        let sample = text.lines().any(|line| line.starts_with(&format!("tapewatch_{name}")));
        assert!(sample, "tapewatch_{name} has no sample in\n{text}");
    }
    // What is told is counted once, where it is told: not again on the board.
    assert!(text.contains("tapewatch_signals_total 0\n"));
    let skill = "tapewatch_forecast_skill_ratio{horizon=\"5\",interval=\"1m\",model=\"mixture@1\",target=\"price\"} 0.8\n";
    assert!(text.contains(skill), "{text}");
    assert!(text.contains("process_resident_memory_bytes "));
    let latency = get(&house, "/api/v1/latency");
    for stage in latency["stages"].as_array().unwrap() {
        let line = format!(
            "tapewatch_stage_latency_seconds_count{{stage=\"{}\"}} {}\n",
            stage["stage"].as_str().unwrap(),
            stage["count"]
        );
        assert!(text.contains(&line), "{line} in\n{text}");
    }
    assert_eq!(latency["stages"][1]["count"], 3);
    assert!(latency["stages"][0]["p50"].is_null());
}

#[test]
fn wrong_requests_are_problems_that_name_the_field() {
    let house = house(|_| {});
    let btc = "binance:BTC-USDT";
    for (path, status, field) in [
        ("/nothing", 404, None),
        ("/api/v1/", 404, None),
        ("/page/../../etc/passwd", 404, None),
        ("/page/%2e%2e/%2e%2e/etc/passwd", 404, None),
        ("/docs/../../../etc/passwd", 404, None),
        ("/api/v1/price/binance:NO-USDT", 404, None),
        ("/api/v1/price/nonsense", 400, Some("instrument")),
        ("/api/v1/price/%ff", 400, Some("path")),
        ("/api/v1/price/a%00b", 400, Some("path")),
        ("/api/v1/models/none@1", 404, None),
        (&format!("/api/v1/scores/{btc}?kind=loud"), 400, Some("kind")),
        (&format!("/api/v1/candles/{btc}?interval=2m"), 400, Some("interval")),
        (&format!("/api/v1/candles/{btc}?interval=1h"), 400, Some("interval")),
        (&format!("/api/v1/candles/{btc}?limit=0"), 400, Some("limit")),
        (&format!("/api/v1/candles/{btc}?limit=1001"), 400, Some("limit")),
        (&format!("/api/v1/candles/{btc}?after=nonsense"), 400, Some("after")),
        (&format!("/api/v1/candles/{btc}?from=yesterday"), 400, Some("from")),
        (&format!("/api/v1/candles/{btc}?open=maybe"), 400, Some("open")),
        (&format!("/api/v1/candles/{btc}?limt=5"), 400, Some("limt")),
        (&format!("/api/v1/trades/{btc}?limit=-1"), 400, Some("limit")),
        (&format!("/api/v1/indicators/{btc}?interval=x"), 400, Some("interval")),
        (&format!("/api/v1/forecasts/{btc}?kind=weather"), 400, Some("kind")),
        (&format!("/api/v1/predict/{btc}?steps=101"), 400, Some("steps")),
        ("/api/v1/signals?kind=weather", 400, Some("kind")),
        ("/api/v1/signals?severity=mild", 400, Some("severity")),
        ("/api/v1/signals?after=nonsense", 400, Some("after")),
        ("/api/v1/signals?instrument=binance:NO-USDT", 400, Some("instrument")),
        ("/api/v1/anomalies?severity=mild", 400, Some("severity")),
        ("/api/v1/anomalies?limit=x", 400, Some("limit")),
        ("/api/v1/gaps?kind=weather", 400, Some("kind")),
        ("/api/v1/gaps?state=weather", 400, Some("state")),
    ] {
        check_problem(&ask(&house, "GET", path, ""), status, field, path);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = ask(&house, method, "/api/v1/status", "Content-Length: 9\r\n");
        check_problem(&answer, 405, None, method);
        assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
        check_problem(&ask(&house, method, "/nothing", ""), 404, None, method);
    }
    let head = ask(&house, "HEAD", "/api/v1/status", "");
    assert_eq!((head.status, &*head.body), (200, ""));
    assert!(!head.head.contains("access-control"), "{}", head.head);
    assert!(head.head.contains("x-content-type-options: nosniff"));
}

#[test]
fn keys_are_insisted_on_from_the_first_one_on() {
    let house = house(|config| config.rate = Rate { per_second: 1, burst: 3 });
    assert_eq!(ask(&house, "GET", "/api/v1/status", "").status, 200);
    let (_, key) = keys::create(&house.keys_file, "test", Scope::Read, UnixNanos(0)).unwrap();
    // The file is looked at once a second.
    let deadline = tapewatch::runtime::clock::Stopwatch::start();
    while ask(&house, "GET", "/api/v1/status", "").status != 401 {
        assert!(deadline.elapsed() < PATIENCE, "the key was never noticed");
    }
    for path in ["/", "/docs/", "/metrics", "/api/v1/openapi.json", "/api/v1/feed", "/nothing"] {
        let answer = ask(&house, "GET", path, "");
        check_problem(&answer, 401, None, path);
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    assert_eq!(ask(&house, "GET", "/health/live", "").status, 200);
    check_problem(&ask(&house, "GET", "/metrics", "X-API-Key: tw_wrong\r\n"), 401, None, "wrong key");
    let header = format!("X-API-Key: {key}\r\n");
    for _ in 0..3 {
        assert_eq!(ask(&house, "GET", "/api/v1/status", &header).status, 200);
    }
    let mut answer = ask(&house, "GET", "/api/v1/status", &header);
    // A slow machine may have earned another token meanwhile.
    for _ in 0..100 {
        if answer.status == 429 {
            break;
        }
        answer = ask(&house, "GET", "/api/v1/status", &header);
    }
    check_problem(&answer, 429, None, "too often");
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
}

#[test]
fn hostile_requests_cost_only_their_sender() {
    let house = house(|_| {});
    let address = house.server.address();
    // Slow ones stay open while the others are asked.
    let slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: loc").unwrap();
            stream
        })
        .collect();
    let long = "x".repeat(40_000);
    let many: String = (0..2_000).map(|at| format!("X-{at}: y\r\n")).collect();
    let hostile: Vec<(Vec<u8>, &[u16])> = vec![
        (b"\x00\x01\x02\x03\xff\xfe\r\n\r\n".to_vec(), &[0, 400]),
        (b"GET / HTTP/9.9\r\n\r\n".to_vec(), &[0, 400, 505]),
        (b"GET  HTTP/1.1\r\n\r\n".to_vec(), &[0, 400]),
        (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[0, 400]),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), &[0, 400]),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n".to_vec(), &[0, 400, 421]),
        (format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes(), &[0, 400, 414]),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {long}\r\nConnection: close\r\n\r\n").into_bytes(), &[0, 400, 431]),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}Connection: close\r\n\r\n").into_bytes(), &[0, 400, 431]),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_vec(), &[421]),
        (
            b"POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
                .to_vec(),
            &[0, 400, 405],
        ),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), &[0, 400]),
    ];
    for (bytes, expected) in &hostile {
        let answer = send(address, bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert!(expected.contains(&answer.status), "{shown:?} gave {}: {}", answer.status, answer.body);
        assert_eq!(get(&house, "/health/live")["status"], "live", "after {shown:?}");
    }
    // The server closes those that never ended their head; it does so within its patience.
    for mut stream in slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).is_ok(), "a slow head keeps its connection");
    }
    assert_eq!(get(&house, "/api/v1/price/binance:BTC-USDT")["price"], "60002.5");
}

#[test]
fn page_and_documents_are_served_from_the_binary() {
    let house = house(|_| {});
    let page = ask(&house, "GET", "/", "");
    assert!(page.status == 200 && page.body.starts_with("<!doctype html>"));
    assert!(
        page.head.contains("content-security-policy: default-src 'none'; script-src 'self'"),
        "{}",
        page.head
    );
    let links: Vec<&str> = page.body.split(['"']).filter(|part| part.starts_with("/page/")).collect();
    assert!(links.len() >= 4, "{links:?}");
    for link in links.into_iter().chain([
        "/page/lightweight-charts.NOTICE",
        "/favicon.ico",
        "/docs/",
        "/page/feed.js",
    ]) {
        let answer = ask(&house, "GET", link, "");
        assert_eq!(answer.status, 200, "{link}");
        if let Some(tag) = answer.head.lines().find_map(|line| line.strip_prefix("etag: ")) {
            let again = ask(&house, "GET", link, &format!("If-None-Match: {tag}\r\n"));
            assert_eq!(again.status, 304, "{link}");
        }
    }
    let document = get(&house, "/api/v1/openapi.json");
    assert_eq!(document["info"]["title"], "tapewatch");
}
