//! `tapewatch export` of the results of a replay: its tables, row by row.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::app::export::out::Out;
use crate::app::export::wanted::Wanted;
use crate::app::outcome::Failure;
use crate::domain::instrument::Instrument;
use crate::domain::time::UnixNanos;
use crate::replay::table::{Column, Kind, csv};
use crate::runtime::progress::Progress;

/// A line of our own results is never longer.
const LINE_BYTES_MAX: u64 = 1 << 16;

/// The columns that a header of ours names.
pub fn columns(header: &'static str) -> Vec<Column> {
    let kind = |name: &str| match name {
        "open_time" | "close_time" => Kind::Time,
        "open" | "high" | "low" | "close" | "vwap" => Kind::Decimal,
        "volume" | "quote_volume" | "taker_buy_volume" | "taker_buy_quote_volume" => Kind::Decimal,
        "trade_count" | "revision" => Kind::Whole,
        "value" => Kind::Statistic,
        _ => Kind::Text,
    };
    header.trim_end().split(',').map(|name| Column::new(name, kind(name))).collect()
}

pub fn copy(path: &Path, columns: &[Column], wanted: &Wanted<'_>, out: &mut Out<'_>) -> Result<(), Failure> {
    let place = path.display();
    let refused = |line: u64, what: &str| Failure::Refused(format!("{place}:{line}: {what}"));
    let file = File::open(path).map_err(|error| Failure::refused(format!("{place}: {error}")))?;
    let bytes_total = file.metadata().map(|metadata| metadata.len()).ok();
    let progress = Progress::new("export", bytes_total);
    let mut reader = BufReader::new(file);
    let (mut text, mut line) = (String::new(), 0);
    // The instrument of the row before, and whether it is wanted: rows of one stand together.
    let mut last: Option<(Instrument, bool)> = None;
    loop {
        text.clear();
        line += 1;
        let bytes = (&mut reader)
            .take(LINE_BYTES_MAX)
            .read_line(&mut text)
            .map_err(|error| Failure::failed(format!("{place}:{line}: cannot be read: {error}")))?;
        if bytes == 0 {
            break;
        }
        progress.advance(bytes as u64);
        let Some(row) = text.strip_suffix('\n') else {
            return Err(refused(line, "the line has no end: the file is cut, or no result of ours"));
        };
        if line == 1 {
            let names: Vec<_> = columns.iter().map(|column| column.name).collect();
            if row != names.join(",") {
                return Err(refused(line, &format!("the header is not {}", names.join(","))));
            }
            continue;
        }
        let mut fields: Vec<Cow<'_, str>> = Vec::with_capacity(columns.len());
        if csv::fields(row, &mut fields).is_none() || fields.len() != columns.len() {
            return Err(refused(line, &format!("is not a row of {} fields", columns.len())));
        }
        let is_same = last.as_ref().is_some_and(|(instrument, _)| {
            instrument.venue().name() == fields[0] && instrument.symbol() == fields[1]
        });
        if !is_same {
            let instrument: Instrument = format!("{}:{}", fields[0], fields[1])
                .parse()
                .map_err(|error| refused(line, &format!("{error}")))?;
            let is_wanted = wanted.instrument(&instrument);
            last = Some((instrument, is_wanted));
        }
        let open_at = UnixNanos::parse_iso(fields[3].as_bytes())
            .map_err(|error| refused(line, &format!("open_time {:?} {error}", fields[3])))?;
        if last.as_ref().is_some_and(|(_, is_wanted)| *is_wanted) && wanted.at(open_at) {
            let cells: Vec<&str> = fields.iter().map(AsRef::as_ref).collect();
            if !out.row(&cells)? {
                return Ok(());
            }
        }
    }
    if line == 1 {
        return Err(refused(1, "the file is empty"));
    }
    Ok(())
}
