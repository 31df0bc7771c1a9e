//! A feed with a socket, what can be told through it, and a client that reads what comes.

#![allow(dead_code, reason = "each test and bench uses a part of it")]

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tapewatch::api::feed::config::FeedConfig;
use tapewatch::api::feed::service::{Feed, FeedDoor};
use tapewatch::domain::candle::{Candle, CandleState, Origin};
use tapewatch::domain::data_state::DataState;
use tapewatch::domain::decimal::{Price, Quantity, QuoteVolume, Volume};
use tapewatch::domain::event::{Trade, TradeId};
use tapewatch::domain::insight::{Evidence, Fact, InsightId, Severity, Signal, SignalKind};
use tapewatch::domain::output::{Gap, GapId, GapKind, GapState, Position};
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::{Roster, Told, Watch};
use tapewatch::runtime::clock::{self, Mono, Stopwatch};
use tapewatch::runtime::health::{Condition, Health};
use tapewatch::runtime::latency::Latency;
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::sink::{Batch, Telling};
use tapewatch::storage::feed_log::log::FeedLogOptions;
use tokio_tungstenite::tungstenite::{self, HandshakeError, Message, WebSocket};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Rig {
    pub feed: Option<Feed>,
    pub metrics: Metrics,
    pub latency: Latency,
    pub health: Health,
    pub address: SocketAddr,
    /// The last number that was used while it started.
    pub start: u64,
}

#[derive(Clone, Copy)]
pub struct Sizes {
    pub config: FeedConfig,
    pub log: FeedLogOptions,
    pub ring: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        let config = FeedConfig { requests_per_second: 1_000_000, ..FeedConfig::default() };
        Self { config, log: FeedLogOptions::default(), ring: 65_536 }
    }
}

pub fn roster() -> Roster {
    let names = ["binance:BTC-USDT", "binance:ETH-USDT", "coinbase:BTC-USD"];
    Roster::new(names.map(|name| name.parse().unwrap()))
}

/// Waits for what another thread does.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let stopwatch = Stopwatch::start();
    while !done() {
        assert!(stopwatch.elapsed() < PATIENCE, "waited in vain: {what}");
        clock::sleep(Duration::from_millis(2));
    }
}

impl Rig {
    pub fn new(dir: &Path) -> Self {
        Self::with(dir, Sizes::default(), &roster())
    }

    pub fn with(dir: &Path, sizes: Sizes, roster: &Roster) -> Self {
        let clients_max = sizes.config.clients_max;
        let (metrics, latency, health) = (Metrics::new(), Latency::default(), Health::default());
        let feed =
            Feed::with_sizes(sizes.config, dir, roster, &metrics, &latency, &health, sizes.log, sizes.ring)
                .unwrap();
        let address = listen(feed.door());
        let mut rig = Self { feed: Some(feed), metrics, latency, health, address, start: 0 };
        // The parts that come up are told on `status`, and take numbers: those of tests begin behind.
        let mut client = rig.client();
        client.subscribe(&["status"], None);
        rig.health.set("rig", Condition::Up, "");
        rig.start = loop {
            let message = client.next();
            if message["part"] == "rig" {
                break message["seq"].as_u64().unwrap();
            }
        };
        drop(client);
        // Its place is free again: no test finds one place less.
        let door = rig.feed.as_ref().unwrap().door();
        wait_until("all places are free", || {
            let places: Vec<_> = (0..clients_max).map_while(|_| door.place()).collect();
            places.len() == clients_max
        });
        rig
    }

    pub fn offer(&self, tellings: Vec<Telling>) {
        self.offer_batch(tellings, false);
    }

    pub fn offer_batch(&self, tellings: Vec<Telling>, recovered: bool) {
        let batch = Arc::new(Batch { tellings, published: Mono::now(), recovered });
        self.feed.as_ref().unwrap().sink().offer(&batch);
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

/// Lets clients in, as the server does once it has read the request.
fn listen(door: FeedDoor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let Some(place) = door.place() else { continue };
            if let Ok(accepted) = tungstenite::accept(socket) {
                place.take(accepted.into_inner(), Vec::new());
            }
        }
    });
    address
}

pub struct Client {
    pub socket: WebSocket<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the feed takes another client")
    }

    /// `None` where the feed has as many clients as it takes.
    pub fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match tungstenite::client(format!("ws://{address}/api/v1/feed"), stream) {
            Ok((socket, _)) => Some(Self { socket }),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) if response.status() == 503 => {
                None
            }
            Err(error) => panic!("{address}: {error}"),
        }
    }

    pub fn say(&mut self, value: Value) {
        self.say_text(&value.to_string());
    }

    pub fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// The next message, heartbeats passed over; an error where the connection ended.
    pub fn try_next(&mut self) -> Result<Value, tungstenite::Error> {
        loop {
            match self.socket.read()? {
                Message::Text(text) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    if value["type"] != "heartbeat" {
                        return Ok(value);
                    }
                }
                Message::Close(frame) => {
                    let code = frame.map_or(1005, |frame| u16::from(frame.code));
                    return Err(tungstenite::Error::Io(io::Error::other(format!("closed {code}"))));
                }
                _ => {}
            }
        }
    }

    pub fn next(&mut self) -> Value {
        self.try_next().unwrap()
    }

    /// Says it, and hears the answer to it.
    pub fn ask(&mut self, value: Value) -> Value {
        self.say(value);
        self.next()
    }

    pub fn subscribe(&mut self, channels: &[&str], after: Option<u64>) -> Value {
        let answer = self.ask(json!({"op": "subscribe", "id": 1, "channels": channels, "after": after}));
        assert_eq!(answer["type"], "subscribed", "{answer}");
        answer
    }

    /// The close code that the server sends, whatever comes before it.
    pub fn close_code(&mut self) -> u16 {
        loop {
            match self.try_next() {
                Ok(_) => {}
                Err(error) => {
                    let text = error.to_string();
                    let code = text.rsplit_once("closed ").and_then(|(_, code)| code.parse().ok());
                    return code.unwrap_or_else(|| panic!("no close frame: {text}"));
                }
            }
        }
    }
}

fn telling(watch: u32, at: u64, told: Told) -> Telling {
    let received = Some(Mono::now());
    Telling { watch: Watch(watch), cause_seq: at, at: Position(at), received, told }
}

pub fn trade(watch: u32, at: u64) -> Telling {
    let trade = Trade {
        price: Price::parse(b"105944.2").unwrap(),
        quantity: Quantity::parse(b"0.00013").unwrap(),
        exchange_at: UnixNanos(1_714_521_600_000_000_000 + at as i64),
        received_at: UnixNanos(1_714_521_600_100_000_000 + at as i64).stamp(),
        id: TradeId::Number(at),
        taker_side: None,
        trade_count: 1,
    };
    telling(watch, at, Told::Trade(trade))
}

pub fn candle(watch: u32, at: u64) -> Telling {
    let candle = Candle {
        interval: "1m".parse().unwrap(),
        open_at: UnixNanos(1_714_521_600_000_000_000),
        close_at: UnixNanos(1_714_521_660_000_000_000),
        prices: None,
        volume: Volume::ZERO,
        quote_volume: Some(QuoteVolume::ZERO),
        trade_count: Some(0),
        taker_buy_volume: None,
        taker_buy_quote_volume: None,
        state: CandleState::Empty,
        revision: at as u32,
        origin: Origin::Trades,
    };
    telling(watch, at, Told::Candle(Box::new(candle)))
}

pub fn signal(watch: u32, at: u64, severity: Severity) -> Telling {
    let signal = Signal {
        id: InsightId(at),
        kind: SignalKind::ALL[at as usize % SignalKind::ALL.len()],
        name: "volume_burst",
        severity,
        action: None,
        exchange_at: UnixNanos(1_714_521_600_000_000_000 + at as i64),
        score: 0.997,
        message: "Volume of BTC-USDT is 9 times its median.".to_owned(),
        evidence: Evidence::default().with("volume", Fact::Decimal("12.5".to_owned())),
        models: Vec::new(),
        data_state: DataState::Complete,
    };
    telling(watch, at, Told::Signal(Box::new(signal)))
}

pub fn gap(watch: u32, at: u64) -> Telling {
    let gap = Gap {
        id: GapId(at),
        kind: GapKind::Ids,
        first_missing_id: Some(at),
        last_missing_id: Some(at),
        from: UnixNanos(1),
        to: UnixNanos(2),
        state: GapState::Open,
        reason: None,
    };
    telling(watch, at, Told::Gap(Box::new(gap)))
}

/// What is on the disk of a process that is killed now.
pub fn copy_as_killed(from: &Path, to: &Path) {
    let names = |dir: &Path| -> Vec<_> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    // Numbers last: they only grow, and a kill would leave them at least as high as those in use.
    let mut names = names(from);
    names.sort_by_key(|name| name.to_string_lossy().starts_with("numbers"));
    for name in names {
        let _ = fs::copy(from.join(&name), to.join(&name));
    }
}
