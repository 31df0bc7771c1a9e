//! Alerts as a receiver sees them: signed, in order, again until they arrive, over kills.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crossbeam::channel::{Receiver, bounded};
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tapewatch::alerts::config::{AlertConfig, ChannelConfig, RouteConfig};
use tapewatch::alerts::service::{self, Alerts};
use tapewatch::domain::data_state::DataState;
use tapewatch::domain::insight::{Evidence, InsightId, Severity, Signal, SignalKind};
use tapewatch::domain::output::Position;
use tapewatch::domain::time::UnixNanos;
use tapewatch::domain::told::{Roster, Told, Watch};
use tapewatch::runtime::clock::{self, Mono, Stopwatch};
use tapewatch::runtime::health::{Condition, Health};
use tapewatch::runtime::metrics::Metrics;
use tapewatch::runtime::sink::{Barrier, Batch, Telling};

const PATIENCE: Duration = Duration::from_secs(120);

/// What a receiver got.
struct Got {
    headers: Vec<(String, String)>,
    body: String,
    at: Duration,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn signals(&self) -> Vec<u64> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let signals = body["data"]["signals"].as_array().unwrap();
        signals.iter().map(|s| u64::from_str_radix(s["id"].as_str().unwrap(), 16).unwrap()).collect()
    }
}

/// Answers one request after the other with the next of `answers`, the last for ever; an empty one is no
/// answer at all.
fn receiver(answers: &[&'static str]) -> (SocketAddr, Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, got) = bounded(100);
    let answers = answers.to_vec();
    std::thread::spawn(move || {
        let stopwatch = Stopwatch::start();
        let mut open = Vec::new();
        for (count, socket) in listener.incoming().flatten().enumerate() {
            let mut reader = BufReader::new(socket.try_clone().unwrap());
            let (mut headers, mut line) = (Vec::new(), String::new());
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some((name, value)) = line.trim().split_once(": ") {
                    headers.push((name.to_ascii_lowercase(), value.to_owned()));
                }
                line.clear();
            }
            let length =
                headers.iter().find(|(name, _)| name == "content-length").unwrap().1.parse().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            // Before the answer: who hears it waits from then on.
            let at = stopwatch.elapsed();
            let answer = answers[count.min(answers.len() - 1)];
            if answer.is_empty() {
                open.push(socket.try_clone().unwrap());
            } else {
                let _ =
                    write!(&socket, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
            let _ = sender.send(Got { headers, body, at });
        }
    });
    (address, got)
}

fn webhook(address: SocketAddr, secret: Option<&str>) -> AlertConfig {
    let route = RouteConfig {
        min_severity: Severity::Warning,
        channels: vec!["hook".to_owned()],
        instruments: Vec::new(),
        kinds: Vec::new(),
        cooldown: Duration::ZERO,
    };
    let channel = ChannelConfig::Webhook {
        url: SecretString::from(format!("http://{address}/hush")),
        secret: secret.map(|secret| SecretString::from(secret.to_owned())),
    };
    AlertConfig {
        channels: [("hook".to_owned(), channel)].into(),
        routes: [("default".to_owned(), route)].into(),
    }
}

struct House {
    alerts: Alerts,
    metrics: Metrics,
    health: Health,
}

impl House {
    fn new(config: AlertConfig, dir: &Path) -> Self {
        let (metrics, health) = (Metrics::new(), Health::default());
        let roster = Roster::new(["kraken:BTC-USD", "kraken:ETH-USD"].map(|name| name.parse().unwrap()));
        let alerts = Alerts::start(config, dir, &roster, &metrics, &health).unwrap();
        Self { alerts, metrics, health }
    }

    fn tell(&self, ids: &[u64], severity: Severity, recovered: bool) {
        let telling = |&id: &u64| Telling {
            watch: Watch((id % 2) as u32),
            cause_seq: id,
            at: Position(id),
            received: None,
            told: Told::Signal(Box::new(Signal {
                id: InsightId(id),
                kind: SignalKind::Anomaly,
                name: "volume_burst",
                severity,
                action: None,
                exchange_at: UnixNanos(1),
                score: 0.9,
                message: "Much <traded>.".to_owned(),
                evidence: Evidence::default(),
                models: Vec::new(),
                data_state: DataState::Complete,
            })),
        };
        let tellings = ids.iter().map(telling).collect();
        self.alerts.sink().offer(&Arc::new(Batch { tellings, published: Mono::now(), recovered }));
    }

    fn keep(&self) {
        let (barrier, reached) = Barrier::new(1);
        self.alerts.sink().mark(barrier);
        assert_eq!(reached.recv_timeout(PATIENCE), Ok("alerts"));
    }

    fn wait_for(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let stopwatch = Stopwatch::start();
        while !done(self) {
            assert!(stopwatch.elapsed() < PATIENCE, "waited in vain: {what}");
            clock::sleep(Duration::from_millis(5));
        }
    }
}

fn next(got: &Receiver<Got>) -> Got {
    got.recv_timeout(PATIENCE).unwrap()
}

/// HMAC-SHA256 by its definition (RFC 2104), not by the crate that signs.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with).to_vec();
    let inner = Sha256::digest([&pad(0x36)[..], text].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

#[test]
fn webhooks_are_signed_as_the_standard_says() {
    let dir = tempfile::tempdir().unwrap();
    let (address, got) = receiver(&["200 OK"]);
    let key = b"twenty-four bytes of key";
    let house = House::new(webhook(address, Some(&format!("whsec_{}", STANDARD.encode(key)))), dir.path());
    house.tell(&[2], Severity::Info, false);
    house.tell(&[4, 6], Severity::Warning, false);
    let request = next(&got);
    assert_eq!(request.signals(), [4, 6], "the mild one is not sent");
    let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    assert!(id.starts_with("msg_"));
    let age_s = clock::now().0 / 1_000_000_000 - timestamp.parse::<i64>().unwrap();
    assert!((0..60).contains(&age_s));
    let signed = hmac(key, format!("{id}.{timestamp}.{}", request.body).as_bytes());
    assert_eq!(request.header("webhook-signature"), format!("v1,{}", STANDARD.encode(signed)));
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["severity"]), (&"signal.alert".into(), &"warning".into()));
    house.wait_for("it is counted", |house| {
        house.metrics.sink_rows.with_label_values(&["alerts", "hook"]).get() == 1
    });
}

#[test]
fn what_is_not_taken_is_tried_again_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let answers = ["500 Oh", "429 Slow\r\nretry-after: 3", "200 OK"];
    let (address, got) = receiver(&answers);
    let house = House::new(webhook(address, None), dir.path());
    house.tell(&[2], Severity::Warning, false);
    house.keep();
    house.tell(&[3], Severity::Critical, false);
    let tries: Vec<_> = (0..4).map(|_| next(&got)).collect();
    assert_eq!(tries.iter().map(|got| got.signals()[0]).collect::<Vec<_>>(), [2, 2, 2, 3]);
    assert_eq!(tries[0].header("webhook-signature"), "");
    assert_eq!(tries[0].header("webhook-id"), tries[2].header("webhook-id"));
    assert_ne!(tries[0].header("webhook-id"), tries[3].header("webhook-id"));
    let waits: Vec<_> = tries.windows(2).map(|two| two[1].at - two[0].at).collect();
    assert!(waits[0] >= Duration::from_secs(1), "{waits:?}");
    assert!(waits[1] >= Duration::from_secs(3), "Retry-After: {waits:?}");
    house.wait_for("all is well", |house| {
        house.metrics.queue("alerts_outbox").depth.get() == 0
            && house.health.parts()["alerts:hook"].condition == Condition::Up
    });
}

#[test]
fn what_is_given_up_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (address, got) = receiver(&["404 Nobody", "200 OK"]);
    let house = House::new(webhook(address, None), dir.path());
    house.tell(&[2], Severity::Warning, false);
    house.keep();
    next(&got);
    house.wait_for("it is counted", |house| house.metrics.queue("alerts_outbox").dropped.get() == 1);
    let part = house.health.parts()["alerts:hook"].clone();
    assert_eq!((part.condition, &*part.reason), (Condition::Degraded, "an alert was given up: answered 404"));
    house.tell(&[3], Severity::Warning, false);
    assert_eq!(next(&got).signals(), [3], "the next one has its turn");
}

/// The files of a process that is killed now.
fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(dir.join("outbox.jsonl"), copy.path().join("outbox.jsonl")).unwrap();
    copy
}

#[test]
fn a_kill_loses_no_alert_and_tells_none_of_the_arrived_again() {
    let dir = tempfile::tempdir().unwrap();
    // Taken; then nobody answers.
    let (address, got) = receiver(&["200 OK", ""]);
    let house = House::new(webhook(address, None), dir.path());
    house.tell(&[2], Severity::Warning, false);
    house.keep();
    let first = next(&got);
    house.wait_for("it has arrived", |house| house.metrics.queue("alerts_outbox").depth.get() == 0);
    house.tell(&[4], Severity::Warning, false);
    house.keep();
    let second = next(&got);
    // Between sending and the answer.
    let copy = killed(dir.path());

    let (address, got) = receiver(&["200 OK"]);
    let house = House::new(webhook(address, None), copy.path());
    // The journal's tail is computed again, and goes a little further.
    house.tell(&[2, 4], Severity::Warning, true);
    house.tell(&[6], Severity::Warning, true);
    let again = next(&got);
    assert_eq!(again.signals(), [4]);
    assert_eq!(again.header("webhook-id"), second.header("webhook-id"), "the receiver can tell");
    assert_ne!(again.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(next(&got).signals(), [6]);
    house.wait_for("all has arrived", |house| house.metrics.queue("alerts_outbox").depth.get() == 0);
    drop(house);
    assert!(got.is_empty());

    let house = House::new(webhook(address, None), copy.path());
    house.tell(&[2, 4, 6], Severity::Warning, true);
    house.keep();
    drop(house);
    assert!(got.is_empty(), "nothing comes a third time");
}

#[test]
fn a_test_alert_says_what_became_of_it() {
    use tapewatch::alerts::channel::Answer;
    let (address, got) = receiver(&["200 OK", "403 No"]);
    let url = SecretString::from(format!("http://{address}/hush"));
    let slack = ChannelConfig::Slack { url };
    assert_eq!(service::test("ops", &slack).unwrap(), Answer::Taken);
    let body: Value = serde_json::from_str(&next(&got).body).unwrap();
    assert_eq!(body["text"], "[info] test:ONLY-TEST\ntest (info): This is a test: nothing has happened.");
    assert_eq!(service::test("ops", &slack).unwrap(), Answer::Refused("answered 403".to_owned()));
    let url = SecretString::from("http://127.0.0.1:1/hush");
    match service::test("ops", &ChannelConfig::Slack { url }).unwrap() {
        Answer::Again { why, .. } => assert!(!why.contains("hush"), "the address is a secret: {why}"),
        answer => panic!("{answer:?}"),
    }
}
