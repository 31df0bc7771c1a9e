//! What a run found, from the sinks of the pipelines to the files of `replay --out DIR`.
//!
//! [`collector`] takes what the pipelines of one thread tell, as compact rows ([`row`]) in an
//! external sorter; [`writer`] reads them back instrument by instrument, keeps the last
//! revision of each ([`stretches`]), formats them ([`text`]) and takes their digest;
//! [`directory`] makes the files appear all at once, or not at all; [`summary`] is the last of them.

pub mod collector;
pub mod directory;
pub mod row;
pub mod stretches;
pub mod summary;
pub mod text;
pub mod writer;
