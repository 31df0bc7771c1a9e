//! The simulated venues, as a client meets them: the parsers read every frame, REST gives what the socket did not,
//! and each fault does what it says, held against what truly happened.
//!
//! A test waits for a state with a deadline, never for a time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tapewatch::domain::decimal::{Price, Quantity};
use tapewatch::domain::event::{Side, Trade};
use tapewatch::domain::frame::{FrameParser, FrameSink, FrameSource, Spelled};
use tapewatch::domain::time::UnixNanos;
use tapewatch::runtime::clock::{self, Stopwatch};
use tapewatch::venues;
use tapewatch::venues::simulator::Simulator;
use tapewatch::venues::simulator::config::{Limits, Pace, SimulatedVenue, SimulatorConfig};
use tapewatch::venues::simulator::tape::{Draw, Listing, Tape};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Trades without end, of prices and quantities that rise.
struct Rising {
    listings: Vec<Listing>,
    drawn: usize,
}

impl Rising {
    fn of(symbols: &[&str]) -> Box<Self> {
        let listing =
            |symbol: &&str| Listing { symbol: (*symbol).to_owned(), price_step: None, quantity_step: None };
        Box::new(Self { listings: symbols.iter().map(listing).collect(), drawn: 0 })
    }
}

impl Tape for Rising {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn draw(&mut self) -> Option<Draw> {
        self.drawn += 1;
        Some(Draw {
            symbol: self.drawn % self.listings.len(),
            price: Price::parse(format!("{}.{:04}", 100 + self.drawn % 50, self.drawn % 9_999).as_bytes())
                .unwrap(),
            quantity: Quantity::parse(format!("0.{:05}", 1 + self.drawn % 99_998).as_bytes()).unwrap(),
            taker_side: if self.drawn.is_multiple_of(3) { Side::Sell } else { Side::Buy },
            at: UnixNanos(self.drawn as i64),
        })
    }
}

fn config(venue: SimulatedVenue, rate: f64, faults: &str) -> SimulatorConfig {
    let mut config = SimulatorConfig {
        pace: Pace::Even(rate),
        limits: Limits::none(),
        seed: 7,
        trading: false,
        ..SimulatorConfig::new(venue)
    };
    config.faults.apply(faults).unwrap();
    config
}

fn start(config: SimulatorConfig, symbols: &[&str]) -> Simulator {
    Simulator::start(config, Rising::of(symbols)).unwrap()
}

/// Status, head and body of one request, without a client library.
fn ask(simulator: &Simulator, method: &str, target: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(simulator.address()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
}

fn get(simulator: &Simulator, target: &str) -> Value {
    let (status, _, body) = ask(simulator, "GET", target);
    assert_eq!(status, 200, "{target}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{target}: {error}: {body}"))
}

fn post(simulator: &Simulator, target: &str) {
    let (status, _, body) = ask(simulator, "POST", target);
    assert_eq!(status, 200, "{target}: {body}");
}

fn count(simulator: &Simulator, name: &str) -> u64 {
    get(simulator, "/simulator/status")["counts"][name].as_u64().unwrap_or(0)
}

/// Asks until it is so.
fn wait_for(is_so: impl Fn() -> bool) {
    let clock = Stopwatch::start();
    while !is_so() {
        assert!(clock.elapsed() < DEADLINE, "it never came to that");
        clock::sleep(Duration::from_millis(2));
    }
}

/// `id price quantity side time`, as truth and parsers have it.
type Line = String;

/// All trades made so far: what was told or given, and the ids of what was neither.
fn truth(simulator: &Simulator, symbol: &str) -> (BTreeMap<u64, Line>, BTreeSet<u64>) {
    let all = get(simulator, &format!("/simulator/trades?symbol={symbol}"));
    let text = |trade: &Value, name: &str| trade[name].as_str().unwrap().to_owned();
    let (mut told, mut missing) = (BTreeMap::new(), BTreeSet::new());
    for trade in all["trades"].as_array().unwrap() {
        let id: u64 = text(trade, "trade_id").parse().unwrap();
        let fields = ["trade_id", "price", "quantity", "taker_side", "exchange_at"];
        if trade["missing"] == json!(true) {
            missing.insert(id);
        } else {
            told.insert(id, fields.map(|name| text(trade, name)).join(" "));
        }
    }
    (told, missing)
}

#[derive(Default)]
struct Told {
    /// Symbol as the venue writes it, id, and the rest.
    trades: Vec<(String, u64, Line)>,
    refused: Vec<String>,
}

impl FrameSink for Told {
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade) {
        let (price, quantity) = (trade.price.decimal(), trade.quantity.decimal());
        let side = trade.taker_side.unwrap().name();
        let line = format!("{} {price} {quantity} {side} {}", trade.id, trade.exchange_at);
        self.trades.push((spelled.symbol.to_owned(), trade.id.to_string().parse().unwrap(), line));
    }

    fn refuse(&mut self, reason: String) {
        self.refused.push(reason);
    }
}

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

struct Client {
    socket: Socket,
    parser: Box<dyn FrameParser>,
    told: Told,
    /// Frames that told no trade.
    other: Vec<String>,
}

impl Client {
    async fn connect(simulator: &Simulator, path: &str, venue: &str) -> Self {
        let url = format!("{}{path}", simulator.ws_url());
        let (socket, _) = connect_async(&url).await.unwrap();
        let entry = venues::PARSERS.iter().find(|entry| entry.name == venue).unwrap();
        let parser = (entry.make)(FrameSource { url: &url, venue: None });
        Self { socket, parser, told: Told::default(), other: Vec::new() }
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next frame, parsed; `false`: the connection has ended.
    async fn hear(&mut self) -> bool {
        let next = tokio::time::timeout(DEADLINE, self.socket.next()).await.expect("a frame in time");
        match next {
            Some(Ok(Message::Text(text))) => {
                let before = self.told.trades.len();
                self.parser.frame(&text, None, &mut self.told);
                if self.told.trades.len() == before {
                    self.other.push(text.to_string());
                }
                true
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => false,
            Some(Ok(_)) => true,
        }
    }

    async fn hear_until(&mut self, mut is_enough: impl FnMut(&Self) -> bool) {
        while !is_enough(self) {
            assert!(self.hear().await, "the connection ended: {:?}", self.other.last());
        }
    }

    /// The next frame that tells no trade.
    async fn answer(&mut self) -> Value {
        let before = self.other.len();
        self.hear_until(|client| client.other.len() > before).await;
        serde_json::from_str(self.other.last().unwrap()).unwrap()
    }
}

fn binance_spelling(symbol: &str) -> String {
    symbol.replace('-', "")
}

#[tokio::test]
async fn binance_tells_what_happened_in_every_form() {
    for (path, ms) in [
        ("/ws/btcusdt@trade/ethusdt@trade", true),
        ("/stream?streams=btcusdt@trade/ethusdt@trade", true),
        ("/stream?streams=btcusdt@trade/ethusdt@trade&timeUnit=microsecond", false),
    ] {
        let simulator =
            start(config(SimulatedVenue::Binance, 5_000.0, ""), &["BTC-USDT", "ETH-USDT", "SOL-USDT"]);
        let mut client = Client::connect(&simulator, path, "binance").await;
        post(&simulator, "/simulator/market?trading=true");
        client.hear_until(|client| client.told.trades.len() >= 3_000).await;
        assert_eq!((client.told.refused.len(), client.other.len()), (0, 0), "{path}");
        for symbol in ["BTC-USDT", "ETH-USDT"] {
            let unit = if ms { "ms" } else { "us" };
            let (truth, _) = truth(&simulator, &format!("{symbol}&unit={unit}"));
            let heard: Vec<_> =
                client.told.trades.iter().filter(|t| t.0 == binance_spelling(symbol)).collect();
            assert!(heard.len() > 1_000, "{path} {symbol}: {}", heard.len());
            for ((_, id, line), expected) in heard.iter().zip(1_000_001..) {
                assert_eq!((*id, line), (expected, &truth[&expected]), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn binance_answers_commands_and_mistakes() {
    let simulator = start(config(SimulatedVenue::Binance, 1_000.0, ""), &["BTC-USDT"]);
    let mut client = Client::connect(&simulator, "/ws", "binance").await;
    for (command, expected) in [
        (
            json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "xyz@trade"], "id": 1}),
            json!({"result": null, "id": 1}),
        ),
        (
            json!({"method": "LIST_SUBSCRIPTIONS", "id": "a"}),
            json!({"result": ["btcusdt@trade", "xyz@trade"], "id": "a"}),
        ),
        (
            json!({"method": "UNSUBSCRIBE", "params": ["xyz@trade"], "id": null}),
            json!({"result": null, "id": null}),
        ),
        (json!({"method": "LIST_SUBSCRIPTIONS", "id": 2}), json!({"result": ["btcusdt@trade"], "id": 2})),
        (
            json!({"method": "GET_PROPERTY", "params": ["combined"], "id": 3}),
            json!({"result": false, "id": 3}),
        ),
        (
            json!({"method": "SET_PROPERTY", "params": ["combined", true], "id": 4}),
            json!({"result": null, "id": 4}),
        ),
    ] {
        client.say(command.clone()).await;
        assert_eq!(client.answer().await, expected, "{command}");
    }
    for (text, code) in [
        ("{", 3),
        ("[]", 2),
        (r#"{"method":"DANCE","id":1}"#, 2),
        (r#"{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}"#, 1),
        (r#"{"method":"SET_PROPERTY","params":["colour",true],"id":1}"#, 0),
        (r#"{"method":"SET_PROPERTY","params":["combined",7],"id":1}"#, 1),
    ] {
        client.socket.send(Message::text(text)).await.unwrap();
        assert_eq!(client.answer().await["code"], json!(code), "{text}");
    }
    post(&simulator, "/simulator/market?trading=true");
    client.hear_until(|client| client.told.trades.len() > 10).await;
    assert_eq!(ask(&simulator, "GET", "/nowhere").0, 404);
}

#[tokio::test]
async fn binance_closes_who_talks_too_much_and_pings_the_rest() {
    let limited = SimulatorConfig {
        limits: Limits::of(SimulatedVenue::Binance),
        ..config(SimulatedVenue::Binance, 1.0, "")
    };
    let simulator = start(limited, &["BTC-USDT"]);
    let mut client = Client::connect(&simulator, "/ws", "binance").await;
    // At one go: they come within a second, however slow this machine is.
    for id in 0..50 {
        let command = json!({"method": "LIST_SUBSCRIPTIONS", "id": id}).to_string();
        client.socket.feed(Message::text(command)).await.unwrap();
    }
    // The socket may be gone already.
    let _ = client.socket.flush().await;
    while client.hear().await {}
    // A socket that is closed with unread messages may swallow answers on their way.
    assert!(client.other.len() < 50, "{:?}", client.other);
    assert_eq!(count(&simulator, "clients_too_busy"), 1);
}

#[tokio::test]
async fn lives_end_with_a_notice() {
    let brief =
        SimulatorConfig { life: Duration::from_millis(300), ..config(SimulatedVenue::Binance, 1.0, "") };
    let simulator = start(brief, &["BTC-USDT"]);
    let mut client = Client::connect(&simulator, "/stream", "binance").await;
    while client.hear().await {}
    assert!(
        client.other[0].starts_with(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":"#),
        "{:?}",
        client.other
    );
}

#[tokio::test]
async fn coinbase_advanced_begins_with_what_was_and_goes_on_in_batches() {
    let simulator = start(config(SimulatedVenue::Coinbase, 1_000.0, ""), &["BTC-USD", "ETH-USD"]);
    post(&simulator, "/simulator/market?trading=true");
    wait_for(|| count(&simulator, "trades") >= 500);
    let mut client = Client::connect(&simulator, "", "coinbase").await;
    client.say(json!({"type": "subscribe", "channel": "heartbeats"})).await;
    assert_eq!(client.answer().await["events"][0]["subscriptions"], json!({"heartbeats": ["heartbeats"]}));
    client
        .say(json!({"type": "subscribe", "product_ids": ["BTC-USDC", "ETH-USD"], "channel": "market_trades"}))
        .await;
    // The heart may have beaten before.
    let (mut state, mut beats) = (client.answer().await, 0);
    while state["channel"] == "heartbeats" {
        (state, beats) = (client.answer().await, beats + 1);
    }
    // The first messages are the snapshots, the newest trade first, then the state of all subscriptions.
    assert_eq!(state["events"][0]["subscriptions"]["market_trades"], json!(["BTC-USD", "ETH-USD"]));
    assert_eq!((client.told.trades.len(), &state["sequence_num"]), (200, &json!(3 + beats)));
    let beat = client.answer().await;
    assert_eq!(beat["channel"], json!("heartbeats"));
    assert!(beat["events"][0]["heartbeat_counter"].is_u64());
    client.hear_until(|client| client.told.trades.len() > 1_500).await;
    assert_eq!(client.told.refused, [""; 0]);
    for symbol in ["BTC-USD", "ETH-USD"] {
        let (truth, _) = truth(&simulator, symbol);
        let heard: BTreeMap<u64, &Line> =
            client.told.trades.iter().filter(|told| told.0 == symbol).map(|told| (told.1, &told.2)).collect();
        let (first, last) = (*heard.keys().next().unwrap(), *heard.keys().last().unwrap());
        assert_eq!(heard.len() as u64, last - first + 1, "{symbol}: holes");
        for (id, line) in heard {
            assert_eq!(line, &truth[&id]);
        }
    }
}

#[tokio::test]
async fn the_exchange_feed_tells_matches_and_its_last_trade() {
    let simulator = start(config(SimulatedVenue::Coinbase, 1_000.0, ""), &["BTC-USD", "ETH-USD"]);
    post(&simulator, "/simulator/market?trading=true");
    wait_for(|| count(&simulator, "trades") >= 100);
    let mut client = Client::connect(&simulator, "", "coinbase").await;
    client.say(json!({"type": "subscribe", "product_ids": ["NO-USD"], "channels": ["matches"]})).await;
    assert_eq!(client.answer().await["type"], json!("error"));
    client
        .say(json!({"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches", "heartbeat"]}))
        .await;
    let state = client.answer().await;
    assert_eq!(state["type"], json!("subscriptions"));
    let beat = client.answer().await;
    assert_eq!(beat["type"], json!("heartbeat"));
    let told = client.told.trades.last().unwrap().1;
    assert_eq!(beat["last_trade_id"], json!(told), "the heartbeat comes after the trade it names");
    let (truth, _) = truth(&simulator, "BTC-USD");
    assert_eq!(client.told.refused, [""; 0]);
    for (pair, (_, id, line)) in client.told.trades.windows(2).zip(&client.told.trades) {
        assert_eq!(pair[0].1 + 1, pair[1].1);
        assert_eq!(line, &truth[id]);
    }
}

#[tokio::test]
async fn coinbase_cuts_who_does_not_subscribe() {
    let simulator = start(config(SimulatedVenue::Coinbase, 1.0, ""), &["BTC-USD"]);
    let mut client = Client::connect(&simulator, "", "coinbase").await;
    while client.hear().await {}
    assert_eq!((count(&simulator, "never_subscribed"), client.other.len()), (1, 0));
}

/// Rows as `id price quantity side time` in the unit of the truth.
fn binance_rows(rows: &Value) -> Vec<(u64, Line)> {
    let decimal = |row: &Value, name: &str| {
        Price::parse(row[name].as_str().unwrap().as_bytes()).unwrap().decimal().to_string()
    };
    let read = |row: &Value| {
        let (id, at) = (row["id"].as_u64().unwrap(), UnixNanos(row["time"].as_i64().unwrap() * 1_000_000));
        let side = if row["isBuyerMaker"] == json!(true) { "sell" } else { "buy" };
        (id, format!("{id} {} {} {side} {at}", decimal(row, "price"), decimal(row, "qty")))
    };
    rows.as_array().unwrap().iter().map(read).collect()
}

#[test]
fn binance_gives_every_trade_over_rest() {
    let simulator = start(config(SimulatedVenue::Binance, 100_000.0, "missing=0.01"), &["BTC-USDT"]);
    post(&simulator, "/simulator/market?trading=true");
    wait_for(|| count(&simulator, "trades") >= 5_000);
    post(&simulator, "/simulator/market?trading=false");
    let (truth, missing) = truth(&simulator, "BTC-USDT");
    assert!(missing.len() > 10, "{}", missing.len());
    let mut given = BTreeMap::new();
    let mut from = 1;
    loop {
        let target = format!("/api/v3/historicalTrades?symbol=BTCUSDT&fromId={from}&limit=1000");
        let rows = binance_rows(&get(&simulator, &target));
        given.extend(rows.iter().cloned());
        match rows.last() {
            Some((last, _)) if rows.len() == 1_000 => from = last + 1,
            _ => break,
        }
    }
    assert_eq!(given, truth);
    let newest = binance_rows(&get(&simulator, "/api/v3/trades?symbol=BTCUSDT&limit=3"));
    assert!(newest.iter().eq(truth.clone().into_iter().skip(truth.len() - 3).collect::<Vec<_>>().iter()));
    let aggregates = get(&simulator, "/api/v3/aggTrades?symbol=BTCUSDT&fromId=1500001&limit=2");
    assert_eq!(aggregates[0]["f"], json!(1_000_001));
    check_klines(&simulator, &truth);
    for (target, status, code) in [
        ("/api/v3/trades?symbol=NOPE", 400, -1121),
        ("/api/v3/trades?symbol=b%20d", 400, -1100),
        ("/api/v3/trades", 400, -1102),
        ("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=x", 400, -1100),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m", 400, -1120),
        ("/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&startTime=5", 400, -1128),
    ] {
        let (found, _, body) = ask(&simulator, "GET", target);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((found, &body["code"]), (status, &json!(code)), "{target}");
    }
}

/// Seconds computed from the truth, by another way than the simulator's.
fn check_klines(simulator: &Simulator, truth: &BTreeMap<u64, Line>) {
    let mut seconds: BTreeMap<String, Vec<Vec<&str>>> = BTreeMap::new();
    for line in truth.values() {
        let fields: Vec<&str> = line.split(' ').collect();
        seconds.entry(fields[4][..19].to_owned()).or_default().push(fields);
    }
    let units = |text: &str| Quantity::parse(text.as_bytes()).unwrap().decimal().units();
    let rows = get(simulator, "/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=1000");
    let mut traded = 0;
    for row in rows.as_array().unwrap() {
        let at = UnixNanos(row[0].as_i64().unwrap() * 1_000_000).to_string();
        let trades = seconds.get(&at[..19]).map_or(&[][..], Vec::as_slice);
        assert_eq!(row[8].as_u64().unwrap() as usize, trades.len(), "{at}");
        if trades.is_empty() {
            continue;
        }
        traded += 1;
        let price = |place: usize| units(row[place].as_str().unwrap());
        let prices: Vec<u128> = trades.iter().map(|fields| units(fields[1])).collect();
        let expected = [
            prices[0],
            *prices.iter().max().unwrap(),
            *prices.iter().min().unwrap(),
            prices[prices.len() - 1],
        ];
        assert_eq!([price(1), price(2), price(3), price(4)], expected, "{at}");
        assert_eq!(price(5), trades.iter().map(|fields| units(fields[2])).sum::<u128>(), "{at}");
        let bought =
            trades.iter().filter(|fields| fields[3] == "buy").map(|fields| units(fields[2])).sum::<u128>();
        assert_eq!(price(9), bought, "{at}");
    }
    assert_eq!(traded, seconds.len());
}

#[test]
fn coinbase_gives_every_trade_over_rest() {
    let simulator = start(config(SimulatedVenue::Coinbase, 100_000.0, "missing=0.01"), &["BTC-USD"]);
    post(&simulator, "/simulator/market?trading=true");
    wait_for(|| count(&simulator, "trades") >= 3_500);
    post(&simulator, "/simulator/market?trading=false");
    let (truth, _) = truth(&simulator, "BTC-USD");
    let mut given = BTreeMap::new();
    let mut after = String::new();
    loop {
        let (status, head, body) =
            ask(&simulator, "GET", &format!("/products/BTC-USD/trades?limit=1000{after}"));
        assert_eq!(status, 200, "{body}");
        let rows: Value = serde_json::from_str(&body).unwrap();
        for row in rows.as_array().unwrap() {
            let id = row["trade_id"].as_u64().unwrap();
            let decimal =
                |name: &str| Price::parse(row[name].as_str().unwrap().as_bytes()).unwrap().decimal();
            // The taker is on the other side.
            let side = if row["side"] == json!("buy") { "sell" } else { "buy" };
            let at = UnixNanos::parse_iso(row["time"].as_str().unwrap().as_bytes()).unwrap();
            given.insert(id, format!("{id} {} {} {side} {at}", decimal("price"), decimal("size")));
        }
        let Some(cursor) = head.lines().find_map(|line| line.strip_prefix("cb-after: ")) else { break };
        after = format!("&after={cursor}");
    }
    assert_eq!(given, truth);
    let ticker = get(&simulator, "/api/v3/brokerage/market/products/BTC-USD/ticker?limit=2");
    assert_eq!(ticker["trades"].as_array().unwrap().len(), 2);
    let candles = get(&simulator, "/products/BTC-USD/candles?granularity=60");
    assert_eq!(candles[0].as_array().unwrap().len(), 6);
    for (target, status) in [
        ("/products/NO-USD/trades", 404),
        ("/products/BTC-USD/trades?limit=0", 400),
        ("/products/BTC-USD/candles?granularity=7", 400),
        ("/api/v3/brokerage/market/products/BTC-USD/candles?granularity=ONE_MINUTE", 400),
        ("/nowhere", 404),
    ] {
        let (found, _, body) = ask(&simulator, "GET", target);
        assert_eq!(found, status, "{target}");
        assert!(serde_json::from_str::<Value>(&body).unwrap()["message"].is_string(), "{target}");
    }
}

#[test]
fn rest_is_limited_as_the_venues_do() {
    let mut limited = config(SimulatedVenue::Binance, 1.0, "");
    limited.limits = Limits { requests: 60, ..Limits::of(SimulatedVenue::Binance) };
    let simulator = start(limited, &["BTC-USDT"]);
    let target = "/api/v3/trades?symbol=BTCUSDT";
    let (_, head, _) = ask(&simulator, "GET", target);
    assert!(head.contains("x-mbx-used-weight-1m: 25"), "{head}");
    assert_eq!(ask(&simulator, "GET", target).0, 200);
    let (status, head, body) = ask(&simulator, "GET", target);
    assert!(status == 429 && head.contains("retry-after: ") && body.contains("-1003"), "{head} {body}");
    let mut seen = BTreeSet::new();
    for _ in 0..25 {
        seen.insert(ask(&simulator, "GET", target).0);
    }
    assert!(seen.contains(&418), "who goes on is banned: {seen:?}");

    let mut limited = config(SimulatedVenue::Coinbase, 1.0, "");
    limited.limits = Limits { requests: 0, burst: 3, ..Limits::of(SimulatedVenue::Coinbase) };
    let simulator = start(limited, &["BTC-USD"]);
    let statuses: Vec<u16> = (0..5).map(|_| ask(&simulator, "GET", "/time").0).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[tokio::test]
async fn skipped_trades_are_given_over_rest_and_missing_ones_are_not() {
    let simulator = start(config(SimulatedVenue::Binance, 5_000.0, "skip=0.05,missing=0.02"), &["BTC-USDT"]);
    let mut client = Client::connect(&simulator, "/ws/btcusdt@trade", "binance").await;
    post(&simulator, "/simulator/market?trading=true");
    client.hear_until(|client| client.told.trades.len() > 1_000).await;
    let (truth, missing) = truth(&simulator, "BTC-USDT");
    let told: BTreeSet<u64> = client.told.trades.iter().map(|told| told.1).collect();
    let last = *told.last().unwrap();
    let skipped = truth.range(..last).filter(|(id, _)| !told.contains(id)).count();
    assert!((20..150).contains(&skipped), "{skipped} of {}", told.len());
    assert!(missing.range(..last).count() > 3 && missing.is_disjoint(&told));
    let gone = *missing.first().unwrap();
    let rows = binance_rows(&get(
        &simulator,
        &format!("/api/v3/historicalTrades?symbol=BTCUSDT&fromId={gone}&limit=1"),
    ));
    assert_ne!(rows[0].0, gone);
}

#[tokio::test]
async fn doubled_and_late_trades_are_all_there() {
    let simulator =
        start(config(SimulatedVenue::Binance, 5_000.0, "duplicate=0.05,reorder=0.05"), &["BTC-USDT"]);
    let mut client = Client::connect(&simulator, "/ws/btcusdt@trade", "binance").await;
    post(&simulator, "/simulator/market?trading=true");
    client.hear_until(|client| client.told.trades.len() > 3_000).await;
    post(&simulator, "/simulator/market?trading=false");
    let (truth, _) = truth(&simulator, "BTC-USDT");
    let all = truth.len() + count(&simulator, "duplicate") as usize;
    // Whatever is late comes in the end, and perhaps a copy behind it.
    client.hear_until(|client| client.told.trades.len() == all).await;
    let ids: Vec<u64> = client.told.trades.iter().map(|told| told.1).collect();
    assert!(ids.iter().collect::<BTreeSet<_>>().into_iter().eq(truth.keys()));
    assert!(ids.windows(2).filter(|pair| pair[1] < pair[0]).count() > 10);
    for (_, id, line) in &client.told.trades {
        assert_eq!(line, &truth[id], "a copy is a true copy");
    }
}

#[tokio::test]
async fn garbage_costs_no_trade() {
    for (venue, path, name) in [
        (SimulatedVenue::Binance, "/stream?streams=btc@trade/btcusd@trade", "binance"),
        (SimulatedVenue::Coinbase, "", "coinbase"),
    ] {
        let simulator = start(config(venue, 3_000.0, "garbage=0.1"), &["BTC-USD"]);
        let mut client = Client::connect(&simulator, path, name).await;
        if venue == SimulatedVenue::Coinbase {
            client
                .say(json!({"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches"]}))
                .await;
            client.answer().await;
        }
        post(&simulator, "/simulator/market?trading=true");
        client.hear_until(|client| client.told.trades.len() > 1_500).await;
        assert!(client.other.len() > 50 && !client.told.refused.is_empty(), "{name}");
        let (truth, _) = truth(&simulator, "BTC-USD");
        for ((_, id, line), expected) in client.told.trades.iter().zip(1_000_001..) {
            assert_eq!((*id, line), (expected, &truth[&expected]), "{name}");
        }
    }
}

#[tokio::test]
async fn cuts_stalls_and_silences_happen_when_asked() {
    let simulator = start(config(SimulatedVenue::Binance, 2_000.0, ""), &["BTC-USDT", "ETH-USDT"]);
    post(&simulator, "/simulator/market?trading=true");
    let path = "/ws/btcusdt@trade/ethusdt@trade";
    let mut client = Client::connect(&simulator, path, "binance").await;
    client.hear_until(|client| client.told.trades.len() > 100).await;

    // Silence: the other market goes on, and a new subscription wakes this one.
    post(&simulator, "/simulator/fault?silence=now&symbol=BTC-USDT");
    client.told.trades.clear();
    client
        .hear_until(|client| {
            let told = &client.told.trades;
            // What was on its way comes first; the two trade in turn.
            assert!(told.len() < 1_000_000, "it was never silent");
            told.len() > 100 && told[told.len() - 100..].iter().all(|told| told.0 == "ETHUSDT")
        })
        .await;
    client.say(json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})).await;
    client.told.trades.clear();
    client.hear_until(|client| client.told.trades.iter().any(|told| told.0 == "BTCUSDT")).await;

    // A stall loses nothing.
    client.told.trades.clear();
    post(&simulator, "/simulator/fault?stall=now&for=400ms");
    client.hear_until(|client| client.told.trades.len() > 2_000).await;
    let ids: Vec<u64> =
        client.told.trades.iter().filter(|told| told.0 == "ETHUSDT").map(|told| told.1).collect();
    assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    assert_eq!(count(&simulator, "stall"), 1);

    post(&simulator, "/simulator/fault?cut=now");
    while client.hear().await {}
    post(&simulator, "/simulator/fault?cut=200ms");
    while count(&simulator, "cut") < 4 {
        // It may be cut before we have read that it is open.
        if let Ok((mut socket, _)) = connect_async(format!("{}{path}", simulator.ws_url())).await {
            while let Some(Ok(_)) = socket.next().await {}
        }
    }
    post(&simulator, "/simulator/fault?none");
    let (status, _, body) = ask(&simulator, "POST", "/simulator/fault?dance=1");
    assert!(status == 400 && body.contains("allowed are"), "{body}");
}

#[tokio::test]
async fn acknowledgements_lie_when_asked() {
    let simulator = start(config(SimulatedVenue::Binance, 5_000.0, "wrong-ack=0.7"), &["BTC-USDT"]);
    post(&simulator, "/simulator/market?trading=true");
    let (mut refused, mut mute, mut live) = (0, 0, 0);
    for _ in 0..20 {
        let mut client = Client::connect(&simulator, "/ws", "binance").await;
        client.say(json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})).await;
        if client.answer().await.get("code").is_some() {
            refused += 1;
            continue;
        }
        match get(&simulator, "/simulator/status")["subscriptions"].as_u64() {
            Some(0) => mute += 1,
            _ => live += 1,
        }
        drop(client);
        wait_for(|| get(&simulator, "/simulator/status")["open_connections"] == json!(0));
    }
    assert!(refused > 2 && mute > 2 && live > 1, "{refused} {mute} {live}");
}

#[test]
fn rest_fails_when_asked() {
    let simulator = start(config(SimulatedVenue::Binance, 20_000.0, ""), &["BTC-USDT"]);
    post(&simulator, "/simulator/market?trading=true");
    wait_for(|| count(&simulator, "trades") >= 2_000);
    let target = "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=1000001&limit=100";
    post(&simulator, "/simulator/fault?http429=now");
    let (status, head, _) = ask(&simulator, "GET", target);
    assert!(status == 429 && head.contains("retry-after: 1"), "{head}");
    post(&simulator, "/simulator/fault?http503=now");
    assert_eq!(ask(&simulator, "GET", target).0, 503);
    post(&simulator, "/simulator/fault?html=now");
    assert!(ask(&simulator, "GET", target).1.contains("content-type: text/html"));
    assert_eq!(get(&simulator, target).as_array().unwrap().len(), 100);

    post(&simulator, "/simulator/fault?short-page=1");
    assert!(get(&simulator, target).as_array().unwrap().len() <= 50);
    post(&simulator, "/simulator/fault?short-page=0&rest-lag=1h");
    assert_eq!(get(&simulator, target), json!([]));
    post(&simulator, "/simulator/fault?rest-lag=0&slow-rest=1/300ms");
    let clock = Stopwatch::start();
    get(&simulator, target);
    assert!(clock.elapsed() >= Duration::from_millis(300));
    post(&simulator, "/simulator/fault?none");

    let server_time = || get(&simulator, "/api/v3/time")["serverTime"].as_i64().unwrap();
    let before = server_time();
    post(&simulator, "/simulator/fault?clock-offset=1h");
    assert!((3_599_000..3_660_000).contains(&(server_time() - before)));
}

#[test]
fn a_trade_can_be_made_by_hand() {
    let simulator = start(config(SimulatedVenue::Coinbase, 1.0, ""), &["BTC-USD"]);
    let (status, _, body) =
        ask(&simulator, "POST", "/simulator/trade?symbol=BTC-USD&price=1.5&quantity=2&side=sell");
    assert_eq!((status, body.as_str()), (200, r#"{"trade_id":"1000001"}"#));
    let (truth, _) = truth(&simulator, "btc-usd");
    assert!(truth[&1_000_001].starts_with("1000001 1.5 2 sell "), "{truth:?}");
    for target in [
        "/simulator/trade?symbol=BTC-USD&price=-1&quantity=2",
        "/simulator/trades?symbol=NO",
        "/simulator/market?trading=maybe",
        "/simulator/fault",
    ] {
        let method = if target.contains("trades") { "GET" } else { "POST" };
        assert_eq!(ask(&simulator, method, target).0, 400, "{target}");
    }
    assert_eq!(ask(&simulator, "GET", "/simulator/dance").0, 404);
    assert_eq!(ask(&simulator, "GET", "/simulator/fault").0, 405);
}
