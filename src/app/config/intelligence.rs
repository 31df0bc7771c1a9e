//! `[intelligence]`: which models and rules run, on which intervals, and how the rules are set.
//!
//! A list `rules` and tables `[intelligence.rules.NAME]` cannot stand in one TOML file: a file with tables chooses by
//! `chosen` in `[intelligence.rules]`. The list of the higher layer wins.

use std::fmt::Write;

use crate::analytics::across::divergence::ENTRY as DIVERGENCE;
use crate::analytics::anomaly::DETECTORS;
use crate::analytics::anomaly::detector::DetectorEntry;
use crate::analytics::forecast::FORECASTERS;
use crate::analytics::forecast::bounds::BoundsMethod;
use crate::analytics::forecast::forecaster::ForecasterEntry;
use crate::analytics::forecast::lane::Manner;
use crate::analytics::forecast::mixing::Mixing;
use crate::analytics::intelligence::IntelligencePlan;
use crate::analytics::signals::RULES;
use crate::analytics::signals::entry::{RuleEntry, RuleSettings};
use crate::app::config::{divergence, reading};
use crate::app::layers::{Layers, Origin};
use crate::domain::insight::Severity;
use crate::domain::interval::Interval;

/// Shorter candles are mostly noise, unless somebody asks for them.
const SHORTEST_NANOS: i64 = 60_000_000_000;
/// Anomalies a day.
const ALERTS_MAX: u64 = 1_440;
const HORIZON_MAX: u32 = 1_440;
const HORIZONS_MAX: usize = 16;

/// `intervals`: those of the engine, ascending.
pub fn read(layers: &mut Layers, intervals: &[Interval]) -> Option<IntelligencePlan> {
    let engine = intervals;
    let detectors = read_detectors(layers);
    let forecasters = members(layers, "forecasters", FORECASTERS, |entry: &ForecasterEntry| entry.name);
    let rules = read_rules(layers);
    let horizons = read_horizons(layers);
    let intervals = read_intervals(layers, intervals);
    let alerts_per_day = read_budget(layers);
    let all_models = layers.boolean("intelligence.all_models");
    let bounds = read_choice(layers, "interval_method", &BoundsMethod::ALL, BoundsMethod::name);
    let mixing = read_choice(layers, "mixing", &Mixing::ALL, Mixing::name);
    let across = divergence::read(
        layers,
        engine,
        intervals.as_deref().unwrap_or_default(),
        alerts_per_day.unwrap_or_default(),
    );
    let (detectors, with_divergence) = detectors?;
    let plan = IntelligencePlan::new(&intervals?, &detectors, &forecasters?, &[], &horizons?);
    let plan = plan.with_rules(rules?).telling(all_models?, Manner { bounds: bounds?, mixing: mixing? });
    let across = across?.filter(|_| with_divergence);
    Some(IntelligencePlan { alerts_per_day: alerts_per_day?, across, ..plan })
}

/// The rules as a journal records them: which, and what is set otherwise than by default.
pub fn recorded_rules(rules: &[RuleSettings]) -> String {
    let names: Vec<_> = rules.iter().map(|rule| format!("\"{}\"", rule.entry.name)).collect();
    let mut text = format!("[intelligence.rules]\nchosen = [{}]\n", names.join(", "));
    for rule in rules {
        let _ = writeln!(text, "[intelligence.rules.{}]", rule.entry.name);
        let _ = writeln!(text, "severity = \"{}\"", rule.severity.name());
        for (name, value) in rule.differences() {
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    text
}

/// One of several, by name.
fn read_choice<T: Copy>(layers: &mut Layers, key: &str, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
    let key = format!("intelligence.{key}");
    let text = layers.text(&key)?;
    let chosen = all.iter().copied().find(|&one| name(one) == text);
    if chosen.is_none() {
        let allowed: Vec<_> = all.iter().map(|&one| name(one)).collect();
        layers.complain(&key, format!("{text:?} is unknown; allowed are {}", allowed.join(", ")));
    }
    chosen
}

/// The detectors of single instruments, in the order of the catalogue, and whether instruments are compared.
fn read_detectors(layers: &mut Layers) -> Option<(Vec<&'static DetectorEntry>, bool)> {
    let key = "intelligence.detectors";
    let with_divergence = layers.list(key)?.iter().any(|name| name == DIVERGENCE.name);
    let name = |entry: &DetectorEntry| entry.name;
    Some((members_of(layers, key, DETECTORS, name, &[DIVERGENCE.name])?, with_divergence))
}

/// Members of a family by name, in the order of the catalogue.
fn members<E>(
    layers: &mut Layers,
    family: &str,
    catalogue: &'static [E],
    name: fn(&E) -> &'static str,
) -> Option<Vec<&'static E>> {
    members_of(layers, &format!("intelligence.{family}"), catalogue, name, &[])
}

fn members_of<E>(
    layers: &mut Layers,
    key: &str,
    catalogue: &'static [E],
    name: fn(&E) -> &'static str,
    others: &[&'static str],
) -> Option<Vec<&'static E>> {
    let names = layers.list(key)?;
    let mut whole = true;
    for given in &names {
        if !catalogue.iter().map(name).chain(others.iter().copied()).any(|known| known == given) {
            let mut allowed: Vec<_> = catalogue.iter().map(name).chain(others.iter().copied()).collect();
            allowed.sort_unstable();
            layers.complain(key, format!("{given:?} is unknown; allowed are {}", allowed.join(", ")));
            whole = false;
        }
    }
    let chosen = catalogue.iter().filter(|entry| names.iter().any(|given| given == name(entry)));
    whole.then(|| chosen.collect())
}

const LIST: &str = "intelligence.rules";
const CHOSEN: &str = "intelligence.rules.chosen";

fn read_rules(layers: &mut Layers) -> Option<Vec<RuleSettings>> {
    let layer = |key: &str| layers.get(key).map(|setting| setting.layer);
    let key = if layer(CHOSEN) > layer(LIST) { CHOSEN } else { LIST };
    let chosen = members_of(layers, key, RULES, |entry: &RuleEntry| entry.name, &[]);
    let before = layers.problems().len();
    refuse_unknown(layers, chosen.as_deref());
    let rules: Vec<_> = RULES.iter().map(|entry| read_rule(layers, entry)).collect();
    let chosen = chosen.filter(|_| layers.problems().len() == before)?;
    Some(rules.into_iter().filter(|rule| chosen.iter().any(|entry| entry.name == rule.entry.name)).collect())
}

/// Tables of rules that there are not, or that are not chosen, and keys that a rule does not have.
fn refuse_unknown(layers: &mut Layers, chosen: Option<&[&'static RuleEntry]>) {
    let mut problems: Vec<(String, String)> = Vec::new();
    for (key, _) in layers.iter() {
        let Some((rule, name)) =
            key.strip_prefix("intelligence.rules.").and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let Some(entry) = RULES.iter().find(|entry| entry.name == rule) else {
            let allowed: Vec<_> = RULES.iter().map(|entry| entry.name).collect();
            problems.push((
                key.to_owned(),
                format!("rule {rule} is unknown; allowed are {}", allowed.join(", ")),
            ));
            continue;
        };
        let is_known = name == "severity" || entry.parameters.iter().any(|parameter| parameter.name == name);
        if !is_known {
            let allowed: Vec<_> = std::iter::once("severity")
                .chain(entry.parameters.iter().map(|parameter| parameter.name))
                .collect();
            let place = format!("allowed in [intelligence.rules.{rule}]: {}", allowed.join(", "));
            problems.push((key.to_owned(), format!("unknown key; {place}")));
        } else if chosen.is_some_and(|chosen| !chosen.iter().any(|other| other.name == rule)) {
            let message =
                format!("rule {rule} is set and not chosen; name it in `chosen` of [intelligence.rules]");
            problems.push((key.to_owned(), message));
        }
    }
    for (key, message) in problems {
        layers.complain(&key, message);
    }
}

/// What is wrong is complained about, and left as the entry has it.
fn read_rule(layers: &mut Layers, entry: &'static RuleEntry) -> RuleSettings {
    let mut settings = RuleSettings::of(entry);
    let before = layers.problems().len();
    let key = |name: &str| format!("intelligence.rules.{}.{name}", entry.name);
    let severities = Severity::ALL.map(|severity| (severity.name(), severity));
    if let Some(severity) = reading::word(layers, &key("severity"), &severities) {
        settings.severity = severity;
    }
    let mut given = None;
    for parameter in entry.parameters {
        let key = key(parameter.name);
        if layers.get(&key).is_none() {
            continue;
        }
        match layers.number(&key).filter(|value| parameter.allows(*value)) {
            Some(value) => {
                settings.set(parameter.name, value);
                given.get_or_insert(key);
            }
            None => {
                let kind = if parameter.whole { "a whole number" } else { "a number" };
                layers.complain(&key, format!("must be {kind} from {} to {}", parameter.min, parameter.max));
            }
        }
    }
    if layers.problems().len() == before
        && let (Some(key), Err(problem)) = (given, (entry.check)(&settings))
    {
        layers.complain(&key, problem);
    }
    settings
}

fn read_horizons(layers: &mut Layers) -> Option<Vec<u32>> {
    let key = "intelligence.horizons";
    let texts = layers.wholes(key)?;
    let mut horizons = Vec::new();
    for text in texts {
        match text.trim().parse::<u32>() {
            Ok(horizon) if (1..=HORIZON_MAX).contains(&horizon) => horizons.push(horizon),
            _ => {
                layers.complain(key, format!("{text:?} is no number of candles from 1 to {HORIZON_MAX}"));
                return None;
            }
        }
    }
    horizons.sort_unstable();
    horizons.dedup();
    if horizons.len() > HORIZONS_MAX {
        layers.complain(key, format!("must name at most {HORIZONS_MAX} horizons"));
        return None;
    }
    Some(horizons)
}

fn read_budget(layers: &mut Layers) -> Option<u32> {
    let key = "intelligence.alerts_per_day";
    let number = layers.whole(key, ALERTS_MAX)?;
    if number == 0 {
        layers.complain(key, "must be at least 1; without detectors nothing is told");
        return None;
    }
    u32::try_from(number).ok()
}

fn read_intervals(layers: &mut Layers, engine: &[Interval]) -> Option<Vec<Interval>> {
    let key = "intelligence.intervals";
    let timed = engine.iter().copied().filter(|interval| interval.time().is_some());
    if layers.get(key).is_none() {
        // Whoever asks for short intervals on the command line wants to see something of them.
        let asked = matches!(
            layers.get("engine.intervals").map(|setting| &setting.origin),
            Some(Origin::Flag { .. })
        );
        let long =
            |interval: &Interval| interval.time().is_some_and(|interval| interval.nanos() >= SHORTEST_NANOS);
        return Some(timed.filter(|interval| asked || long(interval)).collect());
    }
    let texts = layers.list(key)?;
    let known: Vec<Interval> = timed.collect();
    let mut intervals = Vec::new();
    for text in texts {
        match text.parse::<Interval>() {
            Ok(interval) if known.contains(&interval) => intervals.push(interval),
            Ok(_) => {
                let allowed: Vec<_> = known.iter().map(ToString::to_string).collect();
                layers.complain(
                    key,
                    format!("{text} is none of the engine's intervals of time: {}", allowed.join(", ")),
                );
                return None;
            }
            Err(error) => {
                layers.complain(key, error.to_string());
                return None;
            }
        }
    }
    intervals.sort_unstable();
    intervals.dedup();
    Some(intervals)
}
