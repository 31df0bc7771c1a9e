//! How batches reach the board: a bounded queue, and a thread that empties it every few milliseconds.
//!
//! A full queue drops the batch, counts it, and the board no longer shows forming candles until they are
//! exact again. The thread polls: waking it for each batch would cost the shards more than it gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use crate::api::board::Board;
use crate::domain::standing::Standing;
use crate::domain::told::Watch;
use crate::runtime::clock;
use crate::runtime::metrics::{Metrics, QueueMeter};
use crate::runtime::sink::{Batch, Heard, Sink};

/// Batches that wait; shards publish at most one a millisecond each when there is much to tell.
const QUEUE_MAX: usize = 8_192;
const POLL_EVERY: Duration = Duration::from_millis(5);

/// In the order in which it came.
#[derive(Debug)]
enum Item {
    Batch(Arc<Batch>),
    Stand(Watch, Box<Standing>),
}

/// The board's side of the shards.
#[derive(Debug)]
pub struct BoardSink {
    sender: Sender<Item>,
    missed: Arc<AtomicU64>,
    meter: QueueMeter,
}

/// The thread that reads; ends, with what waited entered, when it is dropped.
#[derive(Debug)]
pub struct BoardThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the board's thread.
pub fn start(board: Arc<Board>, metrics: &Metrics) -> io::Result<(Arc<BoardSink>, BoardThread)> {
    let (sender, receiver) = bounded(QUEUE_MAX);
    let (missed, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let meter = metrics.queue("board");
    let sink = BoardSink { sender, missed: missed.clone(), meter: meter.clone() };
    let reader = Reader { board, receiver, missed: missed.clone(), meter: meter.clone() };
    let thread = {
        let stop = stop.clone();
        thread::Builder::new().name("board".to_owned()).spawn(move || reader.run(&stop))?
    };
    Ok((Arc::new(sink), BoardThread { stop, thread: Some(thread) }))
}

impl Sink for BoardSink {
    fn name(&self) -> &'static str {
        "board"
    }

    fn offer(&self, batch: &Arc<Batch>) {
        match self.sender.try_send(Item::Batch(batch.clone())) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                self.meter.dropped.inc();
            }
            // The process is stopping.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// Nothing is built of what a start computes again: where it has come to is told by itself.
    fn heard(&self, _watch: Watch) -> Heard {
        Heard::ALL
    }

    fn stand(&self, watch: Watch, standing: &Standing) {
        // Waits where the queue is full; nobody listens while the process stops.
        let _ = self.sender.send(Item::Stand(watch, Box::new(standing.clone())));
    }
}

struct Reader {
    board: Arc<Board>,
    receiver: Receiver<Item>,
    missed: Arc<AtomicU64>,
    meter: QueueMeter,
}

impl Reader {
    fn run(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.drain();
            clock::sleep(POLL_EVERY);
        }
        self.drain();
    }

    fn drain(&self) {
        self.meter.depth.set(self.receiver.len() as i64);
        // Those that wait now: what comes meanwhile must not keep the loss of others from being noticed.
        for item in self.receiver.try_iter().take(self.receiver.len()) {
            match item {
                Item::Batch(batch) => self.board.enter(&batch),
                Item::Stand(watch, standing) => self.board.stand(watch, &standing),
            }
        }
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            self.board.miss(missed);
            tracing::warn!(batches = missed, "board was too slow, forming candles are left out for a while");
        }
    }
}

impl Drop for BoardThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported where it happened.
            let _ = thread.join();
        }
    }
}
