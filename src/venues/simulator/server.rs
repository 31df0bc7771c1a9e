//! The sockets of a simulated venue: HTTP and websocket on one port, all on one thread.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::venues::simulator::alarm::Alarm;
use crate::venues::simulator::control;
use crate::venues::simulator::exchange::Exchange;
use crate::venues::simulator::http::{Request, Response};
use crate::venues::simulator::socket::Inbound;
use crate::venues::simulator::world::Ending;

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1_024;

/// Trades that lie closer together are told together: each wake-up costs about a tenth of it.
const REST_MIN: Duration = Duration::from_micros(50);
/// Short rests let control requests start a market that does not trade.
const REST_MAX: Duration = Duration::from_millis(20);

pub type Shared = Rc<RefCell<Exchange>>;

/// Accepts until it is dropped.
pub async fn listen(listener: TcpListener, exchange: Shared) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let exchange = Rc::clone(&exchange);
                // A client that goes away in the middle is nobody's concern.
                tokio::task::spawn_local(async move { drop(serve(stream, exchange).await) });
            }
            // Too many open files, most likely: it passes, or nothing does.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Lets the market trade until it is dropped.
pub async fn trade(exchange: Shared) {
    let alarm = Alarm::of_runtime();
    loop {
        let rest = exchange.borrow_mut().trade();
        if rest.is_zero() {
            tokio::task::yield_now().await;
        } else {
            alarm.wait(rest.clamp(REST_MIN, REST_MAX)).await;
        }
    }
}

/// Lets time pass until it is dropped.
pub async fn beat(exchange: Shared) {
    let mut every = tokio::time::interval(Duration::from_millis(50));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        exchange.borrow_mut().beat();
    }
}

async fn serve(mut stream: TcpStream, exchange: Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    let mut out = Vec::new();
    loop {
        let request = loop {
            match Request::parse(&bytes) {
                Ok(Some((request, length))) => {
                    bytes.drain(..length);
                    break request;
                }
                Ok(None) => {}
                Err(why) => {
                    Response::html(400, why).with("Connection", "close").write_to(&mut out);
                    return stream.write_all(&out).await;
                }
            }
            bytes.reserve(READ_BYTES);
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        out.clear();
        if request.wants_websocket() {
            let opened = match request.header("sec-websocket-key") {
                Some(_) => exchange.borrow_mut().open(&request),
                None => Err(Response::html(400, "Bad Request")),
            };
            match opened {
                Ok(connection) => {
                    let key =
                        derive_accept_key(request.header("sec-websocket-key").unwrap_or_default().as_bytes());
                    let head = format!(
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {key}\r\n\r\n"
                    );
                    let ended = match stream.write_all(head.as_bytes()).await {
                        Ok(()) => speak(stream, bytes, connection, &exchange).await,
                        failed => failed,
                    };
                    exchange.borrow_mut().world.close(connection);
                    return ended;
                }
                Err(refused) => refused.write_to(&mut out),
            }
        } else if control::is_control(&request) {
            let mut exchange = exchange.borrow_mut();
            control::answer(&mut exchange, &request).write_to(&mut out);
            exchange.world.flush();
        } else {
            let delay = exchange.borrow_mut().delay();
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            exchange.borrow_mut().answer(&request).write_to(&mut out);
        }
        stream.write_all(&out).await?;
        if request.wants_close() {
            return Ok(());
        }
    }
}

/// One websocket, until either side ends it.
async fn speak(
    mut stream: TcpStream,
    bytes: Vec<u8>,
    connection: usize,
    exchange: &Shared,
) -> io::Result<()> {
    let wake = {
        let exchange = exchange.borrow();
        let Some(Some(open)) = exchange.world.connections.get(connection) else { return Ok(()) };
        Rc::clone(&open.wake)
    };
    let (mut reader, mut writer) = stream.split();
    let read = async {
        let mut inbound = Inbound::default();
        inbound.bytes = bytes;
        loop {
            loop {
                match inbound.message() {
                    Ok(Some(heard)) => exchange.borrow_mut().hear(connection, heard),
                    Ok(None) => break,
                    Err(violation) => {
                        exchange.borrow_mut().offend(connection, violation);
                        // The writer ends it.
                        std::future::pending::<()>().await;
                    }
                }
            }
            inbound.bytes.reserve(READ_BYTES);
            if reader.read_buf(&mut inbound.bytes).await? == 0 {
                return Ok(());
            }
        }
    };
    let write = async {
        let mut chunk = Vec::new();
        loop {
            let (taken, ending) = exchange.borrow_mut().world.take(connection, chunk);
            chunk = taken;
            if ending == Some(Ending::Abrupt) {
                return Ok(());
            }
            if !chunk.is_empty() {
                writer.write_all(&chunk).await?;
            } else if ending.is_some() {
                return Ok(());
            } else {
                wake.notified().await;
            }
        }
    };
    tokio::select! {
        ended = read => ended,
        ended = write => ended,
    }
}
