//! Deadlines of connections: one tick a second for all of a worker, instead of a timer for each request.
//!
//! Stops slow-header attacks and keeps idle connections from staying for ever. A connection is idle, or in the
//! middle of a header, or serving a request; only the first two have a deadline, since a stream may last.

use super::stream::Stream;
use crate::http::body::{Body, BodyError};
use crate::http::framing::FramingFields;
use crate::telemetry::metrics::Open;
use crate::vectored::{SMALL, as_one};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

const IDLE: u8 = 0;
const IN_HEADER: u8 = 1;
const IN_REQUEST: u8 = 2;

/// How long a connection may stay in a phase, in whole seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) header: Duration,
    pub(super) idle: Duration,
}

/// What one connection is doing, and since which tick.
#[derive(Debug)]
pub(super) struct Activity {
    phase: AtomicU8,
    since: AtomicU32,
    ticks: Arc<AtomicU32>,
    /// Whether the header that arrives now has ambiguous framing fields.
    ambiguous_framing: AtomicBool,
}

impl Activity {
    fn enter(&self, phase: u8) {
        self.since
            .store(self.ticks.load(Ordering::Relaxed), Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn bytes_arrived(&self, bytes: &[u8], header: &mut FramingFields) {
        match self.phase.load(Ordering::Relaxed) {
            IDLE => {
                *header = FramingFields::new();
                self.enter(IN_HEADER);
            }
            IN_HEADER => {}
            _ => return,
        }
        header.read(bytes);
        self.ambiguous_framing
            .store(header.are_ambiguous(), Ordering::Relaxed);
    }

    /// Whether the header that arrived last had ambiguous framing fields; asked once a request.
    pub(super) fn take_ambiguous_framing(&self) -> bool {
        self.ambiguous_framing.swap(false, Ordering::Relaxed)
    }

    /// Marks a request as being served until the guard is dropped.
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        self.enter(IN_REQUEST);
        Serving(Arc::clone(self))
    }

    /// Whether a header is due: the first one, or the rest of one that has begun.
    pub(super) fn awaits_header(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == IN_HEADER
    }

    fn is_overdue(&self, deadlines: Deadlines) -> bool {
        let limit = match self.phase.load(Ordering::Relaxed) {
            IDLE => deadlines.idle,
            IN_HEADER => deadlines.header,
            _ => return false,
        };
        let ticks = self
            .ticks
            .load(Ordering::Relaxed)
            .wrapping_sub(self.since.load(Ordering::Relaxed));
        u64::from(ticks) > limit.as_secs()
    }
}

/// A request is being served; dropped when its answer has been written.
#[derive(Debug)]
pub(super) struct Serving(Arc<Activity>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.enter(IDLE);
    }
}

/// The body of an answer, which keeps its request being served until it has been written.
#[derive(Debug)]
pub(super) struct Served {
    body: Body,
    _serving: Serving,
}

impl Served {
    pub(super) const fn new(body: Body, serving: Serving) -> Self {
        Self {
            body,
            _serving: serving,
        }
    }
}

impl http_body::Body for Served {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Ends the connections of a worker that are overdue.
#[derive(Debug)]
pub(super) struct Watchdog {
    ticks: Arc<AtomicU32>,
    watched: Mutex<Vec<(Weak<Activity>, AbortHandle)>>,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        Self {
            ticks: Arc::default(),
            watched: Mutex::default(),
        }
    }

    /// A connection that has just been accepted: its first header is due.
    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::new(Activity {
            phase: AtomicU8::new(IN_HEADER),
            since: AtomicU32::new(self.ticks.load(Ordering::Relaxed)),
            ticks: Arc::clone(&self.ticks),
            ambiguous_framing: AtomicBool::new(false),
        })
    }

    /// Watches the task that serves a connection.
    pub(super) fn watch(&self, activity: &Arc<Activity>, task: AbortHandle) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.push((Arc::downgrade(activity), task));
    }

    /// Ticks once a second, for as long as the worker runs, and asks each time for the deadlines in force.
    pub(super) async fn run(&self, mut deadlines: impl FnMut() -> Deadlines) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            self.ticks.fetch_add(1, Ordering::Relaxed);
            let deadlines = deadlines();
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.retain(|(activity, task)| match activity.upgrade() {
                None => false,
                // It became a tunnel, whose task has no need of this one's memory.
                Some(_) if task.is_finished() => false,
                Some(activity) if activity.is_overdue(deadlines) => {
                    task.abort();
                    false
                }
                Some(_) => true,
            });
        }
    }
}

/// The place of an open connection among those allowed, and its part in the count of those open.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) _open: Open,
}

/// A stream that notes when bytes arrive, and what framing fields are among them.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    activity: Arc<Activity>,
    header: FramingFields,
    /// Held for as long as the socket is open, so that a tunnel counts as the connection it is.
    _place: Place,
}

impl Watched {
    pub(super) const fn new(stream: Stream, activity: Arc<Activity>, place: Place) -> Self {
        Self {
            stream,
            activity,
            header: FramingFields::new(),
            _place: place,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(bytes @ [_, ..]) = buffer.filled().get(before..) {
            this.activity.bytes_arrived(bytes, &mut this.header);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [0; SMALL];
        match as_one(slices, &mut room) {
            Some(bytes) => self.poll_write(context, bytes),
            None => Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_idle_and_header_phases_have_a_deadline() {
        let deadlines = Deadlines {
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
        };
        let watchdog = Watchdog::new();
        let activity = watchdog.activity();
        watchdog.ticks.store(10, Ordering::Relaxed);
        assert!(!activity.is_overdue(deadlines), "within the header time");
        watchdog.ticks.store(11, Ordering::Relaxed);
        assert!(activity.is_overdue(deadlines), "a header that never ends");
        let serving = activity.serve();
        watchdog.ticks.store(10_000, Ordering::Relaxed);
        assert!(!activity.is_overdue(deadlines), "a stream may last");
        drop(serving);
        watchdog.ticks.store(10_075, Ordering::Relaxed);
        assert!(!activity.is_overdue(deadlines));
        activity.bytes_arrived(b"G", &mut FramingFields::new());
        watchdog.ticks.store(10_086, Ordering::Relaxed);
        assert!(activity.is_overdue(deadlines), "the next header has its own time");
    }
}
