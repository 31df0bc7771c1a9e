//! The hub's thread at work: what rings it, who comes in, and the goodbye.
//!
//! Above the hub and the sessions, which take turns here on one thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::api::feed::client::CLOSE_PATIENCE;
use crate::api::feed::hub::{Hub, Shared};
use crate::api::feed::session::{self, Guest};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
const STATUS_EVERY: Duration = Duration::from_millis(100);
/// Without clients nobody rings: the hub looks whether something waits.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A log that could not be written is tried again after this time; nothing is sent meanwhile.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Runs until it is told to stop; then sends what it has, says goodbye and ends.
pub async fn run(hub: Hub, shared: Arc<Shared>, mut guests: mpsc::Receiver<Guest>) {
    let hub = Rc::new(RefCell::new(hub));
    let mut heartbeats = interval(HEARTBEAT_EVERY);
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = interval(STATUS_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = interval(LOOK_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut more = false;
    while !shared.stopping.load(Ordering::Acquire) || more {
        let is_stuck = hub.borrow().is_stuck();
        if is_stuck && shared.stopping.load(Ordering::Acquire) {
            break;
        }
        // No branch before another: under load the bell rings all the time.
        tokio::select! {
            () = shared.inbox.bell.notified(), if !more => {}
            // Sessions have their turn between rounds.
            () = tokio::task::yield_now(), if more && !is_stuck => {}
            () = tokio::time::sleep(RETRY_AFTER), if is_stuck => {}
            guest = guests.recv() => {
                if let Some(guest) = guest {
                    session::welcome(&hub, &shared, guest);
                }
            }
            _ = rounds.tick() => {}
            _ = looks.tick() => hub.borrow_mut().look_at_health(),
            _ = heartbeats.tick() => hub.borrow_mut().heartbeat(),
            () = shared.stop.notified() => {}
        }
        more = hub.borrow_mut().turn();
    }
    let goodbye = async {
        while !hub.borrow().is_idle() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        hub.borrow_mut().close_all();
        while shared.clients.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Who has not read by then has lost nothing: it comes back with what it knows.
    let _ = tokio::time::timeout(CLOSE_PATIENCE, goodbye).await;
}
