//! An anomaly that somebody should know of: several methods agree, or one has hardly ever seen the like.
//!
//! One detector that speaks is a record; it takes two of them within a few candles, or a score that is strong in
//! itself, to make a signal. Told as it begins.

use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope, any};
use crate::analytics::signals::facts::with_more;
use crate::analytics::signals::pace::Pace;
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::rule::{Closed, Occasion, Rule, Verdict};
use crate::domain::candle::Candle;
use crate::domain::insight::{Anomaly, Evidence, Fact, Severity, SignalKind};

pub const ENTRY: RuleEntry = RuleEntry {
    name: "anomaly",
    kind: SignalKind::Anomaly,
    summary: "a candle that several detectors find unusual, or one finds extremely so",
    scope: Scope::Interval,
    severity: Severity::Warning,
    parameters: &[
        RuleParameter::cooldown(5),
        RuleParameter::hysteresis(2),
        RuleParameter { max: 16.0, ..RuleParameter::count("methods", "detectors that have to agree", 2, 2) },
        RuleParameter { max: 100.0, ..RuleParameter::count("within", "candles within which they do", 2, 1) },
        RuleParameter::number("strong", "score from which on one detector is enough", 0.9995, 0.5, 1.0),
    ],
    check: any,
    build: |settings| {
        Box::new(AnomalyRule {
            severity: settings.severity,
            methods: settings.number("methods") as usize,
            within: settings.count("within"),
            strong: settings.number("strong"),
            pace: Pace::new(settings),
            heard: Vec::new(),
        })
    },
};

/// Beyond it a score is an extrapolation.
const ONE_IN_MAX: u64 = 100_000;
/// Detectors that are remembered; more do not run at once.
const HEARD_MAX: usize = 32;

struct AnomalyRule {
    severity: Severity,
    methods: usize,
    within: u64,
    strong: f64,
    pace: Pace,
    /// By the hash of a detector's name: candles since it spoke last.
    heard: Vec<(u64, u64)>,
}

impl AnomalyRule {
    /// How many detectors spoke within the last candles, those of this one included.
    fn hear(&mut self, anomalies: &[Anomaly]) -> usize {
        let within = self.within;
        self.heard.iter_mut().for_each(|(_, age)| *age += 1);
        self.heard.retain(|&(_, age)| age < within);
        for anomaly in anomalies {
            let name = hash(&anomaly.detector);
            match self.heard.iter().position(|(known, _)| *known == name) {
                Some(at) => self.heard[at].1 = 0,
                None if self.heard.len() < HEARD_MAX => self.heard.push((name, 0)),
                None => {}
            }
        }
        self.heard.len()
    }

    fn verdict(&self, closed: &Closed<'_>, strongest: &Anomaly, methods: usize) -> Verdict {
        let (candle, anomalies) = (closed.candle, closed.anomalies);
        let (is_strong, is_confirmed) = (strongest.score >= self.strong, methods >= self.methods);
        let (interval, channel) = (candle.interval, words(strongest.channel));
        let mut message = match is_confirmed {
            true => format!("{methods} methods agree that the last {interval} candle is unusual"),
            false => {
                let method = words(name_of(&strongest.detector));
                format!("{method} has hardly ever seen a {interval} candle like the last one")
            }
        };
        message.push_str(&format!(", above all in its {channel}: {}", seldomness(strongest.score)));
        if let Some(moved) = moved(candle) {
            message.push_str(&format!("; {moved}"));
        }
        let said: Vec<_> = anomalies
            .iter()
            .map(|anomaly| format!("{} {} {:.4}", anomaly.detector, anomaly.channel, anomaly.score))
            .collect();
        let mut models: Vec<_> = anomalies.iter().map(|anomaly| anomaly.detector.clone()).collect();
        models.sort();
        models.dedup();
        let own = Evidence::default()
            .with("channel", Fact::Text(strongest.channel.into()))
            .with("detector", Fact::Text(strongest.detector.to_string().into()))
            .with("threshold", Fact::Number(strongest.threshold))
            .with("methods", Fact::Count(methods as i64))
            .with("findings", Fact::Text(said.join(", ").into()))
            .with("anomaly_id", Fact::Text(strongest.id.to_string().into()));
        Verdict {
            severity: if is_strong && is_confirmed { self.severity.raised() } else { self.severity },
            action: None,
            exchange_at: candle.close_at,
            score: strongest.score,
            message,
            evidence: with_more(own, &strongest.evidence),
            models,
            data_state: closed.data_state,
        }
    }
}

/// Of a score people want to know how many candles it takes to see such a one: two significant digits, and no more
/// than there is experience of.
fn seldomness(score: f64) -> String {
    let candles = (1.0 / (1.0 - score)).min(1e9).round() as u64;
    if candles > ONE_IN_MAX {
        return format!("fewer than one candle in {ONE_IN_MAX} is as far off");
    }
    let step = 10_u64.pow(candles.max(1).ilog10().saturating_sub(1));
    format!("only one candle in {} is as far off", (candles + step / 2) / step * step)
}

/// `robust_z@1` is `robust_z`.
fn name_of(detector: &str) -> &str {
    detector.split_once('@').map_or(detector, |(name, _)| name)
}

fn words(name: &str) -> String {
    // What no single feature shows.
    if name == "joint" {
        return "features taken together".to_owned();
    }
    name.replace('_', " ")
}

/// Where the price went within the candle.
fn moved(candle: &Candle) -> Option<String> {
    let prices = candle.prices?;
    let (open, close) = (prices.open.decimal().to_f64(), prices.close.decimal().to_f64());
    let change = 100.0 * (close / open - 1.0);
    let verb = if change >= 0.0 { "rose" } else { "fell" };
    Some(match change.abs() {
        change if change < 0.005 => "the price stayed".to_owned(),
        change => format!("the price {verb} {change:.2} %"),
    })
}

/// FNV-1a, to know a name again (Fowler, Noll and Vo).
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl Rule for AnomalyRule {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle(closed) = occasion else { return None };
        let methods = self.hear(closed.anomalies);
        let strongest = closed.anomalies.iter().max_by(|one, other| one.score.total_cmp(&other.score));
        let is_strong = strongest.is_some_and(|anomaly| anomaly.score >= self.strong);
        let holds = strongest.is_some() && (methods >= self.methods || is_strong);
        let tell = self.pace.step(holds);
        strongest.filter(|_| tell).map(|strongest| self.verdict(closed, strongest, methods))
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.pace.state(state);
        let mut len = self.heard.len();
        state.index(&mut len, HEARD_MAX);
        self.heard.resize(len, (0, 0));
        for (name, age) in &mut self.heard {
            state.word(name);
            state.word(age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::signals::trial::{Trial, anomaly};

    /// Candles by what is found in each (detector, channel, score), and at which a signal is told, how severe.
    fn check(candles: &[&[(&str, &'static str, f64)]], expected: &[(usize, Severity)]) {
        let mut trial = Trial::new(&ENTRY, &[]);
        let mut told = Vec::new();
        for (at, found) in candles.iter().enumerate() {
            let found: Vec<_> =
                found.iter().map(|(detector, channel, score)| anomaly(detector, channel, *score)).collect();
            told.extend(trial.candle(100.0, &found, &[]).map(|verdict| (at, verdict.severity)));
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn one_method_alone_has_to_be_strong() {
        check(&[&[("a@1", "return", 0.998)], &[], &[("a@1", "return", 0.9996)]], &[(2, Severity::Warning)]);
    }

    #[test]
    fn two_methods_within_two_candles_agree() {
        let [a, b] = [("a@1", "return", 0.998), ("b@1", "volume", 0.997)];
        check(&[&[a, b]], &[(0, Severity::Warning)]);
        check(&[&[a], &[b]], &[(1, Severity::Warning)]);
        check(&[&[a], &[], &[b]], &[]);
        check(&[&[a], &[a]], &[]);
        check(&[&[("a@1", "return", 0.9999), b]], &[(0, Severity::Critical)]);
    }

    #[test]
    fn seldomness_is_counted_in_candles() {
        for (score, candles) in
            [(0.5, "in 2 "), (0.99, "in 100 "), (0.998, "in 500 "), (0.999_51, "in 2000 ")]
        {
            let said = seldomness(score);
            assert!(said.starts_with("only one candle ") && said.contains(candles), "{said}");
        }
        assert_eq!(seldomness(1.0), "fewer than one candle in 100000 is as far off");
    }

    #[test]
    fn the_sentence_says_what_and_how_seldom() {
        let mut trial = Trial::new(&ENTRY, &[]);
        let found = [anomaly("robust_z@1", "return", 0.998), anomaly("novelty@1", "volume", 0.997)];
        let verdict = trial.candle(101.0, &found, &[]).unwrap();
        assert_eq!(
            verdict.message,
            "2 methods agree that the last 1m candle is unusual, above all in its return: only one candle in 500 is as far off; the price stayed"
        );
        assert_eq!(verdict.models.len(), 2);
        trial.check_evidence(&verdict);
    }
}
