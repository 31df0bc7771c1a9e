//! The journal as its users see it: what goes in comes out, and what is broken is named.

use std::fs;
use std::path::Path;

use ethnum::U256;
use proptest::prelude::*;
use tapewatch::domain::candle::{Ohlc, Origin};
use tapewatch::domain::closed::{Closed, Said};
use tapewatch::domain::decimal::{Amount, Decimal, Price, Quantity};
use tapewatch::domain::divergence::Divergence;
use tapewatch::domain::event::{Event, ReadyCandle, Side, Trade, TradeId, Unfillable, WatchStatus};
use tapewatch::domain::instrument::Instrument;
use tapewatch::domain::interval::TimeInterval;
use tapewatch::domain::output::Position;
use tapewatch::domain::tally::Tally;
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::venue::IdRule;
use tapewatch::journal::block::{Step, step};
use tapewatch::journal::entry::{Entry, InstrumentNumber};
use tapewatch::journal::error::JournalError;
use tapewatch::journal::kind::Kind;
use tapewatch::journal::log::Log;
use tapewatch::journal::options::WriterOptions;
use tapewatch::journal::reader::{Reader, Tail};
use tapewatch::journal::seal::seal;
use tapewatch::journal::segment::{KindEntry, SegmentHeader};
use tapewatch::journal::survey::Survey;
use tapewatch::journal::tail::cut_tail;
use tapewatch::journal::writer::Writer;

fn instrument(i: usize) -> Instrument {
    format!("binance:C{i}-USDT").parse().unwrap()
}

fn trade(i: u64) -> Trade {
    Trade {
        price: Price::new(Decimal::new(6_168_599 + i, 2).unwrap()).unwrap(),
        quantity: Quantity::new(Decimal::new(17 + i, 5).unwrap()).unwrap(),
        exchange_at: UnixNanos(1_714_521_600_000_000_000 + i as i64 * 20_000_000),
        received_at: UnixNanos(1_714_521_600_012_345_678 + i as i64 * 20_000_000).stamp(),
        id: TradeId::Number(1_000 + i),
        taker_side: Some(if i.is_multiple_of(3) { Side::Buy } else { Side::Sell }),
        trade_count: 1,
    }
}

fn text_trade(i: u64) -> Trade {
    let id = TradeId::parse(&format!("f7496ecb-b174-{i:04x}")).unwrap();
    Trade { id, received_at: None, taker_side: None, trade_count: 3, ..trade(i) }
}

fn candle() -> ReadyCandle {
    let price = |text: &str| Price::parse(text.as_bytes()).unwrap();
    ReadyCandle {
        interval: TimeInterval::all().nth(3).unwrap(),
        open_at: UnixNanos(1_714_521_600_000_000_000),
        prices: Some(Ohlc { open: price("1.5"), high: price("2"), low: price("1.25"), close: price("1.75") }),
        volume: Amount::parse(b"123456.789").unwrap(),
        quote_volume: None,
        trade_count: Some(42),
        taker_buy_volume: Some(Amount::parse(b"0.5").unwrap()),
        origin: Origin::File,
    }
}

/// What a test writes, and what it expects to read, positions aside.
#[derive(Clone, Debug)]
enum Written {
    Event(usize, Event),
    Tick(UnixNanos, Vec<u32>),
    Config(String, Vec<u32>),
    Version(String, Vec<u32>),
    Skipped(u32, u64, String),
    SkippedTick(usize, u64, String),
    /// Of an instrument, up to its last position.
    Outputs(usize, Tally),
    Closed(usize, Closed),
}

fn small() -> WriterOptions {
    WriterOptions { partitions: 4, sync_segments: false, ..WriterOptions::default() }
}

/// One of everything, in runs and alone.
fn sample() -> Vec<Written> {
    let at = UnixNanos(1_714_521_600_000_000_000);
    vec![
        Written::Version("0.1.0".to_owned(), vec![0, 1, 2, 3]),
        Written::Config("[engine]\nshards = 1\n".to_owned(), vec![0, 1, 2, 3]),
        Written::Event(0, Event::Trade(trade(0))),
        Written::Event(1, Event::Trade(text_trade(1))),
        Written::Event(0, Event::Trade(trade(2))),
        Written::Tick(at, vec![3, 0]),
        Written::Event(2, Event::Candle(Box::new(candle()))),
        Written::Event(0, Event::Unwatched { from: at, to: UnixNanos(at.0 + 1) }),
        Written::Event(1, Event::Backfill(vec![trade(3), text_trade(4)])),
        Written::Skipped(2, 1, "panic: a promise was broken".to_owned()),
        Written::Event(0, Event::Trade(trade(5))),
        Written::Event(
            1,
            Event::Unfillable { first_id: 7, last_id: u64::MAX, reason: Unfillable::OutOfReach },
        ),
        Written::Outputs(0, Tally { count: 3, hash: [u64::MAX, 7] }),
        Written::Outputs(1, Tally::default()),
        Written::Event(2, Event::Status { venue_at: at, status: WatchStatus::Stale }),
        Written::SkippedTick(2, 1, "panic: at a tick".to_owned()),
        Written::Event(0, Event::Divergence(Box::new(divergence()))),
        Written::Closed(1, closed(Said::Price(candle().prices.unwrap().close))),
        Written::Closed(1, closed(Said::Nothing)),
        Written::Closed(2, Closed { is_held: true, ..closed(Said::Hole) }),
        Written::Event(0, Event::Divergence(Box::new(Divergence { missing: Vec::new(), ..divergence() }))),
    ]
}

fn divergence() -> Divergence {
    let close_at = UnixNanos(1_714_521_660_000_000_000);
    Divergence {
        interval: candle().interval,
        close_at,
        since: UnixNanos(close_at.0 - 1),
        cause_seq: 7,
        price: candle().prices.unwrap().close,
        against: vec![instrument(1), instrument(2)],
        missing: vec![instrument(0)],
        apart: -0.003,
        premium: 0.000_1,
        spread: 5e-5,
        z: 60.0,
        z_min: 6.5,
        score: 0.999,
        threshold: 0.99,
        tail: 1e-9,
        complete: true,
    }
}

fn closed(said: Said) -> Closed {
    let close_at = UnixNanos(1_714_521_660_000_000_000);
    Closed { close_at, said, cause_seq: 3, is_quiet: true, is_held: false }
}

fn write(writer: &mut Writer, written: &[Written]) -> Vec<Entry> {
    let mut expected = Vec::new();
    for item in written {
        let count = writer.partitions();
        let reach = |writer: &Writer, partitions: &[u32]| -> Vec<(u32, Position)> {
            partitions.iter().map(|&p| (p, writer.position(p))).collect()
        };
        match item {
            Written::Event(i, event) => {
                let number = writer.define(&instrument(*i), IdRule::Contiguous);
                let at = writer.append(number, event).unwrap();
                assert_eq!(at, writer.position(instrument(*i).partition(count)));
                expected.push(Entry::Event { instrument: number, at, event: event.clone() });
            }
            Written::Tick(venue_at, partitions) => {
                writer.append_tick(*venue_at, partitions).unwrap();
                expected.push(Entry::Tick { venue_at: *venue_at, partitions: reach(writer, partitions) });
            }
            Written::Config(toml, partitions) => {
                writer.append_config(toml, partitions).unwrap();
                expected.push(Entry::Config { toml: toml.clone(), partitions: reach(writer, partitions) });
            }
            Written::Version(version, partitions) => {
                writer.append_version(version, partitions).unwrap();
                let partitions = reach(writer, partitions);
                expected.push(Entry::Version { version: version.clone(), partitions });
            }
            Written::Skipped(partition, skipped, reason) => {
                let (partition, skipped) = (*partition, Position(*skipped));
                let at = writer.append_skipped(partition, skipped, reason).unwrap();
                expected.push(Entry::Skipped { partition, at, skipped, reason: reason.clone() });
            }
            Written::SkippedTick(i, skipped, reason) => {
                let (number, skipped) =
                    (writer.define(&instrument(*i), IdRule::Contiguous), Position(*skipped));
                let at = writer.append_skipped_tick(number, skipped, reason).unwrap();
                let reason = reason.clone();
                expected.push(Entry::SkippedTick { instrument: number, at, skipped, reason });
            }
            Written::Closed(i, closed) => {
                let number = writer.define(&instrument(*i), IdRule::Contiguous);
                let at = writer.append_closed(number, closed).unwrap();
                expected.push(Entry::Closed { instrument: number, at, closed: *closed });
            }
            Written::Outputs(i, tally) => {
                let number = writer.define(&instrument(*i), IdRule::Contiguous);
                let upto = writer.position(instrument(*i).partition(count));
                let at = writer.append_outputs(number, upto, tally).unwrap();
                expected.push(Entry::Outputs { instrument: number, at, upto, tally: *tally });
            }
        }
    }
    expected
}

/// All entries, with the instruments by name, and how the journal ends.
fn read(path: &Path) -> Result<(Vec<Entry>, Tail), JournalError> {
    drain(Reader::open(path)?)
}

fn drain(mut reader: Reader) -> Result<(Vec<Entry>, Tail), JournalError> {
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok((entries, reader.tail().clone()))
}

/// Renames the reader's numbers to those of a writer that met the instruments in the order of `sample`.
fn renumber(reader: &Reader, entry: Entry, writer: &mut Writer) -> Entry {
    match entry {
        Entry::Event { instrument, at, event } => {
            let listed = &reader.instruments()[instrument.0 as usize];
            Entry::Event { instrument: writer.define(&listed.instrument, listed.rule), at, event }
        }
        Entry::Outputs { instrument, at, upto, tally } => {
            let listed = &reader.instruments()[instrument.0 as usize];
            Entry::Outputs { instrument: writer.define(&listed.instrument, listed.rule), at, upto, tally }
        }
        Entry::SkippedTick { instrument, at, skipped, reason } => {
            let listed = &reader.instruments()[instrument.0 as usize];
            let instrument = writer.define(&listed.instrument, listed.rule);
            Entry::SkippedTick { instrument, at, skipped, reason }
        }
        Entry::Closed { instrument, at, closed } => {
            let listed = &reader.instruments()[instrument.0 as usize];
            Entry::Closed { instrument: writer.define(&listed.instrument, listed.rule), at, closed }
        }
        other => other,
    }
}

fn sample_segment() -> (Vec<u8>, Vec<Entry>) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), small()).unwrap();
    let expected = write(&mut writer, &sample());
    writer.close().unwrap();
    (fs::read(dir.path().join("0000000001.twj")).unwrap(), expected)
}

/// Offsets at which a block begins, and the end.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let (header, mut offset) = SegmentHeader::decode(bytes).unwrap();
    let mut found = vec![offset];
    while let Ok(Step::Block(frame)) = step(bytes, header.number, offset) {
        offset = frame.end;
        found.push(offset);
    }
    assert_eq!(offset, bytes.len());
    found
}

#[test]
fn one_of_everything_comes_back() {
    let (bytes, expected) = sample_segment();
    let (entries, tail) = drain(Reader::of_bytes("0000000001.twj", &bytes).unwrap()).unwrap();
    assert_eq!((entries, tail), (expected, Tail::Whole));
}

/// A segment of the first release, byte for byte. It stays readable for ever; where the writer's
/// bytes change on purpose, `TAPEWATCH_BLESS=1` writes it anew.
#[test]
fn the_first_format_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal/0000000001.twj");
    let (bytes, expected) = sample_segment();
    if std::env::var_os("TAPEWATCH_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(read(&path).unwrap(), (expected, Tail::Whole));
    assert!(fs::read(&path).unwrap() == bytes, "{} is not what is written today", path.display());
}

/// Of versions that knew fewer kinds: their tables are shorter, and all that they say is still read.
#[test]
fn a_segment_from_before_a_kind_stays_readable() {
    for (kinds, entries_since) in [(10, 10), (13, 6), (14, 5)] {
        let name = format!("tests/golden/journal-{kinds}-kinds/0000000001.twj");
        let (entries, tail) = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let (_, today) = sample_segment();
        assert_eq!((&entries[..], tail), (&today[..entries.len()], Tail::Whole));
        assert_eq!(entries.len() + entries_since, today.len());
    }
}

#[test]
fn each_cut_is_read_up_to_the_last_whole_block() {
    let (bytes, expected) = sample_segment();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0000000001.twj");
    let starts = boundaries(&bytes);
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let (entries, tail) = read(dir.path()).unwrap();
        assert_eq!(entries, expected[..entries.len()], "cut at {cut}");
        let whole = starts.iter().rev().find(|&&start| start <= cut).copied().unwrap_or(0);
        let expected_tail = if whole == cut && cut > 0 {
            Tail::Whole
        } else {
            Tail::Torn { file: path.clone(), offset: whole as u64, bytes: (cut - whole) as u64 }
        };
        assert_eq!(tail, expected_tail, "cut at {cut}");
        let message = tail.to_string();
        assert!(
            tail == Tail::Whole || message.contains(&format!("0000000001.twj: offset {whole}: ")),
            "{message}"
        );
    }
    // Every entry stands in a block of its run, and nothing was read twice.
    fs::write(&path, &bytes[..starts[starts.len() - 2]]).unwrap();
    assert_eq!(read(dir.path()).unwrap().0.len(), expected.len() - 1);
}

#[test]
fn each_flipped_bit_is_an_error_with_an_offset() {
    let (whole, _) = sample_segment();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let read = Reader::of_bytes("0000000001.twj", &bytes).and_then(drain);
        match read {
            Err(JournalError::NotASegment(_)) => assert!(bit < 64),
            Err(error) => assert!(error.to_string().starts_with("0000000001.twj: offset "), "{error}"),
            Ok(_) => panic!("bit {bit} was not noticed"),
        }
    }
}

#[test]
fn each_flipped_bit_and_each_cut_of_a_sealed_segment_is_an_error() {
    let (plain, expected) = sample_segment();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0000000001.twj");
    fs::write(&path, &plain).unwrap();
    let sealed = seal(&path).unwrap();
    assert!(!path.exists());
    assert_eq!(read(dir.path()).unwrap(), (expected, Tail::Whole));

    let whole = fs::read(&sealed).unwrap();
    let check = |bytes: &[u8], change: &str| match Reader::of_bytes("0000000001.twj.lz4", bytes)
        .and_then(drain)
    {
        Ok(_) => panic!("{change} was not noticed"),
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("0000000001.twj.lz4: offset 0: sealed segment"), "{change}: {error}");
        }
    };
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        check(&bytes, &format!("bit {bit}"));
    }
    for cut in 0..whole.len() {
        check(&whole[..cut], &format!("cut at {cut}"));
    }
    check(&[&whole[..], b"x"].concat(), "one more byte");
    check(&[&whole[..], &whole[..]].concat(), "a second frame");
}

/// The sample's segment under another header: what a writer of another version would have left.
fn under_another_table(change: impl FnOnce(&mut Vec<KindEntry>)) -> Vec<u8> {
    let (bytes, _) = sample_segment();
    let (mut header, start) = SegmentHeader::decode(&bytes).unwrap();
    change(&mut header.kinds);
    let mut out = header.encode();
    let shift = out.len() as i64 - start as i64;
    let mut offset = start;
    while let Ok(Step::Block(frame)) = step(&bytes, header.number, offset) {
        let mut block = bytes[frame.offset..frame.end].to_vec();
        let place = ((offset as i64 + shift) as u32).to_le_bytes();
        block[12..16].copy_from_slice(&place);
        let crc = crc32fast::hash(&block[..28]).to_le_bytes();
        block[28..32].copy_from_slice(&crc);
        out.extend(block);
        offset = frame.end;
    }
    out
}

fn read_bytes(bytes: &[u8]) -> Result<Vec<Entry>, JournalError> {
    Reader::of_bytes("0000000001.twj", bytes).and_then(drain).map(|(entries, _)| entries)
}

#[test]
fn a_kind_that_a_later_version_adds_leaves_old_segments_readable() {
    let (_, expected) = sample_segment();
    // This version is the later one: the segment's writer did not know a kind that we know
    // (and did not use it).
    let (bytes, _) = sample_segment();
    let kept = boundaries(&bytes).len() - 2;
    let older = under_another_table(|kinds| kinds.retain(|kind| kind.name != "candle"));
    let error = read_bytes(&older).unwrap_err().to_string();
    assert!(error.contains("block of a kind that its segment does not name"), "{error}");
    let unused = under_another_table(|kinds| {
        kinds.push(KindEntry { id: 900, name: "output_hash".to_owned(), schema: 7 });
    });
    assert_eq!(read_bytes(&unused).unwrap(), expected);
    assert!(kept > 5);
}

#[test]
fn an_unknown_kind_is_refused_by_its_name() {
    let newer = under_another_table(|kinds| {
        kinds.iter_mut().find(|kind| kind.name == "skipped").unwrap().name = "context".to_owned();
    });
    let error = read_bytes(&newer).unwrap_err();
    assert!(matches!(error, JournalError::UnknownKind { .. }));
    let text = error.to_string();
    assert!(text.starts_with("0000000001.twj: offset "), "{text}");
    assert!(
        text.ends_with("records of kind \"context\" are not known to this version of tapewatch"),
        "{text}"
    );
}

#[test]
fn a_changed_schema_is_refused_by_its_name() {
    let changed = under_another_table(|kinds| {
        kinds.iter_mut().find(|kind| kind.name == "trade").unwrap().schema ^= 1;
    });
    let error = read_bytes(&changed).unwrap_err();
    assert!(matches!(error, JournalError::Schema { kind: "trade", .. }), "{error}");
}

#[test]
fn kinds_are_known_by_name_not_by_number() {
    let (_, expected) = sample_segment();
    let (bytes, _) = sample_segment();
    // Another version numbers candles 77: its table says so.
    let (mut header, start) = SegmentHeader::decode(&bytes).unwrap();
    header.kinds.iter_mut().find(|kind| kind.name == "candle").unwrap().id = 77;
    let mut out = header.encode();
    assert_eq!(out.len(), start);
    let mut offset = start;
    while let Ok(Step::Block(frame)) = step(&bytes, header.number, offset) {
        let mut block = bytes[frame.offset..frame.end].to_vec();
        if frame.kind_id == Kind::Candle.id() {
            block[16..18].copy_from_slice(&77u16.to_le_bytes());
            let crc = crc32fast::hash(&block[..28]).to_le_bytes();
            block[28..32].copy_from_slice(&crc);
        }
        out.extend(block);
        offset = frame.end;
    }
    assert_eq!(read_bytes(&out).unwrap(), expected);
}

fn many(dir: &Path, options: WriterOptions, count: u64) -> Vec<Entry> {
    let mut writer = Writer::create(dir, options).unwrap();
    let items: Vec<_> =
        (0..count).map(|i| Written::Event((i % 3) as usize, Event::Trade(trade(i)))).collect();
    let expected = write(&mut writer, &items);
    writer.close().unwrap();
    expected
}

fn short_segments() -> WriterOptions {
    WriterOptions { segment_bytes_max: 4_096, block_bytes_max: 512, ..small() }
}

#[test]
fn segments_follow_each_other_and_each_can_be_read_alone() {
    let dir = tempfile::tempdir().unwrap();
    let expected = many(dir.path(), short_segments(), 500);
    assert_eq!(read(dir.path()).unwrap(), (expected.clone(), Tail::Whole));
    let mut alone = 0;
    for number in 1.. {
        let path = dir.path().join(format!("{number:010}.twj"));
        if !path.exists() {
            assert!(number > 5);
            break;
        }
        assert!(fs::metadata(&path).unwrap().len() <= 4_096);
        let mut reader = Reader::open(&path).unwrap();
        while let Some(block) = reader.next_block().unwrap() {
            for entry in block.trades().unwrap() {
                let entry = entry.unwrap();
                let name = &block.instruments()[entry.instrument.0 as usize].instrument;
                assert_eq!(name, &instrument(alone % 3));
                alone += 1;
            }
        }
    }
    assert_eq!(alone, expected.len());
}

#[cfg(target_os = "linux")]
#[test]
fn one_segment_is_mapped_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    many(dir.path(), short_segments(), 500);
    let place = dir.path().display().to_string();
    let mapped = || fs::read_to_string("/proc/self/maps").unwrap().matches(&place).count();
    let mut reader = Reader::open(dir.path()).unwrap();
    while reader.next_block().unwrap().is_some() {
        assert_eq!(mapped(), 1);
    }
    drop(reader);
    assert_eq!(mapped(), 0);
}

#[test]
fn sealed_and_plain_segments_read_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let expected = many(dir.path(), short_segments(), 300);
    for number in [1, 2, 4] {
        seal(&dir.path().join(format!("{number:010}.twj"))).unwrap();
    }
    assert_eq!(read(dir.path()).unwrap(), (expected, Tail::Whole));
    let survey = Survey::of(dir.path()).unwrap();
    assert_eq!(survey.counts[&Kind::Trade], 300);
}

#[test]
fn a_torn_or_damaged_segment_is_not_sealed() {
    let (whole, _) = sample_segment();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0000000001.twj");
    let mut damaged = whole.clone();
    damaged[1_000] ^= 1;
    for bytes in [&whole[..whole.len() - 1], &damaged] {
        fs::write(&path, bytes).unwrap();
        let error = seal(&path).unwrap_err().to_string();
        assert!(error.contains("0000000001.twj: offset "), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

fn check_broken(change: impl FnOnce(&Path), expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let entries = many(dir.path(), short_segments(), 300);
    change(dir.path());
    let mut reader = Reader::open(dir.path()).unwrap();
    let mut read = 0;
    let error = loop {
        match reader.next_entry() {
            Ok(Some(entry)) => assert_eq!(entry, entries[read]),
            Ok(None) => panic!("not noticed: {expected}"),
            Err(error) => break error.to_string(),
        }
        read += 1;
    };
    let error = error.replace(&dir.path().display().to_string(), "DIR");
    assert!(error.contains(expected), "{error}");
    assert!(reader.next_entry().unwrap().is_none(), "an error ends the reading");
}

#[test]
fn what_is_missing_in_the_middle_is_told() {
    let third = |dir: &Path| dir.join("0000000003.twj");
    check_broken(|dir| fs::remove_file(third(dir)).unwrap(), "DIR: segment 0000000003 is missing");
    check_broken(
        |dir| {
            let bytes = fs::read(third(dir)).unwrap();
            fs::write(third(dir), &bytes[..bytes.len() - 1]).unwrap();
        },
        "and a later segment follows",
    );
    // Cut between two blocks: only the next segment knows.
    check_broken(
        |dir| {
            let bytes = fs::read(third(dir)).unwrap();
            let starts = boundaries(&bytes);
            fs::write(third(dir), &bytes[..starts[starts.len() - 2]]).unwrap();
        },
        "0000000003.twj: offset 3",
    );
    check_broken(
        |dir| fs::write(third(dir), b"").unwrap(),
        "DIR/0000000003.twj: offset 0: the segment ends here, and a later segment follows",
    );
    // A block taken out of the middle.
    check_broken(
        |dir| {
            let bytes = fs::read(third(dir)).unwrap();
            let starts = boundaries(&bytes);
            fs::write(third(dir), [&bytes[..starts[2]], &bytes[starts[3]..]].concat()).unwrap();
        },
        "0000000003.twj: offset ",
    );
    // Another segment's bytes under its name.
    check_broken(
        |dir| {
            fs::copy(dir.join("0000000002.twj"), third(dir)).unwrap();
        },
        "DIR/0000000003.twj: offset 16: segment header has another number than the file's name",
    );
}

#[test]
fn files_that_are_no_segments_are_refused_clearly() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("trades.csv", b"id,price\n1,2\n", "trades.csv: is not a journal segment");
    check("long.twj", &vec![0; (16 << 20) + 1], "long.twj: offset 16777216: segment is longer than 16 MiB");
    check("0000000001.twj.lz4", b"\x04\x22\x4d\x18\x40__________", "LZ4 frame without its checksums");
    let error = read(&dir.path().join("absent.twj")).unwrap_err().to_string();
    assert!(error.contains("absent.twj: failed to open: "), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = read(empty.path()).unwrap_err().to_string();
    assert!(error.contains("holds no journal segment"), "{error}");
}

#[test]
fn a_bomb_does_not_fill_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0000000001.twj");
    let (plain, _) = sample_segment();
    fs::write(&path, &plain).unwrap();
    let sealed = seal(&path).unwrap();
    // A frame of 64 MiB of zeros, checksums and all, made by the same encoder.
    let info = lz4_flex::frame::FrameInfo::new()
        .content_size(Some(64 << 20))
        .block_mode(lz4_flex::frame::BlockMode::Linked)
        .block_checksums(true)
        .content_checksum(true);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 64 << 20), &mut encoder).unwrap();
    fs::write(&sealed, encoder.finish().unwrap()).unwrap();
    let error = read(&sealed).unwrap_err().to_string();
    assert!(error.contains("sealed segment holds more than 16 MiB"), "{error}");
}

#[test]
fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::create(dir.path(), small()).unwrap();
    let locked = |result: Result<(), JournalError>| {
        assert!(matches!(result, Err(JournalError::Locked(_))), "{result:?}");
    };
    locked(Writer::create(dir.path(), small()).map(drop));
    locked(Writer::open(dir.path(), small()).map(drop));
    locked(cut_tail(dir.path()).map(drop));
    locked(seal(&dir.path().join("0000000001.twj")).map(drop));
    writer.close().unwrap();
    Writer::open(dir.path(), small()).unwrap();
    let again = Writer::create(dir.path(), small());
    assert!(matches!(again, Err(JournalError::NotEmpty(_))), "{again:?}");
}

#[test]
fn a_writer_goes_on_where_the_last_one_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..3 {
        let mut writer =
            if round == 0 { Writer::create(dir.path(), small()) } else { Writer::open(dir.path(), small()) }
                .unwrap();
        assert_eq!(writer.generation(), round + 1);
        expected.extend(write(&mut writer, &sample()));
    }
    let (entries, tail) = read(dir.path()).unwrap();
    assert_eq!((entries, tail), (expected, Tail::Whole));

    let refused = Writer::open(dir.path(), WriterOptions { partitions: 8, ..small() }).unwrap_err();
    assert!(refused.to_string().contains("is a journal of 4 partitions, not of 8"), "{refused}");
    let refused = Writer::open(dir.path(), WriterOptions { generation: Some(3), ..small() }).unwrap_err();
    assert!(
        refused.to_string().contains("generation 3 is not above that of the last writer, 3"),
        "{refused}"
    );
}

#[test]
fn after_each_kill_the_tail_is_cut_and_writing_goes_on() {
    let (bytes, expected) = sample_segment();
    let starts = boundaries(&bytes);
    // Each costs a few syncs: not all of them, but each boundary, and what lies beside it.
    let cuts = (0..bytes.len()).filter(|cut| cut % 97 == 0 || starts.iter().any(|s| cut.abs_diff(*s) <= 1));
    for cut in cuts {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0000000001.twj");
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole = *starts.iter().rev().find(|&&start| start <= cut).unwrap_or(&0);
        if whole != cut {
            let refused = Writer::open(dir.path(), small()).unwrap_err();
            assert!(matches!(refused, JournalError::TornTail { .. }), "{refused}");
            assert_eq!(fs::metadata(&path).unwrap().len(), cut as u64, "only cut_tail cuts");
        }
        let was_cut = cut_tail(dir.path()).unwrap();
        assert_eq!(cut_tail(dir.path()).unwrap(), None);
        // Without its first block a segment is as good as none.
        let headless = whole < starts[1] && (whole != cut || cut == 0);
        if headless {
            assert!(!path.exists());
            assert!(was_cut.is_some());
            continue;
        }
        assert_eq!(was_cut.is_some(), whole != cut);
        if whole < starts[1] {
            continue;
        }
        let before = read(dir.path()).unwrap().0;
        assert_eq!(before, expected[..before.len()]);
        let mut writer = Writer::open(dir.path(), small()).unwrap();
        let more = write(&mut writer, &[Written::Event(0, Event::Trade(trade(9)))]);
        writer.close().unwrap();
        let mut reader = Reader::open(dir.path()).unwrap();
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            entries.push(entry);
        }
        assert_eq!(entries[..before.len()], before);
        let [Entry::Event { at, event, .. }] = &entries[before.len()..] else { panic!("cut at {cut}") };
        let [Entry::Event { at: expected_at, event: expected_event, .. }] = &more[..] else { panic!() };
        assert_eq!((at, event), (expected_at, expected_event));
    }
}

#[test]
fn a_whole_block_with_a_bad_checksum_is_never_cut() {
    let (mut bytes, _) = sample_segment();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0000000001.twj");
    fs::write(&path, &bytes).unwrap();
    let error = cut_tail(dir.path()).unwrap_err().to_string();
    assert!(error.contains("block does not match its checksum"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn what_was_flushed_is_there_while_the_writer_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), small()).unwrap();
    for i in 0..10 {
        let number = writer.define(&instrument(0), IdRule::Contiguous);
        writer.append_trade(number, &trade(i)).unwrap();
        writer.flush().unwrap();
        let (entries, tail) = read(dir.path()).unwrap();
        assert_eq!((entries.len() as u64, tail), (i + 1, Tail::Whole));
    }
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), short_segments()).unwrap();
    let number = writer.define(&instrument(0), IdRule::Contiguous);
    let partition = instrument(0).partition(4);
    let mut expected = write(&mut writer, &sample()[2..5]);
    let page = Event::Backfill((0..100).map(trade).collect());
    let at = UnixNanos(0);
    let text = Trade { id: TradeId::Text("no, id".into()), ..trade(0) };
    let huge = ReadyCandle { volume: Amount::from_units(U256::MAX), ..candle() };
    let check = |result: Result<(), JournalError>, expected: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    let before = writer.position(partition);
    check(writer.append(number, &page).map(drop), "does not fit into a segment of");
    check(writer.append(number, &Event::Tick { venue_at: at }).map(drop), "a tick belongs to partitions");
    check(writer.append_trade(number, &text).map(drop), "trade id is no text that a venue sends");
    check(writer.append(number, &Event::Candle(Box::new(huge))).map(drop), "amount is 10^36 or more");
    check(writer.append_trade(InstrumentNumber(7), &trade(0)).map(drop), "no such instrument");
    check(writer.append_tick(at, &[4]), "no such partition");
    check(writer.append_skipped(9, Position(1), "").map(drop), "no such partition");
    assert_eq!(writer.position(partition), before);
    expected.extend(write(&mut writer, &sample()[2..3]));
    writer.close().unwrap();
    assert_eq!(read(dir.path()).unwrap(), (expected, Tail::Whole));
}

#[test]
fn ten_thousand_instruments_fit() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        WriterOptions { segment_bytes_max: 2 << 20, sync_segments: false, ..WriterOptions::default() };
    let mut writer = Writer::create(dir.path(), options).unwrap();
    let numbers: Vec<_> = (0..10_000).map(|i| writer.define(&instrument(i), IdRule::Contiguous)).collect();
    let mut last = Vec::new();
    for round in 0..5 {
        for (i, &number) in numbers.iter().enumerate() {
            let at = writer.append_trade(number, &trade(round * 10_000 + i as u64)).unwrap();
            last.push((number, at));
        }
    }
    writer.close().unwrap();
    let mut reader = Reader::open(dir.path()).unwrap();
    let mut read = 0;
    while let Some(block) = reader.next_block().unwrap() {
        for entry in block.trades().unwrap() {
            let entry = entry.unwrap();
            assert_eq!((entry.instrument, entry.at), last[read]);
            assert_eq!(entry.trade, trade(read as u64));
            read += 1;
        }
    }
    assert_eq!((read, reader.instruments().len()), (50_000, 10_000));
}

#[test]
fn a_weaker_rule_is_told_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), small()).unwrap();
    let number = writer.define(&instrument(0), IdRule::Contiguous);
    writer.append_trade(number, &trade(0)).unwrap();
    assert_eq!(writer.define(&instrument(0), IdRule::Sparse), number);
    writer.append_trade(number, &trade(1)).unwrap();
    writer.close().unwrap();
    let mut reader = Reader::open(dir.path()).unwrap();
    while reader.next_entry().unwrap().is_some() {}
    let [listed] = reader.instruments() else { panic!("one instrument") };
    assert_eq!((&listed.instrument, listed.rule), (&instrument(0), IdRule::Sparse));
}

#[test]
fn a_survey_tells_what_replay_needs_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), small()).unwrap();
    write(&mut writer, &sample());
    writer.close().unwrap();
    let survey = Survey::of(dir.path()).unwrap();
    let names: Vec<_> = survey.instruments.iter().map(|listed| listed.instrument.clone()).collect();
    assert_eq!(names, [instrument(0), instrument(1), instrument(2)]);
    assert_eq!(survey.config.as_deref(), Some("[engine]\nshards = 1\n"));
    assert_eq!(survey.versions, ["0.1.0"]);
    assert_eq!(survey.skipped.into_iter().collect::<Vec<_>>(), [(2, Position(1))]);
    assert_eq!(survey.counts[&Kind::Trade], 4);
    assert_eq!((survey.segments, survey.tail), (1, Tail::Whole));
    assert_eq!(survey.bytes, fs::metadata(dir.path().join("0000000001.twj")).unwrap().len());
}

#[test]
fn a_partition_is_read_from_any_position() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), short_segments()).unwrap();
    let name = instrument(0);
    let partition = name.partition(4);
    let number = Log::define(&mut writer, &name, IdRule::Contiguous);
    let mut given = Vec::new();
    for i in 0..200 {
        let batch = [(number, Event::Trade(trade(i)))];
        Log::append(&mut writer, &batch, &mut given).unwrap();
        if i % 10 == 0 {
            writer.append_tick(UnixNanos(i as i64), &[(partition + 1) % 4]).unwrap();
        }
    }
    let ids = |writer: &mut Writer, after: Position| -> Vec<u64> {
        let reading = writer.read_after(partition, after).unwrap();
        reading
            .map(|item| match item.unwrap() {
                (
                    Some(listed),
                    Entry::Event { event: Event::Trade(Trade { id: TradeId::Number(id), .. }), .. },
                ) => {
                    assert_eq!(listed.instrument, name);
                    id - 1_000
                }
                other => panic!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(ids(&mut writer, Position::default()), (0..200).collect::<Vec<_>>());
    for at in [0, 1, 57, 198, 199] {
        assert_eq!(ids(&mut writer, given[at]), (at as u64 + 1..200).collect::<Vec<_>>(), "after {at}");
    }
    fs::remove_file(dir.path().join("0000000001.twj")).unwrap();
    assert!(matches!(writer.read_after(partition, given[3]), Err(JournalError::Gone { .. })));
    assert_eq!(ids(&mut writer, given[150]), (151..200).collect::<Vec<_>>());
}

fn decimal() -> impl Strategy<Value = Decimal> {
    (1u64..=999_999_999_999_999_999, 0u32..=15)
        .prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap())
}

fn any_trade() -> impl Strategy<Value = Trade> {
    let id = prop_oneof![
        Just(TradeId::Absent),
        any::<u64>().prop_map(TradeId::Number),
        "[!-+\\--~]{1,64}".prop_filter_map("no comma, no quote", |text| TradeId::parse(&text)),
    ];
    let side = prop_oneof![Just(None), Just(Some(Side::Buy)), Just(Some(Side::Sell))];
    (decimal(), decimal(), any::<i64>(), any::<Option<i64>>(), id, side, any::<u32>()).prop_map(
        |(price, quantity, exchange_at, received_at, id, taker_side, trade_count)| Trade {
            price: Price::new(price).unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
            exchange_at: UnixNanos(exchange_at),
            received_at: received_at.and_then(|at| UnixNanos(at).stamp()),
            id,
            taker_side,
            trade_count,
        },
    )
}

fn amount<const SCALE: u32>() -> impl Strategy<Value = Amount<SCALE>> {
    (any::<u128>(), 0u32..=SCALE + 36)
        .prop_map(|(units, power)| Amount::from_units(U256::new(units) % U256::new(10).pow(power.max(1))))
}

fn any_candle() -> impl Strategy<Value = ReadyCandle> {
    let price = || decimal().prop_map(|value| Price::new(value).unwrap());
    let prices = (price(), price(), price(), price()).prop_map(|(open, high, low, close)| Ohlc {
        open,
        high,
        low,
        close,
    });
    let origin = prop_oneof![Just(Origin::Trades), Just(Origin::Venue), Just(Origin::File)];
    (
        (0usize..16, any::<i64>(), proptest::option::of(prices), amount::<15>()),
        (
            proptest::option::of(amount::<30>()),
            any::<Option<u64>>(),
            proptest::option::of(amount::<15>()),
            origin,
        ),
    )
        .prop_map(
            |((interval, open_at, prices, volume), (quote_volume, trade_count, taker_buy_volume, origin))| {
                ReadyCandle {
                    interval: TimeInterval::all().nth(interval).unwrap(),
                    open_at: UnixNanos(open_at),
                    prices,
                    volume,
                    quote_volume,
                    trade_count,
                    taker_buy_volume,
                    origin,
                }
            },
        )
}

fn any_written() -> impl Strategy<Value = Written> {
    let partitions = || proptest::collection::vec(0u32..4, 0..5);
    prop_oneof![
        6 => (0usize..5, any_trade()).prop_map(|(i, trade)| Written::Event(i, Event::Trade(trade))),
        1 => (0usize..5, proptest::collection::vec(any_trade(), 0..8))
            .prop_map(|(i, trades)| Written::Event(i, Event::Backfill(trades))),
        1 => (0usize..5, any_candle()).prop_map(|(i, candle)| Written::Event(i, Event::Candle(Box::new(candle)))),
        1 => (0usize..5, any::<i64>(), any::<i64>()).prop_map(|(i, from, to)| {
            Written::Event(i, Event::Unwatched { from: UnixNanos(from), to: UnixNanos(to) })
        }),
        1 => (any::<i64>(), partitions()).prop_map(|(at, p)| Written::Tick(UnixNanos(at), p)),
        1 => (".{0,40}", partitions()).prop_map(|(text, p)| Written::Config(text, p)),
        1 => (".{0,10}", partitions()).prop_map(|(text, p)| Written::Version(text, p)),
        1 => (0u32..4, any::<u64>(), ".{0,40}").prop_map(|(p, at, why)| Written::Skipped(p, at, why)),
        1 => (0usize..5, any::<u64>(), ".{0,40}").prop_map(|(i, at, why)| Written::SkippedTick(i, at, why)),
        1 => (0usize..5, any::<u64>(), any::<u64>(), prop::sample::select(&Unfillable::ALL[..])).prop_map(
            |(i, a, b, reason)| {
                let (first_id, last_id) = (a.min(b), a.max(b));
                Written::Event(i, Event::Unfillable { first_id, last_id, reason })
            }
        ),
        1 => (0usize..5, any::<i64>(), prop::sample::select(&WatchStatus::ALL[..])).prop_map(
            |(i, at, status)| Written::Event(i, Event::Status { venue_at: UnixNanos(at), status })
        ),
        1 => (0usize..5, any::<u64>(), any::<[u64; 2]>())
            .prop_map(|(i, count, hash)| Written::Outputs(i, Tally { count, hash })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_written_is_read(
        items in proptest::collection::vec((any_written(), proptest::bool::weighted(0.1)), 0..120),
        block_bytes_max in 0usize..2_000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = WriterOptions { segment_bytes_max: 8_192, block_bytes_max, ..small() };
        let mut writer = Writer::create(dir.path(), options).unwrap();
        let mut expected = Vec::new();
        for (item, flush) in &items {
            // Two configurations with the same partition twice reach it at two positions; the test's
            // expectation holds one.
            let mut item = item.clone();
            if let Written::Tick(_, p) | Written::Config(_, p) | Written::Version(_, p) = &mut item {
                p.sort_unstable();
                p.dedup();
            }
            expected.extend(write(&mut writer, &[item]));
            if *flush {
                writer.flush().unwrap();
            }
        }
        writer.flush().unwrap();
        let mut reader = Reader::open(dir.path()).unwrap();
        let mut entries = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            entries.push(renumber(&reader, entry, &mut writer));
        }
        prop_assert_eq!(entries, expected);
        prop_assert_eq!(reader.tail(), &Tail::Whole);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
        let _ = Reader::of_bytes("x", &bytes).and_then(drain);
        // Over a good segment: never wrong data.
        let (mut segment, expected) = sample_segment();
        let at = at.index(segment.len());
        for (slot, byte) in segment[at..].iter_mut().zip(&bytes) {
            *slot = *byte;
        }
        if let Ok((entries, _)) = Reader::of_bytes("x", &segment).and_then(drain) {
            prop_assert_eq!(&entries[..], &expected[..entries.len()]);
        }
    }
}
