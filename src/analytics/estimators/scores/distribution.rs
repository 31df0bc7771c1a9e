//! The distributions behind the tests: Student's t, the binomial, the beta.
//!
//! All by the regularised incomplete beta function, whose continued fraction is summed to the last bits
//! (NIST Digital Library of Mathematical Functions, 8.17.22, by the method of Lentz and of Thompson and
//! Barnett).

/// Terms of the continued fraction: enough for shapes up to about a million near the middle.
const TERMS_MAX: u32 = 10_000;
const TINY: f64 = 1e-300;

/// The share of the beta distribution with shapes `a` and `b`, above 0, that lies below `x`, 0 to 1.
pub fn beta_below(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = libm::exp(
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x),
    );
    // The fraction converges fast on one side of the middle; the other is what is left.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let not_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut product = d;
    for m in 1..=TERMS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut factor = 1.0;
        for term in [even, odd] {
            d = 1.0 / not_zero(1.0 + term * d);
            c = not_zero(1.0 + term / c);
            factor = c * d;
            product *= factor;
        }
        if (factor - 1.0).abs() < 1e-16 {
            break;
        }
    }
    product
}

/// The `x` below which that share of the beta distribution lies.
pub fn beta_quantile(share: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    // Halved until nothing lies between: as exact as the function itself.
    while {
        let middle = 0.5 * (low + high);
        if beta_below(middle, a, b) < share {
            low = middle;
        } else {
            high = middle;
        }
        high - low > 1e-16 * high && 0.5 * (low + high) > low && 0.5 * (low + high) < high
    } {}
    0.5 * (low + high)
}

/// The chance that Student's t with `degrees` of freedom, above 0, lies as far from 0 as `t`, either way.
pub fn student_two_sided(t: f64, degrees: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    beta_below(degrees / (degrees + t * t), 0.5 * degrees, 0.5)
}

/// The chance of at least `hits` of `count` tosses of a coin, 0 <= hits <= count.
pub fn coin_at_least(hits: u64, count: u64) -> f64 {
    if hits == 0 {
        return 1.0;
    }
    beta_below(0.5, hits as f64, (count - hits) as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is: f64, is_to_be: f64) {
        assert!((is - is_to_be).abs() <= 1e-12 * is_to_be.abs(), "{is} instead of {is_to_be}");
    }

    #[test]
    fn shares_that_are_known_in_closed_form() {
        for x in [0.001, 0.2, 0.5, 0.77, 0.999] {
            check(beta_below(x, 1.0, 1.0), x);
            check(beta_below(x, 2.0, 1.0), x * x);
            check(beta_below(x, 2.0, 2.0), x * x * (3.0 - 2.0 * x));
            check(beta_below(x, 0.5, 0.5), 2.0 / std::f64::consts::PI * libm::asin(x.sqrt()));
        }
        // One degree of freedom is Cauchy's distribution, two have a closed form.
        for t in [0.1, 1.0, -3.0, 40.0] {
            let t: f64 = t;
            check(student_two_sided(t, 1.0), 1.0 - 2.0 / std::f64::consts::PI * libm::atan(t.abs()));
            check(student_two_sided(t, 2.0), 1.0 - t.abs() / (2.0 + t * t).sqrt());
        }
        check(coin_at_least(3, 4), 5.0 / 16.0);
        check(coin_at_least(0, 4), 1.0);
        check(coin_at_least(4, 4), 1.0 / 16.0);
    }

    #[test]
    fn the_quantile_is_the_inverse() {
        for (a, b) in [(1.0, 1.0), (312.0, 88.0), (0.5, 3.0), (30_000.0, 29_000.0)] {
            for share in [0.025, 0.5, 0.975] {
                let x = beta_quantile(share, a, b);
                assert!((beta_below(x, a, b) - share).abs() < 1e-9, "{a} {b} {share}: {x}");
            }
        }
    }
}
