//! The sealed result of a re-check, kept for latecomers who come with the cookie of before.
//!
//! Logto gives a refresh token once. Whoever still holds the old cookie must get the session that the first caller got:
//! asking Logto again with a spent token would end the user's grant.

use super::expiring::Expiring;
use crate::clock::UnixSeconds;
use crate::session::SessionId;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Results that are kept in one process.
const MOST_RESULTS: usize = 20_000;

/// A session that Logto has confirmed, sealed: only who holds the session keys can open it.
#[derive(Clone, PartialEq, Eq)]
pub struct Published {
    /// When Logto confirmed it.
    pub checked_at: UnixSeconds,
    /// The sealed session.
    pub sealed: Vec<u8>,
}

impl Published {
    /// The moment as 8 bytes, most significant first, then the sealed session.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.checked_at.as_u64().to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (checked_at, sealed) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            checked_at: UnixSeconds::new(u64::from_be_bytes(*checked_at)),
            sealed: sealed.to_vec(),
        })
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Published({})", self.checked_at.as_u64())
    }
}

/// The results one process knows.
#[derive(Debug)]
pub(super) struct Results(Mutex<Expiring<SessionId, Published>>);

impl Results {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Expiring::new(MOST_RESULTS)))
    }

    pub(super) fn get(&self, session: SessionId, now: UnixSeconds) -> Option<Published> {
        let results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        results.get(&session, now).cloned()
    }

    /// Keeps a result for a while, and as long as the one whose place it takes: whoever waits for that one is served by this
    /// one. An older one never takes the place of a newer one.
    pub(super) fn keep(&self, session: SessionId, result: &Published, keep: Duration, now: UnixSeconds) {
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if results
            .get(&session, now)
            .is_some_and(|kept| kept.checked_at > result.checked_at)
        {
            return;
        }
        let end = until(keep, now).max(results.end(&session).unwrap_or_default());
        results.insert(session, result.clone(), end, now);
    }
}

/// The end of a `keep` that begins now; a part of a second counts as one.
pub(super) fn until(keep: Duration, now: UnixSeconds) -> UnixSeconds {
    now.plus(keep.saturating_add(Duration::from_millis(999)))
}
