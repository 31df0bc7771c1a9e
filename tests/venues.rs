//! The service against simulated venues with all faults on: nothing is lost, nothing is invented, and what the
//! venue itself cannot give is told as such.
//!
//! The program runs as a user runs it; the truth is the simulator's own. Waiting is for a state, with a deadline.

#[path = "common/service.rs"]
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tapewatch::domain::decimal::{Price, Quantity};
use tapewatch::domain::event::Side;
use tapewatch::domain::time::UnixNanos;
use tapewatch::runtime::clock::{self, Stopwatch};
use tapewatch::venues::simulator::Simulator;
use tapewatch::venues::simulator::config::{Limits, Pace, SimulatedVenue, SimulatorConfig};
use tapewatch::venues::simulator::tape::{Draw, Listing, Tape};

use crate::service::{LISTEN, Service};

/// Machines that run tests are slow, and all faults at once take their time to be repaired.
const DEADLINE: Duration = Duration::from_secs(300);
const CONFIG: &str = "my.toml";

/// Trades without end, of prices and quantities that rise.
struct Rising {
    listings: Vec<Listing>,
    drawn: usize,
}

impl Tape for Rising {
    fn listings(&self) -> &[Listing] {
        &self.listings
    }

    fn draw(&mut self) -> Option<Draw> {
        self.drawn += 1;
        let decimal = |whole: usize, fraction: usize| format!("{whole}.{:05}", 1 + fraction % 99_998);
        Some(Draw {
            symbol: self.drawn % self.listings.len(),
            price: Price::parse(decimal(100 + self.drawn % 50, self.drawn).as_bytes()).unwrap(),
            quantity: Quantity::parse(decimal(0, self.drawn).as_bytes()).unwrap(),
            taker_side: if self.drawn.is_multiple_of(3) { Side::Sell } else { Side::Buy },
            at: UnixNanos(self.drawn as i64),
        })
    }
}

fn ask(address: SocketAddr, method: &str, target: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.contains(" 200 "), "{target}: {text}");
    Some(body.to_owned())
}

/// A service that watches a simulated venue.
struct Scene {
    simulator: Simulator,
    symbols: &'static [&'static str],
    venue: &'static str,
    service: Service,
    folder: tempfile::TempDir,
}

impl Scene {
    fn start(
        venue: SimulatedVenue,
        symbols: &'static [&'static str],
        rate: f64,
        faults: &str,
        table: &str,
    ) -> Self {
        let listing =
            |symbol: &&str| Listing { symbol: (*symbol).to_owned(), price_step: None, quantity_step: None };
        let tape = Rising { listings: symbols.iter().map(listing).collect(), drawn: 0 };
        let mut config = SimulatorConfig {
            pace: Pace::Even(rate),
            limits: Limits::none(),
            seed: 7,
            ..SimulatorConfig::new(venue)
        };
        config.faults.apply(faults).unwrap();
        let simulator = Simulator::start(config, Box::new(tape)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (name, address) = (venue.name(), simulator.address());
        let text = format!(
            "data_dir = 'data'\n[engine]\nshards = 2\n[api]\nlisten = '{LISTEN}'\n[venues.{name}]\n\
             symbols = {symbols:?}\nws_url = 'ws://{address}'\nrest_url = 'http://{address}'\n{table}\n"
        );
        std::fs::write(folder.path().join(CONFIG), text).unwrap();
        let service = Service::start(folder.path(), CONFIG);
        Self { simulator, symbols, venue: name, service, folder }
    }

    /// Ends the service as a user would.
    fn end(&mut self) {
        assert_eq!(self.service.stop(), Some(0), "{}", self.service.messages());
    }

    /// The answer of its API; `None` while it gives none.
    fn ask(&self, target: &str) -> Option<String> {
        ask(self.service.address()?, "GET", target)
    }

    /// Sum of a metric over its lines that hold `part`.
    fn metric(&self, name: &str, part: &str) -> f64 {
        let Some(text) = self.ask("/metrics") else { return 0.0 };
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(part));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let stopwatch = Stopwatch::start();
        while !is_so(self) {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(stopwatch.elapsed() < DEADLINE, "{what}: it never came to that\n{}", log());
            clock::sleep(Duration::from_millis(50));
        }
    }

    fn tell(&self, target: &str) {
        ask(self.simulator.address(), "POST", target).unwrap();
    }

    /// What was made of a symbol: `price quantity side time` by id, and the ids that nobody can know.
    fn truth(&self, symbol: &str) -> (BTreeMap<u64, String>, BTreeSet<u64>) {
        let target = format!("/simulator/trades?symbol={symbol}");
        let all: Value =
            serde_json::from_str(&ask(self.simulator.address(), "GET", &target).unwrap()).unwrap();
        let (mut told, mut missing) = (BTreeMap::new(), BTreeSet::new());
        for trade in all["trades"].as_array().unwrap() {
            let text = |name: &str| trade[name].as_str().unwrap().to_owned();
            let id = text("trade_id").parse().unwrap();
            if trade["missing"] == true {
                missing.insert(id);
            } else {
                let fields = ["price", "quantity", "taker_side", "exchange_at"].map(text);
                told.insert(id, fields.join(" "));
            }
        }
        (told, missing)
    }

    /// What the journal holds of each symbol, first copies.
    fn kept(&self) -> BTreeMap<String, BTreeMap<u64, String>> {
        let exported = Command::new(env!("CARGO_BIN_EXE_tapewatch"))
            .args(["export", "data/journal", "--format", "jsonl"])
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
        let mut all: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
        for line in String::from_utf8(exported.stdout).unwrap().lines() {
            let trade: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| trade[name].as_str().unwrap_or_default().to_owned();
            let at = if trade["exchange_at"].is_string() { "exchange_at" } else { "exchange_time" };
            let fields = ["price", "quantity", "taker_side", at].map(text);
            let id = text("trade_id").parse().unwrap();
            all.entry(text("symbol")).or_default().entry(id).or_insert_with(|| fields.join(" "));
        }
        all
    }

    /// Everything since the first trade that was heard is there, as it was.
    fn check_nothing_is_lost(&mut self) {
        self.tell("/simulator/fault?none");
        clock::sleep(Duration::from_millis(300));
        self.tell("/simulator/market?trading=false");
        let truths: BTreeMap<_, _> =
            self.symbols.iter().map(|symbol| (*symbol, self.truth(symbol))).collect();
        let missing: usize = truths.values().map(|(_, missing)| missing.len()).sum();
        // The end of each market is known, and a gap that stays is one that the venue cannot fill.
        self.wait_for("all trades are known", |scene| {
            let is_known = |symbol: &str| {
                let target = format!("/api/v1/trades/{}:{symbol}?limit=1", scene.venue);
                let known: Value = serde_json::from_str(&scene.ask(&target)?).ok()?;
                let newest: u64 = known["trades"][0]["trade_id"].as_str()?.parse().ok()?;
                Some(newest >= *truths[symbol].0.keys().next_back()?)
            };
            scene.symbols.iter().all(|symbol| is_known(symbol) == Some(true))
        });
        // What was told a moment ago may still become a gap.
        self.wait_for("all that the venue can give is kept", |scene| {
            let kept = scene.kept();
            truths.iter().all(|(symbol, (told, _))| {
                let Some(kept) = kept.get(*symbol) else { return false };
                let first = *kept.keys().next().expect("it holds a trade");
                told.range(first..).all(|(id, _)| kept.contains_key(id))
            })
        });
        self.wait_for("no gap is left that the venue can fill", |scene| {
            scene.metric("tapewatch_gaps_open", "") <= missing as f64
        });
        self.end();
        let kept = self.kept();
        for (symbol, (told, missing)) in truths {
            let kept = &kept[symbol];
            let first = *kept.keys().next().unwrap();
            let expected: BTreeMap<_, _> =
                told.range(first..).map(|(id, line)| (*id, line.clone())).collect();
            assert!(kept.keys().all(|id| !missing.contains(id)), "{symbol}: the venue never told these");
            let lost: Vec<_> = expected.keys().filter(|id| !kept.contains_key(id)).collect();
            assert!(lost.is_empty(), "{} {symbol}: {} lost: {lost:?}", self.venue, lost.len());
            assert_eq!(*kept, expected, "{} {symbol}", self.venue);
        }
    }
}

const COINS: &[&str] = &["BTC-USDT", "ETH-USDT", "SOL-USDT"];
const DOLLARS: &[&str] = &["BTC-USD", "ETH-USD", "SOL-USD"];
const FAULTS: &str = "all,cut=7s,stall=9s/2s,silence=12s/20s";

fn check_all_faults(venue: SimulatedVenue, symbols: &'static [&'static str], table: &str) {
    let mut scene = Scene::start(venue, symbols, 150.0, FAULTS, table);
    scene.wait_for("trades come through the faults", |scene| {
        scene.metric("tapewatch_trades_total", "") > 2_500.0
            && scene.metric("tapewatch_reconnects_total", "") >= 2.0
    });
    scene.check_nothing_is_lost();
}

#[test]
fn binance_with_all_faults_loses_nothing() {
    check_all_faults(SimulatedVenue::Binance, COINS, "");
}

#[test]
fn coinbase_advanced_with_all_faults_loses_nothing() {
    check_all_faults(SimulatedVenue::Coinbase, DOLLARS, "feed = 'advanced'");
}

#[test]
fn coinbase_exchange_with_all_faults_loses_nothing() {
    check_all_faults(SimulatedVenue::Coinbase, DOLLARS, "feed = 'exchange'\nmode = 'both'");
}

#[test]
fn polling_alone_loses_nothing() {
    let faults = "http429=0.05,http503=0.05,html=0.05,short-page=0.2,rest-lag=500ms";
    let mut scene = Scene::start(SimulatedVenue::Binance, COINS, 100.0, faults, "mode = 'rest'");
    scene.wait_for("polls bring trades", |scene| scene.metric("tapewatch_trades_total", "") > 1_000.0);
    scene.check_nothing_is_lost();
}

#[test]
fn a_subscription_that_dies_in_silence_is_noticed() {
    let mut scene = Scene::start(SimulatedVenue::Binance, COINS, 60.0, "none", "");
    scene.wait_for("trades come", |scene| scene.metric("tapewatch_trades_total", "ETH") > 40.0);
    scene.tell("/simulator/fault?silence=now&symbol=ETH-USDT&for=600s");
    let before = scene.metric("tapewatch_trades_total", "ETH");
    // More than were on their way: the market is known again, over REST and over a new subscription.
    scene.wait_for("the silence is noticed", |scene| {
        scene.metric("tapewatch_trades_total", "ETH") > before + 60.0
    });
    scene.check_nothing_is_lost();
}

/// A stop takes snapshots: the gap lies behind them, and is not told again by what is computed after.
#[test]
fn a_gap_that_is_open_at_a_stop_is_filled_after_it() {
    let mut scene = Scene::start(SimulatedVenue::Binance, COINS, 60.0, "none", "");
    scene.wait_for("trades come", |scene| scene.metric("tapewatch_trades_total", "") > 40.0);
    scene.tell("/simulator/fault?http503=1&skip=0.05");
    scene.wait_for("ids are missing", |scene| scene.metric("tapewatch_gaps_open", "") > 0.0);
    scene.end();
    scene.tell("/simulator/fault?none");
    scene.service = Service::start(scene.folder.path(), CONFIG);
    scene.wait_for("trades come again", |scene| scene.metric("tapewatch_trades_total", "") > 40.0);
    scene.check_nothing_is_lost();
}

/// Over restarts too, of which the second goes on from a snapshot that knows it.
#[test]
fn a_market_that_the_venue_does_not_list_is_shown_as_such() {
    let mut scene = Scene::start(SimulatedVenue::Binance, COINS, 60.0, "none", "");
    scene.wait_for("trades come", |scene| scene.metric("tapewatch_trades_total", "") > 40.0);
    let path = scene.folder.path().join(CONFIG);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("symbols = [", "symbols = ['NIX-USDT', ")).unwrap();
    let state = |scene: &Scene, instrument: &str| {
        let text = scene.ask("/api/v1/instruments")?;
        let all: Vec<Value> = serde_json::from_str(&text).unwrap();
        let found = all.into_iter().find(|found| found["instrument"] == instrument)?;
        Some(found["state"].as_str().unwrap().to_owned())
    };
    for _ in 0..2 {
        scene.end();
        scene.service = Service::start(scene.folder.path(), CONFIG);
        scene.wait_for("both are shown", |scene| {
            state(scene, "binance:NIX-USDT").as_deref() == Some("unlisted")
                && state(scene, "binance:BTC-USDT").as_deref() == Some("live")
        });
    }
}
