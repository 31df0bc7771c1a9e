//! What clients say, from any text: messages to the feed, parameters of REST, cursors of pages.

use std::sync::LazyLock;

use tapewatch::api::feed::request;
use tapewatch::api::query::{self, Query};
use tapewatch::domain::interval::Interval;
use tapewatch::domain::told::Roster;
use tapewatch::storage::cursor::Place;

const PARAMETERS: [&str; 6] = ["after", "from", "instrument", "interval", "limit", "open"];
static ROSTER: LazyLock<Roster> =
    LazyLock::new(|| Roster::new(["binance:BTC-USDT", "coinbase:BTC-USD"].map(|name| name.parse().unwrap())));
static COMPUTED: LazyLock<[Interval; 3]> =
    LazyLock::new(|| ["1s", "1m", "ticks:1000"].map(|text| text.parse().unwrap()));

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(refusal) = request::parse(text, &ROSTER) {
        assert!(!refusal.message.is_empty() && refusal.message.len() < 4_096, "{}", refusal.message.len());
        serde_json::from_str::<serde_json::Value>(&refusal.id).expect("an id goes back as JSON");
    }
    match Query::parse(text, &PARAMETERS) {
        Ok(query) => {
            if let Ok(span) = query.span() {
                assert!((1..=query::LIMIT_MAX).contains(&span.limit));
            }
            let _ = (query.interval(&*COMPUTED), query.instrument(&ROSTER), query.boolean("open"));
        }
        Err(problem) => assert!(problem.status().is_client_error() && problem.body().len() < 4_096),
    }
    for kind in ['c', 'i', 's'] {
        if let Ok(place) = Place::parse(kind, text) {
            assert_eq!(Place::parse(kind, &place.print(kind)).ok(), Some(place));
        }
    }
}
