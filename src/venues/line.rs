//! A connection that does not end: one actor for every venue, round the sockets that come and go.
//!
//! It connects (never more often than the venue allows, all shards together), subscribes its markets in texts
//! of the venue's making, hands every frame to the [`Edge`], and starts anew when a socket is lost: with
//! back-off and jitter, for ever. Before the venue cuts an old connection, or when it says that it
//! will, a new one is opened first; both run for a while, and the ledger drops what comes twice.
//!
//! An acknowledgement is waited for, and proves nothing: whether a market is live, the edge decides.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;
use tracing::{error, info, warn};

use crate::runtime::backoff::{Backoff, splitmix};
use crate::runtime::clock::{self, Mono};
use crate::venues::desk::MessageBudget;
use crate::venues::dialect::Heard;
use crate::venues::edge::{Edge, Reader, Said};
use crate::venues::error::SocketError;
use crate::venues::socket::{self, Socket};

/// Frames worked off before the shard gets its turn.
const FRAMES_A_TURN: usize = 256;
const TICK: Duration = Duration::from_millis(250);
/// Without any frame for so long, the venue is pinged; without an answer for as long again it is dead.
const QUIET: Duration = Duration::from_secs(5);
const ACK_PATIENCE: Duration = Duration::from_secs(10);
const ACK_TRIES: u32 = 3;
/// From one request of a connection to its next, where all connections share one budget.
const FURTHER_AFTER: Duration = Duration::from_secs(2);
/// What was refused is asked for again after this, doubling.
const REFUSED_FIRST: Duration = Duration::from_secs(1);
const REFUSED_LONGEST: Duration = Duration::from_secs(60);
/// A new connection is given so long to bring something before the old one is closed...
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// ...and both run on together for this.
const OVERLAP: Duration = Duration::from_secs(2);
const SEND_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_millis(500);
/// A connection that held so long was a good one: the next failure is a first one.
const PROVEN: Duration = Duration::from_secs(30);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(30);
/// Between two replacements that were wished for.
const REPLACE_EVERY: Duration = Duration::from_secs(10);

/// What the actor is told.
#[derive(Message)]
#[rtype(result = "()")]
pub enum LineOrder {
    /// Subscribe these markets (anew).
    Renew(Vec<usize>),
    /// Open another connection, then close this one.
    Replace,
    Close,
}

/// What its actor, its sockets and the edge's watchman share of a connection.
pub struct Line {
    pub number: usize,
    edge: Rc<Edge>,
    markets: RefCell<Vec<usize>>,
    current: RefCell<Option<Rc<Session>>>,
    heard: Cell<Mono>,
    replaced: Cell<Option<Mono>>,
    is_closing: Cell<bool>,
    is_over: Cell<bool>,
    bell: Notify,
}

impl Line {
    pub fn new(number: usize, edge: Rc<Edge>, markets: Vec<usize>) -> Rc<Self> {
        edge.carry(number, &markets);
        Rc::new(Self {
            number,
            edge,
            markets: markets.into(),
            current: RefCell::default(),
            heard: Cell::new(Mono::now()),
            replaced: Cell::new(None),
            is_closing: Cell::new(false),
            is_over: Cell::new(false),
            bell: Notify::new(),
        })
    }

    pub fn start(self: &Rc<Self>) -> actix::Addr<Connection> {
        Connection { line: self.clone() }.start()
    }

    /// Whether the venue was heard of lately on this connection.
    pub fn is_heard(&self) -> bool {
        Mono::now().since(self.heard.get()) < QUIET
    }

    /// Whether nothing of it runs any more.
    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    async fn closing(&self) {
        while !self.is_closing.get() {
            self.bell.notified().await;
        }
    }

    /// Sleeps, unless it is closed meanwhile.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.closing() => {}
            () = sleep(time) => {}
        }
    }

    /// Sockets, one after another, until it is closed.
    async fn keep(self: Rc<Self>) {
        let desk = self.edge.desk.clone();
        let address = desk.dialect.socket(desk.config.ws_url.as_deref());
        let seed = splitmix(address.len() as u64 ^ (self.number as u64) << 32 ^ clock::now().0 as u64);
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST, seed);
        let mut old: Option<Rc<Session>> = None;
        let mut is_first = true;
        while !self.is_closing.get() {
            let wait = desk.connect_wait();
            if !wait.is_zero() {
                self.pause(wait).await;
                continue;
            }
            let opened = tokio::select! {
                () = self.closing() => break,
                opened = socket::open(&address) => opened,
            };
            let socket = match opened {
                Ok(socket) => socket,
                Err(error) => {
                    if old.as_ref().is_some_and(|old| old.is_over()) {
                        old = None;
                        self.edge.lost(&self.markets.borrow());
                    }
                    let delay = backoff.failed();
                    warn!(venue = desk.name, line = self.number, %error, ?delay, "no connection, trying again");
                    desk.explain_start(&error.to_string());
                    self.pause(delay).await;
                    continue;
                }
            };
            if !std::mem::take(&mut is_first) {
                desk.tools.metrics.reconnects.with_label_values(&[desk.name]).inc();
            }
            info!(venue = desk.name, line = self.number, markets = self.markets.borrow().len(), "connected");
            self.heard.set(Mono::now());
            let session = Session::start(self.clone(), socket, &address, seed);
            self.current.replace(Some(session.clone()));
            if let Some(old) = old.take() {
                tokio::select! {
                    () = session.settled() => self.pause(OVERLAP).await,
                    () = session.over() => {}
                    () = sleep(SETTLE_LIMIT) => {}
                    () = self.closing() => {}
                }
                old.close();
            }
            let began = Mono::now();
            tokio::select! {
                () = session.over() => {
                    self.edge.lost(&self.markets.borrow());
                    if Mono::now().since(began) >= PROVEN {
                        backoff.reset();
                    }
                    let delay = backoff.failed();
                    let why = session.why();
                    warn!(venue = desk.name, line = self.number, why, ?delay, "connection lost, connecting again");
                    self.pause(delay).await;
                }
                () = session.wants_successor() => old = Some(session.clone()),
                () = self.closing() => {}
            }
        }
        for session in old.into_iter().chain(self.current.take()) {
            session.close();
            let _ = timeout(CLOSE_LIMIT * 2, session.over()).await;
        }
    }
}

/// The actor.
pub struct Connection {
    line: Rc<Line>,
}

impl Actor for Connection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let line = self.line.clone();
        let kept = async move {
            // A panic out here costs the sockets, not the connection: actix would let the actor die.
            while AssertUnwindSafe(line.clone().keep()).catch_unwind().await.is_err() {
                let desk = &line.edge.desk;
                desk.tools.metrics.actor_restarts.with_label_values(&["connection"]).inc();
                error!(venue = desk.name, line = line.number, "connection panicked, starting it anew");
                if let Some(session) = line.current.take() {
                    session.close();
                }
                line.pause(Duration::from_secs(1)).await;
            }
            line.is_over.set(true);
        };
        ctx.spawn(kept.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl Handler<LineOrder> for Connection {
    type Result = ();

    fn handle(&mut self, order: LineOrder, _ctx: &mut Context<Self>) {
        let line = &self.line;
        let session = line.current.borrow().clone();
        match order {
            LineOrder::Renew(markets) => {
                if let Some(session) = session {
                    session.renew(&markets);
                }
            }
            LineOrder::Replace => {
                let now = Mono::now();
                if line.replaced.get().is_none_or(|at| now.since(at) >= REPLACE_EVERY) {
                    line.replaced.set(Some(now));
                    if let Some(session) = session {
                        session.ask_for_successor();
                    }
                }
            }
            LineOrder::Close => {
                line.is_closing.set(true);
                // Two may wait: for the bell to ring, each of them.
                line.bell.notify_waiters();
                line.bell.notify_one();
            }
        }
    }
}

/// Markets that a message subscribes, until the venue says something about it.
struct Group {
    request: u64,
    markets: Vec<usize>,
    due: Mono,
    sent: Option<Mono>,
    tries: u32,
    refusals: u32,
}

/// One socket.
struct Session {
    line: Rc<Line>,
    groups: RefCell<VecDeque<Group>>,
    renewals: RefCell<Vec<usize>>,
    requests: Cell<u64>,
    is_closing: Cell<bool>,
    is_settled: Cell<bool>,
    is_over: Cell<bool>,
    wants_successor: Cell<bool>,
    why: RefCell<String>,
    /// Of whoever waits for one of the above.
    news: Notify,
    /// Of the socket's own task.
    wake: Notify,
    ends: Option<Mono>,
}

impl Session {
    fn start(line: Rc<Line>, socket: Socket, address: &str, seed: u64) -> Rc<Self> {
        let desk = &line.edge.desk;
        let limits = desk.dialect.limits();
        let now = Mono::now();
        // Not all shards in the same moment.
        let jitter =
            |life: Duration| life.mul_f64(0.97 + 0.03 * ((seed >> 11) as f64 / (1_u64 << 53) as f64));
        let session = Rc::new(Self {
            groups: RefCell::default(),
            renewals: RefCell::default(),
            requests: Cell::new(1),
            is_closing: Cell::new(false),
            is_settled: Cell::new(false),
            is_over: Cell::new(false),
            wants_successor: Cell::new(false),
            why: RefCell::default(),
            news: Notify::new(),
            wake: Notify::new(),
            ends: limits.lifetime.map(|life| now.after(jitter(life))),
            line: line.clone(),
        });
        // Where all connections share one budget, the first request of each goes before the others of any: a venue
        // may close a connection that asks for nothing.
        let apart = if limits.messages_by_address { FURTHER_AFTER } else { Duration::ZERO };
        let mut due = now;
        for markets in line.markets.borrow().chunks(limits.markets_per_message) {
            session.add_group(markets.to_vec(), due, 0);
            due = due.after(apart);
        }
        let reader = line.edge.reader(address);
        let running = session.clone();
        actix_rt::spawn(async move {
            let ran = AssertUnwindSafe(running.clone().run(socket, reader)).catch_unwind().await;
            let why = match ran {
                Ok(Ok(())) => String::new(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => {
                    let desk = &running.line.edge.desk;
                    desk.tools.metrics.actor_restarts.with_label_values(&["connection"]).inc();
                    "it panicked".to_owned()
                }
            };
            running.why.replace(why);
            running.is_over.set(true);
            running.news.notify_waiters();
        });
        session
    }

    fn is_over(&self) -> bool {
        self.is_over.get()
    }

    fn why(&self) -> String {
        self.why.borrow().clone()
    }

    fn close(&self) {
        self.is_closing.set(true);
        self.wake.notify_one();
    }

    fn ask_for_successor(&self) {
        self.wants_successor.set(true);
        self.news.notify_waiters();
    }

    /// Returns once `cell` is true.
    async fn until(&self, cell: &Cell<bool>) {
        loop {
            let news = self.news.notified();
            if cell.get() {
                return;
            }
            news.await;
        }
    }

    async fn settled(&self) {
        self.until(&self.is_settled).await;
    }

    async fn over(&self) {
        self.until(&self.is_over).await;
    }

    async fn wants_successor(&self) {
        self.until(&self.wants_successor).await;
    }

    fn renew(&self, markets: &[usize]) {
        self.renewals.borrow_mut().extend(markets);
        self.wake.notify_one();
    }

    fn add_group(&self, markets: Vec<usize>, due: Mono, refusals: u32) {
        let request = self.requests.get();
        self.requests.set(request + 1);
        let group = Group { request, markets, due, sent: None, tries: 0, refusals };
        self.groups.borrow_mut().push_back(group);
    }

    /// Until the socket is lost, or we close it.
    async fn run(self: Rc<Self>, mut socket: Socket, mut reader: Reader) -> Result<(), SocketError> {
        let edge = self.line.edge.clone();
        let budget = edge.desk.message_budget();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut heard = Mono::now();
        let mut pinged: Option<Mono> = None;
        self.send_groups(&mut socket, &budget).await?;
        loop {
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                first = socket.next() => {
                    let mut next = first;
                    for _ in 0..FRAMES_A_TURN {
                        heard = Mono::now();
                        let taken = self.take(&mut reader, next, heard);
                        if taken.is_err() {
                            edge.rest();
                            return taken;
                        }
                        match socket.next().now_or_never() {
                            Some(more) => next = more,
                            None => {
                                next = None;
                                break;
                            }
                        }
                        // Of a clump of frames each is computed before the next is read: the first does not
                        // wait for the last.
                        edge.work();
                        let_others_work().await;
                    }
                    // The turn ended with a frame in hand.
                    if next.is_some() {
                        let taken = self.take(&mut reader, next, heard);
                        edge.rest();
                        taken?;
                        tokio::task::yield_now().await;
                    } else {
                        edge.rest();
                    }
                    pinged = None;
                    self.line.heard.set(heard);
                }
                _ = ticks.tick() => {
                    let now = Mono::now();
                    match pinged {
                        None if now.since(heard) >= QUIET && budget.take(1, now).is_ok() => {
                            pinged = Some(now);
                            send(&mut socket, Frame::Ping(Vec::new().into())).await?;
                        }
                        Some(at) if now.since(at) >= QUIET => {
                            return Err(SocketError::Silent(now.since(heard)));
                        }
                        _ => {}
                    }
                    if self.ends.is_some_and(|ends| now >= ends) && !self.wants_successor.get() {
                        self.ask_for_successor();
                    }
                    self.look_after_groups(now);
                }
            }
            if self.is_closing.get() {
                let _ = timeout(CLOSE_LIMIT, socket.close(None)).await;
                return Ok(());
            }
            self.renew_now(&mut socket, &budget).await?;
            self.send_groups(&mut socket, &budget).await?;
        }
    }

    /// One message of the socket.
    #[inline]
    fn take(
        &self,
        reader: &mut Reader,
        message: Option<Result<Frame, tokio_tungstenite::tungstenite::Error>>,
        received: Mono,
    ) -> Result<(), SocketError> {
        let edge = &self.line.edge;
        let said = match message {
            None => return Err(SocketError::Lost("the stream ended".to_owned())),
            Some(Err(error)) => return Err(SocketError::Lost(error.to_string())),
            Some(Ok(Frame::Text(text))) => edge.frame(reader, &text, received, clock::now()),
            Some(Ok(Frame::Binary(bytes))) => match std::str::from_utf8(&bytes) {
                Ok(text) => edge.frame(reader, text, received, clock::now()),
                Err(_) => {
                    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4_096)]);
                    edge.desk.quarantine("frame", "frame is not text".to_owned(), &text);
                    Said::default()
                }
            },
            Some(Ok(Frame::Close(frame))) => {
                let why = frame
                    .map_or_else(|| "without a reason".to_owned(), |f| format!("{} {}", f.code, f.reason));
                return Err(SocketError::Closed(why));
            }
            // Pings are answered by the socket itself.
            Some(Ok(_)) => return Ok(()),
        };
        if said.has_trades && !self.is_settled.get() {
            self.is_settled.set(true);
            self.news.notify_waiters();
        }
        for heard in said.heard {
            self.heed(heard, received);
        }
        Ok(())
    }

    fn heed(&self, heard: Heard, now: Mono) {
        match heard {
            Heard::Acknowledged { request, spellings } => self.acknowledged(request, &spellings),
            Heard::Refused { request, spelling, message } => self.refused(request, spelling, &message, now),
            Heard::ShuttingDown => {
                info!(
                    venue = self.line.edge.desk.name,
                    line = self.line.number,
                    "venue is about to close, handing over"
                );
                self.ask_for_successor();
            }
            Heard::LastId { .. } | Heard::Heartbeat => {}
        }
    }

    fn acknowledged(&self, request: Option<u64>, spellings: &[String]) {
        let edge = &self.line.edge;
        let mut groups = self.groups.borrow_mut();
        if let Some(request) = request {
            groups.retain(|group| group.request != request);
        }
        for group in groups.iter_mut().filter(|group| group.sent.is_some()) {
            group.markets.retain(|&market| {
                edge.spelling(market).is_none_or(|spelling| !spellings.iter().any(|name| **name == *spelling))
            });
        }
        groups.retain(|group| !group.markets.is_empty());
        if groups.is_empty() {
            self.is_settled.set(true);
            self.news.notify_waiters();
        }
    }

    /// What was refused is asked for again: the market that was named alone, others at once; where none was named,
    /// by halves. The venue lists them all, so nothing is given up.
    fn refused(&self, request: Option<u64>, named: Option<String>, message: &str, now: Mono) {
        let edge = &self.line.edge;
        let mut groups = self.groups.borrow_mut();
        let at = groups.iter().position(|group| match request {
            Some(request) => group.request == request,
            None => group.sent.is_some(),
        });
        let Some(group) = at.and_then(|at| groups.remove(at)) else {
            drop(groups);
            edge.desk.quarantine("refused", format!("venue refused something: {message}"), message);
            return;
        };
        drop(groups);
        let refusals = group.refusals + 1;
        let delay = REFUSED_FIRST.saturating_mul(1 << refusals.min(6)).min(REFUSED_LONGEST);
        warn!(
            venue = edge.desk.name,
            message,
            markets = group.markets.len(),
            ?delay,
            "subscription refused, asking again"
        );
        if is_about_pace(message) {
            // Smaller requests would only be more of them.
            self.add_group(group.markets, now.after(delay), refusals);
            return;
        }
        let is_named =
            |market: &usize| named.is_some() && edge.spelling(*market).as_deref() == named.as_deref();
        let (blamed, others): (Vec<_>, Vec<_>) = group.markets.iter().copied().partition(is_named);
        if !blamed.is_empty() {
            self.add_group(blamed, now.after(delay), refusals);
            if !others.is_empty() {
                self.add_group(others, now, refusals);
            }
        } else if others.len() > 1 {
            let (one, other) = others.split_at(others.len() / 2);
            self.add_group(one.to_vec(), now.after(REFUSED_FIRST), refusals);
            self.add_group(other.to_vec(), now.after(REFUSED_FIRST), refusals);
        } else {
            self.add_group(others, now.after(delay), refusals);
        }
    }

    /// Subscriptions that nobody acknowledged are sent again, and then the connection is given up.
    fn look_after_groups(&self, now: Mono) {
        let mut is_deaf = false;
        for group in self.groups.borrow_mut().iter_mut() {
            if group.sent.is_some_and(|sent| now.since(sent) >= ACK_PATIENCE) {
                group.sent = None;
                group.due = now;
                group.tries += 1;
                is_deaf |= group.tries >= ACK_TRIES;
            }
        }
        if is_deaf && !self.wants_successor.get() {
            warn!(
                venue = self.line.edge.desk.name,
                line = self.line.number,
                "subscriptions are not acknowledged, replacing the connection"
            );
            self.ask_for_successor();
        }
    }

    /// Unsubscribes what is to be subscribed anew.
    async fn renew_now(&self, socket: &mut Socket, budget: &MessageBudget) -> Result<(), SocketError> {
        if self.renewals.borrow().is_empty() {
            return Ok(());
        }
        let markets = std::mem::take(&mut *self.renewals.borrow_mut());
        let spellings = self.spellings(&markets);
        let names: Vec<&str> = spellings.iter().map(|name| &**name).collect();
        let request = self.requests.get();
        self.requests.set(request + 1);
        for text in self.line.edge.desk.dialect.unsubscribe(&names, request) {
            wait_for(budget).await;
            send(socket, Frame::text(text)).await?;
        }
        self.add_group(markets, Mono::now(), 0);
        Ok(())
    }

    /// Sends the subscriptions whose time has come, as fast as the venue allows.
    async fn send_groups(&self, socket: &mut Socket, budget: &MessageBudget) -> Result<(), SocketError> {
        let edge = &self.line.edge;
        loop {
            let now = Mono::now();
            let is_due = |group: &&mut Group| group.sent.is_none() && group.due <= now;
            let next = self
                .groups
                .borrow_mut()
                .iter_mut()
                .find(is_due)
                .map(|group| (group.request, group.markets.clone()));
            let Some((request, markets)) = next else { return Ok(()) };
            let spellings = self.spellings(&markets);
            let names: Vec<&str> = spellings.iter().map(|name| &**name).collect();
            let texts = edge.desk.dialect.subscribe(&names, request);
            // Frames are read meanwhile; the next tick comes back here.
            if budget.take(texts.len() as u32, now).is_err() {
                return Ok(());
            }
            for text in texts {
                send(socket, Frame::text(text)).await?;
            }
            if let Some(group) = self.groups.borrow_mut().iter_mut().find(|group| group.request == request) {
                group.sent = Some(Mono::now());
            }
            edge.subscribed(&markets);
        }
    }

    /// Names of the markets, each once.
    fn spellings(&self, markets: &[usize]) -> Vec<std::sync::Arc<str>> {
        let mut spellings: Vec<_> =
            markets.iter().filter_map(|&market| self.line.edge.spelling(market)).collect();
        spellings.sort_unstable();
        spellings.dedup();
        spellings
    }
}

/// Goes to the end of the row of those who are ready. (tokio's own yielding goes to the sockets first, which is
/// a call of the kernel.)
async fn let_others_work() {
    let mut has_waited = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether a refusal means how often was asked, and not what.
fn is_about_pace(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("rate limit") || message.contains("too many requests")
}

async fn wait_for(budget: &MessageBudget) {
    while let Err(wait) = budget.take(1, Mono::now()) {
        sleep(wait).await;
    }
}

async fn send(socket: &mut Socket, frame: Frame) -> Result<(), SocketError> {
    match timeout(SEND_LIMIT, socket.send(frame)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(SocketError::Lost(error.to_string())),
        Err(_) => Err(SocketError::Stuck(SEND_LIMIT)),
    }
}
