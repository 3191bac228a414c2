//! Two upgraded connections joined byte for byte, as a WebSocket needs.
//!
//! Bytes that arrived behind either handshake are kept. A side that stops sending may still receive: its end is passed
//! on, and the tunnel lives for as long as the other side has something to say, though no longer than a minute without
//! a byte. A tunnel that is open both ways may be silent for as long as it likes.

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long both sides may take to complete their handshakes once the answer is on its way.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a half-closed tunnel may be silent.
const HALF_CLOSED_LIMIT: Duration = Duration::from_secs(60);
/// How long a peer may take to accept our end of the conversation.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

/// What went through a tunnel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TunnelStats {
    /// Bytes the client sent.
    pub from_client: u64,
    /// Bytes the app sent.
    pub from_upstream: u64,
}

/// Joins both sides until they are done, one of them fails, or `end` fires; then closes both.
///
/// Run it in a tracked task: neither the handler nor the server's connection lives as long as the tunnel.
pub async fn join(client: OnUpgrade, upstream: OnUpgrade, end: CancellationToken) -> TunnelStats {
    let from_client = Arc::new(Direction::default());
    let from_upstream = Arc::new(Direction::default());
    tokio::select! {
        biased;
        () = end.cancelled() => {}
        upgraded = timeout(HANDSHAKE_LIMIT, both(client, upstream)) => {
            if let Ok(Ok((client, upstream))) = upgraded {
                let mut client = Side::new(client, &from_client);
                let mut upstream = Side::new(upstream, &from_upstream);
                tokio::select! {
                    biased;
                    () = end.cancelled() => {}
                    // A failed side needs no words: both are closed below.
                    _ = copy_bidirectional(&mut client, &mut upstream) => {}
                    () = silence_after_half_close(&from_client, &from_upstream) => {}
                }
                let _ = timeout(SHUTDOWN_LIMIT, async {
                    let _ = tokio::join!(client.shutdown(), upstream.shutdown());
                })
                .await;
            }
        }
    }
    TunnelStats {
        from_client: from_client.bytes(),
        from_upstream: from_upstream.bytes(),
    }
}

async fn both(client: OnUpgrade, upstream: OnUpgrade) -> hyper::Result<(Upgraded, Upgraded)> {
    tokio::try_join!(client, upstream)
}

/// Ends when one direction has ended and the other was silent for [`HALF_CLOSED_LIMIT`], give or take a factor of two.
async fn silence_after_half_close(from_client: &Direction, from_upstream: &Direction) {
    let mut before = None;
    loop {
        tokio::time::sleep(HALF_CLOSED_LIMIT).await;
        let half_closed = from_client.has_ended() || from_upstream.has_ended();
        let now = half_closed.then(|| (from_client.bytes(), from_upstream.bytes()));
        if now.is_some() && now == before {
            return;
        }
        before = now;
    }
}

/// What one side has sent.
#[derive(Debug, Default)]
struct Direction {
    bytes: AtomicU64,
    ended: AtomicBool,
}

impl Direction {
    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// One side of a tunnel, counting what it sends.
struct Side {
    stream: TokioIo<Upgraded>,
    sent: Arc<Direction>,
}

impl Side {
    fn new(upgraded: Upgraded, sent: &Arc<Direction>) -> Self {
        Self {
            stream: TokioIo::new(upgraded),
            sent: Arc::clone(sent),
        }
    }
}

impl AsyncRead for Side {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) {
            match buffer.filled().len().saturating_sub(before) {
                0 => self.sent.ended.store(true, Ordering::Relaxed),
                read => {
                    let read = u64::try_from(read).unwrap_or(u64::MAX);
                    self.sent.bytes.fetch_add(read, Ordering::Relaxed);
                }
            }
        }
        polled
    }
}

impl AsyncWrite for Side {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
