//! What venues say beside trades, and what REST answers, from any text: nothing panics, what is read is sound.
//!
//! The first byte picks the feed, the second the question; the rest is the text.

use tapewatch::domain::interval::Interval;
use tapewatch::domain::time::UnixNanos;
use tapewatch::venues::dialect::{Answer, Ask};
use tapewatch::venues::dialects::DIALECTS;

pub fn run(bytes: &[u8]) {
    let [feed, question, text @ ..] = bytes else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let dialect = (DIALECTS[usize::from(*feed) % DIALECTS.len()].make)();
    let _ = (dialect.control(text), dialect.is_snapshot(text), dialect.twin(text));
    let spelling = "BTC-USD".to_owned();
    let interval = "1m".parse::<Interval>().unwrap().time().unwrap();
    let asks = [
        Ask::Time,
        Ask::Listings,
        Ask::Trades { spelling: spelling.clone(), first_id: 7, limit: 100 },
        Ask::Latest { spelling, limit: 10 },
        Ask::Klines { spelling: text.to_owned(), interval, from: UnixNanos(0), to: UnixNanos(i64::MAX) },
    ];
    let ask = &asks[usize::from(*question >> 2) % asks.len()];
    for request in dialect.requests(ask) {
        assert!(request.path.starts_with('/') && request.path.is_ascii());
    }
    for status in [400, 404, 418, 429, 500] {
        let _ = dialect.error(status, text);
    }
    match dialect.answer(ask, usize::from(*question & 1), text) {
        Ok(Answer::Time(at)) => assert!(at.plausible().is_ok()),
        Ok(Answer::Trades(page)) => {
            for trade in page.trades {
                assert!(!trade.price.decimal().is_zero() && !trade.quantity.decimal().is_zero());
                assert!(trade.exchange_at.plausible().is_ok());
            }
        }
        Ok(Answer::Listings(_) | Answer::Klines(_)) | Err(_) => {}
    }
}
