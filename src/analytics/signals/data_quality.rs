//! Something is wrong with the data of an instrument: trades that will not come, a silent subscription,
//! a symbol that the venue does not list.
//!
//! Told once for each gap, and once for each time a subscription goes silent.

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
    build: |settings| Box::new(DataQuality { severity: settings.severity, last: WatchStatus::Live }),
};

struct DataQuality {
    severity: Severity,
    last: WatchStatus,
}

impl DataQuality {
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
            Occasion::Gap(gap) => (gap.state == GapState::Unfillable).then(|| self.of_gap(gap)),
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
    }
}
