//! What several tables read alike: a time, a word of a few, a list, an address. What is wrong is complained about.

use std::fmt;
use std::time::Duration;

use crate::app::layers::Layers;
use crate::app::quantity;

pub fn duration(layers: &mut Layers, key: &str, min: Duration, max: Duration) -> Option<Duration> {
    let text = layers.text(key)?;
    match quantity::parse_duration(&text) {
        Ok(duration) if duration < min => {
            layers.complain(key, format!("must be at least {}", quantity::print_duration(min)));
            None
        }
        Ok(duration) if duration > max => {
            layers.complain(key, format!("must be at most {}", quantity::print_duration(max)));
            None
        }
        Ok(duration) => Some(duration),
        Err(error) => {
            layers.complain(key, error.to_string());
            None
        }
    }
}

/// The items of a list; each that cannot be read is complained about.
pub fn items<T, E: fmt::Display>(
    layers: &mut Layers,
    key: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Option<Vec<T>> {
    let texts = layers.list(key)?;
    let mut items = Some(Vec::with_capacity(texts.len()));
    for text in texts {
        match read(&text) {
            Ok(item) => {
                if let Some(items) = &mut items {
                    items.push(item);
                }
            }
            Err(error) => {
                layers.complain(key, error.to_string());
                items = None;
            }
        }
    }
    items
}

/// One of a few words; `None` where the key is absent, or is complained about.
pub fn word<T: Copy>(layers: &mut Layers, key: &str, words: &[(&str, T)]) -> Option<T> {
    layers.get(key)?;
    let text = layers.text(key)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        layers.complain(key, format!("must be one of {}", allowed.join(", ")));
    }
    found
}

pub fn url(layers: &mut Layers, key: &str, schemes: &[&str]) -> Option<String> {
    layers.get(key)?;
    let text = layers.text(key)?;
    let host = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
        layers.complain(key, format!("must begin with {} and name a host", schemes.join(" or ")));
        return None;
    }
    Some(text)
}
