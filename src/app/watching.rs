//! The venues of the service: desks and clerks, the repairer among the sinks, connections on the shards.

use std::any::Any;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::app::outcome::Failure;
use crate::app::parts::{Ground, Parts};
use crate::engine::assembly::ShardDoor;
use crate::venues::desk::VenueTools;
use crate::venues::error::VenuesError;
use crate::venues::patience::Patience;
use crate::venues::service::{ShardSide, Venues};

impl From<VenuesError> for Failure {
    fn from(error: VenuesError) -> Self {
        match error {
            VenuesError::NoConnector(..) => Self::refused(error),
            VenuesError::Client(_) | VenuesError::Thread(_) => Self::failed(error),
        }
    }
}

/// Ends the clerks when it is dropped.
struct Clerks {
    stopping: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Clerks {
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Plugs the venues of the configuration into the engine.
pub fn plug(ground: &Ground<'_>, parts: &mut Parts) -> Result<(), Failure> {
    let tools = VenueTools {
        metrics: ground.tools.metrics.clone(),
        latency: ground.tools.latency.clone(),
        health: ground.tools.health.clone(),
        quarantine: ground.tools.quarantine.clone(),
        patience: Arc::new(Patience::open(&ground.data_dir.join("patience"))),
    };
    let clocks = &ground.tools.clocks;
    let mut venues = Venues::new(&ground.config.venues, &ground.roster, &tools, |venue| {
        clocks.get(venue).cloned().unwrap_or_default()
    })?;
    parts.sinks.push(Arc::new(venues.repairer(&ground.roster)));
    let connect = venues.connect();
    parts.connections.push(Arc::new(move |door: ShardDoor| {
        connect(ShardSide { intake: door.intake, watches: door.watches, stopping: door.stopping });
    }));
    let (stopping, stop) = watch::channel(false);
    let thread = venues.start_clerks(stop)?;
    let clerks: Box<dyn Any> = Box::new(Clerks { stopping, thread: Some(thread) });
    parts.keepers.push(clerks);
    Ok(())
}
