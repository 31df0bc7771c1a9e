//! Brings one chunk into the database: whole, or without the rows that it can never take.
//!
//! What a failure means is decided here. A row that is named goes into quarantine, and the rest is
//! sent. A request that is too large is halved. Where the server fails, it is tried a few times, and then asked with
//! single rows: if it takes one of those, some other row is at fault, and halving finds it; if it takes none, the
//! server is, and nothing is thrown away. Everything else is the server's trouble.

use std::time::Duration;

use crate::runtime::clock;
use crate::storage::questdb::chunk::Chunk;
use crate::storage::questdb::client::{Client, ClientError};

/// Tries before a failing server is asked with single rows.
const TRIES: u32 = 3;
const TRY_AFTER: Duration = Duration::from_millis(100);
/// A server that refuses more rows of one chunk is not asked on: somebody has to look.
const REFUSED_MAX: usize = 64;

/// A row that the database never takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    pub reason: String,
    /// Line protocol, the floats in it as bytes.
    pub text: String,
}

/// How a request is done; a trait so that tests can be the server.
pub trait Write {
    fn write(&self, bytes: &[u8]) -> Result<(), ClientError>;
}

impl Write for Client {
    fn write(&self, bytes: &[u8]) -> Result<(), ClientError> {
        Self::write(self, bytes)
    }
}

/// Stores the chunk. Rows that were refused for ever are taken out of it, into `refused`.
///
/// On an error some rows may be stored already: what the chunk then holds has to be delivered again.
pub fn deliver(
    server: &impl Write,
    chunk: &mut Chunk,
    refused: &mut Vec<RefusedRow>,
) -> Result<(), ClientError> {
    let before = refused.len();
    // Parts of the chunk that are not stored yet, the first on top.
    let mut parts = vec![(0, chunk.rows())];
    let mut tries = 0;
    let mut server_works = false;
    while let Some((from, to)) = parts.pop() {
        if from == to {
            continue;
        }
        match server.write(chunk.part(from, to)) {
            Ok(()) => {
                tries = 0;
                continue;
            }
            // A table or a column is missing: no row is at fault.
            Err(ClientError::Row { message, .. }) if message.contains("does not exist") => {
                return Err(ClientError::Refused(message));
            }
            Err(ClientError::Row { line, message }) if line <= to - from => {
                take_out(chunk, from + line - 1, message, refused, &mut parts);
                parts.push((from, to - 1));
            }
            Err(ClientError::TooLarge) if to - from == 1 => {
                let problem = ClientError::TooLarge.to_string();
                take_out(chunk, from, problem, refused, &mut parts);
            }
            Err(ClientError::TooLarge) => halve(from, to, &mut parts),
            Err(ClientError::Internal(message)) => {
                tries += 1;
                if tries < TRIES && !server_works {
                    clock::sleep(TRY_AFTER);
                    parts.push((from, to));
                    continue;
                }
                server_works = server_works || probe(server, chunk, from, to);
                if !server_works {
                    return Err(ClientError::Internal(message));
                }
                if to - from == 1 {
                    take_out(chunk, from, message, refused, &mut parts);
                } else {
                    halve(from, to, &mut parts);
                }
            }
            Err(other) => return Err(other),
        }
        if refused.len() > before + REFUSED_MAX {
            let first = &refused[before].reason;
            return Err(ClientError::Refused(format!("too many rows of one request, the first: {first}")));
        }
    }
    Ok(())
}

/// Whether the server takes any single row of those at the beginning, in the middle and at the end.
fn probe(server: &impl Write, chunk: &Chunk, from: usize, to: usize) -> bool {
    [from, from + (to - from) / 2, to - 1]
        .into_iter()
        .any(|row| server.write(chunk.part(row, row + 1)).is_ok())
}

fn halve(from: usize, to: usize, parts: &mut Vec<(usize, usize)>) {
    let middle = from + (to - from) / 2;
    parts.push((middle, to));
    parts.push((from, middle));
}

/// Rows behind it move up by one.
fn take_out(
    chunk: &mut Chunk,
    row: usize,
    reason: String,
    refused: &mut Vec<RefusedRow>,
    parts: &mut [(usize, usize)],
) {
    let text = String::from_utf8_lossy(chunk.part(row, row + 1)).into_owned();
    refused.push(RefusedRow { reason, text });
    chunk.remove(row);
    for (from, to) in parts {
        (*from, *to) = (*from - 1, *to - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Takes lines, and fails as it is told.
    struct Server {
        stored: RefCell<Vec<String>>,
        answer: fn(&[&str]) -> Option<ClientError>,
    }

    impl Write for Server {
        fn write(&self, bytes: &[u8]) -> Result<(), ClientError> {
            let text = std::str::from_utf8(bytes).unwrap();
            let lines: Vec<_> = text.lines().collect();
            match (self.answer)(&lines) {
                Some(error) => Err(error),
                None => {
                    self.stored.borrow_mut().extend(lines.iter().map(|line| (*line).to_owned()));
                    Ok(())
                }
            }
        }
    }

    fn check(
        rows: usize,
        answer: fn(&[&str]) -> Option<ClientError>,
        stored: impl Fn(usize) -> bool,
        fails: bool,
    ) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for row in 0..rows {
            bytes.extend_from_slice(format!("row {row}\n").as_bytes());
            ends.push(bytes.len() as u32);
        }
        let mut chunk = Chunk::new(bytes, ends, Vec::new());
        let server = Server { stored: RefCell::default(), answer };
        let mut refused = Vec::new();
        let done = deliver(&server, &mut chunk, &mut refused);
        assert_eq!(done.is_err(), fails, "{done:?}");
        assert_eq!(refused.len() + chunk.rows(), rows);
        let expected: Vec<_> = (0..rows).filter(|row| stored(*row)).map(|row| format!("row {row}")).collect();
        let mut found = server.stored.into_inner();
        if !fails {
            assert_eq!(chunk.rows(), expected.len());
        }
        // Deduplicated, as the database does.
        found.sort_by_key(|line| line[4..].parse::<usize>().unwrap());
        found.dedup();
        assert_eq!(found, expected);
    }

    fn internal() -> Option<ClientError> {
        Some(ClientError::Internal("broken".to_owned()))
    }

    #[test]
    fn what_is_sound_is_stored() {
        check(0, |_| None, |_| true, false);
        check(100, |_| None, |_| true, false);
        check(100, |lines| (lines.len() > 7).then_some(ClientError::TooLarge), |_| true, false);
    }

    #[test]
    fn rows_at_fault_are_taken_out() {
        let row = |lines: &[&str]| {
            let line = lines.iter().position(|line| line.ends_with('7'))? + 1;
            Some(ClientError::Row { line, message: "cast error".to_owned() })
        };
        check(100, row, |row| row % 10 != 7, false);
        // Named only by an answer that looks like a server in trouble.
        let poison = |lines: &[&str]| if lines.contains(&"row 42") { internal() } else { None };
        check(100, poison, |row| row != 42, false);
        check(43, poison, |row| row != 42, false);
        let large = |lines: &[&str]| (lines.contains(&"row 3")).then_some(ClientError::TooLarge);
        check(10, large, |row| row != 3, false);
    }

    #[test]
    fn a_server_in_trouble_takes_nothing_out() {
        check(10, |_| internal(), |_| false, true);
        check(10, |_| Some(ClientError::Login("x".to_owned())), |_| false, true);
        let missing = |_: &[&str]| {
            Some(ClientError::Row {
                line: 1,
                message: "table does not exist, creating is disabled".to_owned(),
            })
        };
        check(10, missing, |_| false, true);
        let all = |_: &[&str]| Some(ClientError::Row { line: 1, message: "cast error".to_owned() });
        check(1_000, all, |_| false, true);
    }
}
