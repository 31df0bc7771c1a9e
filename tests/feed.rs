//! The websocket feed as a client sees it: protocol, resuming over kills, slow and hostile clients.

mod common_feed;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use common_feed::{
    Client, PATIENCE, Rig, Sizes, candle, copy_as_killed, gap, roster, signal, trade, wait_until,
};
use serde_json::{Value, json};
use tapewatch::api::feed::config::FeedConfig;
use tapewatch::domain::insight::Severity;
use tapewatch::runtime::backoff::splitmix;
use tapewatch::runtime::health::Condition;
use tapewatch::runtime::latency::Stage;
use tapewatch::runtime::sink::{Barrier, Telling};
use tapewatch::storage::feed_log::log::FeedLogOptions;

#[test]
fn messages_come_to_who_asked_for_them_with_rising_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path());
    let mut all = rig.client();
    let answer =
        all.ask(json!({"op": "subscribe", "id": 1, "channels": ["signals", "candles", "trades", "gaps"]}));
    let start = rig.start;
    assert_eq!(
        answer,
        json!({"type": "subscribed", "id": 1, "channels": ["signals", "candles", "trades", "gaps"], "seq": start})
    );
    let mut few = rig.client();
    few.ask(json!({"op": "subscribe", "id": "x", "channels": ["signals"], "instruments": ["coinbase:*"],
        "kinds": ["anomaly", "direction"], "min_severity": "warning"}));

    rig.offer(vec![
        trade(0, 1),
        candle(0, 1),
        signal(0, 5, Severity::Critical),
        signal(2, 5, Severity::Info),
        signal(2, 6, Severity::Warning),
        signal(2, 7, Severity::Critical),
        gap(1, 8),
    ]);
    let heard: Vec<_> = (0..7).map(|_| all.next()).collect();
    let types: Vec<_> = heard.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["trade", "candle", "signal", "signal", "signal", "signal", "data_gap"]);
    let seqs: Vec<_> = heard.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (start + 1..=start + 7).collect::<Vec<_>>());
    assert_eq!(heard[0]["instrument"], "binance:BTC-USDT");
    assert_eq!(heard[0]["price"], "105944.2");
    assert_eq!(heard[1]["state"], "empty");
    assert_eq!(heard[2]["evidence"], json!({"volume": "12.5"}));
    assert_eq!((&heard[6]["kind"], &heard[6]["state"]), (&json!("ids"), &json!("open")));
    // Of `few`'s instrument: one too mild, one of the right kind, one of another kind.
    assert_eq!(few.next(), heard[4]);

    assert_eq!(few.ask(json!({"op": "ping", "id": 3})), json!({"type": "pong", "id": 3}));
    wait_until("clients are counted", || rig.metrics.feed_clients.get() == 2);
    wait_until("latency is recorded", || {
        let report = rig.latency.report().stages;
        [Stage::Feed, Stage::Total].iter().all(|&stage| report[stage as usize].1.len() == 8)
    });
}

#[test]
fn what_is_asked_wrongly_is_answered_and_costs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path());
    rig.offer(vec![candle(0, 1)]);
    let mut client = rig.client();
    client.subscribe(&["candles"], None);
    let mut check = |text: &str, id: Value, code: &str| {
        client.say_text(text);
        let answer = client.next();
        assert_eq!(
            (&answer["type"], &answer["id"], &answer["code"]),
            (&json!("error"), &id, &json!(code)),
            "{text}"
        );
        assert!(!answer["message"].as_str().unwrap().is_empty());
    };
    check("{", Value::Null, "bad_request");
    check("", Value::Null, "bad_request");
    check(r#"{"op":"fly","id":4}"#, json!(4), "bad_request");
    check(r#"{"op":"subscribe","id":5}"#, json!(5), "bad_request");
    check(
        r#"{"op":"subscribe","id":6,"channels":["signals"],"instruments":["okx:BTC-USDT"]}"#,
        json!(6),
        "unknown_instrument",
    );
    check(r#"{"op":"subscribe","id":7,"channels":["signals"],"after":99999999999}"#, json!(7), "bad_after");
    for id in 0..8 {
        client.say(json!({"op": "subscribe", "id": id, "channels": ["signals", "trades", "gaps", "status", "anomalies",
            "forecasts", "indicators", "candles"], "instruments": ["coinbase:*"],
            "kinds": ["anomaly"], "min_severity": "info"}));
        assert_eq!(client.next()["type"], "subscribed");
    }
    rig.offer(vec![candle(1, 2)]);
    assert_eq!(client.next()["revision"], 2, "still subscribed");
}

#[test]
fn there_are_not_more_subscriptions_than_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let mut sizes = Sizes::default();
    sizes.config.subscriptions_max = 3;
    let rig = Rig::with(dir.path(), sizes, &roster());
    let mut client = rig.client();
    let names = ["binance:BTC-USDT", "binance:ETH-USDT", "coinbase:BTC-USD"];
    for name in names {
        let answer = client.ask(json!({"op": "subscribe", "channels": ["signals"], "instruments": [name]}));
        assert_eq!(answer["type"], "subscribed");
    }
    let answer = client.ask(json!({"op": "subscribe", "id": 9, "channels": ["candles"]}));
    assert_eq!((&answer["code"], &answer["id"]), (&json!("too_many_subscriptions"), &json!(9)));
    let answer = client.ask(json!({"op": "subscribe", "channels": ["signals"]}));
    assert_eq!(answer["type"], "subscribed", "one takes the place of three");
    assert_eq!(client.ask(json!({"op": "unsubscribe", "id": 10}))["type"], "unsubscribed");
    rig.offer(vec![signal(0, 1, Severity::Info)]);
    assert_eq!(client.ask(json!({"op": "ping", "id": 11}))["type"], "pong");
}

#[test]
fn one_that_asks_too_much_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut sizes = Sizes::default();
    sizes.config.requests_per_second = 10;
    let rig = Rig::with(dir.path(), sizes, &roster());
    let mut client = rig.client();
    for id in 0..100 {
        if client
            .socket
            .send(tokio_tungstenite::tungstenite::Message::text(json!({"op": "ping", "id": id}).to_string()))
            .is_err()
        {
            break;
        }
    }
    assert_eq!(client.close_code(), 1008);
}

#[test]
fn no_more_clients_than_allowed_and_places_are_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut sizes = Sizes::default();
    sizes.config.clients_max = 2;
    let rig = Rig::with(dir.path(), sizes, &roster());
    let one = rig.client();
    let two = rig.client();
    let door = rig.feed.as_ref().unwrap().door();
    assert!(door.place().is_none());
    assert!(door.place().is_none(), "a refusal takes no place");
    drop((one, two));
    wait_until("places are free", || rig.metrics.feed_clients.get() == 0);
    wait_until("a place is given", || door.place().is_some());
}

#[test]
fn parts_of_the_process_are_told_on_status() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path());
    let mut client = rig.client();
    client.subscribe(&["status"], Some(0));
    let first = client.next();
    assert_eq!(
        (&first["type"], &first["part"], &first["condition"]),
        (&json!("status"), &json!("feed"), &json!("up"))
    );
    rig.health.set("venue:binance", Condition::Down, "connection \"lost\"");
    let told = std::iter::repeat_with(|| client.next()).find(|told| told["part"] != "rig").unwrap();
    assert_eq!((&told["part"], &told["reason"]), (&json!("venue:binance"), &json!("connection \"lost\"")));
    assert!(told["seq"].as_u64() > first["seq"].as_u64());
}

#[test]
fn a_restart_continues_the_numbers_and_tells_only_what_was_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path());
    let mut client = rig.client();
    client.subscribe(&["signals", "candles"], None);
    let told = |at| vec![candle(0, at), signal(0, at, Severity::Warning), signal(1, at, Severity::Warning)];
    for at in 1..=5 {
        rig.offer(told(at));
    }
    let before: Vec<_> = (0..15).map(|_| client.next()).collect();
    let seqs: Vec<_> = before.iter().map(|m| m["seq"].as_u64().unwrap()).collect();
    let killed = tempfile::tempdir().unwrap();
    copy_as_killed(dir.path(), killed.path());
    drop(rig);

    let rig = Rig::new(killed.path());
    // The journal's tail is computed again: 3 to 5 were told, 6 was not.
    for at in 3..=6 {
        rig.offer_batch(told(at), true);
    }
    rig.offer(told(7));
    let mut client = rig.client();
    client.subscribe(&["signals", "candles"], Some(seqs[12]));
    let after: Vec<_> = (0..8).map(|_| client.next()).collect();
    assert_eq!(after[..2], before[13..], "the bytes of a number are the same");
    let revisions: Vec<_> =
        after.iter().filter(|m| m["type"] == "candle").map(|m| m["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, [6, 7]);
    assert!(after[2]["seq"].as_u64().unwrap() > seqs[14]);
    let mut from_the_beginning = rig.client();
    from_the_beginning.subscribe(&["signals", "candles"], Some(0));
    let all: Vec<_> = (0..21).map(|_| from_the_beginning.next()).collect();
    assert_eq!(all[..15], before);
    assert_eq!(all[15..], after[2..]);
}

#[test]
fn trades_come_from_the_ring_and_what_it_forgot_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::with(dir.path(), Sizes { ring: 10, ..Sizes::default() }, &roster());
    for at in 1..=30 {
        rig.offer(vec![trade(0, at)]);
        if at % 10 == 0 {
            rig.offer(vec![candle(0, at)]);
        }
    }
    // Numbers, from the start on: trades 1-10, candle 11, trades 12-21, candle 22, trades 23-32, candle 33.
    let mut client = rig.client();
    let start = rig.start;
    client.subscribe(&["trades", "candles"], Some(start + 3));
    let relative = |seq: &Value| seq.as_u64().unwrap() - start;
    let mut heard = Vec::new();
    for _ in 0..15 {
        let message = client.next();
        heard.push(match message["type"].as_str().unwrap() {
            "gap" => {
                assert_eq!(message["reason"], "not_kept");
                format!("gap {} {}", relative(&message["from_seq"]), relative(&message["to_seq"]))
            }
            kind => format!("{kind} {}", relative(&message["seq"])),
        });
    }
    let mut expected =
        vec!["gap 4 10".to_owned(), "candle 11".to_owned(), "gap 12 21".to_owned(), "candle 22".to_owned()];
    expected.extend((23..=32).map(|seq| format!("trade {seq}")));
    expected.push("candle 33".to_owned());
    assert_eq!(heard, expected);

    // Who does not ask for trades misses nothing.
    let mut client = rig.client();
    client.subscribe(&["candles"], Some(start + 3));
    let seqs: Vec<_> = (0..3).map(|_| relative(&client.next()["seq"])).collect();
    assert_eq!(seqs, [11, 22, 33]);

    // After a restart the ring is empty; the gap ends where the numbers go on.
    let killed = tempfile::tempdir().unwrap();
    copy_as_killed(dir.path(), killed.path());
    drop(rig);
    let rig = Rig::new(killed.path());
    let mut client = rig.client();
    client.subscribe(&["trades"], Some(start + 32));
    let gap = client.next();
    assert_eq!((&gap["type"], &gap["from_seq"]), (&json!("gap"), &json!(start + 33)));
    rig.offer(vec![trade(0, 31)]);
    let next = client.next();
    assert!(next["seq"].as_u64().unwrap() > gap["to_seq"].as_u64().unwrap());
}

#[test]
fn what_the_log_has_dropped_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let log = FeedLogOptions { keep_bytes: 20_000, segment_bytes: 4_000 };
    let rig = Rig::with(dir.path(), Sizes { log, ..Sizes::default() }, &roster());
    let mut witness = rig.client();
    witness.subscribe(&["candles"], None);
    for at in 1..=200 {
        rig.offer(vec![candle(0, at)]);
        // One commit each, so that segments are as small as asked.
        witness.next();
    }
    let mut client = rig.client();
    client.subscribe(&["candles"], Some(0));
    let gap = client.next();
    assert_eq!(
        (&gap["type"], &gap["from_seq"], &gap["reason"]),
        (&json!("gap"), &json!(1), &json!("not_kept"))
    );
    let last_missing = gap["to_seq"].as_u64().unwrap();
    assert!((50..200).contains(&last_missing), "{last_missing}");
    for seq in last_missing + 1..=rig.start + 200 {
        assert_eq!(client.next()["seq"], seq);
    }
}

#[test]
fn another_subscription_catches_up_without_repeating_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path());
    let mut client = rig.client();
    client.subscribe(&["candles"], None);
    let start = rig.start;
    let seqs = |client: &mut Client, count: u64| -> Vec<u64> {
        (0..count).map(|_| client.next()["seq"].as_u64().unwrap() - start).collect()
    };
    for at in 1..=3 {
        rig.offer(vec![candle(0, at), signal(0, at, Severity::Info)]);
    }
    assert_eq!(seqs(&mut client, 3), [1, 3, 5]);
    client.subscribe(&["candles", "signals"], Some(0));
    assert_eq!(seqs(&mut client, 3), [2, 4, 6]);
    rig.offer(vec![candle(0, 4), signal(0, 4, Severity::Info)]);
    assert_eq!(seqs(&mut client, 2), [7, 8]);
}

fn slow_sizes() -> Sizes {
    let mut sizes = Sizes::default();
    sizes.config.backlog_messages_max = 500;
    sizes
}

/// Tells trades until the client, which does not read, is too slow.
fn overwhelm(rig: &Rig) -> u64 {
    let mut at = 0;
    let dropped = rig.metrics.queue("feed_clients").dropped;
    wait_until("a client is too slow", || {
        rig.offer((0..200).map(|n| trade(0, at + n)).collect());
        at += 200;
        dropped.get() > 0
    });
    at
}

#[test]
fn a_slow_client_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::with(dir.path(), slow_sizes(), &roster());
    let mut slow = rig.client();
    slow.subscribe(&["trades"], None);
    let mut quick = rig.client();
    quick.subscribe(&["gaps"], None);
    let told = overwhelm(&rig);
    rig.offer(vec![gap(0, told)]);
    assert_eq!(quick.next()["type"], "data_gap", "nobody else notices");
    assert_eq!(slow.close_code(), 1013);
}

#[test]
fn a_slow_client_that_prefers_it_gets_one_gap_and_the_tail() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::with(dir.path(), slow_sizes(), &roster());
    let mut slow = rig.client();
    slow.ask(json!({"op": "subscribe", "channels": ["trades", "gaps"], "on_slow": "conflate"}));
    overwhelm(&rig);
    let (mut last, mut gaps) = (rig.start, 0);
    // Reads what was on the way; then the gap; then what is told after it.
    loop {
        let message = slow.next();
        if message["type"] == "gap" {
            assert_eq!(message["reason"], "slow_client");
            assert_eq!(message["from_seq"].as_u64().unwrap(), last + 1);
            last = message["to_seq"].as_u64().unwrap();
            gaps += 1;
            break;
        }
        let seq = message["seq"].as_u64().unwrap();
        assert_eq!(seq, last + 1);
        last = seq;
    }
    rig.offer(vec![gap(0, 1)]);
    assert_eq!(slow.next()["seq"].as_u64().unwrap(), last + 1);
    assert_eq!(gaps, 1);
}

#[test]
fn a_client_that_catches_up_is_not_too_slow() {
    let dir = tempfile::tempdir().unwrap();
    let mut sizes = slow_sizes();
    sizes.config.backlog_messages_max = 50;
    let rig = Rig::with(dir.path(), sizes, &roster());
    for at in 0..100 {
        rig.offer((0..100).map(|n| candle(0, at * 100 + n)).collect());
    }
    let mut probe = rig.client();
    wait_until("all is told", || probe.subscribe(&["gaps"], None)["seq"] == json!(rig.start + 10_000));
    let mut client = rig.client();
    client.subscribe(&["candles"], Some(0));
    for seq in 1..=10_000_u64 {
        assert_eq!(client.next()["seq"], rig.start + seq);
    }
    assert_eq!(client.ask(json!({"op": "ping", "id": 1}))["type"], "pong");
}

#[test]
fn barriers_are_reached_once_all_before_them_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path());
    rig.offer(vec![candle(0, 1)]);
    let (barrier, reached) = Barrier::new(1);
    rig.feed.as_ref().unwrap().sink().mark(barrier);
    assert_eq!(reached.recv_timeout(PATIENCE), Ok("feed"));
    let killed = tempfile::tempdir().unwrap();
    copy_as_killed(dir.path(), killed.path());
    let rig = Rig::new(killed.path());
    let mut client = rig.client();
    client.subscribe(&["candles"], Some(0));
    assert_eq!(client.next()["revision"], 1);
}

#[test]
fn a_feed_that_stops_sends_what_it_has_and_says_goodbye() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(dir.path());
    let mut client = rig.client();
    client.subscribe(&["candles"], None);
    rig.offer((0..500).map(|at| candle(0, at)).collect());
    let feed = rig.feed.take().unwrap();
    let stopping = std::thread::spawn(move || feed.stop());
    for seq in 1..=500_u64 {
        assert_eq!(client.next()["seq"], rig.start + seq);
    }
    assert_eq!(client.close_code(), 1001);
    stopping.join().unwrap();
}

/// A masked frame of a client, as raw bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let mask = [0x11, 0x22, 0x33, 0x44];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    out
}

/// What the server closes with after these bytes; 0 where it just ends the connection.
fn closed_with(rig: &Rig, bytes: &[u8]) -> u16 {
    let client = rig.client();
    let mut socket: &TcpStream = client.socket.get_ref();
    let _ = socket.write_all(bytes);
    let mut read = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
    // The close frame is the last, and short.
    let at = read.windows(2).rposition(|two| two[0] == 0x88 && usize::from(two[1]) + 2 <= read.len());
    at.map_or(0, |at| u16::from_be_bytes([read[at + 2], read[at + 3]]))
}

#[test]
fn violations_close_with_their_code_and_cost_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path());
    let mut witness = rig.client();
    witness.subscribe(&["candles"], None);
    let text = |payload: &[u8]| frame(0x81, payload);
    let big = vec![b' '; 64 << 10];
    let mut fragments = frame(0x01, &big);
    fragments.extend(frame(0x80, b"x"));
    let mut half = frame(0x01, b"{");
    half.extend(frame(0x81, b"}"));
    let unmasked = [&[0x81, 2][..], b"{}"].concat();
    for (name, bytes, code) in [
        ("larger than 64 KiB", text(&[&big[..], b"x"].concat()), 1009),
        (
            "a head that promises more",
            [&[0x81, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat(),
            1009,
        ),
        ("fragments together larger", fragments, 1009),
        ("no UTF-8", text(&[0xff, 0xfe]), 1007),
        ("not masked", unmasked, 1002),
        ("reserved bits", frame(0xc1, b"{}"), 1002),
        ("an unknown opcode", frame(0x83, b"{}"), 1002),
        ("a continuation of nothing", frame(0x80, b"{}"), 1002),
        ("a message inside of fragments", half, 1002),
        ("a long ping", frame(0x89, &[0; 126]), 1002),
        ("a ping in fragments", frame(0x09, b""), 1002),
        ("a normal close", frame(0x88, &1000_u16.to_be_bytes()), 1000),
        ("a close with a code that must not be sent", frame(0x88, &1005_u16.to_be_bytes()), 1002),
    ] {
        assert_eq!(closed_with(&rig, &bytes), code, "{name}");
    }
    // Exactly as large as allowed: no JSON, but no violation.
    let mut client = rig.client();
    client.say_text(&" ".repeat(64 << 10));
    assert_eq!(client.next()["code"], "bad_request");

    let seed = 20_261_121_u64;
    println!("seed {seed}");
    let mut random = seed;
    for _ in 0..60 {
        let bytes: Vec<u8> = (0..splitmix(random) % 400)
            .map(|at| {
                random = splitmix(random ^ at);
                random as u8
            })
            .collect();
        random = splitmix(random);
        let client = rig.client();
        let mut socket: &TcpStream = client.socket.get_ref();
        let _ = socket.write_all(&bytes);
    }
    rig.offer(vec![candle(0, 1)]);
    assert_eq!(witness.next()["revision"], 1);
    wait_until("they are gone", || rig.metrics.feed_clients.get() <= 2);
}

/// One thing told, as a client can recognise it: type, instrument and cause.
type Told = (String, String, u64);

fn identity(message: &Value) -> Told {
    let kind = message["type"].as_str().unwrap().to_owned();
    let at = match &*kind {
        "trade" => message["trade_id"].as_str().unwrap().parse().unwrap(),
        "candle" => message["revision"].as_u64().unwrap(),
        "signal" => message["cause_seq"].as_u64().unwrap(),
        _ => u64::from_str_radix(message["id"].as_str().unwrap(), 16).unwrap(),
    };
    (kind, message["instrument"].as_str().unwrap().to_owned(), at)
}

/// A client over all its connections.
struct Follower {
    channels: &'static [&'static str],
    /// The last number that it knows.
    after: u64,
    heard: Vec<(u64, Told)>,
    gaps: Vec<(u64, u64)>,
    connection: Option<Client>,
}

const FENCE: u64 = 1 << 40;

impl Follower {
    /// Reads up to the fence, or so many messages.
    fn read(&mut self, rig: &Rig, fence: u64, messages_max: u64) {
        let client = self.connection.get_or_insert_with(|| {
            let mut client = rig.client();
            client.subscribe(self.channels, Some(self.after));
            client
        });
        for _ in 0..messages_max {
            let message = client.next();
            if message["type"] == "gap" {
                let (from, to) = (message["from_seq"].as_u64().unwrap(), message["to_seq"].as_u64().unwrap());
                assert!(from > self.after && to >= from, "{message} after {}", self.after);
                self.gaps.push((from, to));
                self.after = to;
                continue;
            }
            let seq = message["seq"].as_u64().unwrap();
            assert!(seq > self.after, "{seq} after {}", self.after);
            self.after = seq;
            let told = identity(&message);
            let is_fence = told.2 == FENCE + fence;
            self.heard.push((seq, told));
            if is_fence {
                break;
            }
        }
    }
}

#[test]
fn whoever_comes_back_hears_everything_once_or_is_told_of_a_gap() {
    for seed in 0..12_u64 {
        check_resuming(seed);
    }
}

fn check_resuming(seed: u64) {
    let mut random = splitmix(seed.wrapping_mul(0x9e37));
    let mut below = move |limit: u64| {
        random = splitmix(random);
        random % limit
    };
    // One history, the same for every run of the engine: by position, what it tells.
    let mut history: Vec<Vec<Telling>> = Vec::new();
    let mut dir = tempfile::tempdir().unwrap();
    let ring = [20, 200, 65_536][below(3) as usize];
    let sizes = || Sizes {
        ring,
        log: FeedLogOptions { keep_bytes: u64::MAX, segment_bytes: 3_000 },
        config: FeedConfig { requests_per_second: 1_000_000, ..FeedConfig::default() },
    };
    let mut rig = Rig::with(dir.path(), sizes(), &roster());
    let mut followers: Vec<_> = [
        &["signals", "gaps"][..],
        &["candles", "signals", "gaps"],
        &["trades", "gaps"],
        &["trades", "candles", "signals", "gaps"],
    ]
    .into_iter()
    .map(|channels| Follower { channels, after: 0, heard: Vec::new(), gaps: Vec::new(), connection: None })
    .collect();

    for phase in 0..6 {
        for _ in 0..below(60) {
            let at = history.len() as u64 + 1;
            let mut tellings = Vec::new();
            for watch in 0..3 {
                let told = below(8);
                (0..told % 3).for_each(|n| tellings.push(trade(watch, at * 10 + n)));
                if told > 5 {
                    tellings.push(candle(watch, at));
                    tellings.push(signal(watch, at, Severity::Warning));
                }
            }
            tellings.iter_mut().for_each(|telling| telling.at.0 = at);
            history.push(tellings.clone());
            rig.offer(tellings);
            if below(30) == 0 {
                let follower = below(4) as usize;
                followers[follower].connection = None;
            }
        }
        let fence = vec![gap(0, FENCE + phase)];
        let mut fence_told = fence.clone();
        fence_told[0].at.0 = history.len() as u64 + 1;
        history.push(fence_told.clone());
        rig.offer(fence_told);
        for follower in &mut followers {
            // Some read all, some only a little, and some are away for a while.
            match below(4) {
                0 => follower.connection = None,
                1 if follower.connection.is_none() => {
                    let few = below(10);
                    if follower.after == 0 && history.len() > 30 && few > 0 {
                        follower.read(&rig, phase, 1);
                    }
                }
                _ => follower.read(&rig, phase, u64::MAX),
            }
        }
        if below(3) > 0 {
            // Whatever was told up to the fence is on the disk once somebody has heard the fence.
            let mut witness = rig.client();
            witness.subscribe(&["gaps"], Some(0));
            while identity(&witness.next()).2 != FENCE + phase {}
            let killed = tempfile::tempdir().unwrap();
            copy_as_killed(dir.path(), killed.path());
            followers.iter_mut().for_each(|follower| follower.connection = None);
            drop(witness);
            drop(rig);
            dir = killed;
            rig = Rig::with(dir.path(), sizes(), &roster());
            // The journal reaches a little further than what was told, and is computed from a snapshot.
            let from = below(history.len() as u64) as usize;
            for tellings in &history[from..] {
                rig.offer_batch(tellings.clone(), true);
            }
            let at = history.len() as u64 + 1;
            let mut more = vec![candle(1, at), signal(1, at, Severity::Info)];
            more.iter_mut().for_each(|telling| telling.at.0 = at);
            history.push(more.clone());
            rig.offer_batch(more, true);
        }
    }
    let fence = 999;
    let mut last = vec![gap(0, FENCE + fence)];
    last[0].at.0 = history.len() as u64 + 1;
    history.push(last.clone());
    rig.offer(last);

    for follower in &mut followers {
        follower.read(&rig, fence, u64::MAX);
        let mut expected: Vec<Told> = Vec::new();
        let mut names: BTreeMap<String, u64> = BTreeMap::new();
        for told in follower.heard.iter().filter(|(_, told)| told.0 != "trade") {
            *names.entry(format!("{:?}", told.1)).or_default() += 1;
        }
        assert!(names.values().all(|&count| count == 1), "seed {seed}: told twice: {names:?}");
        for telling in history.iter().flatten() {
            let (channel, at) = match &telling.told {
                tapewatch::domain::told::Told::Candle(candle) => ("candle", u64::from(candle.revision)),
                tapewatch::domain::told::Told::Signal(_) => ("signal", telling.cause_seq),
                tapewatch::domain::told::Told::Gap(gap) => ("data_gap", gap.id.0),
                _ => continue,
            };
            let wanted = match channel {
                "candle" => "candles",
                "signal" => "signals",
                _ => "gaps",
            };
            if follower.channels.contains(&wanted) {
                let name = roster().instrument(telling.watch).to_string();
                expected.push((channel.to_owned(), name, at));
            }
        }
        let heard: Vec<_> =
            follower.heard.iter().map(|(_, told)| told.clone()).filter(|told| told.0 != "trade").collect();
        assert_eq!(heard, expected, "seed {seed}: kept messages of {:?}", follower.channels);
        // Trades: in order, none twice, and each that is missing lies in a gap.
        if follower.channels.contains(&"trades") {
            check_trades(seed, follower, &history);
        } else {
            assert!(
                follower.gaps.is_empty(),
                "seed {seed}: nothing that is kept is missing: {:?}",
                follower.gaps
            );
        }
    }
}

fn check_trades(seed: u64, follower: &Follower, history: &[Vec<Telling>]) {
    // Between two neighbours of what it heard, the trades that were told between them.
    let mut expected = Vec::new();
    for telling in history.iter().flatten() {
        let name = roster().instrument(telling.watch).to_string();
        match &telling.told {
            tapewatch::domain::told::Told::Trade(trade) => {
                expected.push(("trade".to_owned(), name, trade.id.to_string().parse().unwrap()));
            }
            tapewatch::domain::told::Told::Gap(gap) => expected.push(("data_gap".to_owned(), name, gap.id.0)),
            _ => {}
        }
    }
    let heard: Vec<_> =
        follower.heard.iter().filter(|(_, told)| ["trade", "data_gap"].contains(&&*told.0)).collect();
    let mut at = 0;
    let mut seq_before = 0;
    for (seq, told) in heard {
        let found = expected[at..].iter().position(|expected| expected == told);
        let Some(skipped) = found else { panic!("seed {seed}: {told:?} out of order or twice") };
        if skipped > 0 {
            let is_told = follower.gaps.iter().any(|(from, to)| *to > seq_before && from < seq);
            assert!(is_told, "seed {seed}: {skipped} trades before {told:?} are missing without a gap");
        }
        at += skipped + 1;
        seq_before = *seq;
    }
}
