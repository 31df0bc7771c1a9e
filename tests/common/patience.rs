//! Opening what another test's program may hold for a moment.

use std::time::Duration;

use tapewatch::engine::error::EngineError;

/// Opens until nobody else holds it. A program that a test beside this one starts has our locks too, from its fork until
/// it is another program: what was just let go, or is locked twice in a row, may be refused meanwhile.
pub async fn patiently<T>(mut open: impl AsyncFnMut() -> Result<T, EngineError>) -> T {
    for _ in 0..600 {
        match open().await {
            Err(error) if error.is_refusal() => tokio::time::sleep(Duration::from_millis(100)).await,
            opened => return opened.unwrap(),
        }
    }
    panic!("it stays locked");
}
