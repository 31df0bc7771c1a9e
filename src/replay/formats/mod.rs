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
