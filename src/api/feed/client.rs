//! One client: its socket, what it asked for, and what waits for it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::api::feed::answer::{self, reason};
use crate::api::feed::config::FeedConfig;
use crate::api::feed::filter::Filter;
use crate::api::feed::frame;
use crate::api::feed::message::{Labels, Message};
use crate::api::feed::outbox::{Item, Outbox};
use crate::api::feed::request::{OnSlow, Request};
use crate::runtime::clock::Mono;
use crate::runtime::latency::{Recorder, Stage};

/// A close frame that the client does not take within this time is not waited for.
pub const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Client {
    pub socket: TcpStream,
    pub state: RefCell<State>,
    /// The session should look at the state: something waits, or it is closing.
    pub bell: Notify,
    /// Nothing waits any more.
    pub drained: Notify,
}

#[derive(Debug)]
pub struct State {
    pub filter: Filter,
    pub outbox: Outbox,
    pub mode: Mode,
    pub on_slow: OnSlow,
    /// Requests that came while it was catching up.
    pub postponed: VecDeque<Request>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gets the tail.
    Live,
    /// Gets log and ring; the tail once they are through.
    CatchingUp,
    /// Was too slow: gets one gap from this number on, once it reads again.
    Conflating(u64),
    /// Gets what waits, and nothing more.
    Closing,
}

/// What the hub lends for writing.
pub struct Desk<'a> {
    pub labels: &'a Labels,
    pub scratch: &'a mut Vec<u8>,
    /// Of messages that one write has brought to a socket: published, and received.
    pub stamps: &'a mut Vec<(Mono, Mono)>,
    pub recorder: &'a Recorder,
    pub config: &'a FeedConfig,
    /// Messages that were sent, and that were dropped.
    pub sent: &'a mut u64,
    pub dropped: &'a mut u64,
}

impl Client {
    pub fn new(socket: TcpStream) -> Self {
        let state = State {
            filter: Filter::default(),
            outbox: Outbox::default(),
            mode: Mode::Live,
            on_slow: OnSlow::default(),
            postponed: VecDeque::new(),
        };
        Self { socket, state: RefCell::new(state), bell: Notify::new(), drained: Notify::new() }
    }

    /// What the tail tells. `head`: the last number of it.
    pub fn deliver(
        &self,
        messages: &[Rc<Message>],
        lost: Option<(u64, u64)>,
        head: u64,
        desk: &mut Desk<'_>,
    ) {
        let state = &mut *self.state.borrow_mut();
        if state.mode != Mode::Live || state.filter.is_empty() {
            return;
        }
        let filter = &state.filter;
        let wants = |message: &Message| filter.wants(&message.topic);
        let was_empty = state.outbox.is_empty();
        if was_empty {
            let write = |bytes: &[u8]| self.socket.try_write(bytes);
            let note = note(desk.stamps, desk.sent);
            let passed = state.outbox.pass(messages, wants, desk.labels, desk.scratch, write, note);
            record(desk.stamps, desk.recorder);
            if passed.is_err() {
                return self.fail(state);
            }
        } else {
            for message in messages.iter().filter(|message| wants(message)) {
                state.outbox.push(Item::Message(message.clone()), desk.labels);
            }
        }
        if let Some((first, last)) = lost {
            let gap = answer::gap(first, last, reason::OVERLOAD);
            self.say(state, gap, desk);
        }
        if state.outbox.is_empty() {
            return;
        }
        if was_empty {
            self.bell.notify_one();
        }
        let config = desk.config;
        if state.outbox.len() > config.backlog_messages_max || state.outbox.bytes() > config.backlog_bytes_max
        {
            let (first, count) = state.outbox.drop_messages(desk.labels);
            *desk.dropped += count;
            match state.on_slow {
                OnSlow::Close => {
                    tracing::debug!(dropped = count, "feed client is too slow, closed");
                    self.close(state, 1013, "too slow", desk.labels);
                }
                OnSlow::Conflate => state.mode = Mode::Conflating(first.unwrap_or(head)),
            }
        }
    }

    /// Queues a frame that is no message and tries to write it. Clients that ask without reading the
    /// answers are closed like those that do not read messages.
    pub fn say(&self, state: &mut State, frame: Vec<u8>, desk: &mut Desk<'_>) {
        if state.mode == Mode::Closing {
            return;
        }
        let was_empty = state.outbox.is_empty();
        state.outbox.push(Item::Control(frame.into()), desk.labels);
        if state.outbox.len() > desk.config.backlog_messages_max.saturating_mul(2) {
            return self.fail(state);
        }
        // Otherwise the session waits for the socket already.
        if was_empty {
            self.flush(state, desk, None);
        }
    }

    /// Writes what waits. `head`: the last number of the tail, where a gap may end now.
    pub fn flush(&self, state: &mut State, desk: &mut Desk<'_>, head: Option<u64>) {
        let write = |bytes: &[u8]| self.socket.try_write(bytes);
        let flushed = state.outbox.flush(desk.labels, desk.scratch, write, note(desk.stamps, desk.sent));
        record(desk.stamps, desk.recorder);
        if flushed.is_err() {
            return self.fail(state);
        }
        if !state.outbox.is_empty() {
            self.bell.notify_one();
            return;
        }
        self.drained.notify_one();
        match (state.mode, head) {
            (Mode::Conflating(first), Some(head)) => {
                state.mode = Mode::Live;
                let gap = answer::gap(first, head, reason::SLOW_CLIENT);
                state.outbox.push(Item::Control(gap.into()), desk.labels);
                self.flush(state, desk, None);
            }
            // The session knows where the tail is.
            (Mode::Conflating(_), None) => self.bell.notify_one(),
            _ => {}
        }
    }

    /// Says goodbye: what is not half written is dropped, the close frame follows.
    pub fn close(&self, state: &mut State, code: u16, why: &str, labels: &Labels) {
        if state.mode == Mode::Closing {
            return;
        }
        state.outbox.drop_messages(labels);
        state.outbox.push(Item::Control(frame::close(code, why).into()), labels);
        state.mode = Mode::Closing;
        self.bell.notify_one();
        self.drained.notify_one();
    }

    /// The socket is of no use any more.
    fn fail(&self, state: &mut State) {
        state.outbox = Outbox::default();
        state.mode = Mode::Closing;
        self.bell.notify_one();
        self.drained.notify_one();
    }
}

impl State {
    pub fn is_closing(&self) -> bool {
        self.mode == Mode::Closing
    }
}

/// Counts a message that was written whole, and remembers its stamps.
fn note<'a>(stamps: &'a mut Vec<(Mono, Mono)>, sent: &'a mut u64) -> impl FnMut(&Message) + 'a {
    |message| {
        *sent += 1;
        if let (Some(published), Some(received)) = (message.published, message.received) {
            stamps.push((published, received));
        }
    }
}

/// What the stamps of one write say, at the cost of one look at the clock.
fn record(stamps: &mut Vec<(Mono, Mono)>, recorder: &Recorder) {
    if stamps.is_empty() {
        return;
    }
    let now = Mono::now();
    recorder.batch(|batch| {
        for (published, received) in stamps.drain(..) {
            batch.record(Stage::Feed, now.nanos_since(published), 1);
            batch.record(Stage::Total, now.nanos_since(received), 1);
        }
    });
}

/// Reads of a client's socket, for the parser of frames; what the parser answers (pongs, the reply to a
/// close) is kept for the outbox, so that it never lands inside of a message.
pub struct Reads<'a> {
    pub socket: &'a TcpStream,
    pub answers: Vec<u8>,
    /// Bytes that may still be read before others have their turn.
    pub budget: usize,
}

impl io::Read for Reads<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.budget == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = bytes.len().min(self.budget);
        let read = self.socket.try_read(&mut bytes[..length])?;
        self.budget -= read;
        Ok(read)
    }
}

impl io::Write for Reads<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
