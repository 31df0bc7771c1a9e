//! `tapewatch run`: the service, put together.
//!
//! How a room plugs in, `parts.rs` says; [`plug`] is the one place.
//!
//! Start: sinks, symbols, routers, connections, servers. Stop: SIGTERM or SIGINT ends servers and
//! connections, inboxes are worked off, sinks reach their barrier, the journal is synced, exit 0; a second
//! signal ends the process at once, the journal written out.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::alerts::service::Alerts;
use crate::api::board::Board;
use crate::api::board::sink as board_sink;
use crate::api::feed::service::{Feed, FeedDoor};
use crate::api::server;
use crate::api::state::Api;
use crate::app::config::Config;
use crate::app::logging;
use crate::app::outcome::Failure;
use crate::app::parts::{Ground, Parts};
use crate::app::watching;
use crate::domain::venue::Venue;
use crate::engine::assembly::{Opened, Plan, Tools};
use crate::engine::data_dir::DataDir;
use crate::engine::error::EngineError;
use crate::engine::quarantine::QuarantineFile;
use crate::runtime::health::Health;
use crate::runtime::latency::Latency;
use crate::runtime::metrics::Metrics;
use crate::runtime::venue_clock::VenueClock;
use crate::storage::embedded::sink::Embedded;
use crate::storage::history::History;
use crate::storage::questdb::sink::{QuestDb, Voices};

#[derive(Debug, clap::Args)]
pub struct RunArguments {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tell what every forecaster says, not the mixtures alone
    #[arg(long)]
    all_models: bool,
}

/// Each room's lines; order is the order of starting.
pub fn plug(ground: &Ground<'_>, parts: &mut Parts) -> Result<(), Failure> {
    let history = plug_storage(ground, parts)?;
    plug_alerts(ground, parts)?;
    let feed = plug_feed(ground, parts)?;
    // venues
    watching::plug(ground, parts)?;
    // api
    plug_api(ground, history, feed, parts)
}

/// Where no route leads anywhere there is nothing to do.
fn plug_alerts(ground: &Ground<'_>, parts: &mut Parts) -> Result<(), Failure> {
    let (tools, config) = (&ground.tools, ground.config.alerts.clone());
    if config.routes.is_empty() {
        return Ok(());
    }
    let dir = ground.data_dir.join("alerts");
    let alerts = Alerts::start(config, &dir, &ground.roster, &tools.metrics, &tools.health)
        .map_err(Failure::failed)?;
    parts.sinks.push(alerts.sink());
    parts.keepers.push(Box::new(alerts));
    Ok(())
}

/// The feed's thread and log; clients come in by the API's port.
fn plug_feed(ground: &Ground<'_>, parts: &mut Parts) -> Result<FeedDoor, Failure> {
    let (tools, config) = (&ground.tools, ground.config.feed);
    let (dir, roster) = (ground.data_dir.join("feed"), &ground.roster);
    let feed = Feed::start(config, &dir, roster, &tools.metrics, &tools.latency, &tools.health)
        .map_err(Failure::failed)?;
    parts.sinks.push(feed.sink());
    let door = feed.door();
    parts.keepers.push(Box::new(feed));
    Ok(door)
}

/// Board, REST, page. Its sink listens before the first symbol speaks; requests are answered once all is up.
fn plug_api(
    ground: &Ground<'_>,
    history: Option<Arc<History>>,
    feed: FeedDoor,
    parts: &mut Parts,
) -> Result<(), Failure> {
    let tools = &ground.tools;
    let board = Arc::new(Board::new(ground.roster.clone(), &ground.config.engine.intervals));
    let (sink, thread) = board_sink::start(board.clone(), &tools.metrics)
        .map_err(|error| Failure::failed(format!("failed to start the board: {error}")))?;
    parts.sinks.push(sink);
    parts.keepers.push(Box::new(thread));
    let (metrics, latency, health) = (tools.metrics.clone(), tools.latency.clone(), tools.health.clone());
    let api = Api::new(ground.config.api.clone(), board, history, metrics, latency, health)?;
    let listen = api.config.listen;
    let server = server::start(api, Some(feed))
        .map_err(|error| Failure::failed(format!("failed to listen on {listen}: {error}")))?;
    parts.servers.push(Box::new(move |mut ending| {
        Box::pin(async move {
            // An end of the channel is an end too.
            let _ = ending.wait_for(|ending| *ending).await;
            server.stop().await;
        })
    }));
    Ok(())
}

/// The stores; history is read from the embedded one, where that is enabled.
fn plug_storage(ground: &Ground<'_>, parts: &mut Parts) -> Result<Option<Arc<History>>, Failure> {
    let (config, tools) = (&ground.config.storage, &ground.tools);
    if config.questdb.enabled {
        let voices = Voices {
            metrics: tools.metrics.clone(),
            health: tools.health.clone(),
            latency: tools.latency.clone(),
            quarantine: tools.quarantine.clone(),
        };
        let questdb = QuestDb::start(&ground.data_dir, &ground.roster, &config.questdb, voices)
            .map_err(Failure::failed)?;
        parts.sinks.push(questdb.sink());
        parts.keepers.push(Box::new(questdb));
    }
    if !config.embedded.enabled {
        return Ok(None);
    }
    // With a database the stage `store` is its own.
    let recorder = (!config.questdb.enabled).then(|| tools.latency.recorder());
    let (dir, roster) = (&ground.data_dir, &ground.roster);
    let embedded = Embedded::start(dir, roster, config.embedded, &tools.metrics, &tools.health, recorder)
        .map_err(Failure::failed)?;
    parts.sinks.push(embedded.sink());
    let history = embedded.history();
    parts.keepers.push(Box::new(embedded));
    Ok(Some(history))
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        if error.is_refusal() { Self::refused(error) } else { Self::failed(error) }
    }
}

pub fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let all_models = ("intelligence.all_models", "--all-models", "true".to_owned());
    let flags: &[_] = if arguments.all_models { &[all_models] } else { &[] };
    let config = Config::load(arguments.config.as_deref(), flags).map_err(Failure::refused)?;
    logging::start(config.log);
    serve(&config, plug)
}

/// Runs the engine with what `plug` puts into it, until a signal ends it.
pub fn serve(
    config: &Config,
    plug: impl FnOnce(&Ground<'_>, &mut Parts) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let dir = DataDir::lock(&config.data_dir)?;
    let metrics = Metrics::new();
    let quarantine = Arc::new(QuarantineFile::open(&dir.quarantine(), metrics.queue("quarantine"))?);
    let clocks: BTreeMap<Venue, VenueClock> =
        config.venues.iter().map(|venue| (venue.venue.clone(), VenueClock::default())).collect();
    let tools = Tools { metrics, latency: Latency::default(), health: Health::default(), quarantine, clocks };
    let watched: Vec<_> = config.venues.iter().flat_map(|venue| venue.instruments.iter().cloned()).collect();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let plan = Plan {
        live: config.live.clone(),
        shards: config.engine.shards.unwrap_or(cores),
        recorded: config.engine.recorded(),
        fault: None,
    };
    actix_rt::System::new().block_on(async {
        let opened = Opened::open(dir, &watched, config.engine.settings())?;
        let ground = Ground {
            config,
            data_dir: config.data_dir.clone(),
            roster: opened.roster().clone(),
            tools: tools.clone(),
            shards: plan.shards,
        };
        let mut parts = Parts::default();
        plug(&ground, &mut parts)?;
        let Parts { sinks, connections, servers, keepers } = parts;
        // Before anything runs: a signal during the start is not lost.
        let mut signals = Signals::new()?;
        let engine = opened.start(plan, tools, sinks).await?;
        for connect in connections {
            engine.connect(connect).await;
        }
        let (ending, _) = watch::channel(false);
        let servers: Vec<_> =
            servers.into_iter().map(|server| actix_rt::spawn(server(ending.subscribe()))).collect();

        let name = signals.next().await;
        info!(signal = name, "stopping");
        ending.send_replace(true);
        let handle = engine.log();
        let stop = async {
            for server in servers {
                let _ = server.await;
            }
            engine.stop().await
        };
        let drained = tokio::select! {
            drained = stop => drained?,
            name = signals.another() => {
                warn!(signal = name, "stopping at once");
                handle.flush();
                // Not a return: what is dropped on the way waits for threads that nobody has told to end.
                std::process::exit(STOPPED_AT_ONCE);
            }
        };
        drop(keepers);
        if !drained {
            error!("stopped before everything in flight was worked off: the journal holds it");
        }
        Ok(())
    })
}

/// Signals so close together are one request to stop.
const SAME_REQUEST: Duration = Duration::from_millis(100);
/// Exit code of a process that was told to stop twice.
const STOPPED_AT_ONCE: i32 = 1;

/// What ends the process.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind, name| {
            signal(kind).map_err(|error| Failure::failed(format!("failed to listen for {name}: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate(), "SIGTERM")?,
            interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// The next that is not the same request told twice: `timeout` signals the process, then its whole group.
    async fn another(&mut self) -> &'static str {
        tokio::time::sleep(SAME_REQUEST).await;
        while self.next().now_or_never().is_some() {}
        self.next().await
    }
}
