//! How a command ends: 0 done, 1 failed while running, 2 refused input or configuration.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// What we were given is wrong; the message says what is allowed.
    Refused(String),
    /// What we were given may be right, but something went wrong on the way.
    Failed(String),
}

impl Failure {
    pub fn refused(message: impl fmt::Display) -> Self {
        Self::Refused(message.to_string())
    }

    pub fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Refused(_) => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

/// Writes a result to standard output. A reader that has seen enough (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Returns when a signal asks the process to end, or after `length`.
pub async fn until_told_to_end(length: Option<Duration>) -> Result<(), Failure> {
    let listen =
        |kind| signal(kind).map_err(|e| Failure::failed(format!("failed to listen for signals: {e}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let over = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = over => {}
    }
    Ok(())
}
