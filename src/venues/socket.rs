//! A websocket to a venue: opened within a deadline, with limits on what it may send us.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::venues::error::SocketError;
use crate::venues::rest::install_tls;

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Trades come in frames of a few hundred bytes, snapshots in some ten thousand.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// What waits to be sent is ours alone: subscriptions and pongs.
const SEND_BYTES_MAX: usize = 1 << 20;
/// Bytes read at once: some forty trades. (As many are zeroed before each read, so that more would cost more than they save.)
const READ_BYTES: usize = 8 << 10;
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// Opens a socket to `address`, `wss://` or `ws://`.
pub async fn open(address: &str) -> Result<Socket, SocketError> {
    match tokio::time::timeout(OPEN_LIMIT, connect(address)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(why)) => Err(SocketError::Connect { address: address.to_owned(), why }),
        Err(_) => Err(SocketError::Slow { address: address.to_owned(), limit: OPEN_LIMIT }),
    }
}

async fn connect(address: &str) -> Result<Socket, String> {
    let request = address.into_client_request().map_err(|e| e.to_string())?;
    let uri = request.uri();
    let is_tls = uri.scheme_str() == Some("wss");
    let host = uri.host().ok_or("the address names no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|e| e.to_string())?;
    // A pong that waits for more bytes is late for nothing.
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .max_write_buffer_size(SEND_BYTES_MAX)
        .read_buffer_size(READ_BYTES);
    let connector = if is_tls { Connector::Rustls(tls()?) } else { Connector::Plain };
    let opened = client_async_tls_with_config(request, stream, Some(config), Some(connector)).await;
    opened.map(|(socket, _)| socket).map_err(|e| e.to_string())
}

/// Made once: reading the system's roots takes long, and a shard computes meanwhile.
pub fn tls() -> Result<Arc<rustls::ClientConfig>, String> {
    static CONFIG: OnceLock<Result<Arc<rustls::ClientConfig>, String>> = OnceLock::new();
    let make = || {
        install_tls();
        let mut roots = rustls::RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err("the system has no root certificates".to_owned());
        }
        Ok(Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
    };
    CONFIG.get_or_init(make).clone()
}
