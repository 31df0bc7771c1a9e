//! The parameters of a generated market, as people write them, and what is wrong with them.
//!
//! Every field has a flag of `tapewatch generate` and a key in a file of the same name
//! (hyphens as underscores). The defaults make an hour of four realistic markets with a few
//! faults of every kind; [`Parameters::clean`] makes none.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::time::{LATEST_TRADE, UnixNanos};

/// The unit of the venue's clock: exchange times are whole numbers of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum ClockUnit {
    #[serde(rename = "ms")]
    #[value(name = "ms")]
    Millis,
    #[serde(rename = "us")]
    #[value(name = "us")]
    Micros,
    #[serde(rename = "ns")]
    #[value(name = "ns")]
    Nanos,
}

impl ClockUnit {
    pub fn nanos(self) -> i64 {
        match self {
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }
}

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Header `exchange_time,trade_id,price,quantity,taker_side`; one symbol a file.
    Csv,
    /// One JSON object a line, with its instrument; all symbols in one file.
    Jsonl,
    /// Binance's published trade files; one symbol a file.
    BinanceTrades,
    /// `<receive time> <frame>` of Binance's combined stream; all symbols in one file.
    BinanceRaw,
}

impl Layout {
    /// Whether a row tells its instrument, so that one file holds all symbols.
    pub fn names_instruments(self) -> bool {
        matches!(self, Self::Jsonl | Self::BinanceRaw)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::BinanceTrades => "binance-trades",
            Self::BinanceRaw => "binance-raw",
        }
    }
}

/// What to generate. Rates of rare things are per symbol; `0` switches a thing off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Same seed and parameters, same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Time of the beginning, RFC 3339
    #[arg(long, default_value = "2024-05-01T00:00:00Z")]
    pub start: String,
    /// Length of the market in seconds; 0: until --trades-per-symbol
    #[arg(long, default_value_t = 3_600)]
    pub duration_seconds: u64,
    /// Stop each symbol after as many trades, lost ones included; 0: no limit
    #[arg(long, default_value_t = 0)]
    pub trades_per_symbol: u64,
    /// Venue of all symbols
    #[arg(long, default_value = "binance")]
    pub venue: String,
    /// Symbols, BASE-QUOTE, each with a first price if wanted: BTC-USDT,WIF-USDT@2.85
    #[arg(long, value_delimiter = ',', default_values_t = default_symbols())]
    pub symbols: Vec<String>,
    /// How the rows are written
    #[arg(long = "layout", value_enum, default_value_t = Layout::Jsonl)]
    pub layout: Layout,
    /// Unit of the venue's clock
    #[arg(long, value_enum, default_value_t = ClockUnit::Millis)]
    pub clock_unit: ClockUnit,
    /// Id of the first trade of each symbol
    #[arg(long, default_value_t = 1_000_001)]
    pub first_id: u64,

    /// Mean trades a second and symbol
    #[arg(long, default_value_t = 2.0)]
    pub rate: f64,
    /// Mean number of orders that an order directly provokes (Hawkes branching ratio), below 1; 0: Poisson
    #[arg(long, default_value_t = 0.6)]
    pub branching: f64,
    /// How fast an order's provocation fades, per second
    #[arg(long, default_value_t = 1.5)]
    pub decay: f64,
    /// Share of trades that belong to an order with several fills at one time
    #[arg(long, default_value_t = 0.25)]
    pub burst_share: f64,
    /// Mean fills of such an order, at least 2
    #[arg(long, default_value_t = 4.0)]
    pub burst_trades: f64,
    /// Probability that an order is on the side of the one before; 0.5: no memory
    #[arg(long, default_value_t = 0.7)]
    pub side_persistence: f64,
    /// Tail exponent of trade sizes: smaller is heavier
    #[arg(long, default_value_t = 1.8)]
    pub size_tail: f64,

    /// Volatility of the price, a year, as a fraction
    #[arg(long, default_value_t = 0.6)]
    pub volatility: f64,
    /// Mean length of a volatility regime in seconds; 0: one regime
    #[arg(long, default_value_t = 600.0)]
    pub regime_seconds: f64,
    /// Mean price jumps an hour
    #[arg(long, default_value_t = 2.0)]
    pub jumps_per_hour: f64,
    /// Standard deviation of a jump, as a fraction of the price
    #[arg(long, default_value_t = 0.004)]
    pub jump_size: f64,
    /// Mean silences of the whole venue an hour
    #[arg(long, default_value_t = 1.0)]
    pub silences_per_hour: f64,
    /// Mean length of a silence in seconds
    #[arg(long, default_value_t = 45.0)]
    pub silence_seconds: f64,
    /// Mean pumps, crashes, volume bursts and wide spreads an hour, together
    #[arg(long, default_value_t = 0.0)]
    pub anomalies_per_hour: f64,

    /// Probability that ids begin to be missing at a trade
    #[arg(long, default_value_t = 0.000_5)]
    pub gap_rate: f64,
    /// Mean trades missing in a gap
    #[arg(long, default_value_t = 10.0)]
    pub gap_trades: f64,
    /// Probability that a trade is delivered twice
    #[arg(long, default_value_t = 0.002)]
    pub duplicate_rate: f64,
    /// Share of the copies that differ from the first
    #[arg(long, default_value_t = 0.05)]
    pub conflicting_share: f64,
    /// Probability that a trade is delivered late
    #[arg(long, default_value_t = 0.001)]
    pub late_rate: f64,
    /// Longest delay of a late trade in seconds; the shortest is one
    #[arg(long, default_value_t = 120.0)]
    pub late_seconds_max: f64,
}

fn default_symbols() -> Vec<String> {
    ["BTC-USDT", "ETH-USDT", "PEPE-USDT", "BTC-IDR"].map(str::to_owned).to_vec()
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            seed: 1,
            start: "2024-05-01T00:00:00Z".to_owned(),
            duration_seconds: 3_600,
            trades_per_symbol: 0,
            venue: "binance".to_owned(),
            symbols: default_symbols(),
            layout: Layout::Jsonl,
            clock_unit: ClockUnit::Millis,
            first_id: 1_000_001,
            rate: 2.0,
            branching: 0.6,
            decay: 1.5,
            burst_share: 0.25,
            burst_trades: 4.0,
            side_persistence: 0.7,
            size_tail: 1.8,
            volatility: 0.6,
            regime_seconds: 600.0,
            jumps_per_hour: 2.0,
            jump_size: 0.004,
            silences_per_hour: 1.0,
            silence_seconds: 45.0,
            anomalies_per_hour: 0.0,
            gap_rate: 0.000_5,
            gap_trades: 10.0,
            duplicate_rate: 0.002,
            conflicting_share: 0.05,
            late_rate: 0.001,
            late_seconds_max: 120.0,
        }
    }
}

impl Parameters {
    /// The defaults without faults of delivery, silences, jumps and regimes.
    pub fn clean() -> Self {
        Self {
            regime_seconds: 0.0,
            jumps_per_hour: 0.0,
            silences_per_hour: 0.0,
            anomalies_per_hour: 0.0,
            gap_rate: 0.0,
            duplicate_rate: 0.0,
            late_rate: 0.0,
            ..Self::default()
        }
    }

    /// What is wrong with single values, all at once; the symbols are checked where they are read.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut real = |key, value: f64, low: f64, high: f64, unit| {
            // Not-a-number lies in no range.
            if !(low..=high).contains(&value) {
                problems.push(Problem {
                    key,
                    value: value.to_string(),
                    allowed: format!("{low} to {high} {unit}"),
                });
            }
        };
        real("rate", self.rate, 1e-6, 1e6, "trades a second");
        real("branching", self.branching, 0.0, 0.98, "orders an order");
        real("decay", self.decay, 1e-3, 1e4, "a second");
        real("burst_share", self.burst_share, 0.0, 1.0, "of the trades");
        real("burst_trades", self.burst_trades, 2.0, 1_000.0, "trades");
        real("side_persistence", self.side_persistence, 0.0, 1.0, "(a probability)");
        real("size_tail", self.size_tail, 1.1, 10.0, "");
        real("volatility", self.volatility, 0.0, 100.0, "a year, as a fraction");
        real("regime_seconds", self.regime_seconds, 0.0, 1e8, "seconds");
        real("jumps_per_hour", self.jumps_per_hour, 0.0, 3_600.0, "an hour");
        real("jump_size", self.jump_size, 0.0, 0.3, "of the price");
        real("silences_per_hour", self.silences_per_hour, 0.0, 3_600.0, "an hour");
        real("silence_seconds", self.silence_seconds, 0.001, 86_400.0, "seconds");
        real("anomalies_per_hour", self.anomalies_per_hour, 0.0, 60.0, "an hour");
        real("gap_rate", self.gap_rate, 0.0, 1.0, "(a probability)");
        real("gap_trades", self.gap_trades, 1.0, 1e6, "trades");
        real("duplicate_rate", self.duplicate_rate, 0.0, 1.0, "(a probability)");
        real("conflicting_share", self.conflicting_share, 0.0, 1.0, "of the copies");
        real("late_rate", self.late_rate, 0.0, 1.0, "(a probability)");
        real("late_seconds_max", self.late_seconds_max, 1.0, 86_400.0, "seconds");
        if self.start_at().is_none() {
            problems.push(Problem {
                key: "start",
                value: format!("{:?}", self.start),
                allowed: "a time between 2009-01-03 and 2100, as 2024-05-01T00:00:00Z".to_owned(),
            });
        }
        // A recording beyond that is none that can be read; and it would fill any disk.
        let ends_in_time = |start: UnixNanos| {
            let nanos = i64::try_from(self.duration_seconds).ok().and_then(|s| s.checked_mul(1_000_000_000));
            nanos.and_then(|nanos| start.0.checked_add(nanos)).is_some_and(|end| end < LATEST_TRADE.0)
        };
        if self.start_at().is_some_and(|start| !ends_in_time(start)) {
            problems.push(Problem {
                key: "duration_seconds",
                value: self.duration_seconds.to_string(),
                allowed: "what ends before 2101".to_owned(),
            });
        }
        if self.duration_seconds == 0 && self.trades_per_symbol == 0 {
            problems.push(Problem {
                key: "duration_seconds",
                value: "0".to_owned(),
                allowed: "above 0 seconds, unless trades_per_symbol is".to_owned(),
            });
        }
        let under_way =
            self.rate * (self.late_rate * self.late_seconds_max + self.duplicate_rate * COPY_SECONDS_MAX);
        if under_way > UNDER_WAY_MAX {
            problems.push(Problem {
                key: "late_rate",
                value: self.late_rate.to_string(),
                allowed: format!(
                    "less at this rate: at most {UNDER_WAY_MAX} late trades and copies of a symbol are kept until they arrive"
                ),
            });
        }
        if self.first_id > FIRST_ID_MAX {
            problems.push(Problem {
                key: "first_id",
                value: self.first_id.to_string(),
                allowed: format!("0 to {FIRST_ID_MAX}"),
            });
        }
        if self.symbols.is_empty() {
            problems.push(Problem {
                key: "symbols",
                value: "nothing".to_owned(),
                allowed: "at least one BASE-QUOTE".to_owned(),
            });
        }
        problems
    }

    /// The beginning; `None` where it is no time that a trade can have.
    pub(super) fn start_at(&self) -> Option<UnixNanos> {
        UnixNanos::parse_iso(self.start.as_bytes()).ok()?.plausible().ok()
    }
}

/// Longest time between a trade and its copy.
pub(super) const COPY_SECONDS_MAX: f64 = 30.0;

/// Memory for what is under way is bounded by this, on average.
const UNDER_WAY_MAX: f64 = 1e6;

/// Leaves room to count up for ever.
const FIRST_ID_MAX: u64 = 1 << 62;

/// One value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub key: &'static str,
    pub value: String,
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, allowed is {}", self.key, self.value, self.allowed.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        parameters: Parameters,
    }

    #[test]
    fn the_defaults_are_the_same_everywhere() {
        let flags = Command::parse_from(["generate"]).parameters;
        assert_eq!(flags, Parameters::default());
        assert_eq!(toml::from_str::<Parameters>("").unwrap(), Parameters::default());
        assert_eq!(Parameters::default().problems(), []);
        assert_eq!(Parameters::clean().problems(), []);
    }

    #[test]
    fn the_documentation_lists_every_flag_with_its_default() {
        use clap::CommandFactory;

        let page = include_str!("../../../docs/generator.md");
        let command = Command::command();
        let mut flags = 0;
        for argument in command.get_arguments() {
            let Some(flag) = argument.get_long().filter(|flag| *flag != "help") else { continue };
            let defaults: Vec<_> =
                argument.get_default_values().iter().map(|v| v.to_str().unwrap()).collect();
            let row = format!("| `--{flag}` | {} |", defaults.join(","));
            assert!(page.contains(&row), "docs/generator.md has no row that begins {row:?}");
            flags += 1;
        }
        assert!(flags > 25);
    }

    #[test]
    fn flags_and_keys_say_the_same() {
        let flags = Command::parse_from([
            "generate",
            "--symbols",
            "BTC-USDT,WIF-USDT@2.85",
            "--clock-unit",
            "us",
            "--layout",
            "binance-raw",
            "--rate",
            "0.5",
        ]);
        let keys = r#"
            symbols = ["BTC-USDT", "WIF-USDT@2.85"]
            clock_unit = "us"
            layout = "binance-raw"
            rate = 0.5
        "#;
        assert_eq!(flags.parameters, toml::from_str(keys).unwrap());
        assert!(toml::from_str::<Parameters>("rates = 1.0").is_err());
    }

    #[test]
    fn every_bad_value_is_told_at_once() {
        let parameters = Parameters {
            rate: f64::NAN,
            branching: 1.0,
            start: "yesterday".to_owned(),
            duration_seconds: 0,
            symbols: vec![],
            gap_rate: -0.1,
            late_seconds_max: f64::INFINITY,
            first_id: u64::MAX,
            ..Parameters::default()
        };
        let busy = Parameters { rate: 1e6, late_rate: 0.5, ..Parameters::default() };
        assert_eq!(busy.problems().len(), 1);
        let told: Vec<String> = parameters.problems().iter().map(ToString::to_string).collect();
        let keys: Vec<&str> = told.iter().map(|t| t.split(' ').next().unwrap()).collect();
        assert_eq!(
            keys,
            [
                "rate",
                "branching",
                "gap_rate",
                "late_seconds_max",
                "start",
                "duration_seconds",
                "first_id",
                "symbols"
            ]
        );
        assert_eq!(told[1], "branching is 1, allowed is 0 to 0.98 orders an order");
    }
}
