//! The hub's inbox: how shards hand over batches without ever waiting.
//!
//! While there are clients, a batch wakes the hub. While there are none, nobody waits for it, and waking a thread
//! for each batch would cost the shards more than everything else they do with it: the hub looks every few
//! milliseconds, and is woken when much waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::api::feed::message::messages_of;
use crate::domain::told::Watch;
use crate::runtime::metrics::QueueMeter;
use crate::runtime::sink::{Barrier, Batch, Heard, Sink};

/// Batches that may wait. When it is full a batch is not taken: its messages are counted, and every
/// client is told of the hole in a gap frame; history has them.
const BATCHES_MAX: usize = 4_096;
/// With so many waiting the hub is woken whether there are clients or not.
const BATCHES_MANY: usize = BATCHES_MAX / 4;

#[derive(Debug)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    /// Wakes the hub.
    pub bell: Notify,
    meter: QueueMeter,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    batches: usize,
    /// Messages that were not taken since the hub last looked.
    lost: u64,
    /// There are clients.
    is_listened_to: bool,
}

#[derive(Debug)]
pub enum Item {
    Batch(Arc<Batch>),
    /// Snapshots wait for it: never refused, and there are as few as snapshots.
    Mark(Barrier),
}

impl Inbox {
    pub fn new(meter: QueueMeter) -> Self {
        Self { waiting: Mutex::default(), bell: Notify::new(), meter }
    }

    /// What waits, moved behind `items`, and how many messages were lost after it.
    pub fn take(&self, items: &mut VecDeque<Item>) -> u64 {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        items.append(&mut waiting.items);
        waiting.batches = 0;
        self.meter.depth.set(0);
        std::mem::take(&mut waiting.lost)
    }

    /// Whether there are clients; the hub takes what waits after saying so.
    pub fn listen(&self, is_listened_to: bool) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_listened_to = is_listened_to;
    }
}

impl Sink for Inbox {
    fn name(&self) -> &'static str {
        "feed"
    }

    /// Trades and indicators of before the start are not told to clients.
    fn heard(&self, _watch: Watch) -> Heard {
        Heard::ALL
    }

    fn offer(&self, batch: &Arc<Batch>) {
        let is_to_ring = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever finds something waiting knows that the bell has rung.
            let was_empty = waiting.items.is_empty() && waiting.lost == 0;
            if waiting.batches >= BATCHES_MAX {
                let messages: usize = batch.tellings.iter().map(|telling| messages_of(&telling.told)).sum();
                waiting.lost += messages as u64;
                self.meter.dropped.inc_by(messages as u64);
            } else {
                waiting.items.push_back(Item::Batch(batch.clone()));
                waiting.batches += 1;
                self.meter.depth.set(waiting.batches as i64);
            }
            (was_empty && waiting.is_listened_to) || waiting.batches == BATCHES_MANY
        };
        if is_to_ring {
            self.bell.notify_one();
        }
    }

    fn mark(&self, barrier: Barrier) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.items.push_back(Item::Mark(barrier));
        drop(waiting);
        self.bell.notify_one();
    }
}
