//! Why alerts cannot be kept or sent.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    #[error("failed to {what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("failed to start the alerts' thread: {0}")]
    Thread(io::Error),
    #[error("failed to make an HTTP client: {0}")]
    Client(String),
}

impl AlertError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
