//! The configuration: what the keys of `config/default.toml` mean, checked.
//!
//! [`Config::read`] turns layers of settings into values that need no further check, or says
//! everything that is wrong with them at once. The embedded file is the one place where
//! defaults stand.

mod divergence;
mod intelligence;
mod reading;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt, fs, io};

use crate::alerts::config::AlertConfig;
use crate::analytics::catalogue::Spec;
use crate::analytics::intelligence::IntelligencePlan;
use crate::analytics::pipeline::Settings;
use crate::api::config::ApiConfig;
use crate::api::feed::config::FeedConfig;
use crate::app::layers::{Layers, Origin, Problem, Value};
use crate::app::quantity;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::venue::{self, Venue};
use crate::engine::config::LiveConfig;
use crate::journal::retention::Keep;
use crate::storage::config::StorageConfig;
use crate::venues::config::{Feed, Mode, VenueConfig};

pub mod alerts;
pub mod api;
pub mod feed;
pub mod live;
pub mod storage;

/// What `tapewatch config` prints.
pub const DEFAULT: &str = include_str!("../../../config/default.toml");

/// Every key; `*` stands for the name of a venue.
const KEYS: [&str; 28] = [
    "data_dir",
    "engine.grace",
    "engine.indicators",
    "engine.intervals",
    "engine.shards",
    "intelligence.alerts_per_day",
    "intelligence.all_models",
    "intelligence.detectors",
    "intelligence.divergence.interval",
    "intelligence.divergence.patience",
    "intelligence.divergence.quotes",
    "intelligence.forecasters",
    "intelligence.horizons",
    "intelligence.interval_method",
    "intelligence.intervals",
    "intelligence.mixing",
    "intelligence.rules",
    "intelligence.rules.*.*",
    "intelligence.rules.chosen",
    "journal.keep",
    "journal.keep_bytes",
    "log.format",
    "log.level",
    "venues.*.feed",
    "venues.*.mode",
    "venues.*.rest_url",
    "venues.*.symbols",
    "venues.*.ws_url",
];

/// The keys of each table that has a file of its own; a new one adds a line here, a field to
/// [`Config`] and its `read` to [`Config::read`].
const TABLES: [&[&str]; 6] = [&KEYS, &alerts::KEYS, &api::KEYS, &feed::KEYS, &live::KEYS, &storage::KEYS];

/// Tables of commands that this version does not have: a file may hold them, nobody reads them.
const UNREAD_TABLES: [&str; 1] = ["learning"];

const SHARDS_MAX: u64 = 1_024;
const INTERVALS_MAX: usize = 64;
const GRACE_MAX: Duration = Duration::from_secs(86_400);
const KEEP_MIN: Duration = Duration::from_secs(86_400);
const KEEP_BYTES_MIN: u64 = 64 << 20;
/// More is no configuration, whatever it is.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub engine: EngineConfig,
    pub live: LiveConfig,
    /// In order of venue.
    pub venues: Vec<VenueConfig>,
    pub journal: JournalConfig,
    pub log: LogConfig,
    pub alerts: AlertConfig,
    pub api: ApiConfig,
    pub feed: FeedConfig,
    pub storage: StorageConfig,
    layers: Layers,
}

/// What is computed, and on how many threads.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// `None`: as many as there are cores.
    pub shards: Option<usize>,
    pub grace: Duration,
    /// Ascending, no repeats, at least one.
    pub intervals: Vec<Interval>,
    /// As given, no repeats.
    pub indicators: Vec<Spec>,
    pub intelligence: IntelligencePlan,
}

/// How much of the journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    pub keep: Duration,
    pub keep_bytes: u64,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub is_json: bool,
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Everything that is wrong with a configuration, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigError(pub Vec<Problem>);

/// A setting given on the command line: the key, the flag, the text.
pub type FlagSetting = (&'static str, &'static str, String);

impl Config {
    /// Reads all layers: the default, the file where one is named, `.env` in the working
    /// directory, the environment, the flags.
    pub fn load(file: Option<&Path>, flags: &[FlagSetting]) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        layers.put_default(DEFAULT);
        if let Some(path) = file {
            layers.put_file(&path.display().to_string(), &read_text(path)?);
        }
        match read_text(Path::new(".env")) {
            Ok(text) => layers.put_dotenv(&text),
            Err(_) if !Path::new(".env").exists() => {}
            Err(error) => return Err(error),
        }
        layers.put_environment(env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        }));
        for (key, flag, text) in flags {
            layers.put_flag(key, flag, text);
        }
        Self::read(layers)
    }

    /// Reads the configuration under which a journal was made, as it was recorded there: the
    /// environment of today has no say in it, a file that is named and the flags do.
    pub fn recorded(
        journal: &str,
        text: &str,
        file: Option<&Path>,
        flags: &[FlagSetting],
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        layers.put_default(DEFAULT);
        layers.put_file(&format!("{journal} (recorded)"), text);
        if let Some(path) = file {
            layers.put_file(&path.display().to_string(), &read_text(path)?);
        }
        for (key, flag, text) in flags {
            layers.put_flag(key, flag, text);
        }
        Self::read(layers)
    }

    /// Checks the layers; the embedded default must be the lowest.
    pub fn read(mut layers: Layers) -> Result<Self, ConfigError> {
        refuse_unknown(&mut layers);
        let data_dir = read_data_dir(&mut layers);
        let engine = read_engine(&mut layers);
        let live = live::read(&mut layers);
        let venues = read_venues(&mut layers);
        let journal = read_journal(&mut layers);
        let log = read_log(&mut layers);
        let alerts = alerts::read(&mut layers);
        let api = api::read(&mut layers, data_dir.as_deref());
        let feed = feed::read(&mut layers);
        let storage = storage::read(&mut layers);
        match (data_dir, engine, live, journal, log, alerts, api, feed, storage) {
            (
                Some(data_dir),
                Some(engine),
                Some(live),
                Some(journal),
                Some(log),
                Some(alerts),
                Some(api),
                Some(feed),
                Some(storage),
            ) if layers.problems().is_empty() => {
                let keep = Keep { age: Some(journal.keep), bytes: Some(journal.keep_bytes) };
                let live = LiveConfig { keep, ..live };
                Ok(Self { data_dir, engine, live, venues, journal, log, alerts, api, feed, storage, layers })
            }
            _ => Err(ConfigError(layers.into_problems())),
        }
    }

    /// A hash of all that can change a result: equal digests, equal results for equal inputs.
    ///
    /// BLAKE3 over `grace_ns=..`, `intervals=..`, `indicators=..` and `intelligence=..`, each on a line, the lists
    /// in order and without repeats, so that it does not depend on how they were written.
    pub fn digest(&self) -> String {
        blake3::hash(self.engine.canonical().as_bytes()).to_hex().to_string()
    }

    /// Each key with its value as written, and where that came from.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &Value, &Origin)> {
        self.layers.iter().map(|(key, setting)| (key, &setting.value, &setting.origin))
    }

    /// Tables that are there, and that no command of this version reads.
    pub fn unread_tables(&self) -> BTreeSet<&'static str> {
        let table = |key: &str| UNREAD_TABLES.into_iter().find(|&table| first_part(key) == table);
        self.layers.iter().filter_map(|(key, _)| table(key)).collect()
    }
}

impl EngineConfig {
    /// What each instrument's pipeline computes.
    pub fn settings(&self) -> Settings {
        let grace_nanos = i64::try_from(self.grace.as_nanos()).expect("grace is at most a day");
        let intelligence = self.intelligence.clone();
        Settings { intelligence, ..Settings::new(&self.intervals, &self.indicators, grace_nanos) }
    }

    /// What a journal records of it: a replay of the journal computes the same.
    pub fn recorded(&self) -> String {
        let quoted = |items: Vec<String>| {
            let items: Vec<_> = items.iter().map(|item| format!("\"{item}\"")).collect();
            items.join(", ")
        };
        let texts = |items: &[Interval]| quoted(items.iter().map(ToString::to_string).collect());
        let plan = &self.intelligence;
        format!(
            "[engine]\ngrace = \"{}\"\nintervals = [{}]\nindicators = [{}]\n\
             [intelligence]\nintervals = [{}]\ndetectors = [{}]\nforecasters = [{}]\nhorizons = {:?}\n\
             alerts_per_day = {}\nall_models = {}\ninterval_method = \"{}\"\nmixing = \"{}\"\n{}",
            quantity::print_duration(self.grace),
            texts(&self.intervals),
            quoted(self.indicators.iter().map(ToString::to_string).collect()),
            texts(&plan.intervals),
            quoted(plan.detector_names().map(str::to_owned).collect()),
            quoted(plan.forecasters().map(|entry| entry.name.to_owned()).collect()),
            plan.forecasts.horizons,
            plan.alerts_per_day,
            plan.forecasts.all_models,
            plan.forecasts.manner.bounds.name(),
            plan.forecasts.manner.mixing.name(),
            intelligence::recorded_rules(&plan.rules),
        ) + &plan
            .across
            .as_ref()
            .map_or(String::new(), |across| divergence::recorded(across, &plan.intervals))
    }

    fn canonical(&self) -> String {
        let intervals: Vec<_> = self.intervals.iter().map(ToString::to_string).collect();
        let mut indicators: Vec<_> = self.indicators.iter().map(ToString::to_string).collect();
        indicators.sort();
        format!(
            "grace_ns={}\nintervals={}\nindicators={}\nintelligence={}\n",
            self.grace.as_nanos(),
            intervals.join(" "),
            indicators.join(" "),
            self.intelligence.canonical()
        )
    }
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl ConfigError {
    /// For what is wrong with a file as a whole.
    fn of_file(path: &Path, message: impl fmt::Display) -> Self {
        let origin = Origin::File { name: path.display().to_string(), line: None };
        Self(vec![Problem { origin, key: String::new(), value: None, message: message.to_string() }])
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let fail = |error: io::Error| ConfigError::of_file(path, format!("cannot be read: {error}"));
    let metadata = fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Err(ConfigError::of_file(path, "is not a file"));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(ConfigError::of_file(path, format!("is larger than {FILE_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path).map_err(fail)
}

fn keys() -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().flatten().copied()
}

fn refuse_unknown(layers: &mut Layers) {
    let unknown: Vec<String> = layers
        .iter()
        .map(|(key, _)| key)
        .filter(|key| !keys().any(|known| matches(known, key)) && !UNREAD_TABLES.contains(&first_part(key)))
        // An empty table is a mistake only where no key could stand in it.
        .filter(|key| !is_known_table(layers, key))
        .map(str::to_owned)
        .collect();
    for key in unknown {
        layers.complain(&key, format!("unknown key; {}", allowed_beside(&key)));
    }
}

fn is_known_table(layers: &Layers, key: &str) -> bool {
    layers.get(key).is_some_and(|setting| setting.value == Value::EmptyTable)
        && keys().any(|known| {
            let depth = key.split('.').count();
            let parts: Vec<_> = known.split('.').collect();
            parts.len() > depth && matches(&parts[..depth].join("."), key)
        })
}

/// Whether the key is one of those that the pattern names.
fn matches(pattern: &str, key: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('.'), key.split('.'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if pattern == "*" || pattern == part => {}
            _ => return false,
        }
    }
}

/// What may stand where the unknown key stands.
fn allowed_beside(key: &str) -> String {
    let parts: Vec<_> = key.split('.').collect();
    // The longest beginning of the key that is known.
    let depth =
        (0..parts.len()).rev().find(|&depth| keys().any(|known| begins(known, &parts[..depth]))).unwrap_or(0);
    let names: BTreeSet<&str> = keys()
        .filter(|known| begins(known, &parts[..depth]))
        .filter_map(|known| known.split('.').nth(depth))
        .collect();
    let any = if parts[0] == "intelligence" { "the name of a rule" } else { "the name of a venue" };
    let names: Vec<_> = names.into_iter().map(|name| if name == "*" { any } else { name }).collect();
    let place =
        if depth == 0 { "at the top".to_owned() } else { format!("in [{}]", parts[..depth].join(".")) };
    format!("allowed {place}: {}", names.join(", "))
}

/// Whether the known key is longer than the parts and begins with them.
fn begins(known: &str, parts: &[&str]) -> bool {
    let known: Vec<_> = known.split('.').collect();
    known.len() > parts.len() && known.iter().zip(parts).all(|(known, part)| *known == "*" || known == part)
}

fn first_part(key: &str) -> &str {
    key.split_once('.').map_or(key, |(first, _)| first)
}

fn read_data_dir(layers: &mut Layers) -> Option<PathBuf> {
    let text = layers.text("data_dir")?;
    if text.is_empty() {
        layers.complain("data_dir", "must name a directory");
        return None;
    }
    Some(text.into())
}

fn read_engine(layers: &mut Layers) -> Option<EngineConfig> {
    let shards = layers.whole("engine.shards", SHARDS_MAX).map(|n| (n > 0).then_some(n as usize));
    let grace = reading::duration(layers, "engine.grace", Duration::ZERO, GRACE_MAX);
    let intervals = reading::items(layers, "engine.intervals", |text| text.parse::<Interval>());
    let indicators = reading::items(layers, "engine.indicators", Spec::parse);
    let intervals = intervals.and_then(|mut intervals| {
        intervals.sort_unstable();
        intervals.dedup();
        if (1..=INTERVALS_MAX).contains(&intervals.len()) {
            return Some(intervals);
        }
        layers.complain("engine.intervals", format!("must name 1 to {INTERVALS_MAX} intervals"));
        None
    });
    let indicators = indicators.map(|specs| {
        let mut seen = BTreeSet::new();
        specs.into_iter().filter(|spec| seen.insert(spec.to_string())).collect()
    });
    let intelligence = intelligence::read(layers, intervals.as_deref().unwrap_or_default());
    Some(EngineConfig {
        shards: shards?,
        grace: grace?,
        intervals: intervals?,
        indicators: indicators?,
        intelligence: intelligence?,
    })
}

fn read_venues(layers: &mut Layers) -> Vec<VenueConfig> {
    let names: BTreeSet<String> = layers
        .iter()
        .filter_map(|(key, _)| key.strip_prefix("venues."))
        .map(|rest| first_part(rest).to_owned())
        .collect();
    names.into_iter().filter_map(|name| read_venue(layers, &name)).collect()
}

fn read_venue(layers: &mut Layers, name: &str) -> Option<VenueConfig> {
    let key = |last: &str| format!("venues.{name}.{last}");
    let known = venue::KNOWN.iter().any(|(known, _)| *known == name);
    let Some(venue) = Venue::new(name).ok().filter(|_| known) else {
        let names = venue::KNOWN.map(|(name, _)| name).join(", ");
        // The table has no setting of its own: its first key tells the line.
        let prefix = format!("venues.{name}");
        let place = layers.iter().map(|(key, _)| key).find(|key| {
            key.strip_prefix(&prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let place = place.unwrap_or(&prefix).to_owned();
        layers.complain(&place, format!("venue {name} is unknown; allowed are {names}"));
        return None;
    };

    let symbols = key("symbols");
    let instruments = if layers.get(&symbols).is_some() {
        let items = reading::items(layers, &symbols, |text| Instrument::new(venue.clone(), text));
        if items.as_ref().is_some_and(Vec::is_empty) {
            layers.complain(&symbols, "must name at least one symbol, BASE-QUOTE");
        }
        items
    } else {
        layers.complain(&symbols, "is missing; it names at least one symbol, BASE-QUOTE");
        None
    };
    let mode =
        reading::word(layers, &key("mode"), &[("ws", Mode::Ws), ("rest", Mode::Rest), ("both", Mode::Both)]);
    let ws_url = reading::url(layers, &key("ws_url"), &["wss://", "ws://"]);
    let rest_url = reading::url(layers, &key("rest_url"), &["https://", "http://"]);
    let feed =
        reading::word(layers, &key("feed"), &[("advanced", Feed::Advanced), ("exchange", Feed::Exchange)]);
    if name != "coinbase" && layers.get(&key("feed")).is_some() {
        layers.complain(&key("feed"), "only coinbase has a choice of feeds");
    }

    let mut seen = BTreeSet::new();
    let instruments = instruments?.into_iter().filter(|instrument| seen.insert(instrument.clone())).collect();
    Some(VenueConfig { venue, instruments, mode: mode.unwrap_or(Mode::Ws), ws_url, rest_url, feed })
}

fn read_journal(layers: &mut Layers) -> Option<JournalConfig> {
    let keep = reading::duration(layers, "journal.keep", KEEP_MIN, Duration::MAX);
    let keep_bytes = layers.text("journal.keep_bytes").and_then(|text| match quantity::parse_bytes(&text) {
        Ok(bytes) if bytes >= KEEP_BYTES_MIN => Some(bytes),
        Ok(_) => {
            let min = quantity::print_bytes(KEEP_BYTES_MIN);
            layers.complain("journal.keep_bytes", format!("must be at least {min}"));
            None
        }
        Err(error) => {
            layers.complain("journal.keep_bytes", error.to_string());
            None
        }
    });
    Some(JournalConfig { keep: keep?, keep_bytes: keep_bytes? })
}

fn read_log(layers: &mut Layers) -> Option<LogConfig> {
    let is_json = reading::word(layers, "log.format", &[("pretty", false), ("json", true)]);
    let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
    let level = reading::word(layers, "log.level", &levels.map(|level| (level.name(), level)));
    Some(LogConfig { is_json: is_json?, level: level? })
}

/// What is printed of a file that is no configuration at all.
const PROBLEMS_PRINTED_MAX: usize = 100;

fn lines(problems: &[Problem]) -> String {
    // Each once: a list may hold the same mistake twice.
    let mut seen = BTreeSet::new();
    let mut lines: Vec<String> =
        problems.iter().map(ToString::to_string).filter(|line| seen.insert(line.clone())).collect();
    let more = lines.len().saturating_sub(PROBLEMS_PRINTED_MAX);
    if more > 0 {
        lines.truncate(PROBLEMS_PRINTED_MAX);
        lines.push(format!("and {more} problems more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers_with(file: &str) -> Layers {
        let mut layers = Layers::default();
        layers.put_default(DEFAULT);
        layers.put_file("my.toml", file);
        layers
    }

    fn check_refused(file: &str, expected: &[&str]) {
        let error = Config::read(layers_with(file)).expect_err(file);
        let printed = error.to_string();
        let lines: Vec<_> = printed.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{file}: {lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "{file}: {line:?} lacks {expected:?}");
        }
    }

    #[test]
    fn the_embedded_default_is_sound_and_complete() {
        let mut layers = Layers::default();
        layers.put_default(DEFAULT);
        let config = Config::read(layers).unwrap();
        assert_eq!(config.data_dir, Path::new("data"));
        assert_eq!(config.engine.shards, None);
        assert_eq!(config.engine.grace, Duration::from_secs(2));
        assert_eq!(config.engine.intervals.len(), 4);
        assert_eq!(config.engine.indicators.len(), 5);
        assert_eq!(config.journal.keep, Duration::from_secs(7 * 86_400));
        assert_eq!(config.journal.keep_bytes, 50_000_000_000);
        assert_eq!(config.log, LogConfig { is_json: false, level: Level::Info });
        assert!(config.venues.is_empty());
        // A list of rules and tables of rules cannot stand in one file: `chosen` is told in words.
        for key in keys().filter(|key| !key.starts_with("intelligence.rules.")) {
            let last = key.rsplit('.').next().unwrap();
            let is_there =
                DEFAULT.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{last} = ")));
            assert!(is_there, "config/default.toml does not tell {key}");
        }
    }

    #[test]
    fn the_examples_of_the_default_are_sound_too() {
        let examples: String = DEFAULT
            .lines()
            .skip_while(|line| !line.starts_with("# [venues"))
            .take_while(|line| line.starts_with('#'))
            .map(|line| format!("{}\n", line.trim_start_matches('#').trim_start()))
            .collect();
        let config = Config::read(layers_with(&examples)).unwrap();
        assert_eq!(config.venues.len(), 2);
        assert_eq!(config.venues[0].instruments[1].to_string(), "binance:ETH-USDT");
        assert_eq!(config.venues[0].mode, Mode::Ws);
        assert_eq!(config.venues[1].feed, Some(Feed::Advanced));
    }

    #[test]
    fn all_problems_are_told_at_once_with_key_value_unit_and_line() {
        check_refused(
            "data_dir = ''\n[engine]\nshards = -1\ngrace = '2'\nintervals = ['1m', '7m']\nindicators = ['nope(3)']\n\
             [journal]\nkeep = '1h'\nkeep_bytes = '50gb'\n[log]\nlevel = 'loud'\nformat = 3",
            &[
                "my.toml:1: data_dir = \"\": must name a directory",
                "my.toml:3: engine.shards = -1: must be a whole number from 0 to 1024",
                "my.toml:4: engine.grace = \"2\": a duration is a whole number and a unit",
                "my.toml:5: engine.intervals = [\"1m\", \"7m\"]: interval \"7m\" is unknown",
                "my.toml:6: engine.indicators = [\"nope(3)\"]: indicator \"nope(3)\" is unknown",
                "my.toml:8: journal.keep = \"1h\": must be at least 1d",
                "my.toml:9: journal.keep_bytes = \"50gb\": a size is a whole number and a unit",
                "my.toml:12: log.format = 3: must be text in quotes",
                "my.toml:11: log.level = \"loud\": must be one of error, warn, info, debug, trace",
            ],
        );
    }

    #[test]
    fn unknown_keys_are_told_what_is_allowed() {
        check_refused(
            "[engine]\ngraze = '2s'",
            &[
                "my.toml:2: engine.graze = \"2s\": unknown key; allowed in [engine]: drain_deadline, grace, inbox_capacity, indicators, intervals, shards, snapshot_interval",
            ],
        );
        check_refused(
            "dir = 'x'",
            &[
                "my.toml:1: dir = \"x\": unknown key; allowed at the top: alerts, api, data_dir, engine, intelligence, journal, log, storage, venues",
            ],
        );
        check_refused(
            "[engin]",
            &["[engin] = <an empty table>"].map(|_| "engin = <an empty table>: unknown key"),
        );
        check_refused(
            "[venues.binance]\nsymbols = ['A-B']\nurl = 'x'",
            &["allowed in [venues.binance]: feed, mode, rest_url, symbols, ws_url"],
        );
        check_refused("engine = 3", &["my.toml:1: engine = 3: unknown key; allowed at the top"]);
        check_refused("[engine.grace]\nx = 1", &["engine.grace.x = 1: unknown key; allowed in [engine]"]);
    }

    #[test]
    fn venues_are_checked() {
        check_refused(
            "[venues.binanze]\nsymbols = ['BTC-USDT']",
            &[
                "my.toml:2: venues.binanze.symbols = [\"BTC-USDT\"]: venue binanze is unknown; allowed are binance, ",
            ],
        );
        check_refused("[venues.okx]", &["venues.okx.symbols: is missing"]);
        check_refused("[venues.okx]\nsymbols = []", &["must name at least one symbol"]);
        check_refused(
            "[venues.okx]\nsymbols = ['btc', 'A-B']\nmode = 'x'\nws_url = 'https://a'\nrest_url = 'http://'\nfeed = 'advanced'",
            &[
                "symbol \"btc\" is not of the form BASE-QUOTE",
                "must be one of ws, rest, both",
                "must begin with wss:// or ws:// and name a host",
                "must begin with https:// or http:// and name a host",
                "only coinbase has a choice of feeds",
            ],
        );
    }

    #[test]
    fn rules_are_set_and_checked() {
        let config = Config::read(layers_with(
            "[intelligence.rules]\nchosen = ['direction', 'anomaly']\n[intelligence.rules.direction]\nfee_bp = 7.5\ncooldown = 3",
        ));
        let rules = config.unwrap().engine.intelligence.rules;
        let words: Vec<_> = rules.iter().map(|rule| rule.canonical()).collect();
        assert_eq!(words, ["anomaly", "direction(cooldown=3,fee_bp=7.5)"]);

        check_refused(
            "[intelligence.rules]\nchosen = ['breakout', 'average_cross', 'nope']\n[intelligence.rules.breakout]\nwindow = 1\nmargin = 'x'\n\
             severity = 'loud'\nheight = 3\n[intelligence.rules.average_cross]\nfast = 90\nslow = 2.5\n[intelligence.rules.brakeout]\nwindow = 5",
            &[
                "my.toml:2: intelligence.rules.chosen = [\"breakout\", \"average_cross\", \"nope\"]: \"nope\" is unknown; allowed are anomaly, ",
                "my.toml:12: intelligence.rules.brakeout.window = 5: rule brakeout is unknown; allowed are anomaly, ",
                "my.toml:7: intelligence.rules.breakout.height = 3: unknown key; allowed in [intelligence.rules.breakout]: severity, cooldown, hysteresis, window, margin, volume",
                "my.toml:10: intelligence.rules.average_cross.slow = 2.5: must be a whole number from 2 to 10000",
                "my.toml:6: intelligence.rules.breakout.severity = \"loud\": must be one of info, warning, critical",
                "my.toml:4: intelligence.rules.breakout.window = 1: must be a whole number from 2 to 10000",
                "my.toml:5: intelligence.rules.breakout.margin = \"x\": must be a number from 0 to 100",
            ],
        );
        check_refused(
            "[intelligence.rules.breakout]\nwindow = 50",
            &[
                "my.toml:2: intelligence.rules.breakout.window = 50: rule breakout is set and not chosen; name it in `chosen`",
            ],
        );
        check_refused(
            "[intelligence.rules]\nchosen = ['average_cross']\n[intelligence.rules.average_cross]\nfast = 90",
            &["my.toml:4: intelligence.rules.average_cross.fast = 90: `fast` must be below `slow`"],
        );
    }

    #[test]
    fn the_higher_layer_chooses_the_rules() {
        let mut layers = layers_with("[intelligence.rules]\nchosen = ['breakout']");
        layers.put_environment([("TAPEWATCH__INTELLIGENCE__RULES".to_owned(), "anomaly".to_owned())]);
        let rules = Config::read(layers).unwrap().engine.intelligence.rules;
        assert_eq!(rules.iter().map(|rule| rule.entry.name).collect::<Vec<_>>(), ["anomaly"]);
    }

    #[test]
    fn the_embedded_default_tells_every_parameter_of_every_rule() {
        for entry in crate::analytics::signals::RULES {
            let head = format!("# [intelligence.rules.{}]", entry.name);
            let table: Vec<&str> = DEFAULT
                .lines()
                .skip_while(|line| *line != head)
                .skip(1)
                .take_while(|line| !line.starts_with("# ["))
                .collect();
            let check = |name: &str, value: String| {
                let line = format!("# {name} = {value}");
                assert!(table.iter().any(|told| told.split("  ").next() == Some(&*line)), "{head}: {line}");
            };
            check("severity", format!("\"{}\"", entry.severity.name()));
            for parameter in entry.parameters {
                check(parameter.name, parameter.default.to_string());
            }
        }
    }

    #[test]
    fn tables_of_other_versions_are_noticed() {
        let config = Config::read(layers_with("[learning]\na = 1"));
        assert_eq!(config.unwrap().unread_tables().into_iter().collect::<Vec<_>>(), ["learning"]);
    }

    #[test]
    fn what_is_no_configuration_is_told_within_bounds() {
        let file: String = (0..10_000).map(|i| format!("key_{i} = {i}\n")).collect();
        let printed = Config::read(layers_with(&file)).unwrap_err().to_string();
        assert_eq!(printed.lines().count(), PROBLEMS_PRINTED_MAX + 1);
        assert!(printed.ends_with("and 9900 problems more"), "{printed}");
    }

    #[test]
    fn an_empty_known_table_is_fine() {
        Config::read(layers_with("[engine]\n[log]")).unwrap();
    }

    #[test]
    fn what_is_recorded_means_the_same() {
        for file in [
            "",
            "[engine]\ngrace = '0s'\nintervals = ['1s', 'volume:0.5']\nindicators = ['macd(5,9,3)']",
            "[intelligence]\nhorizons = [2]\nrules = []\nintervals = ['5m']",
            "[intelligence.rules]\nchosen = ['breakout', 'data_quality']\n[intelligence.rules.breakout]\nwindow = 20\nmargin = 0.25\nseverity = 'critical'",
        ] {
            let config = Config::read(layers_with(file)).unwrap();
            let recorded = config.engine.recorded();
            let again = Config::recorded("journal", &recorded, None, &[]).unwrap();
            assert_eq!(again.digest(), config.digest(), "{recorded}");
            assert_eq!(again.engine.settings().fingerprint(), config.engine.settings().fingerprint());
        }
    }

    #[test]
    fn the_digest_depends_on_meaning_alone() {
        let digest = |file: &str| Config::read(layers_with(file)).unwrap().digest();
        let plain = "[engine]\ngrace = '2s'\nintervals = ['1s', '1m', '1h']\nindicators = ['sma(5)', 'sma']";
        assert_eq!(digest(plain).len(), 64);
        assert_eq!(
            digest(
                "data_dir = 'elsewhere'\n[engine]\nshards = 3\ngrace = '2000ms'\n\
                 intervals = ['1h', '1s', '1m', '1m']\nindicators = ['sma( 20 )', 'sma(5)', 'sma']"
            ),
            digest(plain)
        );
        for (from, to) in [("2s", "3s"), ("'1h'", "'4h'"), ("sma(5)", "sma(6)")] {
            assert_ne!(digest(&plain.replace(from, to)), digest(plain), "{to}");
        }
    }

    #[test]
    fn flags_win_and_are_named() {
        let mut layers = layers_with("[engine]\nintervals = ['1h']");
        layers.put_environment([("TAPEWATCH__ENGINE__INTERVALS".to_owned(), "5m".to_owned())]);
        layers.put_flag("engine.intervals", "--intervals", "1m,ticks:100");
        let config = Config::read(layers).unwrap();
        let intervals: Vec<_> = config.engine.intervals.iter().map(ToString::to_string).collect();
        assert_eq!(intervals, ["1m", "ticks:100"]);

        let mut layers = layers_with("");
        layers.put_flag("engine.intervals", "--intervals", "");
        let error = Config::read(layers).unwrap_err().to_string();
        assert_eq!(error, "--intervals: engine.intervals = \"\": must name 1 to 64 intervals");
    }

    #[test]
    fn files_that_are_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let check = |path: &Path, part: &str| {
            let error = Config::load(Some(path), &[]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(&folder.path().join("absent.toml"), "cannot be read");
        check(folder.path(), "is not a file");
        let path = folder.path().join("binary.toml");
        fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
        check(&path, "cannot be read");
    }
}
