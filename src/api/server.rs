//! The HTTP server: one thread of its own, assembled here.
//!
//! Requests cost the shards nothing but the moments for which an instrument's lock is held. A connection that
//! sends its head too slowly is closed; so is one that is idle, and one that does not read its answers. Connections beyond the limit wait to be accepted.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::ServerHandle;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use crossbeam::channel::bounded;
use tokio::net::TcpStream;

use crate::api::door::door;
use crate::api::feed::service::FeedDoor;
use crate::api::feed::upgrade;
use crate::api::path;
use crate::api::routes;
use crate::api::socket::Socket;
use crate::api::state::Api;
use crate::runtime::health::Condition;

/// For the whole head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Whoever does not read an answer for so long is given up.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);
/// Requests that are being answered may take so long when the process stops.
const STOP_SECONDS: u64 = 5;
const KEYS_LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
const BLOCKING_THREADS: usize = 4;

/// The running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    health: crate::runtime::health::Health,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// Binds and starts; requests are answered from the moment it returns.
/// Without a feed its path is answered 503.
pub fn start(api: Api, feed: Option<FeedDoor>) -> io::Result<Server> {
    let listener = TcpListener::bind(api.config.listen)?;
    let address = listener.local_addr()?;
    let health = api.health.clone();
    let api = web::Data::new(api);
    let feed = feed.map(Arc::new);
    let (started, handle) = bounded(1);
    let thread = thread::Builder::new().name("api".to_owned()).spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            actix_web::rt::spawn(look_at_keys(api.clone()));
            let (connections_max, data) = (api.config.connections_max, api);
            // Not actix-web's own server: it has no way to let a socket go to the feed's thread.
            let server = actix_server::Server::build()
                .workers(1)
                .worker_max_blocking_threads(BLOCKING_THREADS)
                .max_concurrent_connections(connections_max)
                .shutdown_timeout(STOP_SECONDS)
                .disable_signals()
                .listen("api", listener, move || {
                    let app = App::new()
                        .app_data(data.clone())
                        .wrap(from_fn(door))
                        .configure(routes::configure)
                        .default_service(web::to(path::nowhere))
                        .into_factory()
                        .map_err(|error: actix_web::Error| error.error_response());
                    let (data, feed) = (data.clone(), feed.clone());
                    let service = HttpService::build()
                        .client_request_timeout(HEAD_TIME_MAX)
                        .client_disconnect_timeout(HEAD_TIME_MAX)
                        .keep_alive(IDLE_TIME_MAX)
                        .upgrade(fn_service(move |(request, framed)| {
                            upgrade::upgrade(request, framed, data.clone(), feed.clone())
                        }))
                        .finish(map_config(app, |()| AppConfig::default()));
                    fn_service(|io: TcpStream| async move {
                        // Answers are written whole: waiting for more of them would only delay the last piece.
                        let _ = io.set_nodelay(true);
                        let peer = io.peer_addr().ok();
                        Ok::<_, DispatchError>((Socket::new(io, WRITE_TIME_MAX), Protocol::Http1, peer))
                    })
                    .and_then(service)
                })?
                .run();
            // Whoever started us waits for it.
            let _ = started.send(server.handle());
            server.await
        })
    })?;
    match handle.recv() {
        Ok(handle) => {
            health.set("api", Condition::Up, "");
            tracing::info!(%address, "api listens");
            Ok(Server { address, handle, health, thread: Some(thread) })
        }
        Err(_) => Err(thread.join().map_or_else(
            |_| io::Error::other("the server's thread panicked"),
            |result| result.err().unwrap_or_else(|| io::Error::other("the server ended at once")),
        )),
    }
}

async fn look_at_keys(api: web::Data<Api>) {
    loop {
        tokio::time::sleep(KEYS_LOOKED_AT_EVERY).await;
        match api.keys.refresh() {
            Ok(true) => tracing::info!("keys were read anew"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "keys cannot be read anew, the old ones count"),
        }
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what is being asked, and ends.
    pub async fn stop(&self) {
        self.handle.stop(true).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without waiting: whoever wants requests answered has called `stop` before.
        drop(self.handle.stop(false));
        self.health.set("api", Condition::Down, "stopped");
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "api ended with an error"),
                Err(_) => tracing::error!("the api's thread panicked"),
            }
        }
    }
}
