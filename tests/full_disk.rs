//! A disk that is full: the service takes nothing in, says so, and leaves a journal that goes on.
//!
//! The disk is played by a limit on the size of files; ticks alone reach it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tapewatch");

/// Starts the service, under a limit of so many bytes a file where one is given.
fn run(folder: &Path, limit_bytes: Option<u32>) -> (Child, Receiver<String>) {
    let limit =
        limit_bytes.map_or(String::new(), |bytes| format!("ulimit -f {}; trap '' XFSZ; ", bytes / 512));
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("{limit}exec \"$0\" run --config c.toml"))
        .arg(PROGRAM)
        .current_dir(folder)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (lines, received) = sync_channel(1_000);
    let messages = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || {
        for line in messages.lines().map_while(Result::ok) {
            let _ = lines.try_send(line);
        }
    });
    (child, received)
}

fn wait_for(lines: &Receiver<String>, part: &str) {
    let mut seen = Vec::new();
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(300)) {
        if line.contains(part) {
            return;
        }
        seen.push(line);
    }
    panic!("nothing says {part:?}: {seen:#?}");
}

fn end(child: &mut Child) -> Option<i32> {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    child.wait().unwrap().code()
}

#[test]
fn a_full_disk_stops_the_intake_and_damages_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // A venue that nobody answers for: ticks are journalled all the same.
    let config = "data_dir = \"data\"\n[api]\nlisten = \"127.0.0.1:0\"\n[storage.embedded]\nenabled = false\n\
                  [venues.binance]\nsymbols = [\"BTC-USDT\"]\nws_url = \"ws://127.0.0.1:1\"\nrest_url = \"http://127.0.0.1:1\"\n";
    fs::write(folder.path().join("c.toml"), config).unwrap();
    let (mut child, lines) = run(folder.path(), Some(16_384));
    wait_for(&lines, "journal cannot be written");
    assert_eq!(end(&mut child), Some(1), "what could not be written is told");

    let verify = |what: &str| {
        let out = Command::new(PROGRAM).args(["verify", "data"]).current_dir(folder.path()).output().unwrap();
        assert!(out.status.success(), "{what}: {}", String::from_utf8_lossy(&out.stderr));
    };
    verify("full");
    let (mut child, lines) = run(folder.path(), None);
    wait_for(&lines, "engine is up");
    assert_eq!(end(&mut child), Some(0));
    verify("gone on");
}
