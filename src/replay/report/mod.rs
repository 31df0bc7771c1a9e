//! `replay --report FILE.html`: one page that shows what a run found, and opens offline.
//!
//! The page is made of the result files alone, read once, in bounded memory. It holds at most
//! some [`page::Limits`] of bars, values and gaps; where there is more, bars are merged (and say
//! so) and the instruments with the most candles are taken (and the page says so).
//!
//! [`table`] reads the files, [`series`] makes bars of candles, [`page`] puts data, style and
//! script into one file. Prices, volumes and times stay the exact texts of candles.csv; merged
//! bars are summed exactly.

pub mod page;
pub mod series;
pub mod table;
