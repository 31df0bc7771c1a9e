//! What keeping a row costs, beside the least that could do it.
//!
//! * `embedded`: candles of 1,000 instruments, minute by minute, into the store; the same rows into bare
//!   SQLite, keyed by time first and by instrument first. The two bare figures say whether the order of the
//!   key is right; the store's share of them is what exact texts and upserts cost. Then 500 candles of one instrument
//!   are read back, from the store and from the table keyed by instrument: what the order of the key costs readers.
//! * `encode`: trades into line protocol, beside the bare buffer of the client library: at most 1.5.
//! * `questdb`: acknowledged trades a second, beside a bare loop of the client library's sender, in turns:
//!   at least 0.8. Left out, with a line that says so, where no server can be had.
//!
//! CPU time where one thread does the work, wall time where a server does.

#[path = "../tests/common/questdb.rs"]
mod questdb_server;

use std::sync::Arc;
use std::time::Duration;

use cpu_time::ThreadTime;
use questdb::ingress::{Buffer, ColumnName, ProtocolVersion, Sender, TableName, TimestampNanos};
use rusqlite::{Connection, params};
use tapewatch::domain::candle::{Candle, CandleState, Ohlc, Origin};
use tapewatch::domain::decimal::{Decimal, Price, Quantity, QuoteVolume, Volume};
use tapewatch::domain::event::{Side, Trade, TradeId};
use tapewatch::domain::output::Position;
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::{Roster, Told, Watch};
use tapewatch::runtime::clock::{Mono, Stopwatch};
use tapewatch::runtime::health::Health;
use tapewatch::runtime::latency::Latency;
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::quarantine::NoQuarantine;
use tapewatch::runtime::sink::{Barrier, Batch, Telling};
use tapewatch::storage::embedded::store::Store;
use tapewatch::storage::history::{History, SeriesQuery, Span};
use tapewatch::storage::questdb::client::Client;
use tapewatch::storage::questdb::encoder::Encoder;
use tapewatch::storage::questdb::gap_places::GapPlaces;
use tapewatch::storage::questdb::open_forecasts::OpenForecasts;
use tapewatch::storage::questdb::schema;
use tapewatch::storage::questdb::sink::{QuestDb, Voices};

const START: i64 = 1_714_521_600_000_000_000;
const MINUTE: i64 = 60_000_000_000;

fn main() {
    // Small inside the tests, which do not ask for a measurement.
    let testing =
        !std::env::args().any(|arg| arg == "--bench") || std::env::args().any(|arg| arg == "--test");
    embedded(if testing { 20 } else { 600 }, if testing { 50 } else { 1_000 });
    encode(if testing { 2_000 } else { 500_000 });
    questdb(if testing { 2_000 } else { 500_000 }, if testing { 1 } else { 3 });
}

fn roster(instruments: u32) -> Roster {
    Roster::new((0..instruments).map(|number| format!("binance:C{number}-USDT").parse().unwrap()))
}

fn batch(tellings: Vec<Telling>) -> Batch {
    Batch { tellings, published: Mono::now(), recovered: false }
}

fn telling(watch: u32, told: Told) -> Telling {
    Telling { watch: Watch(watch), cause_seq: 1, at: Position(1), received: Some(Mono::now()), told }
}

fn decimal(number: u64, scale: u32) -> Decimal {
    Decimal::new(number, scale).unwrap()
}

fn candle(minute: i64, instrument: u64) -> Candle {
    let step = (minute as u64 * 1_000 + instrument).wrapping_mul(2_654_435_761);
    let price = |more: u64| Price::new(decimal(6_012_345 + step % 9_999 + more, 2)).unwrap();
    let quantity = |more: u64| Quantity::new(decimal(1 + step / 7 % 99_999 + more, 5)).unwrap();
    Candle {
        interval: "1m".parse().unwrap(),
        open_at: UnixNanos(START + minute * MINUTE),
        close_at: UnixNanos(START + (minute + 1) * MINUTE),
        prices: Some(Ohlc { open: price(3), high: price(9), low: price(0), close: price(5) }),
        volume: Volume::of(quantity(1)),
        quote_volume: Some(QuoteVolume::of(price(1), quantity(1))),
        trade_count: Some(step % 1_000),
        taker_buy_volume: Some(Volume::of(quantity(0))),
        taker_buy_quote_volume: Some(QuoteVolume::of(price(1), quantity(0))),
        state: CandleState::Traded,
        revision: 0,
        origin: Origin::Trades,
    }
}

fn embedded(minutes: i64, instruments: u32) {
    let rows = minutes as f64 * f64::from(instruments);
    let roster = roster(instruments);
    let batches: Vec<Batch> = (0..minutes)
        .map(|minute| {
            let told = |watch| telling(watch, Told::Candle(Box::new(candle(minute, u64::from(watch)))));
            batch((0..instruments).map(told).collect())
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();

    let mut store = Store::open(folder.path(), &roster).unwrap();
    let begun = ThreadTime::now();
    let written: u64 = batches.iter().map(|batch| store.write([batch].into_iter(), false).unwrap()[0]).sum();
    let stored = begun.elapsed().as_nanos() as f64 / rows;
    assert_eq!(written, rows as u64);
    let by_time = bare(&folder.path().join("time"), "open_time, interval, instrument", &batches) / rows;
    let by_instrument =
        bare(&folder.path().join("instrument"), "instrument, interval, open_time", &batches) / rows;
    println!(
        "embedded: {stored:.0} ns CPU a candle; bare SQLite {by_time:.0} keyed by time first, {by_instrument:.0} by instrument first"
    );
    println!(
        "embedded: store / bare {:.2}, instrument first / time first {:.2}",
        stored / by_time,
        by_instrument / by_time
    );

    let history = History::offline(folder.path());
    let span = Span { from: None, to: None, after: None, limit: 500 };
    let other = Connection::open(folder.path().join("instrument")).unwrap();
    let (mut reads, mut bare_reads, mut checksum) = (Duration::ZERO, Duration::ZERO, 0);
    let asked = 40.min(instruments);
    for number in 0..asked {
        let instrument = format!("binance:C{number}-USDT").parse().unwrap();
        let query = SeriesQuery { instrument: &instrument, interval: "1m".parse().unwrap(), span };
        let begun = ThreadTime::now();
        let page = history.candles(&query, Origin::Trades).unwrap();
        reads += begun.elapsed();
        assert_eq!(page.rows.len(), 500.min(minutes as usize));
        let watch = roster.find(&instrument).unwrap().0;
        let begun = ThreadTime::now();
        let mut statement = other
            .prepare_cached("SELECT open_time, open, high, low, close, volume, state FROM rows WHERE instrument = ?1 AND interval = 1 ORDER BY open_time DESC LIMIT 500")
            .unwrap();
        let mut found = statement.query([watch]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let (at, close): (i64, String) = (row.get(0).unwrap(), row.get(4).unwrap());
            checksum += at as usize % 7 + close.len();
        }
        bare_reads += begun.elapsed();
    }
    let millis = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(asked);
    println!(
        "embedded: a page of 500 candles {:.2} ms CPU, bare from the other key {:.2} (checksum {checksum})",
        millis(reads),
        millis(bare_reads)
    );
}

/// Nanoseconds of CPU for all rows.
fn bare(path: &std::path::Path, key: &str, batches: &[Batch]) -> f64 {
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
    connection.pragma_update(None, "synchronous", "normal").unwrap();
    connection.pragma_update(None, "cache_size", -16_384).unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TABLE rows (open_time INTEGER, interval INTEGER, instrument INTEGER, close_time INTEGER, open TEXT, \
             high TEXT, low TEXT, close TEXT, volume TEXT, quote_volume TEXT, trade_count INTEGER, taker_buy_volume TEXT, \
             taker_buy_quote_volume TEXT, state TEXT, revision INTEGER, PRIMARY KEY ({key})) WITHOUT ROWID"
        ))
        .unwrap();
    let begun = ThreadTime::now();
    for batch in batches {
        let transaction = connection.transaction().unwrap();
        {
            let mut statement = transaction
                .prepare_cached("INSERT INTO rows VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'traded', 0)")
                .unwrap();
            for telling in &batch.tellings {
                let Told::Candle(candle) = &telling.told else { continue };
                let prices = candle.prices.unwrap();
                statement
                    .execute(params![
                        candle.open_at.0,
                        telling.watch.0,
                        candle.close_at.0,
                        prices.open.decimal().to_string(),
                        prices.high.decimal().to_string(),
                        prices.low.decimal().to_string(),
                        prices.close.decimal().to_string(),
                        candle.volume.to_string(),
                        candle.quote_volume.unwrap().to_string(),
                        candle.trade_count.map(|count| count as i64),
                        candle.taker_buy_volume.unwrap().to_string(),
                        candle.taker_buy_quote_volume.unwrap().to_string(),
                    ])
                    .unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    begun.elapsed().as_nanos() as f64
}

const INSTRUMENTS: u32 = 16;

fn trades(count: u64, from: u64) -> Vec<Trade> {
    let trade = |number: u64| {
        let step = number.wrapping_mul(2_654_435_761);
        Trade {
            price: Price::new(decimal(6_012_345 + step % 9_999, 2)).unwrap(),
            quantity: Quantity::new(decimal(1 + step / 7 % 99_999, 5)).unwrap(),
            exchange_at: UnixNanos(START + number as i64 * 1_000_000),
            received_at: UnixNanos(START + number as i64 * 1_000_000 + 4_000_000).stamp(),
            id: TradeId::Number(3_000_000_000 + number),
            taker_side: Some(if step.is_multiple_of(3) { Side::Buy } else { Side::Sell }),
            trade_count: 1,
        }
    };
    (from..from + count).map(trade).collect()
}

fn batches_of(trades: &[Trade]) -> Vec<Arc<Batch>> {
    let one = |trades: &[Trade]| {
        let told = trades
            .iter()
            .enumerate()
            .map(|(at, trade)| telling(at as u32 % INSTRUMENTS, Told::Trade(trade.clone())));
        Arc::new(batch(told.collect()))
    };
    trades.chunks(256).map(one).collect()
}

/// The same columns by hand; names and ids are made beforehand.
fn bare_row(buffer: &mut Buffer, symbol: &str, trade: &Trade, id: &str) {
    let column = ColumnName::new_unchecked;
    buffer
        .table(TableName::new_unchecked("trades"))
        .unwrap()
        .symbol(column("venue"), "binance")
        .unwrap()
        .symbol(column("symbol"), symbol)
        .unwrap()
        .symbol(column("taker_side"), if trade.taker_side == Some(Side::Buy) { "buy" } else { "sell" })
        .unwrap()
        .column_str(column("trade_id"), id)
        .unwrap()
        .column_f64(column("price"), trade.price.decimal().to_f64())
        .unwrap()
        .column_f64(column("quantity"), trade.quantity.decimal().to_f64())
        .unwrap()
        .column_i64(column("trade_count"), i64::from(trade.trade_count))
        .unwrap()
        .column_ts(column("received_at"), TimestampNanos::new(trade.received_at.unwrap().at().0))
        .unwrap()
        .at(TimestampNanos::new(trade.exchange_at.0))
        .unwrap();
}

fn encode(count: u64) {
    let trades = trades(count, 0);
    let roster = roster(INSTRUMENTS);
    let symbols: Vec<String> = roster.iter().map(|(_, instrument)| instrument.symbol().to_owned()).collect();
    let ids: Vec<String> = trades.iter().map(|trade| trade.id.to_string()).collect();
    let batches = batches_of(&trades);
    let folder = tempfile::tempdir().unwrap();
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let begun = ThreadTime::now();
        let (mut buffer, mut bytes) = (Buffer::new(ProtocolVersion::V2), 0);
        for (at, (trade, id)) in trades.iter().zip(&ids).enumerate() {
            bare_row(&mut buffer, &symbols[at % 256 % INSTRUMENTS as usize], trade, id);
            if buffer.row_count() == 50_000 {
                bytes += buffer.len();
                buffer.clear();
            }
        }
        bytes += buffer.len();
        let bare = begun.elapsed().as_nanos() as f64 / count as f64;
        let gaps = GapPlaces::open(&folder.path().join("gaps")).unwrap();
        let forecasts = OpenForecasts::open(&folder.path().join("forecasts")).unwrap();
        let mut encoder = Encoder::new(&roster, gaps, forecasts);
        let begun = ThreadTime::now();
        let mut encoded = 0;
        for part in batches.chunks(160) {
            let chunks = encoder.encode(part.iter().map(|batch| (&**batch, false)));
            encoded += chunks.iter().map(|chunk| chunk.part(0, chunk.rows()).len()).sum::<usize>();
        }
        let ours = begun.elapsed().as_nanos() as f64 / count as f64;
        assert_eq!(encoded, bytes, "both write the same bytes");
        ratios.push((ours / bare, ours, bare));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, ours, bare) = ratios[2];
    println!("encode: {ours:.0} ns CPU a trade, bare buffer {bare:.0}: {ratio:.2} (bound 1.5)");
}

fn questdb(count: u64, rounds: u64) {
    let Some(server) = questdb_server::start() else { return };
    let config = server.config();
    let client = Client::new(&config);
    schema::ensure(&client, &config).unwrap();
    let roster = roster(INSTRUMENTS);
    let mut ratios = Vec::new();
    for round in 0..rounds {
        // Each its own rows: none is a copy of another.
        let bare = bare_loop(&server.http_address, &roster, &trades(count, 2 * round * count));
        let ours = sink_loop(&config, &roster, &trades(count, (2 * round + 1) * count));
        println!("questdb: sink {ours:.0} trades/s acknowledged, bare sender {bare:.0}");
        ratios.push(ours / bare);
    }
    ratios.sort_by(f64::total_cmp);
    println!("questdb: sink / bare sender {:.2} (bound 0.8)", ratios[ratios.len() / 2]);
}

fn bare_loop(address: &str, roster: &Roster, trades: &[Trade]) -> f64 {
    let mut sender = Sender::from_conf(format!(
        "http::addr={address};protocol_version=2;request_timeout=60000;retry_timeout=0;"
    ))
    .unwrap();
    let symbols: Vec<String> = roster.iter().map(|(_, instrument)| instrument.symbol().to_owned()).collect();
    let ids: Vec<String> = trades.iter().map(|trade| trade.id.to_string()).collect();
    let mut buffer = Buffer::new(ProtocolVersion::V2);
    let begun = Stopwatch::start();
    for (at, (trade, id)) in trades.iter().zip(&ids).enumerate() {
        bare_row(&mut buffer, &symbols[at % INSTRUMENTS as usize], trade, id);
        if buffer.row_count() == 40_000 {
            sender.flush(&mut buffer).unwrap();
        }
    }
    if !buffer.is_empty() {
        sender.flush(&mut buffer).unwrap();
    }
    trades.len() as f64 / begun.elapsed().as_secs_f64()
}

fn sink_loop(config: &tapewatch::storage::config::QuestDbConfig, roster: &Roster, trades: &[Trade]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let voices = Voices {
        metrics: Metrics::new(),
        health: Health::default(),
        latency: Latency::default(),
        quarantine: Arc::new(NoQuarantine),
    };
    let questdb = QuestDb::start(folder.path(), roster, config, voices.clone()).unwrap();
    let sink = questdb.sink();
    let batches = batches_of(trades);
    let depth = voices.metrics.queue("questdb").depth;
    let begun = Stopwatch::start();
    for batch in &batches {
        // The queue is bounded, and what overflows is dropped: a shard is never as fast as this loop.
        while depth.get() > 150_000 {
            tapewatch::runtime::clock::sleep(Duration::from_millis(1));
        }
        sink.offer(batch);
    }
    let (barrier, reached) = Barrier::new(1);
    sink.mark(barrier);
    reached.recv_timeout(Duration::from_secs(600)).unwrap();
    let rate = trades.len() as f64 / begun.elapsed().as_secs_f64();
    assert_eq!(voices.metrics.sink_rows.with_label_values(&["questdb", "trades"]).get(), trades.len() as u64);
    rate
}
