//! One plain connection to a venue, for commands that want to see what comes: no repair, no ledger.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::venues::dialect::Dialect;
use crate::venues::error::SocketError;
use crate::venues::socket::{self, Socket};

const SEND_LIMIT: Duration = Duration::from_secs(5);

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tapped {
    Frame(String),
    Ping,
    /// Nothing until the limit.
    Nothing,
}

pub struct Tap {
    socket: Socket,
    pub address: String,
}

impl Tap {
    pub async fn open(dialect: &dyn Dialect, host: Option<&str>) -> Result<Self, SocketError> {
        let address = dialect.socket(host);
        Ok(Self { socket: socket::open(&address).await?, address })
    }

    /// Subscribes, no faster than the venue allows.
    pub async fn subscribe(
        &mut self,
        dialect: &dyn Dialect,
        spellings: &[&str],
        request: u64,
    ) -> Result<(), SocketError> {
        let rate = dialect.limits().messages;
        for (at, text) in dialect.subscribe(spellings, request).into_iter().enumerate() {
            if at > 0 {
                sleep(rate.per / rate.count.max(1)).await;
            }
            match timeout(SEND_LIMIT, self.socket.send(Message::text(text))).await {
                Ok(sent) => sent.map_err(|error| SocketError::Lost(error.to_string()))?,
                Err(_) => return Err(SocketError::Stuck(SEND_LIMIT)),
            }
        }
        Ok(())
    }

    /// The next frame or ping within the limit. Pings are answered.
    pub async fn next(&mut self, limit: Duration) -> Result<Tapped, SocketError> {
        let next = async {
            loop {
                match self.socket.next().await {
                    None => return Err(SocketError::Lost("the stream ended".to_owned())),
                    Some(Err(error)) => return Err(SocketError::Lost(error.to_string())),
                    Some(Ok(Message::Text(text))) => return Ok(Tapped::Frame(text.as_str().to_owned())),
                    Some(Ok(Message::Binary(bytes))) => {
                        return Ok(Tapped::Frame(String::from_utf8_lossy(&bytes).into_owned()));
                    }
                    Some(Ok(Message::Ping(_))) => return Ok(Tapped::Ping),
                    Some(Ok(Message::Close(frame))) => {
                        let why = frame.map_or_else(String::new, |f| format!("{} {}", f.code, f.reason));
                        return Err(SocketError::Closed(why));
                    }
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(limit, next).await.unwrap_or(Ok(Tapped::Nothing))
    }
}
