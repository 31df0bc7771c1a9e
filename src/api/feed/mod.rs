//! The websocket feed: what was told, numbered, to everybody who asks, and again to who comes back.

pub mod answer;
pub mod catch_up;
pub mod channel;
pub mod client;
pub mod config;
pub mod filter;
pub mod frame;
pub mod hub;
pub mod inbox;
pub mod message;
pub mod outbox;
pub mod request;
pub mod ring;
pub mod rounds;
pub mod sequencer;
pub mod service;
pub mod session;
pub mod upgrade;
