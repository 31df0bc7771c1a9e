//! Plain drawings as SVG text: a mark for each row on a scale, a line over days, dots against a diagonal.
//!
//! No script; colours come from the page's style, so that they follow light and dark. Each drawing says in
//! words what it shows, for who cannot see it.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const ROW: f64 = 22.0;
const LABEL: f64 = 210.0;
const TOP: f64 = 26.0;
const HEIGHT: f64 = 220.0;
const MARGIN: f64 = 46.0;

/// Text that is no markup.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn open(height: f64, says: &str) -> String {
    let says = escaped(says);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{says}\"><title>{says}</title>\n"
    )
}

fn tick(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// About five round numbers from `low` to `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low).max(1e-9) / 5.0;
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let step = [1.0, 2.0, 5.0, 10.0].map(|by| by * power).into_iter().find(|&step| step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = libm::ceil(low / step) as i64;
    (first..).map(|i| i as f64 * step).take_while(|&at| at <= high + 1e-9 * step).collect()
}

/// A row of [`marks`]: its name, its value, and the interval around it.
pub struct Mark {
    pub label: String,
    pub value: f64,
    pub range: Option<[f64; 2]>,
}

/// On which side of the baseline a value is welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Below,
    Above,
    Neither,
}

/// One mark a row, all on one scale, with a line at `baseline`.
pub fn marks(says: &str, rows: &[Mark], baseline: f64, better: Better) -> String {
    let all = rows.iter().flat_map(|row| {
        let [low, high] = row.range.unwrap_or([row.value; 2]);
        [row.value, low, high]
    });
    let (mut low, mut high) = (baseline, baseline);
    for value in all.filter(|value| value.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    let pad = 0.05 * (high - low).max(1e-6);
    (low, high) = (low - pad, high + pad);
    let x = |value: f64| LABEL + (value.clamp(low, high) - low) / (high - low) * (WIDTH - LABEL - 20.0);
    let height = TOP + ROW * rows.len() as f64 + 8.0;
    let mut svg = open(height, says);
    for at in ticks(low, high) {
        let x = x(at);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{height}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"16\" text-anchor=\"middle\">{}</text>",
            tick(at)
        );
    }
    let base = x(baseline);
    let _ = writeln!(
        svg,
        "<line class=\"base\" x1=\"{base:.1}\" x2=\"{base:.1}\" y1=\"{TOP}\" y2=\"{height}\"/>"
    );
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        let label = escaped(&row.label);
        let _ = writeln!(
            svg,
            "<text class=\"label\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LABEL - 10.0,
            y + 4.0
        );
        if let Some([low, high]) = row.range {
            let (from, to) = (x(low), x(high));
            let _ = writeln!(
                svg,
                "<line class=\"range\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            );
        }
        let _ = writeln!(
            svg,
            "<circle class=\"{}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4.5\"><title>{label}: {:.4}</title></circle>",
            match better {
                Better::Neither => "dot",
                Better::Below if row.value <= baseline => "good",
                Better::Above if row.value >= baseline => "good",
                Better::Below | Better::Above => "bad",
            },
            x(row.value),
            row.value
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a share lies on the axis from `low` to 1.
fn share_y(low: f64, share: f64) -> f64 {
    TOP + (1.0 - (share.clamp(low, 1.0) - low) / (1.0 - low)) * (HEIGHT - TOP - 24.0)
}

fn share_axis(svg: &mut String, low: f64) {
    for at in ticks(low, 1.0) {
        let y = share_y(low, at);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{MARGIN}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 10.0,
            MARGIN - 8.0,
            y + 4.0,
            tick(at)
        );
    }
}

/// A share for each day, with a line at the promised one; days by their labels.
pub fn days(says: &str, days: &[(String, f64)], promised: f64) -> String {
    let least = days.iter().map(|(_, share)| *share).fold(promised, f64::min);
    let low = (libm::floor(least * 20.0) / 20.0 - 0.05).clamp(0.0, 0.9);
    let mut svg = open(HEIGHT, says);
    share_axis(&mut svg, low);
    let step = (WIDTH - MARGIN - 20.0) / days.len().max(2) as f64;
    let x = |i: usize| MARGIN + step * (i as f64 + 0.5);
    let at = share_y(low, promised);
    let _ = writeln!(
        svg,
        "<line class=\"base\" x1=\"{MARGIN}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
        WIDTH - 10.0
    );
    let points: Vec<String> = days
        .iter()
        .enumerate()
        .map(|(i, (_, share))| format!("{:.1},{:.1}", x(i), share_y(low, *share)))
        .collect();
    let _ = writeln!(svg, "<polyline class=\"line\" points=\"{}\"/>", points.join(" "));
    for (i, (label, share)) in days.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"><title>{}: {share:.4}</title></circle>",
            x(i),
            share_y(low, *share),
            escaped(label)
        );
    }
    for (i, anchor) in [(0, "start"), (days.len().saturating_sub(1), "end")] {
        if let Some((label, _)) = days.get(i) {
            let label = escaped(label);
            let _ = writeln!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>",
                x(i),
                HEIGHT - 6.0
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Chances that were given against how often it was so: on the diagonal they are right. Each dot with how many
/// there were.
pub fn reliability(says: &str, dots: &[(f64, f64, u64)]) -> String {
    let mut svg = open(HEIGHT, says);
    share_axis(&mut svg, 0.0);
    let x = |share: f64| MARGIN + share.clamp(0.0, 1.0) * (WIDTH - MARGIN - 20.0);
    for at in ticks(0.0, 1.0) {
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(at),
            HEIGHT - 6.0,
            tick(at)
        );
    }
    let _ = writeln!(
        svg,
        "<line class=\"base\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        x(0.0),
        share_y(0.0, 0.0),
        x(1.0),
        share_y(0.0, 1.0)
    );
    let most = dots.iter().map(|(_, _, count)| *count).max().unwrap_or(1).max(1) as f64;
    for (said, was, count) in dots {
        let radius = 3.0 + 6.0 * (*count as f64 / most).sqrt();
        let _ = writeln!(
            svg,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"><title>said {said:.3}, was {was:.3}, {count} times</title></circle>",
            x(*said),
            share_y(0.0, *was)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_hold_a_mark_for_each_row_and_no_number_that_is_none() {
        let rows = [
            Mark { label: "<har>".to_owned(), value: 0.6, range: Some([0.5, 0.7]) },
            Mark { label: "drift".to_owned(), value: 1.002, range: None },
        ];
        let drawings = [
            marks("loss & naive", &rows, 1.0, Better::Below),
            marks("one", &rows[..0], 1.0, Better::Neither),
            days("days", &[("2024-01-01".to_owned(), 0.91), ("2024-01-02".to_owned(), 0.4)], 0.9),
            days("none", &[], 0.9),
            reliability("chances", &[(0.55, 0.5, 100), (0.65, 0.7, 3)]),
        ];
        for (svg, circles) in drawings.iter().zip([2, 0, 2, 0, 2]) {
            assert_eq!(svg.matches("<circle").count(), circles, "{svg}");
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert!(drawings[0].contains("&lt;har&gt;") && drawings[0].contains("loss &amp; naive"));
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        for (low, high) in [(0.83, 1.07), (-3.0, 250.0), (0.0, 1e-6)] {
            assert!((2..=8).contains(&ticks(low, high).len()), "{:?}", ticks(low, high));
        }
    }
}
