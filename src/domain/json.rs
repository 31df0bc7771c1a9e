//! Numbers of JSON by their text, never through a binary float.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The text of a string or number as it was written; `None` for null and for what is neither.
pub fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes().first()? {
        b'"' => {
            // Most strings hold no escape and can be lent.
            if !text.contains('\\') {
                return text.get(1..text.len() - 1).map(Cow::Borrowed);
            }
            serde_json::from_str::<String>(text).ok().map(Cow::Owned)
        }
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

/// As [`scalar`] of a field that may be missing: empty where it is, or is null.
pub fn text<'a>(raw: Option<&'a RawValue>) -> Cow<'a, str> {
    raw.and_then(scalar).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_keep_their_text() {
        for (json, expected) in [
            ("1e-08", Some("1e-08")),
            ("105944.20", Some("105944.20")),
            ("\"0.1\"", Some("0.1")),
            (r#""a\u0062""#, Some("ab")),
            ("-5", Some("-5")),
            ("null", None),
            ("true", None),
            ("[1]", None),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(scalar(raw).as_deref(), expected, "{json}");
        }
        assert_eq!(text(None), "");
    }
}
