//! A rest after failures in a row, so that a service that is away is not asked for every session.

use crate::clock;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that begin a rest.
const MOST_FAILURES: u32 = 3;
/// How long it lasts. Then calls are made again, and the next one that fails begins another.
const REST: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    until: Option<Instant>,
}

/// Whether calls rest.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<State>);

impl Pause {
    /// Whether no call is to be made now.
    pub(super) fn is_on(&self) -> bool {
        self.state().until.is_some_and(|until| clock::monotonic() < until)
    }

    /// There was an answer, whatever it said.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        if state.until.take().is_some() {
            tracing::info!("Hugging Face is reachable again");
        }
        state.failures = 0;
    }

    /// There was none.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures < MOST_FAILURES {
            return;
        }
        if state.until.is_none() {
            tracing::warn!("Hugging Face is away; which organizations users are in is what it said last");
        }
        state.until = Some(clock::monotonic() + REST);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
