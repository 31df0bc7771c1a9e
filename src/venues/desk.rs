//! What all shards share of one venue: its dialect, its limits, its clock, its markets, its standing.
//!
//! Short locks alone, none of them held while anything is waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tracing::info;

use crate::domain::event::{Trade, Unfillable, WatchStatus};
use crate::domain::fields::shown;
use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;
use crate::domain::told::{Roster, Watch};
use crate::domain::venue::Venue;
use crate::runtime::clock::{self, Mono};
use crate::runtime::health::{Condition, Health};
use crate::runtime::latency::Latency;
use crate::runtime::metrics::{Metrics, QueueMeter};
use crate::runtime::quarantine::{Quarantine, Quarantined, TEXT_CHARS_MAX};
use crate::runtime::venue_clock::VenueClock;
use crate::venues::config::VenueConfig;
use crate::venues::dialect::{Dialect, Listing, Rate};
use crate::venues::dialects;
use crate::venues::error::VenuesError;
use crate::venues::gap_book::GapBook;
use crate::venues::pacer::Pacer;
use crate::venues::patience::Patience;
use crate::venues::skew::Skew;

/// Orders that wait for the clerk; one more is refused, and whoever gave it asks again later.
const ORDERS_MAX: usize = 4_096;

/// What the composition root hands to every venue.
#[derive(Clone)]
pub struct VenueTools {
    pub metrics: Metrics,
    pub latency: Latency,
    pub health: Health,
    pub quarantine: Arc<dyn Quarantine>,
    pub patience: Arc<Patience>,
}

/// The venue's markets by `BASE-QUOTE`.
#[derive(Clone, Debug, Default)]
pub struct Listings(BTreeMap<String, Listing>);

impl Listings {
    pub fn new(listings: Vec<Listing>) -> Self {
        Self(listings.into_iter().map(|listing| (listing.symbol.clone(), listing)).collect())
    }

    pub fn find(&self, symbol: &str) -> Option<&Listing> {
        self.0.get(symbol)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How the markets of a venue are watched, counted.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    live: usize,
    stale: usize,
    down: usize,
    unlisted: usize,
    was_live: bool,
}

impl Standing {
    fn slot(&mut self, status: WatchStatus) -> &mut usize {
        match status {
            WatchStatus::Live => &mut self.live,
            WatchStatus::Stale => &mut self.stale,
            WatchStatus::Down => &mut self.down,
            WatchStatus::Unlisted => &mut self.unlisted,
        }
    }
}

/// What the clerk is asked to do.
#[derive(Clone, Debug)]
pub enum Order {
    /// Live trades wait for these ids.
    Seam { watch: Watch, spelling: Arc<str>, first: u64, last: u64, asked: Mono },
    /// What the venue has after this id, or its newest trades.
    Check { watch: Watch, spelling: Arc<str>, after: Option<u64> },
}

/// What the clerk brings to a market's shard.
#[derive(Debug)]
pub struct Delivery {
    pub watch: Watch,
    pub what: Delivered,
}

#[derive(Debug)]
pub enum Delivered {
    /// Missing trades that others wait for, in order of id.
    Seam(Vec<Trade>),
    /// Whatever the venue has after what we knew; `None`: it did not answer.
    Checked(Option<Vec<Trade>>),
    /// Trades of a gap.
    Gap(Vec<Trade>),
    Unfillable {
        first_id: u64,
        last_id: u64,
        reason: Unfillable,
    },
}

/// How many messages may be sent, over one connection or over all together.
#[derive(Clone)]
pub struct MessageBudget(Arc<Mutex<Pacer>>);

impl MessageBudget {
    fn new(rate: Rate, now: Mono) -> Self {
        Self(Arc::new(Mutex::new(Pacer::new(rate, now))))
    }

    /// Spends so many, or says how long to wait.
    pub fn take(&self, messages: u32, now: Mono) -> Result<(), Duration> {
        lock(&self.0).take(messages, now)
    }
}

pub struct Desk {
    pub venue: Venue,
    /// For metrics and logs; there is one desk a venue, as long as the process lives.
    pub name: &'static str,
    pub dialect: Box<dyn Dialect>,
    pub config: VenueConfig,
    pub clock: VenueClock,
    pub tools: VenueTools,
    pub gaps: GapBook,
    /// Something changed that the clerk should look at.
    pub bell: Notify,
    skew: Mutex<Skew>,
    connects: Mutex<Pacer>,
    /// `None`: each connection has its own.
    messages: Option<MessageBudget>,
    weight: Mutex<Pacer>,
    listings: watch::Sender<Option<Arc<Listings>>>,
    standing: Mutex<Standing>,
    orders: mpsc::Sender<Order>,
    orders_meter: QueueMeter,
    doors: Mutex<BTreeMap<Watch, mpsc::Sender<Delivery>>>,
    /// `BASE-QUOTE` of the watched instruments.
    symbols: BTreeMap<Watch, String>,
}

impl Desk {
    /// The desk, and the orders that its clerk has to read.
    pub fn new(
        config: VenueConfig,
        roster: &Roster,
        clock: VenueClock,
        tools: VenueTools,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Order>), VenuesError> {
        let venue = config.venue.clone();
        let Some(dialect) = dialects::find(venue.name(), config.feed_name()) else {
            let mut known: Vec<_> = dialects::DIALECTS.iter().map(|entry| entry.venue).collect();
            known.dedup();
            return Err(VenuesError::NoConnector(venue.name().to_owned(), known.join(", ")));
        };
        let name = dialects::DIALECTS
            .iter()
            .find(|entry| entry.venue == venue.name())
            .map_or("", |entry| entry.venue);
        let symbols = config
            .instruments
            .iter()
            .filter_map(|instrument| Some((roster.find(instrument)?, instrument.symbol().to_owned())))
            .collect();
        let (limits, now) = (dialect.limits(), Mono::now());
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let mut weight = Pacer::new(limits.weight, now);
        let left = tools.patience.left(name, clock::now());
        if !left.is_zero() {
            info!(venue = name, ?left, "venue asked for patience before the start, no request until then");
            weight.shut(left, now);
        }
        tools.health.set(&format!("venue:{name}"), Condition::Starting, "connecting");
        // Promised names are there from the start.
        tools.metrics.reconnects.with_label_values(&[name]);
        tools.metrics.clock_skew.with_label_values(&[name]).set(0.0);
        tools.metrics.quarantined.with_label_values(&[name, "frame"]);
        tools.metrics.venue_requests.with_label_values(&[name, "200"]);
        tools.metrics.venue_request_duration.with_label_values(&[name]);
        let desk = Self {
            venue,
            name,
            dialect,
            config,
            clock,
            gaps: GapBook::new(tools.metrics.queue("gap_book")),
            bell: Notify::new(),
            skew: Mutex::default(),
            connects: Pacer::new(limits.connects, now).into(),
            messages: limits.messages_by_address.then(|| MessageBudget::new(limits.messages, now)),
            weight: weight.into(),
            listings: watch::Sender::new(None),
            standing: Mutex::default(),
            orders,
            orders_meter: tools.metrics.queue("venue_orders"),
            doors: Mutex::default(),
            symbols,
            tools,
        };
        Ok((Arc::new(desk), received))
    }

    /// `BASE-QUOTE` of a watched instrument of this venue.
    pub fn symbol(&self, watch: Watch) -> Option<String> {
        self.symbols.get(&watch).cloned()
    }

    pub fn watches(&self) -> impl Iterator<Item = Watch> {
        self.symbols.keys().copied()
    }

    pub fn listings(&self) -> watch::Receiver<Option<Arc<Listings>>> {
        self.listings.subscribe()
    }

    pub fn set_listings(&self, listings: Listings) {
        info!(venue = self.name, markets = listings.len(), "markets of the venue are known");
        self.listings.send_replace(Some(Arc::new(listings)));
    }

    /// How long to wait before the next attempt to connect; zero: it counts as made.
    pub fn connect_wait(&self) -> Duration {
        lock(&self.connects).take(1, Mono::now()).err().unwrap_or_default()
    }

    /// What one more connection may send: of its own, or of all connections together.
    pub fn message_budget(&self) -> MessageBudget {
        let own = || MessageBudget::new(self.dialect.limits().messages, Mono::now());
        self.messages.clone().unwrap_or_else(own)
    }

    /// How long to wait before a request of that weight; zero: it counts as made.
    pub fn weight_wait(&self, weight: u32) -> Duration {
        lock(&self.weight).take(weight, Mono::now()).err().unwrap_or_default()
    }

    /// How long a request of that weight would have to wait.
    pub fn weight_outlook(&self, weight: u32) -> Duration {
        lock(&self.weight).wait(weight, Mono::now())
    }

    /// No request for so long, whoever asks, after a restart too.
    pub fn shut_rest(&self, time: Duration) {
        lock(&self.weight).shut(time, Mono::now());
        self.tools.patience.ask(self.name, time, clock::now());
    }

    pub fn note_used_weight(&self, used: u32) {
        lock(&self.weight).note_used(used, Mono::now());
    }

    pub fn note_time(&self, asked_at: UnixNanos, answered_at: UnixNanos, venue_at: UnixNanos) {
        lock(&self.skew).answered(asked_at, answered_at, venue_at);
        self.publish_skew();
    }

    /// The smallest distance from exchange to receipt since the last call; a window of it ends where told.
    pub fn note_distance(&self, distance_ns: i64, ends_window: bool) {
        let mut skew = lock(&self.skew);
        skew.received_after(distance_ns);
        if ends_window {
            skew.close_window();
        }
        drop(skew);
        self.publish_skew();
    }

    fn publish_skew(&self) {
        if let Some(skew_ns) = lock(&self.skew).estimate() {
            self.clock.set_skew_ns(skew_ns);
            self.tools.metrics.clock_skew.with_label_values(&[self.name]).set(skew_ns as f64 / 1e9);
        }
    }

    /// Gives an order; `false`: the clerk has too many, ask again later.
    pub fn order(&self, order: Order) -> bool {
        let is_taken = self.orders.try_send(order).is_ok();
        if !is_taken {
            self.orders_meter.dropped.inc();
        }
        self.orders_meter.depth.set((self.orders.max_capacity() - self.orders.capacity()) as i64);
        is_taken
    }

    /// From now on deliveries for these markets go there.
    pub fn open_door(&self, watches: impl IntoIterator<Item = Watch>, door: &mpsc::Sender<Delivery>) {
        lock(&self.doors).extend(watches.into_iter().map(|watch| (watch, door.clone())));
    }

    /// Waits while the shard is busy; a market whose shard is gone gets nothing.
    pub async fn deliver(&self, watch: Watch, what: Delivered) {
        let door = lock(&self.doors).get(&watch).cloned();
        if let Some(door) = door {
            let _ = door.send(Delivery { watch, what }).await;
        }
    }

    /// A market of this venue is watched otherwise than before (`None`: it was not watched).
    pub fn stands(&self, before: Option<WatchStatus>, now: WatchStatus) {
        let mut standing = lock(&self.standing);
        if let Some(before) = before {
            *standing.slot(before) -= 1;
        }
        *standing.slot(now) += 1;
        standing.was_live |= now == WatchStatus::Live;
        let Standing { live, stale, down, unlisted, was_live } = *standing;
        drop(standing);
        let all = live + stale + down + unlisted;
        let (condition, reason) = if live == all {
            (Condition::Up, String::new())
        } else if live > 0 {
            (
                Condition::Degraded,
                format!(
                    "{live} of {all} markets live, {stale} silent, {down} not connected, {unlisted} not listed"
                ),
            )
        } else if was_live {
            (Condition::Down, format!("no market of {all} is live"))
        } else {
            (Condition::Starting, format!("no market of {all} is live yet"))
        };
        self.set_health(condition, reason);
    }

    /// Says whether the venue lists an instrument; of those that it always listed nothing is said. The signal comes once,
    /// this after every start.
    pub fn note_listing(&self, instrument: &Instrument, is_listed: bool) {
        let (health, part) = (&self.tools.health, format!("listing:{instrument}"));
        if !is_listed {
            // One market is no reason not to be ready.
            health.set(&part, Condition::Up, "");
            health.set(&part, Condition::Degraded, format!("{} does not list it", self.name));
        } else if health.condition(&part).is_some() {
            health.set(&part, Condition::Up, "");
        }
    }

    fn set_health(&self, condition: Condition, reason: String) {
        let part = format!("venue:{}", self.name);
        // Ready once the first subscription is up, whatever the others do.
        if condition == Condition::Degraded {
            self.tools.health.set(&part, Condition::Up, "");
        }
        self.tools.health.set(&part, condition, reason);
    }

    /// Why nothing has been heard yet; no word once something was.
    pub fn explain_start(&self, why: &str) {
        if !lock(&self.standing).was_live {
            self.set_health(Condition::Starting, why.to_owned());
        }
    }

    /// Sets something aside: `word` for the metric, the reason for people.
    #[cold]
    pub fn quarantine(&self, word: &'static str, reason: String, text: &str) {
        self.tools.metrics.quarantined.with_label_values(&[self.name, word]).inc();
        self.tools.quarantine.put(Quarantined {
            received_at: clock::now(),
            venue: self.name.to_owned(),
            reason,
            text: shown(text.as_bytes(), TEXT_CHARS_MAX),
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is sound after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The word of the metric for a parser's reason: the field it names.
pub fn refusal_word(reason: &str) -> &'static str {
    const WORDS: [(&str, &str); 8] = [
        ("price", "price"),
        ("quantity", "quantity"),
        ("time", "time"),
        ("trade id", "id"),
        ("the trade has no id", "id"),
        ("taker side", "side"),
        ("last trade id", "id"),
        ("frame", "frame"),
    ];
    WORDS.iter().find(|(start, _)| reason.starts_with(start)).map_or("other", |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_count_by_address_are_counted_together() {
        let now = Mono::ZERO;
        let budget = MessageBudget::new(Rate { count: 6, per: Duration::from_secs(1) }, now);
        let other = budget.clone();
        assert_eq!(budget.take(2, now), Ok(()));
        assert!(other.take(1, now).is_err(), "another connection has spent it");
        assert_eq!(other.take(1, now.after(Duration::from_millis(200))), Ok(()));
    }
}
