//! An inbox: the events that wait for one symbol, in the order of its log.
//!
//! Shared by router and actor of one thread. **When it is full** nobody waits and nothing is lost:
//! the symbol is *behind*, the router puts no more into it, and the actor, once it has worked off
//! what is in it, reads on from the journal until it has come to the last event that the router
//! journalled; from then on events go through the inbox again.

use std::collections::VecDeque;

use crate::domain::event::Event;
use crate::domain::output::Position;
use crate::runtime::clock::Mono;

/// Room that an emptied inbox keeps: what a burst took beyond it is given back.
const ROOM_KEPT: usize = 256;

/// When a trade came, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// Its frame left the socket.
    pub received: Mono,
    /// Its frame was understood.
    pub parsed: Mono,
    /// It stood in the inbox.
    pub routed: Mono,
}

/// One event that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub at: Position,
    pub event: Event,
    /// `None`: no latency is measured of it.
    pub stamps: Option<Stamps>,
}

/// The events that wait for one symbol.
#[derive(Debug)]
pub struct Inbox {
    waiting: VecDeque<Waiting>,
    capacity: usize,
    /// The last event that was journalled and did not go through here.
    behind: Option<Position>,
}

impl Inbox {
    /// `capacity`: at least 1.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "an inbox takes at least one event");
        Self { waiting: VecDeque::new(), capacity, behind: None }
    }

    /// Takes an event that has been journalled; `false`: it is full, and the symbol is behind.
    #[inline]
    pub fn put(&mut self, waiting: Waiting) -> bool {
        if self.behind.is_some() || self.waiting.len() >= self.capacity {
            self.behind = Some(waiting.at);
            return false;
        }
        self.waiting.push_back(waiting);
        true
    }

    #[inline]
    pub fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// Up to which event the symbol must read the journal; `None`: it is not behind.
    pub fn behind(&self) -> Option<Position> {
        self.behind
    }

    /// Events up to `last` stand in the journal and did not go through here.
    pub fn fall_behind(&mut self, last: Position) {
        self.behind = Some(last);
    }

    /// Nobody works it off any more.
    pub fn empty(&mut self) {
        self.waiting = VecDeque::new();
        self.behind = None;
    }

    /// The journal was read up to the last event that did not go through here.
    pub fn caught_up(&mut self) {
        self.behind = None;
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Waiting> {
        let popped = self.waiting.pop_front();
        if self.waiting.is_empty() && self.waiting.capacity() > ROOM_KEPT {
            self.waiting.shrink_to(ROOM_KEPT);
        }
        popped
    }

    pub fn depth(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits, here or in the journal.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.behind.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::UnixNanos;

    fn tick(at: u64) -> Waiting {
        Waiting { at: Position(at), event: Event::Tick { venue_at: UnixNanos(0) }, stamps: None }
    }

    #[test]
    fn a_full_inbox_puts_the_symbol_behind_until_it_has_caught_up() {
        let mut inbox = Inbox::new(2);
        assert!(inbox.put(tick(1)) && inbox.put(tick(2)));
        assert!(!inbox.put(tick(3)));
        assert_eq!(inbox.pop().map(|waiting| waiting.at), Some(Position(1)));
        // There is room again, but the order would be lost.
        assert!(!inbox.put(tick(4)));
        assert_eq!((inbox.depth(), inbox.behind()), (1, Some(Position(4))));
        inbox.pop();
        assert!(!inbox.is_idle());
        inbox.caught_up();
        assert!(inbox.is_idle() && inbox.put(tick(5)));
    }

    #[test]
    fn what_a_burst_took_is_given_back() {
        let mut inbox = Inbox::new(10_000);
        (0..10_000).for_each(|at| assert!(inbox.put(tick(at))));
        while inbox.pop().is_some() {}
        assert!(inbox.waiting.capacity() <= 2 * ROOM_KEPT, "{}", inbox.waiting.capacity());
    }
}
