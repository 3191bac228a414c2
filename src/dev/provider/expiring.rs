//! A bounded map whose entries end by themselves: codes, tokens, sessions, pending sign-ins.

use crate::clock::UnixSeconds;
use std::collections::HashMap;

/// Entries a map holds at most; when full, the one that would end first makes room.
const CAPACITY: usize = 10_000;

/// Values by a random key, each with the moment it ends.
#[derive(Debug)]
pub(super) struct Expiring<V> {
    entries: HashMap<String, (UnixSeconds, V)>,
}

impl<V> Default for Expiring<V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }
}

impl<V> Expiring<V> {
    /// Stores a value until `ends`.
    pub(super) fn insert(&mut self, key: String, value: V, ends: UnixSeconds, now: UnixSeconds) {
        if self.entries.len() >= CAPACITY {
            self.entries.retain(|_, (ends, _)| *ends > now);
        }
        if self.entries.len() >= CAPACITY
            && let Some(first) = self
                .entries
                .iter()
                .min_by_key(|(_, (ends, _))| *ends)
                .map(|(key, _)| key.clone())
        {
            self.entries.remove(&first);
        }
        self.entries.insert(key, (ends, value));
    }

    /// The value, unless its time is over.
    pub(super) fn get(&self, key: &str, now: UnixSeconds) -> Option<&V> {
        self.entries
            .get(key)
            .filter(|(ends, _)| *ends > now)
            .map(|(_, value)| value)
    }

    /// The value to change, unless its time is over.
    pub(super) fn get_mut(&mut self, key: &str, now: UnixSeconds) -> Option<&mut V> {
        self.entries
            .get_mut(key)
            .filter(|(ends, _)| *ends > now)
            .map(|(_, value)| value)
    }

    /// When a live value ends.
    pub(super) fn ends(&self, key: &str, now: UnixSeconds) -> Option<UnixSeconds> {
        self.entries
            .get(key)
            .map(|(ends, _)| *ends)
            .filter(|ends| *ends > now)
    }

    /// Moves the end of a live value.
    pub(super) fn extend(&mut self, key: &str, until: UnixSeconds, now: UnixSeconds) {
        if let Some((ends, _)) = self.entries.get_mut(key).filter(|(ends, _)| *ends > now) {
            *ends = until;
        }
    }

    /// Takes the value out, unless its time is over.
    pub(super) fn remove(&mut self, key: &str, now: UnixSeconds) -> Option<V> {
        self.entries
            .remove(key)
            .filter(|(ends, _)| *ends > now)
            .map(|(_, value)| value)
    }

    /// Every live value.
    pub(super) fn values(&self, now: UnixSeconds) -> impl Iterator<Item = &V> {
        self.entries
            .values()
            .filter(move |(ends, _)| *ends > now)
            .map(|(_, value)| value)
    }

    /// Drops the values that `keep` refuses, and says how many.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, (_, value)| keep(value));
        before.saturating_sub(self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> UnixSeconds {
        UnixSeconds::new(seconds)
    }

    #[test]
    fn entries_end_on_time_and_the_map_is_bounded() {
        let mut map = Expiring::default();
        map.insert("a".into(), 1, at(10), at(0));
        assert_eq!(map.get("a", at(9)), Some(&1));
        assert_eq!(map.get("a", at(10)), None);
        assert_eq!(map.remove("a", at(10)), None);
        for number in 0..CAPACITY + 50 {
            let ends = at(100 + number as u64);
            map.insert(number.to_string(), 0, ends, at(0));
        }
        assert_eq!(map.entries.len(), CAPACITY);
        assert_eq!(map.get("0", at(0)), None, "the first to end made room");
    }
}
