//! Exact decimal numbers: what a venue's text says, no more and no less.
//!
//! [`Decimal`] is one number as it was written: at most 18 significant digits, at most
//! 15 of them after the point, packed into 64 bits. [`Amount`] is a sum of such numbers
//! (or of their products) in 256 bits, which no real market can fill. Nothing here ever
//! rounds, except [`Amount::average_price`], which says so. Binary floating point begins
//! where statistics begin: [`Decimal::to_f64`] and [`Amount::to_f64`].

use std::cmp::Ordering;
use std::fmt;

use ethnum::U256;

/// Digits after the point that a [`Decimal`] can hold.
pub const SCALE_MAX: u32 = 15;
/// Significant digits that a [`Decimal`] can hold.
pub const DIGITS_MAX: u32 = 18;

const SCALE_BITS: u32 = 4;
const MANTISSA_MAX: u64 = 999_999_999_999_999_999;

const POW10: [u64; 20] = {
    let mut table = [1u64; 20];
    let mut i = 1;
    while i < table.len() {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// Powers of ten that a binary float holds exactly.
const POW10_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Why a text is not an exact decimal. Carries no text: the caller knows it and names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("is empty")]
    Empty,
    #[error("is negative")]
    Negative,
    #[error("is zero")]
    Zero,
    #[error("has an exponent")]
    Exponent,
    #[error("is not a decimal number")]
    NotANumber,
    #[error("has more than {DIGITS_MAX} significant digits")]
    TooManyDigits,
    #[error("has more than {SCALE_MAX} digits after the point")]
    TooFine,
    #[error("is too large")]
    TooLarge,
}

/// An unsigned decimal number, exact, in canonical form (no trailing zeros after the
/// point), so that equal numbers are equal bits.
///
/// Layout: mantissa in the upper 60 bits, number of digits after the point in the lower 4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Decimal(u64);

impl Decimal {
    pub const ZERO: Self = Self(0);

    /// `mantissa * 10^-scale`, if it is within the limits.
    pub fn new(mantissa: u64, scale: u32) -> Result<Self, DecimalError> {
        let (mut mantissa, mut scale) = (mantissa, scale);
        if mantissa == 0 {
            return Ok(Self::ZERO);
        }
        while scale > 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            scale -= 1;
        }
        if scale > SCALE_MAX {
            return Err(DecimalError::TooFine);
        }
        if mantissa > MANTISSA_MAX {
            return Err(DecimalError::TooManyDigits);
        }
        Ok(Self((mantissa << SCALE_BITS) | u64::from(scale)))
    }

    /// Reads plain decimal text: digits with at most one point, no sign, no exponent.
    /// Zeros that change nothing (leading, or trailing after the point) are accepted.
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        // Venues send short numbers; nineteen digits always fit, so nothing can overflow here.
        if text.len() <= 19 {
            let text = without_trailing_zeros(text);
            let mut mantissa = 0u64;
            let mut point = usize::MAX;
            for (i, &byte) in text.iter().enumerate() {
                let digit = byte.wrapping_sub(b'0');
                if digit < 10 {
                    mantissa = mantissa * 10 + u64::from(digit);
                } else if byte == b'.' && point == usize::MAX {
                    point = i;
                } else {
                    return Self::parse_slowly(text);
                }
            }
            let digits = text.len() - usize::from(point != usize::MAX);
            if digits == 0 {
                return Self::parse_slowly(text);
            }
            let scale = if point == usize::MAX { 0 } else { text.len() - 1 - point };
            return Self::new(mantissa, scale as u32);
        }
        Self::parse_slowly(text)
    }

    /// As [`Decimal::parse`], and exponents are accepted, exactly (`5.33e-05`), as some
    /// published candle files write them.
    pub fn parse_scientific(text: &[u8]) -> Result<Self, DecimalError> {
        let Some(at) = text.iter().position(|&b| b == b'e' || b == b'E') else {
            return Self::parse(text);
        };
        let (number, exponent) = (&text[..at], &text[at + 1..]);
        let exponent: i32 = std::str::from_utf8(exponent)
            .ok()
            .and_then(|e| e.parse().ok())
            .filter(|e: &i32| (-400..=400).contains(e))
            .ok_or(DecimalError::NotANumber)?;
        let digits = Digits::read(number)?;
        digits.shifted(exponent).decimal()
    }

    #[cold]
    fn parse_slowly(text: &[u8]) -> Result<Self, DecimalError> {
        Digits::read(text)?.decimal()
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub fn mantissa(self) -> u64 {
        self.0 >> SCALE_BITS
    }

    /// Digits after the point.
    #[inline]
    pub fn scale(self) -> u32 {
        (self.0 & ((1 << SCALE_BITS) - 1)) as u32
    }

    /// The number in units of 10^-15: any two decimals compare and add in these.
    #[inline]
    pub fn units(self) -> u128 {
        u128::from(self.mantissa()) * u128::from(POW10[(SCALE_MAX - self.scale()) as usize])
    }

    /// The packed form, for records that are read without parsing.
    #[inline]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The inverse of [`Decimal::to_bits`]; refuses what it could not have made.
    #[inline]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let value = Self(bits);
        let canonical =
            value.mantissa() <= MANTISSA_MAX && (value.scale() == 0 || !value.mantissa().is_multiple_of(10));
        canonical.then_some(value)
    }

    /// The nearest binary float (ties to even).
    #[inline]
    pub fn to_f64(self) -> f64 {
        if self.mantissa() < 1 << 53 {
            // Both operands are exact, so the one division rounds once. Signed, for a processor
            // converts that in one step.
            self.mantissa().cast_signed() as f64 / POW10_F64[self.scale() as usize]
        } else {
            self.long_to_f64()
        }
    }

    #[cold]
    #[inline(never)]
    fn long_to_f64(self) -> f64 {
        self.to_string().parse().expect("a decimal prints as a number")
    }
}

impl Ord for Decimal {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale() == other.scale() { self.0.cmp(&other.0) } else { self.units().cmp(&other.units()) }
    }
}

impl PartialOrd for Decimal {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        write_scaled(&mut text, u128::from(self.mantissa()), self.scale());
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Decimal {
    /// Appends the decimal text: no exponent, no trailing zeros.
    pub fn write_to(self, out: &mut Vec<u8>) {
        write_scaled(out, u128::from(self.mantissa()), self.scale());
    }
}

/// The text without zeros that change nothing: venues pad to eight places, and dividing them out
/// again would cost more than reading the rest.
#[inline]
fn without_trailing_zeros(text: &[u8]) -> &[u8] {
    let mut end = text.len();
    while end > 0 && text[end - 1] == b'0' {
        end -= 1;
    }
    // The zeros of a whole number count.
    if end < text.len() && text[..end].contains(&b'.') { &text[..end] } else { text }
}

/// The digits of a number of any length, before the limits are applied.
struct Digits {
    mantissa: u128,
    /// Digits after the point; negative: zeros to append.
    scale: i32,
}

impl Digits {
    fn read(text: &[u8]) -> Result<Self, DecimalError> {
        match text {
            [] => return Err(DecimalError::Empty),
            [b'-', rest @ ..] if !rest.is_empty() => {
                Self::read(rest)?;
                return Err(DecimalError::Negative);
            }
            _ => {}
        }
        let (mut mantissa, mut scale, mut zeros) = (0u128, 0i32, 0i32);
        let (mut point, mut any, mut too_long) = (false, false, false);
        for &byte in text {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    scale = scale.saturating_add(i32::from(point));
                    // Zeros are held back until a digit follows, so that trailing ones never count.
                    if byte == b'0' {
                        zeros = zeros.saturating_add(i32::from(mantissa != 0));
                        continue;
                    }
                    let shift = std::mem::take(&mut zeros).unsigned_abs() + 1;
                    match 10u128
                        .checked_pow(shift)
                        .and_then(|p| mantissa.checked_mul(p))
                        .and_then(|m| m.checked_add(u128::from(byte - b'0')))
                    {
                        Some(grown) => mantissa = grown,
                        None => too_long = true,
                    }
                }
                b'.' if !point => point = true,
                b'e' | b'E' if any => return Err(DecimalError::Exponent),
                _ => return Err(DecimalError::NotANumber),
            }
        }
        if !any {
            return Err(DecimalError::NotANumber);
        }
        if too_long {
            return Err(DecimalError::TooManyDigits);
        }
        Ok(Self { mantissa, scale: scale - zeros })
    }

    fn shifted(self, exponent: i32) -> Self {
        Self { scale: self.scale - exponent, ..self }
    }

    /// The number in units of 10^-`scale`.
    fn at_scale(&self, scale: u32) -> Result<U256, DecimalError> {
        if self.mantissa == 0 {
            return Ok(U256::ZERO);
        }
        let up = scale as i32 - self.scale;
        if up < 0 {
            return Err(DecimalError::TooFine);
        }
        U256::new(10)
            .checked_pow(up.unsigned_abs())
            .and_then(|p| U256::new(self.mantissa).checked_mul(p))
            .ok_or(DecimalError::TooLarge)
    }

    fn decimal(self) -> Result<Decimal, DecimalError> {
        if self.mantissa == 0 {
            return Ok(Decimal::ZERO);
        }
        let (mut mantissa, mut scale) = (self.mantissa, self.scale);
        while scale > 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            scale -= 1;
        }
        while scale < 0 {
            mantissa = mantissa.checked_mul(10).ok_or(DecimalError::TooLarge)?;
            scale += 1;
            if mantissa > u128::from(MANTISSA_MAX) {
                return Err(DecimalError::TooManyDigits);
            }
        }
        let mantissa = u64::try_from(mantissa).map_err(|_| DecimalError::TooManyDigits)?;
        Decimal::new(mantissa, scale.unsigned_abs())
    }
}

/// Quote currency per unit of base, exact, above zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Price(Decimal);

/// Base currency, exact, above zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Quantity(Decimal);

impl Price {
    /// Refuses zero; otherwise as [`Decimal::parse`].
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        above_zero(Decimal::parse(text)?).map(Self)
    }

    pub fn new(value: Decimal) -> Result<Self, DecimalError> {
        above_zero(value).map(Self)
    }

    #[inline]
    pub fn decimal(self) -> Decimal {
        self.0
    }
}

impl Quantity {
    /// Refuses zero; otherwise as [`Decimal::parse`].
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        above_zero(Decimal::parse(text)?).map(Self)
    }

    pub fn new(value: Decimal) -> Result<Self, DecimalError> {
        above_zero(value).map(Self)
    }

    #[inline]
    pub fn decimal(self) -> Decimal {
        self.0
    }
}

fn above_zero(value: Decimal) -> Result<Decimal, DecimalError> {
    if value.is_zero() { Err(DecimalError::Zero) } else { Ok(value) }
}

/// An exact sum in units of 10^-`SCALE`, 256 bits wide.
///
/// The largest accepted quantity is below 10^18, so a [`Volume`] holds more than 10^44 of
/// them and a [`QuoteVolume`] more than 10^11 products of the largest price and the
/// largest quantity: an overflow would be a broken promise, and panics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount<const SCALE: u32>(U256);

/// A sum of quantities.
pub type Volume = Amount<15>;
/// A sum of price times quantity.
pub type QuoteVolume = Amount<30>;

impl<const SCALE: u32> Amount<SCALE> {
    pub const ZERO: Self = Self(U256::ZERO);

    /// Units of 10^-`SCALE`.
    #[inline]
    pub const fn from_units(units: U256) -> Self {
        Self(units)
    }

    #[inline]
    pub fn units(self) -> U256 {
        self.0
    }

    pub fn is_zero(self) -> bool {
        self.0 == U256::ZERO
    }

    /// Reads decimal text, exponents accepted, exactly; at most `SCALE` digits after the point
    /// and below 10^36.
    pub fn parse(text: &[u8]) -> Result<Self, DecimalError> {
        let (number, exponent) = match text.iter().position(|&b| b == b'e' || b == b'E') {
            None => (text, 0),
            Some(at) => {
                let exponent: i32 = std::str::from_utf8(&text[at + 1..])
                    .ok()
                    .and_then(|e| e.parse().ok())
                    .filter(|e: &i32| (-400..=400).contains(e))
                    .ok_or(DecimalError::NotANumber)?;
                (&text[..at], exponent)
            }
        };
        let units = Digits::read(number)?.shifted(exponent).at_scale(SCALE)?;
        if units >= U256::new(10).pow(SCALE + 36) {
            return Err(DecimalError::TooLarge);
        }
        Ok(Self(units))
    }

    #[inline]
    pub fn add(&mut self, other: Self) {
        let (sum, overflow) = self.0.overflowing_add(other.0);
        assert!(!overflow, "an exact sum never overflows");
        self.0 = sum;
    }

    /// `self - other` where that is not negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// `self - other` as a statistic, signed: the subtraction is exact, the conversion
    /// is [`Amount::to_f64`]'s.
    pub fn minus_f64(self, other: Self) -> f64 {
        if self.0 >= other.0 { Self(self.0 - other.0).to_f64() } else { -Self(other.0 - self.0).to_f64() }
    }

    /// A binary float within two units in the last place, the same on every machine.
    #[inline]
    pub fn to_f64(self) -> f64 {
        let (high, low) = self.0.into_words();
        if high == 0 {
            return Self::scaled(half_to_f64(low));
        }
        Self::scaled(half_to_f64(high) * (WORD * WORD) + half_to_f64(low))
    }

    #[inline]
    fn scaled(units: f64) -> f64 {
        if SCALE <= 22 { units / POW10_F64[SCALE as usize] } else { units / 1e30 }
    }

    /// The nearest binary float (ties to even), for readers that compare with the exact text.
    pub fn to_f64_nearest(self) -> f64 {
        self.to_string().parse().expect("an amount prints as a number")
    }

    /// Appends the decimal text: no exponent, no trailing zeros.
    pub fn write_to(self, out: &mut Vec<u8>) {
        // Products of real prices and quantities have few digits after the point: what is left
        // after fifteen zeros are taken off fits a shorter form.
        let (units, scale) = if SCALE == 30 {
            match div_rem_word(self.0, POW10[15]) {
                (units, 0) => (units, 15),
                _ => (self.0, SCALE),
            }
        } else {
            (self.0, SCALE)
        };
        match units.into_words() {
            (0, low) => write_scaled(out, low, scale),
            _ => write_wide(out, units, scale),
        }
    }
}

/// 2^64, exact.
const WORD: f64 = 18_446_744_073_709_551_616.0;

#[inline]
fn half_to_f64(half: u128) -> f64 {
    let (upper, lower) = ((half >> 64) as u64, half as u64);
    if upper == 0 { lower as f64 } else { upper as f64 * WORD + lower as f64 }
}

impl<const SCALE: u32> fmt::Display for Amount<SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(48);
        self.write_to(&mut text);
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl<const SCALE: u32> fmt::Debug for Amount<SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Volume {
    #[inline]
    pub fn of(quantity: Quantity) -> Self {
        Self(U256::new(quantity.0.units()))
    }

    /// `steps * 10^-digits`; `digits` at most [`SCALE_MAX`]. Never panics, so that it costs nothing where
    /// nobody looks at the result.
    #[inline]
    pub fn of_steps(steps: u64, digits: u32) -> Self {
        Self(U256::new(u128::from(steps) * u128::from(POW10[(SCALE_MAX.wrapping_sub(digits) & 15) as usize])))
    }
}

impl QuoteVolume {
    /// The exact product.
    #[inline]
    pub fn of(price: Price, quantity: Quantity) -> Self {
        let product = u128::from(price.0.mantissa()) * u128::from(quantity.0.mantissa());
        let up = 30 - price.0.scale() - quantity.0.scale();
        Self(widening_pow10(product, up))
    }

    /// `steps * 10^-digits`; `digits` at most twice [`SCALE_MAX`]. Never panics, as [`Volume::of_steps`].
    #[inline]
    pub fn of_steps(steps: u64, digits: u32) -> Self {
        Self(widening_pow10(u128::from(steps), (2 * SCALE_MAX).wrapping_sub(digits) & 31))
    }

    /// Average price of a volume, rounded half-even to 12 places. `None` where nothing traded.
    pub fn average_price(self, volume: Volume) -> Option<AveragePrice> {
        if volume.is_zero() {
            return None;
        }
        // 10^-30 / 10^-15 leaves 10^-15; three more zeros below leave 10^-12.
        let (numerator, divisor) = (self.0, volume.0 * U256::new(1_000));
        let (quotient, remainder) = div_rem(numerator, divisor);
        let twice = remainder + remainder;
        let odd = quotient & U256::ONE == U256::ONE;
        let up = twice > divisor || (twice == divisor && odd);
        Some(Amount(quotient + U256::from(up)))
    }
}

/// A volume-weighted average price, rounded half-even to 12 places.
pub type AveragePrice = Amount<12>;

#[inline]
fn div_rem(numerator: U256, divisor: U256) -> (U256, U256) {
    let ((n_hi, n_lo), (d_hi, d_lo)) = (numerator.into_words(), divisor.into_words());
    if n_hi == 0 && d_hi == 0 {
        return (U256::new(n_lo / d_lo), U256::new(n_lo % d_lo));
    }
    (numerator / divisor, numerator % divisor)
}

/// `value * 10^up`, `up` at most 30; the product of any two decimals fits.
#[inline]
fn widening_pow10(value: u128, up: u32) -> U256 {
    let (first, second) = (POW10[up.min(19) as usize], POW10[up.saturating_sub(19) as usize]);
    // Real products are short: one multiplication that cannot overflow, then one that widens.
    let (value, factor) = match u64::try_from(value) {
        Ok(short) => (u128::from(short) * u128::from(first), u128::from(second)),
        Err(_) if second == 1 => (value, u128::from(first)),
        Err(_) => return U256::new(value) * U256::new(10).pow(up),
    };
    let (low, high) = (value & u128::from(u64::MAX), value >> 64);
    let (low, high) = (low * factor, high * factor);
    let (sum, carry) = low.overflowing_add(high << 64);
    U256::from_words((high >> 64) + u128::from(carry), sum)
}

/// Long division by a word.
#[inline]
fn div_rem_word(value: U256, divisor: u64) -> (U256, u64) {
    let (high, low) = value.into_words();
    let divisor = u128::from(divisor);
    let mut rest = 0;
    let mut digit = |word: u64| {
        let part = (rest << 64) | u128::from(word);
        rest = part % divisor;
        part / divisor
    };
    let high = if high == 0 { 0 } else { (digit((high >> 64) as u64) << 64) | digit(high as u64) };
    let low = (digit((low >> 64) as u64) << 64) | digit(low as u64);
    (U256::from_words(high, low), rest as u64)
}

/// Appends `mantissa * 10^-scale`.
fn write_scaled(out: &mut Vec<u8>, mantissa: u128, scale: u32) {
    if scale == 0 {
        return write_integer(out, mantissa);
    }
    // The fraction in at most two parts, each within a word.
    let (upper, lower) = (scale.min(15), scale.saturating_sub(15));
    let (mantissa, low) = match lower {
        0 => (mantissa, 0),
        _ => (
            mantissa / u128::from(POW10[lower as usize]),
            (mantissa % u128::from(POW10[lower as usize])) as u64,
        ),
    };
    let unit = POW10[upper as usize];
    let (whole, high) = match u64::try_from(mantissa) {
        Ok(short) => (u128::from(short / unit), short % unit),
        Err(_) => (mantissa / u128::from(unit), (mantissa % u128::from(unit)) as u64),
    };
    write_integer(out, whole);
    write_fraction(out, (high, upper), (low, lower));
}

#[cold]
fn write_wide(out: &mut Vec<u8>, mantissa: U256, scale: u32) {
    let unit = U256::new(10).pow(scale);
    let (whole, fraction) = (mantissa / unit, (mantissa % unit).as_u128());
    out.extend_from_slice(whole.to_string().as_bytes());
    let (upper, lower) = (scale.min(15), scale.saturating_sub(15));
    let unit = u128::from(POW10[lower as usize]);
    write_fraction(out, ((fraction / unit) as u64, upper), ((fraction % unit) as u64, lower));
}

fn write_integer(out: &mut Vec<u8>, value: u128) {
    let mut digits = [0u8; 39];
    let mut at = digits.len();
    let mut rest = value;
    while rest > u128::from(u64::MAX) {
        at -= 18;
        put_digits(&mut digits[at..at + 18], (rest % u128::from(POW10[18])) as u64);
        rest /= u128::from(POW10[18]);
    }
    let mut rest = rest as u64;
    while rest >= 100 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(pair(rest % 100));
        rest /= 100;
    }
    if rest >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(pair(rest));
    } else {
        at -= 1;
        digits[at] = b'0' + rest as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `.` and the digits of two `(value, width)` parts, without trailing zeros; nothing if both are zero.
fn write_fraction(out: &mut Vec<u8>, upper: (u64, u32), lower: (u64, u32)) {
    if upper.0 == 0 && lower.0 == 0 {
        return;
    }
    out.push(b'.');
    let parts = [upper, lower];
    let last = usize::from(lower.0 != 0);
    for (i, (mut value, mut width)) in parts.into_iter().take(last + 1).enumerate() {
        if i == last {
            for zeros in [8, 4, 2, 1] {
                if width > zeros && value % POW10[zeros as usize] == 0 {
                    value /= POW10[zeros as usize];
                    width -= zeros;
                }
            }
        }
        let start = out.len();
        out.resize(start + width as usize, b'0');
        put_digits(&mut out[start..], value);
    }
}

/// Fills the slot with the last digits of `value`.
fn put_digits(slot: &mut [u8], value: u64) {
    let mut rest = value;
    let mut pairs = slot.rchunks_exact_mut(2);
    for two in &mut pairs {
        two.copy_from_slice(pair(rest % 100));
        rest /= 100;
    }
    if let [first] = pairs.into_remainder() {
        *first = b'0' + (rest % 10) as u8;
    }
}

/// Two digits of a number below 100.
fn pair(value: u64) -> &'static [u8] {
    const PAIRS: [[u8; 2]; 100] = {
        let mut table = [[0; 2]; 100];
        let mut i = 0;
        while i < 100 {
            table[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
            i += 1;
        }
        table
    };
    &PAIRS[value as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_parse(text: &str, expected: Result<&str, DecimalError>) {
        let parsed = Decimal::parse(text.as_bytes());
        assert_eq!(parsed.map(|d| d.to_string()), expected.map(String::from), "{text:?}");
    }

    #[test]
    fn text_is_kept_exactly_and_canonically() {
        check_parse("61685.99000000", Ok("61685.99"));
        check_parse("0.00017000", Ok("0.00017"));
        check_parse("1000", Ok("1000"));
        check_parse("0007.50", Ok("7.5"));
        check_parse("0.000000000000001", Ok("0.000000000000001"));
        check_parse("999999999999999999", Ok("999999999999999999"));
        check_parse("0.1000000000000000000000000000", Ok("0.1"));
        check_parse("5.", Ok("5"));
        check_parse(".5", Ok("0.5"));
        check_parse("0.0", Ok("0"));
        check_parse("1500000000.00", Ok("1500000000"));
    }

    #[test]
    fn what_is_no_exact_decimal_is_refused_by_reason() {
        use DecimalError::*;
        check_parse("", Err(Empty));
        check_parse(".", Err(NotANumber));
        check_parse("-1", Err(Negative));
        check_parse("-", Err(NotANumber));
        check_parse("+1", Err(NotANumber));
        check_parse("NaN", Err(NotANumber));
        check_parse("inf", Err(NotANumber));
        check_parse("1e5", Err(Exponent));
        check_parse("1.5E-7", Err(Exponent));
        check_parse("1,5", Err(NotANumber));
        check_parse("1.2.3", Err(NotANumber));
        check_parse(" 1", Err(NotANumber));
        check_parse("0.0000000000000001", Err(TooFine));
        check_parse("1000000000000000000", Err(TooManyDigits));
        check_parse("123456789.1234567891", Err(TooManyDigits));
        check_parse(&"9".repeat(400), Err(TooManyDigits));
        check_parse(&format!("0.{}1", "0".repeat(400)), Err(TooFine));
        assert_eq!(Price::parse(b"0.000"), Err(Zero));
        assert_eq!(Quantity::parse(b"0"), Err(Zero));
    }

    #[test]
    fn exponents_are_read_exactly_where_they_are_allowed() {
        let check = |text: &str, expected: Result<&str, DecimalError>| {
            let parsed = Decimal::parse_scientific(text.as_bytes());
            assert_eq!(parsed.map(|d| d.to_string()), expected.map(String::from), "{text}");
        };
        check("5.330000000000001e-05", Err(DecimalError::TooFine));
        check("5.33e-05", Ok("0.0000533"));
        check("1.5E+3", Ok("1500"));
        check("2e-15", Ok("0.000000000000002"));
        check("1e30", Err(DecimalError::TooManyDigits));
        check("1e", Err(DecimalError::NotANumber));
        check("1e99999999999", Err(DecimalError::NotANumber));
        assert_eq!(Volume::parse(b"1e20").map(|v| v.to_string()), Ok("1".to_owned() + &"0".repeat(20)));
        assert_eq!(Volume::parse(b"9e40"), Err(DecimalError::TooLarge));
    }

    fn check_average(price: &str, quantity: &str, times: u32, expected: &str) {
        let (p, q) = (Price::parse(price.as_bytes()).unwrap(), Quantity::parse(quantity.as_bytes()).unwrap());
        let (mut volume, mut quote) = (Volume::ZERO, QuoteVolume::ZERO);
        for _ in 0..times {
            volume.add(Volume::of(q));
            quote.add(QuoteVolume::of(p, q));
        }
        assert_eq!(quote.average_price(volume).unwrap().to_string(), expected);
    }

    #[test]
    fn extremes_of_real_markets_sum_exactly() {
        // PEPE: eight places after the point and more, quantities of 10^12.
        check_average("0.00001234", "999999999999.99", 1_000, "0.00001234");
        check_average("0.000000001234", "123456789012345", 1_000, "0.000000001234");
        // BTC/IDR: a price of ten digits.
        check_average("1723456789", "0.00000001", 1_000, "1723456789");
        // Beyond any market: the limits themselves.
        check_average("999999999999999999", "999999999999999999", 1_000, "999999999999999999");
        check_average("0.000000000000001", "999.999999999999999", 7, "0");
    }

    #[test]
    fn average_price_rounds_half_to_even() {
        let quote = |text: &str| QuoteVolume::parse(text.as_bytes()).unwrap();
        let volume = |text: &str| Volume::parse(text.as_bytes()).unwrap();
        let check = |q: &str, v: &str, expected: &str| {
            assert_eq!(quote(q).average_price(volume(v)).unwrap().to_string(), expected);
        };
        check("0.0000000000005", "1", "0");
        check("0.0000000000015", "1", "0.000000000002");
        check("0.0000000000025", "1", "0.000000000002");
        check("0.00000000000250001", "1", "0.000000000003");
        check("1", "3", "0.333333333333");
        check("2", "3", "0.666666666667");
        assert_eq!(quote("1").average_price(Volume::ZERO), None);
    }

    fn decimal_text() -> impl Strategy<Value = String> {
        (0u64..=MANTISSA_MAX, 0u32..=15).prop_map(|(mantissa, scale)| {
            let digits = format!("{mantissa:0>width$}", width = scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
        })
    }

    /// Long addition on text: the naive peer of [`Amount::add`].
    fn add_text(a: &str, b: &str) -> String {
        let pad = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            format!("{whole:0>60}{fraction:0<30}")
        };
        let (a, b) = (pad(a), pad(b));
        let (mut carry, mut digits) = (0, Vec::new());
        for (x, y) in a.bytes().rev().zip(b.bytes().rev()) {
            let sum = (x - b'0') + (y - b'0') + carry;
            digits.push(b'0' + sum % 10);
            carry = sum / 10;
        }
        digits.reverse();
        let text = String::from_utf8(digits).unwrap();
        let (whole, fraction) = text.split_at(60);
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }

    proptest! {
        #[test]
        fn every_decimal_survives_text_and_bits(text in decimal_text()) {
            let value = Decimal::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(Decimal::parse(value.to_string().as_bytes()), Ok(value));
            prop_assert_eq!(Decimal::from_bits(value.to_bits()), Some(value));
            prop_assert_eq!(value.to_f64(), text.parse::<f64>().unwrap());
            let mut wide = Vec::new();
            write_wide(&mut wide, U256::new(value.units()), 15);
            prop_assert_eq!(String::from_utf8(wide).unwrap(), value.to_string());
        }

        #[test]
        fn sums_equal_long_addition(texts in prop::collection::vec(decimal_text(), 1..40)) {
            let (mut sum, mut expected) = (Volume::ZERO, "0".to_owned());
            for text in &texts {
                let Ok(quantity) = Quantity::parse(text.as_bytes()) else { continue };
                sum.add(Volume::of(quantity));
                expected = add_text(&expected, text);
            }
            prop_assert_eq!(sum.to_string(), expected);
            prop_assert_eq!(Volume::parse(sum.to_string().as_bytes()), Ok(sum));
        }

        #[test]
        fn products_equal_256_bit_multiplication(a in decimal_text(), b in decimal_text()) {
            let (Ok(price), Ok(quantity)) = (Price::parse(a.as_bytes()), Quantity::parse(b.as_bytes())) else {
                return Ok(());
            };
            let expected = U256::new(price.decimal().units()) * U256::new(quantity.decimal().units());
            prop_assert_eq!(QuoteVolume::of(price, quantity).units(), expected);
            let text = QuoteVolume::of(price, quantity).to_string();
            prop_assert_eq!(QuoteVolume::parse(text.as_bytes()).unwrap().units(), expected);
        }

        #[test]
        fn order_is_that_of_the_numbers(a in decimal_text(), b in decimal_text()) {
            let (x, y) = (Decimal::parse(a.as_bytes()).unwrap(), Decimal::parse(b.as_bytes()).unwrap());
            prop_assert_eq!(x.cmp(&y), x.units().cmp(&y.units()));
        }

        #[test]
        fn amounts_become_floats_within_two_ulps(a in decimal_text(), b in decimal_text()) {
            let (Ok(price), Ok(quantity)) = (Price::parse(a.as_bytes()), Quantity::parse(b.as_bytes())) else {
                return Ok(());
            };
            let exact = QuoteVolume::of(price, quantity);
            let (near, got) = (exact.to_f64_nearest(), exact.to_f64());
            prop_assert!((near.to_bits() as i64 - got.to_bits() as i64).abs() <= 2, "{near} {got}");
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Decimal::parse(&bytes);
            let _ = Decimal::parse_scientific(&bytes);
            let _ = Volume::parse(&bytes);
        }
    }
}
