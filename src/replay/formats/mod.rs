//! The formats of recordings: one file each, one line each in [`FORMATS`].

pub mod binance_agg_trades;
mod binance_dump;
pub mod binance_raw;
pub mod binance_trades;
pub mod bybit_trades;
pub mod cryptofeed;
pub mod csv;
pub mod journal;
pub mod jsonl;
pub mod kraken_trades;
pub mod ohlcv;
pub mod okx_trades;
pub mod tardis_trades;
#[cfg(test)]
pub mod testing;

use crate::domain::fields::shown;
use crate::replay::decoder::{Facts, FormatEntry, Likeness, Sample};

/// How much of a line that no format knows is shown.
const SHOWN_CHARS: usize = 80;

/// Every format that is a text of lines. Journals are directories, and read elsewhere.
pub const FORMATS: &[FormatEntry] = &[
    binance_trades::ENTRY,
    binance_agg_trades::ENTRY,
    bybit_trades::ENTRY,
    kraken_trades::ENTRY,
    okx_trades::ENTRY,
    tardis_trades::ENTRY,
    binance_raw::ENTRY,
    cryptofeed::ENTRY,
    csv::ENTRY,
    jsonl::ENTRY,
    ohlcv::ENTRY,
];

/// Found out from content, then name.
pub const AUTO: &str = "auto";

/// What `--format` may say.
pub fn names() -> impl Iterator<Item = &'static str> {
    [AUTO, journal::ENTRY.name].into_iter().chain(FORMATS.iter().map(|entry| entry.name))
}

/// The format of that name, or the one that the text looks like.
pub fn choose(name: &str, sample: &Sample, facts: &Facts<'_>) -> Result<&'static FormatEntry, String> {
    if name != AUTO {
        return FORMATS.iter().find(|entry| entry.name == name).ok_or_else(|| {
            if name == journal::ENTRY.name {
                return "is no directory of a journal".to_owned();
            }
            format!("format {name:?} is unknown: allowed are {}", names().collect::<Vec<_>>().join(", "))
        });
    }
    let liked = |entry: &&FormatEntry| (entry.sniff)(sample, facts);
    let most = FORMATS.iter().map(|entry| liked(&entry)).max().unwrap_or(Likeness::No);
    let all = || names().skip(1).collect::<Vec<_>>().join(", ");
    if most == Likeness::No {
        return Err(format!(
            "is of no format that is known by its looks (line {} is {:?}): say --format, one of {}",
            sample.first_number(),
            shown(sample.first(), SHOWN_CHARS),
            all()
        ));
    }
    let found: Vec<_> = FORMATS.iter().filter(|entry| liked(entry) == most).collect();
    match found[..] {
        [entry] => Ok(entry),
        _ => {
            let names: Vec<_> = found.iter().map(|entry| entry.name).collect();
            Err(format!("may be {}: say --format, one of {}", names.join(" or "), all()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::{OwnedFacts, facts, hourly, read, with};
    use super::*;

    /// A sound beginning of each format, for noise to be put into.
    const TEXTS: [&str; 11] = [
        "3735693016,61685.99000000,0.00017000,10.48661830,1723161601437,True,True\n",
        "26129,0.01633102,4.70443515,27781,27785,1498793709153,True,True\n",
        "timestamp,symbol,side,size,price,tickDirection,trdMatchID\n1696982287.4922,FXSUSDT,Sell,0.86,5.2390,x,f7\n",
        "1672531436,90.540000,1.10448420\n",
        "trade_id,side,size,price,created_time\n450372093,buy,0.00418025,35910.6,1700239042832\n",
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\nkraken,XBT/USD,1585699200245000,1585699200328000,,buy,6427.4,0.031\n",
        "1723161600164378285 {\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":1}\n",
        "wss://stream.binance.com/x <-> 1617647603.4\n1617647603.5: {\"e\":\"trade\"}\n",
        "exchange_time,trade_id,price,quantity,taker_side\n2024-05-01T00:00:00Z,1,2,3,buy\n",
        "{\"exchange_at\":\"2024-05-01T00:00:00Z\",\"trade_id\":\"7\",\"price\":\"61000.10\",\"quantity\":0.10}\n",
        "open_time,open,high,low,close,volume\n2021-01-01 00:00:00,1,3,.5,2,10\n",
    ];

    fn said() -> OwnedFacts {
        hourly(with(facts("x.csv"), "binance:BTC-USDT"))
    }

    /// Every line is read, skipped by name, or refuses the file.
    fn check_sound(format: &str, text: &[u8]) {
        let Ok(harvest) = read(&said(), format, text) else { return };
        assert!(harvest.skipped.iter().all(|skipped| !skipped.reason.is_empty() && skipped.line > 0));
        assert!(harvest.entries.iter().all(|entry| (entry.instrument.0 as usize) < harvest.listed.len()));
    }

    #[test]
    fn every_format_has_a_name_of_its_own() {
        let all: Vec<_> = names().collect();
        for (at, name) in all.iter().enumerate() {
            assert!(!all[..at].contains(name), "{name}");
        }
        let sample = Sample::from_text("x");
        assert!(
            choose("xml", &sample, &Facts::default()).err().unwrap().contains("allowed are auto, journal")
        );
        assert!(choose(AUTO, &sample, &Facts::default()).err().unwrap().contains("say --format"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for name in names() {
                check_sound(name, &bytes);
            }
        }

        #[test]
        fn sound_texts_with_noise_are_read_or_refused(
            which in 0..TEXTS.len(),
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            rows in 1usize..4,
        ) {
            let mut text = TEXTS[which].repeat(rows).into_bytes();
            for (at, byte) in noise {
                let at = at.index(text.len());
                text[at] = byte;
            }
            for name in names() {
                check_sound(name, &text);
            }
        }
    }
}
