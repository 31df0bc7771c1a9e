//! Files that are kept beside the journal, from any bytes: opened with what is whole of them, and still of use.
//!
//! The first byte picks the file.

use std::path::Path;

use tapewatch::alerts::outbox::Outbox;
use tapewatch::api::keys::Keys;
use tapewatch::domain::output::GapId;
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::Roster;
use tapewatch::storage::feed_log::log::{FeedLog, FeedLogOptions};
use tapewatch::storage::feed_log::record::Record;
use tapewatch::storage::questdb::chunk::Chunk;
use tapewatch::storage::questdb::gap_places::GapPlaces;
use tapewatch::storage::questdb::kept::Kept;
use tapewatch::storage::questdb::open_forecasts::OpenForecasts;
use tapewatch::storage::spool::Spool;
use tapewatch::venues::patience::{PATIENCE_MAX, Patience};

pub fn run(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        folder.path().join(name)
    };
    match which % 8 {
        0 => {
            put("0000000001.spool");
            spool(folder.path());
        }
        1 => {
            put("00000000000000000001.feed");
            feed_log(folder.path());
        }
        2 => {
            put("outbox.jsonl");
            let outbox = Outbox::open(folder.path()).unwrap();
            assert_eq!(outbox.unsent().count(), Outbox::open(folder.path()).unwrap().unsent().count());
        }
        3 => drop(Keys::load(&put("keys.json"))),
        4 => {
            let mut places = GapPlaces::open(&put("gaps")).unwrap();
            let place = places.place(GapId(7), UnixNanos(9));
            assert_eq!(places.place(GapId(7), UnixNanos(10)), place);
        }
        5 => drop(OpenForecasts::open(&put("forecasts")).unwrap()),
        6 => {
            let roster = Roster::new(["binance:BTC-USDT".parse().unwrap()]);
            drop(Kept::open(&put("kept"), "127.0.0.1:9000", &roster));
            let patience = Patience::open(&put("patience"));
            assert!(patience.left("binance", UnixNanos(0)) <= PATIENCE_MAX);
        }
        _ => {
            if let Some(chunk) = Chunk::from_bytes(bytes) {
                let parts: usize = (0..chunk.rows()).map(|row| chunk.part(row, row + 1).len()).sum();
                assert_eq!(parts, chunk.part(0, chunk.rows()).len());
                assert!(chunk.counts().iter().sum::<u64>() <= chunk.rows() as u64);
            }
        }
    }
}

fn spool(folder: &Path) {
    let mut spool = Spool::open(folder, 1 << 20).unwrap();
    assert!(spool.append(b"the last").unwrap());
    let mut last = None;
    while let Some(body) = spool.front().unwrap() {
        spool.pop(body.len()).unwrap();
        last = Some(body);
    }
    assert!(spool.is_empty() && last.as_deref() == Some(b"the last"));
}

fn feed_log(folder: &Path) {
    let Ok(mut log) = FeedLog::open(folder, FeedLogOptions::default()) else { return };
    let Ok(seq) = log.take_numbers(1) else { return };
    let name = "binance:BTC-USDT";
    log.push(&Record { seq, at: Default::default(), ordinal: 0, tag: [1, 0, 0], name, body: b"{}" });
    log.commit().unwrap();
    let piece = log.reader().read(seq - 1, log.head(), 1 << 20).unwrap();
    assert!(piece.entries().count() > 0, "what was just written is there");
}
