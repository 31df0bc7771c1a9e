//! What every handler reads from.

use std::sync::Arc;

use crate::api::board::Board;
use crate::api::config::ApiConfig;
use crate::api::gate::Gate;
use crate::api::keys::{KeyRing, KeysError};
use crate::runtime::clock::Stopwatch;
use crate::runtime::health::Health;
use crate::runtime::latency::Latency;
use crate::runtime::metrics::Metrics;
use crate::storage::history::History;

/// The parts of the process that the API shows. Built once, shared by all handlers.
#[derive(Debug)]
pub struct Api {
    pub config: ApiConfig,
    pub board: Arc<Board>,
    /// `None` where no store is kept: the last of everything is read from the board then.
    pub history: Option<Arc<History>>,
    pub metrics: Metrics,
    pub latency: Latency,
    pub health: Health,
    pub keys: Arc<KeyRing>,
    pub gate: Gate,
    pub started: Stopwatch,
}

impl Api {
    /// Refuses a damaged file of keys.
    pub fn new(
        config: ApiConfig,
        board: Arc<Board>,
        history: Option<Arc<History>>,
        metrics: Metrics,
        latency: Latency,
        health: Health,
    ) -> Result<Self, KeysError> {
        let keys = Arc::new(KeyRing::open(&config.keys_file)?);
        let gate = Gate::new(&config, keys.clone());
        Ok(Self { config, board, history, metrics, latency, health, keys, gate, started: Stopwatch::start() })
    }
}
