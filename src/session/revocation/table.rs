//! Records by name, read without a lock.
//!
//! Promises that a reader never waits and writes nothing that others read: each part of the table is replaced as a whole.
//! There are so many parts that a replacement copies few records. Who writes sees to it that nobody else does.

use super::record::Record;
use crate::clock::UnixSeconds;
use arc_swap::ArcSwap;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;

/// Records in a part, when the table is full.
const PART_RECORDS: usize = 64;

const MOST_PARTS: usize = 1024;

pub(super) struct Table<K> {
    /// Keyed at random, so that nobody can choose names that all land in one part.
    hasher: RandomState,
    parts: Box<[ArcSwap<HashMap<K, Record>>]>,
}

impl<K: Clone + Eq + Hash> Table<K> {
    pub(super) fn new(most: usize) -> Self {
        let parts = most.div_ceil(PART_RECORDS).clamp(1, MOST_PARTS);
        // One for all of them: thousands of empty maps would be most of an idle process's heap.
        let empty: Arc<HashMap<K, Record>> = Arc::default();
        Self {
            hasher: RandomState::new(),
            parts: std::iter::repeat_with(|| ArcSwap::new(Arc::clone(&empty)))
                .take(parts)
                .collect(),
        }
    }

    /// What is in force for a name; the empty record when nothing is.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, name: &Q) -> Record
    where
        K: Borrow<Q>,
    {
        let records = self.part(name).map(ArcSwap::load);
        records
            .and_then(|records| records.get(name).copied())
            .unwrap_or_default()
    }

    /// Replaces the record of a name; the empty one takes no room.
    pub(super) fn set(&self, name: &K, record: Record) {
        let Some(part) = self.part(name) else { return };
        let mut records = HashMap::clone(&part.load());
        if record == Record::default() {
            records.remove(name);
        } else {
            records.insert(name.clone(), record);
        }
        part.store(Arc::new(records));
    }

    pub(super) fn forget_expired(&self, now: UnixSeconds) {
        for part in &self.parts {
            let records = part.load();
            if records
                .values()
                .all(|record| record.without_expired(now) == *record)
            {
                continue;
            }
            let left = records.iter().filter_map(|(name, record)| {
                let record = record.without_expired(now);
                (record != Record::default()).then(|| (name.clone(), record))
            });
            part.store(Arc::new(left.collect()));
        }
    }

    fn part<Q: Hash + ?Sized>(&self, name: &Q) -> Option<&ArcSwap<HashMap<K, Record>>> {
        let parts = u64::try_from(self.parts.len()).ok()?;
        let place = self.hasher.hash_one(name).checked_rem(parts)?;
        self.parts.get(usize::try_from(place).ok()?)
    }
}
