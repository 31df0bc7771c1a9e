//! Bollinger bands: the mean of closes, and so many standard deviations above and below.
//!
//! `upper`, `middle`, `lower` equal TA-Lib's `BBANDS` with a simple average and as many
//! deviations up as down (of the population; exact where TA-Lib's cancel, see `stddev`).
//! `percent_b` is the place of the close between the bands, 0 at the lower and 1 at the upper
//! one; 0.5 where the bands coincide, for then the close lies in the middle. `width` is the
//! distance of the bands over the middle. Source of both: J. Bollinger, "Bollinger on
//! Bollinger Bands" (2001). Amortised O(1) a bar.

use crate::analytics::indicator::{Entry, Needs, Parameter, any, keeping};
use crate::analytics::rolling::moments::Moments;

pub const ENTRY: Entry = Entry {
    name: "bollinger",
    summary: "Bollinger bands round the mean of closes, %B and bandwidth",
    parameters: &[Parameter::period("period", 20, 2), Parameter::real("deviations", 2.0, 0.0, 100.0)],
    outputs: &["upper", "middle", "lower", "percent_b", "width"],
    warm_up: |arguments| arguments.period(0),
    check: any,
    build: |arguments| {
        let deviations = arguments.real(1);
        keeping(Moments::<2>::new(arguments.period(0)), Moments::state, move |closes, bar| {
            closes.push(bar.close);
            if !closes.is_full() {
                return None;
            }
            let (above, variance) = closes.deviation_and_variance(bar.close);
            let middle = closes.mean();
            let reach = deviations * variance.sqrt();
            let percent_b = if reach > 0.0 { 0.5 + 0.5 * (above / reach) } else { 0.5 };
            Some([middle + reach, middle, middle - reach, percent_b, 2.0 * reach / middle])
        })
    },
    needs: Needs::Prices,
};

#[cfg(test)]
mod tests {
    use crate::analytics::indicators::stddev::naive::mean_deviation_above;
    use crate::analytics::indicators::trial::{check_within, closes, run};

    #[test]
    fn equals_the_recomputation() {
        for (period, deviations) in [(2, 1.0), (20, 2.0), (20, 0.0), (7, 2.5)] {
            check_within(&format!("bollinger({period},{deviations})"), 1e-13, |bars| {
                let (middle, deviation, above) = mean_deviation_above(bars, period)?;
                let reach = deviations * deviation;
                let (upper, lower) = (middle + reach, middle - reach);
                let percent_b = if reach > 0.0 { (above + reach) / (2.0 * reach) } else { 0.5 };
                Some(vec![upper, middle, lower, percent_b, 2.0 * reach / middle])
            });
        }
    }

    #[test]
    fn on_a_plain_the_bands_coincide() {
        let values = run("bollinger(3,2)", &closes(&[7.0, 0.3, 0.3, 0.3]));
        assert_eq!(values[3], Some(vec![0.3, 0.3, 0.3, 0.5, 0.0]));
    }
}
