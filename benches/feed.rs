//! What the feed costs beside what its sockets alone cost, as ratios within one run.
//!
//! `out / echo`: a frame into a shard's thread, out of the feed as a `trades` message at a client, beside an
//! echo with the same library; above 1.3 at p99 a message waits for something that it should not wait for.
//! `delivery / broadcast`: CPU time of the feed's thread for a message at one of 1,000 clients, beside a bare
//! broadcast of the same bytes that writes together what waits; above 1.2 the feed's bookkeeping shows.
//! `stalled`: p99 at the others while a tenth of the clients does not read, beside without them; above 1.1 a
//! slow client costs its neighbours. With `--test` all runs small.

#[path = "../tests/common_feed/mod.rs"]
mod common_feed;

use std::fs;
use std::hint::black_box;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common_feed::{Client, Rig, Sizes, roster, trade};
use cpu_time::ThreadTime;
use serde_json::json;
use tapewatch::runtime::clock::{self, Mono};
use tapewatch::runtime::sink::Batch;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, accept, client};

const FRAME: &str = r#"{"e":"trade","E":1714521600000,"s":"BTCUSDT","t":3000000000,"p":"60123.45000000","q":"0.00100000","T":1714521600000,"m":true,"M":true,"padding":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#;

fn main() {
    let small = !std::env::args().any(|argument| argument == "--bench");
    let (messages, clients, rounds) = if small { (200, 20, 20) } else { (20_000, 1_000, 200) };
    println!("latency of {messages} messages at 2,000 a second");
    latency(messages);
    println!("broadcast to {clients} clients");
    for together in [1, 16] {
        broadcast(clients, rounds, together);
    }
    println!("a tenth of {clients} clients stalled");
    stalled(clients, messages / 10);
}

fn percentile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    values[((values.len() - 1) as f64 * share) as usize]
}

fn pause_until(due: u64, begun: Mono) {
    while Mono::now().nanos_since(begun) < due {
        clock::sleep(Duration::from_micros(20));
    }
}

fn pair() -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || accept(listener.accept().unwrap().0).unwrap());
    let stream = TcpStream::connect(address).unwrap();
    let (mut one, _) = client(format!("ws://{address}/"), stream).unwrap();
    let mut other = server.join().unwrap();
    one.get_mut().set_nodelay(true).unwrap();
    other.get_mut().set_nodelay(true).unwrap();
    (one, other)
}

/// Frame in to message out, and echo, one beside the other.
fn latency(messages: u64) {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path());
    let sink = rig.feed.as_ref().unwrap().sink();
    let (mut venue, mut shard) = pair();
    thread::spawn(move || {
        let mut at = 0;
        while let Ok(Message::Text(text)) = shard.read() {
            black_box(text);
            at += 1;
            let batch = Batch { tellings: vec![trade(0, at)], published: Mono::now(), recovered: false };
            sink.offer(&Arc::new(batch));
        }
    });
    let (mut asker, mut echoer) = pair();
    thread::spawn(move || {
        while let Ok(message) = echoer.read() {
            if echoer.send(message).is_err() {
                break;
            }
        }
    });
    let mut client = rig.client();
    client.subscribe(&["trades"], None);
    let (mut out, mut echo) = (Vec::new(), Vec::new());
    let begun = Mono::now();
    for n in 0..messages {
        pause_until(n * 500_000, begun);
        let sent = Mono::now();
        venue.send(Message::text(FRAME)).unwrap();
        black_box(client.socket.read().unwrap());
        out.push(Mono::now().nanos_since(sent));
        let sent = Mono::now();
        asker.send(Message::text(FRAME)).unwrap();
        black_box(asker.read().unwrap());
        echo.push(Mono::now().nanos_since(sent));
    }
    for share in [0.5, 0.99] {
        let (out, echo) = (percentile(&mut out, share), percentile(&mut echo, share));
        println!("  p{}: out {out} ns, echo {echo} ns, ratio {:.2}", share * 100.0, out as f64 / echo as f64);
    }
}

/// Reads from all sockets, whatever comes, until it is told to stop.
fn drain(sockets: Vec<TcpStream>, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    for socket in &sockets {
        socket.set_nonblocking(true).unwrap();
    }
    thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while !stop.load(Ordering::Relaxed) {
            for mut socket in &sockets {
                while matches!(socket.read(&mut bytes), Ok(1..)) {}
            }
            clock::sleep(Duration::from_millis(1));
        }
    })
}

/// CPU time of the thread of that name, in clock ticks of 10 ms.
fn cpu_ticks(name: &str) -> u64 {
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
        let Some((head, rest)) = stat.rsplit_once(')') else { continue };
        if head.ends_with(&format!("({name}")) {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            return fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    panic!("no thread {name}");
}

fn many(rig: &Rig, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|_| {
            let mut client = rig.client();
            client.subscribe(&["trades"], None);
            client.socket.get_ref().try_clone().unwrap()
        })
        .collect()
}

fn broadcast(clients: usize, rounds: u64, together: u64) {
    let deliveries = clients as u64 * rounds * together;
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::with(dir.path(), Sizes::default(), &roster());
    let stop = Arc::new(AtomicBool::new(false));
    let drained = drain(many(&rig, clients), stop.clone());
    let before = (cpu_ticks("feed"), rig.metrics.feed_messages.get());
    for round in 0..rounds {
        rig.offer((0..together).map(|n| trade(0, round * together + n)).collect());
        while rig.metrics.feed_messages.get() - before.1 < (round + 1) * together * clients as u64 {
            clock::sleep(Duration::from_micros(50));
        }
    }
    let feed_ns = (cpu_ticks("feed") - before.0) * 10_000_000;
    stop.store(true, Ordering::Relaxed);
    drained.join().unwrap();
    drop(rig);

    let text = "x".repeat(250);
    let (mut servers, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..clients {
        let (end, mut server) = pair();
        server.get_mut().set_nonblocking(true).unwrap();
        servers.push(server);
        ends.push(end.get_ref().try_clone().unwrap());
    }
    let stop = Arc::new(AtomicBool::new(false));
    let drained = drain(ends, stop.clone());
    let cpu = ThreadTime::now();
    for _ in 0..rounds {
        let message = Message::text(text.clone());
        for server in &mut servers {
            for _ in 0..together {
                server.write(message.clone()).unwrap();
            }
            match server.flush() {
                Ok(()) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    let bare_ns = cpu.elapsed().as_nanos() as u64;
    stop.store(true, Ordering::Relaxed);
    drained.join().unwrap();
    println!(
        "  {together} together: feed {} ns, bare {} ns a delivery, ratio {:.2}",
        feed_ns / deliveries,
        bare_ns / deliveries,
        feed_ns as f64 / bare_ns as f64
    );
}

/// Latency at one client, while most others read and some do not.
fn stalled(clients: usize, messages: u64) {
    let p99 = |stalled: usize| {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::with(dir.path(), Sizes::default(), &roster());
        let mut sockets = many(&rig, clients);
        let stalling = sockets.split_off(clients - stalled);
        let stop = Arc::new(AtomicBool::new(false));
        let drained = drain(sockets, stop.clone());
        let mut witness: Client = rig.client();
        witness.ask(json!({"op": "subscribe", "channels": ["trades"]}));
        // Their sockets are full before it is measured.
        for at in 0..if stalled > 0 { 60 } else { 0 } {
            rig.offer((0..256).map(|n| trade(0, at * 256 + n)).collect());
            for _ in 0..256 {
                black_box(witness.socket.read().unwrap());
            }
        }
        let mut values = Vec::new();
        let begun = Mono::now();
        for n in 0..messages {
            pause_until(n * 10_000_000, begun);
            let sent = Mono::now();
            rig.offer(vec![trade(0, n)]);
            black_box(witness.socket.read().unwrap());
            values.push(Mono::now().nanos_since(sent));
        }
        stop.store(true, Ordering::Relaxed);
        drained.join().unwrap();
        drop(stalling);
        percentile(&mut values, 0.99)
    };
    let (without, with) = (p99(0), p99(clients / 10));
    println!("  p99 without {without} ns, with {with} ns, ratio {:.2}", with as f64 / without as f64);
}
