//! `[alerts.channels.*]` and `[alerts.routes.*]`: where alerts go, and which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::alerts::config::{AlertConfig, ChannelConfig, RouteConfig};
use crate::app::config::reading;
use crate::app::layers::{Layers, Origin};
use crate::domain::insight::{Severity, SignalKind};
use crate::domain::instrument::Instrument;

pub const KEYS: [&str; 10] = [
    "alerts.channels.*.kind",
    "alerts.channels.*.secret",
    "alerts.channels.*.secret_file",
    "alerts.channels.*.url",
    "alerts.channels.*.url_file",
    "alerts.routes.*.channels",
    "alerts.routes.*.cooldown",
    "alerts.routes.*.instruments",
    "alerts.routes.*.kinds",
    "alerts.routes.*.min_severity",
];

const SECRET_BYTES_MAX: u64 = 4_096;
const COOLDOWN_MAX: Duration = Duration::from_secs(7 * 86_400);

#[derive(Clone, Copy)]
enum Kind {
    Slack,
    Webhook,
    Log,
}

/// `None` where something is wrong; it has been complained about.
pub fn read(layers: &mut Layers) -> Option<AlertConfig> {
    let (channel_names, route_names) = (names(layers, "alerts.channels."), names(layers, "alerts.routes."));
    let before = layers.problems().len();
    let mut channels = BTreeMap::new();
    for name in &channel_names {
        if let Some(channel) = read_channel(layers, &format!("alerts.channels.{name}")) {
            channels.insert(name.clone(), channel);
        }
    }
    let mut routes = BTreeMap::new();
    for name in &route_names {
        if let Some(route) = read_route(layers, &format!("alerts.routes.{name}"), &channel_names) {
            routes.insert(name.clone(), route);
        }
    }
    (layers.problems().len() == before).then_some(AlertConfig { channels, routes })
}

fn names(layers: &Layers, prefix: &str) -> BTreeSet<String> {
    let rest = |key: &str| Some(key.strip_prefix(prefix)?.split('.').next()?.to_owned());
    layers.iter().filter_map(|(key, _)| rest(key)).collect()
}

fn read_channel(layers: &mut Layers, table: &str) -> Option<ChannelConfig> {
    let kind_key = format!("{table}.kind");
    if layers.get(&kind_key).is_none() {
        layers.complain(&kind_key, "is missing; allowed are slack, webhook, log");
    }
    let words = [("slack", Kind::Slack), ("webhook", Kind::Webhook), ("log", Kind::Log)];
    let kind = reading::word(layers, &kind_key, &words);
    let url = read_channel_url(layers, table, matches!(kind, Some(Kind::Slack | Kind::Webhook)));
    let secret = read_secret(layers, &format!("{table}.secret"), &format!("{table}.secret_file"));
    if matches!(kind, Some(Kind::Slack | Kind::Log)) && secret.is_some() {
        layers.complain(&format!("{table}.secret_file"), "only a webhook is signed");
    }
    match kind? {
        Kind::Slack => Some(ChannelConfig::Slack { url: url? }),
        Kind::Webhook => Some(ChannelConfig::Webhook { url: url?, secret }),
        Kind::Log => Some(ChannelConfig::Log),
    }
}

fn read_channel_url(layers: &mut Layers, table: &str, is_needed: bool) -> Option<SecretString> {
    let (url_key, file_key) = (format!("{table}.url"), format!("{table}.url_file"));
    let plain = match layers.get(&url_key).map(|setting| &setting.origin) {
        None => None,
        // Whoever puts it there means it as a secret: it is taken out, and printed by nobody.
        Some(Origin::Environment { .. } | Origin::Dotenv { .. }) => layers.secret(&url_key),
        Some(_) => layers.text(&url_key).map(SecretString::from),
    };
    let (key, url) = match plain {
        Some(url) => (url_key, Some(url)),
        None => (file_key.clone(), read_file(layers, &file_key)),
    };
    let Some(url) = url else {
        if is_needed && layers.get(&key).is_none() {
            layers.complain(&key, "is missing: url_file, or url for an address that is no secret");
        }
        return None;
    };
    if !is_allowed(url.expose_secret()) {
        layers.complain(&key, "must be an address with https://, or http:// on loopback");
        return None;
    }
    Some(url)
}

/// Alerts go over TLS, or stay on this machine.
fn is_allowed(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_loopback =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !host.is_empty() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback))
}

fn read_secret(layers: &mut Layers, key: &str, file_key: &str) -> Option<SecretString> {
    let given = if layers.get(key).is_some() { layers.secret(key) } else { None };
    given.or_else(|| read_file(layers, file_key))
}

/// The text of a file that a key names, without the end of its line.
fn read_file(layers: &mut Layers, key: &str) -> Option<SecretString> {
    layers.get(key)?;
    let path = layers.text(key)?;
    let read = fs::metadata(&path).and_then(|metadata| {
        if metadata.len() > SECRET_BYTES_MAX {
            return Err(std::io::Error::other(format!("is larger than {SECRET_BYTES_MAX} bytes")));
        }
        fs::read_to_string(&path)
    });
    match read {
        Ok(text) if !text.trim().is_empty() => Some(SecretString::from(text.trim().to_owned())),
        Ok(_) => {
            layers.complain(key, "is empty");
            None
        }
        Err(error) => {
            layers.complain(key, format!("cannot be read: {error}"));
            None
        }
    }
}

fn read_route(layers: &mut Layers, table: &str, known: &BTreeSet<String>) -> Option<RouteConfig> {
    let key = |last: &str| format!("{table}.{last}");
    let channels = if layers.get(&key("channels")).is_some() {
        layers.list(&key("channels"))
    } else {
        layers.complain(&key("channels"), "is missing; it names at least one channel");
        None
    };
    if let Some(channels) = &channels {
        let names = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        if channels.is_empty() {
            layers.complain(&key("channels"), "must name at least one channel");
        }
        for unknown in channels.iter().filter(|name| !known.contains(*name)) {
            layers.complain(
                &key("channels"),
                format!("channel {unknown:?} is not in [alerts.channels]: {names}"),
            );
        }
    }
    let words = Severity::ALL.map(|severity| (severity.name(), severity));
    let min_severity = reading::word(layers, &key("min_severity"), &words).unwrap_or(Severity::Warning);
    let cooldown = if layers.get(&key("cooldown")).is_some() {
        reading::duration(layers, &key("cooldown"), Duration::ZERO, COOLDOWN_MAX)
    } else {
        Some(RouteConfig::COOLDOWN)
    };
    let kinds = optional_list(layers, &key("kinds"));
    let mut chosen = Vec::new();
    for text in &kinds {
        match SignalKind::ALL.into_iter().find(|kind| kind.name() == text) {
            Some(kind) => chosen.push(kind),
            None => {
                let allowed = SignalKind::ALL.map(SignalKind::name).join(", ");
                layers.complain(&key("kinds"), format!("{text:?} is none of {allowed}"));
            }
        }
    }
    let instruments = optional_list(layers, &key("instruments"));
    for text in &instruments {
        let is_sound = text == "*" || text.ends_with(":*") || text.parse::<Instrument>().is_ok();
        if !is_sound {
            layers.complain(
                &key("instruments"),
                format!("{text:?} is not of the form venue:BASE-QUOTE, venue:* or *"),
            );
        }
    }
    Some(RouteConfig { min_severity, channels: channels?, instruments, kinds: chosen, cooldown: cooldown? })
}

fn optional_list(layers: &mut Layers, key: &str) -> Vec<String> {
    if layers.get(key).is_some() { layers.list(key).unwrap_or_default() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(text: &str) -> Layers {
        let mut layers = Layers::default();
        layers.put_default(crate::app::config::DEFAULT);
        layers.put_file("my.toml", text);
        layers
    }

    #[test]
    fn channels_and_routes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        fs::write(&file, "https://hooks.example/T0/secret\n").unwrap();
        let text = format!(
            "[alerts.channels.ops]\nkind = 'slack'\nurl_file = '{}'\n[alerts.channels.hook]\nkind = 'webhook'\n\
             url = 'http://127.0.0.1:9/x'\n[alerts.channels.note]\nkind = 'log'\n[alerts.routes.default]\n\
             channels = ['ops', 'hook']\n[alerts.routes.all]\nchannels = ['note']\nmin_severity = 'info'\n\
             cooldown = '0s'\nkinds = ['quality']\ninstruments = ['kraken:*']",
            file.display()
        );
        let alerts = read(&mut layers(&text)).unwrap();
        assert_eq!(
            alerts.channels.values().map(ChannelConfig::kind).collect::<Vec<_>>(),
            ["webhook", "log", "slack"]
        );
        assert_eq!(alerts.routes["default"].min_severity, Severity::Warning);
        assert_eq!(alerts.routes["default"].cooldown, RouteConfig::COOLDOWN);
        assert_eq!(alerts.routes["all"].kinds, [SignalKind::Quality]);
        assert!(!format!("{alerts:?}").contains("T0"), "addresses are secrets");
        assert!(read(&mut layers("")).unwrap().channels.is_empty());

        let mut from_environment = layers("[alerts.channels.ops]\nkind = 'slack'");
        let variable = "TAPEWATCH__ALERTS__CHANNELS__OPS__URL".to_owned();
        from_environment.put_environment([(variable, "https://hooks.example/T0".to_owned())]);
        assert!(read(&mut from_environment).is_some());
        let settings: Vec<_> =
            from_environment.iter().map(|(_, setting)| setting.value.to_string()).collect();
        assert!(!settings.join(" ").contains("T0"), "nobody prints it");
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let mut layers = layers(
            "[alerts.channels.a]\nkind = 'slack'\n[alerts.channels.b]\nkind = 'pigeon'\n[alerts.channels.c]\n\
             kind = 'webhook'\nurl = 'http://elsewhere.example/'\nsecret = 'in the file'\n[alerts.channels.d]\n\
             kind = 'webhook'\nurl_file = '/none'\n[alerts.routes.r]\nchannels = ['x']\nmin_severity = 'dire'\n\
             kinds = ['loud']\ninstruments = ['BTC']\ncooldown = '90d'\n[alerts.routes.s]\nmin_severity = 'info'",
        );
        assert!(read(&mut layers).is_none());
        let problems: Vec<_> = layers.problems().iter().map(ToString::to_string).collect();
        for part in [
            "alerts.channels.a.url_file: is missing",
            "alerts.channels.b.kind",
            "https://, or http:// on loopback",
            "alerts.channels.c.secret = <a secret>",
            "alerts.channels.d.url_file",
            "channel \"x\" is not in [alerts.channels]",
            "alerts.routes.r.min_severity",
            "\"loud\" is none of",
            "\"BTC\" is not of the form",
            "alerts.routes.r.cooldown",
            "alerts.routes.s.channels: is missing",
        ] {
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:#?}");
        }
    }
}
