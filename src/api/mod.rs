//! What clients see: REST, the feed, the page, all from outputs alone.

pub mod board;
pub mod bucket;
pub mod config;
pub mod door;
pub mod exposition;
pub mod feed;
pub mod gate;
pub mod keys;
pub mod openapi;
pub mod page;
pub mod path;
pub mod problem;
pub mod process;
pub mod query;
pub mod rest;
pub mod routes;
pub mod server;
pub mod socket;
pub mod state;
