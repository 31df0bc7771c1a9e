//! Volatilities and moments held against reference values made independently (60-digit
//! decimals and numpy), where the shared folder `oracles` is there.

use std::fs;

use tapewatch::analytics::catalogue::Spec;
use tapewatch::analytics::indicator::{Bar, OUTPUTS_MAX};
use tapewatch::domain::time::UnixNanos;

mod common;

/// A file of the shared oracles: its columns by name, empty cells as `None`.
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<Option<f64>>>,
}

impl Table {
    fn read(name: &str) -> Option<Self> {
        let text = fs::read_to_string(common::shared(&format!("oracles/{name}"))?).unwrap();
        let mut lines = text.lines();
        let names = lines.next().unwrap().split(',').map(str::to_owned).collect();
        let cell = |cell: &str| (!cell.is_empty()).then(|| cell.parse().unwrap());
        let rows = lines.map(|line| line.split(',').map(cell).collect()).collect();
        Some(Self { names, rows })
    }

    fn column(&self, name: &str) -> Vec<Option<f64>> {
        let place = self.names.iter().position(|column| column == name).unwrap();
        self.rows.iter().map(|row| row[place]).collect()
    }

    /// A column without empty cells.
    fn full(&self, name: &str) -> Vec<f64> {
        self.column(name).into_iter().map(Option::unwrap).collect()
    }
}

fn bar([open, high, low, close]: [f64; 4]) -> Bar<'static> {
    Bar {
        open_at: UnixNanos(0),
        close_at: UnixNanos(1),
        open,
        high,
        low,
        close,
        volume: 1.0,
        quote_volume: None,
        trade_count: None,
        taker_buy_volume: None,
        taker_sell_volume: None,
        trade_times: None,
        sizes: None,
    }
}

/// The first output of `text` at each bar is `expected`, within 1e-9.
fn check(text: &str, bars: &[Bar<'_>], expected: &[Option<f64>]) {
    assert!(expected.iter().any(Option::is_some));
    let spec = Spec::parse(text).unwrap();
    let mut indicator = spec.build();
    let mut out = [0.0; OUTPUTS_MAX];
    for (i, (bar, expected)) in bars.iter().zip(expected).enumerate() {
        let is = indicator.advance(bar, &mut out).then_some(out[0]);
        let equal = match (is, *expected) {
            (Some(is), Some(expected)) => (is - expected).abs() <= 1e-9 * expected.abs(),
            (is, expected) => is == expected,
        };
        assert!(equal, "{text}, bar {i}: {is:?}, expected {expected:?}");
    }
}

#[test]
fn range_volatilities_are_those_of_the_reference() {
    let Some(table) = Table::read("volatility.csv") else { return };
    let [open, high, low, close] = ["open", "high", "low", "close"].map(|name| table.full(name));
    let bars: Vec<_> = (0..open.len()).map(|i| bar([open[i], high[i], low[i], close[i]])).collect();
    for name in ["parkinson", "garman_klass", "rogers_satchell"] {
        let variances = table.full(name);
        for period in [1, 20] {
            let expected: Vec<_> = (1..=variances.len())
                .map(|end| {
                    let window = &variances[end.checked_sub(period)?..end];
                    Some((window.iter().sum::<f64>() / period as f64).sqrt())
                })
                .collect();
            check(&format!("{name}({period})"), &bars, &expected);
        }
    }
}

#[test]
fn deviations_at_a_high_level_are_those_of_the_reference() {
    let Some(table) = Table::read("moments.csv") else { return };
    let values = table.full("x");
    let bars: Vec<_> = values.iter().map(|&x| bar([x; 4])).collect();
    let sample = table.column("roll50_std_ddof1");
    // The reference runs along, too: where the values fall from a million to about zero it keeps
    // the rounding of the million. From there on each window is computed anew, in two passes.
    let fallen = values.iter().position(|x| x.abs() < 1e3).unwrap();
    let anew = |end: usize| {
        let window = &values[end - 50..end];
        let mean = window.iter().sum::<f64>() / 50.0;
        (window.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 50.0).sqrt()
    };
    let population: Vec<_> = sample
        .iter()
        .enumerate()
        .map(|(i, x)| x.map(|x| if i < fallen { x * (49.0f64 / 50.0).sqrt() } else { anew(i + 1) }))
        .collect();
    check("stddev(50)", &bars, &population);
    check("sma(50)", &bars, &table.column("roll50_mean"));
}
