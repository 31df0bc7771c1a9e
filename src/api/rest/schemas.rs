//! The shapes of rows, for the OpenAPI document: what `domain/shape.rs` writes.
//!
//! Nothing is made of these types; `tests/api.rs` holds answers against the document.

#![expect(dead_code, reason = "only their schemas are used")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// One accepted trade.
#[derive(ToSchema)]
#[schema(as = Trade)]
pub struct TradeRow {
    #[schema(example = "binance:BTC-USDT")]
    instrument: String,
    #[schema(required = true)]
    trade_id: Option<String>,
    /// The venue's clock.
    #[schema(format = "date-time")]
    exchange_at: String,
    /// Our clock.
    #[schema(required = true)]
    received_at: Option<String>,
    /// Exact decimal text.
    #[schema(example = "60000.1")]
    price: String,
    /// Exact decimal text.
    #[schema(example = "0.001")]
    quantity: String,
    /// `buy`, `sell`, or `null` where the venue does not say.
    #[schema(required = true)]
    taker_side: Option<String>,
    trade_count: u32,
}

#[derive(ToSchema)]
pub struct Trades {
    /// Newest last.
    trades: Vec<TradeRow>,
}

/// One candle. Prices and sums are exact decimal text, `null` where nothing traded or nobody knows.
#[derive(ToSchema)]
#[schema(as = Candle)]
pub struct CandleRow {
    #[schema(example = "binance:BTC-USDT")]
    instrument: String,
    venue: String,
    symbol: String,
    #[schema(example = "1m")]
    interval: String,
    /// Inclusive.
    #[schema(format = "date-time")]
    open_time: String,
    /// Exclusive.
    #[schema(format = "date-time")]
    close_time: String,
    #[schema(required = true)]
    open: Option<String>,
    #[schema(required = true)]
    high: Option<String>,
    #[schema(required = true)]
    low: Option<String>,
    #[schema(required = true)]
    close: Option<String>,
    volume: String,
    #[schema(required = true)]
    quote_volume: Option<String>,
    #[schema(required = true)]
    trade_count: Option<u64>,
    #[schema(required = true)]
    taker_buy_volume: Option<String>,
    #[schema(required = true)]
    taker_buy_quote_volume: Option<String>,
    #[schema(required = true)]
    vwap: Option<String>,
    /// `traded`, `empty`, `partial`, `unknown`; `open` while it still takes trades.
    #[schema(example = "traded")]
    state: String,
    revision: u32,
    /// `trades`, or who made a ready candle.
    #[schema(example = "trades")]
    origin: String,
}

#[derive(ToSchema)]
pub struct Candles {
    /// Ascending by `open_time`.
    candles: Vec<CandleRow>,
    /// For `after`; `null` where nothing follows.
    #[schema(required = true)]
    next: Option<String>,
}

/// One value of an indicator at a closed candle.
#[derive(ToSchema)]
#[schema(as = Indicator)]
pub struct IndicatorRow {
    #[schema(example = "binance:BTC-USDT")]
    instrument: String,
    venue: String,
    symbol: String,
    #[schema(example = "1m")]
    interval: String,
    /// The candle's.
    #[schema(format = "date-time")]
    open_time: String,
    #[schema(example = "macd(12,26,9)")]
    indicator: String,
    #[schema(example = "histogram")]
    output: String,
    #[schema(required = true)]
    value: Option<f64>,
    revision: u32,
    /// `complete` or `partial`.
    data_state: String,
}

#[derive(ToSchema)]
pub struct Indicators {
    /// Ascending by `open_time`, then in the order of the configuration.
    indicators: Vec<IndicatorRow>,
    #[schema(required = true)]
    next: Option<String>,
}

/// Missing trades.
#[derive(ToSchema)]
#[schema(as = Gap)]
pub struct GapRow {
    id: String,
    instrument: String,
    venue: String,
    symbol: String,
    /// `ids`, `time` or `reset`.
    kind: String,
    #[schema(required = true)]
    first_missing_id: Option<String>,
    #[schema(required = true)]
    last_missing_id: Option<String>,
    /// The last known trade before it.
    #[schema(format = "date-time")]
    from: String,
    /// The first known trade after it.
    #[schema(format = "date-time")]
    to: String,
    /// `open`, `filled` or `unfillable`.
    state: String,
    /// Only where it is unfillable: `not_at_venue`, `out_of_reach` or `refused`.
    reason: Option<String>,
}

#[derive(ToSchema)]
pub struct Gaps {
    gaps: Vec<GapRow>,
    #[schema(required = true)]
    next: Option<String>,
}

/// Something that seldom happens.
#[derive(ToSchema)]
#[schema(as = Anomaly)]
pub struct AnomalyRow {
    id: String,
    instrument: String,
    #[schema(example = "robust_z@1")]
    detector: String,
    interval: String,
    #[schema(format = "date-time")]
    exchange_at: String,
    channel: String,
    /// Share of quieter moments, 0 to 1.
    score: f64,
    threshold: f64,
    /// What it rests on, by name: numbers and texts.
    evidence: BTreeMap<String, serde_json::Value>,
    revision: u32,
    data_state: String,
    cause_seq: u64,
}

#[derive(ToSchema)]
pub struct Anomalies {
    anomalies: Vec<AnomalyRow>,
    #[schema(required = true)]
    next: Option<String>,
}

/// A number that is expected, with an interval.
#[derive(ToSchema)]
#[schema(as = Forecast)]
pub struct ForecastRow {
    id: String,
    instrument: String,
    interval: String,
    /// `price`, `realized_variance`, `volume`, `trade_count` or `direction`.
    target: String,
    #[schema(example = "ewma_variance@1")]
    model: String,
    /// `champion`, `challenger` or `online`.
    role: String,
    /// Candles ahead.
    horizon: u32,
    #[schema(format = "date-time")]
    made_at: String,
    #[schema(format = "date-time")]
    target_at: String,
    forecast: f64,
    lower: f64,
    upper: f64,
    /// Share of outcomes that should lie between.
    level: f64,
    /// What the baseline says.
    naive: f64,
    /// Past loss divided by the baseline's: below 1 is better.
    #[schema(required = true)]
    skill: Option<f64>,
    revision: u32,
    data_state: String,
    cause_seq: u64,
    /// What came true, in the unit of `forecast`; null where that is not known (yet), left out where it cannot be.
    actual: Option<f64>,
}

#[derive(ToSchema)]
pub struct Forecasts {
    forecasts: Vec<ForecastRow>,
    #[schema(required = true)]
    next: Option<String>,
}

/// What a rule thinks somebody should know.
#[derive(ToSchema)]
#[schema(as = Signal)]
pub struct SignalRow {
    id: String,
    instrument: String,
    /// `anomaly`, `direction`, `regime`, `volatility` or `quality`.
    kind: String,
    #[schema(example = "volume_burst")]
    name: String,
    /// `info`, `warning` or `critical`.
    severity: String,
    /// `buy`, `sell`, `hold`, or `null`.
    #[schema(required = true)]
    action: Option<String>,
    #[schema(format = "date-time")]
    exchange_at: String,
    score: f64,
    /// One plain sentence.
    message: String,
    /// What it rests on, by name: numbers and texts.
    evidence: BTreeMap<String, serde_json::Value>,
    models: Vec<String>,
    data_state: String,
    cause_seq: u64,
}

#[derive(ToSchema)]
pub struct Signals {
    signals: Vec<SignalRow>,
    #[schema(required = true)]
    next: Option<String>,
}

/// What the current model expects.
#[derive(ToSchema)]
pub struct Prediction {
    instrument: String,
    /// Nearest first.
    forecasts: Vec<ForecastRow>,
}

/// How one model fared at one target and horizon: of forecasts made before their outcome was known, on targets that
/// do not overlap. `null` where a figure does not apply, or too little was scored.
#[derive(ToSchema)]
#[schema(as = Score)]
pub struct ScoreRow {
    instrument: String,
    /// The close of the last candle that counts.
    #[schema(format = "date-time")]
    at: String,
    #[schema(example = "1m")]
    interval: String,
    /// `price`, `realized_variance`, `volume`, `trade_count` or `direction`.
    target: String,
    #[schema(example = "mixture@1")]
    model: String,
    /// `champion`, `challenger` or `online`.
    role: String,
    /// Candles ahead.
    horizon: u32,
    /// Outcomes that count.
    scored: u64,
    /// The model that it is held against.
    baseline: String,
    /// The model's loss by the baseline's: below 1 is better.
    #[schema(required = true)]
    skill: Option<f64>,
    /// In the target's unit.
    #[schema(required = true)]
    mae: Option<f64>,
    /// In the target's unit.
    #[schema(required = true)]
    rmse: Option<f64>,
    /// Per cent of the outcome.
    #[schema(required = true)]
    mape: Option<f64>,
    /// Per cent, 0 to 200.
    #[schema(required = true)]
    smape: Option<f64>,
    /// Mean absolute error by that of the last value known.
    #[schema(required = true)]
    mase: Option<f64>,
    /// Mean pinball loss of both bounds, in the target's unit.
    #[schema(required = true)]
    pinball: Option<f64>,
    /// Share of outcomes inside of the interval.
    #[schema(required = true)]
    coverage: Option<f64>,
    /// The same on the worst whole day.
    #[schema(required = true)]
    coverage_worst_day: Option<f64>,
    /// Width of the interval with its penalty for outcomes outside, in the target's unit.
    #[schema(required = true)]
    winkler: Option<f64>,
    /// Of variances.
    #[schema(required = true)]
    qlike: Option<f64>,
    /// Of directions.
    #[schema(required = true)]
    log_loss: Option<f64>,
    #[schema(required = true)]
    directional_accuracy: Option<f64>,
    /// Lower bound, by Wilson's 95 % interval.
    #[schema(required = true)]
    directional_lower: Option<f64>,
    #[schema(required = true)]
    directional_upper: Option<f64>,
    /// What always saying the commoner direction would have reached.
    #[schema(required = true)]
    directional_majority: Option<f64>,
    /// Diebold and Mariano against the baseline: below 0 is better.
    #[schema(required = true)]
    dm_statistic: Option<f64>,
    #[schema(required = true)]
    dm_p: Option<f64>,
    /// It does not beat its baseline, and nothing leans on it until it does.
    demoted: bool,
}

#[derive(ToSchema)]
pub struct ScoreRows {
    scores: Vec<ScoreRow>,
}
