//! The program, as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `tapewatch` in a directory that has no configuration of its own.
pub fn tapewatch(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapewatch"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAPEWATCH__") {
            command.env_remove(name);
        }
    }
    command.output().expect("the program starts")
}

/// Runs `tapewatch replay INPUTS.. --out OUT --json FLAGS..`; gives back the summary.
#[allow(dead_code, reason = "each integration test is a crate of its own and uses what it needs")]
pub fn replay(inputs: &[&Path], out: &Path, flags: &[&str]) -> Value {
    let mut arguments = vec!["replay"];
    arguments.extend(inputs.iter().map(|path| path.to_str().expect("a plain path")));
    arguments.extend(["--out", out.to_str().expect("a plain path"), "--json"]);
    arguments.extend(flags);
    let output = tapewatch(&arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the summary is one JSON object")
}

/// The digest of a summary.
#[allow(dead_code, reason = "each integration test is a crate of its own and uses what it needs")]
pub fn digest(summary: &Value) -> String {
    summary["digest"].as_str().expect("a summary has a digest").to_owned()
}
