//! Candles and indicators of one instrument and interval.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::params;

use crate::domain::candle::{Candle, CandleState, Ohlc, Origin};
use crate::domain::data_state::DataState;
use crate::domain::decimal::{Amount, Price};
use crate::domain::interval::Interval;
use crate::domain::shape::IndicatorRow;
use crate::domain::time::UnixNanos;
use crate::domain::told::Told;
use crate::runtime::sink::Batch;
use crate::storage::cursor::Place;
use crate::storage::error::StorageError;
use crate::storage::history::walk::{Series, Way};
use crate::storage::history::{History, Page, ReadError, SeriesQuery, page};

const CANDLE: &str = "
SELECT close_time, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
  taker_buy_quote_volume, state, revision
FROM candles WHERE open_time = ?1 AND interval = ?2 AND instrument = ?3 AND origin = ?4";

const INDICATORS: &str = "
SELECT n.name, n.outputs, i.revision, i.data_state, i.value
FROM indicators i CROSS JOIN indicator_names n ON n.id = i.indicator
WHERE i.open_time = ?1 AND i.interval = ?2 AND i.instrument = ?3";

/// One output of one indicator at one closed candle.
#[derive(Clone, Debug, PartialEq)]
pub struct IndicatorValue {
    pub interval: Interval,
    pub open_at: UnixNanos,
    /// With its parameters: `macd(12,26,9)`.
    pub indicator: Arc<str>,
    pub output: String,
    pub value: f64,
    pub revision: u32,
    pub data_state: DataState,
}

impl IndicatorValue {
    /// For [`crate::domain::shape::indicator_row`].
    pub fn row(&self) -> IndicatorRow<'_> {
        IndicatorRow {
            interval: self.interval,
            open_at: self.open_at,
            indicator: &self.indicator,
            output: &self.output,
            value: Some(self.value),
            revision: self.revision,
            data_state: self.data_state,
        }
    }
}

/// The values of one indicator at one open time, before they are put into rows.
struct Values {
    revision: u32,
    data_state: DataState,
    /// In the order of the outputs; empty where they were withdrawn.
    outputs: Vec<(String, f64)>,
}

impl History {
    /// Closed candles, the last revision of each.
    pub fn candles(&self, query: &SeriesQuery<'_>, origin: Origin) -> Result<Page<Candle>, StorageError> {
        let after = query.span.after.map(|text| Place::parse('c', text)).transpose()?;
        let (mut from, to) = query.span.bounds();
        if let Some(after) = &after {
            from = from.max(after.at.saturating_add(1));
        }
        let overlay = self.overlay()?;
        let mut rows = BTreeMap::new();
        self.told(&overlay, query, |told| match told {
            Told::Candle(candle)
                if candle.interval == query.interval
                    && candle.origin == origin
                    && (from..to).contains(&candle.open_at.0) =>
            {
                keep_candle(&mut rows, (**candle).clone());
            }
            _ => {}
        });
        let wanted = query.span.limit.saturating_add(1);
        let stored = self.read(|connection| {
            let mut stored = Vec::new();
            let Some(series) = Series::find(connection, query)? else { return Ok(stored) };
            let mut statement = connection.prepare_cached(CANDLE)?;
            let way = if query.span.is_newest() { Way::Down } else { Way::Up };
            series.walk(connection, (from, to), way, |open_at| {
                let mut found = statement.query(params![
                    open_at.0,
                    series.interval_number,
                    series.instrument_number,
                    origin.name()
                ])?;
                if let Some(row) = found.next()? {
                    stored.push(read_candle(row, query.interval, open_at, origin)?);
                }
                Ok(stored.len() < wanted)
            })?;
            Ok(stored)
        })?;
        for candle in stored {
            keep_candle(&mut rows, candle);
        }
        Ok(page(rows.into_iter(), &query.span, |open_at: &UnixNanos| Place::new(open_at.0, 0).print('c')))
    }

    /// Indicators of closed candles, the last revision of each, by open time, name and output; of `only`
    /// this one, where it is named.
    pub fn indicators(
        &self,
        query: &SeriesQuery<'_>,
        only: Option<&str>,
    ) -> Result<Page<IndicatorValue>, StorageError> {
        let after = query.span.after.map(|text| Place::parse('i', text)).transpose()?;
        let (mut from, to) = query.span.bounds();
        if let Some(after) = &after {
            from = from.max(after.at);
        }
        let overlay = self.overlay()?;
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let mut rows: BTreeMap<(UnixNanos, Arc<str>), Values> = BTreeMap::new();
        let mut withdrawn = 0;
        self.told(&overlay, query, |told| match told {
            Told::Indicator(values)
                if values.interval == query.interval
                    && wanted(&values.indicator)
                    && (from..to).contains(&values.open_at.0) =>
            {
                let outputs = values.outputs.iter().map(|output| (*output).to_owned());
                let told = Values {
                    revision: values.revision,
                    data_state: values.data_state,
                    outputs: outputs.zip(values.values.iter().copied()).collect(),
                };
                withdrawn += values.outputs.len();
                keep_indicator(&mut rows, (values.open_at, values.indicator.clone()), told);
            }
            _ => {}
        });
        // What is newer in memory may have fewer values, or none.
        let enough = query.span.limit.saturating_add(1).saturating_add(withdrawn);
        // Names up to the cursor's are read with its candle, and left out below; of the cursor's own some.
        let behind = |open_at: UnixNanos, name: &str| {
            after.as_ref().is_none_or(|after| (open_at.0, name) > (after.at, after.word.as_str()))
        };
        let stored = self.read(|connection| {
            let (mut stored, mut count) = (Vec::new(), 0);
            let Some(series) = Series::find(connection, query)? else { return Ok(stored) };
            let mut statement = connection.prepare_cached(INDICATORS)?;
            let way = if query.span.is_newest() { Way::Down } else { Way::Up };
            series.walk(connection, (from, to), way, |open_at| {
                let mut found =
                    statement.query(params![open_at.0, series.interval_number, series.instrument_number])?;
                while let Some(row) = found.next()? {
                    let (name, told) = read_indicator(row)?;
                    if wanted(&name) {
                        count += if behind(open_at, &name) { told.outputs.len() } else { 0 };
                        stored.push(((open_at, name), told));
                    }
                }
                Ok(count < enough)
            })?;
            Ok(stored)
        })?;
        for (key, told) in stored {
            keep_indicator(&mut rows, key, told);
        }
        let rows = rows.into_iter().flat_map(|((open_at, indicator), told)| {
            let (revision, data_state) = (told.revision, told.data_state);
            let interval = query.interval;
            told.outputs.into_iter().enumerate().map(move |(position, (output, value))| {
                let indicator = indicator.clone();
                let place = Place { at: open_at.0, id: position as i64, word: indicator.to_string() };
                (place, IndicatorValue { interval, open_at, indicator, output, value, revision, data_state })
            })
        });
        // By time, name and output: the order in which the map holds them, which is not that of places.
        let key = |place: &Place| (place.at, place.word.clone(), place.id);
        let after = after.as_ref().map(key);
        let rows = rows.filter(|(place, _)| after.as_ref().is_none_or(|after| key(place) > *after));
        let rows: Vec<_> = rows.collect();
        Ok(page(rows.into_iter(), &query.span, |place: &Place| place.print('i')))
    }

    /// What waits to be written of the query's instrument, in order.
    fn told<'a>(&self, overlay: &'a [Arc<Batch>], query: &SeriesQuery<'_>, mut take: impl FnMut(&'a Told)) {
        let Some(watch) = self.roster.find(query.instrument) else { return };
        for telling in overlay.iter().flat_map(|batch| &batch.tellings) {
            if telling.watch == watch {
                take(&telling.told);
            }
        }
    }
}

fn keep_candle(rows: &mut BTreeMap<UnixNanos, Candle>, candle: Candle) {
    match rows.get(&candle.open_at) {
        Some(known) if known.revision > candle.revision => {}
        _ => {
            rows.insert(candle.open_at, candle);
        }
    }
}

fn keep_indicator(
    rows: &mut BTreeMap<(UnixNanos, Arc<str>), Values>,
    key: (UnixNanos, Arc<str>),
    told: Values,
) {
    match rows.get(&key) {
        Some(known) if known.revision > told.revision => {}
        _ => {
            rows.insert(key, told);
        }
    }
}

fn read_candle(
    row: &rusqlite::Row<'_>,
    interval: Interval,
    open_at: UnixNanos,
    origin: Origin,
) -> Result<Candle, ReadError> {
    let prices = match (price(row, 1)?, price(row, 2)?, price(row, 3)?, price(row, 4)?) {
        (Some(open), Some(high), Some(low), Some(close)) => Some(Ohlc { open, high, low, close }),
        _ => None,
    };
    let count: Option<i64> = row.get(7)?;
    let state = row.get_ref(10)?.as_bytes().map_err(|_| ReadError::Row("state of a candle"))?;
    let states = [CandleState::Traded, CandleState::Empty, CandleState::Partial, CandleState::Unknown];
    let state = states.into_iter().find(|known| known.name().as_bytes() == state);
    Ok(Candle {
        interval,
        open_at,
        close_at: UnixNanos(row.get(0)?),
        prices,
        volume: amount(row, 5)?.ok_or(ReadError::Row("volume of a candle"))?,
        quote_volume: amount(row, 6)?,
        trade_count: count.map(|count| count as u64),
        taker_buy_volume: amount(row, 8)?,
        taker_buy_quote_volume: amount(row, 9)?,
        state: state.ok_or(ReadError::Row("state of a candle"))?,
        revision: row.get(11)?,
        origin,
    })
}

fn price(row: &rusqlite::Row<'_>, at: usize) -> Result<Option<Price>, ReadError> {
    let text = row.get_ref(at)?.as_bytes_or_null().map_err(|_| ReadError::Row("price"))?;
    text.map(Price::parse).transpose().map_err(|_| ReadError::Row("price"))
}

fn amount<const SCALE: u32>(row: &rusqlite::Row<'_>, at: usize) -> Result<Option<Amount<SCALE>>, ReadError> {
    let text = row.get_ref(at)?.as_bytes_or_null().map_err(|_| ReadError::Row("sum"))?;
    text.map(Amount::parse).transpose().map_err(|_| ReadError::Row("sum"))
}

fn read_indicator(row: &rusqlite::Row<'_>) -> Result<(Arc<str>, Values), ReadError> {
    let name: String = row.get(0)?;
    let outputs: String = row.get(1)?;
    let data_state: String = row.get(3)?;
    let states = [DataState::Complete, DataState::Partial];
    let data_state = states.into_iter().find(|known| known.name() == data_state);
    let value: Option<String> = row.get(4)?;
    let mut told = Values {
        revision: row.get(2)?,
        data_state: data_state.ok_or(ReadError::Row("data state of an indicator"))?,
        outputs: Vec::new(),
    };
    if let Some(value) = value {
        for (output, value) in outputs.split(',').zip(value.split(',')) {
            let value = value.parse().map_err(|_| ReadError::Row("value of an indicator"))?;
            told.outputs.push((output.to_owned(), value));
        }
    }
    Ok((name.into(), told))
}
