//! A market's trades of a stretch of time, page by page over REST.
//!
//! Venues page by id, people think in time: the first id is found by halving.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::event::{Trade, TradeId};
use crate::domain::time::UnixNanos;
use crate::runtime::backoff::Backoff;
use crate::venues::desk::{Desk, Listings};
use crate::venues::dialect::{Answer, AnswerError, Ask, Page};
use crate::venues::error::RestError;
use crate::venues::rest::RestClient;

/// Failures in a row that are borne.
const TRIES: u32 = 12;

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the venue does not list {0}")]
    Unlisted(String),
    #[error("no history: {0}")]
    Rest(#[from] RestError),
    #[error("the venue's pages bring nothing on behind id {0}")]
    Stuck(u64),
}

pub struct History {
    desk: Arc<Desk>,
    client: RestClient,
    spelling: String,
    from: UnixNanos,
    next_id: u64,
    /// The venue's newest when we began: behind it there is nothing to ask for.
    newest_id: u64,
}

impl History {
    /// Finds where the history of `symbol` begins that is not before `from`.
    pub async fn find(desk: Arc<Desk>, symbol: &str, from: UnixNanos) -> Result<Self, HistoryError> {
        let client = RestClient::new()
            .map_err(|e| RestError::Unreachable { address: desk.name.to_owned(), why: e.to_string() })?;
        let Answer::Listings(listings) = ask(&desk, &client, &Ask::Listings).await? else {
            return Err(HistoryError::Unlisted(symbol.to_owned()));
        };
        let listings = Listings::new(listings);
        let spelling =
            listings.find(symbol).ok_or_else(|| HistoryError::Unlisted(symbol.to_owned()))?.spelling.clone();
        let mut history = Self { desk, client, spelling, from, next_id: 0, newest_id: 0 };
        let latest = Ask::Latest { spelling: history.spelling.clone(), limit: 1 };
        let newest = trades(ask(&history.desk, &history.client, &latest).await?).trades;
        // A market that never traded has no history.
        let Some(newest) = newest.last().and_then(id_of) else { return Ok(history) };
        history.newest_id = newest;
        let (mut low, mut high) = (0, newest + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let page = history.page(middle, 1).await?;
            // No trade there: the venue does not reach back so far.
            let is_before = page.trades.first().is_none_or(|trade| trade.exchange_at < from);
            if is_before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        history.next_id = low;
        Ok(history)
    }

    async fn page(&self, first_id: u64, limit: u32) -> Result<Page, HistoryError> {
        let asked = Ask::Trades { spelling: self.spelling.clone(), first_id, limit };
        Ok(trades(ask(&self.desk, &self.client, &asked).await?))
    }

    /// The next page, as far as it lies before `to`; `None`: there is no more.
    pub async fn next(&mut self, to: UnixNanos) -> Result<Option<Page>, HistoryError> {
        let limit = self.desk.dialect.limits().page_trades_max;
        let mut backoff = backoff();
        while self.next_id <= self.newest_id {
            let mut page = self.page(self.next_id, limit).await?;
            let next_id = self.next_id;
            page.trades.retain(|trade| id_of(trade).is_some_and(|id| id >= next_id));
            match page.trades.last().and_then(id_of) {
                Some(last) => self.next_id = last + 1,
                // Empty although there must be more: REST lags, or lies.
                None if backoff.failures() < TRIES => {
                    tokio::time::sleep(backoff.failed()).await;
                    continue;
                }
                None => return Err(HistoryError::Stuck(next_id)),
            }
            if page.trades.iter().any(|trade| trade.exchange_at >= to) {
                self.next_id = self.newest_id + 1;
            }
            page.trades.retain(|trade| (self.from..to).contains(&trade.exchange_at));
            return Ok(Some(page));
        }
        Ok(None)
    }
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(250), Duration::from_secs(10), 1)
}

/// Asks until it is answered, or refused for good, or has failed too often.
async fn ask(desk: &Arc<Desk>, client: &RestClient, ask: &Ask) -> Result<Answer, RestError> {
    let mut backoff = backoff();
    loop {
        match client.ask(desk, ask).await {
            Ok(answer) => return Ok(answer),
            Err(RestError::Answer(
                error @ (AnswerError::Unknown(_) | AnswerError::Refused(_) | AnswerError::Unsupported),
            )) => {
                return Err(error.into());
            }
            Err(error) if backoff.failures() >= TRIES => return Err(error),
            Err(error) => {
                let wait = backoff.failed();
                tracing::debug!(%error, ?wait, "no answer, asking again");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

fn trades(answer: Answer) -> Page {
    match answer {
        Answer::Trades(page) => page,
        _ => Page::default(),
    }
}

fn id_of(trade: &Trade) -> Option<u64> {
    match trade.id {
        TradeId::Number(id) => Some(id),
        _ => None,
    }
}
