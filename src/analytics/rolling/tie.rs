//! When two computed numbers count as equal.

/// Whether the difference of two numbers is no more than what rounding makes of equal ones;
/// `scale` is the sum of their magnitudes. The dead zone of TA-Lib (`TA_IS_ZERO_SCALED`).
#[inline]
pub fn is_tie(difference: f64, scale: f64) -> bool {
    const RELATIVE: f64 = 1e-14;
    difference.abs() <= RELATIVE * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_a_tie_and_a_tick_is_not() {
        assert!(is_tie(0.1 + 0.2 - 0.3, 0.6));
        assert!(is_tie(0.0, 0.0));
        assert!(!is_tie(0.01, 2e6));
        assert!(!is_tie(1e-15, 1e-3));
    }
}
