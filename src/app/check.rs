//! `tapewatch check`: is the configuration sound, what would run, and what is there to choose from.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::analytics::across::divergence::ENTRY as DIVERGENCE;
use crate::analytics::anomaly::DETECTORS;
use crate::analytics::catalogue::{self, Spec};
use crate::analytics::forecast::FORECASTERS;
use crate::analytics::indicator::Entry;
use crate::analytics::signals::RULES;
use crate::app::config::{Config, ConfigError};
use crate::app::outcome::{self, Failure};
use crate::app::quantity;
use crate::domain::interval::{Interval, TimeInterval};
use crate::domain::venue;
use crate::replay::formats;

#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// The configuration to validate; without it, the default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Kinds of intervals that are not a stretch of time, with an example of each.
const INFORMATION_INTERVALS: [(&str, &str); 6] = [
    ("ticks:1000", "ends after so many trades"),
    ("volume:50", "ends when so much base currency has traded"),
    ("value:1000000", "ends when so much quote currency has traded"),
    ("tick-imbalance:100", "ends when buys less sells, counted, have reached it either way"),
    ("volume-imbalance:10", "ends when bought less sold volume has reached it either way"),
    ("tick-run:100", "ends when buys or sells, whichever are more, have reached it"),
];

pub fn check(arguments: &CheckArguments) -> Result<(), Failure> {
    match Config::load(arguments.config.as_deref(), &[]) {
        Ok(config) if arguments.json => outcome::print(&format!("{:#}\n", object(&config))),
        Ok(config) => outcome::print(&text(&config)),
        Err(error) => {
            if arguments.json {
                outcome::print(&format!("{:#}\n", problems(&error)))?;
            }
            Err(Failure::refused(error))
        }
    }
}

fn text(config: &Config) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };

    line("The configuration is sound. Each setting, and where it comes from:".to_owned());
    for (key, value, origin) in config.settings() {
        line(format!("  {key} = {value}  ({origin})"));
    }
    for table in config.unread_tables() {
        line(format!("  [{table}] is not read by any command of this version"));
    }
    line(format!("  config_digest {}", config.digest()));

    let engine = &config.engine;
    line(String::new());
    line("What would run for each instrument:".to_owned());
    let intervals: Vec<_> = engine.intervals.iter().map(ToString::to_string).collect();
    line(format!("  candles     {}", intervals.join(" ")));
    let indicators: Vec<_> = engine.indicators.iter().map(ToString::to_string).collect();
    line(format!("  indicators  {}", indicators.join(" ")));
    line(format!("  grace       {}", quantity::print_duration(engine.grace)));
    let shards = engine.shards.map_or_else(|| "as many as cores".to_owned(), |shards| shards.to_string());
    line(format!("  shards      {shards}"));
    for watched in &config.venues {
        let names: Vec<_> = watched.instruments.iter().map(ToString::to_string).collect();
        line(format!("  watched     {} ({})", names.join(" "), watched.mode.name()));
    }

    line(String::new());
    line("Venues, and what their trade ids promise (recordings may name others):".to_owned());
    for (name, rule) in venue::KNOWN {
        line(format!("  {name:<14} {}", rule.name()));
    }
    line(String::new());
    line("Intervals:".to_owned());
    let lengths: Vec<_> = time_intervals().collect();
    line(format!("  {}", lengths.join(" ")));
    for (example, meaning) in INFORMATION_INTERVALS {
        line(format!("  {example:<20} {meaning}"));
    }
    line(String::new());
    line("Formats of recordings (`--format`), plain, .gz or .zip:".to_owned());
    line(format!("  {}", formats::names().collect::<Vec<_>>().join(" ")));
    line(String::new());
    line("Indicators: parameters with their defaults; candles until the first value; outputs:".to_owned());
    for (entry, spec) in defaults() {
        let names: Vec<_> = entry
            .parameters
            .iter()
            .map(|parameter| format!("{}={}", parameter.name, parameter.default))
            .collect();
        let call = if names.is_empty() {
            entry.name.to_owned()
        } else {
            format!("{}({})", entry.name, names.join(","))
        };
        line(format!("  {call}"));
        line(format!("      {}", entry.summary));
        line(format!("      warm-up {}; {}", spec.warm_up(), entry.outputs.join(", ")));
    }
    for (family, members) in models() {
        line(String::new());
        line(format!("{family}:"));
        for (name, summary) in members {
            line(format!("  {name}"));
            line(format!("      {summary}"));
        }
    }
    out
}

fn object(config: &Config) -> Value {
    let settings: Vec<_> = config
        .settings()
        .map(|(key, value, origin)| json!({ "key": key, "value": value.to_string(), "from": origin.to_string() }))
        .collect();
    let engine = &config.engine;
    let texts = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>();
    let indicators: Vec<_> = defaults()
        .map(|(entry, spec)| {
            let parameters: Vec<_> = entry
                .parameters
                .iter()
                .map(|p| json!({ "name": p.name, "default": p.default, "min": p.min, "max": p.max, "whole": p.whole }))
                .collect();
            json!({
                "name": entry.name,
                "summary": entry.summary,
                "parameters": parameters,
                "outputs": entry.outputs,
                "warm_up": spec.warm_up(),
            })
        })
        .collect();
    json!({
        "sound": true,
        "config_digest": config.digest(),
        "settings": settings,
        "unread_tables": config.unread_tables(),
        "run": {
            "intervals": texts(&mut engine.intervals.iter().map(ToString::to_string)),
            "indicators": texts(&mut engine.indicators.iter().map(ToString::to_string)),
            "grace": quantity::print_duration(engine.grace),
            "shards": engine.shards.unwrap_or(0),
            "instruments": texts(
                &mut config.venues.iter().flat_map(|venue| &venue.instruments).map(ToString::to_string)
            ),
        },
        "venues": venue::KNOWN.map(|(name, rule)| json!({ "name": name, "trade_ids": rule.name() })),
        "intervals": time_intervals().collect::<Vec<_>>(),
        "information_intervals": INFORMATION_INTERVALS
            .map(|(example, meaning)| json!({ "example": example, "meaning": meaning })),
        "formats": formats::names().collect::<Vec<_>>(),
        "indicators": indicators,
        "models": models().map(|(family, members)| {
            let members: Vec<_> =
                members.iter().map(|(name, summary)| json!({ "name": name, "summary": summary })).collect();
            json!({ "family": family, "members": members })
        }),
    })
}

fn problems(error: &ConfigError) -> Value {
    let problems: Vec<_> = error
        .0
        .iter()
        .map(|problem| {
            json!({
                "from": problem.origin.to_string(),
                "key": problem.key,
                "value": problem.value,
                "message": problem.message,
            })
        })
        .collect();
    json!({ "sound": false, "problems": problems })
}

/// The name of a family of models or rules, and those of its members with a sentence each.
type Family = (&'static str, Vec<(String, &'static str)>);

fn models() -> [Family; 3] {
    let versioned = |name: &str, version: u32| format!("{name}@{version}");
    [
        (
            "Detectors",
            DETECTORS
                .iter()
                .map(|entry| (entry.name, entry.version, entry.summary))
                .chain([(DIVERGENCE.name, DIVERGENCE.version, DIVERGENCE.summary)])
                .map(|(name, version, summary)| (versioned(name, version), summary))
                .collect(),
        ),
        (
            "Forecasters",
            FORECASTERS.iter().map(|entry| (versioned(entry.name, entry.version), entry.summary)).collect(),
        ),
        ("Rules", RULES.iter().map(|entry| (entry.name.to_owned(), entry.summary)).collect()),
    ]
}

fn time_intervals() -> impl Iterator<Item = String> {
    TimeInterval::all().map(|interval| Interval::Time(interval).to_string())
}

/// Every entry of the catalogue, with its default parameters.
fn defaults() -> impl Iterator<Item = (&'static Entry, Spec)> {
    catalogue::entries().map(|entry| {
        (entry, Spec::parse(entry.name).expect("each entry's defaults are held to its bounds by a test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::DEFAULT;
    use crate::app::layers::Layers;

    fn config() -> Config {
        let mut layers = Layers::default();
        layers.put_default(DEFAULT);
        layers.put_file("my.toml", "[venues.okx]\nsymbols = ['BTC-USDT']\n[learning]\nlisten = 'x'");
        Config::read(layers).unwrap()
    }

    #[test]
    fn text_and_object_tell_every_catalogue() {
        let (text, object) = (text(&config()), object(&config()).to_string());
        for entry in catalogue::entries() {
            assert!(text.contains(&format!("\n  {}", entry.name)), "{}", entry.name);
            assert!(object.contains(&format!("\"name\":\"{}\"", entry.name)), "{}", entry.name);
        }
        for part in [
            "okx:BTC-USDT",
            "crypto-com",
            "tick-run",
            "binance-agg-trades",
            "my.toml:2",
            "learning",
            "1w",
            &config().digest(),
        ] {
            assert!(text.contains(part), "text lacks {part}");
            assert!(object.contains(part), "object lacks {part}");
        }
    }

    #[test]
    fn the_examples_of_intervals_are_intervals() {
        for (example, _) in INFORMATION_INTERVALS {
            example.parse::<Interval>().unwrap();
        }
    }
}
