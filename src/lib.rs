//! tapewatch: exact candles, incremental indicators and order flow from the tape.
//!
//! The floors of the house, from the ground up; imports go down only and
//! neighbours on a floor never import each other (`tests/layering.rs` holds it):
//!
//! | floor | rooms |
//! | --- | --- |
//! | 5 | [`app`] composition root |
//! | 3 | [`replay`], [`venues`] |
//! | 2 | [`analytics`] (pure), [`runtime`], [`journal`] |
//! | 1 | [`domain`] the nouns |

pub mod analytics;
pub mod app;
pub mod domain;
pub mod journal;
pub mod replay;
pub mod runtime;
pub mod venues;
