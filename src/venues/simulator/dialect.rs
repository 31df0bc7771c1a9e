//! A venue's words and manners, as a simulated venue speaks them.

use crate::venues::simulator::http::{Request, Response};
use crate::venues::simulator::world::World;

/// One venue's protocol. Keeps what it knows of each connection by its number.
pub trait Dialect {
    /// How a client writes `BASE-QUOTE`.
    fn spell(&self) -> fn(&str) -> String;

    /// How often the server pings, and how long it waits for the answer; nanoseconds.
    fn ping(&self) -> Option<(u64, u64)>;

    /// A socket was opened at this address, which may be refused; sends what comes unasked.
    fn opened(&mut self, world: &mut World, connection: usize, request: &Request) -> Result<(), Response>;

    /// A message.
    fn heard(&mut self, world: &mut World, connection: usize, text: &str);

    /// A trade is told to whoever subscribed.
    fn publish(&mut self, world: &mut World, market: usize, id: u64);

    /// Time passes: heartbeats, batches, deadlines. About every 50 ms.
    fn beat(&mut self, world: &mut World);

    /// What the venue says before it cuts a connection that has lived too long.
    fn farewell(&mut self, world: &mut World, connection: usize);

    /// Answers a request that no fault has met.
    fn answer(&mut self, world: &mut World, request: &Request) -> Response;

    /// Says that there were too many requests.
    fn too_many(&self, retry_after_seconds: u64) -> Response;
}
