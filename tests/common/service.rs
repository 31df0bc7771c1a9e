//! The service as a program: started, asked where it listens, stopped, killed, started again.
//!
//! It listens on a port of its own choice, and tells it in its log: a port that was free a moment ago may be somebody
//! else's by the time that a program takes it.
#![allow(dead_code, reason = "each integration test is a crate of its own and uses what it needs")]

use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tapewatch::runtime::clock::{self, Stopwatch};

/// What the configuration says.
pub const LISTEN: &str = "127.0.0.1:0";
/// Longer than draining takes on any machine.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Service {
    child: Child,
    log: PathBuf,
    /// Where the log of this run begins.
    since: u64,
    address: Cell<Option<SocketAddr>>,
}

impl Service {
    /// Runs it in the folder of its configuration; its log goes on.
    pub fn start(folder: &Path, config: &str) -> Self {
        let log = folder.join("log");
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let since = file.metadata().unwrap().len();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapewatch"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TAPEWATCH__") {
                command.env_remove(name);
            }
        }
        let child = command
            .current_dir(folder)
            .args(["run", "--config", config])
            .stdout(Stdio::from(file.try_clone().unwrap()))
            .stderr(Stdio::from(file))
            .spawn()
            .unwrap();
        Self { child, log, since, address: Cell::default() }
    }

    /// Where its API listens; `None` before it does.
    pub fn address(&self) -> Option<SocketAddr> {
        if self.address.get().is_none() {
            let mut file = fs::File::open(&self.log).ok()?;
            file.seek(SeekFrom::Start(self.since)).ok()?;
            let mut text = String::new();
            file.read_to_string(&mut text).ok()?;
            let line = text.lines().find(|line| line.contains("api listens"))?;
            let address = line.split("address=").nth(1)?.split_whitespace().next()?;
            self.address.set(address.parse().ok());
        }
        self.address.get()
    }

    /// Ends it as a user would; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let clock = Stopwatch::start();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(clock.elapsed() < PATIENCE, "it does not stop: {}", self.messages());
            clock::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The end of its log.
    pub fn messages(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = text.lines().rev().take(30).collect();
        tail.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It is gone already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
