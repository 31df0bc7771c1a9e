//! HTTP/1.1 as far as a simulated venue needs it: requests without bodies to speak of, answers of a known length.

use std::str;

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1_024;
/// Longest body of a request; it is read and thrown away.
const BODY_BYTES_MAX: usize = 64 * 1_024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names and values of the query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// The first request of what was read, and its bytes. `Ok(None)`: it is not all there yet.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, &'static str> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if bytes.len() > HEAD_BYTES_MAX { Err("the head is too long") } else { Ok(None) };
        };
        let head = str::from_utf8(&bytes[..end]).map_err(|_| "the head is not text")?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("the first line is no HTTP/1.1 request");
        };
        let mut request = Self::to(method, target);
        for line in lines {
            let (name, value) = line.split_once(':').ok_or("a header has no colon")?;
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let body: usize = match request.header("content-length") {
            Some(length) => length.parse().map_err(|_| "the length is no number")?,
            None => 0,
        };
        if body > BODY_BYTES_MAX {
            return Err("the body is too long");
        }
        let length = end + 4 + body;
        Ok((bytes.len() >= length).then_some((request, length)))
    }

    /// A request without headers.
    pub fn to(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decoded(name), decoded(value))
            })
            .collect();
        Self { method: method.to_owned(), path: decoded(path), query, headers: Vec::new() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query; one without text counts as absent.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub fn wants_websocket(&self) -> bool {
        self.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
    }

    pub fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: "application/json;charset=UTF-8",
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn html(status: u16, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
        );
        Self { status, content_type: "text/html", headers: Vec::new(), body: body.into_bytes() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn write_to(&self, out: &mut Vec<u8>) {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            418 => "I'm a teapot",
            429 => "Too Many Requests",
            503 => "Service Unavailable",
            _ => "Unknown",
        };
        let mut head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            self.status,
            self.content_type,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&self.body);
    }
}

/// Text of a URL with its `%XX` and `+` undone; what is no such sequence stays.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| str::from_utf8(pair).ok());
        match (bytes[at], pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Option<&str>, &str>) {
        let found = Request::parse(text.as_bytes());
        let found = found.as_ref().map(|found| found.as_ref().map(|(request, _)| request.path.as_str()));
        assert_eq!(found, expected.as_ref().copied(), "{text:?}");
    }

    #[test]
    fn requests_are_read_whole_or_refused() {
        check("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", Ok(Some("/a")));
        check("GET /a HTTP/1.1\r\nHost: x\r\n", Ok(None));
        check("POST /a%2Fb HTTP/1.1\r\nContent-Length: 2\r\n\r\nxx", Ok(Some("/a/b")));
        check("POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nx", Ok(None));
        check("GET /a HTTP/1.0\r\n\r\n", Err("the first line is no HTTP/1.1 request"));
        check("GET /a HTTP/1.1\r\nx\r\n\r\n", Err("a header has no colon"));
        check("GET /a HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", Err("the body is too long"));
        check(&"x".repeat(HEAD_BYTES_MAX + 1), Err("the head is too long"));
    }

    #[test]
    fn queries_are_decoded() {
        let request = Request::to("GET", "/p?symbols=%5B%22A%22%5D&x=%zz+&empty&symbol=B");
        assert_eq!(request.parameter("symbols"), Some("[\"A\"]"));
        assert_eq!(request.parameter("x"), Some("%zz "));
        assert_eq!((request.parameter("empty"), request.parameter("symbol")), (None, Some("B")));
    }
}
