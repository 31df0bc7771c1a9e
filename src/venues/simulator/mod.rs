//! A simulated venue: an exchange on loopback that speaks a venue's real protocol, websocket and REST, and
//! goes wrong on request.
//!
//! It shares no encoding with the client side, so that a mistake of one does not hide in the other; what both
//! rest on are the venue's documents alone. One thread a venue; everything on it is exact and bounded.

pub mod alarm;
pub mod binance;
pub mod binance_rest;
pub mod coinbase;
pub mod coinbase_deal;
pub mod coinbase_rest;
pub mod config;
pub mod control;
pub mod dialect;
pub mod exchange;
pub mod fault;
pub mod garbage;
pub mod history;
pub mod http;
pub mod json;
pub mod server;
pub mod socket;
pub mod tape;
pub mod world;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::venues::simulator::config::SimulatorConfig;
use crate::venues::simulator::exchange::Exchange;
use crate::venues::simulator::tape::Tape;

/// How long an answer of `control` may take.
const CONTROL_PATIENCE: Duration = Duration::from_secs(30);

/// A simulated venue that runs; stops when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Listens, then trades on a thread of its own. Fails where the address cannot be listened on.
    pub fn start(config: SimulatorConfig, tape: Box<dyn Tape>) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let name = format!("venue-{}", config.venue.name());
        let thread = thread::Builder::new().name(name).spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let exchange = Rc::new(RefCell::new(Exchange::new(config, tape)));
                tokio::select! {
                    () = server::listen(listener, Rc::clone(&exchange)) => {}
                    () = server::trade(Rc::clone(&exchange)) => {}
                    () = server::beat(exchange) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks what `control` answers: `POST /simulator/fault?cut=now`. Fails where nobody answers, or with a refusal.
    pub fn control(&self, method: &str, target: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(CONTROL_PATIENCE))?;
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: simulator\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
            _ => Err(io::Error::other(answer)),
        }
    }

    /// For `ws_url` of a configuration.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// For `rest_url` of a configuration.
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told so itself.
            let _ = thread.join();
        }
    }
}
