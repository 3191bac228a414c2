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

    /// The moment in UTC as RFC 3339 has it, to the second: `2026-01-31T08:30:00Z`.
    pub fn to_rfc3339(self) -> String {
        const DAYS_OF_400_YEARS: u64 = 146_097;
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Counted from the first of March of the year 0, so that leap days come last.
        let from_march = days + 719_468;
        let (era, day_of_era) = (from_march / DAYS_OF_400_YEARS, from_march % DAYS_OF_400_YEARS);
        let leap_days = day_of_era / 1_460 + day_of_era / 146_096;
        let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_208_000, "2024-02-29T12:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixSeconds::new(seconds).to_rfc3339(), text);
        }
        // However far away.
        assert!(UnixSeconds::new(u64::MAX).to_rfc3339().ends_with('Z'));
    }
}
