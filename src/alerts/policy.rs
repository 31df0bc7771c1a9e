//! Which signal is told to whom, and when: pure, with the time handed in.
//!
//! A signal goes to a channel at most once, whatever comes again after a restart. Signals of one instrument that
//! come within a second go together. What follows an alert too soon is counted and told with the next one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::alerts::config::AlertConfig;
use crate::domain::insight::{Severity, SignalKind};
use crate::domain::time::UnixNanos;

/// How long the first signal of a group waits for others.
pub const GROUP_WAIT: Duration = Duration::from_secs(1);
/// Signals that one alert shows; more are counted.
pub const GROUP_MAX: usize = 20;
/// Keys that are remembered, so that nothing is told twice; the oldest are forgotten.
pub const KEYS_MAX: usize = 65_536;
/// Cool-downs that are remembered; what is older than an hour, then the oldest, is forgotten.
const COOLDOWNS_MAX: usize = 65_536;

/// What of a signal the policy looks at, and its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Of the signal.
    pub id: u64,
    /// `venue:BASE-QUOTE`.
    pub instrument: String,
    pub name: String,
    pub kind: SignalKind,
    pub severity: Severity,
    /// One plain sentence.
    pub message: String,
    /// The whole signal, an object.
    pub json: String,
}

/// A signal for a channel: told once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub signal: u64,
    pub channel: String,
}

/// What was decided of a signal for a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send these together.
    Send(Group),
    /// Another of its kind was told just before.
    CooledDown(Key),
}

/// Signals of one instrument that go to a channel together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub channel: String,
    pub instrument: String,
    /// At most [`GROUP_MAX`].
    pub subjects: Vec<Subject>,
    /// Of every signal in it, those that are not shown too.
    pub keys: Vec<Key>,
    /// Signals that were cooled down since the last alert of the same name, or are not shown.
    pub more: u64,
}

#[derive(Debug, Default)]
pub struct State {
    /// Decided already.
    keys: BTreeSet<Key>,
    order: VecDeque<Key>,
    /// By channel, instrument and name.
    cooling: BTreeMap<(String, String, String), Cooling>,
    /// By channel and instrument.
    waiting: BTreeMap<(String, String), Waiting>,
}

#[derive(Debug)]
struct Cooling {
    until: UnixNanos,
    severity: Severity,
    suppressed: u64,
}

#[derive(Debug)]
struct Waiting {
    due_at: UnixNanos,
    group: Group,
}

impl State {
    /// A key of which it was decided before a restart.
    pub fn remember(&mut self, key: Key) {
        if self.keys.insert(key.clone()) {
            self.order.push_back(key);
        }
        while self.order.len() > KEYS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }

    /// An alert that was sent before a restart.
    pub fn remember_alert(
        &mut self,
        channel: &str,
        instrument: &str,
        name: &str,
        severity: Severity,
        until: UnixNanos,
    ) {
        let place = (channel.to_owned(), instrument.to_owned(), name.to_owned());
        self.cooling.insert(place, Cooling { until, severity, suppressed: 0 });
    }

    /// A signal came; what is decided of it at once.
    pub fn signal(&mut self, config: &AlertConfig, subject: &Subject, now: UnixNanos) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let mut channels: BTreeMap<&str, Duration> = BTreeMap::new();
        for route in config.routes.values() {
            let takes = subject.severity >= route.min_severity
                && (route.kinds.is_empty() || route.kinds.contains(&subject.kind))
                && (route.instruments.is_empty()
                    || route.instruments.iter().any(|pattern| takes(pattern, &subject.instrument)));
            if takes {
                for channel in &route.channels {
                    // Of several routes the most talkative counts.
                    let cooldown = channels.entry(channel).or_insert(route.cooldown);
                    *cooldown = route.cooldown.min(*cooldown);
                }
            }
        }
        for (channel, cooldown) in channels {
            let key = Key { signal: subject.id, channel: channel.to_owned() };
            if self.keys.contains(&key) {
                continue;
            }
            self.remember(key.clone());
            let place = (channel.to_owned(), subject.instrument.clone(), subject.name.clone());
            let cooling = self.cooling.get_mut(&place);
            let mut more = 0;
            if let Some(cooling) = cooling {
                if now < cooling.until && subject.severity <= cooling.severity {
                    cooling.suppressed += 1;
                    decisions.push(Decision::CooledDown(key));
                    continue;
                }
                more = cooling.suppressed;
            }
            self.forget_cooldowns(now);
            let until = later(now, cooldown);
            self.cooling.insert(place, Cooling { until, severity: subject.severity, suppressed: 0 });
            let waiting = self
                .waiting
                .entry((channel.to_owned(), subject.instrument.clone()))
                .or_insert_with(|| Waiting {
                    due_at: later(now, GROUP_WAIT),
                    group: Group {
                        channel: channel.to_owned(),
                        instrument: subject.instrument.clone(),
                        subjects: Vec::new(),
                        keys: Vec::new(),
                        more: 0,
                    },
                });
            waiting.group.keys.push(key);
            waiting.group.more += more;
            if waiting.group.subjects.len() < GROUP_MAX {
                waiting.group.subjects.push(subject.clone());
            } else {
                waiting.group.more += 1;
            }
        }
        decisions
    }

    /// Groups that have waited long enough, oldest first; all of them where `at_once`.
    pub fn due(&mut self, now: UnixNanos, at_once: bool) -> Vec<Decision> {
        let mut due: Vec<_> = self
            .waiting
            .extract_if(.., |_, waiting| at_once || waiting.due_at <= now)
            .map(|(_, waiting)| waiting)
            .collect();
        due.sort_by_key(|waiting| waiting.due_at);
        due.into_iter().map(|waiting| Decision::Send(waiting.group)).collect()
    }

    fn forget_cooldowns(&mut self, now: UnixNanos) {
        if self.cooling.len() >= COOLDOWNS_MAX {
            self.cooling.retain(|_, cooling| cooling.until > now);
        }
        if self.cooling.len() >= COOLDOWNS_MAX {
            let oldest = self.cooling.iter().min_by_key(|(_, cooling)| cooling.until);
            if let Some(place) = oldest.map(|(place, _)| place.clone()) {
                self.cooling.remove(&place);
            }
        }
    }
}

/// `*`, `kraken:*`, `kraken:BTC-USD`.
fn takes(pattern: &str, instrument: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => instrument.starts_with(prefix),
        None => pattern == instrument,
    }
}

fn later(at: UnixNanos, by: Duration) -> UnixNanos {
    UnixNanos(at.0.saturating_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::config::RouteConfig;

    fn route(min_severity: Severity, channels: &[&str], cooldown_s: u64) -> RouteConfig {
        RouteConfig {
            min_severity,
            channels: channels.iter().map(|&name| name.to_owned()).collect(),
            instruments: Vec::new(),
            kinds: Vec::new(),
            cooldown: Duration::from_secs(cooldown_s),
        }
    }

    fn config(routes: &[RouteConfig]) -> AlertConfig {
        let routes = routes.iter().enumerate().map(|(at, route)| (at.to_string(), route.clone())).collect();
        AlertConfig { channels: BTreeMap::new(), routes }
    }

    fn subject(id: u64, instrument: &str, severity: Severity) -> Subject {
        Subject {
            id,
            instrument: instrument.to_owned(),
            name: "volume_burst".to_owned(),
            kind: SignalKind::Anomaly,
            severity,
            message: "Much traded.".to_owned(),
            json: "{}".to_owned(),
        }
    }

    /// What happens to signals (second, id, instrument, severity): `channel:ids+more` of each group,
    /// `channel-id` of what is cooled down.
    fn check(routes: &[RouteConfig], signals: &[(i64, u64, &str, Severity)], expected: &[&str]) {
        let (config, mut state, mut told) = (config(routes), State::default(), Vec::new());
        let mut note = |decisions: Vec<Decision>| {
            told.extend(decisions.into_iter().map(|decision| match decision {
                Decision::Send(group) => {
                    let ids: Vec<_> = group.subjects.iter().map(|subject| subject.id.to_string()).collect();
                    format!("{}:{}+{}", group.channel, ids.join(","), group.more)
                }
                Decision::CooledDown(key) => format!("{}-{}", key.channel, key.signal),
            }));
        };
        for &(second, id, instrument, severity) in signals {
            let now = UnixNanos(second * 1_000_000_000);
            note(state.due(now, false));
            note(state.signal(&config, &subject(id, instrument, severity), now));
        }
        note(state.due(UnixNanos(0), true));
        assert_eq!(told, expected);
    }

    #[test]
    fn severities_instruments_and_kinds_choose_routes() {
        use Severity::{Critical, Info, Warning};
        let mut some = route(Warning, &["b", "a"], 0);
        some.instruments = vec!["kraken:*".to_owned(), "okx:A-B".to_owned()];
        let mut none = route(Info, &["c"], 0);
        none.kinds = vec![SignalKind::Quality];
        let signals = [
            (0, 1, "kraken:X-Y", Warning),
            (10, 2, "kraken:X-Y", Info),
            (20, 3, "okx:A-B", Critical),
            (30, 4, "okx:A-C", Critical),
        ];
        check(&[some, none], &signals, &["a:1+0", "b:1+0", "a:3+0", "b:3+0"]);
    }

    #[test]
    fn signals_of_a_second_go_together_and_each_once() {
        use Severity::{Critical, Warning};
        let routes = [route(Warning, &["a"], 0), route(Critical, &["a"], 60)];
        let signals = [
            (0, 1, "k:A-B", Critical),
            (0, 2, "k:A-B", Warning),
            (0, 1, "k:A-B", Critical),
            (0, 3, "k:C-D", Warning),
            (5, 2, "k:A-B", Warning),
        ];
        check(&routes, &signals, &["a:1,2+0", "a:3+0"]);
    }

    #[test]
    fn what_follows_too_soon_is_counted_unless_it_is_worse() {
        use Severity::{Critical, Info, Warning};
        let signals = [
            (0, 1, "k:A-B", Warning),
            (10, 2, "k:A-B", Info),
            (20, 3, "k:A-B", Warning),
            (30, 4, "k:C-D", Warning),
            (40, 5, "k:A-B", Critical),
            (70, 6, "k:A-B", Warning),
            (120, 7, "k:A-B", Warning),
        ];
        let expected = ["a:1+0", "a-2", "a-3", "a:4+0", "a:5+2", "a-6", "a:7+1"];
        check(&[route(Info, &["a"], 60)], &signals, &expected);
    }

    #[test]
    fn large_groups_are_cut_and_counted() {
        let config = config(&[route(Severity::Info, &["a"], 0)]);
        let mut state = State::default();
        for id in 0..50 {
            assert_eq!(state.signal(&config, &subject(id, "k:A-B", Severity::Info), UnixNanos(0)), []);
        }
        assert_eq!(state.due(UnixNanos(999_999_999), false), []);
        let due = state.due(UnixNanos(1_000_000_000), false);
        let [Decision::Send(group)] = &due[..] else { panic!("one group") };
        assert_eq!((group.subjects.len(), group.more, group.keys.len()), (GROUP_MAX, 30, 50));
    }

    #[test]
    fn what_was_decided_before_a_restart_is_not_decided_again() {
        let config = config(&[route(Severity::Info, &["a"], 60)]);
        let mut state = State::default();
        state.remember(Key { signal: 1, channel: "a".to_owned() });
        state.remember_alert("a", "k:A-B", "volume_burst", Severity::Info, UnixNanos(60_000_000_000));
        assert_eq!(state.signal(&config, &subject(1, "k:A-B", Severity::Info), UnixNanos(0)), []);
        let decided = state.signal(&config, &subject(2, "k:A-B", Severity::Info), UnixNanos(0));
        assert_eq!(decided, [Decision::CooledDown(Key { signal: 2, channel: "a".to_owned() })]);
        assert_eq!(state.due(UnixNanos(i64::MAX), true), []);
    }

    #[test]
    fn memory_is_bounded() {
        let mut state = State::default();
        for signal in 0..KEYS_MAX as u64 + 10 {
            state.remember(Key { signal, channel: "a".to_owned() });
        }
        assert_eq!((state.keys.len(), state.order.len()), (KEYS_MAX, KEYS_MAX));
        assert!(!state.keys.contains(&Key { signal: 9, channel: "a".to_owned() }));
    }
}
