//! How the API is served: `[api]` of the configuration, checked.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::api::bucket::Rate;

/// Connections at the same time, feed clients included; further ones wait to be accepted.
pub const CONNECTIONS_MAX: u64 = 100_000;
pub const RATE_MAX: u64 = 1_000_000;
pub const HOSTS_MAX: usize = 32;

/// Where the API listens, and who may ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// Port 0: any free one.
    pub listen: SocketAddr,
    /// Whether requests need a key before the first key is made; never `false` beyond loopback.
    pub keys_required: bool,
    /// Names that clients may call us by, beside our addresses: whatever a proxy passes on as `Host`. Lower case.
    pub hosts: Vec<String>,
    /// Of each key.
    pub rate: Rate,
    pub connections_max: usize,
    /// Where the hashes of the keys are kept.
    pub keys_file: PathBuf,
}

impl ApiConfig {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.listen.ip())
    }

    /// For tests and the demonstration: loopback, any free port, no keys.
    pub fn on_loopback(keys_file: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            keys_required: false,
            hosts: Vec::new(),
            rate: Rate { per_second: 100, burst: 200 },
            connections_max: 10_000,
            keys_file,
        }
    }
}

/// Also of IPv4 addresses that are written as IPv6 ones.
pub fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    }
}
