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

#[cfg(test)]
mod tests {
    use super::Freshness::{Current, Due, Overdue};
    use super::*;
    use proptest::prelude::*;

    const LIMITS: RecheckLimits = RecheckLimits {
        recheck: Duration::from_secs(300),
        grace: Duration::from_secs(3_600),
    };

    fn judge(checked_at: u64, marked: bool, limits: RecheckLimits, now: u64) -> Freshness {
        freshness(
            UnixSeconds::new(checked_at),
            marked,
            limits,
            UnixSeconds::new(now),
        )
    }

    #[test]
    fn ages_are_judged_to_the_second() {
        for (now, unmarked, marked) in [
            (10_000, Current, Due),
            (10_001, Current, Due),
            (10_299, Current, Due),
            (10_300, Due, Due),
            (13_899, Due, Due),
            (13_900, Overdue, Overdue),
            (u64::MAX, Overdue, Overdue),
        ] {
            assert_eq!(judge(10_000, false, LIMITS, now), unmarked, "{now}");
            assert_eq!(judge(10_000, true, LIMITS, now), marked, "{now}, marked");
        }
    }

    #[test]
    fn a_clock_that_went_back_leaves_no_session_fresh() {
        for (now, expected) in [(9_940, Current), (9_939, Due), (5, Due), (0, Due)] {
            assert_eq!(judge(10_000, false, LIMITS, now), expected, "{now}");
        }
        assert_eq!(judge(u64::MAX, false, LIMITS, 10_000), Due);
    }

    #[test]
    fn without_a_grace_what_is_due_is_overdue() {
        let strict = RecheckLimits {
            grace: Duration::ZERO,
            ..LIMITS
        };
        assert_eq!(judge(10_000, false, strict, 10_299), Current);
        assert_eq!(judge(10_000, false, strict, 10_300), Overdue);
        let always = RecheckLimits {
            recheck: Duration::ZERO,
            ..LIMITS
        };
        assert_eq!(judge(10_000, false, always, 10_000), Due);
    }

    proptest! {
        #[test]
        fn no_session_is_current_for_longer_than_the_limit_and_a_minute(checked_at: u64, now: u64, marked: bool, recheck in 0..100_000_u64) {
            let limits = RecheckLimits { recheck: Duration::from_secs(recheck), ..LIMITS };
            if judge(checked_at, marked, limits, now) == Current {
                prop_assert!(!marked && now.abs_diff(checked_at) < recheck.max(61));
            }
        }
    }
}
