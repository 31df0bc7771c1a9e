//! What goes wrong between us and a venue.

use std::time::Duration;

use crate::venues::dialect::AnswerError;

/// Why a REST request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    #[error("no answer from {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("status {status}: {body:?}")]
    Status { status: u16, body: String },
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("no connection to {address}: {why}")]
    Connect { address: String, why: String },
    #[error("no connection to {address} within {limit:?}")]
    Slow { address: String, limit: Duration },
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("the venue closed the connection: {0}")]
    Closed(String),
    #[error("nothing was heard for {0:?}, a ping included")]
    Silent(Duration),
    #[error("the venue took no message within {0:?}")]
    Stuck(Duration),
}

/// Why a venue cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum VenuesError {
    #[error("venue {0} has no live connector in this version; there is one for: {1}")]
    NoConnector(String, String),
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
    #[error("the thread for REST cannot be started: {0}")]
    Thread(std::io::Error),
}
