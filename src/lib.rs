//! tapewatch: exact candles, incremental indicators and order flow from the tape.
//!
//! The floors of the house, from the ground up; imports go down only and
//! neighbours on a floor never import each other (`tests/layering.rs` holds it):
//!
//! | floor | rooms |
//! | --- | --- |
//! | 5 | [`app`] composition root |
//! | 4 | [`api`] what clients see |
//! | 3 | [`alerts`], [`replay`], [`storage`], [`engine`], [`venues`] |
//! | 2 | [`analytics`] (pure), [`runtime`], [`journal`] |
//! | 1 | [`domain`] the nouns |

pub mod alerts;
pub mod analytics;
pub mod api;
pub mod app;
pub mod domain;
pub mod engine;
pub mod journal;
pub mod replay;
pub mod runtime;
pub mod storage;
pub mod venues;
