//! A number by which a rule can be tuned, and what it may be.

/// A number by which a rule can be tuned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleParameter {
    /// Lower-case: `cooldown`.
    pub name: &'static str,
    /// What it is, with its unit; a fragment for people.
    pub summary: &'static str,
    pub default: f64,
    pub min: f64,
    pub max: f64,
    /// Whether only whole numbers are allowed.
    pub whole: bool,
}

impl RuleParameter {
    /// Candles from one telling to the next, at least.
    pub const fn cooldown(default: u32) -> Self {
        Self::count("cooldown", "candles from one signal to the next, at least", default, 0)
    }

    /// Candles after which something that went on counts as over, or has come to stay.
    pub const fn hysteresis(default: u32) -> Self {
        Self::count("hysteresis", "candles in a row until a change counts", default, 1)
    }

    /// A whole number, at most 10,000.
    pub const fn count(name: &'static str, summary: &'static str, default: u32, min: u32) -> Self {
        Self { name, summary, default: default as f64, min: min as f64, max: 10_000.0, whole: true }
    }

    pub const fn number(name: &'static str, summary: &'static str, default: f64, min: f64, max: f64) -> Self {
        Self { name, summary, default, min, max, whole: false }
    }

    /// Whether the rule can work with it.
    pub fn allows(&self, value: f64) -> bool {
        (self.min..=self.max).contains(&value) && (!self.whole || value.trunc() == value)
    }
}
