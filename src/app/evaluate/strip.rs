//! A drawing of one series: its values, stretches that are labelled behind them, and alerts below.
//!
//! As wide as a page whatever its length: of the values that fall on one place the lowest and highest are drawn.

use std::fmt::Write;

use crate::app::evaluate::chart::escaped;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 96.0;
const BOTTOM: f64 = 14.0;
/// Places along the width.
const PLACES: usize = 320;

/// `labels`: first and last place of each; `alerts`: places, ascending.
pub fn strip(says: &str, values: &[f64], labels: &[(usize, usize)], alerts: &[usize]) -> String {
    let says = escaped(says);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{says}\"><title>{says}</title>\n"
    );
    let count = values.len().max(1) as f64;
    let x = |place: f64| WIDTH * place / count;
    for &(first, last) in labels {
        let (from, to) = (x(first as f64), x(last as f64 + 1.0));
        let _ = writeln!(
            svg,
            "<rect class=\"window\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"{HEIGHT}\"/>",
            (to - from).max(1.0)
        );
    }
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let span = if high > low { high - low } else { 1.0 };
    let y = |value: f64| 2.0 + (HEIGHT - BOTTOM - 4.0) * (1.0 - (value - low) / span);
    let mut points = String::new();
    let size = values.len().div_ceil(PLACES).max(1);
    for (place, chunk) in values.chunks(size).enumerate() {
        let at = x((place * size) as f64 + chunk.len() as f64 / 2.0);
        let (lowest, highest) =
            chunk.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
                (low.min(value), high.max(value))
            });
        if lowest.is_finite() && highest.is_finite() {
            let _ = write!(points, "{at:.1},{:.1} {at:.1},{:.1} ", y(lowest), y(highest));
        }
    }
    let _ = writeln!(svg, "<polyline class=\"line\" points=\"{}\"/>", points.trim_end());
    for &alert in alerts {
        let at = x(alert as f64 + 0.5);
        let _ = writeln!(
            svg,
            "<line class=\"alert\" x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{HEIGHT}\"/>",
            HEIGHT - BOTTOM + 2.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_holds_what_it_is_given_and_no_number_that_is_none() {
        let values: Vec<f64> = (0..5_000).map(|i| f64::from(i % 97)).collect();
        let svg = strip("a <series>", &values, &[(10, 20), (4_000, 4_999)], &[15, 700, 4_999]);
        assert_eq!((svg.matches("<rect").count(), svg.matches("class=\"alert\"").count()), (2, 3));
        assert!(svg.contains("a &lt;series&gt;"));
        for svg in [svg, strip("none", &[], &[], &[]), strip("flat", &[3.0; 7], &[], &[])] {
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
