//! Segments from any bytes: read or refused, and what is read could have been written.
//!
//! Checksums would keep a fuzzer out of everything behind them, so most inputs become patches of
//! a segment that holds one of everything, with the checksums made right again.

use tapewatch::domain::event::{Event, Trade};
use tapewatch::journal::convert;
use tapewatch::journal::entry::Entry;
use tapewatch::journal::reader::Reader;

const SEGMENT: &[u8] = include_bytes!("../../tests/golden/journal/0000000001.twj");

pub fn run(bytes: &[u8]) {
    let Some((&mode, bytes)) = bytes.split_first() else { return };
    match mode % 8 {
        0 => read("0000000001.twj", bytes),
        1 => read("0000000001.twj.lz4", bytes),
        2 => {
            let mut segment = bytes.to_vec();
            mend(&mut segment);
            read("0000000001.twj", &segment);
        }
        3 => read("0000000001.twj", &patched(bytes)),
        _ => {
            let mut segment = patched(bytes);
            mend(&mut segment);
            read("0000000001.twj", &segment);
        }
    }
}

/// Patches of an offset, a length and as many bytes.
fn patched(mut bytes: &[u8]) -> Vec<u8> {
    let mut segment = SEGMENT.to_vec();
    while let Some(([low, high, length], rest)) = bytes.split_first_chunk::<3>() {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % segment.len();
        let length = usize::from(length % 32).min(rest.len()).min(segment.len() - at);
        segment[at..at + length].copy_from_slice(&rest[..length]);
        bytes = &rest[length..];
    }
    segment
}

/// Makes the checksums of header, table and blocks right (docs/journal.md says where they stand).
fn mend(segment: &mut [u8]) {
    let word = |segment: &[u8], at: usize| u32::from_le_bytes(segment[at..at + 4].try_into().unwrap());
    if segment.len() < 64 {
        return;
    }
    let table_end = 64 + (word(segment, 52) as usize % 4_096) * 32;
    if let Some(table) = segment.get(64..table_end) {
        let crc = crc32fast::hash(table);
        segment[56..60].copy_from_slice(&crc.to_le_bytes());
    }
    let crc = crc32fast::hash(&segment[..60]);
    segment[60..64].copy_from_slice(&crc.to_le_bytes());
    let mut at = table_end;
    while at + 32 <= segment.len() {
        let end = (at + 32 + word(segment, at + 4) as usize).next_multiple_of(16);
        if let Some(body) = segment.get(at + 32..end) {
            let crc = crc32fast::hash(body);
            segment[at + 24..at + 28].copy_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32fast::hash(&segment[at..at + 28]);
        segment[at + 28..at + 32].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
}

fn read(name: &str, bytes: &[u8]) {
    let Ok(mut reader) = Reader::of_bytes(name, bytes) else { return };
    loop {
        match reader.next_entry() {
            Ok(Some(Entry::Event { event, instrument, .. })) => {
                assert!((instrument.0 as usize) < reader.instruments().len());
                check(&event);
            }
            Ok(Some(_)) => {}
            Ok(None) => {
                assert!(reader.tail().to_string().contains("block"));
                break;
            }
            Err(error) => {
                assert!(error.to_string().starts_with(name), "{error}");
                assert!(matches!(reader.next_entry(), Ok(None)), "an error ends the reading");
                break;
            }
        }
    }
}

fn check(event: &Event) {
    let check_trade = |trade: &Trade| {
        assert_eq!(convert::check_trade(trade), Ok(()));
        assert!(!trade.price.decimal().is_zero() && !trade.quantity.decimal().is_zero());
    };
    match event {
        Event::Trade(trade) => check_trade(trade),
        Event::Backfill(trades) => trades.iter().for_each(check_trade),
        Event::Candle(candle) => assert!(convert::candle_record(candle, 0, 0).is_ok()),
        Event::Unfillable { first_id, last_id, .. } => assert!(first_id <= last_id),
        Event::Divergence(divergence) => assert_eq!(divergence.check(), Ok(())),
        Event::Tick { .. } | Event::Unwatched { .. } | Event::Status { .. } => {}
    }
}
