//! The feed as the rest of the process sees it: a sink, and a door for clients.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

use crate::api::feed::config::FeedConfig;
use crate::api::feed::hub::{Hub, Meters, Shared};
use crate::api::feed::inbox::Inbox;
use crate::api::feed::rounds;
use crate::api::feed::sequencer::{RING_MESSAGES, Sequencer};
use crate::api::feed::session::Guest;
use crate::domain::told::Roster;
use crate::runtime::health::{Condition, Health};
use crate::runtime::latency::Latency;
use crate::runtime::metrics::Metrics;
use crate::runtime::sink::Sink;
use crate::storage::feed_log::error::FeedLogError;
use crate::storage::feed_log::log::{FeedLog, FeedLogOptions};

/// Connections that were accepted and wait to be taken by the hub; further ones are answered 503.
const GUESTS_MAX: usize = 1_024;

/// The running feed.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    guests: mpsc::Sender<Guest>,
    clients_max: usize,
    thread: Option<JoinHandle<()>>,
}

/// The feed's door, for whoever accepts connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FeedDoor {
    shared: Arc<Shared>,
    guests: mpsc::Sender<Guest>,
    clients_max: usize,
}

/// A place for one client that was let in; freed when it is dropped without being used.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    guests: mpsc::Sender<Guest>,
    is_used: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error(transparent)]
    Log(#[from] FeedLogError),
    #[error("failed to start the feed's thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Feed {
    /// Opens the log in `dir` and starts the hub's thread.
    pub fn start(
        config: FeedConfig,
        dir: &Path,
        roster: &Roster,
        metrics: &Metrics,
        latency: &Latency,
        health: &Health,
    ) -> Result<Self, FeedError> {
        let options = FeedLogOptions { keep_bytes: config.keep_bytes, ..FeedLogOptions::default() };
        Self::with_sizes(config, dir, roster, metrics, latency, health, options, RING_MESSAGES)
    }

    /// As [`Feed::start`], with sizes of log and ring that tests can fill.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the process, and all are named")]
    pub fn with_sizes(
        config: FeedConfig,
        dir: &Path,
        roster: &Roster,
        metrics: &Metrics,
        latency: &Latency,
        health: &Health,
        options: FeedLogOptions,
        ring_messages: usize,
    ) -> Result<Self, FeedError> {
        let log = FeedLog::open(dir, options)?;
        let shared = Arc::new(Shared {
            inbox: Arc::new(Inbox::new(metrics.queue("feed"))),
            clients: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
        });
        let (guests, arrivals) = mpsc::channel(GUESTS_MAX);
        let meters = Meters {
            recorder: latency.recorder(),
            messages_sent: metrics.feed_messages.clone(),
            clients: metrics.feed_clients.clone(),
            backlog: metrics.queue("feed_clients"),
        };
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?;
        let (roster, health, for_thread) = (roster.clone(), health.clone(), shared.clone());
        let thread = thread::Builder::new().name("feed".to_owned()).spawn(move || {
            let sequencer = Sequencer::new(log, &roster, ring_messages);
            health.set("feed", Condition::Up, "");
            let hub = Hub::new(config, roster, sequencer, for_thread.inbox.clone(), health.clone(), meters);
            LocalSet::new().block_on(&runtime, rounds::run(hub, for_thread, arrivals));
            health.set("feed", Condition::Down, "stopped");
        })?;
        Ok(Self { shared, guests, clients_max: config.clients_max, thread: Some(thread) })
    }

    /// Where batches go.
    pub fn sink(&self) -> Arc<dyn Sink> {
        self.shared.inbox.clone()
    }

    pub fn door(&self) -> FeedDoor {
        FeedDoor { shared: self.shared.clone(), guests: self.guests.clone(), clients_max: self.clients_max }
    }

    /// Sends what was offered, says goodbye to the clients and ends, within a few seconds.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.stop.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the feed's thread panicked");
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end();
    }
}

impl FeedDoor {
    /// A place for a client; `None` where all are taken.
    pub fn place(&self) -> Option<Place> {
        let taken = self.shared.clients.fetch_add(1, Ordering::AcqRel);
        let place = Place { shared: self.shared.clone(), guests: self.guests.clone(), is_used: false };
        (taken < self.clients_max).then_some(place)
    }
}

impl Place {
    /// Hands over a socket whose websocket handshake is done, with what was read behind it.
    pub fn take(mut self, socket: TcpStream, read_already: Vec<u8>) {
        // From here on the session counts.
        self.is_used = self.guests.try_send(Guest { socket, read_already }).is_ok();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_used {
            self.shared.clients.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
