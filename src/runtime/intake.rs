//! How what was heard enters the engine: the side of a shard that its connections see.
//!
//! Connections live on the thread of the shard whose instruments they watch, so that a trade does
//! not change thread between socket and signal. Calls never block and never wait.

use crate::domain::event::{Event, Trade};
use crate::domain::time::UnixNanos;
use crate::domain::told::Watch;
use crate::runtime::clock::Mono;

/// When a frame came, and when it had been understood.
#[derive(Clone, Copy, Debug)]
pub struct FrameStamps {
    /// As it left the socket, on the system's clock.
    pub received_at: UnixNanos,
    /// The same moment on the monotonic clock.
    pub received: Mono,
    pub parsed: Mono,
}

/// A shard, as its connections see it.
pub trait Intake {
    /// The trades of one frame, in order; takes them out of `trades`. Instruments of other shards are
    /// a mistake of the caller's.
    fn trades(&self, stamps: FrameStamps, trades: &mut Vec<(Watch, Trade)>);

    /// Any other event: a page of history, a stretch nobody listened, what the venue cannot give.
    fn event(&self, watch: Watch, event: Event);

    /// The highest id taken in of an instrument whose venue numbers its trades without holes, those of
    /// before a restart included. A connection asks once, when it starts, to know what it missed.
    fn last_id(&self, watch: Watch) -> Option<u64> {
        let _ = watch;
        None
    }

    /// What was taken in is worked off as soon as the caller lets go of the thread; it has more at hand, and
    /// says when it has not.
    fn work(&self);

    /// Nothing more is at hand: what was taken in is worked off before the thread rests.
    /// Connections call it when their socket has no further frame ready.
    fn rest(&self);
}
