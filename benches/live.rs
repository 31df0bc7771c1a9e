//! The service and a simulated venue on two cores: how many trades a second, with what memory, and how long a
//! trade takes from the socket to computed, beside a bare loop that receives and parses the same frames.
//!
//! `cargo bench --bench live` takes two minutes; `TAPEWATCH_BENCH_SECONDS` makes it ten. A rate that the service
//! does not keep up with shows as trades that it lacks; memory that grows as megabytes a minute. Under
//! `cargo test` it runs small, so that it does not rot, and its figures mean nothing.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tapewatch::domain::event::Trade;
use tapewatch::domain::frame::{FrameSink, FrameSource, Spelled};
use tapewatch::runtime::clock::{self, Mono, Stopwatch};
use tapewatch::venues;
use tokio_tungstenite::tungstenite::Message;

struct Size {
    symbols: usize,
    full_rate: u64,
    calm_rate: u64,
    seconds: u64,
}

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let seconds = std::env::var("TAPEWATCH_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let size = if is_bench {
        Size { symbols: 1_000, full_rate: 100_000, calm_rate: 10_000, seconds: seconds.unwrap_or(60) }
    } else {
        Size { symbols: 20, full_rate: 2_000, calm_rate: 1_000, seconds: 2 }
    };
    latency(&size);
    throughput(&size);
}

/// A child that ends with its scope.
struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    /// On the first two cores, where that can be said.
    fn start(arguments: &[&str]) -> Self {
        let program = env!("CARGO_BIN_EXE_tapewatch");
        let pinned = Command::new("taskset").args(["-c", "0,1", "true"]).status().is_ok_and(|s| s.success());
        let mut command = if pinned { Command::new("taskset") } else { Command::new(program) };
        if pinned {
            command.args(["-c", "0,1", program]);
        }
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, out }
    }

    /// Seconds of all cores.
    fn cpu_seconds(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let ticks =
            |place: usize| text.split(' ').nth(place).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(13) + ticks(14)) / 100.0
    }

    fn megabytes(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1_024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A simulated venue and the service that listens to it.
struct Pair {
    venue: Process,
    venue_at: SocketAddr,
    service: Process,
    api: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn start(symbols: usize, rate: u64) -> Self {
        let (symbols, rate) = (symbols.to_string(), rate.to_string());
        let mut venue = Process::start(&[
            "simulate-venue",
            "--symbols",
            &symbols,
            "--rate",
            &rate,
            "--port",
            "0",
            "--no-limits",
        ]);
        let mut tables = String::new();
        while !tables.contains("rest_url") {
            assert_ne!(venue.out.read_line(&mut tables).expect("it speaks"), 0, "the venue has ended");
        }
        let venue_at = tables.split("http://").nth(1).and_then(|rest| rest.split('"').next()?.parse().ok());
        let api = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let config = folder.path().join("tapewatch.toml");
        let text = format!(
            "data_dir = {:?}\n[engine]\nshards = 2\n[api]\nlisten = \"{api}\"\n[log]\nlevel = \"error\"\n{tables}",
            folder.path().join("data")
        );
        fs::write(&config, text).expect("a configuration");
        let service = Process::start(&["run", "--config", config.to_str().expect("a plain path")]);
        let pair = Self { venue, venue_at: venue_at.expect("an address"), service, api, _folder: folder };
        let clock = Stopwatch::start();
        while pair.trades_known() == 0 {
            assert!(clock.elapsed() < Duration::from_secs(60), "the service knows no trade");
            clock::sleep(Duration::from_millis(100));
        }
        // Connections come up one after another.
        clock::sleep(Duration::from_secs(3));
        pair
    }

    fn trades_known(&self) -> u64 {
        let all = get(self.api, "/api/v1/instruments").unwrap_or_default();
        all.as_array().into_iter().flatten().filter_map(|one| one["trades"].as_u64()).sum()
    }

    fn trades_made(&self) -> u64 {
        let status = get(self.venue_at, "/simulator/status").unwrap_or_default();
        status["counts"]["trades"].as_u64().unwrap_or(0)
    }

    /// Sum of a metric over all its labels.
    fn metric(&self, name: &str) -> f64 {
        let text = fetch(self.api, "/metrics").unwrap_or_default();
        text.lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

fn fetch(at: SocketAddr, target: &str) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    // HTTP/1.0 keeps answers from coming in chunks, where the server speaks it.
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return Some(body.to_owned());
    }
    let (mut rest, mut out) = (body, String::new());
    while let Some((length, after)) = rest.split_once("\r\n") {
        match usize::from_str_radix(length.trim(), 16) {
            Ok(length) if length > 0 => {
                out.push_str(after.get(..length)?);
                rest = after.get(length..)?.trim_start_matches("\r\n");
            }
            _ => break,
        }
    }
    Some(out)
}

fn get(at: SocketAddr, target: &str) -> Option<Value> {
    serde_json::from_str(&fetch(at, target)?).ok()
}

fn throughput(size: &Size) {
    let pair = Pair::start(size.symbols, size.full_rate);
    let (made, known, memory) = (pair.trades_made(), pair.trades_known(), pair.service.megabytes());
    let (venue_cpu, service_cpu) = (pair.venue.cpu_seconds(), pair.service.cpu_seconds());
    let clock = Stopwatch::start();
    let mut highest = memory;
    while clock.elapsed() < Duration::from_secs(size.seconds) {
        clock::sleep(Duration::from_millis(500));
        highest = highest.max(pair.service.megabytes());
    }
    let elapsed = clock.elapsed().as_secs_f64();
    let (more_known, more_made) = (pair.trades_known() - known, pair.trades_made() - made);
    let share = |process: &Process, before: f64| (process.cpu_seconds() - before) / elapsed;
    println!(
        "throughput: asked {}/s over {} symbols: made {:.0}/s, known {:.0}/s; cores: venue {:.2}, service {:.2}; \
         memory of the service {memory:.0} MB at the start, {:.0} MB at the end, {highest:.0} MB at most; \
         dropped {}, gaps open {}, duplicates {}",
        size.full_rate,
        size.symbols,
        more_made as f64 / elapsed,
        more_known as f64 / elapsed,
        share(&pair.venue, venue_cpu),
        share(&pair.service, service_cpu),
        pair.service.megabytes(),
        pair.metric("tapewatch_queue_dropped_total"),
        pair.metric("tapewatch_gaps_open"),
        pair.metric("tapewatch_duplicates_total"),
    );
    assert!(more_known > 0, "no trade came through");
}

fn latency(size: &Size) {
    let pair = Pair::start(size.symbols, size.calm_rate);
    let bare = bare_loop(pair.venue_at, size.seconds.min(30));
    let stages = get(pair.api, "/api/v1/latency").unwrap_or_default();
    println!("latency at {}/s over {} symbols, microseconds:", size.calm_rate, size.symbols);
    println!("  {:<22} p50 {:>8.1}  p99 {:>8.1}", "bare receive and parse", at(&bare, 0.5), at(&bare, 0.99));
    for stage in stages["stages"].as_array().into_iter().flatten() {
        let micros = |name: &str| stage[name].as_f64().unwrap_or(0.0) / 1e3;
        let name = stage["stage"].as_str().unwrap_or_default();
        println!("  {name:<22} p50 {:>8.1}  p99 {:>8.1}", micros("p50"), micros("p99"));
    }
    assert!(!bare.is_empty(), "the bare loop heard nothing");
}

fn at(sorted: &[u64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or(0) as f64 / 1e3
}

#[derive(Default)]
struct Counted(u64);

impl FrameSink for Counted {
    fn trade(&mut self, _spelled: Spelled<'_>, _trade: Trade) {
        self.0 += 1;
    }

    fn refuse(&mut self, reason: String) {
        panic!("a frame was refused: {reason}");
    }
}

/// From a frame in hand to its trade, of a loop that does nothing else; nanoseconds, ascending.
fn bare_loop(venue: SocketAddr, seconds: u64) -> Vec<u64> {
    let info = get(venue, "/api/v3/exchangeInfo").unwrap_or_default();
    let streams: Vec<String> = info["symbols"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|symbol| Some(format!("{}@trade", symbol["symbol"].as_str()?.to_lowercase())))
        .collect();
    let url = format!("ws://{venue}/stream?streams={}", streams.join("/"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.expect("a socket");
        let entry = venues::PARSERS.iter().find(|entry| entry.name == "binance").expect("it is there");
        let mut parser = (entry.make)(FrameSource { url: &url, venue: None });
        let (mut taken, mut counted) = (Vec::new(), Counted::default());
        let clock = Stopwatch::start();
        while clock.elapsed() < Duration::from_secs(seconds) {
            let Some(Ok(message)) = socket.next().await else { break };
            if let Message::Text(text) = message {
                let received = Mono::now();
                parser.frame(&text, Some(clock::now()), &mut counted);
                taken.push(Mono::now().nanos_since(received));
            }
        }
        taken.sort_unstable();
        taken
    })
}
