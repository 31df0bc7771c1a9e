//! Something is wrong with the data of an instrument: trades that will not come, a silent subscription,
//! a symbol that the venue does not list.
//!
//! Told once for each gap, and once for each time a subscription goes silent.

use std::collections::VecDeque;

use crate::analytics::rolling::state::State;
use crate::analytics::signals::rule::{Occasion, Rule, RuleEntry, Scope, Verdict, any};
use crate::domain::event::WatchStatus;
use crate::domain::insight::{Evidence, Fact, Severity, SignalKind};
use crate::domain::output::{DataState, Gap, GapState};
use crate::domain::time::UnixNanos;

pub const ENTRY: RuleEntry = RuleEntry {
    name: "data_quality",
    kind: SignalKind::Quality,
    summary: "a gap that the venue cannot fill, a subscription that went silent, a symbol that is not listed",
    scope: Scope::Instrument,
    severity: Severity::Warning,
    parameters: &[],
    check: any,
    build: |settings| {
        Box::new(DataQuality { severity: settings.severity, last: WatchStatus::Live, told: VecDeque::new() })
    },
};

/// Gaps that are remembered: what is left of one that was partly filled is not told again.
const GAPS_MAX: usize = 64;

struct DataQuality {
    severity: Severity,
    last: WatchStatus,
    /// First and last missing ids of the gaps told last, the oldest first.
    told: VecDeque<(u64, u64)>,
}

impl DataQuality {
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
    fn what_is_left_of_a_gap_is_not_told_again() {
        let mut rule =
            DataQuality { severity: Severity::Warning, last: WatchStatus::Live, told: VecDeque::new() };
        let mut tells =
            |first, last, state| rule.consider(&Occasion::Gap(&gap(first, last, state))).is_some();
        assert!(!tells(5, 9, GapState::Open));
        assert!(tells(5, 9, GapState::Unfillable));
        assert!(!tells(5, 6, GapState::Unfillable) && !tells(8, 9, GapState::Unfillable));
        assert!(tells(20, 22, GapState::Unfillable));
        let mut words = Vec::new();
        rule.state(&mut State::Save(&mut words));
        let mut again =
            DataQuality { severity: Severity::Warning, last: WatchStatus::Stale, told: VecDeque::new() };
        let mut state = State::load(&words);
        again.state(&mut state);
        assert_eq!((state.finish(), again.last, again.told), (Ok(()), rule.last, rule.told.clone()));
    }
}
