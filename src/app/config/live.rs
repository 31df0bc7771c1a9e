//! How the live engine runs: a part of `[engine]` and of `[journal]`.

use std::time::Duration;

use crate::app::config::reading;
use crate::app::layers::Layers;
use crate::engine::config::LiveConfig;

pub const KEYS: [&str; 4] =
    ["engine.drain_deadline", "engine.inbox_capacity", "engine.snapshot_interval", "journal.sync"];

const INBOX_MIN: u64 = 16;
const INBOX_MAX: u64 = 1 << 20;

/// `None` where something is wrong; it has been complained about.
pub fn read(layers: &mut Layers) -> Option<LiveConfig> {
    let seconds = Duration::from_secs;
    let drain_deadline = reading::duration(layers, "engine.drain_deadline", seconds(1), seconds(600));
    let snapshot_interval = reading::duration(layers, "engine.snapshot_interval", seconds(1), seconds(3_600));
    let sync_interval = reading::duration(layers, "journal.sync", Duration::from_millis(1), seconds(60));
    let inbox_capacity = layers.whole("engine.inbox_capacity", INBOX_MAX).and_then(|capacity| {
        if capacity >= INBOX_MIN {
            return Some(capacity as usize);
        }
        layers.complain("engine.inbox_capacity", format!("must be at least {INBOX_MIN}"));
        None
    });
    Some(LiveConfig {
        inbox_capacity: inbox_capacity?,
        snapshot_interval: snapshot_interval?,
        drain_deadline: drain_deadline?,
        sync_interval: sync_interval?,
        // `[journal]` says it.
        keep: LiveConfig::default().keep,
    })
}
