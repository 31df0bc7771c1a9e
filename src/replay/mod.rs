//! Recordings in, results out, at full speed, without actors.

pub mod archive;
pub mod driver;
pub mod formats;
pub mod generate;
pub mod merge;
pub mod quarantine;
pub mod recording;
pub mod report;
pub mod results;
pub mod roster;
pub mod sorter;
pub mod table;
