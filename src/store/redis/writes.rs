//! What is written to the Redis without anyone waiting: records of sessions, and results of re-checks that were made
//! without a lease.
//!
//! Both wait here while the Redis is away. When more wait than may, the oldest is dropped and counted.

use super::fault::Fault;
use super::recheck;
use super::sessions;
use super::shared::Shared;
use crate::clock::UnixSeconds;
use crate::session::SessionId;
use crate::store::published::Published;
use crate::store::records::SessionRecord;
use redis::aio::MultiplexedConnection;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Records that wait at most.
const MOST_SESSIONS: usize = 10_000;
/// Results that wait at most.
const MOST_RESULTS: usize = 1_000;

/// The queues.
pub(super) struct Writes {
    state: Mutex<State>,
    added: Notify,
}

#[derive(Default)]
struct State {
    sessions: VecDeque<SessionRecord>,
    results: VecDeque<Kept>,
    dropped: u64,
    told_refusal: bool,
}

/// A result, and how long it is kept.
#[derive(Clone)]
struct Kept {
    session: SessionId,
    result: Published,
    until: UnixSeconds,
}

impl Kept {
    async fn write(&self, shared: &Shared, connection: &mut MultiplexedConnection) -> Result<(), Fault> {
        let left = self.until.since(shared.local.clock.now());
        if left.is_zero() {
            return Ok(());
        }
        recheck::write_result(shared, connection, self.session, &self.result, left).await
    }
}

impl Writes {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            added: Notify::new(),
        }
    }

    /// Queues a record.
    pub(super) fn note(&self, record: SessionRecord) {
        let mut state = self.lock();
        if state.sessions.len() >= MOST_SESSIONS {
            state.sessions.pop_front();
            state.dropped = state.dropped.saturating_add(1);
        }
        state.sessions.push_back(record);
        drop(state);
        self.added.notify_one();
    }

    /// Queues a result.
    pub(super) fn keep_result(&self, session: SessionId, result: Published, until: UnixSeconds) {
        let mut state = self.lock();
        if state.results.len() >= MOST_RESULTS {
            state.results.pop_front();
            state.dropped = state.dropped.saturating_add(1);
        }
        state.results.push_back(Kept {
            session,
            result,
            until,
        });
        drop(state);
        self.added.notify_one();
    }

    /// Writes whatever waits now, results first: a replica may be about to spend a refresh token twice for want of one.
    /// What the Redis refuses is dropped: it would be refused again, and nothing else could be written.
    pub(super) async fn drain(
        &self,
        shared: &Shared,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), Fault> {
        let dropped = std::mem::take(&mut self.lock().dropped);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "too many records of sessions waited for the Redis: the sessions page may lack some"
            );
        }
        loop {
            let next = self.lock().results.front().cloned();
            if let Some(kept) = next {
                self.settle(kept.write(shared, connection).await)?;
                self.lock().results.pop_front();
                continue;
            }
            let next = self.lock().sessions.front().cloned();
            let Some(record) = next else {
                return Ok(());
            };
            self.settle(sessions::write(shared, connection, &record).await)?;
            self.lock().sessions.pop_front();
        }
    }

    /// Says once that something was refused. Only a Redis that is away is a failure.
    fn settle(&self, written: Result<(), Fault>) -> Result<(), Fault> {
        match written {
            Err(fault) if fault.is_refusal => {
                if !std::mem::replace(&mut self.lock().told_refusal, true) {
                    tracing::warn!(
                        reason = %fault.reason,
                        "records of sessions and results of re-checks cannot be written; Redis 7 or Valkey is needed, and a user that may use them"
                    );
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Writes whatever comes, until the Redis fails.
    pub(super) async fn deliver(&self, shared: &Shared, mut connection: MultiplexedConnection) -> Fault {
        loop {
            let added = self.added.notified();
            if let Err(fault) = self.drain(shared, &mut connection).await {
                return fault;
            }
            added.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
