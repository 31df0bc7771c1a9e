//! `tapewatch simulate-venue`: an exchange on loopback.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::app::market_tape::{GeneratedTape, RecordedTape, named_symbols};
use crate::app::outcome::{self, Failure};
use crate::app::quantity;
use crate::runtime::clock;
use crate::venues::simulator::Simulator;
use crate::venues::simulator::config::{Limits, Pace, SimulatedVenue, SimulatorConfig};
use crate::venues::simulator::fault::{CATALOGUE, Faults};
use crate::venues::simulator::tape::Tape;

/// Symbols of one venue; more than any real one lists.
const SYMBOLS_MAX: usize = 10_000;

#[derive(Debug, clap::Args)]
#[command(after_help = fault_help())]
pub struct SimulateArguments {
    /// Whose protocol it speaks: binance, coinbase, or both
    #[arg(long, value_name = "VENUE", default_value = "binance", value_delimiter = ',')]
    venue: Vec<String>,
    /// Recordings to play instead of a generated market: files, or the directory of a journal
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// What the recordings are; `tapewatch check` lists the formats
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    format: String,
    /// How many symbols, or which: BTC-USDT,ETH-USDT@3000; of recordings all, unless some are named
    #[arg(long, value_name = "N|LIST")]
    symbols: Option<String>,
    /// Trades a second over all symbols, at equal distances; else as recorded or generated
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Times the recorded or generated pace
    #[arg(long, value_name = "N", default_value_t = 1.0, conflicts_with = "rate")]
    speed: f64,
    /// Of the generated market, and of every fault
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where it listens; a second venue takes the next port. 0: any that is free
    #[arg(long, default_value_t = 9_443)]
    port: u16,
    /// What goes wrong: all, or name=value,...
    #[arg(long = "fault", value_name = "FAULTS", default_value = "none", allow_hyphen_values = true)]
    faults: Vec<String>,
    /// Id of the first trade of each symbol
    #[arg(long, value_name = "ID", default_value_t = 1_000_001)]
    first_id: u64,
    /// Trades kept for REST and as the truth, of all symbols together
    #[arg(long, value_name = "N", default_value_t = 4_000_000)]
    keep_trades: usize,
    /// Longest life of a connection
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    life: String,
    /// Answer whatever is asked, as often as it is asked
    #[arg(long)]
    no_limits: bool,
    /// Play the recordings once, then fall silent
    #[arg(long)]
    once: bool,
    /// Let so much of a generated market have happened before: it is there over REST
    #[arg(long, value_name = "DURATION", default_value = "0s", conflicts_with = "inputs")]
    past: String,
    /// Wait for `POST /simulator/market?trading=true`
    #[arg(long)]
    paused: bool,
}

fn fault_help() -> String {
    let mut help = "Faults (--fault cut=30s,skip=0.01):\n".to_owned();
    for (name, example, meaning) in CATALOGUE {
        help.push_str(&format!("  {:<22} {meaning}\n", format!("{name}={example}")));
    }
    help.push_str("While it runs: POST /simulator/fault?skip=0.01, ?cut=now; GET /simulator/trades?symbol=, /simulator/status");
    help
}

impl SimulateArguments {
    fn venues(&self) -> Result<Vec<SimulatedVenue>, Failure> {
        let mut venues = Vec::new();
        for name in &self.venue {
            let named: Vec<_> = SimulatedVenue::ALL
                .into_iter()
                .filter(|venue| venue.name() == name || name == "both")
                .filter(|venue| !venues.contains(venue))
                .collect();
            if named.is_empty() {
                return Err(Failure::refused(format!(
                    "--venue {name:?} cannot be simulated: allowed are binance, coinbase, both, each once"
                )));
            }
            venues.extend(named);
        }
        Ok(venues)
    }

    fn config(&self, venue: SimulatedVenue, place: usize) -> Result<SimulatorConfig, Failure> {
        let mut faults = Faults::default();
        for text in &self.faults {
            faults.apply(text).map_err(|error| Failure::refused(format!("--fault: {error}")))?;
        }
        let positive = |flag: &str, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(value),
            false => Err(Failure::refused(format!("{flag} is {value}, allowed is a number above zero"))),
        };
        let pace = match self.rate {
            Some(rate) => Pace::Even(positive("--rate", rate)?),
            None => Pace::Source(positive("--speed", self.speed)?),
        };
        let life = quantity::parse_duration(&self.life)
            .map_err(|error| Failure::refused(format!("--life {:?}: {error}", self.life)))?;
        if life < Duration::from_secs(1) {
            return Err(Failure::refused(format!("--life {:?}: allowed is 1s and longer", self.life)));
        }
        if !(1..1 << 62).contains(&self.first_id) {
            return Err(Failure::refused("--first-id: allowed is 1 to 2^62".to_owned()));
        }
        let port = match (self.port, u16::try_from(place)) {
            (0, _) => 0,
            (port, place) => place.ok().and_then(|place| port.checked_add(place)).ok_or_else(|| {
                Failure::refused(format!("--port {port} leaves no port for the second venue"))
            })?,
        };
        Ok(SimulatorConfig {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            seed: self.seed,
            pace,
            first_id: self.first_id,
            keep_trades: self.keep_trades,
            life,
            limits: if self.no_limits { Limits::none() } else { Limits::of(venue) },
            faults,
            trading: !self.paused,
            ..SimulatorConfig::new(venue)
        })
    }

    fn tape(&self, venue: SimulatedVenue) -> Result<Box<dyn Tape>, Failure> {
        let wanted = self.symbols.as_deref();
        if !self.inputs.is_empty() {
            let named = wanted.map(|list| list.split(',').map(str::to_owned).collect());
            return Ok(Box::new(RecordedTape::open(&self.inputs, &self.format, named, !self.once)?));
        }
        let symbols = match wanted.map(|text| (text, text.parse::<usize>())) {
            None => named_symbols(venue, 4),
            Some((_, Ok(count @ 1..=SYMBOLS_MAX))) => named_symbols(venue, count),
            Some((_, Ok(count))) => {
                return Err(Failure::refused(format!(
                    "--symbols {count}: allowed are 1 to {SYMBOLS_MAX}, or names"
                )));
            }
            Some((list, Err(_))) => list.split(',').map(str::to_owned).collect(),
        };
        let past = quantity::parse_duration(&self.past)
            .map_err(|error| Failure::refused(format!("--past {:?}: {error}", self.past)))?;
        Ok(Box::new(GeneratedTape::new(venue, symbols, self.seed)?.with_past(past, clock::now())))
    }
}

pub fn simulate(arguments: &SimulateArguments) -> Result<(), Failure> {
    let mut planned = Vec::new();
    for (place, venue) in arguments.venues()?.into_iter().enumerate() {
        planned.push((arguments.config(venue, place)?, arguments.tape(venue)?));
    }
    let mut running = Vec::new();
    let mut snippet = String::new();
    for (config, tape) in planned {
        let (venue, listen) = (config.venue, config.listen);
        let mut symbols: Vec<String> =
            tape.listings().iter().map(|listing| format!("{:?}", listing.symbol)).collect();
        let more = symbols.len().saturating_sub(1_000);
        symbols.truncate(1_000);
        let simulator = Simulator::start(config, tape)
            .map_err(|error| Failure::failed(format!("cannot listen on {listen}: {error}")))?;
        snippet.push_str(&format!(
            "[venues.{}]\nsymbols = [{}]\nws_url = \"{}\"\nrest_url = \"{}\"\n",
            venue.name(),
            symbols.join(", "),
            simulator.ws_url(),
            simulator.rest_url()
        ));
        if more > 0 {
            snippet.push_str(&format!("# and {more} more symbols\n"));
        }
        running.push(simulator);
    }
    outcome::print(&snippet)?;
    // A closed standard output must not stop it, but what was printed must be seen now.
    let _ = io::stdout().flush();
    wait_for_signal()
}

/// Until somebody asks the process to stop.
pub fn wait_for_signal() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};

    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Failure::failed),
            _ = terminate.recv() => Ok(()),
        }
    })
}
