//! What a client may say, and what is wrong with what it said.

use serde_json::{Map, Value};

use crate::api::feed::channel::Channel;
use crate::api::feed::filter::WatchSet;
use crate::domain::insight::{Severity, SignalKind};
use crate::domain::told::Roster;

/// One message of a client, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As JSON text; `null` where it gave none.
    pub id: String,
    pub op: Op,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Subscribe(Subscribe),
    Unsubscribe { channels: Vec<Channel>, watches: WatchSet },
    Ping,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    pub channels: Vec<Channel>,
    pub watches: WatchSet,
    /// Bits of the kinds of signals that are wanted.
    pub kinds: u8,
    pub min_severity: Severity,
    /// The last number that the client knows; `None`: from now on.
    pub after: Option<u64>,
    /// `None`: as before.
    pub on_slow: Option<OnSlow>,
}

/// What happens to a client that cannot keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnSlow {
    /// Closed with 1013.
    #[default]
    Close,
    /// What waits is dropped, one gap frame says so, and the tail goes on.
    Conflate,
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As JSON text.
    pub id: String,
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(id: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { id: id.to_owned(), code, message: message.into() }
    }
}

const ID_BYTES_MAX: usize = 256;

/// Reads one text message.
pub fn parse(text: &str, roster: &Roster) -> Result<Request, Refusal> {
    let bad = |id: &str, message: String| Refusal::new(id, "bad_request", message);
    let value: Value =
        serde_json::from_str(text).map_err(|error| bad("null", format!("no JSON: {error}")))?;
    let Value::Object(object) = value else {
        return Err(bad("null", "a message is a JSON object".to_owned()));
    };
    let id = match object.get("id") {
        None => "null".to_owned(),
        Some(id @ (Value::Null | Value::Number(_) | Value::String(_))) => id.to_string(),
        Some(_) => return Err(bad("null", "id: a number or a text".to_owned())),
    };
    if id.len() > ID_BYTES_MAX {
        return Err(bad("null", format!("id: at most {ID_BYTES_MAX} bytes")));
    }
    let fields = Fields { id: &id, object: &object, roster };
    let op = match object.get("op") {
        Some(Value::String(op)) => op.as_str(),
        _ => return Err(bad(&id, "op: subscribe, unsubscribe or ping".to_owned())),
    };
    let op = match op {
        "subscribe" => {
            fields.only(&["channels", "instruments", "kinds", "min_severity", "after", "on_slow"])?;
            Op::Subscribe(Subscribe {
                channels: fields.channels()?.ok_or_else(|| {
                    bad(&id, format!("channels: missing; any of {}", names(&Channel::ALL.map(Channel::name))))
                })?,
                watches: fields.watches()?,
                kinds: fields.kinds()?,
                min_severity: fields.min_severity()?,
                after: fields.after()?,
                on_slow: fields.on_slow()?,
            })
        }
        "unsubscribe" => {
            fields.only(&["channels", "instruments"])?;
            Op::Unsubscribe {
                channels: fields.channels()?.unwrap_or_else(|| Channel::ALL.to_vec()),
                watches: fields.watches()?,
            }
        }
        "ping" => {
            fields.only(&[])?;
            Op::Ping
        }
        other => return Err(bad(&id, format!("op: subscribe, unsubscribe or ping, not {other:?}"))),
    };
    Ok(Request { id, op })
}

struct Fields<'a> {
    id: &'a str,
    object: &'a Map<String, Value>,
    roster: &'a Roster,
}

impl Fields<'_> {
    fn bad(&self, message: String) -> Refusal {
        Refusal::new(self.id, "bad_request", message)
    }

    /// A misspelt filter that was passed over would send what nobody asked for.
    fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.object.keys().find(|key| !["op", "id"].contains(&&***key) && !known.contains(&&***key)) {
            Some(key) => Err(self.bad(format!("{key:?} is no field of this operation"))),
            None => Ok(()),
        }
    }

    /// A list of texts that is not empty; `None` where it is missing.
    fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, Refusal> {
        let problem = || self.bad(format!("{name}: a list of texts, at least one"));
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(values)) if !values.is_empty() => values
                .iter()
                .map(|value| value.as_str().ok_or_else(problem))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(problem()),
        }
    }

    /// One of a few words; `None` where it is missing.
    fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Refusal> {
        let text = match self.object.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => Some(text),
            Some(_) => None,
        };
        let found = text.and_then(|text| words.iter().find(|(word, _)| word == text));
        let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        found.map(|(_, value)| Some(*value)).ok_or_else(|| self.bad(format!("{name}: {}", names(&allowed))))
    }

    fn channels(&self) -> Result<Option<Vec<Channel>>, Refusal> {
        let Some(texts) = self.texts("channels")? else { return Ok(None) };
        let mut channels = Vec::new();
        for text in texts {
            let channel =
                Channel::ALL.into_iter().find(|channel| channel.name() == text).ok_or_else(|| {
                    self.bad(format!(
                        "channels: {text:?} is none of {}",
                        names(&Channel::ALL.map(Channel::name))
                    ))
                })?;
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        Ok(Some(channels))
    }

    /// `*`, `kraken:*`, `kraken:BTC-USD`; all where they are missing.
    fn watches(&self) -> Result<WatchSet, Refusal> {
        let Some(texts) = self.texts("instruments")? else { return Ok(WatchSet::all(self.roster.len())) };
        let mut set = WatchSet::empty(self.roster.len());
        for text in texts {
            if text == "*" {
                return Ok(WatchSet::all(self.roster.len()));
            }
            let mut found = false;
            if let Some(venue) = text.strip_suffix(":*") {
                for (watch, instrument) in self.roster.iter() {
                    if instrument.venue().name() == venue {
                        set.insert(watch);
                        found = true;
                    }
                }
            } else if let Some(watch) = text.parse().ok().and_then(|instrument| self.roster.find(&instrument))
            {
                set.insert(watch);
                found = true;
            }
            if !found {
                let message = format!("instrument {text:?} is not watched");
                return Err(Refusal::new(self.id, "unknown_instrument", message));
            }
        }
        Ok(set)
    }

    fn kinds(&self) -> Result<u8, Refusal> {
        let Some(texts) = self.texts("kinds")? else { return Ok(u8::MAX) };
        let mut bits = 0;
        for text in texts {
            let kind = SignalKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
                self.bad(format!(
                    "kinds: {text:?} is none of {}",
                    names(&SignalKind::ALL.map(SignalKind::name))
                ))
            })?;
            bits |= 1 << kind as u8;
        }
        Ok(bits)
    }

    fn min_severity(&self) -> Result<Severity, Refusal> {
        let words = Severity::ALL.map(|severity| (severity.name(), severity));
        Ok(self.word("min_severity", &words)?.unwrap_or(Severity::Info))
    }

    fn after(&self) -> Result<Option<u64>, Refusal> {
        match self.object.get("after") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(after) => Ok(Some(after)),
                None => Err(self.bad("after: a whole number, the last seq that is known, or 0".to_owned())),
            },
        }
    }

    fn on_slow(&self) -> Result<Option<OnSlow>, Refusal> {
        self.word("on_slow", &[("close", OnSlow::Close), ("conflate", OnSlow::Conflate)])
    }
}

fn names(names: &[&str]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        Roster::new(
            ["binance:BTC-USDT", "binance:ETH-USDT", "kraken:BTC-USD"].map(|name| name.parse().unwrap()),
        )
    }

    fn check_refused(text: &str, id: &str, code: &str, part: &str) {
        let refusal = parse(text, &roster()).unwrap_err();
        assert_eq!((&*refusal.id, refusal.code), (id, code), "{text}: {}", refusal.message);
        assert!(refusal.message.contains(part), "{text}: {}", refusal.message);
    }

    #[test]
    fn subscriptions_are_read() {
        let request = parse(
            r#"{"op":"subscribe","id":1,"channels":["signals","signals","gaps"],"instruments":["binance:ETH-USDT","kraken:*"],
                "kinds":["anomaly","quality"],"min_severity":"warning","after":12345,"on_slow":"conflate"}"#,
            &roster(),
        )
        .unwrap();
        let mut watches = WatchSet::empty(3);
        watches.insert(crate::domain::told::Watch(1));
        watches.insert(crate::domain::told::Watch(2));
        let expected = Subscribe {
            channels: vec![Channel::Signals, Channel::Gaps],
            watches,
            kinds: 0b10001,
            min_severity: Severity::Warning,
            after: Some(12345),
            on_slow: Some(OnSlow::Conflate),
        };
        assert_eq!(request, Request { id: "1".to_owned(), op: Op::Subscribe(expected) });
    }

    #[test]
    fn what_is_left_out_means_all() {
        for instruments in ["", r#","instruments":["*"]"#, r#","instruments":null"#] {
            let text = format!(r#"{{"op":"subscribe","channels":["trades"]{instruments}}}"#);
            let Op::Subscribe(subscribe) = parse(&text, &roster()).unwrap().op else { panic!("{text}") };
            assert_eq!(subscribe.watches, WatchSet::all(3));
            assert_eq!((subscribe.kinds, subscribe.min_severity), (u8::MAX, Severity::Info));
            assert_eq!((subscribe.after, subscribe.on_slow), (None, None));
        }
        let Op::Unsubscribe { channels, watches } =
            parse(r#"{"op":"unsubscribe","id":"x"}"#, &roster()).unwrap().op
        else {
            panic!("an unsubscribe")
        };
        assert_eq!((channels.len(), watches), (8, WatchSet::all(3)));
        assert_eq!(parse(r#"{"op":"ping","id":"a\"b"}"#, &roster()).unwrap().id, r#""a\"b""#);
    }

    #[test]
    fn what_is_wrong_is_named() {
        check_refused("", "null", "bad_request", "JSON");
        check_refused("{", "null", "bad_request", "JSON");
        check_refused("[1]", "null", "bad_request", "object");
        check_refused("{}", "null", "bad_request", "op");
        check_refused(r#"{"id":7}"#, "7", "bad_request", "op");
        check_refused(r#"{"op":"sing","id":7}"#, "7", "bad_request", "sing");
        check_refused(r#"{"op":"ping","id":{}}"#, "null", "bad_request", "id");
        check_refused(&format!(r#"{{"op":"ping","id":"{}"}}"#, "x".repeat(300)), "null", "bad_request", "id");
        check_refused(r#"{"op":"ping","id":1,"loud":true}"#, "1", "bad_request", "loud");
        for (fields, code, part) in [
            ("", "bad_request", "channels"),
            (r#","channels":[]"#, "bad_request", "channels"),
            (r#","channels":"trades""#, "bad_request", "channels"),
            (r#","channels":["orders"]"#, "bad_request", "orders"),
            (r#","channels":[5]"#, "bad_request", "channels"),
            (r#","channels":["trades"],"instruments":[]"#, "bad_request", "instruments"),
            (r#","channels":["trades"],"instruments":["okx:*"]"#, "unknown_instrument", "okx:*"),
            (r#","channels":["trades"],"instruments":["BTC"]"#, "unknown_instrument", "BTC"),
            (r#","channels":["trades"],"instruments":["kraken:ETH-USD"]"#, "unknown_instrument", "ETH"),
            (r#","channels":["trades"],"kinds":["loud"]"#, "bad_request", "loud"),
            (r#","channels":["trades"],"min_severity":"dire""#, "bad_request", "min_severity: info, warning"),
            (r#","channels":["trades"],"min_severity":3"#, "bad_request", "min_severity"),
            (r#","channels":["trades"],"after":-1"#, "bad_request", "after"),
            (r#","channels":["trades"],"after":1.5"#, "bad_request", "after"),
            (r#","channels":["trades"],"after":"1""#, "bad_request", "after"),
            (r#","channels":["trades"],"after":18446744073709551616"#, "bad_request", "after"),
            (r#","channels":["trades"],"on_slow":"panic""#, "bad_request", "on_slow: close, conflate"),
            (r#","channels":["trades"],"instrument":["*"]"#, "bad_request", "instrument"),
        ] {
            check_refused(&format!(r#"{{"op":"subscribe","id":3{fields}}}"#), "3", code, part);
        }
        let deep = format!(r#"{{"op":"ping","id":1,"a":{}}}"#, "[".repeat(10_000));
        check_refused(&deep, "null", "bad_request", "JSON");
    }
}
