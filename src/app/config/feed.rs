//! `[api.feed]`: what the feed allows its clients.

use std::ops::RangeInclusive;

use crate::api::feed::config::FeedConfig;
use crate::app::layers::Layers;
use crate::app::quantity;

pub const KEYS: [&str; 6] = [
    "api.feed.backlog_bytes",
    "api.feed.backlog_messages",
    "api.feed.clients_max",
    "api.feed.keep_bytes",
    "api.feed.requests_per_second",
    "api.feed.subscriptions_max",
];

/// `None` where something is wrong; it has been complained about.
pub fn read(layers: &mut Layers) -> Option<FeedConfig> {
    let clients = whole(layers, "api.feed.clients_max", 100_000);
    let subscriptions = whole(layers, "api.feed.subscriptions_max", 10_000);
    let requests = whole(layers, "api.feed.requests_per_second", 1_000_000);
    let messages = whole(layers, "api.feed.backlog_messages", 10_000_000);
    let backlog = bytes(layers, "api.feed.backlog_bytes", (64 << 10)..=(1 << 30));
    let keep = bytes(layers, "api.feed.keep_bytes", (64 << 20)..=(1 << 50));
    Some(FeedConfig {
        clients_max: clients? as usize,
        subscriptions_max: subscriptions? as usize,
        requests_per_second: requests? as u32,
        backlog_messages_max: messages? as usize,
        backlog_bytes_max: backlog? as usize,
        keep_bytes: keep?,
    })
}

fn whole(layers: &mut Layers, key: &str, max: u64) -> Option<u64> {
    let number = layers.whole(key, max)?;
    if number == 0 {
        layers.complain(key, format!("must be a whole number from 1 to {max}"));
        return None;
    }
    Some(number)
}

fn bytes(layers: &mut Layers, key: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
    let text = layers.text(key)?;
    match quantity::parse_bytes(&text) {
        Ok(bytes) if allowed.contains(&bytes) => Some(bytes),
        Ok(_) => {
            let (least, most) =
                (quantity::print_bytes(*allowed.start()), quantity::print_bytes(*allowed.end()));
            layers.complain(key, format!("must be from {least} to {most}"));
            None
        }
        Err(error) => {
            layers.complain(key, error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_default_and_what_is_wrong_is_named() {
        let mut layers = Layers::default();
        layers.put_default(crate::app::config::DEFAULT);
        assert_eq!(read(&mut layers), Some(FeedConfig::default()));
        for key in KEYS {
            layers.put_flag(key, "--test", "0");
        }
        assert_eq!(read(&mut layers), None);
        let problems: Vec<_> = layers.problems().iter().map(ToString::to_string).collect();
        for key in KEYS {
            assert!(problems.iter().any(|problem| problem.contains(key)), "{key}: {problems:?}");
        }
    }
}
