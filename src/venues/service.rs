//! The venues of a running engine: desks and clerks, and on each shard the connections of its instruments.
//!
//! [`Venues::new`] before the shards start (its [`Repairer`] is a sink), [`Venues::start_clerks`] once, and
//! [`Venues::connect`] on the thread of each shard.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::error;

use crate::domain::instrument::Instrument;
use crate::domain::told::{Roster, Watch};
use crate::domain::venue::Venue;
use crate::runtime::intake::Intake;
use crate::runtime::venue_clock::VenueClock;
use crate::venues::clerk;
use crate::venues::config::{Mode, VenueConfig};
use crate::venues::desk::{Delivery, Desk, Order, VenueTools};
use crate::venues::edge::{Edge, Wish};
use crate::venues::error::VenuesError;
use crate::venues::line::{Connection, Line, LineOrder};
use crate::venues::repair::Repairer;
use crate::venues::socket;

/// Deliveries that wait for a shard; the clerk waits when there are more.
const DELIVERIES: usize = 64;
/// How often seams are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks between two looks at silences.
const SILENCES_EVERY: u32 = 20;
/// Connections get so long to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// All venues of the configuration.
pub struct Venues {
    desks: Vec<Arc<Desk>>,
    orders: Vec<mpsc::Receiver<Order>>,
}

/// What a shard gives its connections.
#[derive(Clone)]
pub struct ShardSide {
    pub intake: Rc<dyn Intake>,
    /// The shard's own instruments.
    pub watches: Arc<[(Watch, Instrument)]>,
    /// Turns true when connections have to end.
    pub stopping: watch::Receiver<bool>,
}

impl Venues {
    /// `clock_of`: the clock that a venue's skew is published through.
    pub fn new(
        configs: &[VenueConfig],
        roster: &Roster,
        tools: &VenueTools,
        clock_of: impl Fn(&Venue) -> VenueClock,
    ) -> Result<Self, VenuesError> {
        let (mut desks, mut orders) = (Vec::new(), Vec::new());
        for config in configs {
            let (desk, received) = Desk::new(config.clone(), roster, clock_of(&config.venue), tools.clone())?;
            desks.push(desk);
            orders.push(received);
        }
        Ok(Self { desks, orders })
    }

    /// The sink that hears of gaps.
    pub fn repairer(&self, roster: &Roster) -> Repairer {
        let desk_of = |instrument: &Instrument| {
            self.desks.iter().find(|desk| desk.config.instruments.contains(instrument)).cloned()
        };
        Repairer::new(roster.iter().map(|(_, instrument)| desk_of(instrument)).collect())
    }

    /// Starts asking; once.
    pub fn start_clerks(
        &mut self,
        stopping: watch::Receiver<bool>,
    ) -> Result<std::thread::JoinHandle<()>, VenuesError> {
        // Where the roots of the system are missing, connections say so; plain ones need none.
        let _ = socket::tls();
        let orders = std::mem::take(&mut self.orders);
        clerk::start(self.desks.iter().cloned().zip(orders).collect(), stopping)
    }

    /// What each shard runs, on its own thread.
    pub fn connect(&self) -> impl Fn(ShardSide) + Send + Sync + use<> {
        let desks = self.desks.clone();
        move |side: ShardSide| {
            for desk in &desks {
                let own: Vec<_> = side
                    .watches
                    .iter()
                    .filter(|(_, instrument)| desk.config.instruments.contains(instrument))
                    .cloned()
                    .collect();
                if !own.is_empty() {
                    actix_rt::spawn(watch_floor(
                        desk.clone(),
                        side.intake.clone(),
                        own,
                        side.stopping.clone(),
                    ));
                }
            }
        }
    }
}

/// The part of a venue that a shard watches.
struct Floor {
    edge: Rc<Edge>,
    lines: RefCell<Vec<(Rc<Line>, actix::Addr<Connection>)>>,
}

/// Watches until `stopping` turns true; a panic starts it anew, connections stay.
async fn watch_floor(
    desk: Arc<Desk>,
    intake: Rc<dyn Intake>,
    watches: Vec<(Watch, Instrument)>,
    mut stopping: watch::Receiver<bool>,
) {
    let floor = Floor { edge: Edge::new(desk.clone(), intake, &watches), lines: RefCell::default() };
    let (door, mut deliveries) = mpsc::channel(DELIVERIES);
    desk.open_door(watches.iter().map(|(watch, _)| *watch), &door);
    drop(door);
    loop {
        let watched = AssertUnwindSafe(floor.watch(&desk, &mut deliveries, &mut stopping));
        if watched.catch_unwind().await.is_ok() {
            break;
        }
        desk.tools.metrics.actor_restarts.with_label_values(&["venue_edge"]).inc();
        error!(venue = desk.name, "looking after connections panicked, starting anew");
        sleep(Duration::from_secs(1)).await;
    }
    floor.close().await;
}

impl Floor {
    async fn watch(
        &self,
        desk: &Desk,
        deliveries: &mut mpsc::Receiver<Delivery>,
        stopping: &mut watch::Receiver<bool>,
    ) {
        let edge = &self.edge;
        let mut listings = desk.listings();
        listings.mark_changed();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut look = 0_u32;
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                changed = listings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let known = listings.borrow_and_update().clone();
                    if let Some(known) = known {
                        self.open_lines(desk, edge.list(&known));
                    }
                }
                Some(delivery) = deliveries.recv() => {
                    edge.take(delivery);
                    while let Ok(more) = deliveries.try_recv() {
                        edge.take(more);
                    }
                    edge.rest();
                }
                _ = looks.tick() => {
                    edge.look_at_seams();
                    look = look.wrapping_add(1);
                    if look.is_multiple_of(SILENCES_EVERY) {
                        let lines = self.lines.borrow();
                        edge.look_at_silences(|line| lines.get(line).is_some_and(|(line, _)| line.is_heard()));
                        for (line, wish) in edge.wishes() {
                            if let Some((_, connection)) = lines.get(line) {
                                // A few a second at most: each market wishes once in its patience.
                                connection.do_send(match wish {
                                    Wish::Renew(market) => LineOrder::Renew(vec![market]),
                                    Wish::Replace => LineOrder::Replace,
                                });
                            }
                        }
                    }
                }
            }
        }
    }

    /// Connections for markets that can be watched now.
    fn open_lines(&self, desk: &Desk, markets: Vec<usize>) {
        if desk.config.mode == Mode::Rest {
            return;
        }
        let mut lines = self.lines.borrow_mut();
        for markets in markets.chunks(desk.dialect.limits().markets_per_connection) {
            let line = Line::new(lines.len(), self.edge.clone(), markets.to_vec());
            let connection = line.start();
            lines.push((line, connection));
        }
    }

    async fn close(&self) {
        let lines = self.lines.take();
        lines.iter().for_each(|(_, connection)| connection.do_send(LineOrder::Close));
        let closed = async {
            while !lines.iter().all(|(line, _)| line.is_over()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_LIMIT, closed).await;
    }
}
