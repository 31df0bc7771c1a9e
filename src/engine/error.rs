//! Why the engine cannot start, or could not stop as it should.

use std::io;
use std::path::PathBuf;

use crate::journal::error::JournalError;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("{}: another process uses this data directory", .0.display())]
    InUse(PathBuf),
    #[error("{}: failed to {action}: {source}", path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{}: holds a journal that `import` made, and a service goes on with its own alone: name another data_dir (`replay` reads this one)", .0.display())]
    Imported(PathBuf),
    #[error("failed to start a thread: {0}")]
    Thread(io::Error),
    #[error("shard {shard} {what}")]
    Shard { shard: usize, what: &'static str },
}

impl EngineError {
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }

    /// Whether what was given is wrong, rather than something having gone wrong on the way.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::InUse(_)
                | Self::Imported(_)
                | Self::Journal(JournalError::Locked(_) | JournalError::Partitions { .. })
        )
    }
}
