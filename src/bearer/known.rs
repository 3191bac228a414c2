//! What is known of tokens, by their hash: a bounded map, in parts that workers rarely meet at.

use super::token::TokenHash;
use crate::clock::UnixSeconds;
use crate::store::expiring::Expiring;
use std::sync::{Mutex, MutexGuard, PoisonError};

const PARTS: usize = 16;

/// Entries that end by themselves. When a part is full, the entry that would end first makes room.
pub(super) struct Known<V> {
    parts: [Mutex<Expiring<TokenHash, V>>; PARTS],
}

impl<V: Clone> Known<V> {
    /// For at most so many entries.
    pub(super) fn new(most: usize) -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::new(Expiring::new(most / PARTS))),
        }
    }

    /// What is known, unless that has ended.
    pub(super) fn get(&self, hash: &TokenHash, now: UnixSeconds) -> Option<V> {
        self.part(hash)?.get(hash, now).cloned()
    }

    /// Puts an entry in place of the one there is.
    pub(super) fn insert(&self, hash: TokenHash, value: V, until: UnixSeconds, now: UnixSeconds) {
        if let Some(mut part) = self.part(&hash) {
            part.insert(hash, value, until, now);
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&self, hash: &TokenHash) {
        if let Some(mut part) = self.part(hash) {
            part.remove(hash);
        }
    }

    fn part(&self, hash: &TokenHash) -> Option<MutexGuard<'_, Expiring<TokenHash, V>>> {
        let [first, ..] = hash;
        let part = self.parts.get(usize::from(*first) % PARTS)?;
        Some(part.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
