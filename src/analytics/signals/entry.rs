//! A member of the family: how the catalogue knows a rule, and how somebody set it.
//!
//! Both in one file, as neither can be said without the other: an entry checks and builds what is set, and what is
//! set is the numbers that an entry allows.

use std::fmt::Write;

use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::rule::Rule;
use crate::domain::insight::{Severity, SignalKind};

/// What a rule is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The candles of one interval: one rule each.
    Interval,
    /// Gaps, status, divergences: one rule an instrument.
    Instrument,
}

/// A member of the family: the one line by which the catalogue knows it.
pub struct RuleEntry {
    /// Lower-case: `volume_burst`.
    pub name: &'static str,
    pub kind: SignalKind,
    /// One sentence for people.
    pub summary: &'static str,
    pub scope: Scope,
    /// Of what it tells, unless it is set otherwise.
    pub severity: Severity,
    /// Besides the severity.
    pub parameters: &'static [RuleParameter],
    /// What its parameters must be to each other; a fragment that says what is allowed.
    pub check: fn(&RuleSettings) -> Result<(), &'static str>,
    pub build: fn(&RuleSettings) -> Box<dyn Rule>,
}

/// For `check` where each parameter stands for itself.
pub fn any(_: &RuleSettings) -> Result<(), &'static str> {
    Ok(())
}

/// One rule as it is set.
#[derive(Clone)]
pub struct RuleSettings {
    pub entry: &'static RuleEntry,
    /// Of what it tells; a rule that finds something worse goes one step further.
    pub severity: Severity,
    /// In the order of the entry's parameters.
    numbers: Vec<f64>,
}

impl RuleSettings {
    /// As the entry has it.
    pub fn of(entry: &'static RuleEntry) -> Self {
        let numbers = entry.parameters.iter().map(|parameter| parameter.default).collect();
        Self { entry, severity: entry.severity, numbers }
    }

    /// # Panics
    ///
    /// Where the rule has no such parameter, or does not allow the value.
    pub fn set(&mut self, name: &str, value: f64) {
        let at = self.place(name);
        assert!(self.entry.parameters[at].allows(value), "{name} of {} is {value}", self.entry.name);
        self.numbers[at] = value;
    }

    /// # Panics
    ///
    /// Where the rule has no such parameter.
    pub fn number(&self, name: &str) -> f64 {
        self.numbers[self.place(name)]
    }

    /// A parameter that is a whole number.
    ///
    /// # Panics
    ///
    /// Where the rule has no such parameter.
    pub fn count(&self, name: &str) -> u64 {
        self.number(name) as u64
    }

    fn place(&self, name: &str) -> usize {
        let found = self.entry.parameters.iter().position(|parameter| parameter.name == name);
        found.unwrap_or_else(|| panic!("rule {} has no parameter {name}", self.entry.name))
    }

    /// Name and value of all that is set otherwise than the entry has it.
    pub fn differences(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let set = self.entry.parameters.iter().zip(&self.numbers);
        set.filter(|(parameter, value)| parameter.default != **value)
            .map(|(parameter, value)| (parameter.name, *value))
    }

    /// One word that differs where results may differ: the name alone where nothing is set.
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        if self.severity != self.entry.severity {
            let _ = write!(text, "severity={},", self.severity.name());
        }
        for (name, value) in self.differences() {
            let _ = write!(text, "{name}={value},");
        }
        match text.strip_suffix(',') {
            Some(set) => format!("{}({set})", self.entry.name),
            None => self.entry.name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::signals::RULES;

    #[test]
    fn defaults_are_allowed_and_names_stand_once() {
        for entry in RULES {
            let settings = RuleSettings::of(entry);
            assert_eq!((entry.check)(&settings), Ok(()), "{}", entry.name);
            for (at, parameter) in entry.parameters.iter().enumerate() {
                assert!(parameter.allows(parameter.default), "{}.{}", entry.name, parameter.name);
                let repeats = entry.parameters[..at].iter().any(|other| other.name == parameter.name);
                assert!(!repeats && parameter.name != "severity", "{}.{}", entry.name, parameter.name);
            }
            assert_eq!(settings.canonical(), entry.name);
        }
    }

    #[test]
    fn what_is_set_shows_in_the_canonical_word() {
        let entry = RULES.iter().find(|entry| entry.name == "volume_burst").unwrap();
        let mut settings = RuleSettings::of(entry);
        settings.set("cooldown", 9.0);
        settings.severity = Severity::Info;
        assert_eq!(settings.canonical(), "volume_burst(severity=info,cooldown=9)");
        assert_eq!(settings.count("cooldown"), 9);
    }
}
