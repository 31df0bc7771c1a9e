//! The one log: segments of checksummed blocks, a writer, a reader.
//!
//! All that can change an output passes through here in one order per partition. A log is a
//! directory of segment files; `docs/journal.md` describes them byte by byte. A [`writer`]
//! appends, a [`reader`] reads segment after segment through a memory map, [`seal`]ed segments
//! are kept compressed, a [`tail`] torn by a kill is cut by the live engine and by nobody else.
//! Behind the trait of [`log`] stands the whole of it.

pub mod appender;
pub mod block;
pub mod catch_up;
pub mod chunks;
pub mod convert;
pub mod entry;
pub mod error;
pub mod kind;
pub mod lock;
pub mod log;
pub mod options;
pub mod outlet;
pub mod packing;
pub mod reader;
pub mod record;
pub mod retention;
pub mod seal;
pub mod segment;
pub mod skips;
pub mod snapshots;
pub mod survey;
pub mod tail;
pub mod writer;
