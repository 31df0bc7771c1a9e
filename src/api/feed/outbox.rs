//! What waits to be written to one client, in order.
//!
//! A client that keeps up has nothing in it: its messages go from the round straight to the socket, all of
//! one round in one write. What the socket did not take waits here, as shared messages, not as copies.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use crate::api::feed::message::{Labels, Message};

#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Item>,
    /// Bytes of the first item that are written already.
    written: usize,
    /// Of all items, those bytes included.
    bytes: usize,
}

#[derive(Debug)]
pub enum Item {
    Message(Rc<Message>),
    /// A frame that may be dropped when the client is slow: a message out of the log, with its number.
    Kept(u64, Box<[u8]>),
    /// A frame that may not: an answer, a heartbeat, a gap.
    Control(Box<[u8]>),
}

impl Item {
    fn bytes<'a>(&'a self, labels: &Labels) -> &'a [u8]
    where
        Self: 'a,
    {
        match self {
            Self::Message(message) => message.frame(labels),
            Self::Kept(_, frame) | Self::Control(frame) => frame,
        }
    }

    fn seq(&self) -> Option<u64> {
        match self {
            Self::Message(message) => Some(message.seq),
            Self::Kept(seq, _) => Some(*seq),
            Self::Control(_) => None,
        }
    }
}

/// Written at once at most: larger ones only fill the kernel's buffers further.
const WRITE_BYTES: usize = 256 << 10;

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// That wait; what is half written counts whole.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, item: Item, labels: &Labels) {
        self.bytes += item.bytes(labels).len();
        self.queue.push_back(item);
    }

    /// Writes those of `messages` that are wanted, and queues what `write` does not take. Only where
    /// nothing waits; `done` is told of each message that was written whole.
    pub fn pass(
        &mut self,
        messages: &[Rc<Message>],
        wants: impl Fn(&Message) -> bool,
        labels: &Labels,
        scratch: &mut Vec<u8>,
        write: impl FnOnce(&[u8]) -> io::Result<usize>,
        mut done: impl FnMut(&Message),
    ) -> io::Result<()> {
        assert!(self.queue.is_empty(), "what waits goes first");
        scratch.clear();
        for message in messages {
            if wants(message) {
                scratch.extend_from_slice(message.frame(labels));
            }
        }
        if scratch.is_empty() {
            return Ok(());
        }
        let written = match write(scratch) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let mut end = 0;
        for message in messages.iter().filter(|message| wants(message)) {
            let begin = end;
            end += message.frame(labels).len();
            if end <= written {
                done(message);
            } else {
                if self.queue.is_empty() {
                    self.written = written - begin;
                }
                self.push(Item::Message(message.clone()), labels);
            }
        }
        Ok(())
    }

    /// Writes what waits, until it is written or `write` takes no more; `done` is told of each message.
    pub fn flush(
        &mut self,
        labels: &Labels,
        scratch: &mut Vec<u8>,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
        mut done: impl FnMut(&Message),
    ) -> io::Result<()> {
        while !self.queue.is_empty() {
            scratch.clear();
            let mut skip = self.written;
            for item in &self.queue {
                let bytes = item.bytes(labels);
                scratch.extend_from_slice(&bytes[skip..]);
                skip = 0;
                if scratch.len() >= WRITE_BYTES {
                    break;
                }
            }
            let mut written = match write(scratch) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            while let Some(item) = self.queue.front() {
                let length = item.bytes(labels).len();
                if written < length - self.written {
                    self.written += written;
                    break;
                }
                written -= length - self.written;
                self.written = 0;
                self.bytes -= length;
                if let Some(Item::Message(message)) = self.queue.pop_front() {
                    done(&message);
                }
            }
        }
        Ok(())
    }

    /// Drops all messages but one that is half written; the number of the first, and how many.
    pub fn drop_messages(&mut self, labels: &Labels) -> (Option<u64>, u64) {
        let (mut first, mut count) = (None, 0);
        let mut is_first = true;
        let half_written = self.written > 0;
        self.queue.retain(|item| {
            let keep = item.seq().is_none() || (std::mem::take(&mut is_first) && half_written);
            is_first = false;
            if !keep {
                first = first.or(item.seq());
                count += 1;
            }
            keep
        });
        self.bytes = self.queue.iter().map(|item| item.bytes(labels).len()).sum();
        (first, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::feed::channel::{Channel, Topic};
    use crate::api::feed::frame;
    use crate::domain::told::Roster;
    use crate::runtime::backoff::splitmix;

    fn labels() -> Labels {
        Labels::new(&Roster::new([]))
    }

    fn message(seq: u64, length: usize) -> Rc<Message> {
        let topic = Topic { watch: None, channel: Channel::Status, kind: None, severity: None };
        let text = format!("{}{seq}", " ".repeat(length - seq.to_string().len()));
        Rc::new(Message::of_json(seq, topic, text.as_bytes()))
    }

    /// The numbers of the frames in what was written.
    fn seqs(mut bytes: &[u8]) -> Vec<u64> {
        let mut seqs = Vec::new();
        while !bytes.is_empty() {
            let (head, length) = match bytes[1] {
                126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
                127 => (10, u64::from_be_bytes(bytes[2..10].try_into().unwrap()) as usize),
                length => (2, usize::from(length)),
            };
            seqs.push(str::from_utf8(&bytes[head..head + length]).unwrap().trim().parse().unwrap());
            bytes = &bytes[head + length..];
        }
        seqs
    }

    #[test]
    fn sockets_that_take_any_number_of_bytes_get_all_in_order() {
        let labels = labels();
        for seed in 0..200 {
            let mut random = seed;
            let mut next = |below: u64| {
                random = splitmix(random);
                random % below
            };
            let (mut outbox, mut scratch, mut out) = (Outbox::default(), Vec::new(), Vec::new());
            let (mut seq, mut done) = (0, Vec::new());
            for _ in 0..50 {
                let messages: Vec<_> = (0..next(5))
                    .map(|_| {
                        seq += 1;
                        message(seq, [3, 125, 126, 300, 70_000][next(5) as usize])
                    })
                    .collect();
                let take = [0, 1, 7, 1_000, usize::MAX][next(5) as usize];
                let mut write = |bytes: &[u8]| match take.min(bytes.len()) {
                    0 => Err(io::ErrorKind::WouldBlock.into()),
                    taken => {
                        out.extend_from_slice(&bytes[..taken]);
                        Ok(taken)
                    }
                };
                if outbox.is_empty() {
                    outbox
                        .pass(&messages, |_| true, &labels, &mut scratch, write, |m| done.push(m.seq))
                        .unwrap();
                } else {
                    messages.into_iter().for_each(|m| outbox.push(Item::Message(m), &labels));
                    let mut left = 3;
                    let write = |bytes: &[u8]| {
                        left -= 1;
                        if left == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { write(bytes) }
                    };
                    outbox.flush(&labels, &mut scratch, write, |m| done.push(m.seq)).unwrap();
                }
            }
            let all = |bytes: &[u8]| {
                out.extend_from_slice(bytes);
                Ok(bytes.len())
            };
            outbox.flush(&labels, &mut scratch, all, |m| done.push(m.seq)).unwrap();
            assert_eq!(seqs(&out), (1..=seq).collect::<Vec<_>>(), "seed {seed}");
            assert_eq!(done, (1..=seq).collect::<Vec<_>>(), "seed {seed}");
            assert_eq!((outbox.bytes(), outbox.len(), outbox.written), (0, 0, 0), "seed {seed}");
        }
    }

    #[test]
    fn what_is_half_written_is_not_dropped() {
        let labels = labels();
        let (mut outbox, mut scratch) = (Outbox::default(), Vec::new());
        let messages: Vec<_> = (1..=4).map(|seq| message(seq, 10)).collect();
        let mut out = Vec::new();
        let half = |bytes: &[u8]| {
            out.extend_from_slice(&bytes[..17]);
            Ok(17)
        };
        outbox.pass(&messages, |_| true, &labels, &mut scratch, half, |_| ()).unwrap();
        outbox.push(Item::Control(frame::text(b"99").into()), &labels);
        assert_eq!(outbox.drop_messages(&labels), (Some(3), 2));
        let all = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(bytes.len())
        };
        outbox.flush(&labels, &mut scratch, all, |_| ()).unwrap();
        assert_eq!(seqs(&out), [1, 2, 99]);
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(outbox.drop_messages(&labels), (None, 0));
    }
}
