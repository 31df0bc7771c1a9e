//! Frames from server to client (RFC 6455, section 5.2): never masked, never fragmented.

/// Appends the head of a text frame.
pub fn text_head(length: usize, out: &mut Vec<u8>) {
    head(0x81, length, out);
}

/// A whole text frame.
pub fn text(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 10);
    text_head(payload.len(), &mut out);
    out.extend_from_slice(payload);
    out
}

/// A whole close frame. `reason` is short.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut out = Vec::new();
    head(0x88, 2 + reason.len(), &mut out);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
    assert!(out.len() <= 2 + 125, "control frames hold at most 125 bytes");
    out
}

fn head(first: u8, length: usize, out: &mut Vec<u8>) {
    out.push(first);
    match length {
        0..=125 => out.push(length as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_shortest_form() {
        for (length, expected) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 255, 255]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = text(&vec![b'x'; length]);
            assert_eq!(&frame[..expected.len()], expected);
            assert_eq!(frame.len(), expected.len() + length);
        }
        assert_eq!(close(1013, "slow"), [0x88, 6, 0x03, 0xf5, b's', b'l', b'o', b'w']);
    }
}
