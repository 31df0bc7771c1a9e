//! Every real recording whose format we claim is read, trade by trade as many as its index says.

mod common;

use std::collections::BTreeMap;

use tapewatch::domain::event::Event;
use tapewatch::domain::interval::Interval;
use tapewatch::domain::venue::Venue;
use tapewatch::replay::merge::{Inputs, Options};
use tapewatch::replay::recording::InputError;
use tapewatch::venues::PARSERS;

/// What came of a recording.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    format: &'static str,
    events: u64,
    skipped: u64,
    /// Events of each instrument.
    instruments: BTreeMap<String, u64>,
}

fn read(path: &str, options: Options) -> Option<Result<Read, InputError>> {
    let path = common::shared(path)?;
    Some(read_all(path, options))
}

fn read_all(path: std::path::PathBuf, options: Options) -> Result<Read, InputError> {
    let mut inputs = Inputs::open(&[path], Options { frame_parsers: PARSERS, ..options })?;
    let (mut batch, mut instruments) = (Vec::new(), BTreeMap::new());
    while inputs.next_batch(&mut batch)? {
        for entry in &batch {
            let (instrument, _) = inputs.roster().get(entry.instrument);
            *instruments.entry(instrument.to_string()).or_default() += 1;
            assert!(!matches!(entry.event, Event::Tick { .. }));
        }
    }
    inputs.finish()?;
    let format = inputs.recordings().next().map_or("", |(_, format)| format);
    let skipped = inputs.quarantined();
    Ok(Read { format, events: instruments.values().sum(), skipped, instruments })
}

/// As if the user said `venue:BASE-QUOTE` (or nothing) and `--intervals`.
fn said(instrument: &str, interval: &str) -> Options {
    let (venue, symbol) = instrument.split_once(':').unwrap_or(("", ""));
    Options {
        venue: Venue::new(venue).ok(),
        symbol: Some(symbol.to_owned()).filter(|symbol| !symbol.is_empty()),
        interval: interval.parse::<Interval>().ok().and_then(Interval::time),
        max_quarantined: Some(u64::MAX),
        ..Options::default()
    }
}

/// Checks over many files, of which all that fail are told together.
#[derive(Default)]
struct Checks {
    failures: Vec<String>,
}

impl Checks {
    fn check(
        &mut self,
        path: &str,
        options: Options,
        format: &str,
        events: u64,
        skipped: u64,
        instruments: usize,
    ) {
        let expected = (format, events, skipped, instruments);
        match read(path, options) {
            None => {}
            Some(Ok(read)) => {
                let found = (read.format, read.events, read.skipped, read.instruments.len());
                if found != expected {
                    self.failures
                        .push(format!("{path}: {found:?}, not {expected:?}: {:?}", read.instruments));
                }
            }
            Some(Err(error)) => self.failures.push(format!("{path}: {error}")),
        }
    }

    fn check_refused(&mut self, path: &str, options: Options, words: &str) {
        match read(path, options) {
            None => {}
            Some(Err(InputError::Refused(message))) if message.contains(words) => {}
            Some(other) => self.failures.push(format!("{path}: not refused with {words:?}: {other:?}")),
        }
    }

    fn done(self) {
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
    }
}

#[test]
fn raw_frames_are_read() {
    let mut checks = Checks::default();
    let mut raw = |name: &str, trades: u64| {
        checks.check(
            &format!("data/ticks/hftbacktest_raw_binance/{name}.gz"),
            Options::default(),
            "binance-raw",
            trades,
            0,
            1,
        );
    };
    raw("spot_btcusdt_20240808", 9_757);
    raw("spot_btcusdt_20240809", 10_147);
    raw("usdm_ethusdt_20240808", 14_076);
    raw("usdm_btcusdt_20240718", 974);
    raw("usdm_btcusdt_20240719", 9_727);
    raw("spot_btcusdt_20230405.dat", 3_144);
    // Nine frames of trades, which hold 64.
    raw("hyperliquid_btcusd_20250126", 64);
    checks.check_refused(
        "data/ticks/hftbacktest_raw_binance/cm_btcusd_perp_20240808.gz",
        Options::default(),
        "contract size",
    );
    checks.done();
}

#[test]
fn small_dumps_are_read() {
    let mut checks = Checks::default();
    let small = "data/ticks/small";
    let none = Options::default;
    checks.check(&format!("{small}/kraken_trades_csv_BCHEUR.csv"), none(), "kraken-trades", 148, 0, 1);
    checks.check(
        &format!("{small}/bbgo_bybit_FXSUSDT-ticks-2023-10-10.csv"),
        none(),
        "bybit-trades",
        15,
        0,
        1,
    );
    checks.check(
        &format!("{small}/bbgo_okex_BTC-USDT-aggtrades-2023-11-18.csv"),
        none(),
        "okx-trades",
        15,
        0,
        1,
    );
    // The same columns as Kraken's, of another venue; one row has no quantity.
    let bitstamp = Options { format: Some("kraken-trades".to_owned()), ..said("bitstamp:BTC-USD", "") };
    checks.check(&format!("{small}/pyalgotrade_bitstampUSD.csv.gz"), bitstamp, "kraken-trades", 9_998, 1, 1);
    checks.done();
}

#[test]
fn layouts_that_are_not_claimed_are_refused() {
    let mut checks = Checks::default();
    let path = |name: &str| format!("data/ticks/{name}");
    for name in [
        "small/freqtrade_public_trades_list.csv.gz",
        "small/gct_binance_BTCUSDT_24h-trades_2020_11_16.csv.gz",
        "small/gct_binance_BTCUSDT_24h_2019_01_01_2020_01_01.csv.gz",
        "bitmex/Bitmex_XBTUSD_1M_part1.csv.gz",
        "barter_normalised/binance_spot_trades_l1_btcusdt_ethusdt_solusdt.json.gz",
        "barter_normalised/binance_spot_market_data_with_disconnect_events.json.gz",
    ] {
        checks.check_refused(&path(name), Options::default(), "--format");
    }
    checks.done();
}

#[test]
fn captures_are_read() {
    let mut checks = Checks::default();
    let mut capture = |name: &str, trades: u64, skipped: u64, instruments: usize| {
        checks.check(&format!("data/ws/{name}.gz"), said("", ""), "cryptofeed", trades, skipped, instruments);
    };
    capture("binance/cryptofeed_BINANCE-b38f7c_2021-04-05.txt", 1_240, 0, 8);
    capture("binance/cryptofeed_BINANCE.ws.1_2021-08-14.txt", 28, 0, 3);
    capture("binance/cryptofeed_BINANCE.ws.1_2021-10-12.txt", 2, 0, 2);
    capture("binance_us/cryptofeed_BINANCE_US-63b290_2021-04-05.txt", 188, 0, 9);
    capture("binance_us/cryptofeed_BINANCE_US.ws.1_2021-10-12.txt", 11, 0, 1);
    capture("binance_futures/cryptofeed_BINANCE_FUTURES-1125a2_2021-04-05.txt", 574, 0, 5);
    capture("binance_futures/cryptofeed_BINANCE_FUTURES.ws.1_2021-07-22.txt", 91, 0, 4);
    capture("kraken/cryptofeed_KRAKEN.ws.48_2021-04-17.txt", 10, 0, 2);
    capture("kraken/cryptofeed_KRAKEN.ws.49_2021-04-17.txt", 0, 0, 0);
    capture("kraken/cryptofeed_KRAKEN.ws.50_2021-04-17.txt", 0, 0, 0);
    capture("bybit/cryptofeed_BYBIT.ws.1_2025-06-13.txt", 0, 0, 0);
    capture("bybit/cryptofeed_BYBIT_2026-08-09_part1.jsonl", 175, 0, 4);
    capture("coinbase/cryptofeed_COINBASE_2026-08-09_part1.jsonl", 256, 0, 2);
    capture("coinbase_exchange/cryptofeed_COINBASE.ws.28_2021-04-17_part1.txt", 44, 0, 10);
    // 19 trades, of which four count contracts.
    capture("okx/cryptofeed_OKX.ws.1_2022-02-27.txt", 15, 4, 3);
    capture("bitstamp/cryptofeed_BITSTAMP-b88f8b_2021-04-05.txt", 32, 0, 6);
    // Ten messages, te and tu of five trades.
    capture("bitfinex/cryptofeed_BITFINEX-58bafb_2021-04-05_part1.txt", 5, 0, 1);
    capture("gemini/cryptofeed_GEMINI-e6096f_2021-04-05.txt", 22, 0, 5);
    capture("gemini/cryptofeed_GEMINI.ws.1_2021-06-24.txt", 16, 0, 3);
    capture("kucoin/cryptofeed_KUCOIN.ws.1_2021-04-23.txt", 12, 0, 3);
    capture("gateio/cryptofeed_GATEIO.ws.1_2021-04-22_part1.txt", 3, 0, 2);
    capture("cryptocom/cryptofeed_CRYPTO.COM_2021-11-23.jsonl", 1_143, 0, 10);
    capture("huobi_htx/cryptofeed_HUOBI.ws.44_2021-04-17_part1.txt", 52, 0, 10);
    capture("deribit/cryptofeed_DERIBIT-5dd9ce_2021-04-05.txt", 0, 0, 0);
    checks.done();
}

#[test]
fn captures_of_contracts_and_of_unknown_venues_are_refused() {
    let mut checks = Checks::default();
    let mut refused = |name: &str, words: &str| {
        checks.check_refused(&format!("data/ws/{name}.gz"), Options::default(), words);
    };
    refused("binance_delivery/cryptofeed_BINANCE_DELIVERY.ws.1_2021-07-22.txt", "contract size");
    refused("huobi_htx_swap/cryptofeed_HUOBI_SWAP.ws.1_2022-02-19.txt", "contract size");
    for name in [
        "kraken_futures/cryptofeed_KRAKEN_FUTURES.ws.1_2021-07-22.txt",
        "gateio_futures/cryptofeed_GATEIO_FUTURES.ws.1_2023-05-24.txt",
        "bitget/cryptofeed_BITGET.ws.1_2022-04-03.txt",
        "bitmex/cryptofeed_BITMEX-d944be_2021-04-05.txt",
        "poloniex/cryptofeed_POLONIEX.ws.1_2022-08-21.txt",
        "upbit/cryptofeed_UPBIT.ws.62_2021-04-17.txt",
        "bithumb/cryptofeed_BITHUMB_2021-06-01.jsonl",
        "phemex/cryptofeed_PHEMEX_2021-07-03.jsonl",
    ] {
        refused(name, "known venues are binance");
    }
    checks.done();
}

#[test]
fn ready_candles_are_read() {
    let mut checks = Checks::default();
    let mut candles = |name: &str, instrument: &str, interval: &str, rows: u64, skipped: u64| {
        let path = format!("data/ohlcv/{name}");
        checks.check(&path, said(instrument, interval), "ohlcv", rows, skipped, usize::from(rows > 0));
    };
    candles("pyalgotrade_bitstampUSD_30m.csv.gz", "bitstamp:BTC-USD", "30m", 1_968, 0);
    candles("coinbase_BTCUSD_1h_cdd.csv.gz", "coinbase:BTC-USD", "1h", 20_111, 0);
    candles("coinbase_BTCUSD_1d_cdd.csv.gz", "coinbase:BTC-USD", "1d", 1_770, 0);
    candles("binance_BTCUSDT_1h_2019_2022.csv.gz", "binance:BTC-USDT", "1h", 27_625, 0);
    candles("binance_BTCUSDT_1h_2021-01.csv.gz", "binance:BTC-USDT", "1h", 745, 0);
    candles("perp_BTC_1m_2021-12-31_2022-02-01.csv.gz", "ftx:BTC-PERP", "1m", 45_031, 0);
    candles("binanceus_BTCUSDT_1m_2023-03-01_21.csv.gz", "binance-us:BTC-USDT", "1m", 30_240, 0);
    candles("binanceus_BTCUSD_1m_2023-03-01_21.csv.gz", "binance-us:BTC-USD", "1m", 30_240, 0);
    // Printed from binary floats (`0.09946999000000001`): what exceeds 15 digits after the point is refused, not rounded.
    candles("freqtrade_ETH_BTC-5m.csv.gz", "binance:ETH-BTC", "5m", 2_514, 3_246);
    candles("freqtrade_XMR_BTC-5m.csv.gz", "binance:XMR-BTC", "5m", 2_331, 3_427);
    candles("freqtrade_ETC_BTC-5m.csv.gz", "binance:ETC-BTC", "5m", 2_636, 3_123);
    candles("freqtrade_ADA_BTC-5m.csv.gz", "binance:ADA-BTC", "5m", 265, 5_455);
    candles("freqtrade_UNITTEST_BTC-1m.json.gz", "bittrex:UNITTEST-BTC", "1m", 13_681, 0);
    // Headerless, in an order that nothing tells.
    for name in [
        "binance_BTCUSDT_1h_ninjabot.csv.gz",
        "binance_ETHUSDT_1h_ninjabot.csv.gz",
        "lean_coinbase_btcusd_daily_trade.zip",
    ] {
        let options = Options { format: Some("ohlcv".to_owned()), ..said("binance:BTC-USDT", "1h") };
        checks.check_refused(&format!("data/ohlcv/{name}"), options, "allowed is open_time");
    }
    checks.done();
}

/// Needs no recording: one connection that carried both streams of a market.
#[test]
fn aggregates_beside_raw_trades_are_left_out() {
    let frame = |event: &str, symbol: &str, id: u64| {
        let ids =
            if event == "trade" { format!("\"t\":{id}") } else { format!("\"a\":{id},\"f\":1,\"l\":2") };
        let at = 1_723_161_601_437 + id;
        format!(
            "{at} {{\"e\":\"{event}\",\"s\":\"{symbol}\",{ids},\"p\":\"1\",\"q\":\"1\",\"T\":{at},\"m\":true,\"M\":true}}\n"
        )
    };
    // The aggregate comes first, and ETH has nothing else.
    let text = frame("aggTrade", "BTCUSDT", 1)
        + &frame("trade", "BTCUSDT", 2)
        + &frame("aggTrade", "BTCUSDT", 3)
        + &frame("aggTrade", "ETHUSDT", 4);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.txt");
    std::fs::write(&path, text).unwrap();
    let read = read_all(path.clone(), Options::default()).unwrap();
    let expected = [("binance:BTC-USDT".to_owned(), 1), ("binance:ETH-USDT".to_owned(), 1)];
    assert_eq!((read.format, read.instruments), ("binance-raw", BTreeMap::from(expected)));

    // Beside a dump of raw trades, ETH's aggregates would count its trades twice.
    let dump = dir.path().join("ETHUSDT-trades-2024-08-09.csv");
    std::fs::write(&dump, "1,1,1,1,1723161601437,True,True\n").unwrap();
    let options = Options { frame_parsers: PARSERS, ..Options::default() };
    match Inputs::open(&[path, dump], options).err() {
        Some(InputError::Refused(message)) => {
            let named = ["frames.txt", "ETHUSDT-trades-2024-08-09.csv", "never mixed"];
            assert!(named.iter().all(|words| message.contains(words)), "{message}");
        }
        other => panic!("{other:?}"),
    }
}
