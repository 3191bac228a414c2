//! A map whose entries end by themselves, and that never holds more than so many.
//!
//! Ended entries are taken out a few at a time, at every insertion: nothing has to sweep it, and nothing ever waits for a
//! sweep. When it is full, the entry that would end first makes room.

use crate::clock::UnixSeconds;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// How many ended entries an insertion takes out at most.
const FORGOTTEN_AT_ONCE: usize = 16;

/// When an entry ends, and a number that tells it from others that end then.
type Turn = (UnixSeconds, u64);

/// A bounded map of entries that end.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    most: usize,
    entries: HashMap<K, (Turn, V)>,
    by_end: BTreeMap<Turn, K>,
    next: u64,
}

impl<K: Clone + Eq + Hash, V> Expiring<K, V> {
    /// An empty map for at most so many entries, at least one.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            entries: HashMap::new(),
            by_end: BTreeMap::new(),
            next: 0,
        }
    }

    /// What a key has, unless it has ended.
    pub(super) fn get(&self, key: &K, now: UnixSeconds) -> Option<&V> {
        let ((until, _), value) = self.entries.get(key)?;
        (now < *until).then_some(value)
    }

    /// When an entry ends, or ended if it was not yet taken out.
    pub(super) fn end(&self, key: &K) -> Option<UnixSeconds> {
        let ((until, _), _) = self.entries.get(key)?;
        Some(*until)
    }

    /// Puts an entry in, in place of the one its key has. Returns those that had to leave: ended ones, and the one that
    /// made room.
    pub(super) fn insert(&mut self, key: K, value: V, until: UnixSeconds, now: UnixSeconds) -> Vec<(K, V)> {
        let mut left = self.forget_ended(now, FORGOTTEN_AT_ONCE);
        self.remove(&key);
        if self.entries.len() >= self.most {
            left.extend(self.pop_first());
        }
        self.next = self.next.wrapping_add(1);
        let turn = (until, self.next);
        self.by_end.insert(turn, key.clone());
        self.entries.insert(key, (turn, value));
        left
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (turn, value) = self.entries.remove(key)?;
        self.by_end.remove(&turn);
        Some(value)
    }

    /// Takes out at most so many ended entries.
    pub(super) fn forget_ended(&mut self, now: UnixSeconds, at_most: usize) -> Vec<(K, V)> {
        let mut left = Vec::new();
        while left.len() < at_most {
            let Some(((until, _), _)) = self.by_end.first_key_value() else {
                break;
            };
            if now < *until {
                break;
            }
            left.extend(self.pop_first());
        }
        left
    }

    /// How many entries it holds, ended ones that were not yet taken out included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn pop_first(&mut self) -> Option<(K, V)> {
        let (_, key) = self.by_end.pop_first()?;
        let (_, value) = self.entries.remove(&key)?;
        Some((key, value))
    }
}
