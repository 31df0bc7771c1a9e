//! The parameters of a request: each known by name, given once, and of a value that it can have.

use actix_web::HttpRequest;

use crate::api::problem::Problem;
use crate::domain::instrument::Instrument;
use crate::domain::interval::Interval;
use crate::domain::time::{TimeError, UnixNanos};
use crate::domain::told::{Roster, Watch};
use crate::storage::history::Span;

pub const LIMIT_DEFAULT: usize = 500;
pub const LIMIT_MAX: usize = 1_000;
/// Longer texts are no times.
const TIME_BYTES_MAX: usize = 64;

/// The decoded parameters.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// Refuses what is not `allowed`: a name with a slip of the pen would change what is answered.
    pub fn parse(text: &str, allowed: &[&'static str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, true)
                .ok_or_else(|| Problem::field("query", "is no text in percent encoding"))?;
            let Some(&name) = allowed.iter().find(|known| **known == name) else {
                let shown: String = name.chars().take(64).collect();
                let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
                return Err(Problem::field(&shown, format_args!("is no parameter here; allowed: {allowed}")));
            };
            let value = decode(value, true)
                .filter(|value| !value.contains('\0'))
                .ok_or_else(|| Problem::field(name, "is no text in percent encoding"))?;
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(Problem::field(name, "is given more than once"));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// As given; `None` where it is not.
    pub fn text(&self, name: &'static str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub fn time(&self, name: &'static str) -> Result<Option<UnixNanos>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match UnixNanos::parse_iso(text.as_bytes()) {
            Ok(at) => Ok(Some(at)),
            // Nothing that is kept lies between two nanoseconds.
            Err(TimeError::TooFine) if text.len() <= TIME_BYTES_MAX => Ok(Some(cut_to_nanos(text))),
            // Before or behind everything that can be kept.
            Err(TimeError::OutOfRange) => {
                let early = text < "1970";
                Ok(Some(UnixNanos(if early { i64::MIN } else { i64::MAX })))
            }
            Err(error) => {
                Err(Problem::field(name, format_args!("{error}; expected is RFC 3339, 2024-05-01T00:00:00Z")))
            }
        }
    }

    /// Which part of a listing: `from`, `to`, `after`, `limit`.
    pub fn span(&self) -> Result<Span<'_>, Problem> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        Ok(Span { from, to, after: self.text("after"), limit: self.limit()? })
    }

    /// 1 to [`LIMIT_MAX`]; where it is not given, [`LIMIT_DEFAULT`].
    pub fn limit(&self) -> Result<usize, Problem> {
        self.whole("limit", LIMIT_MAX).map(|limit| limit.unwrap_or(LIMIT_DEFAULT))
    }

    /// A whole number from 1 to `max`.
    pub fn whole(&self, name: &'static str, max: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_digits && (1..=max).contains(number));
        number
            .map(Some)
            .ok_or_else(|| Problem::field(name, format_args!("is no whole number from 1 to {max}")))
    }

    pub fn boolean(&self, name: &'static str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::field(name, "is neither true nor false")),
        }
    }

    /// One of the words; `None` where it is not given.
    pub fn word<T: Copy>(
        &self,
        name: &'static str,
        all: &[T],
        name_of: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match all.iter().find(|value| name_of(**value) == text) {
            Some(value) => Ok(Some(*value)),
            None => {
                let names: Vec<_> = all.iter().map(|value| name_of(*value)).collect();
                Err(Problem::field(name, format_args!("is unknown; allowed: {}", names.join(", "))))
            }
        }
    }

    /// An interval that is computed here; `1m`, or else the shortest, where it is not given.
    pub fn interval(&self, computed: &[Interval]) -> Result<Interval, Problem> {
        let names = || computed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let Some(text) = self.text("interval") else {
            let usual = "1m".parse().ok().filter(|usual| computed.contains(usual));
            return usual
                .or(computed.first().copied())
                .ok_or_else(|| Problem::field("interval", "none is computed here"));
        };
        let interval: Option<Interval> = text.parse().ok();
        interval.filter(|interval| computed.contains(interval)).ok_or_else(|| {
            Problem::field("interval", format_args!("is not computed here; allowed: {}", names()))
        })
    }

    /// An instrument that is watched; `None` where it is not given.
    pub fn instrument(&self, roster: &Roster) -> Result<Option<Watch>, Problem> {
        let Some(text) = self.text("instrument") else { return Ok(None) };
        let instrument: Instrument =
            text.parse().map_err(|error| Problem::field("instrument", error_text(&error)))?;
        let watch = roster.find(&instrument);
        watch
            .map(Some)
            .ok_or_else(|| Problem::field("instrument", "is not watched; /api/v1/instruments lists all"))
    }
}

/// The instrument that the path names: 400 where it is none, 404 where it is not watched.
pub fn instrument_of(request: &HttpRequest, roster: &Roster) -> Result<Watch, Problem> {
    let text = segment(request, "instrument")?;
    let instrument: Instrument =
        text.parse().map_err(|error| Problem::field("instrument", error_text(&error)))?;
    roster.find(&instrument).ok_or_else(|| {
        Problem::not_found(format!("{instrument} is not watched; /api/v1/instruments lists all"))
    })
}

/// The moment without the digits behind its nanoseconds.
fn cut_to_nanos(text: &str) -> UnixNanos {
    let begin = text.find(['.', ',']).map_or(text.len(), |point| point + 1);
    let end = begin + text[begin..].bytes().take_while(u8::is_ascii_digit).count();
    let cut = format!("{}{}", &text[..end.min(begin + 9)], &text[end..]);
    // All of it was read before, the digits that are gone too.
    UnixNanos::parse_iso(cut.as_bytes()).unwrap_or(UnixNanos(i64::MAX))
}

/// A part of the path, decoded.
pub fn segment(request: &HttpRequest, name: &str) -> Result<String, Problem> {
    // The router has decoded all but a few characters, which it left as they were.
    let raw = request.match_info().get(name).unwrap_or_default();
    decode(raw, false).ok_or_else(|| Problem::field(name, "is no text in percent encoding"))
}

/// What a message repeats of a foreign text is bounded.
fn error_text(error: &impl ToString) -> String {
    error.to_string().chars().take(300).collect()
}

/// Percent-decoded text; `None` where an escape is broken or what comes out is no UTF-8.
pub fn decode(text: &str, plus_is_blank: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let [high, low, after @ ..] = rest else { return None };
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
                rest = after;
            }
            b'+' if plus_is_blank => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: [&str; 6] = ["limit", "from", "interval", "open", "kind", "instrument"];

    fn query(text: &str) -> Query {
        Query::parse(text, &ALLOWED).unwrap()
    }

    #[test]
    fn text_is_decoded() {
        for (text, expected) in [
            ("binance%3ABTC-USDT", Some("binance:BTC-USDT")),
            ("a+b%20c", Some("a b c")),
            ("%E5%B8%81", Some("币")),
            ("%", None),
            ("%4", None),
            ("%ff", None),
            ("%+1", None),
        ] {
            assert_eq!(decode(text, true).as_deref(), expected, "{text}");
        }
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"));
    }

    #[test]
    fn unknown_and_repeated_names_are_refused() {
        for text in ["limt=5", "limit=1&limit=2", "%ff=1", "limit=%ff", "=", "kind=%00"] {
            let problem = Query::parse(text, &ALLOWED).unwrap_err();
            assert_eq!(problem.status().as_u16(), 400, "{text}");
            assert!(problem.body().contains("\"field\""), "{text}");
        }
        assert!(Query::parse("&&", &[]).is_ok());
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(query("").limit().unwrap(), LIMIT_DEFAULT);
        assert_eq!(query("limit=1000").limit().unwrap(), 1_000);
        for limit in ["0", "1001", "-1", "+1", "1.5", "", "x", "99999999999999999999", "１"] {
            assert!(query(&format!("limit={}", limit.replace('+', "%2B"))).limit().is_err(), "{limit}");
        }
        let at = query("from=2024-05-01T00:00:00Z").time("from").unwrap().unwrap();
        assert_eq!(at.to_string(), "2024-05-01T00:00:00Z");
        assert_eq!(query("from=9999-01-01T00:00:00Z").time("from").unwrap(), Some(UnixNanos(i64::MAX)));
        assert_eq!(query("from=0001-01-01T00:00:00Z").time("from").unwrap(), Some(UnixNanos(i64::MIN)));
        for from in ["", "now", "2024", "1714521600", "2024-13-01T00:00:00Z"] {
            assert!(query(&format!("from={from}")).time("from").is_err(), "{from}");
        }
        let fine = query("from=2024-05-01T00:00:00.1234567891234%2B01:00").time("from").unwrap().unwrap();
        assert_eq!(fine.to_string(), "2024-04-30T23:00:00.123456789Z");
        assert!(query("open=true").boolean("open").unwrap());
        assert!(query("open=yes").boolean("open").is_err());
        let intervals = ["1s".parse().unwrap(), "1m".parse().unwrap()];
        assert_eq!(query("").interval(&intervals).unwrap().to_string(), "1m");
        assert_eq!(query("interval=1s").interval(&intervals).unwrap().to_string(), "1s");
        for interval in ["3m", "1M", "", "nonsense"] {
            let problem = query(&format!("interval={interval}")).interval(&intervals).unwrap_err();
            assert!(problem.body().contains("\"field\":\"interval\""), "{interval}");
        }
        let roster = Roster::new(["binance:BTC-USDT".parse().unwrap()]);
        assert_eq!(query("instrument=binance:BTC-USDT").instrument(&roster).unwrap(), Some(Watch(0)));
        for instrument in ["binance:ETH-USDT", "nonsense", ""] {
            assert!(query(&format!("instrument={instrument}")).instrument(&roster).is_err(), "{instrument}");
        }
    }
}
