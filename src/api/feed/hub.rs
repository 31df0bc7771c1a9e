//! The hub: one thread that numbers, keeps, and writes to every client's socket.
//!
//! Clients' sockets live on this thread, so that a message crosses no further one between shard and
//! socket. It takes what waits in its inbox as one round: kept in one write to the log, and sent in one
//! write to each client.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use prometheus::{IntCounter, IntGauge};
use tokio::sync::Notify;

use crate::api::feed::answer;
use crate::api::feed::client::{Client, Desk, Mode};
use crate::api::feed::config::FeedConfig;
use crate::api::feed::inbox::{Inbox, Item};
use crate::api::feed::outbox;
use crate::api::feed::sequencer::{Round, Sequencer};
use crate::domain::told::Roster;
use crate::runtime::clock::{self, Mono};
use crate::runtime::health::{Condition, Health};
use crate::runtime::latency::Recorder;
use crate::runtime::metrics::QueueMeter;
use crate::runtime::sink::{Barrier, Sink};
use crate::storage::feed_log::error::FeedLogError;

/// Numbered together at most, but for the last batch.
const ROUND_MESSAGES: usize = 4_096;

pub struct Hub {
    pub config: FeedConfig,
    pub roster: Roster,
    pub sequencer: Sequencer,
    clients: Vec<Rc<Client>>,
    inbox: Arc<Inbox>,
    /// Taken out of the inbox, not yet numbered.
    waiting: VecDeque<Item>,
    lost: u64,
    marks: Vec<Barrier>,
    health: Health,
    /// Parts as they were last told.
    parts: BTreeMap<String, (Condition, String)>,
    recorder: Recorder,
    scratch: Vec<u8>,
    stamps: Vec<(Mono, Mono)>,
    messages_sent: IntCounter,
    clients_gauge: IntGauge,
    backlog: QueueMeter,
    /// The log cannot be written.
    is_stuck: bool,
}

/// What the hub measures with.
pub struct Meters {
    pub recorder: Recorder,
    pub messages_sent: IntCounter,
    pub clients: IntGauge,
    pub backlog: QueueMeter,
}

/// What the rest of the process shares with the hub's thread.
#[derive(Debug)]
pub struct Shared {
    pub inbox: Arc<Inbox>,
    pub clients: AtomicUsize,
    pub stopping: AtomicBool,
    pub stop: Notify,
}

impl Hub {
    pub fn new(
        config: FeedConfig,
        roster: Roster,
        sequencer: Sequencer,
        inbox: Arc<Inbox>,
        health: Health,
        meters: Meters,
    ) -> Self {
        Self {
            config,
            roster,
            sequencer,
            clients: Vec::new(),
            inbox,
            waiting: VecDeque::new(),
            lost: 0,
            marks: Vec::new(),
            health,
            parts: BTreeMap::new(),
            recorder: meters.recorder,
            scratch: Vec::new(),
            stamps: Vec::new(),
            messages_sent: meters.messages_sent,
            clients_gauge: meters.clients,
            backlog: meters.backlog,
            is_stuck: false,
        }
    }

    pub fn add(&mut self, client: Rc<Client>) {
        self.clients.push(client);
        self.inbox.listen(true);
        self.clients_gauge.set(self.clients.len() as i64);
    }

    pub fn remove(&mut self, client: &Rc<Client>) {
        self.clients.retain(|known| !Rc::ptr_eq(known, client));
        self.inbox.listen(!self.clients.is_empty());
        self.clients_gauge.set(self.clients.len() as i64);
    }

    /// Lends what is needed for writing to a client.
    pub fn with_desk<T>(&mut self, work: impl FnOnce(&mut Desk<'_>) -> T) -> T {
        let (mut sent, mut dropped) = (0, 0);
        let result = work(&mut Desk {
            labels: self.sequencer.labels(),
            scratch: &mut self.scratch,
            stamps: &mut self.stamps,
            recorder: &self.recorder,
            config: &self.config,
            sent: &mut sent,
            dropped: &mut dropped,
        });
        self.messages_sent.inc_by(sent);
        self.backlog.dropped.inc_by(dropped);
        result
    }

    /// One round; whether more waits.
    pub(super) fn turn(&mut self) -> bool {
        // Only when all before is done: the inbox stays bounded by its own capacity.
        if self.waiting.is_empty() && self.lost == 0 {
            self.lost = self.inbox.take(&mut self.waiting);
        }
        let done = self.try_turn();
        let is_stuck = done.is_err();
        if let Err(error) = done
            && !self.is_stuck
        {
            tracing::error!(%error, "feed log cannot be written, the feed stands still");
            self.health.set("feed", Condition::Down, format!("the log cannot be written: {error}"));
        } else if self.is_stuck && !is_stuck {
            tracing::info!("feed log is written again");
            self.health.set("feed", Condition::Up, "");
        }
        self.is_stuck = is_stuck;
        !self.waiting.is_empty() || self.lost > 0
    }

    fn try_turn(&mut self) -> Result<(), FeedLogError> {
        while self.sequencer.held() < ROUND_MESSAGES
            && let Some(item) = self.waiting.pop_front()
        {
            match item {
                Item::Batch(batch) => {
                    if let Err(error) = self.sequencer.take_in(&batch) {
                        self.waiting.push_front(Item::Batch(batch));
                        return Err(error);
                    }
                }
                Item::Mark(barrier) => self.marks.push(barrier),
            }
        }
        self.send_round()?;
        for barrier in self.marks.drain(..) {
            self.sequencer.sync(barrier, self.inbox.name());
        }
        if self.waiting.is_empty() && self.lost > 0 {
            self.sequencer.take_lost(self.lost)?;
            tracing::error!(messages = self.lost, "feed was overrun, clients are told of a gap");
            self.lost = 0;
            self.send_round()?;
        }
        Ok(())
    }

    fn send_round(&mut self) -> Result<(), FeedLogError> {
        let round = self.sequencer.commit()?;
        if round.is_empty() || self.clients.is_empty() {
            return Ok(());
        }
        let Round { messages, lost } = round;
        let head = self.sequencer.head();
        let clients = std::mem::take(&mut self.clients);
        self.with_desk(|desk| {
            for client in &clients {
                client.deliver(&messages, lost, head, desk);
            }
        });
        self.clients = clients;
        Ok(())
    }

    pub(super) fn heartbeat(&mut self) {
        let head = self.sequencer.head();
        let frame = answer::heartbeat(clock::now(), head);
        let clients = std::mem::take(&mut self.clients);
        let mut waiting = 0;
        self.with_desk(|desk| {
            for client in &clients {
                let state = &mut *client.state.borrow_mut();
                // Who catches up hears enough, and has not seen all up to the head; who does not read
                // hears nothing at all.
                if state.mode == Mode::Live && state.outbox.len() <= desk.config.backlog_messages_max {
                    client.say(state, frame.clone(), desk);
                }
                waiting += state.outbox.len();
            }
        });
        self.backlog.depth.set(waiting as i64);
        self.clients = clients;
    }

    /// Tells what has changed since it last looked.
    pub(super) fn look_at_health(&mut self) {
        let parts = self.health.parts();
        for (name, part) in &parts {
            let is_known = self
                .parts
                .get(name)
                .is_some_and(|(condition, reason)| (*condition, reason) == (part.condition, &part.reason));
            if !is_known && self.sequencer.take_status(name, part).is_ok() {
                self.parts.insert(name.clone(), (part.condition, part.reason.clone()));
            }
        }
    }

    pub(super) fn close_all(&mut self) {
        let labels = self.sequencer.labels();
        for client in &self.clients {
            client.close(&mut client.state.borrow_mut(), 1001, "going away", labels);
        }
    }

    /// The log cannot be written.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// Everything was sent to everybody who is still served.
    pub(super) fn is_idle(&self) -> bool {
        self.clients.iter().all(|client| {
            let state = client.state.borrow();
            state.outbox.is_empty() || state.mode == Mode::Closing
        })
    }
}

/// Items for a client that catches up.
pub fn push_all(hub: &mut Hub, client: &Client, items: Vec<outbox::Item>) {
    hub.with_desk(|desk| {
        let state = &mut *client.state.borrow_mut();
        if state.is_closing() {
            return;
        }
        for item in items {
            state.outbox.push(item, desk.labels);
        }
        client.flush(state, desk, None);
    });
}
