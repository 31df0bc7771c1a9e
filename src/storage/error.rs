//! What can go wrong with what is kept. Each message names the file or the address.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("{}: failed to {action}: {source}", path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error("{}: failed to {action}: {source}", path.display())]
    Sqlite { path: PathBuf, action: &'static str, source: rusqlite::Error },
    #[error(
        "{}: is damaged or no store of tapewatch ({source}): move it away and start again; the journal tells anew what it still holds",
        path.display()
    )]
    Damaged { path: PathBuf, source: rusqlite::Error },
    #[error("{}: another program holds a lock on the store: close it and start again", .0.display())]
    Locked(PathBuf),
    #[error("{}: store version {found} is not known: this tapewatch reads version {known}", path.display())]
    Version { path: PathBuf, found: i64, known: i64 },
    /// A row holds what no writer of ours makes.
    #[error("{}: a stored {what} cannot be read", path.display())]
    Row { path: PathBuf, what: &'static str },
    #[error("{address}: {problem}")]
    Schema { address: String, problem: String },
    /// A cursor that no page of this query gave.
    #[error("cursor is none that a page of this query gave")]
    Cursor,
    /// What was told last waits outside of memory, for a store that does not take it.
    #[error("the store has not taken what was told last: try again")]
    Behind,
}

impl StorageError {
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }

    /// Says apart what a person has to do something about.
    pub(crate) fn sqlite(
        path: impl Into<PathBuf>,
        action: &'static str,
    ) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.into();
        move |source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, source }
            }
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Locked(path)
            }
            _ => Self::Sqlite { path, action, source },
        }
    }

    /// Whether it is the caller who has to ask otherwise.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Cursor)
    }
}
