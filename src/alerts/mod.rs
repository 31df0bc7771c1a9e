//! Alerts: who is told of which signal, once, and until it has arrived.

pub mod channel;
pub mod config;
pub mod courier;
pub mod error;
pub mod notification;
pub mod outbox;
pub mod policy;
pub mod service;
