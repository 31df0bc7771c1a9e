//! A burst of volume: far more traded in a candle than the market's own rhythm explains.
//!
//! Rests on the detectors' findings in the volume. A burst is told when it begins: candles that go on with
//! it are part of it, until it is calm again.

use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope, any};
use crate::analytics::signals::pace::Pace;
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::rule::{Occasion, Rule, Verdict};
use crate::domain::insight::{Anomaly, Fact, Severity, SignalKind};

pub const ENTRY: RuleEntry = RuleEntry {
    name: "volume_burst",
    kind: SignalKind::Anomaly,
    summary: "far more traded in a candle than in those before; critical where the price moved too",
    scope: Scope::Interval,
    severity: Severity::Warning,
    parameters: &[RuleParameter::cooldown(5), RuleParameter::hysteresis(1)],
    check: any,
    build: |settings| Box::new(VolumeBurst { severity: settings.severity, pace: Pace::new(settings) }),
};

struct VolumeBurst {
    severity: Severity,
    pace: Pace,
}

impl Rule for VolumeBurst {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        let Occasion::Candle(closed) = occasion else { return None };
        let (candle, anomalies) = (closed.candle, closed.anomalies);
        let found = |channel: &str| anomalies.iter().find(|anomaly| anomaly.channel == channel);
        let number = |anomaly: &Anomaly, name: &str| match anomaly.evidence.0.iter().find(|(n, _)| n == name)
        {
            Some((_, Fact::Number(number))) => Some(*number),
            _ => None,
        };
        // Of several detectors the one that knows the median: people can imagine it.
        let knows = |anomaly: &&Anomaly| anomaly.channel == "volume" && number(anomaly, "median").is_some();
        let burst = anomalies.iter().find(knows).or_else(|| found("volume"));
        if !self.pace.step(burst.is_some()) {
            return None;
        }
        let volume = burst?;
        let moved = found("return");
        // The detectors speak of logarithms; people want to know how many times as much.
        let usual = ["median", "mean"].into_iter().find_map(|name| Some((name, number(volume, name)?)));
        let times = number(volume, "value").zip(usual).map(|(v, (name, usual))| (name, libm::exp(v - usual)));
        let mut message = format!("volume of the last {} candle", candle.interval);
        if let Some((name, times)) = times {
            message.push_str(&format!(" is {times:.1} times its {name}"));
        } else {
            message.push_str(" is far above its median");
        }
        if let Some(change) = moved.and_then(|moved| number(moved, "value")) {
            message.push_str(&format!(", and the price moved {:.1} times its usual distance", change.abs()));
        }
        let mut evidence = volume.evidence.clone();
        if let Some((name, times)) = times {
            evidence = evidence.with(format!("times_{name}"), Fact::Number(times));
        }
        if let Some(moved) = moved {
            evidence = evidence.with("return_score", Fact::Number(moved.score));
        }
        evidence = evidence.with("anomaly_id", Fact::Text(volume.id.to_string().into()));
        Some(Verdict {
            severity: if moved.is_some() { self.severity.raised() } else { self.severity },
            action: None,
            exchange_at: candle.close_at,
            score: volume.score,
            message,
            evidence,
            models: vec![volume.detector.clone()],
            data_state: closed.data_state,
        })
    }

    fn state(&mut self, state: &mut State<'_>) {
        self.pace.state(state);
    }
}
