//! Every indicator that TA-Lib has, held against what TA-Lib made of the same bars: first
//! value at the same bar, values equal within 1e-9 of themselves, and exactly where they are 0.
//!
//! `tests/oracle/make_talib.py` made the expected values, and says how to make them again. To add
//! an indicator, add a line there. Where TA-Lib's own rounding is worse than 1e-9 (most of all
//! near 0), the expected value is that of the definition, computed with 50 digits.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::indicator::{Bar, OUTPUTS_MAX};
use tapewatch::domain::time::UnixNanos;

mod common;

fn oracle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(name)
}

/// Reads `open_time,open,high,low,close,volume`.
fn read_bars(text: &str) -> Vec<Bar<'static>> {
    let read = |line: &str| {
        let mut fields = line.split(',');
        let open_at = UnixNanos::parse_iso(fields.next()?.as_bytes()).ok()?;
        let mut number = || fields.next()?.parse().ok();
        Some(Bar {
            open_at,
            close_at: UnixNanos(open_at.0 + 1),
            open: number()?,
            high: number()?,
            low: number()?,
            close: number()?,
            volume: number()?,
            quote_volume: None,
            trade_count: None,
            taker_buy_volume: None,
            taker_sell_volume: None,
            trade_times: None,
            sizes: None,
        })
    };
    text.lines().skip(1).map(|line| read(line).unwrap_or_else(|| panic!("bar {line:?}"))).collect()
}

fn check_all(bars: &[Bar<'_>], expected: &str) {
    let mut lines = expected.lines();
    assert_eq!(lines.next(), Some("indicator,output,first,step,values"));
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for line in lines {
        // `"macd(12,26,9)",macd,33,3,...`: quoted where it has commas.
        let (indicator, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\",").unwrap(),
            None => line.split_once(',').unwrap(),
        };
        let mut fields = rest.split(',');
        let output = fields.next().unwrap();
        let [first, step] = [(); 2].map(|()| fields.next().unwrap().parse::<usize>().unwrap());
        let expected: Vec<f64> = fields.map(|x| x.parse().unwrap()).collect();

        let spec = Spec::parse(indicator).unwrap();
        let place = spec.entry.outputs.iter().position(|name| *name == output).unwrap();
        let mut built = spec.build();
        let mut out = [f64::NAN; OUTPUTS_MAX];
        let is: Vec<_> = bars.iter().map(|bar| built.advance(bar, &mut out).then(|| out[place])).collect();

        assert_eq!(spec.warm_up(), first + 1, "{indicator}: promised bars until the first value");
        assert_eq!(is.iter().position(Option::is_some), Some(first), "{indicator}: first value");
        let at = (first..bars.len()).step_by(step);
        assert_eq!(at.len(), expected.len(), "{indicator} {output}");
        let mut off = Vec::new();
        for (i, expected) in at.zip(expected) {
            checked += 1;
            if is[i].is_none_or(|is| (is - expected).abs() > 1e-9 * expected.abs()) {
                off.push(format!("bar {i}: {:?}, TA-Lib {expected:?}", is[i]));
            }
        }
        if let Some(some) = off.first() {
            wrong.push(format!("{indicator} {output}: {} values, at first {some}", off.len()));
        }
    }
    assert!(checked > 0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The shared file of real bars, where it is there.
fn shared_bars(name: &str) -> Option<Vec<Bar<'static>>> {
    let packed = fs::read(common::shared(&format!("data/ohlcv/{name}"))?).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    Some(read_bars(&text))
}

fn check_shared(name: &str, expected: &str) {
    if let Some(bars) = shared_bars(name) {
        check_all(&bars, &fs::read_to_string(oracle(expected)).unwrap());
    }
}

#[test]
fn a_made_up_market() {
    let bars = read_bars(&fs::read_to_string(oracle("bars.csv")).unwrap());
    check_all(&bars, &fs::read_to_string(oracle("talib_made.csv")).unwrap());
}

#[test]
fn a_month_of_hours() {
    check_shared("binance_BTCUSDT_1h_2021-01.csv.gz", "talib_hours.csv");
}

#[test]
fn three_weeks_of_minutes() {
    check_shared("binanceus_BTCUSDT_1m_2023-03-01_21.csv.gz", "talib_minutes.csv");
}
