//! Where the results of an evaluation go.

use std::path::PathBuf;

/// As the command line names them.
pub struct Destinations<'a> {
    pub out: Option<&'a PathBuf>,
    pub report: Option<&'a PathBuf>,
    pub json: bool,
}
