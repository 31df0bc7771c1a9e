//! What a client that comes back is sent: what log and ring still hold above the number that it knows, in
//! order, with a gap wherever something may be missing.
//!
//! A gap never covers a number that this client is still sent.

use std::rc::Rc;

use crate::api::feed::answer::{self, reason};
use crate::api::feed::channel::Topic;
use crate::api::feed::filter::Filter;
use crate::api::feed::frame;
use crate::api::feed::message::Message;
use crate::api::feed::outbox::Item;
use crate::api::feed::ring::Ring;
use crate::domain::told::{Roster, Watch};
use crate::storage::feed_log::reader::{Entry, Piece};
use crate::storage::feed_log::record::Record;

#[derive(Debug)]
pub struct CatchUp {
    /// All that the client wants, from now on.
    filter: Filter,
    /// What it wanted before: messages up to `known` have been sent to it.
    before: Filter,
    known: u64,
    /// Everything up to it was sent, or told to be missing.
    told: u64,
    /// Log and ring were looked through up to here.
    seen: u64,
    /// Of the numbers between `told` and `seen`, those that the log holds and nobody here wants.
    unwanted: u64,
}

impl CatchUp {
    /// From above `after`. `known`: everything up to it that `before` wanted was sent.
    pub fn new(filter: Filter, before: Filter, known: u64, after: u64) -> Self {
        Self { filter, before, known, told: after, seen: after, unwanted: 0 }
    }

    /// Where to read on.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The next piece of the log, and what the ring holds beside it.
    pub fn step(&mut self, piece: &Piece, ring: &Ring, roster: &Roster, out: &mut Vec<Item>) {
        let through = piece.complete_through;
        if piece.gone_through > self.told {
            out.push(gap(self.told + 1, piece.gone_through, reason::NOT_KEPT));
            self.tell_through(piece.gone_through);
        }
        let mut ringed = ring.between(self.seen.max(self.told), through).peekable();
        for entry in piece.entries() {
            let first = match &entry {
                Entry::Record(record) => record.seq,
                Entry::Hole { first, .. } => *first,
            };
            while let Some(message) = ringed.next_if(|message| message.seq < first) {
                self.ringed(message, ring.floor(), out);
            }
            match entry {
                Entry::Record(record) if record.seq > self.told => {
                    self.record(&record, ring.floor(), roster, out)
                }
                Entry::Hole { first, last, reason } if last > self.told => {
                    self.tell_missing(first - 1, ring.floor(), out);
                    out.push(gap(first.max(self.told + 1), last, reason));
                    self.tell_through(last);
                }
                _ => {}
            }
        }
        for message in ringed {
            self.ringed(message, ring.floor(), out);
        }
        self.seen = through;
    }

    /// Everything up to `head` was looked at: the client goes on at the tail.
    pub fn finish(&mut self, head: u64, ring: &Ring, out: &mut Vec<Item>) {
        self.tell_missing(head, ring.floor(), out);
    }

    fn record(&mut self, record: &Record<'_>, floor: u64, roster: &Roster, out: &mut Vec<Item>) {
        let watch: Option<Option<Watch>> = if record.name.is_empty() {
            Some(None)
        } else {
            // An instrument that is watched no more: nobody can ask for it.
            record.name.parse().ok().and_then(|instrument| roster.find(&instrument)).map(Some)
        };
        let topic = watch.and_then(|watch| Topic::of_tag(watch, record.tag));
        if topic.is_some_and(|topic| self.wants(&topic, record.seq)) {
            self.tell_missing(record.seq - 1, floor, out);
            out.push(Item::Kept(record.seq, frame::text(record.body).into()));
            self.tell_through(record.seq);
        } else {
            self.unwanted += u64::from(record.seq <= floor);
        }
    }

    fn ringed(&mut self, message: &Rc<Message>, floor: u64, out: &mut Vec<Item>) {
        if self.wants(&message.topic, message.seq) {
            self.tell_missing(message.seq - 1, floor, out);
            out.push(Item::Message(message.clone()));
            self.tell_through(message.seq);
        }
    }

    fn wants(&self, topic: &Topic, seq: u64) -> bool {
        self.filter.wants_at(topic, seq) && !(seq <= self.known && self.before.wants_at(topic, seq))
    }

    /// Trades and indicators up to `through` are gone as far as the ring has forgotten them.
    fn tell_missing(&mut self, through: u64, floor: u64, out: &mut Vec<Item>) {
        let last = through.min(floor);
        if last > self.told && self.filter.wants_unkept(last) && last - self.told > self.unwanted {
            out.push(gap(self.told + 1, last, reason::NOT_KEPT));
            self.tell_through(last);
        }
    }

    fn tell_through(&mut self, seq: u64) {
        self.told = seq;
        self.unwanted = 0;
    }
}

fn gap(first: u64, last: u64, reason: &str) -> Item {
    Item::Control(answer::gap(first, last, reason).into())
}
