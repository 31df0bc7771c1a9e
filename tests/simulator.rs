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
use tapewatch::venues;
use tapewatch::venues::simulator::Simulator;
use tapewatch::venues::simulator::config::{Limits, Pace, SimulatedVenue, SimulatorConfig};
use tapewatch::venues::simulator::tape::{Draw, Listing, Tape};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const DEADLINE: Duration = Duration::from_secs(20);

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
    for id in 0..8 {
        // The socket may be gone already.
        let _ = client
            .socket
            .send(Message::text(json!({"method": "LIST_SUBSCRIPTIONS", "id": id}).to_string()))
            .await;
    }
    while client.hear().await {}
    // A socket that is closed with unread messages may swallow answers on their way.
    assert!(client.other.len() <= 5, "{:?}", client.other);
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
