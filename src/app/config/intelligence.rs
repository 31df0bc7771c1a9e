//! `[intelligence]`: which models and rules run, on which intervals.

use crate::analytics::anomaly::DETECTORS;
use crate::analytics::anomaly::detector::DetectorEntry;
use crate::analytics::forecast::FORECASTERS;
use crate::analytics::forecast::forecaster::ForecasterEntry;
use crate::analytics::intelligence::IntelligencePlan;
use crate::analytics::signals::RULES;
use crate::analytics::signals::rule::RuleEntry;
use crate::app::layers::{Layers, Origin};
use crate::domain::interval::Interval;

/// Shorter candles are mostly noise, unless somebody asks for them.
const SHORTEST_NANOS: i64 = 60_000_000_000;
const HORIZON_MAX: u32 = 1_440;
const HORIZONS_MAX: usize = 16;

/// `intervals`: those of the engine, ascending.
pub fn read(layers: &mut Layers, intervals: &[Interval]) -> Option<IntelligencePlan> {
    let detectors = members(layers, "detectors", DETECTORS, |entry: &DetectorEntry| entry.name);
    let forecasters = members(layers, "forecasters", FORECASTERS, |entry: &ForecasterEntry| entry.name);
    let rules = members(layers, "rules", RULES, |entry: &RuleEntry| entry.name);
    let horizons = read_horizons(layers);
    let intervals = read_intervals(layers, intervals);
    Some(IntelligencePlan::new(&intervals?, &detectors?, &forecasters?, &rules?, &horizons?))
}

/// Members of a family by name, in the order of the catalogue.
fn members<E>(
    layers: &mut Layers,
    family: &str,
    catalogue: &'static [E],
    name: fn(&E) -> &'static str,
) -> Option<Vec<&'static E>> {
    let key = format!("intelligence.{family}");
    let names = layers.list(&key)?;
    let mut whole = true;
    for given in &names {
        if !catalogue.iter().any(|entry| name(entry) == given) {
            let allowed: Vec<_> = catalogue.iter().map(name).collect();
            layers.complain(&key, format!("{given:?} is unknown; allowed are {}", allowed.join(", ")));
            whole = false;
        }
    }
    let chosen = catalogue.iter().filter(|entry| names.iter().any(|given| given == name(entry)));
    whole.then(|| chosen.collect())
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
