//! Ichimoku: the middles of the highs and lows of three spans of time.
//!
//! `conversion` (tenkan-sen), `base` (kijun-sen), `span_a` (senkou span A, the mean of
//! conversion and base) and `span_b` (senkou span B): (highest high + lowest low) / 2 of the
//! last 9, 26 and 52 bars, this one included. Source: G. Hosoda (Ichimoku Sanjin), 1969; as
//! in M. Patel, "Trading with Ichimoku Clouds" (2010).
//!
//! Nothing is shifted: each value stands at the bar that makes it. A chart draws both spans
//! `base` bars (26, this bar counted) ahead of that. The lagging span (chikou) is left out:
//! it is the close itself, drawn 26 bars back, and knows nothing new.
//!
//! Silent until the longest span is full. Amortised O(1) a bar.

use crate::analytics::indicator::{Arguments, Bar, Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::extreme::{Highest, Lowest};
use crate::analytics::rolling::state::State;

pub const ENTRY: Entry = Entry {
    name: "ichimoku",
    summary: "Ichimoku's conversion and base lines and both leading spans, unshifted",
    parameters: &[
        Parameter::period("conversion", 9, 1),
        Parameter::period("base", 26, 1),
        Parameter::period("span_b", 52, 1),
    ],
    outputs: &["conversion", "base", "span_a", "span_b"],
    warm_up: |arguments| arguments.period(0).max(arguments.period(1)).max(arguments.period(2)),
    check: any,
    build: |arguments| keeping(Ichimoku::new(arguments), Ichimoku::state, Ichimoku::advance),
    needs: Needs::Prices,
};

/// The middle between the highest high and the lowest low.
struct Middle {
    highs: Highest,
    lows: Lowest,
}

impl Middle {
    fn push(&mut self, bar: &Bar<'_>) -> f64 {
        (self.highs.push(bar.high) + self.lows.push(bar.low)) / 2.0
    }
}

struct Ichimoku {
    spans: [Middle; 3],
}

impl Ichimoku {
    fn new(arguments: &Arguments) -> Self {
        let span = |index| {
            let period = arguments.period(index);
            Middle { highs: Highest::new(period), lows: Lowest::new(period) }
        };
        Self { spans: [span(0), span(1), span(2)] }
    }

    fn advance(&mut self, bar: &Bar<'_>) -> Option<[f64; 4]> {
        let [conversion, base, span_b] = self.spans.each_mut().map(|span| span.push(bar));
        (self.spans.iter().all(|span| span.highs.is_full()))
            .then(|| [conversion, base, (conversion + base) / 2.0, span_b])
    }

    fn state(&mut self, state: &mut State<'_>) {
        for span in &mut self.spans {
            span.highs.state(state);
            span.lows.state(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::analytics::indicator::Bar;
    use crate::analytics::indicators::donchian::naive::channel;
    use crate::analytics::indicators::trial::check;

    fn check_spans(conversion: usize, base: usize, span_b: usize) {
        check(&format!("ichimoku({conversion},{base},{span_b})"), |bars: &[Bar<'_>]| {
            let middle = |period| channel(bars, period).map(|(upper, lower)| (upper + lower) / 2.0);
            let (conversion, base, span_b) = (middle(conversion)?, middle(base)?, middle(span_b)?);
            Some(vec![conversion, base, (conversion + base) / 2.0, span_b])
        });
    }

    #[test]
    fn equals_a_search_of_the_windows() {
        check_spans(9, 26, 52);
        check_spans(30, 2, 1);
    }
}
