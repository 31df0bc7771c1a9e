//! What is compared with what, and how long is waited for it; the same for all instruments of a run.

use std::sync::Arc;

use crate::analytics::across::divergence::ENTRY;
use crate::analytics::anomaly::detector::Tuning;
use crate::domain::instrument::Instrument;
use crate::domain::interval::TimeInterval;
use crate::domain::time::NANOS_PER_DAY;

/// How a comparison is set.
#[derive(Clone, Debug, PartialEq)]
pub struct AcrossPlan {
    /// Name and version of the detector.
    pub model: Arc<str>,
    /// Of the candles that are compared.
    pub interval: TimeInterval,
    /// Quote currencies that are worth nearly the same, side by side: what is left between them is a premium.
    pub quotes: Vec<Vec<String>>,
    /// Event time after which nobody is waited for any more.
    pub patience_nanos: i64,
    pub alerts_per_day: u32,
}

impl AcrossPlan {
    pub fn new(interval: TimeInterval) -> Self {
        let dollars = ["USD", "USDT", "USDC"].map(str::to_owned).to_vec();
        Self {
            model: format!("{}@{}", ENTRY.name, ENTRY.version).into(),
            interval,
            quotes: vec![dollars],
            patience_nanos: 5 * 60_000_000_000,
            alerts_per_day: Tuning::ALERTS_PER_DAY,
        }
    }

    /// What an instrument is compared as: markets of the same words are of one asset.
    pub fn asset(&self, instrument: &Instrument) -> (String, String) {
        let quote = instrument.quote();
        let alike = self.quotes.iter().find(|alike| alike.iter().any(|one| one == quote));
        let quote = alike.and_then(|alike| alike.first()).map_or(quote, |first| first);
        (instrument.base().to_owned(), quote.to_owned())
    }

    pub fn tuning(&self) -> Tuning {
        Tuning {
            candles_per_day: NANOS_PER_DAY as f64 / self.interval.nanos() as f64,
            alerts_per_day: f64::from(self.alerts_per_day),
        }
    }

    /// One line that differs where results may differ.
    pub fn canonical(&self) -> String {
        let quotes: Vec<_> = self.quotes.iter().map(|alike| alike.join("=")).collect();
        let (interval, patience) = (self.interval.nanos(), self.patience_nanos);
        format!("interval_ns={interval} patience_ns={patience} quotes={}", quotes.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_alike_and_nothing_else_is() {
        let plan = AcrossPlan::new(TimeInterval::all().next().unwrap());
        let asset = |name: &str| plan.asset(&name.parse().unwrap());
        assert_eq!(asset("binance:BTC-USDT"), asset("coinbase:BTC-USD"));
        assert_eq!(asset("kraken:BTC-EUR"), asset("coinbase:BTC-EUR"));
        for (one, other) in [
            ("binance:BTC-USDT", "binance:ETH-USDT"),
            ("binance:BTC-USDT", "kraken:BTC-EUR"),
            ("okx:BTC-USD-SWAP", "okx:BTC-USD"),
            ("binance:1000SHIB-USDT", "binance:SHIB-USDT"),
        ] {
            assert_ne!(asset(one), asset(other));
        }
    }
}
