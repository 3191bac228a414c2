//! What is known about one connection while it is driven elsewhere: what it waits for, until when, and how to end it.
//!
//! One coarse clock a pool, moved by its tick, stands in for a timer a request. A deadline is therefore met up to one
//! tick late and never early.

use super::Settings;
use crate::clock::monotonic;
use crate::http::body::BodyError;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Milliseconds since a pool was made, as of its last tick.
#[derive(Debug)]
pub(super) struct CoarseClock {
    started: Instant,
    now: AtomicU64,
}

impl CoarseClock {
    pub(super) fn start() -> Self {
        Self {
            started: monotonic(),
            now: AtomicU64::new(0),
        }
    }

    /// Milliseconds since the start, as of the last tick.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Reads the real clock.
    pub(super) fn refresh(&self) -> u64 {
        let now = milliseconds(monotonic().saturating_duration_since(self.started));
        self.now.store(now, Ordering::Relaxed);
        now
    }
}

/// The limits of a pool, in milliseconds of its [`CoarseClock`].
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) upstream: u64,
    pub(super) client: u64,
    pub(super) idle: u64,
    pub(super) tick: u64,
}

impl Limits {
    pub(super) fn new(settings: &Settings) -> Self {
        let upstream = milliseconds(settings.response_header_timeout);
        let client = milliseconds(settings.request_body_timeout);
        let idle = milliseconds(settings.idle_timeout);
        let tick = (upstream.min(client).min(idle) / 8).clamp(10, 250);
        Self {
            upstream,
            client,
            idle,
            tick,
        }
    }
}

/// What a connection waits for; an `AtomicU8` holds it.
mod waiting {
    pub(super) const FOR_NOTHING: u8 = 0;
    pub(super) const FOR_UPSTREAM: u8 = 1;
    pub(super) const FOR_CLIENT: u8 = 2;
    pub(super) const UPSTREAM_WAS_LATE: u8 = 3;
    pub(super) const CLIENT_WAS_LATE: u8 = 4;
}

/// Who let a deadline pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Upstream,
    Client,
}

/// The shared state of one connection.
#[derive(Debug)]
pub(super) struct Wire {
    clock: Arc<CoarseClock>,
    limits: Arc<Limits>,
    waiting: AtomicU8,
    deadline: AtomicU64,
    /// Whether a byte arrived since the request was begun.
    answered: AtomicBool,
    /// Whether the whole request was handed to the connection.
    sent: AtomicBool,
    /// Whether the connection has left HTTP.
    tunnel: AtomicBool,
    body_error: Mutex<Option<BodyError>>,
    driver: OnceLock<AbortHandle>,
}

impl Wire {
    pub(super) fn new(clock: Arc<CoarseClock>, limits: Arc<Limits>) -> Self {
        Self {
            clock,
            limits,
            waiting: AtomicU8::new(waiting::FOR_NOTHING),
            deadline: AtomicU64::new(u64::MAX),
            answered: AtomicBool::new(false),
            sent: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
            body_error: Mutex::new(None),
            driver: OnceLock::new(),
        }
    }

    /// Says which task drives the connection.
    pub(super) fn driven_by(&self, driver: AbortHandle) {
        let _ = self.driver.set(driver);
    }

    /// Closes the connection, whatever it is doing.
    pub(super) fn abort(&self) {
        if let Some(driver) = self.driver.get() {
            driver.abort();
        }
    }

    /// A request is about to be sent; the upstream's time begins.
    pub(super) fn begin(&self, has_body: bool) {
        self.answered.store(false, Ordering::Relaxed);
        self.sent.store(!has_body, Ordering::Relaxed);
        self.set_deadline(self.limits.upstream);
        self.waiting.store(waiting::FOR_UPSTREAM, Ordering::Release);
    }

    /// The exchange has its answer or its error: nobody is waited for any more. Says who was late, if that is why.
    pub(super) fn settle(&self) -> Option<Late> {
        match self.waiting.swap(waiting::FOR_NOTHING, Ordering::AcqRel) {
            waiting::UPSTREAM_WAS_LATE => Some(Late::Upstream),
            waiting::CLIENT_WAS_LATE => Some(Late::Client),
            _ => None,
        }
    }

    /// The connection wants more of the body and the client has none yet.
    pub(super) fn wait_for_client(&self) {
        if self.turn(waiting::FOR_UPSTREAM, waiting::FOR_CLIENT) {
            self.set_deadline(self.limits.client);
        }
    }

    /// The connection was given more of the body: it is the upstream's turn to take it.
    pub(super) fn body_moved(&self) {
        if self.turn(waiting::FOR_CLIENT, waiting::FOR_UPSTREAM)
            || self.waiting.load(Ordering::Acquire) == waiting::FOR_UPSTREAM
        {
            self.set_deadline(self.limits.upstream);
        }
    }

    /// The connection was given the whole request.
    pub(super) fn request_sent(&self) {
        self.sent.store(true, Ordering::Release);
    }

    /// Whether the connection was given the whole request.
    pub(super) fn is_request_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    /// A byte arrived.
    pub(super) fn byte_arrived(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whether a byte arrived since the request was begun.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// The connection leaves HTTP.
    pub(super) fn becomes_tunnel(&self) {
        self.tunnel.store(true, Ordering::Release);
    }

    /// Whether the connection has left HTTP.
    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Acquire)
    }

    /// Keeps why the client's body failed, for [`Wire::take_body_error`].
    pub(super) fn body_failed(&self, error: BodyError) {
        *self.body_error() = Some(error);
    }

    /// Why the client's body failed, if that ended the exchange.
    pub(super) fn take_body_error(&self) -> Option<BodyError> {
        self.body_error().take()
    }

    /// Whether the deadline lies before `now`; said once an exchange. The caller then aborts the connection.
    pub(super) fn is_late(&self, now: u64) -> bool {
        self.deadline.load(Ordering::Relaxed) <= now
            && (self.turn(waiting::FOR_UPSTREAM, waiting::UPSTREAM_WAS_LATE)
                || self.turn(waiting::FOR_CLIENT, waiting::CLIENT_WAS_LATE))
    }

    fn set_deadline(&self, limit: u64) {
        let deadline = self
            .clock
            .now()
            .saturating_add(limit)
            .saturating_add(self.limits.tick);
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.waiting
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn body_error(&self) -> MutexGuard<'_, Option<BodyError>> {
        self.body_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
