//! The edge of a shard towards one venue: its markets, what was heard of each, and what to do about silence.
//!
//! Frames come in from the shard's connections, deliveries from the clerk, and time from a watchman; trades and
//! events go out to the shard's [`Intake`]. Everything happens on the shard's thread.
//!
//! A market that is silent for longer than its rhythm explains is asked about over REST first. If the venue
//! has newer trades, its subscription is deaf: it is subscribed anew, and when that does not help its
//! connection is replaced.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::domain::event::{Event, Trade, TradeId, WatchStatus};
use crate::domain::frame::{FrameParser, FrameSink, FrameSource, Spelled, TradeKind};
use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;
use crate::domain::told::Watch;
use crate::domain::venue::IdRule;
use crate::runtime::clock::{self, Mono};
use crate::runtime::intake::{FrameStamps, Intake};
use crate::runtime::latency::{Recorder, Stage};
use crate::venues::config::Mode;
use crate::venues::desk::{Delivered, Delivery, Desk, Listings, Order, refusal_word};
use crate::venues::dialect::Heard;
use crate::venues::rhythm::Rhythm;
use crate::venues::seam::{Passing, Seam};
use crate::venues::skew::WINDOW;

/// After subscribing, what was missed is asked for so soon, if no trade has shown it.
const RESUME_AFTER: Duration = Duration::from_secs(2);
/// An answer about a silence that takes longer is none.
const ANSWER_PATIENCE: Duration = Duration::from_secs(4);
/// The clerk answers every order; one that it lost is given again after this.
const LOST_AFTER: Duration = Duration::from_secs(600);
/// The socket gets so long to bring a trade that REST knows.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(3);
/// A heartbeat tells of a trade; it may overtake it by so much.
const BEHIND_PATIENCE: Duration = Duration::from_secs(1);
/// A deaf market whose subscription was renewed so recently has its connection replaced.
const RENEWED_RECENTLY: Duration = Duration::from_secs(60);
/// Between two polls of one market, at least.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Polls as a second line.
const SECOND_LINE_EVERY: Duration = Duration::from_secs(15);
/// An order that the clerk refused is given again.
const ORDER_AGAIN: Duration = Duration::from_secs(1);

/// What an edge wants of the connection that carries a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Subscribe this market anew.
    Renew(usize),
    /// Replace the connection: it is deaf.
    Replace,
}

/// One market of the shard.
struct Market {
    watch: Watch,
    instrument: Instrument,
    /// As the venue names it, once it is known to list it.
    spelling: Option<Arc<str>>,
    seam: Seam,
    rhythm: Rhythm,
    status: Option<WatchStatus>,
    /// The connection that carries it.
    line: Option<usize>,
    /// When it was subscribed last, by both clocks.
    subscribed: Option<(Mono, UnixNanos)>,
    /// What was missed has still to be asked for.
    resume: bool,
    /// When a question about it was given to the clerk.
    checking: Option<Mono>,
    next_check: Mono,
    /// Told by a heartbeat to have a newer trade than we know.
    behind: Option<(u64, Mono)>,
    renewed: Option<Mono>,
    /// For venues whose ids tell nothing: since when nobody listened.
    unwatched_since: Option<UnixNanos>,
}

/// A market of the frames' spelling; several where a venue merges them.
type Markets = Vec<usize>;

/// What the intake gets; kept between calls so that nothing is allocated for a trade.
#[derive(Default)]
struct Buffers {
    gathered: Vec<(usize, Trade)>,
    passing: Vec<Passing>,
    batch: Vec<(Watch, Trade)>,
}

pub struct Edge {
    pub desk: Arc<Desk>,
    intake: Rc<dyn Intake>,
    recorder: Recorder,
    markets: RefCell<Vec<Market>>,
    by_watch: HashMap<Watch, usize>,
    by_spelling: RefCell<HashMap<Arc<str>, Markets>>,
    buffers: RefCell<Buffers>,
    wishes: RefCell<Vec<(usize, Wish)>>,
    /// Smallest distance from exchange to receipt since the watchman looked.
    distance_ns: Cell<Option<i64>>,
    looks: Cell<u64>,
}

/// What one connection needs to read frames.
pub struct Reader {
    parser: Box<dyn FrameParser>,
}

/// Trades of a frame, by market.
struct Gather<'a> {
    by_spelling: &'a HashMap<Arc<str>, Markets>,
    twin: &'a dyn Fn(&str) -> Option<Markets>,
    gathered: &'a mut Vec<(usize, Trade)>,
    refused: &'a mut Vec<(&'static str, String)>,
}

impl FrameSink for Gather<'_> {
    #[inline]
    fn trade(&mut self, spelled: Spelled<'_>, trade: Trade) {
        if spelled.kind == TradeKind::Aggregate {
            self.refused.push(("aggregate", "an aggregate where raw trades were asked for".to_owned()));
            return;
        }
        let twins;
        let markets = match self.by_spelling.get(spelled.symbol) {
            Some(markets) => markets,
            None => match (self.twin)(spelled.symbol) {
                Some(found) => {
                    twins = found;
                    &twins
                }
                None => {
                    let reason = format!("market {:?} was not asked for", spelled.symbol);
                    self.refused.push(("unknown_market", reason));
                    return;
                }
            },
        };
        if let [others @ .., last] = markets.as_slice() {
            self.gathered.extend(others.iter().map(|&market| (market, trade.clone())));
            self.gathered.push((*last, trade));
        }
    }

    fn refuse(&mut self, reason: String) {
        self.refused.push((refusal_word(&reason), reason));
    }
}

impl Edge {
    pub fn new(desk: Arc<Desk>, intake: Rc<dyn Intake>, watches: &[(Watch, Instrument)]) -> Rc<Self> {
        let now = Mono::now();
        let market = |(watch, instrument): &(Watch, Instrument)| Market {
            watch: *watch,
            instrument: instrument.clone(),
            spelling: None,
            seam: Seam::new(intake.last_id(*watch)),
            rhythm: Rhythm::default(),
            status: None,
            line: None,
            subscribed: None,
            resume: false,
            checking: None,
            next_check: now,
            behind: None,
            renewed: None,
            unwatched_since: None,
        };
        let markets: Vec<Market> = watches.iter().map(market).collect();
        let by_watch = markets.iter().enumerate().map(|(at, market)| (market.watch, at)).collect();
        let edge = Self {
            recorder: desk.tools.latency.recorder(),
            desk,
            intake,
            markets: markets.into(),
            by_watch,
            by_spelling: RefCell::default(),
            buffers: RefCell::default(),
            wishes: RefCell::default(),
            distance_ns: Cell::new(None),
            looks: Cell::new(0),
        };
        for market in edge.markets.borrow_mut().iter_mut() {
            edge.set_status(market, WatchStatus::Down);
        }
        edge.intake.rest();
        Rc::new(edge)
    }

    pub fn reader(&self, url: &str) -> Reader {
        let source = FrameSource { url, venue: Some(self.desk.name) };
        Reader { parser: (self.desk.dialect.parser().make)(source) }
    }

    /// The venue's list is known (anew): gives back the markets that can be watched now, and were not before.
    pub fn list(&self, listings: &Listings) -> Vec<usize> {
        let mut fresh = Vec::new();
        let mut by_spelling = self.by_spelling.borrow_mut();
        for (at, market) in self.markets.borrow_mut().iter_mut().enumerate() {
            if market.spelling.is_some() {
                continue;
            }
            match listings.find(market.instrument.symbol()) {
                Some(listing) => {
                    let spelling: Arc<str> = listing.spelling.as_str().into();
                    by_spelling.entry(spelling.clone()).or_default().push(at);
                    market.spelling = Some(spelling);
                    if market.status == Some(WatchStatus::Unlisted) {
                        self.set_status(market, WatchStatus::Down);
                    }
                    fresh.push(at);
                }
                None => {
                    if market.status != Some(WatchStatus::Unlisted) {
                        warn!(instrument = %market.instrument, "venue does not list the instrument");
                        self.set_status(market, WatchStatus::Unlisted);
                    }
                }
            }
        }
        self.intake.rest();
        fresh
    }

    /// The venue's name of a market; several markets may have one.
    pub fn spelling(&self, market: usize) -> Option<Arc<str>> {
        self.markets.borrow()[market].spelling.clone()
    }

    /// These markets are carried by that connection.
    pub fn carry(&self, line: usize, markets: &[usize]) {
        let mut all = self.markets.borrow_mut();
        for &market in markets {
            all[market].line = Some(line);
        }
    }

    /// Subscriptions of these markets were sent.
    pub fn subscribed(&self, markets: &[usize]) {
        let (now, at) = (Mono::now(), clock::now());
        let mut all = self.markets.borrow_mut();
        for &at_market in markets {
            let market = &mut all[at_market];
            market.subscribed = Some((now, at));
            market.rhythm.start(now);
            market.resume = true;
            market.next_check = now.after(RESUME_AFTER);
            if let Some(from) = market.unwatched_since.take()
                && self.desk.dialect.id_rule() != IdRule::Contiguous
            {
                self.intake.event(market.watch, Event::Unwatched { from, to: at });
            }
        }
        drop(all);
        self.intake.rest();
    }

    /// The connection of these markets is gone, and none has taken its place.
    pub fn lost(&self, markets: &[usize]) {
        let mut all = self.markets.borrow_mut();
        for &market in markets {
            let market = &mut all[market];
            market.subscribed = None;
            market.resume = false;
            market.unwatched_since.get_or_insert(clock::now());
            if market.status != Some(WatchStatus::Unlisted) {
                self.set_status(market, WatchStatus::Down);
            }
        }
        drop(all);
        self.intake.rest();
    }

    fn set_status(&self, market: &mut Market, status: WatchStatus) {
        if market.status == Some(status) {
            return;
        }
        let before = market.status.replace(status);
        self.desk.stands(before, status);
        if [before, Some(status)].contains(&Some(WatchStatus::Unlisted)) {
            self.desk.note_listing(&market.instrument, status != WatchStatus::Unlisted);
        }
        if let (Some(before), true) = (before, status != WatchStatus::Live) {
            info!(instrument = %market.instrument, before = before.name(), now = status.name(), "watched otherwise");
        }
        // That nobody listens yet is no news at the very start.
        if before.is_some() || status != WatchStatus::Down {
            let venue_at = self.desk.clock.venue_at(clock::now());
            self.intake.event(market.watch, Event::Status { venue_at, status });
        }
    }

    /// One frame of a connection. Bad pieces of it are set aside, one by one; a panic costs the frame.
    #[inline]
    pub fn frame(&self, reader: &mut Reader, text: &str, received: Mono, received_at: UnixNanos) -> Said {
        let read = catch_unwind(AssertUnwindSafe(|| self.read(reader, text, received, received_at)));
        read.unwrap_or_else(|_| {
            // What was gathered of it is not told: the ids will show what is missing.
            self.buffers.take();
            self.desk.quarantine("panic", "reading the frame panicked".to_owned(), text);
            error!(venue = self.desk.name, "reading a frame panicked, it is set aside");
            Said::default()
        })
    }

    #[inline]
    fn read(&self, reader: &mut Reader, text: &str, received: Mono, received_at: UnixNanos) -> Said {
        let mut buffers = self.buffers.take();
        let mut refused = Vec::new();
        {
            let by_spelling = self.by_spelling.borrow();
            let twin = |spelling: &str| self.twins(&by_spelling, spelling);
            let mut sink = Gather {
                by_spelling: &by_spelling,
                twin: &twin,
                gathered: &mut buffers.gathered,
                refused: &mut refused,
            };
            reader.parser.frame(text, received_at.stamp(), &mut sink);
        }
        let parsed = Mono::now();
        let mut said = Said::default();
        for (word, reason) in refused.drain(..) {
            said.is_bad = true;
            self.desk.quarantine(word, reason, text);
        }
        if buffers.gathered.is_empty() {
            if !said.is_bad {
                said.heard = self.desk.dialect.control(text);
                self.heed(&said.heard, received);
            }
        } else {
            said.has_trades = true;
            let stamps = FrameStamps { received_at, received, parsed };
            if self.desk.dialect.is_snapshot(text) {
                self.snapshot(&mut buffers, stamps);
            } else {
                self.live(&mut buffers, stamps);
            }
        }
        self.buffers.replace(buffers);
        said
    }

    /// Markets under another name that the venue merges into this one.
    fn twins(&self, by_spelling: &HashMap<Arc<str>, Markets>, spelling: &str) -> Option<Markets> {
        let twin = format!("{spelling}C");
        (self.desk.dialect.twin(&twin).as_deref() == Some(spelling))
            .then(|| by_spelling.get(twin.as_str()).cloned())
            .flatten()
    }

    fn live(&self, buffers: &mut Buffers, stamps: FrameStamps) {
        let mut markets = self.markets.borrow_mut();
        let distance = |trade: &Trade| stamps.received_at.0.saturating_sub(trade.exchange_at.0);
        let skew_ns = self.desk.clock.skew_ns();
        let count = buffers.gathered.len() as u64;
        // The trades of a frame lie close together: the first stands for all.
        let first_distance = buffers.gathered.first().map(|(_, trade)| distance(trade));
        for (at, trade) in buffers.gathered.drain(..) {
            let market = &mut markets[at];
            let apart = distance(&trade);
            if self.distance_ns.get().is_none_or(|least| apart < least) {
                self.distance_ns.set(Some(apart));
            }
            market.rhythm.beat(stamps.received);
            market.resume &= market.seam.last().is_some() && !follows(&market.seam, &trade);
            if market.status != Some(WatchStatus::Live) {
                self.set_status(market, WatchStatus::Live);
            }
            market.seam.live(stamps, trade, stamps.received, &mut buffers.passing);
            let watch = market.watch;
            for (theirs, trade) in buffers.passing.drain(..) {
                // Those that waited keep their own stamps.
                if theirs.received != stamps.received && !buffers.batch.is_empty() {
                    self.intake.trades(stamps, &mut buffers.batch);
                }
                buffers.batch.push((watch, trade));
                if theirs.received != stamps.received {
                    self.intake.trades(theirs, &mut buffers.batch);
                }
            }
        }
        drop(markets);
        if !buffers.batch.is_empty() {
            self.intake.trades(stamps, &mut buffers.batch);
        }
        self.recorder.batch(|recorder| {
            recorder.record(Stage::Parse, stamps.parsed.nanos_since(stamps.received), 1);
            // Two clocks that disagree tell no latency.
            if let (Some(distance), Some(skew_ns)) = (first_distance, skew_ns)
                && let Ok(nanos) = u64::try_from(distance.saturating_sub(skew_ns))
            {
                recorder.record(Stage::Venue, nanos, count);
            }
        });
    }

    /// Trades of before the subscription: a page of history, one event a market.
    fn snapshot(&self, buffers: &mut Buffers, stamps: FrameStamps) {
        let mut pages: Vec<(usize, Vec<Trade>)> = Vec::new();
        for (at, trade) in buffers.gathered.drain(..) {
            match pages.iter_mut().find(|(market, _)| *market == at) {
                Some((_, page)) => page.push(trade),
                None => pages.push((at, vec![trade])),
            }
        }
        let mut markets = self.markets.borrow_mut();
        for (at, mut page) in pages {
            page.sort_by_key(id_of);
            let market = &mut markets[at];
            let reaches = match (market.seam.last(), page.first().map(id_of)) {
                (Some(last), Some(first)) => first <= last.saturating_add(1),
                _ => true,
            };
            if reaches {
                market.resume = false;
                self.page(market, page, false);
                if market.status != Some(WatchStatus::Live) {
                    self.set_status(market, WatchStatus::Live);
                }
            } else {
                // They wait for what lies between, as live ones do.
                let mut passing = Vec::new();
                for trade in page {
                    market.seam.live(stamps, trade, stamps.received, &mut passing);
                }
                self.pass(market.watch, passing);
            }
        }
    }

    /// A page that goes on from what is known. `is_repair`: of a gap, which the row has passed.
    fn page(&self, market: &mut Market, page: Vec<Trade>, is_repair: bool) {
        let mut passing = Vec::new();
        let fresh = if is_repair { page } else { market.seam.page(page, &mut passing) };
        if !fresh.is_empty() {
            self.intake.event(market.watch, Event::Backfill(fresh));
        }
        self.pass(market.watch, passing);
    }

    fn pass(&self, watch: Watch, passing: Vec<Passing>) {
        let mut batch = Vec::with_capacity(1);
        for (stamps, trade) in passing {
            batch.push((watch, trade));
            self.intake.trades(stamps, &mut batch);
        }
    }

    fn heed(&self, heard: &[Heard], now: Mono) {
        for said in heard {
            let Heard::LastId { spelling, id } = said else { continue };
            let by_spelling = self.by_spelling.borrow();
            let Some(found) = by_spelling.get(spelling.as_str()) else { continue };
            let mut markets = self.markets.borrow_mut();
            for &at in found {
                let market = &mut markets[at];
                match market.seam.newest() {
                    Some(newest) if *id > newest => {
                        market.behind.get_or_insert((*id, now));
                    }
                    Some(_) => {
                        // The venue says itself that nothing was missed.
                        market.behind = None;
                        market.resume = false;
                        market.rhythm.start(now);
                        if market.status != Some(WatchStatus::Live) {
                            self.set_status(market, WatchStatus::Live);
                        }
                    }
                    None => {}
                }
            }
        }
    }

    /// More frames are at hand.
    pub fn work(&self) {
        self.intake.work();
    }

    /// Nothing more is at hand.
    pub fn rest(&self) {
        self.intake.rest();
    }

    /// What the clerk brought.
    pub fn take(&self, delivery: Delivery) {
        let Some(&at) = self.by_watch.get(&delivery.watch) else { return };
        let mut markets = self.markets.borrow_mut();
        let market = &mut markets[at];
        match delivery.what {
            Delivered::Seam(page) => self.page(market, page, false),
            Delivered::Gap(page) => self.page(market, page, true),
            Delivered::Unfillable { first_id, last_id, reason } => {
                self.intake.event(market.watch, Event::Unfillable { first_id, last_id, reason });
            }
            Delivered::Checked(answer) => self.checked(market, answer),
        }
    }

    fn checked(&self, market: &mut Market, answer: Option<Vec<Trade>>) {
        let now = Mono::now();
        market.checking = None;
        let is_polled = self.desk.config.mode != Mode::Ws;
        let Some(page) = answer else {
            market.next_check = now.after(ANSWER_PATIENCE);
            if market.line.is_none() && market.status == Some(WatchStatus::Live) {
                self.set_status(market, WatchStatus::Stale);
            }
            return;
        };
        let is_full = page.len() >= self.desk.dialect.limits().page_trades_max as usize;
        let venue_now = self.desk.clock.venue_at(clock::now());
        let was_behind = market.behind.take();
        let newer = |trade: &&Trade| market.seam.newest().is_none_or(|newest| id_of(trade) > newest);
        let missed: Vec<&Trade> = page.iter().filter(newer).collect();
        // Trades that the socket had the time to bring, and did not.
        let subscribed_at = market.subscribed.map(|(_, at)| self.desk.clock.venue_at(at));
        let is_deaf = subscribed_at.is_some_and(|since| {
            missed.iter().any(|trade| {
                trade.exchange_at.0 > since.0.saturating_add(nanos(BEHIND_PATIENCE))
                    && trade.exchange_at.0.saturating_add(nanos(DELIVERY_PATIENCE)) < venue_now.0
            })
        });
        let is_silent = missed.is_empty();
        let known_before = market.seam.last().is_some();
        market.resume = false;
        if !is_silent && (known_before || is_polled) {
            self.page(market, page, false);
        }
        let is_carried = market.line.is_some();
        if is_deaf && is_carried {
            self.deaf(market, now);
        } else {
            if is_silent {
                market.rhythm.excuse(now);
            } else {
                market.rhythm.start(now);
            }
            if market.status != Some(WatchStatus::Live) && (market.subscribed.is_some() || !is_carried) {
                self.set_status(market, WatchStatus::Live);
            }
        }
        let still_behind =
            was_behind.is_some_and(|(id, _)| market.seam.newest().is_none_or(|newest| id > newest));
        market.next_check = if is_full {
            now
        } else if still_behind {
            market.behind = was_behind;
            now.after(BEHIND_PATIENCE)
        } else {
            now.after(POLL_EVERY)
        };
    }

    /// The venue has trades that the socket did not bring.
    fn deaf(&self, market: &mut Market, now: Mono) {
        let Some(line) = market.line else { return };
        self.set_status(market, WatchStatus::Stale);
        let recently = market.renewed.is_some_and(|at| now.since(at) < RENEWED_RECENTLY);
        market.renewed = Some(now);
        market.rhythm.start(now);
        warn!(instrument = %market.instrument, recently, "subscription brings nothing, subscribing anew");
        let at = self.by_watch[&market.watch];
        let wish = if recently { Wish::Replace } else { Wish::Renew(at) };
        self.wish(line, wish);
    }

    fn wish(&self, line: usize, wish: Wish) {
        let mut wishes = self.wishes.borrow_mut();
        if !wishes.contains(&(line, wish)) {
            wishes.push((line, wish));
        }
    }

    /// What the connections are asked to do, with their numbers.
    pub fn wishes(&self) -> Vec<(usize, Wish)> {
        self.wishes.take()
    }

    /// Looks after seams: several times a second.
    pub fn look_at_seams(&self) {
        let now = Mono::now();
        let mut passing = Vec::new();
        let mut has_passed = false;
        for market in self.markets.borrow_mut().iter_mut().filter(|market| market.seam.is_waiting()) {
            market.seam.due(now, &mut passing);
            if !passing.is_empty() {
                has_passed = true;
                self.pass(market.watch, std::mem::take(&mut passing));
            }
            if let (Some(missing), Some(spelling)) = (market.seam.ask(now), &market.spelling) {
                self.desk.order(Order::Seam {
                    watch: market.watch,
                    spelling: spelling.clone(),
                    first: missing.first,
                    last: missing.last,
                    asked: now,
                });
            }
        }
        if has_passed {
            self.intake.rest();
        }
    }

    /// Looks after silences: once a second. `is_heard`: whether a connection has been heard of lately; a dead one
    /// says nothing about its markets, and is dealt with as a whole.
    pub fn look_at_silences(&self, is_heard: impl Fn(usize) -> bool) {
        let now = Mono::now();
        let poll_every = self.poll_every();
        for market in self.markets.borrow_mut().iter_mut() {
            let Some(spelling) = market.spelling.clone() else { continue };
            if let Some(since) = market.checking {
                if now.since(since) < ANSWER_PATIENCE {
                    continue;
                }
                // REST is busy or away. A quiet market waits; of a fast one the silence is proof enough.
                if market.rhythm.is_fast() && market.rhythm.is_suspicious(now) && market.subscribed.is_some()
                {
                    market.checking = Some(now);
                    self.deaf(market, now);
                    continue;
                }
                if now.since(since) < LOST_AFTER {
                    continue;
                }
                market.checking = None;
            }
            if now < market.next_check {
                continue;
            }
            let is_suspicious = market.subscribed.is_some()
                && market.rhythm.is_suspicious(now)
                && market.line.is_some_and(&is_heard);
            let is_behind = market.behind.is_some_and(|(_, since)| now.since(since) >= BEHIND_PATIENCE);
            let is_due = match poll_every {
                Some(every) => {
                    market.next_check.after(every) <= now || market.status != Some(WatchStatus::Live)
                }
                None => false,
            };
            let resumes = market.resume && market.subscribed.is_some();
            if !(is_suspicious || is_behind || is_due || resumes) {
                continue;
            }
            let after = market.seam.last();
            if self.desk.order(Order::Check { watch: market.watch, spelling, after }) {
                market.checking = Some(now);
            } else {
                market.next_check = now.after(ORDER_AGAIN);
            }
        }
        self.count_distance();
        self.intake.rest();
    }

    /// How often each market is polled, beside the second that [`Edge::checked`] waits.
    fn poll_every(&self) -> Option<Duration> {
        match self.desk.config.mode {
            Mode::Ws => None,
            Mode::Rest => Some(Duration::ZERO),
            Mode::Both => Some(SECOND_LINE_EVERY),
        }
    }

    fn count_distance(&self) {
        let looks = self.looks.get() + 1;
        self.looks.set(looks);
        if let Some(distance) = self.distance_ns.take() {
            self.desk.note_distance(distance, looks.is_multiple_of(WINDOW.as_secs()));
        }
    }
}

/// What a frame said, for its connection.
#[derive(Default)]
pub struct Said {
    pub heard: Vec<Heard>,
    pub has_trades: bool,
    /// Something of it was set aside.
    pub is_bad: bool,
}

fn follows(seam: &Seam, trade: &Trade) -> bool {
    match trade.id {
        TradeId::Number(id) => seam.last().is_some_and(|last| id <= last.saturating_add(1)),
        _ => true,
    }
}

/// The id as a number, 0 where it is none.
fn id_of(trade: &Trade) -> u64 {
    match trade.id {
        TradeId::Number(id) => id,
        _ => 0,
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
