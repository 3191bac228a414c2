//! Two upgraded connections joined byte for byte, as a WebSocket needs.
//!
//! Bytes that arrived behind either handshake are kept. A side that stops sending may still receive: its end is passed
//! on, and the tunnel lives for as long as the other side has something to say, though no longer than a minute without
//! a byte. A tunnel that is open both ways may be silent for as long as it likes.
//!
//! A tunnel that is stopped ends with a close frame to each side that has just been sent a whole frame; to another one
//! it just ends.

use super::frames::{Frames, close_frame};
use crate::stop::{Reason, Stop};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};
use tokio::time::timeout;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long both sides may take to complete their handshakes once the answer is on its way.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long a half-closed tunnel may be silent.
const HALF_CLOSED_LIMIT: Duration = Duration::from_secs(60);
/// How long a peer may take to accept our end of the conversation.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);
/// How long a tunnel that is stopped may take for its last words; short, since it must be gone within a second.
const PARTING_LIMIT: Duration = Duration::from_millis(500);

/// What went through a tunnel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TunnelStats {
    /// Bytes the client sent.
    pub from_client: u64,
    /// Bytes the app sent.
    pub from_upstream: u64,
}

/// Joins both sides until they are done, one of them fails, or `stop` is given; then closes both.
///
/// Run it in a tracked task: neither the handler nor the server's connection lives as long as the tunnel.
pub async fn join(client: OnUpgrade, upstream: OnUpgrade, stop: Stop) -> TunnelStats {
    let from_client = Arc::new(Direction::default());
    let from_upstream = Arc::new(Direction::default());
    if let Some((client, upstream)) = both(client, upstream, &stop).await {
        let mut client = Side::new(client, &from_client);
        let mut upstream = Side::new(upstream, &from_upstream);
        let stopped = tokio::select! {
            biased;
            reason = stop.stopped() => Some(reason),
            // A failed side needs no words: both are closed below.
            _ = copy_bidirectional(&mut client, &mut upstream) => None,
            () = silence_after_half_close(&from_client, &from_upstream) => None,
        };
        let _ = match stopped {
            None => {
                timeout(SHUTDOWN_LIMIT, async {
                    let _ = tokio::join!(client.shutdown(), upstream.shutdown());
                })
                .await
            }
            Some(reason) => {
                timeout(PARTING_LIMIT, async {
                    let _ = tokio::join!(client.part(reason, false), upstream.part(reason, true));
                })
                .await
            }
        };
    }
    TunnelStats {
        from_client: from_client.bytes(),
        from_upstream: from_upstream.bytes(),
    }
}

/// Both sides once their handshakes are complete, unless one fails or is late. When `stop` is given meanwhile there is
/// only a moment left, for the close frames.
async fn both(client: OnUpgrade, upstream: OnUpgrade, stop: &Stop) -> Option<(Upgraded, Upgraded)> {
    let mut both = std::pin::pin!(async { tokio::try_join!(client, upstream) });
    let upgraded = tokio::select! {
        biased;
        upgraded = timeout(HANDSHAKE_LIMIT, both.as_mut()) => upgraded,
        _ = stop.stopped() => timeout(PARTING_LIMIT, both).await,
    };
    upgraded.ok()?.ok()
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

/// One side of a tunnel, counting what it sends, and knowing where in a frame it was left.
struct Side {
    stream: TokioIo<Upgraded>,
    sent: Arc<Direction>,
    given: Frames,
}

impl Side {
    fn new(upgraded: Upgraded, sent: &Arc<Direction>) -> Self {
        Self {
            stream: TokioIo::new(upgraded),
            sent: Arc::clone(sent),
            given: Frames::default(),
        }
    }

    /// Says why it ends, if that can be understood, and waits for the other end to hang up: bytes that are left unread
    /// would turn the end into a reset, which may overtake the close frame.
    async fn part(&mut self, reason: Reason, is_server: bool) -> io::Result<()> {
        let farewell = self
            .given
            .may_close()
            .then(|| close_frame(reason, is_server))
            .flatten();
        let Some(farewell) = farewell else {
            return self.stream.shutdown().await;
        };
        self.stream.write_all(&farewell).await?;
        self.stream.shutdown().await?;
        let mut unread = [0; 1024];
        while self.stream.read(&mut unread).await? > 0 {}
        Ok(())
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
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            self.given.passed(bytes.get(..written).unwrap_or_default());
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
