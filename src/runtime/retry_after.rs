//! What a `Retry-After` header says: RFC 9110, section 10.2.3.

use std::time::{Duration, SystemTime};

use crate::domain::time::UnixNanos;

/// How long to wait: a whole number of seconds, or until a date. Nothing for a date that has passed; `None` for what
/// is neither.
pub fn wait_of(text: &str, now: UnixNanos) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = Duration::from_nanos(u64::try_from(now.0).unwrap_or_default());
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        let now = UnixNanos::parse_iso(b"2026-10-21T07:27:00Z").unwrap();
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(wait_of(text, now), seconds.map(Duration::from_secs), "{text}");
        };
        check(" 7 ", Some(7));
        // The three forms that a date may have.
        check("Wed, 21 Oct 2026 07:28:00 GMT", Some(60));
        check("Wednesday, 21-Oct-26 07:28:00 GMT", Some(60));
        check("Wed Oct 21 07:28:00 2026", Some(60));
        check("Wed, 21 Oct 2026 07:26:00 GMT", Some(0));
        check("Wed, 31 Feb 2026 07:28:00 GMT", None);
        check("-1", None);
        check("soon", None);
    }
}
