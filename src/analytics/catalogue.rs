//! The catalogue: every indicator by name, and the reading of `ema(20)`.

use std::fmt;

use crate::analytics::indicator::{Arguments, Entry, Indicator};
use crate::analytics::{indicators, orderflow};

/// An indicator with its parameters: `macd(12,26,9)`.
#[derive(Clone)]
pub struct Spec {
    pub entry: &'static Entry,
    pub arguments: Arguments,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("indicator {text:?} is unknown; `tapewatch check` lists them all")]
    Unknown { text: String },
    #[error("indicator {text:?} is not of the form name(number,...)")]
    Form { text: String },
    #[error("indicator {text:?}: {name} takes {allowed}")]
    Count { text: String, name: &'static str, allowed: String },
    #[error("indicator {text:?}: {parameter} must be {allowed}")]
    Bounds { text: String, parameter: &'static str, allowed: String },
    #[error("indicator {text:?}: {problem}")]
    Combination { text: String, problem: &'static str },
}

/// Every entry of every family.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    indicators::ENTRIES.iter().chain(orderflow::ENTRIES)
}

impl Spec {
    /// Reads `name`, `name()` or `name(a,b,...)`; without parentheses all parameters have
    /// their defaults, otherwise those left out at the end.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let trimmed = text.trim();
        let form = || SpecError::Form { text: text.to_owned() };
        let (name, list) = match trimmed.split_once('(') {
            None => (trimmed, ""),
            Some((name, rest)) => (name.trim(), rest.strip_suffix(')').ok_or_else(form)?),
        };
        let entry = entries()
            .find(|entry| entry.name == name)
            .ok_or_else(|| SpecError::Unknown { text: text.to_owned() })?;
        let given: Vec<&str> = if list.trim().is_empty() { Vec::new() } else { list.split(',').collect() };
        if given.len() > entry.parameters.len() {
            let names: Vec<_> = entry.parameters.iter().map(|p| p.name).collect();
            let allowed =
                if names.is_empty() { "no parameter".to_owned() } else { format!("({})", names.join(",")) };
            return Err(SpecError::Count { text: text.to_owned(), name: entry.name, allowed });
        }
        let mut values = Vec::with_capacity(entry.parameters.len());
        for (i, parameter) in entry.parameters.iter().enumerate() {
            let Some(given) = given.get(i) else {
                values.push(parameter.default);
                continue;
            };
            let value: f64 = given.trim().parse().map_err(|_| form())?;
            let within = value >= parameter.min && value <= parameter.max;
            if !within || (parameter.whole && value.fract() != 0.0) {
                let kind = if parameter.whole { "a whole number" } else { "a number" };
                let allowed = format!("{kind} from {} to {}", parameter.min, parameter.max);
                return Err(SpecError::Bounds { text: text.to_owned(), parameter: parameter.name, allowed });
            }
            values.push(value);
        }
        let arguments = Arguments(values);
        (entry.check)(&arguments)
            .map_err(|problem| SpecError::Combination { text: text.to_owned(), problem })?;
        Ok(Self { entry, arguments })
    }

    /// Reads `sma(20),macd(12,26,9),obv`: commas inside parentheses belong to the indicator.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, SpecError> {
        let (mut depth, mut start, mut specs) = (0usize, 0, Vec::new());
        let boundary = text.char_indices().chain([(text.len(), ',')]);
        for (at, c) in boundary {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                ',' if depth == 0 || at == text.len() => {
                    let part = text[start..at].trim();
                    if !part.is_empty() {
                        specs.push(Self::parse(part)?);
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
        Ok(specs)
    }

    pub fn build(&self) -> Box<dyn Indicator> {
        (self.entry.build)(&self.arguments)
    }

    /// Candles until the first value, the one that brings it included.
    pub fn warm_up(&self) -> usize {
        (self.entry.warm_up)(&self.arguments)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry.name)?;
        for (i, value) in self.arguments.0.iter().enumerate() {
            write!(f, "{}{value}", if i == 0 { "(" } else { "," })?;
        }
        f.write_str(if self.arguments.0.is_empty() { "" } else { ")" })
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicator::{Bar, Needs, OUTPUTS_MAX};
    use crate::analytics::indicators::trial;
    use crate::analytics::rolling::sizes::SizeHistogram;
    use crate::analytics::rolling::state::State;
    use crate::domain::decimal::Quantity;
    use crate::domain::time::UnixNanos;

    fn check_list(text: &str, expected: &str) {
        let specs = Spec::parse_list(text).unwrap();
        let printed: Vec<_> = specs.iter().map(ToString::to_string).collect();
        assert_eq!(printed.join(" "), expected, "{text}");
    }

    #[test]
    fn lists_are_read_and_defaults_filled_in() {
        check_list("sma(20)", "sma(20)");
        check_list(" sma , sma( 5 ) ,", "sma(20) sma(5)");
        check_list("", "");
    }

    #[test]
    fn mistakes_name_what_is_allowed() {
        let check = |text: &str, part: &str| {
            let message = Spec::parse_list(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        };
        check("nope(3)", "is unknown");
        check("sma(3", "not of the form");
        check("sma(x)", "not of the form");
        check("sma(3,4)", "takes (period)");
        check("sma(0)", "period must be a whole number from 1 to 10000");
        check("sma(2.5)", "period must be");
        check("sma(nan)", "period must be");
    }

    #[test]
    fn the_catalogue_is_in_order_and_every_default_builds() {
        for family in [indicators::ENTRIES, orderflow::ENTRIES] {
            assert!(family.is_sorted_by_key(|entry| entry.name));
        }
        for entry in entries() {
            let spec = Spec::parse(entry.name).unwrap();
            assert!(spec.warm_up() >= 1, "{}", entry.name);
            assert!((1..=OUTPUTS_MAX).contains(&entry.outputs.len()));
            let _ = spec.build();
        }
    }

    /// Every entry with its defaults, and with parameters as small as can be that rise from
    /// the first to the last.
    fn specs() -> Vec<Spec> {
        let small = |entry: &Entry| {
            let values = entry.parameters.iter().enumerate().map(|(i, parameter)| {
                if parameter.whole { parameter.min.max(i as f64 + 1.0) } else { parameter.default }
            });
            let values: Vec<_> = values.map(|value| value.to_string()).collect();
            Spec::parse(&format!("{}({})", entry.name, values.join(",")))
        };
        let specs: Vec<_> =
            entries().flat_map(|entry| [Spec::parse(entry.name).ok(), small(entry).ok()]).flatten().collect();
        assert!(specs.len() > entries().count());
        specs
    }

    /// A market as it is, then bars to stumble over, then the former again; with sizes of
    /// trades, and now and then without what a ready candle does not say.
    fn check_bars(seed: u64, count: usize, mut check: impl FnMut(&[Bar<'_>])) {
        let mut bars = trial::bars(seed, count);
        bars.extend(trial::odd_bars(seed, count));
        bars.extend(trial::bars(seed + 1, count));
        let mut random = trial::Random(seed);
        let mut sizes = Vec::with_capacity(bars.len());
        for _ in &bars {
            let mut histogram = SizeHistogram::default();
            for _ in 0..1 + random.word() % 20 {
                histogram.add(Quantity::parse((1 + random.word() % 100_000).to_string().as_bytes()).unwrap());
            }
            sizes.push(histogram);
        }
        for (i, (bar, sizes)) in bars.iter_mut().zip(&sizes).enumerate() {
            let step = i as i64 * 60_000_000_000;
            (bar.open_at.0, bar.close_at.0) = (step, step + 60_000_000_000);
            bar.trade_times = Some((UnixNanos(step + 1), UnixNanos(step + 59_000_000_000)));
            bar.sizes = Some(sizes);
            match random.word() % 16 {
                0 => bar.quote_volume = None,
                1 => bar.trade_count = None,
                2 => (bar.taker_buy_volume, bar.taker_sell_volume) = (None, None),
                3 => (bar.trade_times, bar.sizes) = (None, None),
                _ => {}
            }
        }
        check(&bars);
    }

    fn advance(indicator: &mut dyn Indicator, outputs: usize, bar: &Bar<'_>) -> Option<Vec<u64>> {
        let mut out = [f64::NAN; OUTPUTS_MAX];
        indicator.advance(bar, &mut out).then(|| out[..outputs].iter().map(|value| value.to_bits()).collect())
    }

    fn saved(indicator: &mut dyn Indicator) -> Vec<u64> {
        let mut words = Vec::new();
        indicator.state(&mut State::Save(&mut words));
        words
    }

    /// Runs `spec` over `bars`; at many points, one that is fresh and one that has seen other
    /// bars are put to its state, and all go on to the same bits.
    fn check_restored(spec: &Spec, bars: &[Bar<'_>]) {
        const ON: usize = 25;
        let outputs = spec.entry.outputs.len();
        let mut original = spec.build();
        let (mut told, mut states) = (Vec::new(), Vec::new());
        for bar in bars {
            states.push(saved(&mut *original));
            told.push(advance(&mut *original, outputs, bar));
        }
        for (i, values) in told.iter().enumerate() {
            for value in values.iter().flatten() {
                assert!(f64::from_bits(*value).is_finite(), "{spec}, bar {i}: {values:?}");
            }
        }
        let early = (0..bars.len()).step_by(7).chain(spec.warm_up().saturating_sub(3)..spec.warm_up() + 3);
        for from in early.filter(|from| from + ON < bars.len()) {
            let mut used = spec.build();
            for bar in &bars[bars.len() - 1 - from % 50..] {
                advance(&mut *used, outputs, bar);
            }
            for mut restored in [spec.build(), used] {
                let mut state = State::load(&states[from]);
                restored.state(&mut state);
                assert_eq!(state.finish(), Ok(()), "{spec}");
                for i in from..from + ON {
                    let values = advance(&mut *restored, outputs, &bars[i]);
                    assert_eq!(values, told[i], "{spec}, restored at bar {from}, bar {i}");
                }
                assert_eq!(saved(&mut *restored), states[from + ON], "{spec}, restored at bar {from}");
            }
        }
    }

    #[test]
    fn every_entry_goes_on_from_its_saved_state_to_the_same_bits() {
        for spec in specs() {
            for seed in 0..3 {
                check_bars(seed, spec.warm_up().min(150) + 50, |bars| check_restored(&spec, bars));
            }
        }
    }

    #[test]
    fn every_indicator_speaks_when_it_promised_to() {
        for spec in
            specs().into_iter().filter(|spec| indicators::ENTRIES.iter().any(|e| e.name == spec.entry.name))
        {
            let bars = trial::bars(3, spec.warm_up() + 200);
            let mut built = spec.build();
            let told: Vec<_> =
                bars.iter().map(|bar| advance(&mut *built, spec.entry.outputs.len(), bar)).collect();
            let first = told.iter().position(Option::is_some);
            assert!(first >= Some(spec.warm_up() - 1), "{spec}: {first:?}");
        }
    }

    #[test]
    fn what_an_entry_does_not_ask_for_it_does_not_look_at() {
        for spec in specs() {
            check_bars(5, spec.warm_up().min(150) + 50, |bars| {
                let (mut whole, mut poor) = (spec.build(), spec.build());
                for (i, bar) in bars.iter().enumerate() {
                    let mut less = *bar;
                    if spec.entry.needs < Needs::Amounts {
                        less.volume = f64::NAN;
                        less.quote_volume = less.quote_volume.map(|_| f64::NAN);
                        less.taker_buy_volume = less.taker_buy_volume.map(|_| f64::NAN);
                        less.taker_sell_volume = less.taker_sell_volume.map(|_| f64::NAN);
                    }
                    if spec.entry.needs < Needs::Sizes {
                        less.sizes = None;
                    }
                    let outputs = spec.entry.outputs.len();
                    let expected = advance(&mut *whole, outputs, bar);
                    assert_eq!(advance(&mut *poor, outputs, &less), expected, "{spec}, bar {i}");
                }
            });
        }
    }
}
