//! Exponential and natural logarithm, several times as fast as libm's and as much the same on every machine.
//!
//! Models take some hundred of either with each candle. A table and a short polynomial, with no branch on the way and
//! no division: right to within two units in the last place. Numbers out of the ordinary (beyond what a float
//! holds, zeros, what is below or above all numbers) are left to libm. Plain products and sums alone, in one order, so
//! that results are the same bits everywhere; the tables are worked out as the program is compiled.
//! Source: P. Tang, Table-driven implementation of the exponential function in IEEE floating-point arithmetic
//! (1989), and of the logarithm function (1990).

use std::f64::consts::LN_2;

/// 2^(i / 64).
const POWERS: [f64; 64] = {
    let mut table = [1.0; 64];
    let mut i = 0;
    while i < 64 {
        table[i] = series_exp(LN_2 * i as f64 / 64.0);
        i += 1;
    }
    table
};

/// Of an argument from 0 to 1, from the smallest term on.
const fn series_exp(x: f64) -> f64 {
    let (mut sum, mut n) = (1.0, 24);
    while n > 0 {
        sum = 1.0 + x / n as f64 * sum;
        n -= 1;
    }
    sum
}

/// Beyond it the result may not be a normal number.
const EXP_MAX: f64 = 700.0;
/// Added, it leaves the nearest whole number in the last bits.
const TO_WHOLE: f64 = 6_755_399_441_055_744.0;
/// ln 2 by 64, in two parts: the first has so many zeros at its end that its products with whole numbers are exact.
const STEP_HIGH: f64 = 0.010_830_424_693_267_56;
const STEP_LOW: f64 = 2.981_585_826_985_293_3e-12;

/// e^x.
#[inline(never)]
pub fn exp(x: f64) -> f64 {
    if x.is_nan() || x.abs() > EXP_MAX {
        return libm::exp(x);
    }
    let shifted = x * (64.0 / LN_2) + TO_WHOLE;
    let bits = shifted.to_bits();
    let steps = shifted - TO_WHOLE;
    let r = x - steps * STEP_HIGH - steps * STEP_LOW;
    let square = r * r;
    let polynomial = r + square * (0.5 + r * (1.0 / 6.0) + square * (1.0 / 24.0 + r * (1.0 / 120.0)));
    let power = power_of(bits);
    power + power * polynomial
}

/// e^x of both, in less time than one after the other takes.
#[inline(never)]
pub fn exp_both(a: f64, b: f64) -> (f64, f64) {
    if a.is_nan() || b.is_nan() || a.abs() > EXP_MAX || b.abs() > EXP_MAX {
        return (exp(a), exp(b));
    }
    // Each step for both: they share its instructions.
    let x = [a, b];
    let shifted = both(|i| x[i] * (64.0 / LN_2) + TO_WHOLE);
    let steps = both(|i| shifted[i] - TO_WHOLE);
    let r = both(|i| x[i] - steps[i] * STEP_HIGH - steps[i] * STEP_LOW);
    let square = both(|i| r[i] * r[i]);
    let polynomial = both(|i| {
        r[i] + square[i] * (0.5 + r[i] * (1.0 / 6.0) + square[i] * (1.0 / 24.0 + r[i] * (1.0 / 120.0)))
    });
    let power = both(|i| power_of(shifted[i].to_bits()));
    let [a, b] = both(|i| power[i] + power[i] * polynomial[i]);
    (a, b)
}

/// e^x in place of each, two at a time.
#[inline]
pub fn exp_each(values: &mut [f64]) {
    each(values, exp, |[a, b]| exp_both(*a, *b));
}

/// ln in place of each, likewise.
#[inline]
pub fn ln_each(values: &mut [f64]) {
    each(values, ln, |[a, b]| ln_both(*a, *b));
}

#[inline]
fn each(values: &mut [f64], one: impl Fn(f64) -> f64, two: impl Fn(&[f64; 2]) -> (f64, f64)) {
    let (pairs, rest) = values.as_chunks_mut::<2>();
    pairs.iter_mut().for_each(|pair| *pair = two(pair).into());
    rest.iter_mut().for_each(|value| *value = one(*value));
}

#[inline]
fn both<T>(step: impl Fn(usize) -> T) -> [T; 2] {
    [step(0), step(1)]
}

/// 2^(steps / 64), of the steps in the last bits.
#[inline]
fn power_of(bits: u64) -> f64 {
    f64::from_bits(POWERS[(bits & 63) as usize].to_bits().wrapping_add((bits & !63) << 46))
}

/// Where the logarithm's intervals begin: at 0.6875, so that none crosses 1.
const FIRST: u64 = 0x3FE6_0000_0000_0000;
const NORMAL_MIN: u64 = 0x0010_0000_0000_0000;
const INFINITY: u64 = 0x7FF0_0000_0000_0000;
/// ln 2 in two parts, as above.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// A number in an interval, its inverse and its logarithm.
#[derive(Clone, Copy)]
struct Centre {
    at: f64,
    inverse: f64,
    ln: f64,
}

/// The middles of 128 intervals that together reach from 0.6875 to 1.375; 1 in place of the middle of those
/// beside it: what lies near is as exact as it is near.
const CENTRES: [Centre; 128] = {
    let mut table = [Centre { at: 1.0, inverse: 1.0, ln: 0.0 }; 128];
    let mut i = 0;
    while i < 128 {
        let begins = FIRST + ((i as u64) << 45);
        if begins != 1.0_f64.to_bits() && begins + (1 << 45) != 1.0_f64.to_bits() {
            let at = f64::from_bits(begins + (1 << 44));
            table[i] = Centre { at, inverse: 1.0 / at, ln: series_ln(at) };
        }
        i += 1;
    }
    table
};

/// Of a number about 1, by the series of the inverse hyperbolic tangent, from the smallest term on.
const fn series_ln(x: f64) -> f64 {
    let t = (x - 1.0) / (x + 1.0);
    let (mut sum, mut n) = (0.0, 31);
    while n > 1 {
        sum = t * t * (1.0 / n as f64 + sum);
        n -= 2;
    }
    2.0 * (t + t * sum)
}

/// The natural logarithm of both, in less time than one after the other takes.
#[inline(never)]
pub fn ln_both(a: f64, b: f64) -> (f64, f64) {
    let x = [a, b];
    let bits = x.map(f64::to_bits);
    if bits.iter().any(|bits| bits.wrapping_sub(NORMAL_MIN) >= INFINITY - NORMAL_MIN) {
        return (ln(a), ln(b));
    }
    let offset = both(|i| bits[i].wrapping_sub(FIRST));
    let exponent = both(|i| ((offset[i] >> 32) as i32 >> 20) as f64);
    let centre = both(|i| &CENTRES[(offset[i] >> 45 & 127) as usize]);
    let mantissa = both(|i| f64::from_bits(bits[i].wrapping_sub(offset[i] & (0xFFF << 52))));
    let r = both(|i| (mantissa[i] - centre[i].at) * centre[i].inverse);
    let square = both(|i| r[i] * r[i]);
    let fourth = both(|i| square[i] * square[i]);
    let near = both(|i| -0.5 + r[i] * (1.0 / 3.0) + square[i] * (-0.25 + r[i] * 0.2));
    let far = both(|i| -1.0 / 6.0 + r[i] * (1.0 / 7.0) - square[i] * 0.125);
    let [a, b] = both(|i| {
        (exponent[i] * LN_2_HIGH + centre[i].ln)
            + (r[i] + (exponent[i] * LN_2_LOW + square[i] * (near[i] + fourth[i] * far[i])))
    });
    (a, b)
}

/// The natural logarithm.
#[inline(never)]
pub fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    if bits.wrapping_sub(NORMAL_MIN) >= INFINITY - NORMAL_MIN {
        return libm::log(x);
    }
    let offset = bits.wrapping_sub(FIRST);
    let exponent = (offset.cast_signed() >> 52) as f64;
    let centre = &CENTRES[(offset >> 45 & 127) as usize];
    let mantissa = f64::from_bits(bits.wrapping_sub(offset & (0xFFF << 52)));
    let r = (mantissa - centre.at) * centre.inverse;
    let square = r * r;
    let fourth = square * square;
    let near = -0.5 + r * (1.0 / 3.0) + square * (-0.25 + r * 0.2);
    let far = -1.0 / 6.0 + r * (1.0 / 7.0) - square * 0.125;
    (exponent * LN_2_HIGH + centre.ln) + (r + (exponent * LN_2_LOW + square * (near + fourth * far)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::indicators::trial::Random;

    /// Units in the last place.
    fn apart(is: f64, expected: f64) -> u64 {
        is.to_bits().abs_diff(expected.to_bits())
    }

    #[test]
    fn both_are_libms_but_for_the_last_two_places() {
        let mut random = Random(17);
        for scale in [1e-9, 1e-3, 0.5, 1.0, 30.0, 699.0] {
            for _ in 0..20_000 {
                let x = scale * (2.0 * random.unit() - 1.0);
                assert!(apart(exp(x), libm::exp(x)) <= 2, "{x:?}");
                assert_eq!(exp_both(x, 0.5), (exp(x), exp(0.5)), "{x:?}");
                assert_eq!(ln_both(x.abs(), 0.5), (ln(x.abs()), ln(0.5)), "{x:?}");
                let y = libm::exp(x);
                assert!(apart(ln(y), libm::log(y)) <= 2, "{y:?}: {:?}, {:?}", ln(y), libm::log(y));
            }
        }
        for i in 0..256 {
            let edge = f64::from_bits(FIRST + (i << 44));
            for x in [edge, f64::from_bits(edge.to_bits() - 1), 8.0 * edge, 1e-300 * edge] {
                assert!(apart(ln(x), libm::log(x)) <= 2, "{x:?}");
            }
        }
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_as_it_should_be() {
        assert_eq!((exp(0.0), ln(1.0)), (1.0, 0.0));
        assert_eq!((exp(-800.0), exp(800.0), exp(f64::NEG_INFINITY)), (0.0, f64::INFINITY, 0.0));
        assert_eq!((ln(0.0), ln(f64::INFINITY)), (f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!(exp_both(1.0, -800.0), (exp(1.0), 0.0));
        let mut values = [0.0, 2.0, 3.0];
        ln_each(&mut values);
        assert_eq!(values, [f64::NEG_INFINITY, ln(2.0), ln(3.0)]);
        exp_each(&mut values);
        assert_eq!(values, [0.0, exp(ln(2.0)), exp(ln(3.0))]);
        assert!(exp(f64::NAN).is_nan() && ln(f64::NAN).is_nan() && ln(-1.0).is_nan());
        assert_eq!(ln(f64::MIN_POSITIVE / 4.0), libm::log(f64::MIN_POSITIVE / 4.0));
    }
}
