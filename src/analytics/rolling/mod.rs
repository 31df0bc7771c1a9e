//! The rolling statistics that indicators are made of, one file each.

pub mod average;
pub mod blocks;
pub mod counts;
pub mod extreme;
pub mod fold;
pub mod gains;
pub mod moments;
pub mod nouns;
pub mod regression;
pub mod size_window;
pub mod sizes;
pub mod sorted;
pub mod span;
pub mod state;
pub mod sum;
pub mod tail;
pub mod tie;
pub mod true_range;
pub mod window;
