//! What was told, as rows of line protocol.

use std::sync::Arc;

use questdb::ingress::{Buffer, ColumnName, ProtocolVersion, TableName, TimestampNanos};

use crate::domain::candle::Candle;
use crate::domain::decimal::Amount;
use crate::domain::event::{Trade, TradeId};
use crate::domain::insight::{Anomaly, Forecast, Signal};
use crate::domain::instrument::Instrument;
use crate::domain::output::Gap;
use crate::domain::shape;
use crate::domain::time::UnixNanos;
use crate::domain::told::{IndicatorValues, Roster, Told};
use crate::runtime::clock::Mono;
use crate::runtime::latency::{Latency, Stage};
use crate::runtime::sink::{Batch, Telling};
use crate::storage::questdb::chunk::Chunk;
use crate::storage::questdb::gap_places::GapPlaces;
use crate::storage::questdb::open_forecasts::OpenForecasts;

/// Rows of one request at most.
pub const ROWS_MAX: usize = 50_000;
const BYTES_MAX: usize = 16 << 20;

/// Turns tellings into chunks.
pub struct Encoder {
    buffer: Buffer,
    ends: Vec<u32>,
    stamps: Vec<(Mono, u64)>,
    roster: Roster,
    /// Of each instrument, the time of its last trade without an id, and how many had it: of what is told, and
    /// of what is told again beside it.
    unnamed: [Vec<(UnixNanos, u32)>; 2],
    gaps: GapPlaces,
    forecasts: OpenForecasts,
    text: Vec<u8>,
    /// Rows that the encoder refuses: instrument, and why.
    pub refused: Vec<(Instrument, String)>,
}

impl Encoder {
    pub fn new(roster: &Roster, gaps: GapPlaces, forecasts: OpenForecasts) -> Self {
        Self {
            buffer: Buffer::new(ProtocolVersion::V2),
            ends: Vec::new(),
            stamps: Vec::new(),
            roster: roster.clone(),
            unnamed: [(); 2].map(|()| vec![(UnixNanos(i64::MIN), 0); roster.len()]),
            gaps,
            forecasts,
            text: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The rows of batches, in order; `true`: it is told again, and older than those around it. Only the last chunk
    /// may be small.
    pub fn encode<'a>(&mut self, batches: impl Iterator<Item = (&'a Batch, bool)>) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for (batch, is_older) in batches {
            let mut trades = 0;
            for telling in &batch.tellings {
                self.telling(telling, is_older);
                trades += u64::from(telling.received.is_some() && matches!(telling.told, Told::Trade(_)));
                if self.ends.len() >= ROWS_MAX || self.buffer.len() >= BYTES_MAX {
                    self.stamp(batch, std::mem::take(&mut trades));
                    chunks.extend(self.finish());
                }
            }
            self.stamp(batch, trades);
        }
        chunks.extend(self.finish());
        chunks
    }

    /// Times of all stages, as rows.
    pub fn encode_latency(&mut self, latency: &Latency, at: UnixNanos) -> Option<Chunk> {
        for (stage, histogram) in latency.report().stages {
            if !histogram.is_empty() {
                let value = |quantile: f64| histogram.value_at_quantile(quantile) as i64;
                let figures = [
                    ("count", histogram.len() as i64),
                    ("p50", value(0.5)),
                    ("p90", value(0.9)),
                    ("p99", value(0.99)),
                    ("p99_9", value(0.999)),
                    ("max", histogram.max() as i64),
                ];
                let done = latency_row(&mut self.buffer, stage, &figures, at);
                self.row(done.map_err(|error| error.to_string()), None);
            }
        }
        self.finish()
    }

    fn stamp(&mut self, batch: &Batch, trades: u64) {
        if trades > 0 && !batch.recovered {
            self.stamps.push((batch.published, trades));
        }
    }

    fn finish(&mut self) -> Option<Chunk> {
        if self.ends.is_empty() {
            return None;
        }
        let (ends, stamps) = (std::mem::take(&mut self.ends), std::mem::take(&mut self.stamps));
        let chunk = Chunk::new(self.buffer.as_bytes().to_vec(), ends, stamps);
        self.buffer.clear();
        Some(chunk)
    }

    /// A row was written, or refused half-way.
    fn row(&mut self, done: Result<(), String>, instrument: Option<&Instrument>) {
        match done {
            Ok(()) => {
                self.ends.push(self.buffer.len() as u32);
            }
            Err(problem) => {
                // The marker stands behind the last whole row.
                let _ = self.buffer.rewind_to_marker();
                if let Some(instrument) = instrument {
                    self.refused.push((instrument.clone(), problem));
                }
            }
        }
    }

    fn telling(&mut self, telling: &Telling, is_older: bool) {
        let roster = self.roster.clone();
        let instrument = roster.instrument(telling.watch);
        let names = (instrument.venue().name(), instrument.symbol());
        let seq = i64::try_from(telling.cause_seq).unwrap_or(i64::MAX);
        let _ = self.buffer.set_marker();
        let (buffer, text) = (&mut self.buffer, &mut self.text);
        let done = match &telling.told {
            Told::Trade(trade) => {
                let unnamed = &mut self.unnamed[usize::from(is_older)];
                id_of(trade, &mut unnamed[telling.watch.0 as usize], text);
                trade_row(buffer, names, trade, utf8(text))
            }
            Told::Candle(candle) => candle_row(buffer, names, candle),
            Told::Indicator(values) => {
                for position in 0..values.outputs.len() {
                    let _ = self.buffer.set_marker();
                    let done = indicator_row(&mut self.buffer, names, values, position);
                    self.row(done.map_err(|error| error.to_string()), Some(instrument));
                }
                return;
            }
            Told::Gap(gap) => {
                let place = self.gaps.place(gap.id, gap.from);
                gap_row(buffer, names, gap, place)
            }
            Told::Anomaly(anomaly) => {
                text.clear();
                shape::evidence_object(&anomaly.evidence, text);
                anomaly_row(buffer, names, anomaly, utf8(text), seq)
            }
            Told::Forecast(forecast) => {
                let actual = self.forecasts.told(forecast, seq);
                forecast_row(buffer, names, forecast, actual, seq)
            }
            Told::Outcome(outcome) => match self.forecasts.ended(outcome.id, outcome.actual) {
                // The whole row again, for the new one takes the place of the old.
                Some((forecast, seq)) => forecast_row(buffer, names, &forecast, Some(outcome.actual), seq),
                None => return,
            },
            Told::Signal(signal) => {
                text.clear();
                shape::evidence_object(&signal.evidence, text);
                signal_row(buffer, names, signal, utf8(text), seq)
            }
            Told::Score(_) | Told::Refused { .. } => return,
        };
        self.row(done.map_err(|error| error.to_string()), Some(instrument));
    }
}

type Names<'a> = (&'a str, &'a str);
type Done = questdb::Result<()>;

/// A name of our own, sound as it stands.
fn table(name: &'static str) -> TableName<'static> {
    TableName::new_unchecked(name)
}

fn column(name: &'static str) -> ColumnName<'static> {
    ColumnName::new_unchecked(name)
}

fn at(moment: UnixNanos) -> TimestampNanos {
    TimestampNanos::new(moment.0)
}

fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// The trade's name; one without is called by its time, and how many of that time came before it.
fn id_of(trade: &Trade, unnamed: &mut (UnixNanos, u32), out: &mut Vec<u8>) {
    out.clear();
    match &trade.id {
        TradeId::Number(number) => shape::digits(*number, out),
        TradeId::Text(id) => out.extend_from_slice(id.as_bytes()),
        TradeId::Absent => {
            *unnamed = if unnamed.0 == trade.exchange_at {
                (unnamed.0, unnamed.1 + 1)
            } else {
                (trade.exchange_at, 0)
            };
            out.extend_from_slice(format!("{}-{}", trade.exchange_at.0, unnamed.1).as_bytes());
        }
    }
}

fn trade_row(buffer: &mut Buffer, names: Names<'_>, trade: &Trade, id: &str) -> Done {
    buffer.table(table("trades"))?.symbol(column("venue"), names.0)?.symbol(column("symbol"), names.1)?;
    if let Some(side) = trade.taker_side {
        buffer.symbol(column("taker_side"), side.name())?;
    }
    buffer
        .column_str(column("trade_id"), id)?
        .column_f64(column("price"), trade.price.decimal().to_f64())?
        .column_f64(column("quantity"), trade.quantity.decimal().to_f64())?
        .column_i64(column("trade_count"), i64::from(trade.trade_count))?;
    if let Some(received_at) = trade.received_at {
        buffer.column_ts(column("received_at"), at(received_at.at()))?;
    }
    buffer.at(at(trade.exchange_at))
}

fn candle_row(buffer: &mut Buffer, names: Names<'_>, candle: &Candle) -> Done {
    buffer
        .table(table("candles"))?
        .symbol(column("venue"), names.0)?
        .symbol(column("symbol"), names.1)?
        .symbol(column("interval"), candle.interval.to_string())?
        .symbol(column("origin"), candle.origin.name())?
        .symbol(column("state"), candle.state.name())?
        .column_ts(column("close_time"), at(candle.close_at))?;
    if let Some(prices) = &candle.prices {
        buffer
            .column_f64(column("open"), prices.open.decimal().to_f64())?
            .column_f64(column("high"), prices.high.decimal().to_f64())?
            .column_f64(column("low"), prices.low.decimal().to_f64())?
            .column_f64(column("close"), prices.close.decimal().to_f64())?;
    }
    amount(buffer, "volume", Some(candle.volume))?;
    amount(buffer, "quote_volume", candle.quote_volume)?;
    if let Some(count) = candle.trade_count {
        buffer.column_i64(column("trade_count"), i64::try_from(count).unwrap_or(i64::MAX))?;
    }
    amount(buffer, "taker_buy_volume", candle.taker_buy_volume)?;
    amount(buffer, "taker_buy_quote_volume", candle.taker_buy_quote_volume)?;
    amount(buffer, "vwap", candle.vwap())?;
    buffer.column_i64(column("revision"), i64::from(candle.revision))?.at(at(candle.open_at))
}

fn amount<const SCALE: u32>(buffer: &mut Buffer, name: &'static str, amount: Option<Amount<SCALE>>) -> Done {
    if let Some(amount) = amount {
        buffer.column_f64(column(name), amount.to_f64_nearest())?;
    }
    Ok(())
}

fn indicator_row(buffer: &mut Buffer, names: Names<'_>, values: &IndicatorValues, position: usize) -> Done {
    buffer
        .table(table("indicators"))?
        .symbol(column("venue"), names.0)?
        .symbol(column("symbol"), names.1)?
        .symbol(column("interval"), values.interval.to_string())?
        .symbol(column("indicator"), &*values.indicator)?
        .symbol(column("output"), values.outputs[position])?
        .symbol(column("data_state"), values.data_state.name())?;
    if let Some(value) = values.values.get(position) {
        buffer.column_f64(column("value"), *value)?;
    }
    buffer.column_i64(column("revision"), i64::from(values.revision))?.at(at(values.open_at))
}

fn gap_row(buffer: &mut Buffer, names: Names<'_>, gap: &Gap, place: UnixNanos) -> Done {
    buffer
        .table(table("gaps"))?
        .symbol(column("venue"), names.0)?
        .symbol(column("symbol"), names.1)?
        .symbol(column("kind"), gap.kind.name())?
        .symbol(column("state"), gap.state.name())?;
    if let Some(reason) = gap.reason {
        buffer.symbol(column("reason"), reason.name())?;
    }
    buffer.column_str(column("id"), gap.id.to_string())?;
    for (name, id) in [("first_missing_id", gap.first_missing_id), ("last_missing_id", gap.last_missing_id)] {
        if let Some(id) = id {
            buffer.column_str(column(name), id.to_string())?;
        }
    }
    buffer.column_ts(column("from"), at(gap.from))?.column_ts(column("to"), at(gap.to))?.at(at(place))
}

fn anomaly_row(buffer: &mut Buffer, names: Names<'_>, anomaly: &Anomaly, evidence: &str, seq: i64) -> Done {
    buffer
        .table(table("anomalies"))?
        .symbol(column("venue"), names.0)?
        .symbol(column("symbol"), names.1)?
        .symbol(column("detector"), &*anomaly.detector)?
        .symbol(column("interval"), anomaly.interval.to_string())?
        .symbol(column("channel"), anomaly.channel)?
        .symbol(column("data_state"), anomaly.data_state.name())?
        .column_str(column("id"), anomaly.id.to_string())?
        .column_f64(column("score"), anomaly.score)?
        .column_f64(column("threshold"), anomaly.threshold)?
        .column_str(column("evidence"), evidence)?
        .column_i64(column("revision"), i64::from(anomaly.revision))?
        .column_i64(column("cause_seq"), seq)?
        .at(at(anomaly.exchange_at))
}

fn forecast_row(
    buffer: &mut Buffer,
    names: Names<'_>,
    forecast: &Forecast,
    actual: Option<f64>,
    seq: i64,
) -> Done {
    buffer
        .table(table("forecasts"))?
        .symbol(column("venue"), names.0)?
        .symbol(column("symbol"), names.1)?
        .symbol(column("interval"), forecast.interval.to_string())?
        .symbol(column("model"), &*forecast.model)?
        .symbol(column("target"), forecast.target.name())?
        .symbol(column("role"), forecast.role.name())?
        .symbol(column("data_state"), forecast.data_state.name())?
        .column_i64(column("horizon"), i64::from(forecast.horizon))?
        .column_str(column("id"), forecast.id.to_string())?
        .column_ts(column("target_at"), at(forecast.target_at))?
        .column_f64(column("forecast"), forecast.forecast)?
        .column_f64(column("lower"), forecast.lower)?
        .column_f64(column("upper"), forecast.upper)?
        .column_f64(column("level"), forecast.level)?
        .column_f64(column("naive"), forecast.naive)?;
    if let Some(skill) = forecast.skill {
        buffer.column_f64(column("skill"), skill)?;
    }
    if let Some(actual) = actual {
        buffer.column_f64(column("actual"), actual)?;
    }
    buffer
        .column_i64(column("revision"), i64::from(forecast.revision))?
        .column_i64(column("cause_seq"), seq)?
        .at(at(forecast.made_at))
}

fn signal_row(buffer: &mut Buffer, names: Names<'_>, signal: &Signal, evidence: &str, seq: i64) -> Done {
    buffer
        .table(table("signals"))?
        .symbol(column("venue"), names.0)?
        .symbol(column("symbol"), names.1)?
        .symbol(column("kind"), signal.kind.name())?
        .symbol(column("name"), signal.name)?
        .symbol(column("severity"), signal.severity.name())?;
    if let Some(action) = signal.action {
        buffer.symbol(column("action"), action.name())?;
    }
    buffer
        .symbol(column("data_state"), signal.data_state.name())?
        .column_str(column("id"), signal.id.to_string())?
        .column_f64(column("score"), signal.score)?
        .column_str(column("message"), &*signal.message)?
        .column_str(column("evidence"), evidence)?
        .column_str(column("models"), models(&signal.models))?
        .column_i64(column("cause_seq"), seq)?
        .at(at(signal.exchange_at))
}

/// A JSON list.
fn models(models: &[Arc<str>]) -> String {
    let mut out = b"[".to_vec();
    for (at, model) in models.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        shape::text(model, &mut out);
    }
    out.push(b']');
    utf8(&out).to_owned()
}

fn latency_row(
    buffer: &mut Buffer,
    stage: Stage,
    figures: &[(&'static str, i64)],
    moment: UnixNanos,
) -> Done {
    let _ = buffer.set_marker();
    buffer.table(table("stage_latency"))?.symbol(column("stage"), stage.name())?;
    for (name, figure) in figures {
        buffer.column_i64(column(name), *figure)?;
    }
    buffer.at(at(moment))
}
