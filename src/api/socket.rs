//! A connection to a client of the HTTP server, which has to read its answers.
//!
//! Whoever asks and does not read would keep an answer in memory, and one of the connections, for ever. While something
//! waits to be written, [`ENOUGH_BYTES`] have to go in each stretch of patience; otherwise the connection ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Whoever takes so much in a stretch of patience gets another one.
const ENOUGH_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub struct Socket {
    io: TcpStream,
    patience: Duration,
    /// Something waits to be written.
    stalled: Option<Stalled>,
}

#[derive(Debug)]
struct Stalled {
    until: Pin<Box<Sleep>>,
    written: usize,
}

impl Socket {
    pub fn new(io: TcpStream, patience: Duration) -> Self {
        Self { io, patience, stalled: None }
    }

    /// For whoever has rules of their own for slow readers.
    pub fn into_inner(self) -> TcpStream {
        self.io
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { io, patience, stalled } = &mut *self;
        let done = Pin::new(io).poll_write(context, bytes);
        match &done {
            Poll::Ready(Ok(written)) => {
                if let Some(since) = stalled {
                    since.written += written;
                    if since.written >= ENOUGH_BYTES {
                        *stalled = None;
                    }
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let begin = || Stalled { until: Box::pin(sleep(*patience)), written: 0 };
                if stalled.get_or_insert_with(begin).until.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        done
    }

    /// Asked for once all is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stalled = None;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Writes until the other side, which reads `read` bytes and then rests, is given up; gives back how much went.
    async fn written(read: usize) -> (usize, io::ErrorKind) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (io, _) = listener.accept().await.unwrap();
        let mut socket = Socket::new(io, Duration::from_millis(300));
        let reading = actix_rt::spawn(async move {
            let mut taken = vec![0; read];
            client.read_exact(&mut taken).await.unwrap();
            client
        });
        let mut written = 0;
        let error = loop {
            match socket.write(&[7; 32 << 10]).await {
                Ok(bytes) => written += bytes,
                Err(error) => break error.kind(),
            }
        };
        drop(reading.await.unwrap());
        (written, error)
    }

    #[test]
    fn whoever_does_not_read_is_given_up() {
        actix_rt::System::new().block_on(async {
            let (buffered, error) = written(0).await;
            assert_eq!(error, io::ErrorKind::TimedOut);
            let (read, error) = written(32 << 20).await;
            assert_eq!(error, io::ErrorKind::TimedOut);
            assert!(read >= 32 << 20 && read > buffered, "{read} {buffered}");
        });
    }
}
