//! `[api]`: where the API listens, and who may ask it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use crate::api::bucket::Rate;
use crate::api::config::{self, ApiConfig};
use crate::app::layers::Layers;

pub const KEYS: [&str; 6] = [
    "api.burst",
    "api.connections_max",
    "api.hosts",
    "api.keys_required",
    "api.listen",
    "api.requests_per_second",
];

/// The hashes of the keys, in the data directory.
const KEYS_FILE: &str = "keys.json";

/// `None` where something is wrong; it has been complained about.
pub fn read(layers: &mut Layers, data_dir: Option<&Path>) -> Option<ApiConfig> {
    let listen = read_listen(layers);
    let keys_required = layers.boolean("api.keys_required");
    let hosts = read_hosts(layers);
    let per_second = read_above_zero(layers, "api.requests_per_second", config::RATE_MAX);
    let burst = read_above_zero(layers, "api.burst", config::RATE_MAX);
    let connections = read_above_zero(layers, "api.connections_max", config::CONNECTIONS_MAX);
    let api = ApiConfig {
        listen: listen?,
        keys_required: keys_required?,
        hosts: hosts?,
        rate: Rate { per_second: per_second? as u32, burst: burst? as u32 },
        connections_max: connections? as usize,
        keys_file: data_dir?.join(KEYS_FILE),
    };
    if !api.is_loopback() && !api.keys_required {
        let said = format!("must be true where api.listen ({}) is beyond loopback", api.listen);
        layers.complain("api.keys_required", said);
        return None;
    }
    Some(api)
}

fn read_listen(layers: &mut Layers) -> Option<SocketAddr> {
    let text = layers.text("api.listen")?;
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address = named.as_deref().unwrap_or(&text).parse().ok();
    if address.is_none() {
        layers.complain(
            "api.listen",
            "must be an address and a port, like \"127.0.0.1:8080\" or \"[::1]:8080\"",
        );
    }
    address
}

fn read_hosts(layers: &mut Layers) -> Option<Vec<String>> {
    let hosts: BTreeSet<String> =
        layers.list("api.hosts")?.into_iter().map(|host| host.to_ascii_lowercase()).collect();
    let is_name = |host: &String| {
        (1..=253).contains(&host.len())
            && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
    };
    if hosts.len() > config::HOSTS_MAX || !hosts.iter().all(is_name) {
        layers.complain("api.hosts", format!("must be at most {} names of hosts", config::HOSTS_MAX));
        return None;
    }
    Some(hosts.into_iter().collect())
}

fn read_above_zero(layers: &mut Layers, key: &str, max: u64) -> Option<u64> {
    let number = layers.whole(key, max)?;
    if number == 0 {
        layers.complain(key, format!("must be a whole number from 1 to {max}"));
        return None;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: &[(&'static str, &str)], expected: Result<&str, &str>) {
        let mut layers = Layers::default();
        layers.put_default(crate::app::config::DEFAULT);
        for (key, value) in settings {
            layers.put_flag(key, "--test", value);
        }
        let read = read(&mut layers, Some(Path::new("data")));
        match expected {
            Ok(listen) => {
                assert_eq!(read.expect("sound").listen.to_string(), listen);
                assert!(layers.problems().is_empty());
            }
            Err(part) => {
                assert!(read.is_none(), "{settings:?}");
                let problems: Vec<_> = layers.problems().iter().map(ToString::to_string).collect();
                assert!(problems.iter().any(|problem| problem.contains(part)), "{problems:?}");
            }
        }
    }

    #[test]
    fn beyond_loopback_keys_are_insisted_on() {
        check(&[], Ok("127.0.0.1:8080"));
        check(&[("api.listen", "localhost:0")], Ok("127.0.0.1:0"));
        check(&[("api.listen", "[::1]:80")], Ok("[::1]:80"));
        let refused =
            Err("api.keys_required = false: must be true where api.listen (0.0.0.0:80) is beyond loopback");
        check(&[("api.listen", "0.0.0.0:80")], refused);
        check(&[("api.listen", "0.0.0.0:80"), ("api.keys_required", "true")], Ok("0.0.0.0:80"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check(&[("api.listen", "8080")], Err("api.listen"));
        check(&[("api.keys_required", "yes")], Err("must be true or false"));
        check(&[("api.burst", "0")], Err("api.burst"));
        check(&[("api.requests_per_second", "1000001")], Err("api.requests_per_second"));
        check(&[("api.connections_max", "-1")], Err("api.connections_max"));
        check(&[("api.hosts", "a b")], Err("api.hosts"));
    }
}
