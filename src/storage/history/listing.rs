//! Gaps, anomalies, forecasts and signals, of one instrument or of all.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use crate::domain::event::Unfillable;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::output::{Gap, GapId, GapKind, GapState};
use crate::domain::shape;
use crate::domain::time::UnixNanos;
use crate::domain::told::{Told, Watch};
use crate::storage::cursor::Place;
use crate::storage::embedded::row::Table;
use crate::storage::embedded::store::{instrument_number, interval_number};
use crate::storage::error::StorageError;
use crate::storage::history::{History, ListingQuery, Page, ReadError, page};

/// An anomaly, a forecast or a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsightText {
    pub instrument: Instrument,
    /// Fields of JSON without braces, as [`crate::domain::shape`] writes them: what the feed sent. Of a forecast also
    /// `actual`, what became of it, or null.
    pub fields: String,
}

/// By time, then identity.
type Key = (i64, i64);

impl History {
    /// By time of the event.
    pub fn anomalies(&self, query: &ListingQuery<'_>) -> Result<Page<InsightText>, StorageError> {
        self.insights(Table::Anomalies, 'a', query)
    }

    /// By the time at which they were made.
    pub fn forecasts(&self, query: &ListingQuery<'_>) -> Result<Page<InsightText>, StorageError> {
        self.insights(Table::Forecasts, 'f', query)
    }

    /// By time of the event.
    pub fn signals(&self, query: &ListingQuery<'_>) -> Result<Page<InsightText>, StorageError> {
        self.insights(Table::Signals, 's', query)
    }

    fn insights(
        &self,
        table: Table,
        kind: char,
        query: &ListingQuery<'_>,
    ) -> Result<Page<InsightText>, StorageError> {
        let after = query.span.after.map(|text| Place::parse(kind, text)).transpose()?;
        let overlay = self.overlay()?;
        let mut rows: BTreeMap<Key, InsightText> = BTreeMap::new();
        let mut outcomes: BTreeMap<Key, String> = BTreeMap::new();
        for telling in overlay.iter().flat_map(|batch| &batch.tellings) {
            if let (Table::Forecasts, Told::Outcome(outcome)) = (table, &telling.told) {
                let mut actual = Vec::new();
                shape::float(outcome.actual, &mut actual);
                let key = (outcome.made_at.0, outcome.id.0 as i64);
                outcomes.insert(key, String::from_utf8_lossy(&actual).into_owned());
            }
            let Some(insight) = Insight::of(table, &telling.told) else { continue };
            if !insight.is_wanted(query, after.as_ref()) || !self.is_of(query, telling.watch) {
                continue;
            }
            let label = &self.labels[telling.watch.0 as usize];
            let mut fields = Vec::new();
            match &telling.told {
                Told::Anomaly(anomaly) => shape::anomaly(label, anomaly, telling.cause_seq, &mut fields),
                Told::Forecast(forecast) => shape::forecast(label, forecast, telling.cause_seq, &mut fields),
                Told::Signal(signal) => shape::signal(label, signal, telling.cause_seq, &mut fields),
                _ => {}
            }
            let instrument = self.roster.instrument(telling.watch).clone();
            let fields = String::from_utf8_lossy(&fields).into_owned();
            rows.insert((insight.at, insight.id), InsightText { instrument, fields });
        }
        let stored = self.read(|connection| {
            let columns = if table == Table::Forecasts { "t.fields, t.actual" } else { "t.fields, NULL" };
            select(connection, table, columns, query, after.as_ref(), |row| {
                Ok((row.get::<_, String>(3)?, row.get::<_, Option<String>>(4)?))
            })
        })?;
        for (key, instrument, (fields, actual)) in stored {
            rows.insert(key, InsightText { instrument, fields });
            outcomes.extend(actual.map(|actual| (key, actual)));
        }
        if table == Table::Forecasts {
            for (key, row) in &mut rows {
                row.fields.push_str(",\"actual\":");
                row.fields.push_str(outcomes.get(key).map_or("null", String::as_str));
            }
        }
        Ok(page(rows.into_iter(), &query.span, |&(at, id)| Place::new(at, id).print(kind)))
    }

    /// By where they began when they were first told.
    pub fn gaps(&self, query: &ListingQuery<'_>) -> Result<Page<(Instrument, Gap)>, StorageError> {
        let after = query.span.after.map(|text| Place::parse('g', text)).transpose()?;
        let overlay = self.overlay()?;
        // The last telling of each, and where it began as far as memory knows.
        let mut told: BTreeMap<(Watch, GapId), (i64, u64, &Gap)> = BTreeMap::new();
        for telling in overlay.iter().flat_map(|batch| &batch.tellings) {
            if let Told::Gap(gap) = &telling.told
                && self.is_of(query, telling.watch)
            {
                told.entry((telling.watch, gap.id))
                    .and_modify(|(_, seq, last)| (*seq, *last) = (telling.cause_seq, &**gap))
                    .or_insert((gap.from.0, telling.cause_seq, &**gap));
            }
        }
        let rows = self.read(|connection| {
            let columns =
                "t.kind, t.first_missing_id, t.last_missing_id, t.\"from\", t.\"to\", t.state, t.reason";
            let stored = select(connection, Table::Gaps, columns, query, after.as_ref(), read_gap)?;
            let mut rows: BTreeMap<Key, (Instrument, Gap)> =
                stored.into_iter().map(|(key, instrument, gap)| (key, (instrument, gap))).collect();
            let (from, to) = query.span.bounds();
            for (&(watch, id), &(first, seq, gap)) in &told {
                let instrument = self.roster.instrument(watch);
                // What the store knows of its beginning is older than what memory knows; of its end it may
                // have learnt more meanwhile.
                let known = gap_at(connection, instrument, id)?;
                if known.is_some_and(|(_, stored)| stored > seq) {
                    continue;
                }
                let key = (known.map_or(first, |(at, _)| at), id.0 as i64);
                let is_wanted = (from..to).contains(&key.0)
                    && query.kind.is_none_or(|kind| kind == gap.kind.name())
                    && after.as_ref().is_none_or(|after| key > (after.at, after.id));
                if is_wanted {
                    rows.insert(key, (instrument.clone(), gap.clone()));
                }
            }
            Ok(rows)
        })?;
        Ok(page(rows.into_iter(), &query.span, |&(at, id)| Place::new(at, id).print('g')))
    }

    fn is_of(&self, query: &ListingQuery<'_>, watch: Watch) -> bool {
        query.instrument.is_none_or(|instrument| instrument == self.roster.instrument(watch))
    }
}

/// What a query asks of an insight.
struct Insight<'a> {
    at: i64,
    id: i64,
    kind: &'a str,
    severity: Option<&'static str>,
    interval: Option<Interval>,
}

impl<'a> Insight<'a> {
    fn of(table: Table, told: &'a Told) -> Option<Self> {
        match (table, told) {
            (Table::Anomalies, Told::Anomaly(anomaly)) => Some(Self {
                at: anomaly.exchange_at.0,
                id: anomaly.id.0 as i64,
                kind: anomaly.channel,
                severity: None,
                interval: Some(anomaly.interval),
            }),
            (Table::Forecasts, Told::Forecast(forecast)) => Some(Self {
                at: forecast.made_at.0,
                id: forecast.id.0 as i64,
                kind: forecast.target.name(),
                severity: None,
                interval: Some(forecast.interval),
            }),
            (Table::Signals, Told::Signal(signal)) => Some(Self {
                at: signal.exchange_at.0,
                id: signal.id.0 as i64,
                kind: signal.kind.name(),
                severity: Some(signal.severity.name()),
                interval: None,
            }),
            _ => None,
        }
    }

    fn is_wanted(&self, query: &ListingQuery<'_>, after: Option<&Place>) -> bool {
        let (from, to) = query.span.bounds();
        (from..to).contains(&self.at)
            && query.kind.is_none_or(|kind| kind == self.kind)
            && query.severity.is_none_or(|severity| Some(severity) == self.severity)
            && query.interval.is_none_or(|interval| Some(interval) == self.interval)
            && after.is_none_or(|after| (self.at, self.id) > (after.at, after.id))
    }
}

/// Rows of a table: their key, their instrument, and what `read` makes of the columns from the fourth on.
fn select<T>(
    connection: &Connection,
    table: Table,
    columns: &str,
    query: &ListingQuery<'_>,
    after: Option<&Place>,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T, ReadError>,
) -> Result<Vec<(Key, Instrument, T)>, ReadError> {
    let (from, to) = query.span.bounds();
    let mut values: Vec<Value> = vec![from.into(), to.into()];
    let mut filter = String::from("t.at >= ?1 AND t.at < ?2");
    let mut add = |sql: &str, value: Value| {
        values.push(value);
        filter.push_str(&format!(" AND {sql} ?{}", values.len()));
    };
    if let Some(instrument) = query.instrument {
        let Some(number) = instrument_number(connection, instrument)? else { return Ok(Vec::new()) };
        add("t.instrument =", number.into());
    }
    if let Some(kind) = query.kind {
        add("t.kind =", kind.to_owned().into());
    }
    if table != Table::Gaps {
        if let Some(severity) = query.severity {
            add("t.severity =", severity.to_owned().into());
        }
        if let Some(interval) = query.interval {
            let Some(number) = interval_number(connection, interval)? else { return Ok(Vec::new()) };
            add("t.interval =", number.into());
        }
    }
    if let Some(after) = after {
        values.extend([after.at.into(), after.id.into()]);
        filter.push_str(&format!(" AND (t.at, t.id) > (?{}, ?{})", values.len() - 1, values.len()));
    }
    let order = if query.span.is_newest() { "t.at DESC, t.id DESC" } else { "t.at, t.id" };
    let limit = i64::try_from(query.span.limit.saturating_add(1)).unwrap_or(i64::MAX);
    values.push(limit.into());
    // The names are looked up last, row by row.
    let sql = format!(
        "SELECT t.at, t.id, n.name, {columns} FROM {} t CROSS JOIN instruments n ON n.id = t.instrument \
         WHERE {filter} ORDER BY {order} LIMIT ?{}",
        table.name(),
        values.len()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let name: String = row.get(2)?;
        let instrument = name.parse().map_err(|_| ReadError::Row("name of an instrument"))?;
        rows.push(((row.get(0)?, row.get(1)?), instrument, read(row)?));
    }
    Ok(rows)
}

/// Where it stands in the order, and the seq of its last telling.
fn gap_at(
    connection: &Connection,
    instrument: &Instrument,
    id: GapId,
) -> Result<Option<(i64, u64)>, ReadError> {
    let Some(number) = instrument_number(connection, instrument)? else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT at, cause_seq FROM gaps WHERE instrument = ?1 AND id = ?2")?;
    let mut rows = statement.query(params![number, id.0 as i64])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((row.get(0)?, row.get::<_, i64>(1)? as u64)))
}

fn read_gap(row: &rusqlite::Row<'_>) -> Result<Gap, ReadError> {
    let word = |at: usize| row.get::<_, String>(at);
    let id = |at: usize| -> Result<Option<u64>, ReadError> {
        let text: Option<String> = row.get(at)?;
        text.map(|text| text.parse()).transpose().map_err(|_| ReadError::Row("missing id of a gap"))
    };
    let kinds = [GapKind::Ids, GapKind::Time, GapKind::Reset];
    let (kind, state) = (word(3)?, word(8)?);
    let states = [GapState::Open, GapState::Filled, GapState::Unfillable];
    Ok(Gap {
        id: GapId(row.get::<_, i64>(1)? as u64),
        kind: kinds.into_iter().find(|known| known.name() == kind).ok_or(ReadError::Row("kind of a gap"))?,
        first_missing_id: id(4)?,
        last_missing_id: id(5)?,
        from: UnixNanos(row.get(6)?),
        to: UnixNanos(row.get(7)?),
        state: states
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or(ReadError::Row("state of a gap"))?,
        reason: match row.get::<_, Option<String>>(9)? {
            None => None,
            Some(text) => {
                let known = Unfillable::ALL.into_iter().find(|known| known.name() == text);
                Some(known.ok_or(ReadError::Row("reason of a gap"))?)
            }
        },
    })
}
