//! Assertions made a moment ago, by all that they say.
//!
//! Promises a bound on what is held, and no wait worth the name: many small locks, each for the time of a look.

use crate::clock::UnixSeconds;
use http::HeaderValue;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const SHARDS: usize = 16;
/// Most assertions in a shard. All of them together take some megabytes.
const MOST_IN_A_SHARD: usize = 256;

/// What an assertion says, as a hash.
pub(super) type Fingerprint = [u8; 32];

#[derive(Clone)]
struct Entry {
    assertion: HeaderValue,
    from: UnixSeconds,
    until: UnixSeconds,
}

/// Assertions that may be sent again.
#[derive(Default)]
pub(super) struct Cache {
    shards: [Mutex<HashMap<Fingerprint, Entry>>; SHARDS],
}

impl Cache {
    fn shard(&self, fingerprint: &Fingerprint) -> Option<&Mutex<HashMap<Fingerprint, Entry>>> {
        let [first, ..] = *fingerprint;
        self.shards.get(usize::from(first) % SHARDS)
    }

    /// The one that says this, if it may be sent now.
    pub(super) fn get(&self, fingerprint: &Fingerprint, now: UnixSeconds) -> Option<HeaderValue> {
        let shard = self.shard(fingerprint)?.lock();
        let entries = shard.unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(fingerprint)?;
        // A clock that was put back does not make it last longer.
        (entry.from <= now && now < entry.until).then(|| entry.assertion.clone())
    }

    /// Keeps one that may be sent until a moment.
    pub(super) fn put(
        &self,
        fingerprint: Fingerprint,
        assertion: &HeaderValue,
        from: UnixSeconds,
        until: UnixSeconds,
    ) {
        let Some(shard) = self.shard(&fingerprint) else {
            return;
        };
        let mut entries = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST_IN_A_SHARD {
            entries.retain(|_, entry| entry.from <= from && from < entry.until);
        }
        if entries.len() >= MOST_IN_A_SHARD {
            // Any of them: it is signed again when it is wanted.
            if let Some(any) = entries.keys().next().copied() {
                entries.remove(&any);
            }
        }
        let assertion = assertion.clone();
        entries.insert(
            fingerprint,
            Entry {
                assertion,
                from,
                until,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_000);

    fn print(number: u16) -> Fingerprint {
        let mut print = [0; 32];
        print[1..3].copy_from_slice(&number.to_be_bytes());
        print
    }

    fn value(number: u16) -> HeaderValue {
        HeaderValue::try_from(number.to_string()).unwrap()
    }

    #[test]
    fn an_entry_is_found_in_its_time_only() {
        let cache = Cache::default();
        cache.put(print(1), &value(1), NOW, UnixSeconds::new(1_030));
        for (at, found) in [(999, false), (1_000, true), (1_029, true), (1_030, false)] {
            let entry = cache.get(&print(1), UnixSeconds::new(at));
            assert_eq!(entry.is_some(), found, "{at}");
        }
        assert_eq!(cache.get(&print(2), NOW), None);
    }

    #[test]
    fn it_stays_within_its_bound() {
        let cache = Cache::default();
        for number in 0..2_000 {
            cache.put(print(number), &value(number), NOW, UnixSeconds::new(1_030));
            assert_eq!(
                cache.get(&print(number), NOW),
                Some(value(number)),
                "the newest stays"
            );
        }
        assert_eq!(cache.shards[0].lock().unwrap().len(), MOST_IN_A_SHARD);
        // Those that are over go first.
        cache.put(
            print(2_000),
            &value(0),
            UnixSeconds::new(1_030),
            UnixSeconds::new(1_060),
        );
        assert_eq!(cache.shards[0].lock().unwrap().len(), 1);
    }
}
