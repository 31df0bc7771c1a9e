//! The latest trades and indicators, for clients that come back soon.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::api::feed::message::Message;

/// Holds so many messages; a full one forgets the oldest.
#[derive(Debug)]
pub struct Ring {
    messages: VecDeque<Rc<Message>>,
    capacity: usize,
    /// Nothing up to this number is in it.
    floor: u64,
}

impl Ring {
    /// `head`: numbers up to it were used before.
    pub fn new(capacity: usize, head: u64) -> Self {
        Self { messages: VecDeque::new(), capacity, floor: head }
    }

    pub fn push(&mut self, message: Rc<Message>) {
        if self.messages.len() >= self.capacity
            && let Some(oldest) = self.messages.pop_front()
        {
            self.floor = oldest.seq;
        }
        self.messages.push_back(message);
    }

    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// The number of the so-manieth message above `after`; `None` where there are fewer.
    pub fn nth(&self, after: u64, count: usize) -> Option<u64> {
        let begin = self.messages.partition_point(|message| message.seq <= after);
        self.messages.get(begin + count).map(|message| message.seq)
    }

    /// Messages above `after`, up to `through`, in order.
    pub fn between(&self, after: u64, through: u64) -> impl Iterator<Item = &Rc<Message>> {
        let begin = self.messages.partition_point(|message| message.seq <= after);
        self.messages.range(begin..).take_while(move |message| message.seq <= through)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::feed::channel::{Channel, Topic};

    #[test]
    fn the_oldest_goes() {
        let topic = Topic { watch: None, channel: Channel::Trades, kind: None, severity: None };
        let mut ring = Ring::new(3, 100);
        assert_eq!(ring.floor(), 100);
        for seq in [103, 104, 110, 120, 121] {
            ring.push(Rc::new(Message::of_json(seq, topic, b"{}")));
        }
        assert_eq!(ring.floor(), 104);
        let seqs = |after, through| ring.between(after, through).map(|m| m.seq).collect::<Vec<_>>();
        assert_eq!(seqs(0, 1_000), [110, 120, 121]);
        assert_eq!(seqs(110, 120), [120]);
        assert_eq!(seqs(121, 500), Vec::<u64>::new());
    }
}
