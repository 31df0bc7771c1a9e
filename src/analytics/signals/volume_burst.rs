//! A burst of volume: far more traded in a candle than the market's own rhythm explains.
//!
//! Rests on the detectors' findings in the volume. A burst is told when it begins: candles that go on with
//! it are part of it, until one is calm again, and never more than once in [`COOL_DOWN`] candles.

use crate::analytics::rolling::state::State;
use crate::analytics::signals::rule::{Occasion, Rule, RuleEntry, Scope, Verdict};
use crate::domain::insight::{Anomaly, Fact, Severity, SignalKind};

pub const ENTRY: RuleEntry = RuleEntry {
    name: "volume_burst",
    kind: SignalKind::Anomaly,
    summary: "far more traded in a candle than in those before; critical where the price moved too",
    scope: Scope::Interval,
    build: || Box::new(VolumeBurst::default()),
};

/// Candles from one burst to the next, at least.
const COOL_DOWN: u64 = 5;

#[derive(Default)]
struct VolumeBurst {
    /// Candles since the last was told; none was: far above the cool-down.
    since: Option<u64>,
    bursting: bool,
}

impl Rule for VolumeBurst {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle { candle, anomalies, data_state, .. } = occasion else { return None };
        self.since = self.since.map(|since| since.saturating_add(1));
        let found = |channel: &str| anomalies.iter().find(|anomaly| anomaly.channel == channel);
        let Some(volume) = found("volume") else {
            self.bursting = false;
            return None;
        };
        let told_lately = self.since.is_some_and(|since| since < COOL_DOWN);
        if std::mem::replace(&mut self.bursting, true) || told_lately {
            return None;
        }
        self.since = Some(0);
        let moved = found("return");
        let number = |anomaly: &Anomaly, name: &str| match anomaly.evidence.0.iter().find(|(n, _)| n == name)
        {
            Some((_, Fact::Number(number))) => Some(*number),
            _ => None,
        };
        // The detectors speak of logarithms; people want to know how many times as much.
        let times = number(volume, "value").zip(number(volume, "median")).map(|(v, m)| libm::exp(v - m));
        let mut message = format!("volume of the last {} candle", candle.interval);
        if let Some(times) = times {
            message.push_str(&format!(" is {times:.1} times its median"));
        } else {
            message.push_str(" is far above its median");
        }
        if let Some(change) = moved.and_then(|moved| number(moved, "value")) {
            message.push_str(&format!(", and the price moved {:.1} times its usual distance", change.abs()));
        }
        let mut evidence = volume.evidence.clone();
        if let Some(times) = times {
            evidence = evidence.with("times_median", Fact::Number(times));
        }
        if let Some(moved) = moved {
            evidence = evidence.with("return_score", Fact::Number(moved.score));
        }
        evidence = evidence.with("anomaly_id", Fact::Text(volume.id.to_string().into()));
        Some(Verdict {
            severity: if moved.is_some() { Severity::Critical } else { Severity::Warning },
            action: None,
            exchange_at: candle.close_at,
            score: volume.score,
            message,
            evidence,
            models: vec![volume.detector.clone()],
            data_state: *data_state,
        })
    }

    fn state(&mut self, state: &mut State<'_>) {
        state.option_word(&mut self.since);
        state.bool(&mut self.bursting);
    }
}
