//! `cryptofeed`: captures of the Python library cryptofeed, both of its layouts.
//!
//! The older is text: `URL <-> time` a connection, `URL <- time: frame` sent, `time: frame`
//! received, `URL -> time: body` an HTTP answer, `configuration: {...}`. The newer is one JSON
//! object a line: `t` is header, http, connect, send or recv, `conn` the connection, `data` the
//! frame. Receive times are float seconds. Frames that were binary stand as Python byte
//! literals (`b'\x1f...'`, gzip at HTX). The address tells the venue and thereby the dialect.
//! Source: bmoscon/cryptofeed, `cryptofeed/raw_data_collection.py`.

use std::collections::HashMap;
use std::io::Read;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::fields::shown;
use crate::domain::frame::{FrameParser, FrameParserEntry};
use crate::domain::json::text;
use crate::domain::time::UnixNanos;
use crate::domain::venue::Venue;
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Likeness, Opened, Sample};
use crate::replay::frame_feed::{Markets, parser_for, read_frame};

pub const ENTRY: FormatEntry = FormatEntry { name: "cryptofeed", sniff, open, mixes_kinds: true };

/// A compressed frame that unpacks to more is none.
const FRAME_BYTES_MAX: u64 = 8 << 20;
/// Connections of one capture.
const CONNECTIONS_MAX: usize = 10_000;

const ALLOWED: &str = "lines of `URL <-> time`, `time: frame` (text captures), or objects with t, conn, ts, data (JSON captures)";

fn sniff(sample: &Sample, _facts: &Facts<'_>) -> Likeness {
    let first = sample.first();
    let text_capture = sample.iter().take(20).any(|line| {
        let head = &line[..line.len().min(4096)];
        is_address(head) && [&b" <-> "[..], b" <- ", b" -> "].iter().any(|arrow| contains(line, arrow))
    });
    if text_capture || first.starts_with(b"{\"t\":") { Likeness::Sure } else { Likeness::No }
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(line, part).is_some()
}

fn is_address(line: &[u8]) -> bool {
    [&b"wss://"[..], b"ws://", b"https://", b"http://"].iter().any(|scheme| line.starts_with(scheme))
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Opened {
    let is_json = sample.first().starts_with(b"{");
    if !is_json && sniff(sample, facts) == Likeness::No {
        return Err(format!(
            "line 1: {:?} is no line of a cryptofeed capture: allowed are {ALLOWED}",
            shown(sample.first(), 60)
        ));
    }
    Ok(Box::new(Cryptofeed {
        is_json,
        venue: facts.venue.cloned(),
        frame_parsers: facts.frame_parsers,
        markets: Markets::new(facts),
        current: None,
        connections: HashMap::new(),
    }))
}

struct Cryptofeed {
    is_json: bool,
    venue: Option<Venue>,
    frame_parsers: &'static [FrameParserEntry],
    markets: Markets,
    /// Of a text capture: the connection opened last.
    current: Option<Box<dyn FrameParser>>,
    /// Of a JSON capture: by name.
    connections: HashMap<String, Box<dyn FrameParser>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    t: &'a str,
    #[serde(borrow)]
    conn: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(borrow)]
    addr: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Cryptofeed {
    fn parser(&self, url: &str) -> Result<Box<dyn FrameParser>, String> {
        let facts =
            Facts { venue: self.venue.as_ref(), frame_parsers: self.frame_parsers, ..Facts::default() };
        parser_for(&facts, url)
    }

    fn text_line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if line.first().is_some_and(u8::is_ascii_digit) {
            let Some(colon) = memchr::memmem::find(&line[..line.len().min(40)], b": ") else {
                batch.skip(number, "the line is no time and frame", line);
                return Ok(());
            };
            if self.current.is_none() {
                self.current = Some(self.parser("").map_err(|why| format!("line {number}: {why}"))?);
            }
            let parser = self.current.as_deref_mut().expect("made above");
            let (received, frame) = (&line[..colon], &line[colon + 2..]);
            return frame_line(parser, &mut self.markets, (received, frame), number, line, batch);
        }
        if is_address(line) {
            // Sent frames and HTTP answers hold no trade of the stream.
            if line.starts_with(b"ws")
                && let Some(at) = memchr::memmem::find(line, b" <-> ")
            {
                let url = shown(&line[..at], 100_000);
                self.current = Some(self.parser(&url).map_err(|why| format!("line {number}: {why}"))?);
            }
            return Ok(());
        }
        if !line.starts_with(b"configuration: ") && !line.is_empty() {
            batch.skip(number, "the line is none of a capture", line);
        }
        Ok(())
    }

    fn json_line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        // Answers over HTTP are the longest lines, and tell no trade of the stream.
        if line.starts_with(b"{\"t\":\"http\"") || line.is_empty() {
            return Ok(());
        }
        let record: Record<'_> = match serde_json::from_slice(line) {
            Ok(record) => record,
            Err(e) => {
                batch.skip(number, format!("the line is no record of a capture: {e}"), line);
                return Ok(());
            }
        };
        match record.t {
            "connect" => {
                let url = text(record.addr);
                if url.starts_with("ws") && self.connections.len() < CONNECTIONS_MAX {
                    let parser = self.parser(&url).map_err(|why| format!("line {number}: {why}"))?;
                    self.connections.insert(text(record.conn).into_owned(), parser);
                }
            }
            "recv" => {
                let name = text(record.conn);
                if !self.connections.contains_key(&*name) {
                    if self.connections.len() >= CONNECTIONS_MAX {
                        batch.skip(number, format!("more than {CONNECTIONS_MAX} connections"), line);
                        return Ok(());
                    }
                    let parser = self.parser("").map_err(|why| format!("line {number}: {why}"))?;
                    self.connections.insert(name.clone().into_owned(), parser);
                }
                let parser = self.connections.get_mut(&*name).expect("made above");
                let (received, frame) = (text(record.ts), text(record.data));
                let parts = (received.as_bytes(), frame.as_bytes());
                return frame_line(&mut **parser, &mut self.markets, parts, number, line, batch);
            }
            _ => {}
        }
        Ok(())
    }
}

fn frame_line(
    parser: &mut dyn FrameParser,
    markets: &mut Markets,
    (received, frame): (&[u8], &[u8]),
    number: u64,
    line: &[u8],
    batch: &mut Batch,
) -> Result<(), String> {
    let received_at = match UnixNanos::parse_float_seconds(received).and_then(UnixNanos::plausible) {
        Ok(at) => at,
        Err(why) => {
            batch.skip(number, format!("receive time {:?} {why}", shown(received, 40)), line);
            return Ok(());
        }
    };
    let unpacked;
    let frame = match frame {
        [b'b', quote @ (b'\'' | b'"'), literal @ .., last] if quote == last => match unpack(literal) {
            Ok(text) => {
                unpacked = text;
                &unpacked[..]
            }
            Err(why) => {
                batch.skip(number, why, line);
                return Ok(());
            }
        },
        frame => frame,
    };
    match std::str::from_utf8(frame) {
        Ok(frame) => read_frame(parser, markets, frame, received_at.stamp(), number, line, batch),
        Err(_) => batch.skip(number, "the frame is not UTF-8", line),
    }
    Ok(())
}

/// The bytes of a Python literal, gunzipped where they are gzip.
fn unpack(literal: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = unescape(literal).ok_or("the frame is no Python byte literal")?;
    if !bytes.starts_with(b"\x1f\x8b") {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .take(FRAME_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|e| format!("the frame cannot be gunzipped: {e}"))?;
    Ok(text)
}

fn unescape(literal: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(literal.len());
    let mut rest = literal.iter().copied();
    let hex = |digit: Option<u8>| char::from(digit?).to_digit(16);
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => (hex(rest.next())? * 16 + hex(rest.next())?) as u8,
            other @ (b'\\' | b'\'' | b'"') => other,
            _ => return None,
        });
    }
    Some(bytes)
}

impl Decoder for Cryptofeed {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if self.is_json { self.json_line(number, line, batch) } else { self.text_line(number, line, batch) }
    }
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn byte_literals_are_read_as_python_prints_them() {
        assert_eq!(unescape(br"a\x1f\\\n\'").as_deref(), Some(&b"a\x1f\\\n'"[..]));
        assert_eq!(unescape(br"\x1").as_deref(), None);
        assert_eq!(unescape(br"\q").as_deref(), None);
    }
}
