//! `divergence`: the catalogue's line of it, and what it says in words and numbers.

use crate::analytics::across::market::WARM_UP;
use crate::analytics::anomaly::sides::seldom;
use crate::domain::divergence::Divergence;
use crate::domain::insight::{Evidence, Fact};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;

/// A detector that looks at several instruments.
pub struct AcrossEntry {
    /// Lower-case: `divergence`.
    pub name: &'static str,
    /// Rises when the same input gives another output.
    pub version: u32,
    /// One sentence for people.
    pub summary: &'static str,
    /// What it points at.
    pub channel: &'static str,
    /// Candles until it may speak.
    pub warm_up: usize,
}

pub const ENTRY: AcrossEntry = AcrossEntry {
    name: "divergence",
    version: 1,
    summary: "a close that stands apart from the median of the same asset's closes on other venues, its usual premium taken off",
    channel: "price",
    warm_up: WARM_UP,
};

/// A distance of logarithms in basis points, two digits after the point.
pub fn basis_points(distance: f64) -> f64 {
    (distance * 1e6).round() / 100.0
}

/// What it rests on.
pub fn evidence(divergence: &Divergence) -> Evidence {
    let mut close = Vec::new();
    divergence.price.decimal().write_to(&mut close);
    let evidence = Evidence::default()
        .with("apart_bp", Fact::Number(basis_points(divergence.apart)))
        .with("premium_bp", Fact::Number(basis_points(divergence.premium)))
        .with("spread_bp", Fact::Number(basis_points(divergence.spread)))
        .with("z", Fact::Number(divergence.z))
        .with("z_min", Fact::Number(divergence.z_min))
        .with("tail", Fact::Number(divergence.tail))
        .with("against", Fact::Text(names(&divergence.against).into()));
    let evidence = match divergence.missing.is_empty() {
        true => evidence,
        false => evidence.with("missing", Fact::Text(names(&divergence.missing).into())),
    };
    let interval = Interval::Time(divergence.interval);
    evidence
        .with("explanation", Fact::Text(explanation(divergence).into()))
        .with("interval", Fact::Text(interval.to_string().into()))
        .with("open_time", Fact::At(UnixNanos(divergence.close_at.0 - divergence.interval.nanos())))
        .with("since", Fact::At(divergence.since))
        .with("close", Fact::Decimal(String::from_utf8_lossy(&close).into_owned()))
}

/// Where it stands against whom, and what is usual, in one sentence without its end.
pub fn explanation(divergence: &Divergence) -> String {
    let Divergence { apart, premium, spread, tail, against, .. } = divergence;
    let side = |distance: f64| if distance < 0.0 { "below" } else { "above" };
    let whom = match &against[..] {
        [other] => other.to_string(),
        others => format!("the median of {}", names(others)),
    };
    let either = if against.len() == 1 { "; of two venues either may be the one that is off" } else { "" };
    format!(
        "its close lies {:.1} bp {} {whom}, the usual premium of {:.1} bp taken off, from which it strays by {:.1} bp; so far {}{either}",
        basis_points(apart.abs()),
        side(*apart),
        basis_points(*premium),
        basis_points(*spread),
        seldom(*tail),
    )
}

/// Separated by blanks.
fn names(instruments: &[Instrument]) -> String {
    instruments.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
