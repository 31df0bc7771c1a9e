//! `[storage.embedded]` and `[storage.questdb]`: what is kept, where, and how long.

use std::fs;
use std::time::Duration;

use secrecy::SecretString;

use crate::app::config::reading;
use crate::app::layers::Layers;
use crate::app::quantity;
use crate::storage::config::{EmbeddedConfig, PartitionBy, QuestDbConfig, StorageConfig};

pub const KEYS: [&str; 10] = [
    "storage.embedded.enabled",
    "storage.embedded.keep",
    "storage.questdb.enabled",
    "storage.questdb.http_address",
    "storage.questdb.keep",
    "storage.questdb.partition_by",
    "storage.questdb.password",
    "storage.questdb.password_file",
    "storage.questdb.spool_bytes",
    "storage.questdb.username",
];

/// A longer file holds no password.
const PASSWORD_BYTES_MAX: u64 = 4_096;

/// `None` where something is wrong; it has been complained about.
pub fn read(layers: &mut Layers) -> Option<StorageConfig> {
    let (embedded, questdb) = (read_embedded(layers), read_questdb(layers));
    Some(StorageConfig { embedded: embedded?, questdb: questdb? })
}

fn read_embedded(layers: &mut Layers) -> Option<EmbeddedConfig> {
    let enabled = layers.boolean("storage.embedded.enabled");
    let keep = reading::duration(layers, "storage.embedded.keep", EmbeddedConfig::KEEP_MIN, Duration::MAX);
    Some(EmbeddedConfig { enabled: enabled?, keep: keep? })
}

fn read_questdb(layers: &mut Layers) -> Option<QuestDbConfig> {
    let enabled = layers.boolean("storage.questdb.enabled");
    let http_address = read_address(layers);
    let words = PartitionBy::ALL.map(|by| (by.name(), by));
    let partition_by = reading::word(layers, "storage.questdb.partition_by", &words);
    let keep = partition_by.and_then(|by| read_keep(layers, by));
    let login = read_login(layers);
    let spool_bytes = read_spool_bytes(layers);
    Some(QuestDbConfig {
        enabled: enabled?,
        http_address: http_address?,
        login: login?,
        partition_by: partition_by?,
        keep: keep?,
        spool_bytes: spool_bytes?,
    })
}

fn read_address(layers: &mut Layers) -> Option<String> {
    const KEY: &str = "storage.questdb.http_address";
    let text = layers.text(KEY)?;
    let is_sound = text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_is_sound =
            !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_[]:".contains(c));
        host_is_sound && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !is_sound {
        layers.complain(KEY, "must be a host and a port, like \"127.0.0.1:9000\", without a scheme");
        return None;
    }
    Some(text)
}

/// `Some(None)`: rows stay.
fn read_keep(layers: &mut Layers, by: PartitionBy) -> Option<Option<Duration>> {
    const KEY: &str = "storage.questdb.keep";
    let keep = reading::duration(layers, KEY, Duration::ZERO, Duration::from_secs(100 * 365 * 86_400))?;
    if keep.is_zero() {
        return Some(None);
    }
    match by.length() {
        Some(length) if keep.as_nanos().is_multiple_of(length.as_nanos()) => Some(Some(keep)),
        Some(_) => {
            layers.complain(KEY, format!("must be a whole number of partitions, each a {}", by.name()));
            None
        }
        None => {
            layers.complain(KEY, "must be 0d where partition_by is month: months differ in length");
            None
        }
    }
}

/// `Some(None)`: none is needed.
fn read_login(layers: &mut Layers) -> Option<Option<(String, SecretString)>> {
    const FILE: &str = "storage.questdb.password_file";
    const PASSWORD: &str = "storage.questdb.password";
    let username = layers.text("storage.questdb.username");
    let has_password = layers.get(PASSWORD).is_some();
    let password = layers.secret(PASSWORD);
    let file = match layers.get(FILE) {
        None => None,
        Some(_) => {
            let path = layers.text(FILE)?;
            let read = fs::metadata(&path).and_then(|metadata| {
                if metadata.len() > PASSWORD_BYTES_MAX {
                    return Err(std::io::Error::other(format!("is larger than {PASSWORD_BYTES_MAX} bytes")));
                }
                fs::read_to_string(&path)
            });
            match read {
                Ok(text) => Some(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned())),
                Err(error) => {
                    layers.complain(FILE, format!("cannot be read: {error}"));
                    return None;
                }
            }
        }
    };
    if has_password && password.is_none() {
        return None;
    }
    match (username?, password.or(file)) {
        (username, None) if username.is_empty() => Some(None),
        (username, Some(password)) if !username.is_empty() => Some(Some((username, password))),
        (_, None) => {
            layers.complain(
                "storage.questdb.username",
                "needs a password: password_file, or TAPEWATCH__STORAGE__QUESTDB__PASSWORD",
            );
            None
        }
        (_, Some(_)) => {
            layers.complain("storage.questdb.username", "is empty, and there is a password");
            None
        }
    }
}

fn read_spool_bytes(layers: &mut Layers) -> Option<u64> {
    const KEY: &str = "storage.questdb.spool_bytes";
    let text = layers.text(KEY)?;
    match quantity::parse_bytes(&text) {
        Ok(bytes) if bytes >= QuestDbConfig::SPOOL_BYTES_MIN => Some(bytes),
        Ok(_) => {
            let min = quantity::print_bytes(QuestDbConfig::SPOOL_BYTES_MIN);
            layers.complain(KEY, format!("must be at least {min}"));
            None
        }
        Err(error) => {
            layers.complain(KEY, error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::app::config::DEFAULT;

    fn layers(file: &str, password: Option<&str>) -> Layers {
        let mut layers = Layers::default();
        layers.put_default(DEFAULT);
        layers.put_file("my.toml", file);
        let variable = "TAPEWATCH__STORAGE__QUESTDB__PASSWORD".to_owned();
        layers.put_environment(password.map(|password| (variable, password.to_owned())));
        layers
    }

    fn check_refused(file: &str, password: Option<&str>, part: &str) {
        let mut layers = layers(file, password);
        assert!(read(&mut layers).is_none(), "{file}");
        let problems: Vec<_> = layers.problems().iter().map(ToString::to_string).collect();
        assert!(problems.len() == 1 && problems[0].contains(part), "{file}: {problems:?}");
        assert!(!problems[0].contains("hush"), "{problems:?}");
    }

    #[test]
    fn what_the_default_says() {
        let config = read(&mut layers("", None)).unwrap();
        let questdb = QuestDbConfig::default();
        assert_eq!(config.embedded, EmbeddedConfig::default());
        assert_eq!((config.questdb.enabled, config.questdb.spool_bytes), (false, questdb.spool_bytes));
        assert_eq!(config.questdb.http_address, questdb.http_address);
        assert!(config.questdb.login.is_none() && config.questdb.keep.is_none());
    }

    #[test]
    fn a_login_has_a_name_and_a_password() {
        let name = "[storage.questdb]\nusername = 'me'";
        let (user, password) = read(&mut layers(name, Some("hush"))).unwrap().questdb.login.expect("a login");
        assert_eq!((user.as_str(), password.expose_secret()), ("me", "hush"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "hush hush\n").unwrap();
        let text = format!("{name}\npassword_file = '{}'", file.display());
        let (_, password) = read(&mut layers(&text, None)).unwrap().questdb.login.expect("a login");
        assert_eq!(password.expose_secret(), "hush hush");
        check_refused(name, None, "needs a password");
        check_refused("", Some("hush"), "is empty, and there is a password");
        check_refused(&format!("{name}\npassword = 'hush'"), None, "a secret stands in the environment");
        check_refused(&format!("{name}\npassword_file = '/none'"), None, "cannot be read");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let check = |text: &str, part: &str| check_refused(&format!("[storage.{text}"), None, part);
        check("embedded]\nkeep = '59m'", "must be at least 1h");
        check("embedded]\nenabled = 'yes'", "must be true or false");
        check("questdb]\nhttp_address = 'http://localhost:9000'", "without a scheme");
        check("questdb]\nhttp_address = 'localhost'", "host and a port");
        check("questdb]\npartition_by = 'year'", "must be one of hour, day, week, month");
        check("questdb]\nkeep = '36h'", "whole number of partitions");
        check("questdb]\nkeep = '30d'\npartition_by = 'month'", "must be 0d");
        check("questdb]\nspool_bytes = '1MB'", "must be at least 64MiB");
    }
}
