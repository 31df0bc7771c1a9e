//! History of the store and of what waits before it: the same rows, wherever they are.

use std::sync::Arc;

use super::*;
use crate::domain::candle::Origin;
use crate::domain::insight::Severity;
use crate::domain::output::GapState;
use crate::domain::told::Told;
use crate::storage::embedded::store::Store;
use crate::storage::history::trial::{
    MINUTE, START, batch, candle, gap, roster, signal, telling, told_candle, told_forecast, told_indicator,
    told_outcome,
};

/// Batches, some of them committed, the others waiting.
struct Trial {
    _folder: tempfile::TempDir,
    history: History,
}

fn trial(committed: &[Arc<Batch>], waiting: &[Arc<Batch>]) -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let roster = roster();
    let mut store = Store::open(folder.path(), &roster).unwrap();
    store.write(committed.iter().map(|batch| &**batch), true).unwrap();
    let pending = Pending::new(1_000, Metrics::new().queue("store"));
    waiting.iter().for_each(|batch| assert!(pending.offer(batch)));
    let history = History::new(folder.path(), &roster, pending);
    Trial { _folder: folder, history }
}

const ALL: Span<'static> = Span { from: None, to: None, after: None, limit: 1_000 };

fn at(minute: i64) -> Option<UnixNanos> {
    Some(UnixNanos(START + minute * MINUTE))
}

/// Each row stands once in the store and once in the queue, for every way of sharing them between the two.
fn check_split(batches: &[Arc<Batch>], check: impl Fn(&History)) {
    for split in 0..=batches.len() {
        let trial = trial(&batches[..split], &batches[split..]);
        check(&trial.history);
        // Committed, and still in the queue: between the two steps of the writer.
        let trial = self::trial(&batches[..split], &batches[split.saturating_sub(1)..]);
        check(&trial.history);
    }
}

fn minutes(history: &History, instrument: &str, span: Span<'_>) -> (Vec<(i64, u32)>, Option<String>) {
    let instrument = instrument.parse().unwrap();
    let query = SeriesQuery { instrument: &instrument, interval: "1m".parse().unwrap(), span };
    let page = history.candles(&query, Origin::Trades).unwrap();
    let minute = |candle: &crate::domain::candle::Candle| (candle.open_at.0 - START) / MINUTE;
    (page.rows.iter().map(|candle| (minute(candle), candle.revision)).collect(), page.next)
}

#[test]
fn candles_come_back_as_they_were_told_whatever_is_committed() {
    let batches = [
        batch(vec![telling(0, 1, told_candle(0, 0)), telling(1, 1, told_candle(0, 0))]),
        batch(vec![telling(0, 2, told_candle(1, 0)), telling(0, 2, told_candle(0, 1))]),
        // 3,000 minutes later, beyond the stretch; then an older revision, as a restart may tell it.
        batch(vec![telling(0, 3, told_candle(3_000, 0)), telling(0, 3, told_candle(0, 0))]),
    ];
    check_split(&batches, |history| {
        let all = vec![(0, 1), (1, 0), (3_000, 0)];
        assert_eq!(minutes(history, "binance:BTC-USDT", ALL), (all.clone(), None));
        assert_eq!(minutes(history, "kraken:ETH-USD", ALL).0, [(0, 0)]);
        assert_eq!(minutes(history, "binance:ETH-USDT", ALL).0, []);
        assert_eq!(minutes(history, "binance:BTC-USDT", Span { limit: 2, ..ALL }).0, all[1..]);
        let part = Span { from: at(1), to: at(3_000), ..ALL };
        assert_eq!(minutes(history, "binance:BTC-USDT", part).0, all[1..2]);
        // Page by page.
        let (first, next) = minutes(history, "binance:BTC-USDT", Span { from: at(0), limit: 2, ..ALL });
        assert_eq!(first, all[..2]);
        let after = next.as_deref();
        assert!(after.is_some());
        assert_eq!(minutes(history, "binance:BTC-USDT", Span { after, ..ALL }), (all[2..].to_vec(), None));
        let instrument = "binance:BTC-USDT".parse().unwrap();
        let query = SeriesQuery { instrument: &instrument, interval: "1m".parse().unwrap(), span: ALL };
        let page = history.candles(&query, Origin::Trades).unwrap();
        assert_eq!(page.rows, [candle(0, 1), candle(1, 0), candle(3_000, 0)]);
        assert_eq!(history.candles(&query, Origin::Venue).unwrap().rows, []);
    });
}

#[test]
fn indicators_are_paged_by_output_and_can_be_withdrawn() {
    let batches = [
        batch(vec![
            telling(0, 1, told_candle(0, 0)),
            telling(0, 1, told_indicator(0, 0, &[0.1 + 0.2, -1e300, 5.0])),
        ]),
        batch(vec![telling(0, 2, told_indicator(1, 0, &[1.0, 2.0, 3.0]))]),
        batch(vec![telling(0, 3, told_indicator(2, 0, &[1.0, 2.0, 3.0]))]),
        batch(vec![telling(0, 4, told_indicator(1, 1, &[])), telling(0, 4, told_indicator(1, 0, &[7.0]))]),
    ];
    let read = |history: &History, span: Span<'_>| {
        let instrument = "binance:BTC-USDT".parse().unwrap();
        let query = SeriesQuery { instrument: &instrument, interval: "1m".parse().unwrap(), span };
        let page = history.indicators(&query, None).unwrap();
        let row =
            |row: &series::IndicatorValue| ((row.open_at.0 - START) / MINUTE, row.output.clone(), row.value);
        (page.rows.iter().map(row).collect::<Vec<_>>(), page.next)
    };
    let row = |minute: i64, output: &str, value: f64| (minute, output.to_owned(), value);
    let all = [
        row(0, "macd", 0.1 + 0.2),
        row(0, "signal", -1e300),
        row(0, "histogram", 5.0),
        row(2, "macd", 1.0),
        row(2, "signal", 2.0),
        row(2, "histogram", 3.0),
    ];
    check_split(&batches, |history| {
        assert_eq!(read(history, ALL).0, all);
        assert_eq!(read(history, Span { limit: 4, ..ALL }).0, all[2..]);
        let (mut paged, mut after) = (Vec::new(), None::<String>);
        loop {
            let span = Span { from: at(0), after: after.as_deref(), limit: 2, ..ALL };
            let (rows, next) = read(history, span);
            assert!(rows.len() == 2, "{rows:?}");
            paged.extend(rows);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, all);
    });
}

fn query(span: Span<'_>) -> ListingQuery<'_> {
    ListingQuery { instrument: None, kind: None, severity: None, interval: None, span }
}

#[test]
fn listings_are_filtered_and_paged() {
    let told = |id: u64, minute: i64, severity| Told::Signal(Box::new(signal(id, minute, severity)));
    let batches = [
        batch(vec![telling(0, 1, told(9, 0, Severity::Info)), telling(1, 1, told(1, 0, Severity::Critical))]),
        batch(vec![telling(0, 2, told(u64::MAX, 5, Severity::Warning))]),
        batch(vec![telling(0, 3, told(3, 2, Severity::Critical))]),
        batch(vec![telling(0, 2, told(u64::MAX, 5, Severity::Warning))]),
    ];
    let ids = |page: Page<listing::InsightText>| -> (Vec<String>, Option<String>) {
        let id = |row: &listing::InsightText| {
            let value: serde_json::Value = serde_json::from_str(&format!("{{{}}}", row.fields)).unwrap();
            assert_eq!(value["instrument"], row.instrument.to_string());
            value["id"].as_str().unwrap().trim_start_matches('0').to_owned()
        };
        (page.rows.iter().map(id).collect(), page.next)
    };
    check_split(&batches, |history| {
        let last = "f".repeat(16);
        assert_eq!(ids(history.signals(&query(ALL)).unwrap()).0, ["1", "9", "3", &last]);
        let critical = ListingQuery { severity: Some("critical"), ..query(ALL) };
        assert_eq!(ids(history.signals(&critical).unwrap()).0, ["1", "3"]);
        let kraken = "kraken:ETH-USD".parse().unwrap();
        let one = ListingQuery { instrument: Some(&kraken), kind: Some("anomaly"), ..query(ALL) };
        assert_eq!(ids(history.signals(&one).unwrap()).0, ["1"]);
        let (first, next) = ids(history.signals(&query(Span { from: at(0), limit: 2, ..ALL })).unwrap());
        assert_eq!(first, ["1", "9"]);
        let after = next.as_deref();
        assert_eq!(ids(history.signals(&query(Span { after, ..ALL })).unwrap()).0, ["3", &last]);
        assert_eq!(ids(history.anomalies(&query(ALL)).unwrap()).0, [""; 0]);
        assert!(history.anomalies(&query(Span { after, ..ALL })).unwrap_err().is_refusal());
    });
}

#[test]
fn gaps_keep_their_place_and_their_last_state() {
    let told =
        |seq: u64, id: u64, minute: i64, state| telling(0, seq, Told::Gap(Box::new(gap(id, minute, state))));
    let batches = [
        batch(vec![told(1, 1, 0, GapState::Open), told(1, 2, 5, GapState::Open)]),
        batch(vec![told(2, 1, 9, GapState::Open)]),
        batch(vec![told(3, 1, 9, GapState::Filled), told(4, u64::MAX, 2, GapState::Unfillable)]),
    ];
    check_split(&batches, |history| {
        let page = history.gaps(&query(ALL)).unwrap();
        let rows: Vec<_> = page.rows.iter().map(|(_, gap)| (gap.id.0, gap.state)).collect();
        assert_eq!(rows, [(1, GapState::Filled), (u64::MAX, GapState::Unfillable), (2, GapState::Open)]);
        assert_eq!(page.rows[0].1, gap(1, 9, GapState::Filled));
    });
}

#[test]
fn rows_that_wait_on_disk_make_a_read_wait() {
    let trial = trial(&[], &[]);
    trial.history.pending.set_spooled(true);
    let instrument = "binance:BTC-USDT".parse().unwrap();
    let query = SeriesQuery { instrument: &instrument, interval: "1m".parse().unwrap(), span: ALL };
    let error = trial.history.candles(&query, Origin::Trades).unwrap_err();
    assert!(matches!(error, StorageError::Behind), "{error}");
    trial.history.pending.set_spooled(false);
    assert!(trial.history.candles(&query, Origin::Trades).is_ok());
}

#[test]
fn forecasts_have_their_outcomes_whichever_is_written_first() {
    let batches = [
        batch(vec![telling(0, 1, told_forecast(1, 0)), telling(0, 2, told_forecast(2, 1))]),
        batch(vec![telling(0, 3, told_outcome(1, 0, 0.1)), telling(1, 3, told_forecast(3, 1))]),
        // Told again beside newer ones: its outcome came first.
        batch(vec![telling(0, 9, told_outcome(4, 2, 1e-9))]),
        batch(vec![telling(0, 4, told_forecast(4, 2)), telling(0, 9, told_outcome(4, 2, 1e-9))]),
        batch(vec![telling(0, 1, told_forecast(1, 0))]),
    ];
    let actuals = |history: &History| -> Vec<String> {
        let query = ListingQuery { instrument: None, kind: None, severity: None, interval: None, span: ALL };
        let page = history.forecasts(&query).unwrap();
        let actual = |row: &listing::InsightText| {
            let fields: serde_json::Value = serde_json::from_str(&format!("{{{}}}", row.fields)).unwrap();
            format!("{} {}", fields["id"].as_str().unwrap().trim_start_matches('0'), fields["actual"])
        };
        page.rows.iter().map(actual).collect()
    };
    check_split(&batches, |history| {
        assert_eq!(actuals(history), ["1 0.1", "2 null", "3 null", "4 1e-9"]);
    });
}
