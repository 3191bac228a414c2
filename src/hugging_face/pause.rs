//! A rest after failures in a row, so that a service that is away is not asked for every session.

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
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.state().until.is_some_and(|until| now < until)
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
    pub(super) fn failed(&self, now: Instant) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures < MOST_FAILURES {
            return;
        }
        if state.until.is_none() {
            tracing::warn!("Hugging Face is away; which organizations users are in is what it said last");
        }
        state.until = Some(now + REST);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    #[test]
    fn three_failures_in_a_row_begin_a_rest_and_one_more_another() {
        let (pause, now) = (Pause::default(), monotonic());
        pause.failed(now);
        pause.failed(now);
        pause.answered();
        pause.failed(now);
        pause.failed(now);
        assert!(!pause.is_on(now), "not in a row");
        pause.failed(now);
        assert!(pause.is_on(now));
        assert!(!pause.is_on(now + REST), "tried again");
        pause.failed(now + REST);
        assert!(pause.is_on(now + REST), "one failure is enough now");
        pause.answered();
        pause.failed(now + REST);
        assert!(!pause.is_on(now + REST));
    }
}
