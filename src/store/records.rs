//! What the sessions page shows of each session: who, since when, from where. Never what is sealed in the cookie.
//!
//! Bounded for each user and in all, so that nobody can fill the memory by signing in over and over.

use super::expiring::Expiring;
use crate::clock::UnixSeconds;
use crate::session::SessionId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// Sessions that are remembered in one process.
const MOST_SESSIONS: usize = 100_000;
/// Sessions that are remembered of one user.
pub(super) const MOST_OF_A_SUBJECT: usize = 50;
/// Bytes of an agent's name that are kept.
const MOST_OF_AN_AGENT: usize = 200;
/// Ended sessions that a sweep takes out at once.
const SWEPT_AT_ONCE: usize = 10_000;

/// One session, as its user is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Names it.
    pub id: SessionId,
    /// The user: claim `sub`.
    pub subject: String,
    /// Logto's own session, where it names one: claim `sid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// When the user signed in.
    pub signed_in_at: UnixSeconds,
    /// When it was last seen in use, as far as it was noted.
    pub last_seen: UnixSeconds,
    /// When it is over, whatever happens.
    pub expires_at: UnixSeconds,
    /// From where it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What it was last used with: the start of `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl SessionRecord {
    /// Cuts what a client chose freely to its limit.
    pub(super) fn cut(mut self) -> Self {
        if let Some(agent) = &mut self.agent {
            let end = (0..=MOST_OF_AN_AGENT.min(agent.len()))
                .rev()
                .find(|end| agent.is_char_boundary(*end));
            agent.truncate(end.unwrap_or(0));
        }
        self
    }
}

/// The last used first.
pub(super) fn sort(records: &mut [SessionRecord]) {
    records.sort_by_key(|record| std::cmp::Reverse((record.last_seen, record.signed_in_at)));
}

/// The sessions one process knows.
#[derive(Debug)]
pub(super) struct Records {
    all: Expiring<SessionId, SessionRecord>,
    of_subject: HashMap<String, Vec<SessionId>>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self::with_room_for(MOST_SESSIONS)
    }

    pub(super) fn with_room_for(most: usize) -> Self {
        Self {
            all: Expiring::new(most),
            of_subject: HashMap::new(),
        }
    }

    /// Puts a session in, or its newer state. Returns the sessions that are remembered no longer.
    pub(super) fn note(&mut self, record: SessionRecord, now: UnixSeconds) -> Vec<SessionId> {
        if record.expires_at <= now {
            return Vec::new();
        }
        let (id, subject) = (record.id, record.subject.clone());
        // A session never changes its user; were it to, the old index must not keep it.
        if let Some(old) = self.all.remove(&id) {
            self.unlist(&old.subject, id);
        }
        let mut forgotten = Vec::new();
        let siblings = self.of_subject.get(&subject).map_or(0, Vec::len);
        if siblings >= MOST_OF_A_SUBJECT
            && let Some(oldest) = self.least_recent(&subject)
        {
            self.all.remove(&oldest);
            self.unlist(&subject, oldest);
            forgotten.push(oldest);
        }
        let expires_at = record.expires_at;
        for (left, record) in self.all.insert(id, record, expires_at, now) {
            self.unlist(&record.subject, left);
            forgotten.push(left);
        }
        self.of_subject.entry(subject).or_default().push(id);
        forgotten
    }

    /// A user's sessions that have not expired.
    pub(super) fn of(&self, subject: &str, now: UnixSeconds) -> Vec<SessionRecord> {
        let ids = self.of_subject.get(subject).map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| self.all.get(id, now))
            .cloned()
            .collect()
    }

    /// Takes out sessions that have expired. Returns them.
    pub(super) fn forget_expired(&mut self, now: UnixSeconds) -> Vec<SessionId> {
        let left = self.all.forget_ended(now, SWEPT_AT_ONCE);
        left.into_iter()
            .map(|(id, record)| {
                self.unlist(&record.subject, id);
                id
            })
            .collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.all.len(), self.of_subject.len())
    }

    fn least_recent(&self, subject: &str) -> Option<SessionId> {
        let ids = self.of_subject.get(subject)?;
        // One that has ended but was not yet taken out counts as the least recent.
        ids.iter().copied().min_by_key(|id| {
            self.all
                .get(id, UnixSeconds::default())
                .map(|record| record.last_seen)
        })
    }

    fn unlist(&mut self, subject: &str, id: SessionId) {
        if let Some(ids) = self.of_subject.get_mut(subject) {
            ids.retain(|listed| *listed != id);
            if ids.is_empty() {
                self.of_subject.remove(subject);
            }
        }
    }
}
