//! A client's session: reads what it asks, and answers.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::api::feed::answer;
use crate::api::feed::catch_up::CatchUp;
use crate::api::feed::client::{CLOSE_PATIENCE, Client, Mode, Reads};
use crate::api::feed::filter::{Filter, Selection};
use crate::api::feed::hub::{Hub, Shared, push_all};
use crate::api::feed::outbox::{Item, Outbox};
use crate::api::feed::request::{self, Op, Refusal, Request, Subscribe};
use crate::runtime::clock::Mono;
use crate::storage::feed_log::error::FeedLogError;
use crate::storage::feed_log::reader::{FeedLogReader, Piece};

/// Of a client's message, its fragments together.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// A client that is caught up reads pieces of this size.
const PIECE_BYTES: usize = 256 << 10;
/// Read of one client before the others have their turn.
const TURN_BYTES: usize = 64 << 10;
const TURN_MESSAGES: usize = 32;
/// A client that acknowledges nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a closed client may still send before its socket goes.
const LINGER: Duration = Duration::from_secs(1);
const POSTPONED_MAX: usize = 64;
/// Trades and indicators of a piece.
const PIECE_MESSAGES: usize = 2_048;

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Guest {
    pub socket: std::net::TcpStream,
    /// What came behind the handshake.
    pub read_already: Vec<u8>,
}

type SharedHub = Rc<RefCell<Hub>>;

/// Begins a session; on the hub's thread.
pub fn welcome(hub: &SharedHub, shared: &Arc<Shared>, guest: Guest) {
    let Guest { socket, read_already } = guest;
    let socket = match prepare(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%error, "feed client was gone before it was there");
            shared.clients.fetch_sub(1, Ordering::AcqRel);
            return;
        }
    };
    let client = Rc::new(Client::new(socket));
    hub.borrow_mut().add(client.clone());
    let (hub, shared) = (hub.clone(), shared.clone());
    tokio::task::spawn_local(async move {
        let session = Session { hub: hub.clone(), client: client.clone(), allowance: Allowance::default() };
        session.run(read_already).await;
        hub.borrow_mut().remove(&client);
        shared.clients.fetch_sub(1, Ordering::AcqRel);
        linger(&client).await;
    });
}

fn prepare(socket: std::net::TcpStream) -> io::Result<TcpStream> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_user_timeout(Some(SILENCE_MAX))?;
    TcpStream::from_std(socket)
}

/// Reads on for a moment after the last byte was written: a socket that goes with something unread takes
/// the close frame with it.
async fn linger(client: &Client) {
    let _ = SockRef::from(&client.socket).shutdown(std::net::Shutdown::Write);
    let rest = async {
        let mut bytes = [0; 4_096];
        while client.socket.readable().await.is_ok() {
            match client.socket.try_read(&mut bytes) {
                Ok(0) => break,
                Err(error) if error.kind() != ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => {}
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, rest).await;
}

struct Session {
    hub: SharedHub,
    client: Rc<Client>,
    allowance: Allowance,
}

impl Session {
    async fn run(mut self, read_already: Vec<u8>) {
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_message_size(Some(REQUEST_BYTES_MAX))
            .max_frame_size(Some(REQUEST_BYTES_MAX));
        let mut protocol = WebSocketContext::from_partially_read(read_already, Role::Server, Some(config));
        let mut closing_since: Option<Mono> = None;
        loop {
            if !self.client.state.borrow().is_closing() {
                self.read(&mut protocol);
            }
            let (is_closing, is_empty) = {
                let state = self.client.state.borrow();
                (state.is_closing(), state.outbox.is_empty())
            };
            if is_closing && is_empty {
                return;
            }
            let interest = match (is_closing, is_empty) {
                (true, _) => Interest::WRITABLE,
                (false, true) => Interest::READABLE,
                (false, false) => Interest::READABLE | Interest::WRITABLE,
            };
            if is_closing {
                let since = *closing_since.get_or_insert_with(Mono::now);
                if Mono::now().nanos_since(since) > CLOSE_PATIENCE.as_nanos() as u64 {
                    return;
                }
            }
            let patience = if is_closing { CLOSE_PATIENCE } else { Duration::from_secs(3_600) };
            tokio::select! {
                ready = self.client.socket.ready(interest) => match ready {
                    Ok(ready) if ready.is_writable() && !is_empty => self.flush(),
                    Ok(_) => {}
                    Err(_) => return,
                },
                // Something waits now, or it closes; an owed gap is told once nothing waits.
                () = self.client.bell.notified() => {
                    let state = self.client.state.borrow();
                    let owes_gap = matches!(state.mode, Mode::Conflating(_)) && state.outbox.is_empty();
                    drop(state);
                    if owes_gap {
                        self.flush();
                    }
                }
                () = tokio::time::sleep(patience) => {}
            }
        }
    }

    fn flush(&self) {
        let hub = &mut *self.hub.borrow_mut();
        let head = hub.sequencer.head();
        hub.with_desk(|desk| {
            let state = &mut *self.client.state.borrow_mut();
            if !state.outbox.is_empty() || matches!(state.mode, Mode::Conflating(_)) {
                self.client.flush(state, desk, Some(head));
            }
        });
    }

    /// Reads what is there, within a turn.
    fn read(&mut self, protocol: &mut WebSocketContext) {
        let client = self.client.clone();
        let mut reads = Reads { socket: &client.socket, answers: Vec::new(), budget: TURN_BYTES };
        for _ in 0..TURN_MESSAGES {
            let message = protocol.read(&mut reads);
            if !matches!(message, Err(Error::ConnectionClosed)) {
                // Pongs, and the reply to a close: written here, queued as a whole below.
                let _ = protocol.flush(&mut reads);
            }
            let answers = std::mem::take(&mut reads.answers);
            if !answers.is_empty() {
                self.say(answers);
            }
            match message {
                Ok(Message::Text(text)) => {
                    if self.may_ask() {
                        self.request(&text);
                    }
                }
                Ok(Message::Binary(_)) => {
                    if self.may_ask() {
                        self.refuse(&Refusal::new("null", "bad_request", "a message is text, not binary"));
                    }
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => _ = self.may_ask(),
                Ok(Message::Close(_)) => {
                    let mut state = self.client.state.borrow_mut();
                    state.mode = Mode::Closing;
                    self.client.drained.notify_one();
                    return;
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    match error {
                        Error::Utf8(_) => self.close(1007, "no UTF-8"),
                        Error::Capacity(_) => self.close(1009, "at most 64 KiB"),
                        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
                        | Error::Io(_)
                        | Error::ConnectionClosed
                        | Error::AlreadyClosed => {
                            let mut state = self.client.state.borrow_mut();
                            state.outbox = Outbox::default();
                            state.mode = Mode::Closing;
                            self.client.drained.notify_one();
                        }
                        error => {
                            tracing::debug!(%error, "feed client broke the protocol, closed");
                            self.close(1002, "protocol error");
                        }
                    }
                    return;
                }
            }
            if self.client.state.borrow().is_closing() {
                return;
            }
        }
    }

    /// Counts what a client sends; one that sends too much is closed.
    fn may_ask(&mut self) -> bool {
        let limit = self.hub.borrow().config.requests_per_second;
        let may = self.allowance.take(limit, Mono::now());
        if !may {
            let message = format!("at most {limit} messages a second");
            self.refuse(&Refusal::new("null", "rate_limited", message));
            self.close(1008, "too many messages");
        }
        may
    }

    fn request(&mut self, text: &str) {
        let parsed = request::parse(text, &self.hub.borrow().roster);
        match parsed {
            Ok(Request { id, op: Op::Ping }) => self.say(answer::pong(&id)),
            Ok(request) => {
                let mut state = self.client.state.borrow_mut();
                if state.mode == Mode::CatchingUp {
                    // In the order in which they came, once it has caught up.
                    if state.postponed.len() < POSTPONED_MAX {
                        state.postponed.push_back(request);
                    } else {
                        drop(state);
                        let message = "too many requests while earlier ones are worked off";
                        self.refuse(&Refusal::new(&request.id, "bad_request", message));
                    }
                } else {
                    drop(state);
                    perform(&self.hub, &self.client, request);
                }
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn refuse(&self, refusal: &Refusal) {
        self.say(answer::error(refusal));
    }

    fn say(&self, frame: Vec<u8>) {
        say(&self.hub, &self.client, frame);
    }

    fn close(&self, code: u16, why: &str) {
        let hub = self.hub.borrow();
        self.client.close(&mut self.client.state.borrow_mut(), code, why, hub.sequencer.labels());
    }
}

fn say(hub: &SharedHub, client: &Client, frame: Vec<u8>) {
    hub.borrow_mut().with_desk(|desk| client.say(&mut client.state.borrow_mut(), frame, desk));
}

/// Does what was asked, of a client that is not catching up.
fn perform(hub: &SharedHub, client: &Rc<Client>, request: Request) {
    match request.op {
        Op::Ping => say(hub, client, answer::pong(&request.id)),
        Op::Unsubscribe { channels, watches } => {
            {
                let mut state = client.state.borrow_mut();
                channels.iter().for_each(|&channel| state.filter.remove(channel, &watches));
            }
            say(hub, client, answer::unsubscribed(&request.id));
        }
        Op::Subscribe(subscribe) => match add(hub, client, &request.id, &subscribe) {
            Ok(catch_up) => {
                let head = hub.borrow().sequencer.head();
                let seq = subscribe.after.unwrap_or(head);
                say(hub, client, answer::subscribed(&request.id, &subscribe.channels, seq));
                if let Some(catch_up) = catch_up {
                    let reader = hub.borrow().sequencer.log().reader();
                    tokio::task::spawn_local(follow(hub.clone(), client.clone(), catch_up, reader));
                }
            }
            Err(refusal) => say(hub, client, answer::error(&refusal)),
        },
    }
}

/// Widens the client's filter; what there is to catch up with, if anything.
fn add(
    hub: &SharedHub,
    client: &Client,
    id: &str,
    subscribe: &Subscribe,
) -> Result<Option<CatchUp>, Refusal> {
    let hub = hub.borrow();
    let head = hub.sequencer.head();
    if let Some(after) = subscribe.after.filter(|&after| after > head) {
        let message = format!("after: {after} is ahead of the engine, which is at {head}");
        return Err(Refusal::new(id, "bad_after", message));
    }
    let after = subscribe.after.unwrap_or(head);
    let mut state = client.state.borrow_mut();
    let mut filter: Filter = state.filter.clone();
    for &channel in &subscribe.channels {
        let selection = Selection {
            watches: subscribe.watches.clone(),
            kinds: subscribe.kinds,
            min_severity: subscribe.min_severity,
            after,
        };
        filter.add(channel, selection);
    }
    let limit = hub.config.subscriptions_max;
    if filter.len() > limit {
        let message = format!("at most {limit} subscriptions, one for each channel of a request");
        return Err(Refusal::new(id, "too_many_subscriptions", message));
    }
    let before = std::mem::replace(&mut state.filter, filter.clone());
    if let Some(on_slow) = subscribe.on_slow {
        state.on_slow = on_slow;
    }
    if after == head || state.mode == Mode::Closing {
        return Ok(None);
    }
    // A gap that was owed to a slow client is part of what it catches up with.
    let known = match state.mode {
        Mode::Conflating(first) => first - 1,
        _ => head,
    };
    state.mode = Mode::CatchingUp;
    Ok(Some(CatchUp::new(filter, before, known, after.min(known))))
}

/// Brings a client from where it is to the tail, no faster than it reads.
async fn follow(hub: SharedHub, client: Rc<Client>, mut catch_up: CatchUp, mut reader: FeedLogReader) {
    loop {
        let (head, after) = (end_of_piece(&hub.borrow(), catch_up.seen()), catch_up.seen());
        let read = tokio::task::spawn_blocking(move || {
            let piece = reader.read(after, head, PIECE_BYTES);
            (reader, piece)
        });
        let piece;
        match read.await {
            Ok(read) => (reader, piece) = read,
            // The process stops.
            Err(_) => return,
        }
        let advanced = piece.and_then(|piece| advance(&hub, &client, &mut catch_up, &mut reader, &piece));
        match advanced {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "feed log cannot be read, a client is sent away");
                let hub = hub.borrow();
                let labels = hub.sequencer.labels();
                return client.close(&mut client.state.borrow_mut(), 1011, "the log cannot be read", labels);
            }
        }
        loop {
            if client.state.borrow().is_closing() {
                return;
            }
            if client.state.borrow().outbox.is_empty() {
                break;
            }
            client.drained.notified().await;
        }
    }
    loop {
        let next = {
            let mut state = client.state.borrow_mut();
            if state.mode == Mode::CatchingUp { None } else { state.postponed.pop_front() }
        };
        match next {
            Some(request) => perform(&hub, &client, request),
            None => return,
        }
    }
}

/// Where the next piece ends: at the head, or where the ring has given enough.
fn end_of_piece(hub: &Hub, after: u64) -> u64 {
    let head = hub.sequencer.head();
    hub.sequencer.ring().nth(after, PIECE_MESSAGES).map_or(head, |seq| seq.min(head))
}

/// Sends a piece; whether the client is at the tail now, and gets it.
fn advance(
    hub: &SharedHub,
    client: &Client,
    catch_up: &mut CatchUp,
    reader: &mut FeedLogReader,
    piece: &Piece,
) -> Result<bool, FeedLogError> {
    let hub = &mut *hub.borrow_mut();
    let mut items: Vec<Item> = Vec::new();
    catch_up.step(piece, hub.sequencer.ring(), &hub.roster, &mut items);
    // What came in while that piece was read is little, and read here, at once: otherwise a busy feed
    // would stay ahead for ever.
    let head = end_of_piece(hub, catch_up.seen());
    if catch_up.seen() < head && items.len() < PIECE_MESSAGES {
        let rest = reader.read(catch_up.seen(), head, PIECE_BYTES)?;
        catch_up.step(&rest, hub.sequencer.ring(), &hub.roster, &mut items);
    }
    let is_through = catch_up.seen() >= hub.sequencer.head();
    if is_through {
        catch_up.finish(catch_up.seen(), hub.sequencer.ring(), &mut items);
    }
    push_all(hub, client, items);
    let mut state = client.state.borrow_mut();
    // With much waiting it would be too slow at the next message.
    let has_room = state.outbox.len() <= hub.config.backlog_messages_max / 2
        && state.outbox.bytes() <= hub.config.backlog_bytes_max / 2;
    if is_through && has_room && state.mode == Mode::CatchingUp {
        state.mode = Mode::Live;
    }
    Ok(state.mode != Mode::CatchingUp)
}

/// So many messages a second, twice as many at once.
#[derive(Debug, Default)]
struct Allowance {
    since: Option<Mono>,
    /// Of the messages that were taken, in nanoseconds: each takes its share of a second.
    debt_ns: u64,
}

impl Allowance {
    fn take(&mut self, per_second: u32, now: Mono) -> bool {
        let share_ns = 1_000_000_000 / u64::from(per_second.max(1));
        let passed_ns = self.since.map_or(0, |since| now.nanos_since(since));
        self.since = Some(now);
        self.debt_ns = self.debt_ns.saturating_sub(passed_ns) + share_ns;
        self.debt_ns <= 2 * share_ns * u64::from(per_second.max(1))
    }
}
