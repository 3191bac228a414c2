//! The only place that asks what time it is.
//!
//! Everything that judges an age takes a [`Clock`], so a test can move time instead of waiting for it.
//! The lint table bans the standard library's clocks everywhere else.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, in whole seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// Wraps a count of seconds since the Unix epoch.
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// This moment plus a duration, whole seconds, never wrapping.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// How long after `earlier` this moment is; zero when it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// Tells the time: the system's, or in a test the system's moved by a [`ClockHand`].
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_seconds: Option<Arc<AtomicI64>>,
}

/// Moves a test's [`Clock`].
#[derive(Debug, Clone)]
pub struct ClockHand {
    offset_seconds: Arc<AtomicI64>,
}

impl Clock {
    /// The system's wall clock.
    pub const fn system() -> Self {
        Self { offset_seconds: None }
    }

    /// A clock that starts at the system's time and jumps when its hand is moved.
    pub fn movable() -> (Self, ClockHand) {
        let offset_seconds = Arc::new(AtomicI64::new(0));
        let clock = Self {
            offset_seconds: Some(Arc::clone(&offset_seconds)),
        };
        (clock, ClockHand { offset_seconds })
    }

    /// The present moment. A system clock set before 1970 reads as the epoch.
    #[allow(clippy::disallowed_methods, reason = "this is the one caller")]
    pub fn now(&self) -> UnixSeconds {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_secs());
        match &self.offset_seconds {
            None => UnixSeconds(seconds),
            Some(offset) => UnixSeconds(seconds.saturating_add_signed(offset.load(Ordering::Relaxed))),
        }
    }
}

impl ClockHand {
    /// Moves the clock by this many seconds; negative moves it back.
    pub fn advance(&self, seconds: i64) {
        self.offset_seconds.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// A monotonic moment, for measuring durations and setting deadlines.
#[allow(clippy::disallowed_methods, reason = "this is the one caller")]
pub fn monotonic() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
