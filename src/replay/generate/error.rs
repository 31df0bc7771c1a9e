//! Why nothing, or not everything, was generated.

use std::io;
use std::path::PathBuf;

use crate::replay::generate::parameters::Problem;

#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("parameters cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Parameters(Vec<Problem>),
    #[error("layout {layout} holds one symbol a file and {symbols} are asked for: give a directory")]
    OneSymbolOnly { layout: &'static str, symbols: usize },
    #[error("cannot write {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}
