//! Made-up tellings for tests of the stores.

use std::sync::Arc;

use crate::domain::candle::{Candle, CandleState, Ohlc, Origin};
use crate::domain::data_state::DataState;
use crate::domain::decimal::{Price, QuoteVolume, Volume};
use crate::domain::event::Unfillable;
use crate::domain::insight::{
    Evidence, Fact, Forecast, InsightId, Outcome, Role, Severity, Signal, SignalKind, Target,
};
use crate::domain::output::{Gap, GapId, GapKind, GapState, Position};
use crate::domain::time::UnixNanos;
use crate::domain::told::{IndicatorValues, Roster, Told, Watch};
use crate::runtime::clock::Mono;
use crate::runtime::sink::{Batch, Telling};

/// 2024-05-01.
pub const START: i64 = 1_714_521_600_000_000_000;
pub const MINUTE: i64 = 60_000_000_000;

pub fn roster() -> Roster {
    Roster::new(["binance:BTC-USDT", "kraken:ETH-USD"].map(|name| name.parse().unwrap()))
}

pub fn telling(watch: u32, cause_seq: u64, told: Told) -> Telling {
    Telling { watch: Watch(watch), cause_seq, at: Position(cause_seq), received: None, told }
}

pub fn batch(tellings: Vec<Telling>) -> Arc<Batch> {
    Arc::new(Batch { tellings, published: Mono::now(), recovered: false })
}

/// The candle of that minute.
pub fn candle(minute: i64, revision: u32) -> Candle {
    let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
    let open_at = UnixNanos(START + minute * MINUTE);
    Candle {
        interval: "1m".parse().unwrap(),
        open_at,
        close_at: UnixNanos(open_at.0 + MINUTE),
        prices: Some(Ohlc {
            open: price("60000.10"),
            high: price("123456789.123456789"),
            low: price("0.000000000000001"),
            close: price("60000"),
        }),
        volume: Volume::parse(b"3.000000000000001").unwrap(),
        quote_volume: Some(QuoteVolume::parse(format!("{minute}.5").as_bytes()).unwrap()),
        trade_count: Some(12),
        taker_buy_volume: None,
        taker_buy_quote_volume: Some(QuoteVolume::parse(b"0.000000000000000000000000000001").unwrap()),
        state: CandleState::Traded,
        revision,
        origin: Origin::Trades,
    }
}

pub fn told_candle(minute: i64, revision: u32) -> Told {
    Told::Candle(Box::new(candle(minute, revision)))
}

pub fn told_indicator(minute: i64, revision: u32, values: &[f64]) -> Told {
    Told::Indicator(Box::new(IndicatorValues {
        interval: "1m".parse().unwrap(),
        open_at: UnixNanos(START + minute * MINUTE),
        indicator: "macd(12,26,9)".into(),
        outputs: ["macd", "signal", "histogram"].into(),
        values: values.to_vec(),
        revision,
        data_state: DataState::Complete,
    }))
}

pub fn gap(id: u64, from_minute: i64, state: GapState) -> Gap {
    Gap {
        id: GapId(id),
        kind: GapKind::Ids,
        first_missing_id: Some(u64::MAX),
        last_missing_id: Some(u64::MAX),
        from: UnixNanos(START + from_minute * MINUTE),
        to: UnixNanos(START + (from_minute + 1) * MINUTE),
        state,
        reason: (state == GapState::Unfillable).then_some(Unfillable::OutOfReach),
    }
}

/// Of the volume three minutes later, made in that minute.
pub fn told_forecast(id: u64, minute: i64) -> Told {
    Told::Forecast(Box::new(Forecast {
        id: InsightId(id),
        interval: "1m".parse().unwrap(),
        target: Target::Volume,
        model: "mixture@1".into(),
        role: Role::Champion,
        horizon: 3,
        made_at: UnixNanos(START + minute * MINUTE),
        target_at: UnixNanos(START + (minute + 3) * MINUTE),
        forecast: 0.1 + 0.2,
        lower: 0.0,
        upper: 1e9,
        level: 0.9,
        naive: 0.25,
        skill: None,
        revision: 0,
        data_state: DataState::Complete,
    }))
}

/// What became of it.
pub fn told_outcome(id: u64, minute: i64, actual: f64) -> Told {
    Told::Outcome(Box::new(Outcome {
        id: InsightId(id),
        interval: "1m".parse().unwrap(),
        target: Target::Volume,
        model: "mixture@1".into(),
        role: Role::Champion,
        horizon: 3,
        made_at: UnixNanos(START + minute * MINUTE),
        target_at: UnixNanos(START + (minute + 3) * MINUTE),
        actual,
    }))
}

pub fn signal(id: u64, minute: i64, severity: Severity) -> Signal {
    Signal {
        id: InsightId(id),
        kind: SignalKind::Anomaly,
        name: "volume_burst",
        severity,
        action: None,
        exchange_at: UnixNanos(START + minute * MINUTE),
        score: 0.5,
        message: "Ten times the \"usual\" volume.".to_owned(),
        evidence: Evidence::default().with("z", Fact::Number(4.5)),
        models: vec!["robust_z@1".into()],
        data_state: DataState::Complete,
    }
}
