//! Websocket frames of the server's side (RFC 6455): none of ours masked, all of a client's.

/// Longest message of a client, its fragments together.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn bits(self) -> u8 {
        match self {
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }
}

/// Appends one whole frame.
pub fn write_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | opcode.bits());
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=65_535 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Appends a closing frame.
pub fn write_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    write_frame(Opcode::Close, &payload, out);
}

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    Close,
}

/// The client broke the protocol: the code to close with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub u16);

/// What came from a client and is not worked off.
#[derive(Debug, Default)]
pub struct Inbound {
    pub bytes: Vec<u8>,
    fragments: Option<Vec<u8>>,
}

impl Inbound {
    /// The next message; `Ok(None)`: more has to come.
    pub fn message(&mut self) -> Result<Option<Heard>, Violation> {
        loop {
            let Some((first, payload)) = self.frame()? else { return Ok(None) };
            let is_last = first & 0x80 != 0;
            match first & 0x0f {
                0x0 | 0x1
                    if payload.len() + self.fragments.as_ref().map_or(0, Vec::len) > MESSAGE_BYTES_MAX =>
                {
                    return Err(Violation(1009));
                }
                0x1 if self.fragments.is_none() => self.fragments = Some(payload),
                0x0 => self.fragments.as_mut().ok_or(Violation(1002))?.extend_from_slice(&payload),
                0x2 => return Err(Violation(1003)),
                0x8 => return Ok(Some(Heard::Close)),
                0x9 => return Ok(Some(Heard::Ping(payload))),
                0xa => return Ok(Some(Heard::Pong)),
                _ => return Err(Violation(1002)),
            }
            if is_last {
                let text = self.fragments.take().unwrap_or_default();
                return String::from_utf8(text)
                    .map(|text| Some(Heard::Text(text)))
                    .map_err(|_| Violation(1007));
            }
        }
    }

    /// First byte and unmasked payload of the next frame.
    fn frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, Violation> {
        let bytes = &self.bytes;
        if bytes.len() < 2 {
            return Ok(None);
        }
        let is_control = bytes[0] & 0x08 != 0;
        if bytes[0] & 0x70 != 0 || bytes[1] & 0x80 == 0 || (is_control && bytes[0] & 0x80 == 0) {
            return Err(Violation(1002));
        }
        let (length, start) = match bytes[1] & 0x7f {
            _ if is_control && bytes[1] & 0x7f > 125 => return Err(Violation(1002)),
            126 => match bytes.get(2..4) {
                Some(length) => (usize::from(u16::from_be_bytes([length[0], length[1]])), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10) {
                Some(length) => {
                    let length = u64::from_be_bytes(length.try_into().expect("eight bytes"));
                    (usize::try_from(length).unwrap_or(usize::MAX), 10)
                }
                None => return Ok(None),
            },
            length => (usize::from(length), 2),
        };
        if length > MESSAGE_BYTES_MAX {
            return Err(Violation(1009));
        }
        let end = start + 4 + length;
        if bytes.len() < end {
            return Ok(None);
        }
        let first = bytes[0];
        let mask: [u8; 4] = bytes[start..start + 4].try_into().expect("four bytes");
        let payload = bytes[start + 4..end].iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
        self.bytes.drain(..end);
        Ok(Some((first, payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's frame.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        write_frame(Opcode::Text, payload, &mut frame);
        let start = frame.len() - payload.len();
        frame[0] = first;
        frame[1] |= 0x80;
        frame.splice(start..start, [1, 2, 3, 4]);
        for (at, byte) in frame[start + 4..].iter_mut().enumerate() {
            *byte ^= [1, 2, 3, 4][at % 4];
        }
        frame
    }

    fn check(frames: &[Vec<u8>], expected: &[Result<Option<Heard>, Violation>]) {
        let mut inbound = Inbound { bytes: frames.concat(), fragments: None };
        for expected in expected {
            assert_eq!(inbound.message(), *expected, "{frames:?}");
        }
    }

    #[test]
    fn messages_come_whole() {
        let long = "x".repeat(70_000);
        check(&[masked(0x81, b"hello")], &[Ok(Some(Heard::Text("hello".to_owned()))), Ok(None)]);
        check(&[masked(0x81, long.as_bytes())], &[Ok(Some(Heard::Text(long.clone())))]);
        check(
            &[masked(0x01, b"he"), masked(0x89, b"p"), masked(0x80, b"llo")],
            &[Ok(Some(Heard::Ping(b"p".to_vec()))), Ok(Some(Heard::Text("hello".to_owned())))],
        );
        check(&[masked(0x8a, b""), masked(0x88, b"")], &[Ok(Some(Heard::Pong)), Ok(Some(Heard::Close))]);
        check(&[masked(0x81, b"hello")[..7].to_vec()], &[Ok(None)]);
    }

    #[test]
    fn violations_are_named() {
        check(&[vec![0x81, 0x00]], &[Err(Violation(1002))]);
        check(&[masked(0x80, b"x")], &[Err(Violation(1002))]);
        check(&[masked(0xc1, b"x")], &[Err(Violation(1002))]);
        check(&[masked(0x82, b"x")], &[Err(Violation(1003))]);
        check(&[masked(0x81, &[0xff])], &[Err(Violation(1007))]);
        check(&[vec![0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0]], &[Err(Violation(1009))]);
    }
}
