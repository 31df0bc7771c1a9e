//! The clerk of a venue: everything that is asked of its REST, in order of need, within its budget.
//!
//! Lives on the thread of the clerks, so that no page is parsed and no request waited for on a shard.
//! Order of need: trades that others wait for, then what a silence is about, then gaps, the most recent first.
//! A few requests run at once; what a venue says of patience holds for all.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, warn};

use crate::domain::event::{Event, Trade};
use crate::domain::told::Watch;
use crate::runtime::backoff::Backoff;
use crate::runtime::clock::{self, Mono};
use crate::venues::desk::{Delivered, Desk, Listings, Order};
use crate::venues::dialect::{Answer, AnswerError, Ask, Page};
use crate::venues::error::{RestError, VenuesError};
use crate::venues::gap_book::{GapKey, Tried};
use crate::venues::judgement::judge;
use crate::venues::rest::RestClient;
use crate::venues::seam::{Missing, WAIT_MAX};

/// Requests that run at once.
const AT_ONCE: usize = 4;
/// Orders in hand; more wait in their queue.
const IN_HAND_MAX: usize = 4_096;
/// Ids around a gap that are asked for too: they show whether the page reaches beyond it.
const AROUND: u64 = 16;
/// Pages of one try at a gap; the rest is the next try's, after others had their turn.
const PAGES_MAX: usize = 20;
/// A page that lags is asked for again so soon while trades wait.
const LAG: Duration = Duration::from_millis(150);
const TIME_EVERY: Duration = Duration::from_secs(60);
const LISTINGS_EVERY: Duration = Duration::from_secs(900);
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(30);
/// Without a reason to look earlier.
const LOOK_EVERY: Duration = Duration::from_millis(250);

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts the thread of the clerks, with one clerk for each desk; it ends when `stopping` turns true.
pub fn start(
    desks: Vec<(Arc<Desk>, mpsc::Receiver<Order>)>,
    stopping: watch::Receiver<bool>,
) -> Result<std::thread::JoinHandle<()>, VenuesError> {
    let client = RestClient::new()?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(VenuesError::Thread)?;
    std::thread::Builder::new()
        .name("venues-rest".to_owned())
        .spawn(move || {
            let all = desks.into_iter().map(|(desk, orders)| {
                let mut stopping = stopping.clone();
                let client = client.clone();
                async move {
                    tokio::select! {
                        _ = stopping.wait_for(|stop| *stop) => {}
                        () = async {
                            tokio::join!(
                                supervised(&desk, keep_time(desk.clone(), client.clone())),
                                supervised(&desk, keep_listings(desk.clone(), client.clone())),
                                supervised(&desk, work(desk.clone(), client.clone(), orders)),
                            );
                        } => {}
                    }
                }
            });
            runtime.block_on(futures_util::future::join_all(all));
            // A page that is being read is no reason to wait.
            runtime.shutdown_background();
        })
        .map_err(VenuesError::Thread)
}

/// A panic ends its task alone, and is said; jobs catch their own.
async fn supervised(desk: &Desk, task: impl Future<Output = ()>) {
    if futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(task)).await.is_err() {
        desk.tools.metrics.actor_restarts.with_label_values(&["clerk"]).inc();
        error!(venue = desk.name, "a task of the clerk panicked and ended");
    }
}

/// The venue's time, again and again.
async fn keep_time(desk: Arc<Desk>, client: RestClient) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST, seed(&desk));
    loop {
        match ask_time(&desk, &client).await {
            Ok(()) => {
                backoff.reset();
                tokio::time::sleep(TIME_EVERY).await;
            }
            Err(error) => {
                debug!(venue = desk.name, %error, "venue does not tell its time");
                tokio::time::sleep(backoff.failed()).await;
            }
        }
    }
}

async fn ask_time(desk: &Arc<Desk>, client: &RestClient) -> Result<(), RestError> {
    // The budget is waited for first: a wait between the two stamps would widen them for nothing.
    while !desk.weight_outlook(1).is_zero() {
        tokio::time::sleep(desk.weight_outlook(1)).await;
    }
    let asked_at = clock::now();
    let answer = client.ask(desk, &Ask::Time).await?;
    let answered_at = clock::now();
    if let Answer::Time(venue_at) = answer {
        desk.note_time(asked_at, answered_at, venue_at);
    }
    Ok(())
}

async fn keep_listings(desk: Arc<Desk>, client: RestClient) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST, seed(&desk) ^ 1);
    loop {
        let wait = match client.ask(&desk, &Ask::Listings).await {
            Ok(Answer::Listings(listings)) if !listings.is_empty() => {
                desk.set_listings(Listings::new(listings));
                backoff.reset();
                LISTINGS_EVERY
            }
            Ok(_) => backoff.failed(),
            Err(error) => {
                let wait = backoff.failed();
                warn!(venue = desk.name, %error, ?wait, "venue does not list its markets, asking again");
                desk.explain_start(&format!("the list of markets is not to be had: {error}"));
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

fn seed(desk: &Desk) -> u64 {
    desk.name.bytes().fold(17, |seed, byte| seed * 31 + u64::from(byte))
}

/// Orders and gaps.
async fn work(desk: Arc<Desk>, client: RestClient, mut orders: mpsc::Receiver<Order>) {
    let mut seams: VecDeque<Order> = VecDeque::new();
    let mut checks: VecDeque<Order> = VecDeque::new();
    let mut jobs: FuturesUnordered<Job> = FuturesUnordered::new();
    loop {
        // A seam may take one place more than the others, so that slow pages of history do not hold it up.
        while let Some(order) = (jobs.len() <= AT_ONCE).then(|| seams.pop_front()).flatten() {
            jobs.push(caught(desk.clone(), seam(desk.clone(), client.clone(), order)));
        }
        while jobs.len() < AT_ONCE && desk.weight_outlook(1).is_zero() {
            if let Some(order) = checks.pop_front() {
                jobs.push(caught(desk.clone(), check(desk.clone(), client.clone(), order)));
            } else if let Some((key, missing)) = desk.gaps.next(Mono::now()) {
                jobs.push(caught(desk.clone(), fill(desk.clone(), client.clone(), key, missing)));
            } else {
                break;
            }
        }
        tokio::select! {
            order = orders.recv(), if seams.len() + checks.len() < IN_HAND_MAX => match order {
                Some(order @ Order::Seam { .. }) => seams.push_back(order),
                Some(order @ Order::Check { .. }) => checks.push_back(order),
                None => return,
            },
            Some(()) = jobs.next(), if !jobs.is_empty() => {}
            () = desk.bell.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A panic in one job costs that job.
fn caught(desk: Arc<Desk>, job: impl Future<Output = ()> + Send + 'static) -> Job {
    Box::pin(async move { supervised(&desk, job).await })
}

async fn ask_trades(
    desk: &Arc<Desk>,
    client: &RestClient,
    watch: Watch,
    ask: &Ask,
) -> Result<Vec<Trade>, RestError> {
    match client.ask(desk, ask).await {
        Ok(Answer::Trades(Page { trades, refused })) => {
            for reason in refused {
                desk.quarantine("rest_row", reason, &format!("{watch:?} {ask:?}"));
            }
            Ok(trades)
        }
        Ok(_) => Err(RestError::Answer(AnswerError::Unsupported)),
        Err(error) => {
            debug!(venue = desk.name, ?ask, %error, "no page");
            Err(error)
        }
    }
}

/// Fetches what live trades wait for, as long as they do.
async fn seam(desk: Arc<Desk>, client: RestClient, order: Order) {
    let Order::Seam { watch, spelling, first, last, asked } = order else { return };
    let mut missing = Missing { first, last };
    let most = desk.dialect.limits().page_trades_max;
    while Mono::now().since(asked) < WAIT_MAX {
        let wanted = u32::try_from(missing.last - missing.first + 2).unwrap_or(u32::MAX).min(most);
        let ask = Ask::Trades { spelling: spelling.to_string(), first_id: missing.first, limit: wanted };
        let found = match ask_trades(&desk, &client, watch, &ask).await {
            Ok(page) => judge(missing, page),
            // The gap will be told, and then asked for with patience.
            Err(_) => return,
        };
        let is_nothing = found.wanted.is_empty();
        if !is_nothing {
            desk.deliver(watch, Delivered::Seam(found.wanted)).await;
        }
        match found.next_id {
            Some(next) => missing.first = next,
            None if is_nothing && found.passed_over.is_empty() => tokio::time::sleep(LAG).await,
            None => return,
        }
    }
}

/// Asks what the venue has that we have not.
async fn check(desk: Arc<Desk>, client: RestClient, order: Order) {
    let Order::Check { watch, spelling, after } = order else { return };
    let most = desk.dialect.limits().page_trades_max;
    let ask = match after {
        Some(after) => {
            Ask::Trades { spelling: spelling.to_string(), first_id: after.saturating_add(1), limit: most }
        }
        None => Ask::Latest { spelling: spelling.to_string(), limit: 100 },
    };
    let trades = ask_trades(&desk, &client, watch, &ask).await.ok();
    desk.deliver(watch, Delivered::Checked(trades)).await;
}

/// Tries to fill a gap: pages of it, each one event.
async fn fill(desk: Arc<Desk>, client: RestClient, key: GapKey, missing: Missing) {
    let (watch, _) = key;
    let tried = match listed_spelling(&desk, watch) {
        Some(spelling) => fetch_gap(&desk, &client, watch, &spelling, missing).await,
        // Not known yet, or not listed: nothing can be asked.
        None => Tried { has_failed: true, ..Tried::default() },
    };
    for (missing, reason) in desk.gaps.tried(key, tried, Mono::now()) {
        let event = Event::Unfillable { first_id: missing.first, last_id: missing.last, reason };
        error!(venue = desk.name, ?event, "venue cannot give missing trades");
        let what = Delivered::Unfillable { first_id: missing.first, last_id: missing.last, reason };
        desk.deliver(watch, what).await;
    }
}

fn listed_spelling(desk: &Desk, watch: Watch) -> Option<String> {
    let symbol = desk.symbol(watch)?;
    Some(desk.listings().borrow().as_ref()?.find(&symbol)?.spelling.clone())
}

async fn fetch_gap(
    desk: &Arc<Desk>,
    client: &RestClient,
    watch: Watch,
    spelling: &str,
    missing: Missing,
) -> Tried {
    let most = desk.dialect.limits().page_trades_max;
    let mut tried = Tried::default();
    let mut rest = missing;
    for _ in 0..PAGES_MAX {
        let first_id = rest.first.saturating_sub(AROUND);
        let wanted = (rest.last - first_id).saturating_add(AROUND);
        let limit = u32::try_from(wanted).unwrap_or(u32::MAX).min(most);
        let ask = Ask::Trades { spelling: spelling.to_owned(), first_id, limit };
        let Ok(page) = ask_trades(desk, client, watch, &ask).await else {
            tried.has_failed = tried.delivered == 0;
            return tried;
        };
        let found = judge(rest, page);
        tried.delivered += found.wanted.len();
        tried.passed_over.extend(found.passed_over);
        if rest == missing {
            tried.out_of_reach = found.out_of_reach;
        }
        if !found.wanted.is_empty() {
            desk.deliver(watch, Delivered::Gap(found.wanted)).await;
        }
        match found.next_id {
            Some(next) => rest.first = next,
            None => break,
        }
    }
    tried
}
