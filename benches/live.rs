//! The service and a simulated venue on two cores: how many trades a second, with what memory, and how long a
//! trade takes from the socket to computed, beside a bare loop that receives and parses the same frames; then the
//! same with a QuestDB behind it, and while that is killed.
//!
//! `receive to computed` is one histogram of each trade's way from the frame that left the socket to the end of
//! its computation, of the last minute; the stages are parts of it, and their quantiles do not add up. Asked: p50 15 us, p99
//! 80 us at 10,000 trades a second. While the database is away its p99 may be 1.5 times that with it, as the
//! median of five pairs of runs.
//!
//! `recovery` is how long a start takes after a kill, with as much of the journal behind the last snapshots as `Size`
//! says: from the program's start until all shards have computed their symbols (what REST has to repair comes after).
//! Asked: 1 s.
//!
//! `cargo bench --bench live [PART...]`, of `latency`, `recovery`, `throughput` and `database`: all take four minutes, and
//! four more where a QuestDB can be had (`.ci/servers`); `TAPEWATCH_BENCH_SECONDS=600` makes `throughput` ten minutes long. A rate that the service does not keep up with
//! shows as trades that it lacks; memory that grows as megabytes at each minute. Under `cargo test` it
//! runs small, so that it does not rot, and its figures mean nothing.

#[path = "../tests/common/questdb.rs"]
mod questdb_server;

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
    /// Of the part whose latency is measured; what the window reaches back, at most.
    calm_seconds: u64,
    /// Of the journal that a start computes again.
    tail_seconds: u64,
    /// Pairs of runs with a database and without, and how long each is.
    pairs: usize,
    pair_seconds: u64,
}

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let seconds = std::env::var("TAPEWATCH_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let size = if is_bench {
        Size {
            symbols: 1_000,
            full_rate: 100_000,
            calm_rate: 10_000,
            seconds: seconds.unwrap_or(60),
            calm_seconds: 61,
            tail_seconds: 60,
            pairs: 5,
            pair_seconds: 15,
        }
    } else {
        Size {
            symbols: 20,
            full_rate: 2_000,
            calm_rate: 1_000,
            seconds: 2,
            calm_seconds: 2,
            tail_seconds: 1,
            pairs: 0,
            pair_seconds: 1,
        }
    };
    // What is not measured stays away from the two cores.
    let own = std::process::id().to_string();
    let _ = Command::new("taskset").args(["-p", "-c", "2,3", &own]).stdout(Stdio::null()).status();
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let parts: [(_, fn(&Size)); 4] = [
        ("latency", latency),
        ("recovery", recovery),
        ("throughput", throughput),
        ("database", database_away),
    ];
    for (name, part) in parts {
        if chosen.is_empty() || chosen.iter().any(|chosen| chosen == name) {
            part(&size);
        }
    }
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
    folder: tempfile::TempDir,
}

impl Pair {
    /// `more`: of the configuration.
    fn start(symbols: usize, rate: u64, more: &str) -> Self {
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
            "data_dir = {:?}\n[engine]\nshards = 2\n[api]\nlisten = \"{api}\"\n[log]\nlevel = \"error\"\n{more}\n{tables}",
            folder.path().join("data")
        );
        fs::write(&config, text).expect("a configuration");
        let service = Process::start(&["run", "--config", config.to_str().expect("a plain path")]);
        let pair = Self { venue, venue_at: venue_at.expect("an address"), service, api, folder };
        let clock = Stopwatch::start();
        while pair.trades_known() == 0 {
            assert!(clock.elapsed() < Duration::from_secs(60), "the service knows no trade");
            clock::sleep(Duration::from_millis(100));
        }
        // Connections come up one after another.
        clock::sleep(Duration::from_secs(3));
        pair
    }

    /// Starts the service again, which has ended; seconds until its shards are up.
    fn restart(&mut self) -> f64 {
        let config = self.folder.path().join("tapewatch.toml");
        let clock = Stopwatch::start();
        self.service = Process::start(&["run", "--config", config.to_str().expect("a plain path")]);
        let are_up = || {
            let parts = get(self.api, "/health/ready").unwrap_or_default();
            ["shard:0", "shard:1"].iter().all(|shard| parts["parts"][shard]["condition"] == "up")
        };
        while !are_up() {
            assert!(clock.elapsed() < Duration::from_secs(60), "the shards do not come up");
            clock::sleep(Duration::from_millis(2));
        }
        clock.elapsed().as_secs_f64()
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
    // It may come in chunks all the same: they are put together below.
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
    let pair = Pair::start(size.symbols, size.full_rate, "");
    let (made, known, memory) = (pair.trades_made(), pair.trades_known(), pair.service.megabytes());
    let (venue_cpu, service_cpu) = (pair.venue.cpu_seconds(), pair.service.cpu_seconds());
    let clock = Stopwatch::start();
    let (mut highest, mut minutes) = (memory, 0);
    while clock.elapsed() < Duration::from_secs(size.seconds) {
        clock::sleep(Duration::from_millis(500));
        highest = highest.max(pair.service.megabytes());
        if clock.elapsed().as_secs() / 60 > minutes {
            minutes += 1;
            println!("throughput: {:.0} MB after {minutes} min", pair.service.megabytes());
        }
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
    let pair = Pair::start(size.symbols, size.calm_rate, "");
    // The window begins where it was asked for last, if that is a minute ago.
    let _ = get(pair.api, "/api/v1/latency");
    let (venue_cpu, service_cpu) = (pair.venue.cpu_seconds(), pair.service.cpu_seconds());
    let clock = Stopwatch::start();
    let bare = bare_loop(pair.venue_at, size.calm_seconds);
    let seconds = clock.elapsed().as_secs_f64();
    let report = get(pair.api, "/api/v1/latency").unwrap_or_default();
    let window = &report["window"];
    println!(
        "latency at {}/s over {} symbols, of {:.0} s, microseconds; cores: venue {:.2}, service {:.2}:",
        size.calm_rate,
        size.symbols,
        window["seconds"].as_f64().unwrap_or(0.0),
        (pair.venue.cpu_seconds() - venue_cpu) / seconds,
        (pair.service.cpu_seconds() - service_cpu) / seconds,
    );
    println!("  {:<22} p50 {:>8.1}  p99 {:>8.1}", "bare receive and parse", at(&bare, 0.5), at(&bare, 0.99));
    let say = |name: &str, span: &Value| {
        let micros = |quantile: &str| span[quantile].as_f64().unwrap_or(0.0) / 1e3;
        println!(
            "  {name:<22} p50 {:>8.1}  p99 {:>8.1}  p99.9 {:>8.1}",
            micros("p50"),
            micros("p99"),
            micros("p99_9")
        );
    };
    say("receive to computed", &window["receive_to_computed"]);
    for stage in window["stages"].as_array().into_iter().flatten() {
        if stage["count"].as_u64() > Some(0) {
            say(stage["stage"].as_str().unwrap_or_default(), stage);
        }
    }
    assert!(!bare.is_empty(), "the bare loop heard nothing");
}

/// A start after a kill, with nothing but the journal since the last stop.
fn recovery(size: &Size) {
    let mut pair = Pair::start(size.symbols, size.calm_rate, "");
    // Long enough that no snapshot comes between.
    let config = pair.folder.path().join("tapewatch.toml");
    let text = fs::read_to_string(&config).expect("it was written");
    let seldom = text.replace("[engine]\n", "[engine]\nsnapshot_interval = \"1h\"\n");
    fs::write(&config, seldom).expect("a configuration");
    let id = pair.service.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().is_ok_and(|status| status.success()));
    assert!(pair.service.child.wait().is_ok_and(|status| status.success()), "it stops");
    let after_stop = pair.restart();
    let begun = pair.trades_known();
    clock::sleep(Duration::from_secs(size.tail_seconds));
    let trades = pair.trades_known() - begun;
    pair.service.child.kill().expect("it runs");
    pair.service.child.wait().expect("it ends");
    let after_kill = pair.restart();
    println!(
        "recovery of {} symbols: {:.0} ms from the program's start, with {} s of journal ({trades} trades) behind the \
         last snapshots; {:.0} ms after a stop",
        size.symbols,
        after_kill * 1e3,
        size.tail_seconds,
        after_stop * 1e3,
    );
}

/// What the database's absence does to those who do not wait for it.
fn database_away(size: &Size) {
    let mut ratios = Vec::new();
    for _ in 0..size.pairs {
        let [with, away] = [false, true].map(|is_killed| {
            let mut server = questdb_server::start()?;
            let more =
                format!("[storage.questdb]\nenabled = true\nhttp_address = \"{}\"\n", server.http_address);
            let pair = Pair::start(size.symbols, size.calm_rate, &more);
            if is_killed {
                server.kill();
            }
            clock::sleep(Duration::from_secs(size.pair_seconds));
            let report = get(pair.api, "/api/v1/latency").unwrap_or_default();
            report["receive_to_computed"]["p99"].as_f64().map(|nanos| nanos / 1e3)
        });
        let (Some(with), Some(away)) = (with, away) else { return };
        println!(
            "receive to computed with QuestDB p99 {with:.1} us, while it is killed {away:.1} us: {:.2}",
            away / with
        );
        ratios.push(away / with);
    }
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        println!(
            "receive to computed while QuestDB is killed: p99 {median:.2} of that with it (median; asked: 1.5)"
        );
    }
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
                parser.frame(&text, clock::now().stamp(), &mut counted);
                taken.push(Mono::now().nanos_since(received));
            }
        }
        taken.sort_unstable();
        taken
    })
}
