//! What several integration tests need: where the shared recordings lie.
//!
//! The recordings are not part of the repository. They are looked for at the path in
//! `TAPEWATCH_SHARED`, otherwise at `../shared` beside the repository. `TAPEWATCH_SHARED=absent` says
//! that there are none, and that whoever set it knows.

use std::path::PathBuf;

/// The shared file or folder `path` (`data/ticks/x.csv.gz`), or `None`, with a line that says so,
/// where it is absent.
///
/// # Panics
///
/// Where the variable `CI` is set: a test that needs the recordings must not pass there unrun,
/// unless their absence was declared.
#[allow(dead_code, reason = "each integration test is a crate of its own and uses what it needs")]
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TAPEWATCH_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(
        std::env::var_os("CI").is_none() || root.as_os_str() == "absent",
        "CI is set and {} is absent: set TAPEWATCH_SHARED to the folder that holds it, or to \"absent\"",
        found.display()
    );
    println!("skipped: {} is absent (TAPEWATCH_SHARED names the folder that holds it)", found.display());
    None
}
