//! What evidence says of a candle.

use crate::domain::candle::Candle;
use crate::domain::insight::{Evidence, Fact};

/// What the candle was, for whoever reads the evidence.
pub fn with_candle(mut evidence: Evidence, candle: &Candle) -> Evidence {
    evidence = evidence
        .with("interval", Fact::Text(candle.interval.to_string().into()))
        .with("open_time", Fact::At(candle.open_at));
    if let Some(prices) = candle.prices {
        let mut text = Vec::new();
        prices.close.decimal().write_to(&mut text);
        evidence = evidence.with("close", Fact::Decimal(String::from_utf8_lossy(&text).into_owned()));
    }
    let mut text = Vec::new();
    candle.volume.write_to(&mut text);
    evidence = evidence.with("volume", Fact::Decimal(String::from_utf8_lossy(&text).into_owned()));
    if let Some(count) = candle.trade_count {
        evidence = evidence.with("trade_count", Fact::Count(i64::try_from(count).unwrap_or(i64::MAX)));
    }
    evidence.with("revision", Fact::Count(i64::from(candle.revision)))
}

/// The facts with those of another added whose names are not there yet: no name stands twice.
pub fn with_more(mut evidence: Evidence, more: &Evidence) -> Evidence {
    for (name, fact) in &more.0 {
        if !evidence.0.iter().any(|(known, _)| known == name) {
            evidence.0.push((name.clone(), fact.clone()));
        }
    }
    evidence
}
