//! The service against simulated venues that go wrong: once the faults have ended and holes are repaired, the
//! candles are those of an exact computation from what truly happened, whatever was cut, lost or killed.
//!
//! `TAPEWATCH_LIVE_SECONDS` and `TAPEWATCH_KILLS` make the runs longer. The journal is read by `replay`, and held
//! against what the session told by `verify`; the rows of a QuestDB against what happened, where one can be had.

#[path = "common/program.rs"]
mod program;
#[path = "common/questdb.rs"]
mod questdb;
#[path = "common/service.rs"]
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tapewatch::app::market_tape::{GeneratedTape, named_symbols};
use tapewatch::domain::decimal::{Price, Quantity, QuoteVolume, Volume};
use tapewatch::domain::interval::{Interval, TimeInterval};
use tapewatch::domain::time::UnixNanos;
use tapewatch::runtime::backoff::splitmix;
use tapewatch::runtime::clock::{self, Stopwatch};
use tapewatch::venues::simulator::Simulator;
use tapewatch::venues::simulator::config::{Limits, Pace, SimulatedVenue, SimulatorConfig};

use crate::service::{LISTEN, Service};

/// Holes must be repaired by then.
const PATIENCE: Duration = Duration::from_secs(300);
const CONFIG: &str = "tapewatch.toml";
const INTERVALS: [&str; 2] = ["1s", "1m"];

/// Everything, more often than anywhere.
const FAULTS: &str = "all,cut=5s,stall=4s/1s,silence=6s/4s,missing=0.001,skip=0.01,duplicate=0.01,reorder=0.01,garbage=0.01,rest-lag=200ms,clock-offset=80ms";
/// What a session that is killed must bear beside it.
const FEW_FAULTS: &str = "cut=8s,skip=0.005,duplicate=0.01,http429=0.02";

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Venues, the service that listens to them, and where it keeps things.
struct Session {
    venues: Vec<(SimulatedVenue, Simulator, Vec<String>)>,
    folder: tempfile::TempDir,
    service: Service,
}

impl Session {
    /// `more`: of the configuration.
    fn start(seed: u64, more: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut config = format!(
            "data_dir = {:?}\n[engine]\nshards = 2\nintervals = {INTERVALS:?}\nsnapshot_interval = \"2s\"\n[api]\nlisten = \"{LISTEN}\"\n{more}",
            folder.path().join("data")
        );
        let mut venues = Vec::new();
        for (venue, count, rate) in [(SimulatedVenue::Binance, 3, 150.0), (SimulatedVenue::Coinbase, 2, 80.0)]
        {
            let named = named_symbols(venue, count);
            let symbols: Vec<String> =
                named.iter().map(|symbol| symbol.split('@').next().unwrap().to_owned()).collect();
            let plan = SimulatorConfig {
                pace: Pace::Even(rate),
                limits: Limits::none(),
                seed,
                trading: false,
                ..SimulatorConfig::new(venue)
            };
            let tape = GeneratedTape::new(venue, named, seed).expect("a market");
            let simulator = Simulator::start(plan, Box::new(tape)).unwrap();
            config.push_str(&format!(
                "[venues.{}]\nsymbols = {symbols:?}\nws_url = {:?}\nrest_url = {:?}\n",
                venue.name(),
                simulator.ws_url(),
                simulator.rest_url()
            ));
            venues.push((venue, simulator, symbols));
        }
        fs::write(folder.path().join(CONFIG), config).unwrap();
        let service = Service::start(folder.path(), CONFIG);
        let session = Self { venues, folder, service };
        session.wait_for("readiness", || session.is_ready());
        // From here on every trade is known by its id.
        session.trade_by_hand();
        session.wait_for("the first trades", || session.has_newest());
        session
    }

    fn post(&self, target: &str) {
        for (_, simulator, _) in &self.venues {
            simulator.control("POST", target).unwrap();
        }
    }

    /// Whoever missed the last trade of a market learns of it by the next.
    fn trade_by_hand(&self) {
        for (_, simulator, symbols) in &self.venues {
            for symbol in symbols {
                let target = format!("/simulator/trade?symbol={symbol}&price=100&quantity=1");
                simulator.control("POST", &target).unwrap();
            }
        }
    }

    fn get(&self, target: &str) -> Option<Value> {
        let address = self.service.address()?;
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        if !head.starts_with("HTTP/1.1 200") {
            return None;
        }
        let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        serde_json::from_str(&body).ok()
    }

    fn is_ready(&self) -> bool {
        self.get("/health/ready").is_some_and(|health| health["status"] == "ready")
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let clock = Stopwatch::start();
        while !is_so() {
            if clock.elapsed() > PATIENCE {
                let instruments = self.get("/api/v1/instruments").unwrap_or_default();
                let gaps = self.get("/api/v1/gaps").unwrap_or_default();
                panic!("{what} did not come: {instruments:#} {gaps:#}");
            }
            clock::sleep(Duration::from_millis(50));
        }
    }

    /// Whether the newest trade of every market is known.
    fn has_newest(&self) -> bool {
        let Some(instruments) = self.get("/api/v1/instruments") else { return false };
        let known = |name: &str| {
            let all = instruments.as_array().into_iter().flatten();
            all.filter(|one| one["instrument"] == name)
                .find_map(|one| one["last_trade"]["trade_id"].as_str()?.parse::<u64>().ok())
        };
        self.venues.iter().all(|(venue, simulator, symbols)| {
            symbols.iter().all(|symbol| {
                let truth = Truth::of(simulator, symbol);
                known(&format!("{}:{symbol}", venue.name())) == truth.trades.keys().next_back().copied()
            })
        })
    }

    /// Whether no hole is open but those that nobody can fill.
    fn is_repaired(&self) -> bool {
        let Some(gaps) = self.get("/api/v1/gaps") else { return false };
        let open = gaps["gaps"].as_array().into_iter().flatten().filter(|gap| gap["state"] == "open");
        open.into_iter().all(|gap| {
            let id = |name: &str| gap[name].as_str().and_then(|id| id.parse::<u64>().ok());
            let (Some(first), Some(last)) = (id("first_missing_id"), id("last_missing_id")) else {
                return false;
            };
            let name = gap["instrument"].as_str().unwrap_or_default();
            let found = self.venues.iter().find_map(|(venue, simulator, symbols)| {
                let symbol = symbols.iter().find(|symbol| format!("{}:{symbol}", venue.name()) == name)?;
                Some(Truth::of(simulator, symbol))
            });
            found.is_some_and(|truth| truth.trades.range(first..=last).next().is_none())
        })
    }

    /// A run without a fault shows nothing.
    fn wait_for_faults(&self, names: &[&str]) {
        for name in names {
            self.wait_for(name, || {
                self.venues.iter().any(|(_, simulator, _)| {
                    let status = simulator.control("GET", "/simulator/status").unwrap();
                    let status: Value = serde_json::from_str(&status).unwrap();
                    status["counts"][name].as_u64().is_some_and(|count| count > 0)
                })
            });
        }
    }

    /// Whether the journal holds every trade that happened: what was told a moment ago may still become a gap.
    fn has_all(&self) -> bool {
        let data = self.folder.path().join("data");
        let output = program::tapewatch(&["export", data.to_str().unwrap(), "--format", "jsonl"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut known: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for line in text.lines() {
            let trade: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| trade[name].as_str().unwrap_or_default();
            let market = format!("{}:{}", text("venue"), text("symbol"));
            known.entry(market).or_default().insert(text("trade_id").parse().unwrap());
        }
        self.venues.iter().all(|(venue, simulator, symbols)| {
            symbols.iter().all(|symbol| {
                let known = known.get(&format!("{}:{symbol}", venue.name()));
                known.is_some_and(|known| {
                    Truth::of(simulator, symbol).trades.keys().all(|id| known.contains(id))
                })
            })
        })
    }

    /// Whether the second of the newest trade of every market is told: a stop closes none.
    fn has_closed(&self) -> bool {
        self.venues.iter().all(|(venue, simulator, symbols)| {
            symbols.iter().all(|symbol| {
                let target = format!("/api/v1/candles/{}:{symbol}?interval=1s&limit=1", venue.name());
                let told = self.get(&target).unwrap_or_default();
                let last = Truth::of(simulator, symbol).candles("1s").into_keys().next_back();
                told["candles"][0]["open_time"].as_str() >= last.as_deref()
            })
        })
    }

    /// The faults end, the market rests, and everything is repaired.
    fn settle(&self) {
        self.post("/simulator/fault?none");
        clock::sleep(Duration::from_millis(500));
        self.post("/simulator/market?trading=false");
        self.trade_by_hand();
        self.wait_for("the newest trades", || self.has_newest());
        self.wait_for("repair", || self.is_repaired());
        self.wait_for("every trade", || self.has_all());
        self.wait_for("the end of the repair", || self.is_repaired() && self.has_newest());
        self.wait_for("the last candles", || self.has_closed());
    }

    fn stop(&mut self) {
        assert_eq!(self.service.stop(), Some(0), "{}", self.service.messages());
    }

    /// What a client of the API is told is true, as far as it reaches.
    fn check_api(&self) {
        for (venue, simulator, symbols) in &self.venues {
            for symbol in symbols {
                let expected = Truth::of(simulator, symbol).candles("1s");
                let target = format!("/api/v1/candles/{}:{symbol}?interval=1s&limit=1000", venue.name());
                let told = self.get(&target).expect("candles");
                let told = told["candles"].as_array().unwrap();
                assert!(!told.is_empty(), "{target}");
                for candle in told.iter().filter(|candle| candle["trade_count"] != 0) {
                    let text = |name: &str| match &candle[name] {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    let row = FIELDS.map(text).join(",");
                    assert_eq!(expected.get(&text("open_time")), Some(&row), "{target}: {candle}");
                }
            }
        }
    }

    /// The journal holds exactly what happened, and what the session told.
    fn check_journal(&self) {
        let data = self.folder.path().join("data");
        let out = self.folder.path().join("results");
        program::replay(&[&data], &out, &[]);
        let text = fs::read_to_string(out.join("candles.csv")).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let column = |name: &str| header.iter().position(|known| *known == name).unwrap();
        let columns = FIELDS.map(column);
        let mut found: BTreeMap<(String, String), BTreeMap<String, String>> = BTreeMap::new();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |name: &str| cells[column(name)].to_owned();
            if ["traded", "partial"].contains(&cells[column("state")]) {
                let row = columns.map(|at| cells[at].to_owned()).join(",");
                let key = (format!("{}:{}", cell("venue"), cell("symbol")), cell("interval"));
                found.entry(key).or_default().insert(cell("open_time"), row);
            }
        }
        for (venue, simulator, symbols) in &self.venues {
            for symbol in symbols {
                let truth = Truth::of(simulator, symbol);
                for interval in INTERVALS {
                    let key = (format!("{}:{symbol}", venue.name()), interval.to_owned());
                    let found = found.remove(&key).unwrap_or_default();
                    let expected = truth.candles(interval);
                    assert!(expected.len() >= 2 || interval == "1m", "{key:?}: {}", expected.len());
                    let wrong: Vec<_> = expected
                        .iter()
                        .filter(|(at, row)| found.get(*at) != Some(row))
                        .map(|(at, row)| (at, row, found.get(at)))
                        .take(3)
                        .collect();
                    assert!(wrong.is_empty(), "{key:?}: {wrong:#?}\n{}", self.service.messages());
                    assert_eq!(found.len(), expected.len(), "{key:?}");
                }
            }
        }
        let output = program::tapewatch(&["verify", data.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "verify: {said}");
    }

    /// The database holds each trade that happened once, and their candles.
    fn check_database(&self, server: &questdb::Server) {
        let numbers = |row: &[&str]| -> Vec<f64> { row.iter().map(|cell| cell.parse().unwrap()).collect() };
        for (venue, simulator, symbols) in &self.venues {
            for symbol in symbols {
                let truth = Truth::of(simulator, symbol);
                let of = format!("venue = '{}' AND symbol = '{symbol}'", venue.name());
                // Tables are applied one by one, a little later.
                let count = format!("SELECT count() FROM trades WHERE {of}");
                self.wait_for("trades to be readable", || {
                    server.rows(&count) == [truth.trades.len().to_string()]
                });
                let sql = format!("SELECT trade_id, taker_side, price, quantity FROM trades WHERE {of}");
                let found: BTreeMap<u64, (bool, Vec<f64>)> = server
                    .rows(&sql)
                    .iter()
                    .map(|row| {
                        let cells: Vec<&str> = row.split(' ').collect();
                        (cells[0].parse().unwrap(), (cells[1] == "buy", numbers(&cells[2..])))
                    })
                    .collect();
                let expected: BTreeMap<u64, (bool, Vec<f64>)> = truth
                    .trades
                    .iter()
                    .map(|(&id, (price, quantity, is_buy, _))| {
                        (id, (*is_buy, vec![price.decimal().to_f64(), quantity.decimal().to_f64()]))
                    })
                    .collect();
                assert!(found == expected, "trades of {symbol} in the database are not those that happened");
                let sql = format!(
                    "SELECT open_time, open, high, low, close, volume, trade_count FROM candles \
                     WHERE {of} AND interval = '1s' AND state IN ('traded', 'partial')"
                );
                let expected: BTreeMap<String, Vec<f64>> = truth
                    .candles("1s")
                    .into_iter()
                    .map(|(at, row)| {
                        let cells: Vec<&str> = row.split(',').collect();
                        let at = UnixNanos::parse_iso(at.as_bytes()).unwrap();
                        (at.0.to_string(), numbers(&[&cells[..5], &cells[6..7]].concat()))
                    })
                    .collect();
                let is_so = || {
                    let found: BTreeMap<String, Vec<f64>> = server
                        .rows(&sql)
                        .iter()
                        .map(|row| {
                            let cells: Vec<&str> = row.split(' ').collect();
                            let at = UnixNanos::parse_iso(cells[0].as_bytes()).unwrap();
                            (at.0.to_string(), numbers(&cells[1..]))
                        })
                        .collect();
                    found == expected
                };
                self.wait_for("the candles of what happened in the database", is_so);
            }
        }
    }
}

fn unchunked(body: &str) -> String {
    let (mut rest, mut out) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        if length == 0 {
            break;
        }
        out.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    out
}

const FIELDS: [&str; 9] = [
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
];

/// The trades of one market that somebody could know.
struct Truth {
    trades: BTreeMap<u64, (Price, Quantity, bool, UnixNanos)>,
}

impl Truth {
    fn of(simulator: &Simulator, symbol: &str) -> Self {
        let body = simulator.control("GET", &format!("/simulator/trades?symbol={symbol}")).unwrap();
        let all: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(all["first_id"], all["oldest_id"], "the truth was forgotten");
        let mut trades = BTreeMap::new();
        for trade in all["trades"].as_array().unwrap() {
            let text = |name: &str| trade[name].as_str().unwrap();
            if trade["missing"] == false {
                let at = UnixNanos::parse_iso(text("exchange_at").as_bytes()).unwrap();
                let price = Price::parse(text("price").as_bytes()).unwrap();
                let quantity = Quantity::parse(text("quantity").as_bytes()).unwrap();
                let is_buy = text("taker_side") == "buy";
                trades.insert(text("trade_id").parse().unwrap(), (price, quantity, is_buy, at));
            }
        }
        Self { trades }
    }

    /// Rows of [`FIELDS`] by open time.
    fn candles(&self, interval: &str) -> BTreeMap<String, String> {
        let interval: TimeInterval = interval.parse::<Interval>().unwrap().time().unwrap();
        let mut groups: BTreeMap<UnixNanos, Vec<_>> = BTreeMap::new();
        for trade in self.trades.values() {
            groups.entry(interval.open_of(trade.3)).or_default().push(trade);
        }
        groups
            .into_iter()
            .map(|(at, mut group)| {
                // Ids rise with time, and order trades of one moment.
                group.sort_by_key(|trade| trade.3);
                let (mut volume, mut value) = (Volume::ZERO, QuoteVolume::ZERO);
                let (mut bought, mut bought_value) = (Volume::ZERO, QuoteVolume::ZERO);
                for (price, quantity, is_buy, _) in &group {
                    volume.add(Volume::of(*quantity));
                    value.add(QuoteVolume::of(*price, *quantity));
                    if *is_buy {
                        bought.add(Volume::of(*quantity));
                        bought_value.add(QuoteVolume::of(*price, *quantity));
                    }
                }
                let prices = || group.iter().map(|trade| trade.0.decimal());
                let row = format!(
                    "{},{},{},{},{volume},{value},{},{bought},{bought_value}",
                    prices().next().unwrap(),
                    prices().max().unwrap(),
                    prices().min().unwrap(),
                    prices().next_back().unwrap(),
                    group.len()
                );
                (at.to_string(), row)
            })
            .collect()
    }
}

#[test]
fn all_faults_leave_what_truly_happened() {
    let mut session = Session::start(11, "");
    session.post(&format!("/simulator/fault?{}", FAULTS.replace(',', "&")));
    session.post("/simulator/market?trading=true");
    clock::sleep(Duration::from_secs(from_environment("TAPEWATCH_LIVE_SECONDS", 15)));
    session.wait_for_faults(&[
        "cut",
        "stall",
        "silence",
        "skip",
        "missing",
        "duplicate",
        "reorder",
        "garbage",
        "http429",
        "short-page",
    ]);
    session.settle();
    session.check_api();
    session.stop();
    session.check_journal();
}

#[test]
fn kills_at_any_moment_leave_what_truly_happened() {
    let server = questdb::start();
    let more = server.as_ref().map(|server| {
        format!("[storage.questdb]\nenabled = true\nhttp_address = {:?}\n", server.http_address)
    });
    let mut session = Session::start(12, &more.unwrap_or_default());
    session.post(&format!("/simulator/fault?{}", FEW_FAULTS.replace(',', "&")));
    session.post("/simulator/market?trading=true");
    let mut seed = from_environment("TAPEWATCH_SEED", 5);
    println!("seed {seed}");
    for _ in 0..from_environment("TAPEWATCH_KILLS", 4) {
        seed = splitmix(seed);
        clock::sleep(Duration::from_millis(300 + seed % 2_500));
        session.service.kill();
        session.service = Service::start(session.folder.path(), CONFIG);
    }
    session.wait_for("readiness", || session.is_ready());
    clock::sleep(Duration::from_secs(2));
    session.settle();
    session.stop();
    session.check_journal();
    if let Some(server) = server {
        session.check_database(&server);
    }
}

/// A demo that shows candles.
fn demo(folder: &Path) -> Child {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_tapewatch"))
        .current_dir(folder)
        .env("TMPDIR", folder)
        .args(["demo", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut printed = Vec::new();
    let mut out = demo.stdout.take().unwrap();
    while !printed.ends_with(b"Ctrl-C ends it.\n") {
        let mut byte = [0];
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&printed));
        printed.push(byte[0]);
    }
    let printed = String::from_utf8(printed).unwrap();
    let api = printed.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let session = Probe { api: api.parse().unwrap() };
    let clock = Stopwatch::start();
    while session.candles("binance:BTC-USDT") == 0 || session.candles("coinbase:BTC-USD") == 0 {
        assert!(clock.elapsed() < PATIENCE, "no candles: {printed}");
        clock::sleep(Duration::from_millis(100));
    }
    demo
}

#[test]
fn the_demo_shows_itself_and_cleans_up() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut demo = demo(folder.path());
    // Told twice in one breath, as `timeout` tells it: that is one request, and it drains.
    let twice = ["-c", "kill -INT \"$0\" && kill -INT \"$0\"", &demo.id().to_string()];
    assert!(Command::new("sh").args(twice).status().unwrap().success());
    assert!(demo.wait().unwrap().success());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the demo left something behind");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut demo = demo(folder.path());
    assert!(Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().unwrap().success());
    clock::sleep(Duration::from_millis(150));
    let clock = Stopwatch::start();
    while demo.try_wait().unwrap().is_none() {
        if clock.elapsed() > PATIENCE {
            demo.kill().unwrap();
            panic!("it does not stop");
        }
        // Sent until it is gone: draining may be over before the second one is heard.
        let _ = Command::new("kill").args(["-TERM", &demo.id().to_string()]).stderr(Stdio::null()).status();
        clock::sleep(Duration::from_millis(20));
    }
    assert!(matches!(demo.wait().unwrap().code(), Some(0 | 1)), "it ended by itself");
}

struct Probe {
    api: SocketAddr,
}

impl Probe {
    fn candles(&self, instrument: &str) -> usize {
        let Ok(mut stream) = TcpStream::connect(self.api) else { return 0 };
        let target = format!("/api/v1/candles/{instrument}?interval=1m");
        let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.api);
        let mut text = String::new();
        let asked = stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_string(&mut text));
        if asked.is_ok() { text.matches("\"open_time\"").count() } else { 0 }
    }
}
