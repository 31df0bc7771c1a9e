//! The journal as the shards share it: one writer, an fsync beside it.
//!
//! Appending and writing have a lock each, so that nobody who appends waits for a disk: a write may stand
//! behind the fsync of what came before. Whoever needs both locks the files first.
//!
//! **When a write fails** (a full disk, above all) the log is *failing*: what was appended stays in
//! the writer's memory, which is bounded, and is written at the same place once there is room. Until
//! then the shards take nothing in and publish nothing, health says why, and every tick tries again.
//! An fsync that fails is told by health and tried again; it holds nobody up, for a kill of the process
//! loses nothing that was written.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tracing::{error, info};

use crate::engine::error::EngineError;
use crate::journal::appender::Appender;
use crate::journal::error::JournalError;
use crate::journal::outlet::Outlet;
use crate::journal::writer::Writer;
use crate::runtime::health::{Condition, Health};

/// Its name among the parts of the process.
pub const PART: &str = "journal";

/// One writer for all shards; clones share it.
#[derive(Clone, Debug)]
pub struct SharedLog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: Mutex<Writer>,
    /// The writer's.
    outlet: Arc<Mutex<Outlet>>,
    failing: AtomicBool,
    /// Something was written since the last fsync began.
    unsynced: AtomicBool,
    health: Health,
}

impl SharedLog {
    pub fn new(writer: Writer, health: Health) -> Self {
        health.set(PART, Condition::Up, "");
        let inner = Inner {
            outlet: writer.outlet(),
            writer: Mutex::new(writer),
            failing: AtomicBool::new(false),
            unsynced: AtomicBool::new(true),
            health,
        };
        Self { inner: Arc::new(inner) }
    }

    /// For appending. A thread that panicked with it has left it whole: events are taken whole.
    pub fn lock(&self) -> Appending<'_> {
        Appending(unpoisoned(&self.inner.writer))
    }

    /// Whether the last write failed.
    pub fn is_failing(&self) -> bool {
        self.inner.failing.load(Ordering::Relaxed)
    }

    /// Hands all that was appended to the kernel; `false`: it could not, and the log is failing.
    pub fn flush(&self) -> bool {
        let result = self.write_out(&mut unpoisoned(&self.inner.outlet));
        self.noted(result)
    }

    /// What failed before goes first: while it cannot be written no more is handed over.
    fn write_out(&self, outlet: &mut Outlet) -> Result<(), JournalError> {
        outlet.write_out()?;
        self.lock().hand_over(outlet);
        outlet.write_out()
    }

    /// What a write said: `true` where it came through.
    pub fn noted(&self, result: Result<(), JournalError>) -> bool {
        match result {
            Ok(()) => {
                self.inner.unsynced.store(true, Ordering::Relaxed);
                if self.inner.failing.load(Ordering::Relaxed)
                    && self.inner.failing.swap(false, Ordering::Relaxed)
                {
                    info!("journal can be written again");
                    self.inner.health.set(PART, Condition::Up, "");
                }
                true
            }
            Err(error) => {
                if !self.inner.failing.swap(true, Ordering::Relaxed) {
                    error!(%error, "journal cannot be written: nothing is taken in until it can");
                }
                self.inner.health.set(PART, Condition::Down, error.to_string());
                false
            }
        }
    }

    /// Waits until the disk has all that was appended.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.inner.unsynced.store(false, Ordering::Relaxed);
        let mut outlet = unpoisoned(&self.inner.outlet);
        self.write_out(&mut outlet)?;
        let unsynced = outlet.unsynced()?;
        // Whoever writes does not wait for the disk.
        drop(outlet);
        if let Err(error) = unsynced.sync() {
            unpoisoned(&self.inner.outlet).still_unsynced(unsynced);
            self.inner.unsynced.store(true, Ordering::Relaxed);
            return Err(error);
        }
        Ok(())
    }
}

/// The writer's nearer half, while nobody else appends.
#[derive(Debug)]
pub struct Appending<'a>(MutexGuard<'a, Writer>);

impl Deref for Appending<'_> {
    type Target = Appender;

    fn deref(&self) -> &Appender {
        &self.0
    }
}

impl DerefMut for Appending<'_> {
    fn deref_mut(&mut self) -> &mut Appender {
        &mut self.0
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Appends under which version and configuration all partitions are computed from here on.
pub fn state_configuration(writer: &mut Appender, recorded: &str) -> Result<(), JournalError> {
    let all: Vec<u32> = (0..writer.partitions()).collect();
    writer.append_version(env!("CARGO_PKG_VERSION"), &all)?;
    writer.append_config(recorded, &all)
}

/// The thread that syncs the journal every so often.
#[derive(Debug)]
pub struct Syncer {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub fn start(log: SharedLog, every: Duration) -> Result<Self, EngineError> {
        let (stop, stopped) = bounded(0);
        let thread = thread::Builder::new()
            .name("journal-sync".to_owned())
            .spawn(move || run(&log, every, &stopped))
            .map_err(EngineError::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the thread, between two fsyncs.
    pub fn stop(self) {}
}

impl Drop for Syncer {
    fn drop(&mut self) {
        // Dropping the other end is the signal.
        self.stop = bounded(0).0;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(log: &SharedLog, every: Duration, stopped: &Receiver<()>) {
    let mut failed = false;
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        if !log.inner.unsynced.load(Ordering::Relaxed) || log.is_failing() {
            continue;
        }
        match log.sync() {
            Ok(()) if failed => {
                failed = false;
                info!("journal can be synced again");
                log.inner.health.set(PART, Condition::Up, "");
            }
            Ok(()) => {}
            Err(error) => {
                if !failed {
                    error!(%error, "journal cannot be synced: a loss of power would lose the last events");
                }
                failed = true;
                log.inner.health.set(PART, Condition::Degraded, error.to_string());
            }
        }
    }
}
