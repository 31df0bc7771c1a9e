//! `tapewatch export` of what the store of a service holds: candles, indicators, signals.
//!
//! Read page by page, beside a service that may be running; what that holds in memory is not seen.

use std::path::Path;

use serde_json::Value;

use crate::app::export::out::{Out, price_texts, text_of};
use crate::app::export::wanted::Wanted;
use crate::app::outcome::Failure;
use crate::domain::candle::Origin;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::time::UnixNanos;
use crate::replay::table::{Column, Kind};
use crate::storage::error::StorageError;
use crate::storage::history::{History, ListingQuery, Page, SeriesQuery, Span};

/// Rows that are read at once.
const PAGE: usize = 10_000;

pub const SIGNAL_COLUMNS: [Column; 14] = [
    Column::new("id", Kind::Text),
    Column::new("venue", Kind::Text),
    Column::new("symbol", Kind::Text),
    Column::new("kind", Kind::Text),
    Column::new("name", Kind::Text),
    Column::new("severity", Kind::Text),
    Column::new("action", Kind::Text),
    Column::new("exchange_at", Kind::Time),
    Column::new("score", Kind::Statistic),
    Column::new("message", Kind::Text),
    Column::new("evidence", Kind::Text),
    Column::new("models", Kind::Text),
    Column::new("data_state", Kind::Text),
    Column::new("cause_seq", Kind::Whole),
];

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::failed(error)
    }
}

pub fn candles(dir: &Path, wanted: &Wanted<'_>, out: &mut Out<'_>) -> Result<(), Failure> {
    let history = History::offline(dir);
    each_series(&history, wanted, |instrument, interval, span| {
        let origins = [Origin::Trades, Origin::Venue, Origin::File];
        for origin in origins {
            let read = |span: Span<'_>| history.candles(&SeriesQuery { instrument, interval, span }, origin);
            let goes_on = pages(span, read, |candle| {
                let [open, high, low, close] = price_texts(candle.prices.as_ref());
                out.row(&[
                    instrument.venue().name(),
                    instrument.symbol(),
                    &interval.to_string(),
                    &candle.open_at.to_string(),
                    &candle.close_at.to_string(),
                    &open,
                    &high,
                    &low,
                    &close,
                    &candle.volume.to_string(),
                    &text_of(candle.quote_volume),
                    &text_of(candle.trade_count),
                    &text_of(candle.taker_buy_volume),
                    &text_of(candle.taker_buy_quote_volume),
                    &text_of(candle.vwap()),
                    candle.state.name(),
                    &candle.revision.to_string(),
                    candle.origin.name(),
                ])
            })?;
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

pub fn indicators(dir: &Path, wanted: &Wanted<'_>, out: &mut Out<'_>) -> Result<(), Failure> {
    let history = History::offline(dir);
    each_series(&history, wanted, |instrument, interval, span| {
        let read = |span: Span<'_>| history.indicators(&SeriesQuery { instrument, interval, span }, None);
        pages(span, read, |row| {
            out.row(&[
                instrument.venue().name(),
                instrument.symbol(),
                &interval.to_string(),
                &row.open_at.to_string(),
                &row.indicator,
                &row.output,
                // As our files have it; Rust's own text reads back as the same float too, at length.
                ryu::Buffer::new().format(row.value),
                &row.revision.to_string(),
                row.data_state.name(),
            ])
        })
    })
}

pub fn signals(dir: &Path, wanted: &Wanted<'_>, out: &mut Out<'_>) -> Result<(), Failure> {
    let history = History::offline(dir);
    let read = |span: Span<'_>| {
        history.signals(&ListingQuery { instrument: None, kind: None, severity: None, interval: None, span })
    };
    pages(first(wanted), read, |row| {
        if !wanted.instrument(&row.instrument) {
            return Ok(true);
        }
        let fields: Value = serde_json::from_str(&format!("{{{}}}", row.fields))
            .map_err(|error| Failure::failed(format!("{}: a signal is no JSON: {error}", dir.display())))?;
        let cells: Vec<String> = SIGNAL_COLUMNS
            .iter()
            .map(|column| match (column.name, fields.get(column.name)) {
                ("venue", _) => row.instrument.venue().name().to_owned(),
                ("symbol", _) => row.instrument.symbol().to_owned(),
                (_, None | Some(Value::Null)) => String::new(),
                (_, Some(Value::String(text))) => text.clone(),
                (_, Some(other)) => other.to_string(),
            })
            .collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        out.row(&cells)
    })?;
    Ok(())
}

/// Every series that is wanted, in order, until one says `false`.
fn each_series(
    history: &History,
    wanted: &Wanted<'_>,
    mut visit: impl FnMut(&Instrument, Interval, Span<'static>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    for (instrument, interval) in history.all_series()? {
        if wanted.instrument(&instrument) && !visit(&instrument, interval, first(wanted))? {
            return Ok(());
        }
    }
    Ok(())
}

/// From the oldest row on.
fn first(wanted: &Wanted<'_>) -> Span<'static> {
    let from = wanted.from.or(Some(UnixNanos(i64::MIN)));
    Span { from, to: wanted.until, after: None, limit: PAGE }
}

/// All rows, page after page; `false`: `take` has seen enough.
fn pages<T>(
    span: Span<'static>,
    mut read: impl FnMut(Span<'_>) -> Result<Page<T>, StorageError>,
    mut take: impl FnMut(T) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let mut after: Option<String> = None;
    loop {
        let page = read(Span { after: after.as_deref(), ..span })?;
        for row in page.rows {
            if !take(row)? {
                return Ok(false);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(true);
        }
    }
}
