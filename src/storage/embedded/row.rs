//! One row of the embedded store, on its way there: what was told, as cells.
//!
//! A row can be laid down as bytes and read again, for the time in which the store does not take it.

use std::sync::Arc;

use crate::domain::candle::Candle;
use crate::domain::decimal::{Amount, Decimal};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::Gap;
use crate::domain::shape::{self, Label};
use crate::domain::told::{IndicatorValues, Told, Watch};
use crate::runtime::sink::Telling;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Candles,
    Indicators,
    Gaps,
    Anomalies,
    Forecasts,
    Signals,
    /// What became of forecasts: changes of their rows.
    Outcomes,
}

impl Table {
    pub const ALL: [Self; 7] = [
        Self::Candles,
        Self::Indicators,
        Self::Gaps,
        Self::Anomalies,
        Self::Forecasts,
        Self::Signals,
        Self::Outcomes,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Candles => "candles",
            Self::Indicators => "indicators",
            Self::Gaps => "gaps",
            Self::Anomalies => "anomalies",
            Self::Forecasts => "forecasts",
            Self::Signals => "signals",
            Self::Outcomes => "outcomes",
        }
    }
}

/// One value; texts stand in the row's own buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Int(i64),
    /// From, to.
    Text(u32, u32),
}

/// A row, filled again and again.
#[derive(Clone, Debug)]
pub struct Row {
    pub table: Table,
    pub instrument: Instrument,
    /// Where the roster of this process has it.
    pub watch: Option<Watch>,
    pub interval: Option<Interval>,
    /// Name and outputs, these joined by commas; of `indicators` alone.
    pub indicator: Option<(Arc<str>, String)>,
    /// Nanoseconds: of series the open time, of others what orders them.
    pub at: i64,
    cells: Vec<Cell>,
    text: Vec<u8>,
}

impl Row {
    pub fn new(instrument: Instrument) -> Self {
        Self {
            table: Table::Candles,
            instrument,
            watch: None,
            interval: None,
            indicator: None,
            at: 0,
            cells: Vec::new(),
            text: Vec::new(),
        }
    }

    pub fn cells(&self) -> impl ExactSizeIterator<Item = Value<'_>> {
        self.cells.iter().map(|cell| match *cell {
            Cell::Null => Value::Null,
            Cell::Int(number) => Value::Int(number),
            Cell::Text(from, to) => Value::Text(&self.text[from as usize..to as usize]),
        })
    }

    /// Which table keeps what was told; `None`: the embedded store does not.
    pub fn table_of(told: &Told) -> Option<Table> {
        match told {
            Told::Candle(_) => Some(Table::Candles),
            Told::Indicator(_) => Some(Table::Indicators),
            Told::Gap(_) => Some(Table::Gaps),
            Told::Anomaly(_) => Some(Table::Anomalies),
            Told::Forecast(_) => Some(Table::Forecasts),
            Told::Signal(_) => Some(Table::Signals),
            Told::Outcome(_) => Some(Table::Outcomes),
            Told::Trade(_) | Told::Score(_) | Told::Refused { .. } => None,
        }
    }

    /// Becomes the row of a telling; `false`: there is none.
    pub fn fill(&mut self, telling: &Telling, instrument: &Instrument, label: &Label) -> bool {
        let Some(table) = Self::table_of(&telling.told) else { return false };
        self.table = table;
        if self.watch != Some(telling.watch) {
            self.instrument = instrument.clone();
            self.watch = Some(telling.watch);
        }
        self.cells.clear();
        self.text.clear();
        self.indicator = None;
        let seq = telling.cause_seq;
        match &telling.told {
            Told::Candle(candle) => self.candle(candle),
            Told::Indicator(values) => self.indicator(values),
            Told::Gap(gap) => self.gap(gap, seq),
            Told::Anomaly(anomaly) => {
                let (at, id) = (anomaly.exchange_at.0, anomaly.id.0);
                self.insight(at, id, Some(anomaly.interval), anomaly.channel, None);
                self.fields(|out| shape::anomaly(label, anomaly, seq, out));
            }
            Told::Forecast(forecast) => {
                let (at, id) = (forecast.made_at.0, forecast.id.0);
                self.insight(at, id, Some(forecast.interval), forecast.target.name(), None);
                self.fields(|out| shape::forecast(label, forecast, seq, out));
            }
            Told::Signal(signal) => {
                let (at, id) = (signal.exchange_at.0, signal.id.0);
                self.insight(at, id, None, signal.kind.name(), Some(signal.severity.name()));
                self.fields(|out| shape::signal(label, signal, seq, out));
            }
            Told::Outcome(outcome) => {
                self.interval = Some(outcome.interval);
                self.at = outcome.made_at.0;
                self.int(outcome.id.0 as i64);
                self.written(|out| shape::float(outcome.actual, out));
            }
            Told::Trade(_) | Told::Score(_) | Told::Refused { .. } => {}
        }
        true
    }

    fn candle(&mut self, candle: &Candle) {
        self.interval = Some(candle.interval);
        self.at = candle.open_at.0;
        self.word(candle.origin.name());
        self.int(candle.close_at.0);
        match &candle.prices {
            Some(prices) => {
                for price in [prices.open, prices.high, prices.low, prices.close] {
                    self.decimal(price.decimal());
                }
            }
            None => self.cells.extend([Cell::Null; 4]),
        }
        self.amount(Some(candle.volume));
        self.amount(candle.quote_volume);
        match candle.trade_count {
            Some(count) => self.int(i64::try_from(count).unwrap_or(i64::MAX)),
            None => self.cells.push(Cell::Null),
        }
        self.amount(candle.taker_buy_volume);
        self.amount(candle.taker_buy_quote_volume);
        self.word(candle.state.name());
        self.int(i64::from(candle.revision));
    }

    fn indicator(&mut self, values: &IndicatorValues) {
        self.interval = Some(values.interval);
        self.at = values.open_at.0;
        self.indicator = Some((values.indicator.clone(), values.outputs.join(",")));
        self.int(i64::from(values.revision));
        self.word(values.data_state.name());
        if values.values.is_empty() {
            // Withdrawn: the row stays, without values, so that an older telling does not bring it back.
            self.cells.push(Cell::Null);
            return;
        }
        self.written(|out| {
            for (at, value) in values.values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                shape::float(*value, out);
            }
        });
    }

    fn gap(&mut self, gap: &Gap, cause_seq: u64) {
        self.interval = None;
        self.at = gap.from.0;
        self.int(gap.id.0 as i64);
        self.int(cause_seq as i64);
        self.word(gap.kind.name());
        for id in [gap.first_missing_id, gap.last_missing_id] {
            match id {
                Some(id) => self.written(|out| shape::digits(id, out)),
                None => self.cells.push(Cell::Null),
            }
        }
        self.int(gap.from.0);
        self.int(gap.to.0);
        self.word(gap.state.name());
        match gap.reason {
            Some(reason) => self.word(reason.name()),
            None => self.cells.push(Cell::Null),
        }
    }

    fn insight(
        &mut self,
        at: i64,
        id: u64,
        interval: Option<Interval>,
        kind: &str,
        severity: Option<&'static str>,
    ) {
        self.interval = interval;
        self.at = at;
        self.int(id as i64);
        self.word(kind);
        match severity {
            Some(severity) => self.word(severity),
            None => self.cells.push(Cell::Null),
        }
    }

    fn fields(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.written(write);
    }

    fn int(&mut self, number: i64) {
        self.cells.push(Cell::Int(number));
    }

    fn word(&mut self, word: &str) {
        self.written(|out| out.extend_from_slice(word.as_bytes()));
    }

    fn decimal(&mut self, decimal: Decimal) {
        self.written(|out| decimal.write_to(out));
    }

    fn amount<const SCALE: u32>(&mut self, amount: Option<Amount<SCALE>>) {
        match amount {
            Some(amount) => self.written(|out| amount.write_to(out)),
            None => self.cells.push(Cell::Null),
        }
    }

    fn written(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.text.len() as u32;
        write(&mut self.text);
        self.cells.push(Cell::Text(from, self.text.len() as u32));
    }

    /// Appends the row's bytes: a length, and what [`Row::read`] takes.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0; 4]);
        out.push(self.table as u8);
        text_to(&self.instrument.to_string(), out);
        text_to(&self.interval.map_or_else(String::new, |interval| interval.to_string()), out);
        let (name, outputs) = match &self.indicator {
            Some((name, outputs)) => (&**name, outputs.as_str()),
            None => ("", ""),
        };
        text_to(name, out);
        text_to(outputs, out);
        out.extend_from_slice(&self.at.to_le_bytes());
        out.push(self.cells.len() as u8);
        for cell in self.cells() {
            match cell {
                Value::Null => out.push(0),
                Value::Int(number) => {
                    out.push(1);
                    out.extend_from_slice(&number.to_le_bytes());
                }
                Value::Text(text) => {
                    out.push(2);
                    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    out.extend_from_slice(text);
                }
            }
        }
        let length = (out.len() - begin - 4) as u32;
        out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Becomes the first row of `bytes`, and takes it off; `None`: there is no whole row.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let mut rest = *bytes;
        let length = u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?) as usize;
        let mut body = take(&mut rest, length)?;
        let table = take(&mut body, 1)?[0];
        self.table = Table::ALL.into_iter().find(|known| *known as u8 == table)?;
        let instrument: Instrument = take_text(&mut body)?.parse().ok()?;
        if self.instrument != instrument {
            self.instrument = instrument;
        }
        self.watch = None;
        let interval = take_text(&mut body)?;
        self.interval = if interval.is_empty() { None } else { Some(interval.parse().ok()?) };
        let (name, outputs) = (take_text(&mut body)?, take_text(&mut body)?);
        self.indicator = (!name.is_empty()).then(|| (name.into(), outputs.to_owned()));
        self.at = i64::from_le_bytes(take(&mut body, 8)?.try_into().ok()?);
        self.cells.clear();
        self.text.clear();
        for _ in 0..take(&mut body, 1)?[0] {
            match take(&mut body, 1)?[0] {
                0 => self.cells.push(Cell::Null),
                1 => self.int(i64::from_le_bytes(take(&mut body, 8)?.try_into().ok()?)),
                2 => {
                    let text = take_text(&mut body)?;
                    self.word(text);
                }
                _ => return None,
            }
        }
        *bytes = rest;
        Some(())
    }
}

/// A cell as it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Null,
    Int(i64),
    /// UTF-8.
    Text(&'a [u8]),
}

fn text_to(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?) as usize;
    std::str::from_utf8(take(bytes, length)?).ok()
}
