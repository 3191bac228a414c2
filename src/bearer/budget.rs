//! How often tokens may be asked about, and how many at once.
//!
//! Two shares: one for tokens that nothing is known of, which anybody can make up, and one for those that were good a moment
//! ago. So whoever sends junk keeps new callers waiting at worst, and never those that are known.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Tokens that nothing is known of: questions a second, in a burst, and at once.
const STRANGERS: Limits = Limits {
    per_second: 10,
    burst: 20,
    at_once: 8,
};
/// Tokens that were good within [`ask::REMEMBERED`](super::ask::REMEMBERED).
const ACQUAINTANCES: Limits = Limits {
    per_second: 50,
    burst: 100,
    at_once: 16,
};

#[derive(Debug, Clone, Copy)]
struct Limits {
    per_second: u32,
    burst: u32,
    at_once: usize,
}

/// Both shares.
#[derive(Debug)]
pub(super) struct Budget {
    strangers: Share,
    acquaintances: Share,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            strangers: Share::new(STRANGERS),
            acquaintances: Share::new(ACQUAINTANCES),
        }
    }
}

impl Budget {
    /// Leave to ask about one token, for as long as the permit is held; `None` when the share is used up.
    pub(super) fn take(&self, known: bool, now: Instant) -> Option<OwnedSemaphorePermit> {
        let share = if known {
            &self.acquaintances
        } else {
            &self.strangers
        };
        share.take(now)
    }
}

/// A token bucket, and a bound on what is under way.
#[derive(Debug)]
struct Share {
    limits: Limits,
    /// What is left, and when that was so.
    level: Mutex<(f64, Option<Instant>)>,
    at_once: Arc<Semaphore>,
}

impl Share {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            level: Mutex::new((f64::from(limits.burst), None)),
            at_once: Arc::new(Semaphore::new(limits.at_once)),
        }
    }

    fn take(&self, now: Instant) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.at_once).try_acquire_owned().ok()?;
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *level;
        let passed = since.map_or(0.0, |since| now.saturating_duration_since(since).as_secs_f64());
        let filled = (left + passed * f64::from(self.limits.per_second)).min(f64::from(self.limits.burst));
        let enough = filled >= 1.0;
        *level = (if enough { filled - 1.0 } else { filled }, Some(now));
        enough.then_some(permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::Duration;

    #[test]
    fn a_burst_then_so_many_a_second() {
        let (budget, start) = (Budget::default(), clock::monotonic());
        let taken = |known, at: Instant| (0..1_000).filter(|_| budget.take(known, at).is_some()).count();
        assert_eq!(taken(false, start), 20);
        assert_eq!(taken(true, start), 100, "a share of their own");
        assert_eq!(taken(false, start + Duration::from_millis(1_050)), 10);
        assert_eq!(taken(false, start + Duration::from_millis(1_050)), 0);
        assert_eq!(taken(false, start + Duration::from_secs(3_600)), 20);
    }

    #[test]
    fn no_more_than_so_many_at_once() {
        let (budget, start) = (Budget::default(), clock::monotonic());
        let held: Vec<_> = (0..20).filter_map(|_| budget.take(false, start)).collect();
        assert_eq!(held.len(), 8);
        assert!(budget.take(true, start).is_some());
        drop(held);
        assert!(
            budget.take(false, start).is_some(),
            "and what was refused was not counted"
        );
    }
}
