//! `tapewatch export`: trades of a journal, what the store of a service holds, or results of a replay, as
//! CSV, JSON lines or Parquet.
//!
//! Rows come in the order in which they are stored. A file appears under its name once it is
//! whole, or not at all.

mod out;
mod results;
mod store;
mod wanted;

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::app::export::out::{Format, Out, price_texts, text_of};
use crate::app::export::wanted::Wanted;
use crate::app::inputs;
use crate::app::outcome::Failure;
use crate::domain::event::{Event, ReadyCandle, Trade};
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::time::{Stamp, UnixNanos};
use crate::journal::entry::Entry;
use crate::journal::reader::{Reader, Tail};
use crate::replay::results::directory::{CANDLES, INDICATORS};
use crate::replay::results::text::{CANDLES_HEADER, INDICATORS_HEADER};
use crate::replay::table::{Column, Kind};
use crate::runtime::progress::Progress;
use crate::storage::embedded::schema;

#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// A data directory, a journal (its directory, or one segment), or the results of a replay
    #[arg(value_name = "INPUT")]
    input: PathBuf,
    /// The file to write; without it, standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// As the ending of FILE says; csv without one
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What to write [default: the trades of a data directory or journal, the candles of results]
    #[arg(long, value_enum)]
    table: Option<Table>,
    /// Only these, such as binance:BTC-USDT
    #[arg(long = "instrument", value_name = "INSTRUMENT", value_delimiter = ',')]
    instruments: Vec<Instrument>,
    /// Only rows from this moment on, such as 2024-05-01 or 2024-05-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = inputs::read_time)]
    from: Option<UnixNanos>,
    /// Only rows from before this moment
    #[arg(long, value_name = "TIME", value_parser = inputs::read_time)]
    until: Option<UnixNanos>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Trades of a journal, backfilled ones included
    Trades,
    /// Candles of a store or of results; of a journal, the ready ones that were imported
    Candles,
    /// Indicators of a store or of results
    Indicators,
    /// Signals of a store
    Signals,
}

/// Where the rows come from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Journal(PathBuf),
    Results(PathBuf),
    /// A data directory with a store.
    Store(PathBuf),
}

const TRADE_COLUMNS: [Column; 9] = [
    Column::new("venue", Kind::Text),
    Column::new("symbol", Kind::Text),
    Column::new("exchange_time", Kind::Time),
    Column::new("trade_id", Kind::Text),
    Column::new("price", Kind::Decimal),
    Column::new("quantity", Kind::Decimal),
    Column::new("taker_side", Kind::Text),
    Column::new("trade_count", Kind::Whole),
    Column::new("received_time", Kind::Time),
];

const READY_CANDLE_COLUMNS: [Column; 13] = [
    Column::new("venue", Kind::Text),
    Column::new("symbol", Kind::Text),
    Column::new("interval", Kind::Text),
    Column::new("open_time", Kind::Time),
    Column::new("open", Kind::Decimal),
    Column::new("high", Kind::Decimal),
    Column::new("low", Kind::Decimal),
    Column::new("close", Kind::Decimal),
    Column::new("volume", Kind::Decimal),
    Column::new("quote_volume", Kind::Decimal),
    Column::new("trade_count", Kind::Whole),
    Column::new("taker_buy_volume", Kind::Decimal),
    Column::new("origin", Kind::Text),
];

pub fn export(arguments: &ExportArguments) -> Result<(), Failure> {
    let source = Source::of(&arguments.input)?;
    let table = arguments.table.unwrap_or(match source {
        Source::Journal(_) | Source::Store(_) => Table::Trades,
        Source::Results(_) => Table::Candles,
    });
    // Trades stand in the journal of a data directory, everything else in its store.
    let source = match source {
        Source::Store(dir) if table == Table::Trades => Source::Journal(journal_of(&dir)),
        other => other,
    };
    let format = choose_format(arguments.format, arguments.to.as_deref())?;
    if let (Some(from), Some(until)) = (arguments.from, arguments.until)
        && from >= until
    {
        return Err(Failure::refused(format!("--from {from} must be before --until {until}")));
    }
    let wanted = Wanted { instruments: &arguments.instruments, from: arguments.from, until: arguments.until };
    let (columns, file) = match (&source, table) {
        (Source::Journal(_), Table::Trades) => (TRADE_COLUMNS.to_vec(), None),
        (Source::Journal(_), Table::Candles) => (READY_CANDLE_COLUMNS.to_vec(), None),
        (Source::Results(dir), Table::Candles) => (results::columns(CANDLES_HEADER), Some(dir.join(CANDLES))),
        (Source::Results(dir), Table::Indicators) => {
            (results::columns(INDICATORS_HEADER), Some(dir.join(INDICATORS)))
        }
        (Source::Store(_), Table::Signals) => (store::SIGNAL_COLUMNS.to_vec(), None),
        (Source::Store(_), Table::Indicators) => (results::columns(INDICATORS_HEADER), None),
        (Source::Store(_), _) => (results::columns(CANDLES_HEADER), None),
        (Source::Journal(path), Table::Indicators | Table::Signals) => {
            let message = format!(
                "{}: a journal holds trades and candles, no indicators or signals (no store is there)",
                path.display()
            );
            return Err(Failure::Refused(message));
        }
        (Source::Results(path), Table::Trades | Table::Signals) => {
            let message = format!(
                "{}: results hold candles and indicators in tables, no trades (signals.jsonl is what it is)",
                path.display()
            );
            return Err(Failure::Refused(message));
        }
    };

    let mut out = Out::new(arguments.to.as_deref(), format, &columns);
    match (source, file) {
        (Source::Results(_), Some(file)) => results::copy(&file, &columns, &wanted, &mut out)?,
        (Source::Store(dir), _) => match table {
            Table::Indicators => store::indicators(&dir, &wanted, &mut out)?,
            Table::Signals => store::signals(&dir, &wanted, &mut out)?,
            Table::Candles | Table::Trades => store::candles(&dir, &wanted, &mut out)?,
        },
        (Source::Journal(path) | Source::Results(path), _) => copy_journal(&path, table, &wanted, &mut out)?,
    }
    out.finish()
}

impl Source {
    /// By what is there.
    fn of(path: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(path)
            .map_err(|error| Failure::refused(format!("{}: cannot be read: {error}", path.display())))?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !metadata.is_dir() {
            return match name {
                CANDLES | INDICATORS => {
                    let place = path.display();
                    Err(Failure::refused(format!("{place}: name its directory, and --table")))
                }
                _ => Ok(Self::Journal(path.to_owned())),
            };
        }
        if path.join(CANDLES).is_file() {
            return Ok(Self::Results(path.to_owned()));
        }
        if path.join(schema::FILE).is_file() {
            return Ok(Self::Store(path.to_owned()));
        }
        Ok(Self::Journal(journal_of(path)))
    }
}

/// A data directory has its journal in a folder of that name.
fn journal_of(path: &Path) -> PathBuf {
    let inner = path.join("journal");
    if inner.is_dir() { inner } else { path.to_owned() }
}

fn choose_format(format: Option<Format>, to: Option<&Path>) -> Result<Format, Failure> {
    let ending = to.and_then(Path::extension).and_then(|ending| ending.to_str());
    let told = ending.and_then(|ending| Format::from_str(ending, true).ok());
    match (format.or(told), to) {
        (Some(Format::Parquet), None) => {
            Err(Failure::refused("--format parquet: name a file with --to, it is no text"))
        }
        (Some(format), _) => Ok(format),
        (None, None) => Ok(Format::Csv),
        (None, Some(path)) => {
            let place = path.display();
            Err(Failure::refused(format!("--to {place}: ends in none of .csv .jsonl .parquet: say --format")))
        }
    }
}

fn copy_journal(path: &Path, table: Table, wanted: &Wanted<'_>, out: &mut Out<'_>) -> Result<(), Failure> {
    let mut reader = Reader::open(path)?;
    let progress = Progress::new("export", None);
    while let Some(entry) = reader.next_entry()? {
        let Entry::Event { instrument, event, .. } = entry else { continue };
        let instrument = &reader.instruments()[instrument.0 as usize].instrument;
        if !wanted.instrument(instrument) {
            continue;
        }
        let goes_on = match (table, &event) {
            (Table::Trades, Event::Trade(trade)) if wanted.at(trade.exchange_at) => {
                trade_row(instrument, trade, out)?
            }
            (Table::Trades, Event::Backfill(trades)) => {
                let mut goes_on = true;
                for trade in trades.iter().filter(|trade| wanted.at(trade.exchange_at)) {
                    goes_on = goes_on && trade_row(instrument, trade, out)?;
                }
                goes_on
            }
            (Table::Candles, Event::Candle(candle)) if wanted.at(candle.open_at) => {
                candle_row(instrument, candle, out)?
            }
            _ => true,
        };
        if !goes_on {
            return Ok(());
        }
    }
    if let Tail::Torn { file, offset, bytes } = reader.tail() {
        progress.note(&format!(
            "{}: offset {offset}: the last block is torn ({bytes} bytes of it are there); all before it was exported",
            file.display()
        ));
    }
    Ok(())
}

fn trade_row(instrument: &Instrument, trade: &Trade, out: &mut Out<'_>) -> Result<bool, Failure> {
    out.row(&[
        instrument.venue().name(),
        instrument.symbol(),
        &trade.exchange_at.to_string(),
        &trade.id.to_string(),
        &trade.price.decimal().to_string(),
        &trade.quantity.decimal().to_string(),
        trade.taker_side.map_or("", |side| side.name()),
        &trade.trade_count.to_string(),
        &text_of(trade.received_at.map(Stamp::at)),
    ])
}

fn candle_row(instrument: &Instrument, candle: &ReadyCandle, out: &mut Out<'_>) -> Result<bool, Failure> {
    let [open, high, low, close] = price_texts(candle.prices.as_ref());
    out.row(&[
        instrument.venue().name(),
        instrument.symbol(),
        &Interval::Time(candle.interval).to_string(),
        &candle.open_at.to_string(),
        &open,
        &high,
        &low,
        &close,
        &candle.volume.to_string(),
        &text_of(candle.quote_volume),
        &text_of(candle.trade_count),
        &text_of(candle.taker_buy_volume),
        candle.origin.name(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decimal::{Price, Quantity};
    use crate::domain::event::{Side, TradeId};
    use crate::domain::venue::IdRule;
    use crate::journal::options::WriterOptions;
    use crate::journal::writer::Writer;

    fn arguments(input: &Path, to: &Path, table: Option<Table>) -> ExportArguments {
        ExportArguments {
            input: input.to_owned(),
            to: Some(to.to_owned()),
            format: None,
            table,
            instruments: Vec::new(),
            from: None,
            until: None,
        }
    }

    fn write_journal(dir: &Path) {
        let mut writer = Writer::create(dir, WriterOptions::default()).unwrap();
        for (name, price) in [("binance:BTC-USDT", "60000.1"), ("kraken:ETH-USD", "3000")] {
            let number = writer.define(&name.parse().unwrap(), IdRule::Contiguous);
            let trade = Trade {
                price: Price::parse(price.as_bytes()).unwrap(),
                quantity: Quantity::parse(b"0.00000001").unwrap(),
                exchange_at: UnixNanos(1_714_521_600_000_000_001),
                received_at: None,
                id: TradeId::Number(7),
                taker_side: Some(Side::Buy),
                trade_count: 1,
            };
            writer.append_trade(number, &trade).unwrap();
            writer
                .append(
                    number,
                    &Event::Backfill(vec![Trade { id: TradeId::Absent, taker_side: None, ..trade }]),
                )
                .unwrap();
        }
        writer.close().unwrap();
    }

    #[test]
    fn trades_of_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("data/journal");
        write_journal(&journal);
        let to = folder.path().join("trades.csv");
        let expected = "venue,symbol,exchange_time,trade_id,price,quantity,taker_side,trade_count,received_time\n\
                        binance,BTC-USDT,2024-05-01T00:00:00.000000001Z,7,60000.1,0.00000001,buy,1,\n\
                        binance,BTC-USDT,2024-05-01T00:00:00.000000001Z,,60000.1,0.00000001,,1,\n\
                        kraken,ETH-USD,2024-05-01T00:00:00.000000001Z,7,3000,0.00000001,buy,1,\n\
                        kraken,ETH-USD,2024-05-01T00:00:00.000000001Z,,3000,0.00000001,,1,\n";
        // The journal itself, and a data directory that holds it.
        for input in [&journal, &folder.path().join("data")] {
            export(&arguments(input, &to, None)).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), expected);
        }

        let to = folder.path().join("trades.jsonl");
        let mut one = arguments(&journal, &to, Some(Table::Trades));
        one.instruments = vec!["kraken:ETH-USD".parse().unwrap()];
        export(&one).unwrap();
        let text = fs::read_to_string(&to).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.contains("\"trade_id\":\"7\",\"price\":\"3000\"") && text.contains("\"taker_side\":null"),
            "{text}"
        );
        assert!(!folder.path().join("trades.jsonl.tmp").exists());
    }

    #[test]
    fn the_store_of_a_data_directory() {
        use crate::domain::candle::{Candle, CandleState, Ohlc, Origin};
        use crate::domain::decimal::Volume;
        use crate::domain::output::Position;
        use crate::domain::told::{Roster, Told, Watch};
        use crate::runtime::clock::Mono;
        use crate::runtime::sink::{Batch, Telling};
        use crate::storage::embedded::store::Store;

        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        write_journal(&data.join("journal"));
        let roster = Roster::new(["binance:BTC-USDT".parse().unwrap()]);
        let price = Price::parse(b"60000.1").unwrap();
        let candle = |minute: i64| Candle {
            interval: "1m".parse().unwrap(),
            open_at: UnixNanos(1_714_521_600_000_000_000 + minute * 60_000_000_000),
            close_at: UnixNanos(1_714_521_660_000_000_000 + minute * 60_000_000_000),
            prices: Some(Ohlc { open: price, high: price, low: price, close: price }),
            volume: Volume::parse(b"0.5").unwrap(),
            quote_volume: None,
            trade_count: Some(1),
            taker_buy_volume: None,
            taker_buy_quote_volume: None,
            state: CandleState::Traded,
            revision: 0,
            origin: Origin::Trades,
        };
        let telling = |minute| Telling {
            watch: Watch(0),
            cause_seq: 1,
            at: Position(1),
            received: None,
            told: Told::Candle(Box::new(candle(minute))),
        };
        let tellings = (0..3).map(telling).collect();
        let batch = Batch { tellings, published: Mono::now(), recovered: false };
        Store::open(&data, &roster).unwrap().write([&batch].into_iter(), false).unwrap();

        let to = folder.path().join("out.csv");
        let mut middle = arguments(&data, &to, Some(Table::Candles));
        middle.from = Some(candle(1).open_at);
        middle.until = Some(candle(2).open_at);
        export(&middle).unwrap();
        let row = "binance,BTC-USDT,1m,2024-05-01T00:01:00Z,2024-05-01T00:02:00Z,60000.1,60000.1,60000.1,60000.1,0.5,,1,,,,traded,0,trades\n";
        assert_eq!(fs::read_to_string(&to).unwrap(), format!("{CANDLES_HEADER}{row}"));
        for (table, lines) in
            [(Table::Candles, 4), (Table::Indicators, 1), (Table::Signals, 1), (Table::Trades, 5)]
        {
            export(&arguments(&data, &to, Some(table))).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap().lines().count(), lines, "{table:?}");
        }
        middle.from = middle.until;
        assert!(export(&middle).unwrap_err().to_string().contains("must be before --until"));
    }

    #[test]
    fn results_of_a_replay() {
        let folder = tempfile::tempdir().unwrap();
        let row = "binance,BTC-USDT,1m,2024-05-01T00:00:00Z,\"macd(12,26,9)\",histogram,-0.5,1,complete\n";
        fs::write(folder.path().join(CANDLES), CANDLES_HEADER).unwrap();
        fs::write(folder.path().join(INDICATORS), format!("{INDICATORS_HEADER}{row}")).unwrap();
        let to = folder.path().join("out.jsonl");
        export(&arguments(folder.path(), &to, Some(Table::Indicators))).unwrap();
        assert_eq!(
            fs::read_to_string(&to).unwrap(),
            "{\"venue\":\"binance\",\"symbol\":\"BTC-USDT\",\"interval\":\"1m\",\"open_time\":\"2024-05-01T00:00:00Z\",\
             \"indicator\":\"macd(12,26,9)\",\"output\":\"histogram\",\"value\":-0.5,\"revision\":1,\"data_state\":\"complete\"}\n"
        );
        let to = folder.path().join("out.parquet");
        export(&arguments(folder.path(), &to, Some(Table::Indicators))).unwrap();
        assert!(fs::read(&to).unwrap().starts_with(b"PAR1"));
        export(&arguments(folder.path(), &folder.path().join("out.csv"), None)).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("out.csv")).unwrap(), CANDLES_HEADER);
    }

    #[test]
    fn what_cannot_be_exported_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results");
        fs::create_dir(&results).unwrap();
        let to = folder.path().join("out.csv");
        let check = |text: &str, table: Table, part: &str| {
            fs::write(results.join(CANDLES), text).unwrap();
            fs::write(results.join(INDICATORS), text).unwrap();
            let failure = export(&arguments(&results, &to, Some(table))).unwrap_err();
            assert!(failure.to_string().contains(part), "{failure}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{text:?}");
        };
        check("", Table::Candles, "the file is empty");
        check("a,b\n", Table::Candles, "candles.csv:1: the header is not venue,symbol");
        check(&format!("{CANDLES_HEADER}x\n"), Table::Candles, "candles.csv:2: is not a row of 18 fields");
        check(&CANDLES_HEADER[..20], Table::Candles, "candles.csv:1: the line has no end");
        let row = "Binance,BTC-USDT,1m,2024-05-01T00:00:00Z,obv,value,1.0,0,complete\n";
        check(&format!("{INDICATORS_HEADER}{row}"), Table::Indicators, "indicators.csv:2: venue \"Binance\"");
        check(CANDLES_HEADER, Table::Trades, "no trades");

        let unnamed = ExportArguments { to: Some("out.xlsx".into()), ..arguments(&results, &to, None) };
        assert!(export(&unnamed).unwrap_err().to_string().contains("say --format"));
        let binary =
            ExportArguments { to: None, format: Some(Format::Parquet), ..arguments(&results, &to, None) };
        assert!(export(&binary).unwrap_err().to_string().contains("name a file"));
        let absent = arguments(&folder.path().join("absent"), &to, None);
        assert_eq!(export(&absent).unwrap_err().code(), 2);
    }
}
