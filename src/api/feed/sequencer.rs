//! Numbers what was told, and keeps what is to be kept before anybody is sent it.
//!
//! Of what a restart computes again, only what the log does not hold is told; trades and indicators of
//! before the restart are not: clients that ask for them see a gap where they were.

use std::rc::Rc;
use std::sync::Arc;

use crate::api::feed::answer::reason;
use crate::api::feed::channel::{Channel, Topic};
use crate::api::feed::message::{Labels, Message, messages_of};
use crate::api::feed::ring::Ring;
use crate::domain::output::Position;
use crate::domain::shape;
use crate::domain::told::{Roster, Watch};
use crate::runtime::health::Part;
use crate::runtime::sink::{Barrier, Batch};
use crate::storage::feed_log::error::FeedLogError;
use crate::storage::feed_log::log::FeedLog;
use crate::storage::feed_log::record::Record;

/// Trades and indicators that a client can come back for.
pub const RING_MESSAGES: usize = 65_536;

pub struct Sequencer {
    log: FeedLog,
    ring: Ring,
    labels: Labels,
    /// By watch.
    instruments: Vec<Instrument>,
    /// Numbered and gathered, not yet committed: nobody may be sent them.
    held: Round,
    head: u64,
}

struct Instrument {
    name: String,
    /// The last kept telling: its cause, and which of the cause's tellings it is.
    told: Option<(Position, u32)>,
    /// As the log had it at the start.
    logged: Option<(Position, u32)>,
}

/// What goes out together, in order of numbers.
#[derive(Debug, Default)]
pub struct Round {
    pub messages: Vec<Rc<Message>>,
    /// First and last number of messages that were lost before they came here.
    pub lost: Option<(u64, u64)>,
}

impl Round {
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.lost.is_none()
    }
}

impl Sequencer {
    pub fn new(log: FeedLog, roster: &Roster, ring_messages: usize) -> Self {
        let instruments = roster
            .iter()
            .map(|(_, instrument)| {
                let name = instrument.to_string();
                let logged = log.mark(&name);
                Instrument { name, told: None, logged }
            })
            .collect();
        let head = log.head();
        Self {
            ring: Ring::new(ring_messages, head),
            labels: Labels::new(roster),
            instruments,
            held: Round::default(),
            head,
            log,
        }
    }

    /// The last number that clients were, or might have been, sent.
    pub fn head(&self) -> u64 {
        self.head
    }

    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    pub fn log(&self) -> &FeedLog {
        &self.log
    }

    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Messages that wait for [`Sequencer::commit`].
    pub fn held(&self) -> usize {
        self.held.messages.len()
    }

    /// Numbers what a batch tells.
    pub fn take_in(&mut self, batch: &Arc<Batch>) -> Result<(), FeedLogError> {
        let count: usize = batch.tellings.iter().map(|telling| messages_of(&telling.told)).sum();
        if count == 0 {
            return Ok(());
        }
        // Taken together; what a restart does not tell again leaves numbers unused, which is allowed.
        let mut next = self.log.take_numbers(count as u64)?;
        for (place, telling) in batch.tellings.iter().enumerate() {
            let Some(channel) = Channel::of(&telling.told) else { continue };
            let topic = Topic::of(telling.watch, channel, &telling.told);
            if channel.is_kept() {
                let ordinal = self.ordinal(telling.watch, telling.at);
                if batch.recovered && self.is_logged(telling.watch, telling.at, ordinal) {
                    continue;
                }
                let message = Rc::new(Message::of_telling(next, topic, batch.clone(), place, 0));
                self.log.push(&Record {
                    seq: next,
                    at: telling.at,
                    ordinal,
                    tag: topic.tag(),
                    name: &self.instruments[telling.watch.0 as usize].name,
                    body: message.json(&self.labels),
                });
                self.held.messages.push(message);
                next += 1;
            } else if !batch.recovered {
                for output in 0..messages_of(&telling.told) {
                    let message = Message::of_telling(next, topic, batch.clone(), place, output);
                    self.held.messages.push(Rc::new(message));
                    next += 1;
                }
            }
        }
        Ok(())
    }

    /// Numbers messages that nobody will see.
    pub fn take_lost(&mut self, count: u64) -> Result<(), FeedLogError> {
        let first = self.log.take_numbers(count)?;
        let last = first + count - 1;
        self.log.push_hole(first, last, reason::OVERLOAD);
        let from = self.held.lost.map_or(first, |(from, _)| from);
        self.held.lost = Some((from, last));
        Ok(())
    }

    /// Numbers a change of a part of the process.
    pub fn take_status(&mut self, name: &str, part: &Part) -> Result<(), FeedLogError> {
        let seq = self.log.take_numbers(1)?;
        let topic = Topic { watch: None, channel: Channel::Status, kind: None, severity: None };
        let mut json = format!(r#"{{"type":"status","seq":{seq},"part":"#).into_bytes();
        shape::text(name, &mut json);
        json.extend_from_slice(b",\"condition\":");
        shape::text(part.condition.name(), &mut json);
        json.extend_from_slice(b",\"reason\":");
        shape::text(&part.reason, &mut json);
        json.extend_from_slice(format!(",\"since\":\"{}\"}}", part.since).as_bytes());
        self.log.push(&Record { seq, at: Position(0), ordinal: 0, tag: topic.tag(), name: "", body: &json });
        self.held.messages.push(Rc::new(Message::of_json(seq, topic, &json)));
        Ok(())
    }

    /// Writes what is to be kept; what it gives may be sent. Where it fails all is held, and the next
    /// call tries again.
    pub fn commit(&mut self) -> Result<Round, FeedLogError> {
        self.log.commit()?;
        for message in &self.held.messages {
            if !message.topic.channel.is_kept() {
                self.ring.push(message.clone());
            }
        }
        let round = std::mem::take(&mut self.held);
        let last = round.messages.last().map(|message| message.seq);
        self.head = self.head.max(last.unwrap_or(0)).max(round.lost.map_or(0, |(_, last)| last));
        Ok(round)
    }

    pub fn sync(&self, barrier: Barrier, sink: &'static str) {
        self.log.sync(barrier, sink);
    }

    /// How many kept tellings of the same instrument and cause came before this one.
    fn ordinal(&mut self, watch: Watch, at: Position) -> u32 {
        let told = &mut self.instruments[watch.0 as usize].told;
        let ordinal = match told {
            Some((known, ordinal)) if *known == at => *ordinal + 1,
            _ => 0,
        };
        *told = Some((at, ordinal));
        ordinal
    }

    /// Whether the log holds it from before the restart. Each instrument's tellings come in one order,
    /// so that the last one says it of all before.
    fn is_logged(&self, watch: Watch, at: Position, ordinal: u32) -> bool {
        self.instruments[watch.0 as usize].logged.is_some_and(|logged| (at, ordinal) <= logged)
    }
}
