//! Recordings in, results out, at full speed, without actors.

pub mod across;
pub mod archive;
pub mod beginning;
pub mod columns;
pub mod decoder;
pub mod driver;
pub mod formats;
pub mod frame_feed;
pub mod generate;
pub mod grouping;
pub mod instruments;
pub mod lines;
pub mod listening;
pub mod merge;
pub mod quarantine;
pub mod recording;
pub mod report;
pub mod results;
pub mod roster;
pub mod sorter;
pub mod source;
pub mod table;
