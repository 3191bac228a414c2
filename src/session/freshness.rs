//! When a session must be confirmed with Logto.
//!
//! Promises that no session is used unconfirmed for longer than its limits, whatever the clock does. Refuses to know how
//! confirming is done.

use super::session::CLOCK_SKEW;
use crate::clock::UnixSeconds;
use std::time::Duration;

/// How long sessions are used unconfirmed, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecheckLimits {
    /// After this Logto is asked.
    pub recheck: Duration,
    /// For this long after that the session is used all the same while Logto cannot be reached.
    pub grace: Duration,
}

/// How a session stands towards Logto.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Confirmed recently enough.
    Current,
    /// To be confirmed before it is used; to be used all the same while Logto cannot be reached.
    Due,
    /// To be confirmed, and not to be used before.
    Overdue,
}

/// Judges a session that was confirmed at `checked_at`; `marked`: something learnt since says it must be confirmed again.
///
/// A session confirmed more than a minute ahead of `now` is due: a clock is or was wrong, and its age cannot be told.
pub fn freshness(
    checked_at: UnixSeconds,
    marked: bool,
    limits: RecheckLimits,
    now: UnixSeconds,
) -> Freshness {
    let due_at = checked_at.plus(limits.recheck);
    if now >= due_at.plus(limits.grace) {
        Freshness::Overdue
    } else if marked || now >= due_at || checked_at > now.plus(CLOCK_SKEW) {
        Freshness::Due
    } else {
        Freshness::Current
    }
}
