//! Pieces of JSON, written without detours.

use crate::domain::decimal::Decimal;

/// Appends a whole number.
pub fn write_u64(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a decimal with at least so many digits after the point.
pub fn write_padded(number: Decimal, places: usize, out: &mut Vec<u8>) {
    let start = out.len();
    number.write_to(out);
    pad(start, places, out);
}

/// Gives the number that begins at `start` at least so many digits after the point.
pub fn pad(start: usize, places: usize, out: &mut Vec<u8>) {
    let length = out.len() - start;
    let shown = match out[start..].iter().rposition(|&byte| byte == b'.') {
        Some(point) => length - point - 1,
        None => {
            out.push(b'.');
            0
        }
    };
    for _ in shown..places {
        out.push(b'0');
    }
}

/// Appends a JSON string.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    let quoted = serde_json::to_string(text).expect("text is JSON");
    out.extend_from_slice(quoted.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_venues_do() {
        let whole = |number| {
            let mut out = Vec::new();
            write_u64(number, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!([whole(0), whole(7), whole(u64::MAX)], ["0", "7", "18446744073709551615"]);
        for (text, expected) in [
            ("43000.1", "43000.10000000"),
            ("7", "7.00000000"),
            ("0.00000001", "0.00000001"),
            ("0.000000000012", "0.000000000012"),
        ] {
            let mut out = b"1.5,".to_vec();
            write_padded(Decimal::parse(text.as_bytes()).unwrap(), 8, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("1.5,{expected}"));
        }
    }
}
