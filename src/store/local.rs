//! What one process holds in memory, whatever kind of store keeps it.

use super::published::{Published, Results};
use super::records::{Records, SessionRecord};
use super::replay::{Use, Uses};
use crate::clock::Clock;
use crate::session::SessionId;
use crate::session::{Effect, Notice, Revocations};
use crate::telemetry::Metrics;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The memory of a store.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) revocations: Arc<Revocations>,
    pub(super) results: Results,
    uses: Uses,
    records: Mutex<Records>,
}

impl Local {
    pub(super) fn new(most_notices: usize, clock: Clock, metrics: Metrics) -> Self {
        Self {
            clock,
            metrics,
            revocations: Arc::new(Revocations::new(most_notices)),
            results: Results::new(),
            uses: Uses::new(),
            records: Mutex::new(Records::new()),
        }
    }

    /// Puts a notice in force. True when it said anything new.
    pub(super) fn apply(&self, notice: &Notice, origin: &'static str) -> bool {
        let is_new = self.revocations.apply(notice);
        if is_new {
            let effect = match notice.effect {
                Effect::End(cause) => cause.as_str(),
                Effect::Recheck => "recheck",
            };
            self.metrics.notice(notice.scope.as_str(), effect, origin);
        }
        is_new
    }

    /// Notes a session. Returns those that are remembered no longer.
    pub(super) fn note(&self, record: SessionRecord) -> Vec<SessionId> {
        let now = self.clock.now();
        self.records().note(record, now)
    }

    /// A user's sessions that have not expired, those that were ended included.
    pub(super) fn records_of(&self, subject: &str) -> Vec<SessionRecord> {
        let now = self.clock.now();
        self.records().of(subject, now)
    }

    pub(super) fn first_use(&self, used: Use, keep: Duration) -> bool {
        self.uses.first(used, keep, self.clock.now())
    }

    pub(super) fn result(&self, session: SessionId) -> Option<Published> {
        self.results.get(session, self.clock.now())
    }

    pub(super) fn keep_result(&self, session: SessionId, result: &Published, keep: Duration) {
        self.results.keep(session, result, keep, self.clock.now());
    }

    /// Takes out what has expired, and does not leave by itself.
    pub(super) fn forget_expired(&self) {
        let now = self.clock.now();
        self.revocations.forget_expired(now);
        self.records().forget_expired(now);
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
