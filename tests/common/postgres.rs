//! Just enough of PostgreSQL's protocol (version 3.0) to ask a database as Grafana asks it: one simple query.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Of a column: its name, and the number of its type.
pub type Column = (String, u32);

/// The answer to a query, values as text.
pub struct Answer {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Option<String>>>,
}

/// Types whose values Grafana takes for moments: `timestamp`, `timestamptz`.
pub const MOMENTS: [u32; 2] = [1114, 1184];

/// Logs in with a password in plain text and asks one query.
pub fn ask(address: &str, user: &str, password: &str, database: &str, sql: &str) -> Result<Answer, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).map_err(told)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(told)?;
    let begin = format!("user\0{user}\0database\0{database}\0\0");
    let mut packet = (begin.len() as u32 + 8).to_be_bytes().to_vec();
    packet.extend(196_608_u32.to_be_bytes());
    packet.extend(begin.as_bytes());
    stream.write_all(&packet).map_err(told)?;
    let mut answer = Answer { columns: Vec::new(), rows: Vec::new() };
    let mut is_asked = false;
    loop {
        let (kind, body) = receive(&mut stream).map_err(told)?;
        match kind {
            b'R' if body[..4] == 3_u32.to_be_bytes() => send(&mut stream, b'p', password).map_err(told)?,
            b'R' if body[..4] == [0; 4] => {}
            b'R' => return Err("another way to log in is asked for".to_owned()),
            b'Z' if is_asked => return Ok(answer),
            b'Z' => {
                is_asked = true;
                send(&mut stream, b'Q', sql).map_err(told)?;
            }
            b'T' => answer.columns = columns(&body),
            b'D' => answer.rows.push(row(&body)),
            b'E' => return Err(String::from_utf8_lossy(&body).replace('\0', " ")),
            _ => {}
        }
    }
}

fn send(stream: &mut TcpStream, kind: u8, text: &str) -> std::io::Result<()> {
    let mut packet = vec![kind];
    packet.extend((text.len() as u32 + 5).to_be_bytes());
    packet.extend(text.as_bytes());
    packet.push(0);
    stream.write_all(&packet)
}

fn receive(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes"));
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

/// Name, table, column, type, size, modifier, format of each.
fn columns(body: &[u8]) -> Vec<Column> {
    let count = u16::from_be_bytes([body[0], body[1]]);
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    for _ in 0..count {
        let end = rest.iter().position(|&byte| byte == 0).expect("a name ends");
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        let numbers = &rest[end + 1..];
        columns.push((name, u32::from_be_bytes(numbers[6..10].try_into().expect("four bytes"))));
        rest = &numbers[18..];
    }
    columns
}

fn row(body: &[u8]) -> Vec<Option<String>> {
    let count = u16::from_be_bytes([body[0], body[1]]);
    let mut rest = &body[2..];
    let mut values = Vec::new();
    for _ in 0..count {
        let length = i32::from_be_bytes(rest[..4].try_into().expect("four bytes"));
        rest = &rest[4..];
        let Ok(length) = usize::try_from(length) else {
            values.push(None);
            continue;
        };
        values.push(Some(String::from_utf8_lossy(&rest[..length]).into_owned()));
        rest = &rest[length..];
    }
    values
}
