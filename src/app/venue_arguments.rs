//! What the commands that speak to a venue have in common: which one, where it is, how it is asked.

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::config::Config;
use crate::app::outcome::Failure;
use crate::domain::instrument::Instrument;
use crate::domain::told::Roster;
use crate::domain::venue::Venue;
use crate::runtime::health::Health;
use crate::runtime::latency::Latency;
use crate::runtime::metrics::Metrics;
use crate::runtime::quarantine::NoQuarantine;
use crate::runtime::venue_clock::VenueClock;
use crate::venues::config::{Feed, Mode, VenueConfig};
use crate::venues::desk::{Desk, VenueTools};

#[derive(Debug, clap::Args)]
pub struct VenueArguments {
    /// The configuration; its table of the venue says where it is
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of the venue, as `tapewatch check` lists it
    #[arg(long, value_name = "VENUE")]
    pub venue: String,
    /// Of coinbase: advanced or exchange
    #[arg(long, value_name = "FEED")]
    pub feed: Option<String>,
    /// Scheme, host and port of its websocket, where they differ from the venue's
    #[arg(long, value_name = "URL")]
    pub ws_url: Option<String>,
    /// Scheme, host and port of its REST, where they differ from the venue's
    #[arg(long, value_name = "URL")]
    pub rest_url: Option<String>,
}

impl VenueArguments {
    pub fn load(&self) -> Result<Config, Failure> {
        Config::load(self.config.as_deref(), &[]).map_err(Failure::refused)
    }

    /// The venue and these symbols of it, as a table of the configuration would say it; flags win.
    pub fn venue_config(&self, config: &Config, symbols: &[String]) -> Result<VenueConfig, Failure> {
        let venue = Venue::new(&self.venue).map_err(Failure::refused)?;
        let known = config.venues.iter().find(|known| known.venue == venue);
        let instruments: Result<Vec<_>, _> =
            symbols.iter().map(|symbol| Instrument::new(venue.clone(), symbol)).collect();
        let feed = match self.feed.as_deref() {
            None => known.and_then(|known| known.feed),
            Some("advanced") => Some(Feed::Advanced),
            Some("exchange") => Some(Feed::Exchange),
            Some(other) => {
                return Err(Failure::refused(format!("--feed {other}: must be one of advanced, exchange")));
            }
        };
        if feed.is_some() && venue.name() != "coinbase" {
            return Err(Failure::refused("--feed: only coinbase has a choice of feeds"));
        }
        let url = |flag: &Option<String>, name: &str, schemes: [&str; 2], known: Option<String>| match flag {
            Some(url) if !schemes.iter().any(|scheme| url.starts_with(scheme)) => Err(Failure::refused(
                format!("{name} {url}: must begin with {} or {}", schemes[0], schemes[1]),
            )),
            Some(url) => Ok(Some(url.clone())),
            None => Ok(known),
        };
        Ok(VenueConfig {
            instruments: instruments.map_err(Failure::refused)?,
            mode: Mode::Ws,
            ws_url: url(
                &self.ws_url,
                "--ws-url",
                ["wss://", "ws://"],
                known.and_then(|known| known.ws_url.clone()),
            )?,
            rest_url: url(
                &self.rest_url,
                "--rest-url",
                ["https://", "http://"],
                known.and_then(|known| known.rest_url.clone()),
            )?,
            feed,
            venue,
        })
    }
}

/// A desk for one command: nobody reads its metrics, and refusals are the command's to tell.
pub fn desk(config: VenueConfig) -> Result<Arc<Desk>, Failure> {
    let roster = Roster::new(config.instruments.iter().cloned());
    let tools = VenueTools {
        metrics: Metrics::new(),
        latency: Latency::default(),
        health: Health::default(),
        quarantine: Arc::new(NoQuarantine),
        patience: Arc::default(),
    };
    let (desk, _nobody) = Desk::new(config, &roster, VenueClock::default(), tools)?;
    Ok(desk)
}

/// Runs a future of the command on this thread.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::failed(format!("failed to start: {error}")))?.block_on(future)
}
