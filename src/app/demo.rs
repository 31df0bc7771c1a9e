//! `tapewatch demo`: the whole engine on simulated venues, without network, server or configuration.
//!
//! Two simulated venues play a generated market through real sockets into the engine that `run` starts. An hour of
//! it lies in the journal already, so that models are trained and charts are full; then bursts, a hole that
//! nobody can fill, a cut and silences come by a plan, again and again.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::app::config::{Config, DEFAULT};
use crate::app::layers::Layers;
use crate::app::live;
use crate::app::logging;
use crate::app::market_tape::{GeneratedTape, draws_as_trades};
use crate::app::outcome::{self, Failure};
use crate::domain::decimal::{Decimal, Quantity};
use crate::domain::event::Trade;
use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;
use crate::domain::venue::{IdRule, Venue};
use crate::engine::assembly::PARTITIONS;
use crate::engine::data_dir::DataDir;
use crate::engine::log::state_configuration;
use crate::journal::options::WriterOptions;
use crate::journal::writer::Writer;
use crate::replay::generate::parameters::{ClockUnit, Parameters};
use crate::runtime::clock::{self, Stopwatch};
use crate::venues::simulator::Simulator;
use crate::venues::simulator::config::{Limits, SimulatedVenue, SimulatorConfig};
use crate::venues::simulator::tape::{Draw, Listing, Tape};

/// How much of the market has happened when the demo begins.
const PAST: Duration = Duration::from_secs(3_600);
/// The plan begins anew after this.
const ROUND: Duration = Duration::from_secs(90);
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// When in a round what happens: second, venue (0: Binance), request to the simulator.
const PLAN: [(u64, usize, &str); 6] = [
    (10, 0, "/simulator/fault?missing=now&symbol=ETH-USDT&count=12"),
    (20, 1, "/simulator/fault?cut=now"),
    (35, 0, "/simulator/fault?skip=now&symbol=BTC-USDT&count=20"),
    (45, 1, "/simulator/fault?missing=now&symbol=ETH-USD&count=8"),
    (60, 0, "/simulator/fault?cut=now"),
    (70, 0, "/simulator/fault?silence=now&symbol=SOL-USDT&for=12s"),
];

/// When in a round large trades come, how many seconds, and in which symbol.
const BURSTS: [(i64, i64, usize); 3] = [(15, 8, 0), (40, 8, 1), (65, 8, 2)];
const BURST_FACTOR: u64 = 300;

#[derive(Debug, clap::Args)]
pub struct DemoArguments {
    /// Where the journal and the store are made, a new or empty directory; else one that is removed at the end
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the page and the API [default: 127.0.0.1:8080, or a free port where that is taken]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Of the generated market
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn demo(arguments: &DemoArguments) -> Result<(), Failure> {
    // Removed when it is dropped, on every way out but a second signal.
    let mut removed = None;
    let data_dir = match &arguments.data_dir {
        Some(dir) => {
            refuse_used(dir)?;
            dir.clone()
        }
        None => {
            let made = tempfile::Builder::new().prefix("tapewatch-demo-").tempdir();
            let made =
                made.map_err(|error| Failure::failed(format!("failed to make a directory: {error}")))?;
            removed.insert(made).path().to_owned()
        }
    };
    let listen = listen_address(arguments.listen)?;
    let mut venues = Vec::new();
    let mut past = Vec::new();
    for venue in SimulatedVenue::ALL {
        let tape = DemoTape::new(venue, arguments.seed)?;
        let config =
            SimulatorConfig { seed: arguments.seed, limits: Limits::none(), ..SimulatorConfig::new(venue) };
        past.extend(tape.past_trades(venue, config.first_id)?);
        let simulator = Simulator::start(config, Box::new(tape))
            .map_err(|error| Failure::failed(format!("failed to start a simulated venue: {error}")))?;
        venues.push(simulator);
    }
    let config = configuration(&data_dir, listen, &venues)?;
    write_past(&data_dir, &config.engine.recorded(), past)?;
    logging::start(config.log);
    outcome::print(&format!(
        "page       http://{listen}/\napi        http://{listen}/api/v1/instruments\nfeed       ws://{listen}/api/v1/feed\n\
         binance    {}\ncoinbase   {}\ndata       {}\nCtrl-C ends it.\n",
        venues[0].ws_url(),
        venues[1].ws_url(),
        data_dir.display()
    ))?;
    let _ = io::stdout().flush();
    let ended = Arc::new(AtomicBool::new(false));
    let plan = follow_plan(venues, ended.clone())?;
    let result = live::serve(&config, live::plug);
    ended.store(true, Ordering::Relaxed);
    // The venues end after the engine, which would else look for them.
    let _ = plan.join();
    result
}

/// A directory that holds anything belongs to somebody else, or to another demo, whose ids would not fit.
fn refuse_used(dir: &Path) -> Result<(), Failure> {
    let is_used = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    match is_used {
        true => {
            Err(Failure::refused(format!("--data-dir {}: is not a new or an empty directory", dir.display())))
        }
        false => Ok(()),
    }
}

fn listen_address(wanted: Option<SocketAddr>) -> Result<SocketAddr, Failure> {
    let default: SocketAddr = DEFAULT_LISTEN.parse().expect("an address");
    let probe = |address| TcpListener::bind(address).and_then(|listener| listener.local_addr());
    let refused = |address, error| Failure::failed(format!("failed to listen on {address}: {error}"));
    match wanted {
        Some(address) => probe(address).map_err(|error| refused(address, error)),
        None => probe(default).or_else(|_| {
            let any = SocketAddr::new(default.ip(), 0);
            probe(any).map_err(|error| refused(any, error))
        }),
    }
}

fn configuration(data_dir: &Path, listen: SocketAddr, venues: &[Simulator]) -> Result<Config, Failure> {
    let mut text = format!(
        "data_dir = {}\n[engine]\nintervals = [\"1s\", \"5s\", \"1m\", \"5m\", \"1h\"]\n[intelligence]\n\
         intervals = [\"5s\", \"1m\"]\n[api]\nlisten = \"{listen}\"\n[log]\nlevel = \"error\"\n",
        toml::Value::from(data_dir.display().to_string())
    );
    for (venue, simulator) in SimulatedVenue::ALL.into_iter().zip(venues) {
        let symbols: Vec<String> =
            symbols(venue).iter().map(|symbol| format!("\"{}\"", name(symbol))).collect();
        text.push_str(&format!(
            "[venues.{}]\nsymbols = [{}]\nws_url = \"{}\"\nrest_url = \"{}\"\n",
            venue.name(),
            symbols.join(", "),
            simulator.ws_url(),
            simulator.rest_url()
        ));
    }
    // Neither files nor the environment have a say: a demo is the same everywhere.
    let mut layers = Layers::default();
    layers.put_default(DEFAULT);
    layers.put_file("demo", &text);
    Config::read(layers).map_err(Failure::refused)
}

fn symbols(venue: SimulatedVenue) -> &'static [&'static str] {
    match venue {
        SimulatedVenue::Binance => &["BTC-USDT", "ETH-USDT", "SOL-USDT", "PEPE-USDT"],
        SimulatedVenue::Coinbase => &["BTC-USD", "ETH-USD@3012.34"],
    }
}

fn name(symbol: &str) -> &str {
    symbol.split('@').next().unwrap_or(symbol)
}

/// The past goes into the journal as if the engine had listened to it.
fn write_past(data_dir: &Path, recorded: &str, mut past: Vec<(Instrument, Trade)>) -> Result<(), Failure> {
    past.sort_by_key(|(_, trade)| trade.exchange_at);
    let dir = DataDir::journal_of(data_dir);
    std::fs::create_dir_all(&dir)
        .map_err(|error| Failure::failed(format!("failed to make {}: {error}", dir.display())))?;
    let options = WriterOptions { partitions: PARTITIONS, sync_segments: false, ..WriterOptions::default() };
    let mut writer = Writer::create(&dir, options)?;
    state_configuration(&mut writer, recorded)?;
    for (instrument, trade) in &past {
        let number = writer.define(instrument, IdRule::Contiguous);
        writer.append_trade(number, trade)?;
    }
    Ok(writer.close()?)
}

/// Lets happen what the plan says, until it is ended; then the venues end.
fn follow_plan(venues: Vec<Simulator>, ended: Arc<AtomicBool>) -> Result<thread::JoinHandle<()>, Failure> {
    let follow = move || {
        let clock = Stopwatch::start();
        let mut done = 0_u64;
        while !ended.load(Ordering::Relaxed) {
            let elapsed = clock.elapsed().as_secs();
            let (round, step) = (done / PLAN.len() as u64, (done % PLAN.len() as u64) as usize);
            let (second, venue, target) = PLAN[step];
            if elapsed >= round * ROUND.as_secs() + second {
                done += 1;
                // A demo without one of its faults is a demo still.
                let _ = venues[venue].control("POST", target);
            } else {
                clock::sleep(Duration::from_millis(50));
            }
        }
    };
    thread::Builder::new()
        .name("demo-plan".to_owned())
        .spawn(follow)
        .map_err(|error| Failure::failed(format!("failed to start a thread: {error}")))
}

/// A generated market with bursts of large trades at planned times.
struct DemoTape {
    market: GeneratedTape,
    past: Vec<Draw>,
    begun: Option<UnixNanos>,
}

impl DemoTape {
    fn new(venue: SimulatedVenue, seed: u64) -> Result<Self, Failure> {
        let parameters = Parameters {
            seed,
            venue: venue.name().to_owned(),
            symbols: symbols(venue).iter().map(|&symbol| symbol.to_owned()).collect(),
            clock_unit: ClockUnit::Micros,
            duration_seconds: 0,
            trades_per_symbol: u64::MAX,
            rate: 4.0,
            regime_seconds: 300.0,
            jumps_per_hour: 4.0,
            ..Parameters::clean()
        };
        let mut market = GeneratedTape::of(&parameters)?.with_past(PAST, clock::now());
        let past = market.past();
        Ok(Self { market, past, begun: None })
    }

    /// The past as a client would have heard it.
    fn past_trades(&self, venue: SimulatedVenue, first_id: u64) -> Result<Vec<(Instrument, Trade)>, Failure> {
        let named = Venue::new(venue.name()).map_err(Failure::failed)?;
        let instruments: Result<Vec<_>, _> =
            symbols(venue).iter().map(|symbol| Instrument::new(named.clone(), name(symbol))).collect();
        let instruments = instruments.map_err(Failure::failed)?;
        let unit = if venue == SimulatedVenue::Binance { 1_000_000 } else { 1_000 };
        let trades = draws_as_trades(&self.past, instruments.len(), first_id, unit);
        Ok(trades.map(|(symbol, trade)| (instruments[symbol].clone(), trade)).collect())
    }
}

impl Tape for DemoTape {
    fn listings(&self) -> &[Listing] {
        self.market.listings()
    }

    fn past(&mut self) -> Vec<Draw> {
        std::mem::take(&mut self.past)
    }

    fn draw(&mut self) -> Option<Draw> {
        let draw = self.market.draw()?;
        let passed = (draw.at.0 - self.begun.get_or_insert(draw.at).0) / 1_000_000_000;
        let second = passed % ROUND.as_secs() as i64;
        let is_burst = BURSTS
            .iter()
            .any(|&(from, length, symbol)| symbol == draw.symbol && (from..from + length).contains(&second));
        if !is_burst {
            return Some(draw);
        }
        let quantity = draw.quantity.decimal();
        let larger = Decimal::new(quantity.mantissa().saturating_mul(BURST_FACTOR), quantity.scale());
        let quantity = larger.and_then(Quantity::new).unwrap_or(draw.quantity);
        Some(Draw { quantity, ..draw })
    }
}
