//! Something is wrong with the data of an instrument: trades that will not come, a silent subscription,
//! a symbol that the venue does not list, a price that stands apart from other venues'.
//!
//! Told once for each gap, once for each time a subscription goes silent, and once for as long as a price stands
//! apart.

use std::collections::VecDeque;

use crate::analytics::across::divergence::{basis_points, explanation};
use crate::analytics::rolling::state::State;
use crate::analytics::signals::entry::{RuleEntry, Scope, any};
use crate::analytics::signals::parameter::RuleParameter;
use crate::analytics::signals::rule::{Occasion, Rule, Verdict};
use crate::domain::data_state::DataState;
use crate::domain::divergence::Divergence;
use crate::domain::event::WatchStatus;
use crate::domain::insight::{Anomaly, Evidence, Fact, Severity, SignalKind};
use crate::domain::output::{Gap, GapState};
use crate::domain::time::UnixNanos;

pub const ENTRY: RuleEntry = RuleEntry {
    name: "data_quality",
    kind: SignalKind::Quality,
    summary: "a gap that the venue cannot fill, a subscription that went silent, a symbol that is not listed, a price that stands apart from other venues",
    scope: Scope::Instrument,
    severity: Severity::Warning,
    parameters: &[RuleParameter::number(
        "divergence_bp",
        "basis points by which a price has to stand apart from other venues",
        20.0,
        0.0,
        10_000.0,
    )],
    check: any,
    build: |settings| Box::new(DataQuality::new(settings.severity, settings.number("divergence_bp"))),
};

/// A divergence so many times as far as it has to be is one step worse.
const WORSE: f64 = 5.0;

/// Gaps that are remembered: what is left of one that was partly filled is not told again.
const GAPS_MAX: usize = 64;

struct DataQuality {
    severity: Severity,
    last: WatchStatus,
    /// First and last missing ids of the gaps told last, the oldest first.
    told: VecDeque<(u64, u64)>,
    divergence_bp: f64,
    /// Since when the price stands apart that was told last.
    apart_since: UnixNanos,
}

impl DataQuality {
    fn new(severity: Severity, divergence_bp: f64) -> Self {
        let (last, told, apart_since) = (WatchStatus::Live, VecDeque::new(), UnixNanos(i64::MIN));
        Self { severity, last, told, divergence_bp, apart_since }
    }

    fn of_divergence(&mut self, divergence: &Divergence, anomaly: &Anomaly) -> Option<Verdict> {
        let apart_bp = basis_points(divergence.apart.abs());
        let is_told = self.apart_since == divergence.since;
        if apart_bp < self.divergence_bp || is_told {
            return None;
        }
        self.apart_since = divergence.since;
        let is_worse = self.divergence_bp > 0.0 && apart_bp >= WORSE * self.divergence_bp;
        let evidence = anomaly.evidence.clone().with("anomaly_id", Fact::Text(anomaly.id.to_string().into()));
        Some(Verdict {
            severity: if is_worse { self.severity.raised() } else { self.severity },
            action: None,
            exchange_at: divergence.close_at,
            score: divergence.score,
            message: format!("the price stands apart from other venues: {}", explanation(divergence)),
            evidence: evidence.with("apart_bp_min", Fact::Number(self.divergence_bp)),
            models: vec![anomaly.detector.clone()],
            data_state: anomaly.data_state,
        })
    }

    /// Whether the gap is part of one that was told; it is told from now on.
    fn is_told(&mut self, gap: &Gap) -> bool {
        let Some((first, last)) = gap.first_missing_id.zip(gap.last_missing_id) else { return false };
        if self.told.iter().any(|told| told.0 <= first && last <= told.1) {
            return true;
        }
        if self.told.len() == GAPS_MAX {
            self.told.pop_front();
        }
        self.told.push_back((first, last));
        false
    }

    fn of_gap(&self, gap: &Gap) -> Verdict {
        let mut evidence = Evidence::default()
            .with("gap_id", Fact::Text(gap.id.to_string().into()))
            .with("gap_kind", Fact::Text(gap.kind.name().into()));
        let mut message = format!("a {} gap cannot be filled by the venue", gap.kind.name());
        if let (Some(first), Some(last)) = (gap.first_missing_id, gap.last_missing_id) {
            let missing = last - first + 1;
            message = format!("{missing} trades are missing and cannot be had from the venue");
            evidence = evidence
                .with("first_missing_id", Fact::Text(first.to_string().into()))
                .with("last_missing_id", Fact::Text(last.to_string().into()));
        }
        evidence = evidence.with("from", Fact::At(gap.from)).with("to", Fact::At(gap.to));
        verdict(gap.to, self.severity, message, evidence)
    }
}

fn verdict(at: UnixNanos, severity: Severity, message: String, evidence: Evidence) -> Verdict {
    Verdict {
        severity,
        action: None,
        exchange_at: at,
        score: 1.0,
        message,
        evidence,
        models: Vec::new(),
        data_state: DataState::Partial,
    }
}

impl Rule for DataQuality {
    fn consider(&mut self, occasion: &Occasion<'_>) -> Option<Verdict> {
        match occasion {
            Occasion::Candle(_) => None,
            Occasion::Divergence { divergence, anomaly } => self.of_divergence(divergence, anomaly),
            Occasion::Gap(gap) => {
                let is_news = gap.state == GapState::Unfillable && !self.is_told(gap);
                is_news.then(|| self.of_gap(gap))
            }
            Occasion::Status { at, status } => {
                if std::mem::replace(&mut self.last, *status) == *status {
                    return None;
                }
                let evidence = Evidence::default().with("status", Fact::Text(status.name().into()));
                match status {
                    WatchStatus::Live | WatchStatus::Down => None,
                    WatchStatus::Stale => {
                        let message = "no trades for longer than this market is ever silent".to_owned();
                        Some(verdict(*at, self.severity, message, evidence))
                    }
                    WatchStatus::Unlisted => {
                        let message = "the venue does not list this symbol".to_owned();
                        Some(verdict(*at, self.severity, message, evidence))
                    }
                }
            }
        }
    }

    fn state(&mut self, state: &mut State<'_>) {
        let mut at = WatchStatus::ALL.iter().position(|&status| status == self.last).unwrap_or(0);
        state.index(&mut at, WatchStatus::ALL.len() - 1);
        self.last = WatchStatus::ALL[at];
        let mut len = self.told.len();
        state.index(&mut len, GAPS_MAX);
        self.told.resize(len, (0, 0));
        for (first, last) in &mut self.told {
            state.word(first);
            state.word(last);
        }
        state.i64(&mut self.apart_since.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Unfillable;
    use crate::domain::output::{GapId, GapKind};

    fn gap(first: u64, last: u64, state: GapState) -> Gap {
        Gap {
            id: GapId(first),
            kind: GapKind::Ids,
            first_missing_id: Some(first),
            last_missing_id: Some(last),
            from: UnixNanos(1),
            to: UnixNanos(2),
            state,
            reason: (state == GapState::Unfillable).then_some(Unfillable::NotAtVenue),
        }
    }

    #[test]
    fn a_price_that_stands_apart_is_told_once_for_as_long_as_it_does() {
        let minutes: crate::domain::interval::Interval = "1m".parse().unwrap();
        let mut rule = DataQuality::new(Severity::Warning, 20.0);
        let mut tells = |apart_bp: f64, since: i64, close_at: i64| {
            let divergence = Divergence {
                interval: minutes.time().unwrap(),
                close_at: UnixNanos(close_at),
                since: UnixNanos(since),
                cause_seq: 1,
                price: crate::domain::fields::price(b"1.5").unwrap(),
                against: vec!["okx:BTC-USDT".parse().unwrap()],
                missing: Vec::new(),
                apart: apart_bp * 1e-4,
                premium: 0.0,
                spread: 5e-5,
                z: 9.0,
                z_min: 6.0,
                score: 0.999,
                threshold: 0.99,
                tail: 1e-6,
                complete: true,
            };
            let anomaly = Anomaly {
                id: crate::domain::insight::InsightId(7),
                detector: "divergence@1".into(),
                interval: minutes,
                exchange_at: divergence.close_at,
                channel: "price",
                score: divergence.score,
                threshold: divergence.threshold,
                evidence: crate::analytics::across::divergence::evidence(&divergence),
                revision: 0,
                data_state: DataState::Complete,
            };
            let verdict =
                rule.consider(&Occasion::Divergence { divergence: &divergence, anomaly: &anomaly })?;
            assert!(
                verdict.message.contains("of two venues either may be the one that is off"),
                "{verdict:?}"
            );
            let names: std::collections::BTreeSet<_> =
                verdict.evidence.0.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), verdict.evidence.0.len(), "no name stands twice");
            Some(verdict.severity)
        };
        assert_eq!(tells(19.0, 60, 60), None, "too near");
        assert_eq!(tells(-25.0, 60, 120), Some(Severity::Warning));
        assert_eq!(tells(-50.0, 60, 180), None, "it is told");
        assert_eq!(tells(101.0, 600, 600), Some(Severity::Critical));
    }

    #[test]
    fn what_is_left_of_a_gap_is_not_told_again() {
        let mut rule = DataQuality::new(Severity::Warning, 20.0);
        let mut tells =
            |first, last, state| rule.consider(&Occasion::Gap(&gap(first, last, state))).is_some();
        assert!(!tells(5, 9, GapState::Open));
        assert!(tells(5, 9, GapState::Unfillable));
        assert!(!tells(5, 6, GapState::Unfillable) && !tells(8, 9, GapState::Unfillable));
        assert!(tells(20, 22, GapState::Unfillable));
        let mut words = Vec::new();
        rule.state(&mut State::Save(&mut words));
        let mut again = DataQuality::new(Severity::Warning, 20.0);
        again.last = WatchStatus::Stale;
        let mut state = State::load(&words);
        again.state(&mut state);
        assert_eq!((state.finish(), again.last, again.told), (Ok(()), rule.last, rule.told.clone()));
    }
}
