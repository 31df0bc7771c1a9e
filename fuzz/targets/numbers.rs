//! Decimals, amounts, times and trade ids from any bytes: what is accepted reads back as itself.

use tapewatch::domain::decimal::{Decimal, QuoteVolume, Volume};
use tapewatch::domain::event::TradeId;
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::interval::Interval;
use tapewatch::domain::time::{TimeUnit, UnixNanos};

pub fn run(bytes: &[u8]) {
    if let Ok(value) = Decimal::parse(bytes) {
        assert_eq!(Decimal::parse(value.to_string().as_bytes()), Ok(value));
        assert_eq!(Decimal::from_bits(value.to_bits()), Some(value));
    }
    if let Ok(value) = Decimal::parse_scientific(bytes) {
        assert_eq!(Decimal::parse(value.to_string().as_bytes()), Ok(value));
    }
    if let Ok(value) = Volume::parse(bytes) {
        assert_eq!(Volume::parse(value.to_string().as_bytes()), Ok(value));
    }
    if let Ok(value) = QuoteVolume::parse(bytes) {
        assert_eq!(QuoteVolume::parse(value.to_string().as_bytes()), Ok(value));
    }
    if let Ok(at) = UnixNanos::parse_iso(bytes)
        && at.plausible().is_ok()
    {
        assert_eq!(UnixNanos::parse_iso(at.to_string().as_bytes()), Ok(at));
    }
    let _ = UnixNanos::parse_float_seconds(bytes);
    for unit in TimeUnit::ALL {
        let _ = UnixNanos::parse_unit(bytes, unit);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Some(id) = TradeId::parse(text) {
            assert_eq!(id.to_string(), text);
        }
        if let Ok(instrument) = text.parse::<Instrument>() {
            assert_eq!(instrument.to_string(), text);
        }
        if let Ok(interval) = text.parse::<Interval>() {
            assert_eq!(interval.to_string().parse(), Ok(interval));
        }
    }
}
