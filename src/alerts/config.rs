//! `[alerts.channels.*]` and `[alerts.routes.*]` of the configuration, checked.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use crate::domain::insight::{Severity, SignalKind};

/// Where alerts go, and which. Both empty: nobody is alerted.
#[derive(Clone, Debug, Default)]
pub struct AlertConfig {
    /// By name.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// By name; a signal goes to the channels of every route that takes it, once to each.
    pub routes: BTreeMap<String, RouteConfig>,
}

#[derive(Clone, Debug)]
pub enum ChannelConfig {
    /// An incoming webhook of Slack; its address is the secret.
    Slack { url: SecretString },
    /// Standard Webhooks; signed where there is a secret.
    Webhook { url: SecretString, secret: Option<SecretString> },
    /// Our own log.
    Log,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    pub min_severity: Severity,
    /// Names of channels, at least one.
    pub channels: Vec<String>,
    /// `*`, `venue:*` or names; empty: all.
    pub instruments: Vec<String>,
    /// Empty: all.
    pub kinds: Vec<SignalKind>,
    /// After an alert, others of the same name, instrument and channel are counted, not sent, for this
    /// time; a more severe one is sent.
    pub cooldown: Duration,
}

impl RouteConfig {
    pub const COOLDOWN: Duration = Duration::from_secs(300);
}
