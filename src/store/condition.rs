//! Whether the store can be reached: for health, metrics and the log.
//!
//! Each loss and each recovery is one line of the log, however often it is noticed in between.

use crate::clock::{Clock, UnixSeconds};
use crate::telemetry::Metrics;
use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How the store is, for `/readyz` and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `memory`, `file` or `redis`.
    pub kind: &'static str,
    /// Whether what is published is kept, and reaches other replicas, at once.
    pub available: bool,
    /// Why not; never anything secret.
    pub reason: Option<String>,
    /// Since when it is as it is.
    pub since: UnixSeconds,
    /// Notices that are in force here but not yet kept.
    pub pending: usize,
}

/// What is known about it.
#[derive(Debug)]
pub(super) struct Condition {
    kind: &'static str,
    clock: Clock,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    available: bool,
    /// Nothing was logged about it yet.
    untold: bool,
    reason: Option<Cow<'static, str>>,
    since: UnixSeconds,
}

impl Condition {
    /// A store that is there.
    pub(super) fn present(kind: &'static str, clock: Clock, metrics: Metrics) -> Self {
        Self::new(kind, clock, metrics, None)
    }

    /// A store that has not been reached yet.
    pub(super) fn awaited(kind: &'static str, clock: Clock, metrics: Metrics) -> Self {
        Self::new(kind, clock, metrics, Some(Cow::Borrowed("not reached yet")))
    }

    fn new(kind: &'static str, clock: Clock, metrics: Metrics, reason: Option<Cow<'static, str>>) -> Self {
        let available = reason.is_none();
        metrics.store_available(available);
        let state = Mutex::new(State {
            available,
            untold: true,
            reason,
            since: clock.now(),
        });
        Self {
            kind,
            clock,
            metrics,
            state,
        }
    }

    /// It is there.
    pub(super) fn found(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.available {
            return;
        }
        let away = now.since(state.since).as_secs();
        if state.untold {
            tracing::info!(kind = self.kind, "the store is reached");
        } else {
            tracing::info!(
                kind = self.kind,
                away_seconds = away,
                "the store is reached again"
            );
        }
        *state = State {
            available: true,
            untold: false,
            reason: None,
            since: now,
        };
        drop(state);
        self.metrics.store_available(true);
    }

    /// It is away, for this reason, which holds nothing secret.
    pub(super) fn lost(&self, reason: Cow<'static, str>) {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.available || state.untold {
            tracing::warn!(
                kind = self.kind,
                %reason,
                "the store cannot be reached; sessions that end here do not yet end elsewhere or outlive a restart"
            );
            state.since = now;
        }
        state.available = false;
        state.untold = false;
        state.reason = Some(reason);
        drop(state);
        self.metrics.store_available(false);
    }

    /// Whether it is there.
    pub(super) fn available(&self) -> bool {
        self.lock().available
    }

    /// All that is known.
    pub(super) fn health(&self, pending: usize) -> Health {
        let state = self.lock();
        Health {
            kind: self.kind,
            available: state.available,
            reason: state.reason.as_deref().map(str::to_owned),
            since: state.since,
            pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
