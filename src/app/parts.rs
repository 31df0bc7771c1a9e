//! What rooms build on, and what they plug into the service.
//!
//! How a room plugs in: `plug` in `live.rs` is the one place. It gets the [`Ground`] (configuration, roster, metrics,
//! latency, health, clocks, quarantine, data directory) and fills [`Parts`]:
//!
//! * `parts.sinks`: whoever listens to what is told, `Arc<dyn Sink>`: store, database, outbox, board, feed,
//!   gap repair. They exist before the first symbol, and get what a restart computes again.
//! * `parts.connections`: closures that run once on each shard's thread, when its symbols are up, and get its
//!   `ShardDoor`: the shard's `Rc<dyn Intake>`, its instruments, and the signal to end. What they start
//!   (`actix_rt::spawn`, actors) lives on that thread. They end when `stopping` turns true, and drop the intake.
//! * `parts.servers`: futures that run on the main thread's system until the process stops; each gets a
//!   `watch::Receiver<bool>` that turns true when it has to end. They start last and end first.
//! * `parts.keepers`: whatever must live until after the sinks have drained; dropped last, in order.

use std::any::Any;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use crate::app::config::Config;
use crate::domain::told::Roster;
use crate::engine::assembly::{Connect, Tools};
use crate::runtime::sink::Sink;

/// What every room may build on.
pub struct Ground<'a> {
    pub config: &'a Config,
    /// Ours alone; a room keeps its files in a folder of its own name.
    pub data_dir: PathBuf,
    pub roster: Roster,
    pub tools: Tools,
    /// Threads with an arbiter each.
    pub shards: usize,
}

/// Runs on the main thread until it is told to end.
pub type Server = Box<dyn FnOnce(watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()>>>>;

/// What the rooms have plugged in.
#[derive(Default)]
pub struct Parts {
    pub sinks: Vec<Arc<dyn Sink>>,
    pub connections: Vec<Connect>,
    pub servers: Vec<Server>,
    pub keepers: Vec<Box<dyn Any>>,
}
