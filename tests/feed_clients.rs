//! The example clients, run as a user would: none misses a signal over a restart of the engine.

mod common_feed;

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common_feed::{copy_as_killed, roster, signal};
use crossbeam::channel::{Receiver, bounded};
use serde_json::Value;
use tapewatch::api::board::Board;
use tapewatch::api::config::ApiConfig;
use tapewatch::api::feed::config::FeedConfig;
use tapewatch::api::feed::service::Feed;
use tapewatch::api::server::{self, Server};
use tapewatch::api::state::Api;
use tapewatch::domain::insight::Severity;
use tapewatch::runtime::clock::{self, Mono, Stopwatch};
use tapewatch::runtime::health::Health;
use tapewatch::runtime::latency::Latency;
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::sink::Batch;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

struct Engine {
    feed: Feed,
    server: Server,
    metrics: Metrics,
}

impl Engine {
    fn start(dir: &Path, port: u16) -> Self {
        let (metrics, latency, health) = (Metrics::new(), Latency::default(), Health::default());
        let config = FeedConfig { clients_max: 3, ..FeedConfig::default() };
        let feed = Feed::start(config, &dir.join("feed"), &roster(), &metrics, &latency, &health).unwrap();
        let board = Arc::new(Board::new(roster(), &["1m".parse().unwrap()]));
        let mut config = ApiConfig::on_loopback(dir.join("keys.json"));
        config.listen.set_port(port);
        let api = || {
            let (board, metrics, latency) = (board.clone(), metrics.clone(), latency.clone());
            Api::new(config.clone(), board, None, metrics, latency, health.clone()).unwrap()
        };
        let waited = Stopwatch::start();
        // A program that a test beside this one starts has our sockets too, from its fork until it is another program.
        let server = loop {
            match server::start(api(), Some(feed.door())) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    assert!(waited.elapsed() < common_feed::PATIENCE, "{error}");
                    clock::sleep(Duration::from_millis(20));
                }
                started => break started.unwrap(),
            }
        };
        Self { feed, server, metrics }
    }

    fn tell(&self, at: u64, recovered: bool) {
        let tellings = vec![signal(0, at, Severity::Info)];
        self.feed.sink().offer(&Arc::new(Batch { tellings, published: Mono::now(), recovered }));
    }
}

/// What a client prints.
fn run(mut command: Command) -> (std::process::Child, Receiver<Value>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (lines, heard) = bounded(1_000);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = lines.send(serde_json::from_str(&line).unwrap());
        }
    });
    (child, heard)
}

fn check_client(command: impl FnOnce(&str) -> Command) {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(dir.path(), 0);
    let port = engine.server.address().port();
    for at in 1..=3 {
        engine.tell(at, false);
    }
    let (mut child, heard) = run(command(&format!("ws://127.0.0.1:{port}/api/v1/feed")));
    let hear = |expected: u64| {
        let message = heard.recv_timeout(common_feed::PATIENCE).unwrap();
        assert_eq!(
            (&message["type"], &message["cause_seq"]),
            (&"signal".into(), &expected.into()),
            "{message}"
        );
    };
    (1..=3).for_each(hear);
    engine.tell(4, false);
    hear(4);

    let after = tempfile::tempdir().unwrap();
    std::fs::create_dir(after.path().join("feed")).unwrap();
    copy_as_killed(&dir.path().join("feed"), &after.path().join("feed"));
    drop(engine);
    let engine = Engine::start(after.path(), port);
    // What a restart computes again: 3 and 4 were told, 5 was not.
    (3..=5).for_each(|at| engine.tell(at, true));
    engine.tell(6, false);
    hear(5);
    hear(6);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Whether a program can be used; says so where it cannot.
fn works(program: &str, arguments: &[&str]) -> bool {
    let works = Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
    if !works {
        println!("skipped: `{program} {}` does not work here", arguments.join(" "));
    }
    works
}

#[test]
fn the_python_client_misses_no_signal() {
    if works("python3", &["-c", "import websockets.sync.client"]) {
        check_client(|url| {
            let mut command = Command::new("python3");
            command.arg(example("feed_client.py")).arg(url);
            command
        });
    }
}

#[test]
fn the_javascript_client_misses_no_signal() {
    for flags in [&[][..], &["--experimental-websocket"]] {
        let mut arguments = flags.to_vec();
        arguments.extend(["-e", "WebSocket"]);
        if works("node", &arguments) {
            return check_client(|url| {
                let mut command = Command::new("node");
                command.args(flags).arg("--no-warnings").arg(example("feed_client.mjs")).arg(url);
                command
            });
        }
    }
}

#[test]
fn the_rust_client_misses_no_signal() {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples/feed_client");
    if !program.exists() {
        return println!(
            "skipped: examples are not built (`cargo build --example feed_client`, or plain `cargo test`)"
        );
    }
    check_client(|url| {
        let mut command = Command::new(&program);
        command.arg(url);
        command
    });
}

fn ask(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<(), tungstenite::Error> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).unwrap();
    match tungstenite::client(request, stream) {
        Ok(_) => Ok(()),
        Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
        Err(tungstenite::HandshakeError::Interrupted(_)) => unreachable!("a blocking socket"),
    }
}

#[test]
fn the_door_is_that_of_the_api() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start(dir.path(), 0);
    let address = engine.server.address();
    let check = |path: &str, headers: &[(&'static str, &str)], status: u16| match ask(address, path, headers)
    {
        Ok(()) => assert_eq!(status, 101, "{path} {headers:?}"),
        Err(tungstenite::Error::Http(response)) => {
            assert_eq!(response.status().as_u16(), status, "{path} {headers:?}");
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let body: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
            assert_eq!(body["status"], status);
        }
        Err(error) => panic!("{path} {headers:?}: {error}"),
    };
    check("/api/v1/feed", &[], 101);
    check("/api/v1/feeds", &[], 404);
    check("/api/v1/feed", &[("origin", "http://elsewhere.example")], 403);
    check("/api/v1/feed", &[("x-api-key", "wrong")], 401);
    check("/api/v1/feed", &[("sec-websocket-version", "12")], 426);
    check("/api/v1/feed", &[("sec-websocket-key", "short")], 400);
    let seen = engine.metrics.http_requests.with_label_values(&["/api/v1/feed", "101"]).get();
    assert_eq!(seen, 1);

    // The one that was let in above has left: its place is free once the hub has noticed.
    let left = Stopwatch::start();
    let mut held = Vec::new();
    while held.len() < 3 {
        assert!(left.elapsed() < common_feed::PATIENCE, "the place of a client that left stays taken");
        match common_feed::Client::try_connect(address) {
            Some(client) => held.push(client),
            None => clock::sleep(Duration::from_millis(5)),
        }
    }
    check("/api/v1/feed", &[], 503);
    drop(held);
}
