//! Follows tapewatch's signals, and misses none: a restart of either side is no loss.
//!
//! `cargo run --example feed_client -- [ws://127.0.0.1:8080/api/v1/feed] [after]`
//!
//! The core is five lines: remember the last `seq`, and give it back as `after`. Prints one JSON message a
//! line.

use std::env;
use std::time::Duration;

use serde_json::{Value, json};
use tapewatch::runtime::clock;
use tokio_tungstenite::tungstenite::{Error, Message, connect};

fn main() {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:8080/api/v1/feed".to_owned());
    let mut after = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    loop {
        if let Err(error) = follow(&url, &mut after) {
            eprintln!("connection lost ({error}), trying again");
        }
        clock::sleep(Duration::from_millis(200));
    }
}

fn follow(url: &str, after: &mut u64) -> Result<(), Error> {
    let (mut feed, _) = connect(url)?;
    let subscribe = json!({"op": "subscribe", "id": 1, "channels": ["signals"], "after": *after});
    feed.send(Message::text(subscribe.to_string()))?;
    loop {
        let Message::Text(text) = feed.read()? else { continue };
        let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
        if ["signal", "gap", "error"].iter().any(|kind| message["type"] == *kind) {
            println!("{text}");
        }
        *after = message["to_seq"].as_u64().or(message["seq"].as_u64()).unwrap_or(*after);
    }
}
